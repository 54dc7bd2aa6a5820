//! What systemd is told, where it started the sidecar as a service of type notify.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use super::Board;
use crate::core::text::one_line;

/// When the supervisor wants to hear that all is well. Where there is none, nothing happens.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// How often it wants a sign of life: twice as often as it would act.
    every: Option<Duration>,
    told_at: Instant,
}

impl Supervisor {
    pub(super) fn new() -> Self {
        Self {
            every: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            told_at: Instant::now(),
        }
    }

    /// A sign of life, if one is due and no loop is stuck.
    pub(super) fn alive(&mut self, board: &Board) {
        let due = self
            .every
            .is_some_and(|every| self.told_at.elapsed() >= every);
        if due && board.liveness().stuck().is_empty() {
            notify(&[NotifyState::Watchdog]);
            self.told_at = Instant::now();
        }
    }
}

/// It has begun.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// What it is doing, in a line.
pub(super) fn status(text: &str) {
    notify(&[NotifyState::Status(&one_line(text))]);
}

/// It is about to end.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// That nobody listens is no error.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
