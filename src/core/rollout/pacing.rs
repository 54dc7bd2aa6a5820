//! When to look again while answers come: often at first, then ever more calmly.

use std::time::Duration;

/// The shortest wait between two polls.
pub const SHORTEST: Duration = Duration::from_millis(500);
/// The longest wait between two polls.
pub const LONGEST: Duration = Duration::from_secs(5);
/// The share of the time spent in the present phase after which to look again.
///
/// It bounds how late a verdict comes (about 5 %), while the number of requests grows with the
/// logarithm of the wait.
pub const SHARE: f64 = 0.05;
/// The share by which a wait is spread to either side, so that many watchers do not fall in step.
pub const JITTER: f64 = 0.1;

/// How polls are paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// A share of the time spent in the present phase, jittered, within [`SHORTEST`] and
    /// [`LONGEST`].
    Proportional,
    /// Always this long.
    Fixed(Duration),
}

impl Pace {
    /// How long to wait after a poll, `in_phase` after the present phase began.
    ///
    /// `random` is a number from 0 up to 1 that decides the jitter.
    #[must_use]
    pub fn wait(self, in_phase: Duration, random: f64) -> Duration {
        match self {
            Pace::Fixed(interval) => interval,
            Pace::Proportional => {
                let middle = in_phase.mul_f64(SHARE).clamp(SHORTEST, LONGEST);
                let low = middle.mul_f64(1.0 - JITTER).max(SHORTEST);
                let high = middle.mul_f64(1.0 + JITTER).min(LONGEST);
                low + high.saturating_sub(low).mul_f64(random.clamp(0.0, 1.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(in_phase_ms: u64, random: f64) -> u128 {
        Pace::Proportional
            .wait(Duration::from_millis(in_phase_ms), random)
            .as_millis()
    }

    #[test]
    fn waits_grow_with_the_phase_and_stay_within_their_bounds() {
        assert_eq!((millis(0, 0.0), millis(0, 1.0)), (500, 550));
        assert_eq!((millis(10_000, 0.0), millis(10_000, 1.0)), (500, 550));
        assert_eq!(
            (
                millis(60_000, 0.0),
                millis(60_000, 0.5),
                millis(60_000, 1.0)
            ),
            (2700, 3000, 3300)
        );
        assert_eq!((millis(100_000, 0.0), millis(100_000, 1.0)), (4500, 5000));
        assert_eq!((millis(u64::MAX, 0.0), millis(u64::MAX, 1.0)), (4500, 5000));
    }

    #[test]
    fn a_fixed_interval_is_kept_to_the_letter() {
        let pace = Pace::Fixed(Duration::from_millis(7));
        assert_eq!(
            pace.wait(Duration::from_hours(1), 0.9),
            Duration::from_millis(7)
        );
    }
}
