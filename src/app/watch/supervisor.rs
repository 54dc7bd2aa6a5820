//! The messages to systemd, where it started the sidecar as a service of type notify.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use super::Shared;

/// When systemd wants a sign of life. Where there is none, nothing happens.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// How often it wants a sign of life: twice as often as it would act.
    every: Option<Duration>,
    sent_at: Instant,
}

impl Supervisor {
    pub(super) fn new() -> Self {
        Self {
            every: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            sent_at: Instant::now(),
        }
    }

    /// A sign of life, if one is due and no loop is stuck.
    pub(super) fn alive(&mut self, shared: &Shared) {
        let due = self
            .every
            .is_some_and(|every| self.sent_at.elapsed() >= every);
        if due && !shared.heartbeats().iter().any(|beat| beat.is_stuck) {
            notify(NotifyState::Watchdog);
            self.sent_at = Instant::now();
        }
    }
}

/// Shows systemd a state. That nobody listens is no error.
pub(super) fn notify(state: NotifyState<'_>) {
    let _ = sd_notify::notify(&[state]);
}
