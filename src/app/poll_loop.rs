//! The one poll loop: fetch, observe, emit, sleep until the pace or a deadline says so.
//!
//! It decides nothing about the rollout. The machine says what an answer means and by when to look
//! again; the loop keeps time, adds the jitter, and backs off where requests fail.

mod retry;

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use self::retry::{Pause, Retry};
use crate::core::rollout::pacing::{Moment, Pace};
use crate::core::rollout::{
    Cadence, Event, Interruption, Machine, Next, Observation, Outcome, Phase, Step,
};

/// The longest that one request may take.
pub(crate) const LONGEST_REQUEST: Duration = Duration::from_secs(10);
/// What a request gets at least, however near the deadline is: the last look needs time as well.
const SHORTEST_REQUEST: Duration = Duration::from_secs(2);
/// How much longer a poll may take than its request: the request says better why it ended.
const SLACK: Duration = Duration::from_millis(250);
/// How long nothing may happen until the loop says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Follows one rollout to its verdict.
///
/// `turn` waits until a poll may be made, and `fetch` makes it, in no more time than it is told.
/// `emit` hears of every event and of when it happened, counted from now. When `interruption`
/// completes, the watch ends with what is known by then.
pub(crate) async fn follow<Turn: Future<Output = ()>, Polled: Future<Output = Observation>>(
    machine: Machine,
    pace: Pace,
    turn: impl FnMut() -> Turn,
    fetch: impl FnMut(Duration) -> Polled,
    emit: impl FnMut(Duration, Event),
    interruption: impl Future<Output = Interruption>,
) -> Outcome {
    let mut watch = Watch {
        machine,
        pace,
        retry: Retry::new(),
        start: Instant::now(),
        told_at: Duration::ZERO,
        emit,
    };
    let interrupted = tokio::select! {
        biased;
        interruption = interruption => interruption,
        outcome = watch.run(turn, fetch) => return outcome,
    };
    let step = watch.machine.interrupt(watch.now(), interrupted);
    match watch.perform(step) {
        Next::Done(outcome) => *outcome,
        Next::Poll(_) => unreachable!("an interrupted machine is done"),
    }
}

/// A watch under way.
struct Watch<Emit> {
    machine: Machine,
    pace: Pace,
    retry: Retry,
    start: Instant,
    /// When something was told last.
    told_at: Duration,
    emit: Emit,
}

/// What the loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
enum Wake {
    /// Poll at this time.
    Poll(Duration),
    /// Let the machine know that it is this time, without a poll: the server asked for a longer
    /// pause than is left.
    Lapse(Duration),
}

impl<Emit: FnMut(Duration, Event)> Watch<Emit> {
    async fn run<Turn: Future<Output = ()>, Polled: Future<Output = Observation>>(
        &mut self,
        mut turn: impl FnMut() -> Turn,
        mut fetch: impl FnMut(Duration) -> Polled,
    ) -> Outcome {
        let mut by = self.machine.limits().timeout;
        let mut answered_at = Duration::ZERO;
        let mut pause = Pause::None;
        let mut wake = Wake::Poll(Duration::ZERO);
        loop {
            let step = match wake {
                Wake::Poll(at) => {
                    self.sleep(at).await;
                    if let Some(outcome) = self.wait_for(turn(), by).await {
                        return *outcome;
                    }
                    let fetched = timeout(self.poll_limit(), fetch(self.request_limit())).await;
                    answered_at = self.now();
                    match fetched {
                        Ok(observation) => {
                            pause = self.retry.pause_after(&observation);
                            self.machine.observe(answered_at, observation)
                        }
                        Err(_) => self.machine.lapse(answered_at),
                    }
                }
                Wake::Lapse(at) => {
                    self.sleep(at).await;
                    self.machine.lapse(self.now())
                }
            };
            wake = match self.perform(step) {
                Next::Done(outcome) => return *outcome,
                Next::Poll(cadence) => {
                    by = cadence.by;
                    let phase = self.machine.phase();
                    next_wake(answered_at, phase, cadence, pause, self.pace)
                }
            };
        }
    }

    /// Tells of what happened, and hands on what to do.
    fn perform(&mut self, step: Step) -> Next {
        let now = self.now();
        for event in step.events {
            self.told_at = now;
            (self.emit)(now, event);
        }
        step.next
    }

    /// Waits for the turn of the next poll. Meanwhile time goes on: what is due `by` then, or later,
    /// may end the watch.
    async fn wait_for(
        &mut self,
        turn: impl Future<Output = ()>,
        mut by: Duration,
    ) -> Option<Box<Outcome>> {
        tokio::pin!(turn);
        loop {
            tokio::select! {
                biased;
                () = &mut turn => return None,
                () = self.sleep(by) => {}
            }
            let step = self.machine.lapse(self.now());
            match self.perform(step) {
                Next::Done(outcome) => return Some(outcome),
                Next::Poll(cadence) => by = cadence.by,
            }
        }
    }

    /// Sleeps until `until`, with a sign of life whenever nothing has happened for a while.
    async fn sleep(&mut self, until: Duration) {
        loop {
            let heartbeat = self.told_at.saturating_add(HEARTBEAT);
            sleep_until(self.start + until.min(heartbeat)).await;
            if until <= heartbeat {
                return;
            }
            self.told_at = self.now();
            (self.emit)(self.told_at, self.machine.heartbeat(self.told_at));
        }
    }

    /// How long a request that begins now may take.
    fn request_limit(&self) -> Duration {
        self.left().clamp(SHORTEST_REQUEST, LONGEST_REQUEST)
    }

    /// How long a poll may take, with all that it does beside its request: up to the deadline, and
    /// the time of a last look.
    fn poll_limit(&self) -> Duration {
        self.left().saturating_add(SHORTEST_REQUEST + SLACK)
    }

    fn left(&self) -> Duration {
        self.machine.limits().timeout.saturating_sub(self.now())
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// When to look again after a poll that ended at `answered_at`: at the pace of the phase, or after
/// the pause that a failure asks for, but no later than the machine says.
fn next_wake(
    answered_at: Duration,
    phase: Phase,
    cadence: Cadence,
    pause: Pause,
    pace: Pace,
) -> Wake {
    let moment = Moment {
        phase,
        phase_age: answered_at.saturating_sub(cadence.since),
        elapsed: answered_at,
    };
    let wait = match pause {
        Pause::None => pace.wait(moment, fastrand::f64()),
        Pause::Backoff(delay) => delay,
        Pause::Asked { delay, at_least } => {
            if answered_at.saturating_add(at_least) > cadence.by {
                return Wake::Lapse(cadence.by);
            }
            delay.max(at_least)
        }
    };
    Wake::Poll(answered_at.saturating_add(wait).min(cadence.by))
}

#[cfg(test)]
mod tests;
