//! SIGINT, SIGTERM and SIGHUP: the first ends the watch with its report, a later one the process.

use std::fs;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::{Notify, watch};

use crate::core::rollout::Interruption;

/// How long after the first signal another one counts: GNU `timeout` sends one to the process and
/// at once one more to its group.
const SECOND_AFTER: Duration = Duration::from_secs(2);

/// What becomes of a SIGHUP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangup {
    /// It ends the watch, as other signals do.
    Ends,
    /// Somebody else listens for it.
    IsForOthers,
}

/// Knows whether the watch is to end before its verdict.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    sender: Arc<watch::Sender<Option<Interruption>>>,
    receiver: watch::Receiver<Option<Interruption>>,
    second_exits: Arc<AtomicBool>,
    /// While the deploy command is being ended, the second signal is for the command.
    of_command: Arc<AtomicBool>,
    kill: Arc<Notify>,
}

impl Signals {
    /// Listens from now on, in a thread of its own: nothing that the program is stuck in keeps it.
    ///
    /// # Errors
    /// When the handlers cannot be set up.
    pub(super) fn listen(hangup: Hangup) -> io::Result<Self> {
        // Under nohup SIGHUP is ignored, and has to stay so.
        let hangup = (hangup == Hangup::Ends && !is_ignored(SIGHUP)).then_some(SIGHUP);
        let mut arriving = iterator::Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup))?;
        let signals = Self::unheard();
        let listening = signals.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let mut first = None;
                for number in arriving.forever() {
                    let first = *first.get_or_insert_with(Instant::now);
                    listening.end(match number {
                        SIGTERM => Interruption::Terminate,
                        SIGHUP => Interruption::Hangup,
                        _ => Interruption::Interrupt,
                    });
                    let exits = listening.second_exits.load(Ordering::Relaxed);
                    if !exits || first.elapsed() < SECOND_AFTER {
                        continue;
                    }
                    if listening.of_command.swap(false, Ordering::Relaxed) {
                        listening.kill.notify_one();
                    } else {
                        // It only fails for a number that is no signal's.
                        let _ = emulate_default_handler(number);
                    }
                }
            })?;
        Ok(signals)
    }

    /// Signals that only come from within.
    pub(super) fn unheard() -> Self {
        let (sender, receiver) = watch::channel(None);
        Self {
            sender: Arc::new(sender),
            receiver,
            second_exits: Arc::default(),
            of_command: Arc::default(),
            kill: Arc::default(),
        }
    }

    /// From now on, a signal two seconds or more after the first one ends the process, whatever it is
    /// stuck in.
    pub(super) fn exit_on_second_signal(&self) {
        self.second_exits.store(true, Ordering::Relaxed);
    }

    /// Completes when the second signal comes, which then does not end the process: the report is still
    /// to be written. A signal after that does.
    pub(super) async fn second(&self) {
        self.of_command.store(true, Ordering::Relaxed);
        self.kill.notified().await;
    }

    /// From now on the second signal ends the process again.
    pub(super) fn command_is_gone(&self) {
        self.of_command.store(false, Ordering::Relaxed);
    }

    /// Ends the watch. The first interruption counts.
    pub(super) fn end(&self, interruption: Interruption) {
        self.sender.send_if_modified(|seen| {
            let first = seen.is_none();
            seen.get_or_insert(interruption);
            first
        });
    }

    /// Whether the watch is to end, and why.
    pub(super) fn interrupted(&self) -> Option<Interruption> {
        *self.receiver.borrow()
    }

    /// Waits until the watch is to end.
    pub(super) async fn interruption(&mut self) -> Interruption {
        match self
            .receiver
            .wait_for(Option::is_some)
            .await
            .map(|seen| *seen)
        {
            Ok(Some(interruption)) => interruption,
            Ok(None) | Err(_) => pending().await,
        }
    }
}

/// Whether the process was started with a signal ignored, as far as the system shows it.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}
