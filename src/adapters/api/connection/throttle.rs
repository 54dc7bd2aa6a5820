//! One budget of requests for all watches.

use std::num::NonZeroU32;
use std::time::Duration;

/// After a server has asked for patience: how long to pause at least.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that a server can ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// How long nobody has to have asked for patience until the pace is doubled again.
const CALM: Duration = Duration::from_secs(30);
/// The slowest pace, as a multiple of the usual distance between two requests.
const SLOWEST: u32 = 64;

/// Spreads the requests of all watches: so many a second, and no more than that in a burst.
///
/// Where the server asks for patience (429), everybody pauses, and then goes on at half the pace;
/// calm doubles it again, up to the usual one.
#[derive(Debug, Clone)]
pub(super) struct Throttle {
    /// The usual distance between two requests.
    every: Duration,
    /// By how much it is stretched at present.
    stretch: u32,
    /// When the pace was changed last.
    changed_at: Duration,
    /// How much of the time that is yet to come may be used up by a burst.
    burst: Duration,
    /// When the next request would be due if all were evenly spread.
    due: Duration,
}

impl Throttle {
    /// A throttle that lets so many requests pass a second.
    #[must_use]
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let every = Duration::from_secs(1) / per_second.get();
        Self {
            every,
            stretch: 1,
            changed_at: Duration::ZERO,
            burst: every * (per_second.get() - 1),
            due: Duration::ZERO,
        }
    }

    /// When a request that is ready at `at` may go; it counts as gone.
    #[must_use]
    pub(super) fn admit(&mut self, at: Duration) -> Duration {
        while self.stretch > 1 && at >= self.changed_at.saturating_add(CALM) {
            self.stretch /= 2;
            self.changed_at = self.changed_at.saturating_add(CALM);
        }
        let due = self.due.max(at);
        self.due = due.saturating_add(self.every * self.stretch);
        due.saturating_sub(self.burst).max(at)
    }

    /// The server has asked, at `at`, for patience, perhaps for this long.
    pub(super) fn slow_down(&mut self, at: Duration, asked: Option<Duration>) {
        let pause = asked.unwrap_or(PAUSE).clamp(PAUSE, LONGEST_PAUSE);
        let resume = at.saturating_add(pause).saturating_add(self.burst);
        self.due = self.due.max(resume);
        // Requests that were under way together are refused together: they slow down once.
        if self.stretch == 1 || at >= self.changed_at.saturating_add(PAUSE) {
            self.stretch = (self.stretch * 2).min(SLOWEST);
        }
        self.changed_at = at;
    }

    /// How long a request that is ready at `at` would have to wait for its turn if there were no
    /// bursts: what is not urgent goes only when that is nothing.
    #[must_use]
    pub(super) fn backlog(&self, at: Duration) -> Duration {
        self.due.saturating_sub(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_lets_a_burst_pass_and_then_so_many_a_second() {
        let mut throttle = Throttle::new(NonZeroU32::new(4).unwrap());
        let mut admit = |at: u64| throttle.admit(Duration::from_millis(at)).as_millis();
        assert_eq!([0; 7].map(&mut admit), [0, 0, 0, 0, 250, 500, 750]);
        // What was admitted ahead is paid for first.
        assert_eq!([800; 2].map(&mut admit), [1000, 1250]);
        // A pause allows a burst again, but no larger one.
        assert_eq!(
            [60_000; 6].map(&mut admit),
            [60_000, 60_000, 60_000, 60_000, 60_250, 60_500]
        );
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let mut throttle = Throttle::new(NonZeroU32::MIN);
        let mut admit = |at: u64| throttle.admit(Duration::from_millis(at)).as_millis();
        assert_eq!([0, 0, 100, 5000].map(&mut admit), [0, 1000, 2000, 5000]);
    }

    #[test]
    fn patience_pauses_all_and_halves_the_pace_until_it_has_been_calm() {
        let ms = Duration::from_millis;
        let mut throttle = Throttle::new(NonZeroU32::new(10).unwrap());
        assert_eq!(throttle.admit(ms(0)), ms(0));
        throttle.slow_down(ms(100), Some(ms(5000)));
        throttle.slow_down(ms(110), None);
        assert_eq!(throttle.admit(ms(200)), ms(5100));
        assert_eq!(
            throttle.admit(ms(200)),
            ms(5300),
            "half the pace, once for both"
        );
        assert_eq!(throttle.backlog(ms(6000)), ms(400));
        let calm = ms(110) + CALM;
        let gaps = |throttle: &mut Throttle, at: Duration| {
            let burst: Vec<Duration> = (0..20).map(|_| throttle.admit(at)).collect();
            burst[19].saturating_sub(burst[18])
        };
        assert_eq!(gaps(&mut throttle, calm), ms(100));
        // Again and again: slower and slower, up to a bound.
        for second in 0..20 {
            throttle.slow_down(calm + ms(60_000 + 2000 * second), None);
        }
        let then = calm + ms(101_000);
        assert_eq!(gaps(&mut throttle, then), ms(6400));
    }
}
