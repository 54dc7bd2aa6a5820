//! SIGINT and SIGTERM: the first ends the watch with its report, the second the process.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::core::rollout::Interruption;

/// Knows whether the watch is to end before its verdict.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    sender: Arc<watch::Sender<Option<Interruption>>>,
    receiver: watch::Receiver<Option<Interruption>>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the handlers cannot be set up.
    pub(super) fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, receiver) = watch::channel(None);
        let signals = Self {
            sender: Arc::new(sender),
            receiver,
        };
        let listening = signals.clone();
        tokio::spawn(async move {
            let interruption = tokio::select! {
                _ = interrupt.recv() => Interruption::Interrupt,
                _ = terminate.recv() => Interruption::Terminate,
            };
            listening.end(interruption);
        });
        Ok(signals)
    }

    /// From now on, a signal after the next one ends the process, whatever it is stuck in.
    ///
    /// # Errors
    /// When the handlers cannot be set up.
    pub(super) fn end_at_the_second(&self) -> io::Result<()> {
        // The order counts: the first signal finds the flag down, and raises it for the second.
        let interrupted = Arc::new(AtomicBool::new(self.receiver.borrow().is_some()));
        for number in [SIGINT, SIGTERM] {
            flag::register_conditional_default(number, Arc::clone(&interrupted))?;
            flag::register(number, Arc::clone(&interrupted))?;
        }
        Ok(())
    }

    /// Ends the watch. The first word counts.
    pub(super) fn end(&self, interruption: Interruption) {
        self.sender.send_if_modified(|seen| {
            let first = seen.is_none();
            seen.get_or_insert(interruption);
            first
        });
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
