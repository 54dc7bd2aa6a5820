//! When the delivery of a notice is tried again, and when it is given up on.

use std::time::Duration;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, unless the receiver asks for more.
const LONGEST: Duration = Duration::from_mins(5);
/// The longest wait that there can be: the longest that a receiver can ask for.
pub const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// How often a notice is tried at least while the sink was not down for as long as it would be tried:
/// a clock that jumps, or a machine that was off, makes it old but says nothing of the receiver.
const LEAST_ATTEMPTS: u32 = 10;
/// How many deliveries to one sink are under way at once, of different agents.
const PLACES: usize = 8;
/// After so many failures in a row the sink itself is taken to be down.
const DOWN_AFTER: u32 = 8;

/// For how long a delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPlan {
    /// A notice older than this is given up on when an attempt fails, if it was tried often enough or
    /// its sink has taken nothing for as long.
    pub retry_for: Duration,
}

/// What follows from an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Retry {
    /// It is tried again after this wait.
    After(Duration),
    /// It has been tried for long enough.
    GiveUp,
}

impl RetryPlan {
    /// What follows when the attempt with this number, the first being 1, has failed.
    ///
    /// `age` is how long ago the notice was written down, by a clock that may have been set;
    /// `failing_for` how long the sink has taken nothing, by one that cannot be; `asked` how long the
    /// receiver wants to be left alone; `random` within 0..1 spreads the waits over their second half.
    pub fn after_failure(
        &self,
        attempt: u32,
        age: Duration,
        failing_for: Duration,
        asked: Option<Duration>,
        random: f64,
    ) -> Retry {
        let was_tried = attempt >= LEAST_ATTEMPTS || failing_for >= self.retry_for;
        if age >= self.retry_for && was_tried {
            return Retry::GiveUp;
        }
        let asked = asked.unwrap_or_default().min(LONGEST_WAIT);
        Retry::After(pause(attempt, random).max(asked))
    }
}

/// How a sink as a whole takes what it is sent: one that is down is tried now and then, with one
/// notice, not with all that wait for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkHealth {
    failures_in_a_row: u32,
}

impl SinkHealth {
    /// How many deliveries may be under way at once.
    #[must_use]
    pub const fn places(self) -> usize {
        if self.is_down() { 1 } else { PLACES }
    }

    /// How many deliveries have failed since the last that arrived.
    #[must_use]
    pub const fn failures_in_a_row(self) -> u32 {
        self.failures_in_a_row
    }

    /// A delivery has arrived.
    pub fn succeeded(&mut self) {
        self.failures_in_a_row = 0;
    }

    /// A delivery has failed: how long to leave the sink alone, if at all.
    pub fn failed(&mut self, asked: Option<Duration>, random: f64) -> Option<Duration> {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let asked = asked.map(|asked| asked.min(LONGEST_WAIT));
        let down = self
            .is_down()
            .then(|| pause(self.failures_in_a_row - DOWN_AFTER + 1, random));
        asked.max(down)
    }

    const fn is_down(self) -> bool {
        self.failures_in_a_row >= DOWN_AFTER
    }
}

/// Twice as long after every failure, up to a bound.
fn pause(failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = (FIRST * (1 << doublings)).min(LONGEST);
    whole.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PLAN: RetryPlan = RetryPlan {
        retry_for: Duration::from_hours(24),
    };

    #[test]
    fn waits_double_up_to_five_minutes_and_are_spread() {
        let wait = |attempt, random| PLAN.after_failure(attempt, SECOND, SECOND, None, random);
        for (attempt, seconds) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (9, 256),
            (10, 300),
            (4_000_000_000, 300),
        ] {
            assert_eq!(
                wait(attempt, 1.0),
                Retry::After(seconds * SECOND),
                "{attempt}"
            );
            assert_eq!(wait(attempt, 0.0), Retry::After(seconds * SECOND / 2));
        }
    }

    #[test]
    fn a_receiver_can_ask_for_more_up_to_an_hour() {
        let wait = |asked| PLAN.after_failure(1, SECOND, SECOND, Some(asked), 1.0);
        assert_eq!(wait(Duration::ZERO), Retry::After(SECOND));
        assert_eq!(wait(77 * SECOND), Retry::After(77 * SECOND));
        assert_eq!(wait(Duration::MAX), Retry::After(3600 * SECOND));
    }

    #[test]
    fn what_was_tried_for_long_enough_is_given_up_on() {
        let day = PLAN.retry_for;
        let ends = |plan: RetryPlan, attempt, age, failing_for| {
            plan.after_failure(attempt, age, failing_for, None, 0.5) == Retry::GiveUp
        };
        for (attempt, age, failing_for, expected) in [
            (99, day, SECOND, true),
            (99, day.saturating_sub(SECOND), day, false),
            // The clock has jumped, or the machine was off.
            (1, 1000 * day, Duration::ZERO, false),
            (9, day, day.saturating_sub(SECOND), false),
            (10, day, Duration::ZERO, true),
            // What has waited behind another one for a sink that stays down.
            (1, day, day, true),
        ] {
            let ended = ends(PLAN, attempt, age, failing_for);
            assert_eq!(ended, expected, "{attempt}, {age:?}, {failing_for:?}");
        }
        let once = RetryPlan {
            retry_for: Duration::ZERO,
        };
        assert!(ends(once, 1, Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn a_sink_that_is_down_is_tried_with_one_notice_now_and_then() {
        let mut health = SinkHealth::default();
        for _ in 0..7 {
            assert_eq!(health.failed(None, 1.0), None);
            assert_eq!(health.places(), 8);
        }
        assert_eq!(health.failed(None, 1.0), Some(SECOND));
        assert_eq!(health.places(), 1);
        assert_eq!(health.failed(None, 1.0), Some(2 * SECOND));
        health.succeeded();
        assert_eq!(health.places(), 8);
        assert_eq!(health.failed(Some(30 * SECOND), 1.0), Some(30 * SECOND));
    }
}
