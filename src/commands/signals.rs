//! SIGINT and SIGTERM: the first ends the watch with its report, the second the process.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::rollout::Interruption;

/// Knows whether the user wants the watch to end.
#[derive(Debug, Clone)]
pub(super) struct Signals(watch::Receiver<Option<Interruption>>);

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the handlers cannot be set up.
    pub(super) fn listen() -> io::Result<Self> {
        // The order counts: the first signal finds the flag down, and raises it for the second.
        let interrupted = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            flag::register_conditional_default(number, Arc::clone(&interrupted))?;
            flag::register(number, Arc::clone(&interrupted))?;
        }
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            let interruption = tokio::select! {
                _ = interrupt.recv() => Interruption::Interrupt,
                _ = terminate.recv() => Interruption::Terminate,
            };
            sender.send_replace(Some(interruption));
        });
        Ok(Self(receiver))
    }

    /// Waits until the user wants the watch to end.
    pub(super) async fn interruption(&mut self) -> Interruption {
        match self.0.wait_for(Option::is_some).await.map(|seen| *seen) {
            Ok(Some(interruption)) => interruption,
            Ok(None) | Err(_) => pending().await,
        }
    }
}
