//! How long to pause after failed polls. The only place that knows the `backoff` crate.
//!
//! The crate serves as a generator of growing, jittered delays. The loop, the deadline and the
//! count of attempts are ours: see `follow`.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;

use crate::core::rollout::{FailureClass, Observation};

/// The first delay at most, and the longest at most.
const FIRST: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(10);

/// What a poll asks for before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// It was answered.
    None,
    /// It failed: wait this long.
    Backoff(Duration),
    /// It failed: wait this long, as the server has asked for no less.
    Asked(Duration),
}

/// Exponential backoff with full jitter: each delay is a random part of a growing bound.
///
/// The crate spreads an interval by a share to either side; half the bound, spread by all of
/// itself, runs from nothing to the bound.
pub(crate) struct Retry(backoff::ExponentialBackoff);

impl Retry {
    pub(crate) fn new() -> Self {
        Self(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(FIRST / 2)
                .with_max_interval(MAX_DELAY / 2)
                .with_multiplier(2.0)
                .with_randomization_factor(1.0)
                .with_max_elapsed_time(None)
                .build(),
        )
    }

    /// The pause after a poll; an answer starts the delays anew.
    pub(super) fn pause_after(&mut self, observation: &Observation) -> Pause {
        let Observation::Failed(failure) = observation else {
            self.0.reset();
            return Pause::None;
        };
        match failure.class {
            FailureClass::Transient {
                retry_after: Some(_),
            } => Pause::Asked(self.delay_after(failure.class)),
            FailureClass::Transient { retry_after: None }
            | FailureClass::Unauthorized
            | FailureClass::Refused => Pause::Backoff(self.delay_after(failure.class)),
        }
    }

    /// How long to wait after a failure, and no less than the server has asked for.
    pub(crate) fn delay_after(&mut self, class: FailureClass) -> Duration {
        // Jitter may pass over the crate's own cap by a rounding.
        let delay = self.0.next_backoff().unwrap_or(MAX_DELAY).min(MAX_DELAY);
        match class {
            FailureClass::Transient {
                retry_after: Some(at_least),
            } => delay.max(at_least),
            FailureClass::Transient { retry_after: None }
            | FailureClass::Unauthorized
            | FailureClass::Refused => delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rollout::Failure;

    fn failed(class: FailureClass) -> Observation {
        Observation::Failed(Failure {
            class,
            code: "Http502".to_owned(),
            summary: "bad gateway".to_owned(),
            request_id: None,
        })
    }

    fn delay(pause: Pause) -> Duration {
        match pause {
            Pause::Backoff(delay) => delay,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn delays_are_random_parts_of_a_bound_that_doubles_up_to_ten_seconds() {
        let transient = failed(FailureClass::Transient { retry_after: None });
        let bounds = [500, 1000, 2000, 4000, 8000, 10_000, 10_000].map(Duration::from_millis);
        let mut longest = [Duration::ZERO; 7];
        let mut shortest = [MAX_DELAY; 7];
        for _ in 0..300 {
            let mut retry = Retry::new();
            for step in 0..bounds.len() {
                let delay = delay(retry.pause_after(&transient));
                assert!(delay <= bounds[step], "{delay:?} at {step}");
                longest[step] = longest[step].max(delay);
                shortest[step] = shortest[step].min(delay);
            }
        }
        for (step, bound) in bounds.into_iter().enumerate() {
            assert!(longest[step] > bound / 2, "{longest:?}");
            assert!(shortest[step] < bound / 2, "{shortest:?}");
        }
    }

    #[test]
    fn an_answer_starts_the_delays_anew() {
        let transient = failed(FailureClass::Transient { retry_after: None });
        let mut retry = Retry::new();
        for _ in 0..20 {
            let _ = retry.pause_after(&transient);
        }
        assert_eq!(retry.pause_after(&Observation::Absent(None)), Pause::None);
        assert!(delay(retry.pause_after(&transient)) <= FIRST);
    }

    #[test]
    fn what_the_server_asks_for_is_handed_on() {
        let at_least = Duration::from_secs(30);
        let asked = failed(FailureClass::Transient {
            retry_after: Some(at_least),
        });
        let pause = Retry::new().pause_after(&asked);
        assert_eq!(pause, Pause::Asked(at_least));
    }
}
