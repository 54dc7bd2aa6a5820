//! How many requests may go: so many a second, fewer while the server asks for patience.

use std::num::NonZeroU32;
use std::time::Duration;

/// The shortest pause after a server has asked for patience.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that a server can ask for.
const MAX_PAUSE: Duration = Duration::from_hours(1);
/// How long the server must not have asked for patience before the rate is doubled again.
const CALM: Duration = Duration::from_secs(30);
/// The most that the usual distance between two requests is stretched.
const MAX_STRETCH: u32 = 64;

/// Spreads requests evenly: so many a second, and no more than that in a burst.
///
/// When the server asks for patience, all requests pause, and then go at half the rate; after each
/// calm period the rate is doubled again, up to the usual one.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// The usual distance between two requests.
    every: Duration,
    /// By how much that is stretched at present.
    stretch: u32,
    /// When the rate was changed last.
    changed_at: Duration,
    /// How much of the time that is yet to come may be used up by a burst.
    burst: Duration,
    /// When the next request would be due if all were evenly spread.
    due: Duration,
}

impl Budget {
    /// A budget of so many requests a second.
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

    /// When a request that is ready at `at` may go; its place is taken from now on.
    #[must_use]
    pub(super) fn reserve(&mut self, at: Duration) -> Duration {
        while self.stretch > 1 && at >= self.changed_at.saturating_add(CALM) {
            self.stretch /= 2;
            self.changed_at = self.changed_at.saturating_add(CALM);
        }
        let due = self.due.max(at);
        self.due = due.saturating_add(self.every * self.stretch);
        due.saturating_sub(self.burst).max(at)
    }

    /// Slows down: at `at` the server asked for patience, perhaps for this long.
    pub(super) fn slow_down(&mut self, at: Duration, asked: Option<Duration>) {
        let pause = asked.unwrap_or(MIN_PAUSE).clamp(MIN_PAUSE, MAX_PAUSE);
        let resume = at.saturating_add(pause).saturating_add(self.burst);
        self.due = self.due.max(resume);
        // Requests that were under way together are refused together: they slow down once.
        if self.stretch == 1 || at >= self.changed_at.saturating_add(MIN_PAUSE) {
            self.stretch = (self.stretch * 2).min(MAX_STRETCH);
        }
        self.changed_at = at;
    }

    /// How long a request that is ready at `at` would wait if there were no bursts. A request of low
    /// priority goes only when that is zero.
    #[must_use]
    pub(super) fn backlog(&self, at: Duration) -> Duration {
        self.due.saturating_sub(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_a_burst_and_then_so_many_a_second() {
        let mut budget = Budget::new(NonZeroU32::new(4).unwrap());
        let mut reserve = |at: u64| budget.reserve(Duration::from_millis(at)).as_millis();
        assert_eq!([0; 7].map(&mut reserve), [0, 0, 0, 0, 250, 500, 750]);
        // What was reserved ahead is paid for first.
        assert_eq!([800; 2].map(&mut reserve), [1000, 1250]);
        // A pause allows a burst again, but no larger one.
        assert_eq!(
            [60_000; 6].map(&mut reserve),
            [60_000, 60_000, 60_000, 60_000, 60_250, 60_500]
        );
    }

    #[test]
    fn one_a_second_allows_no_burst() {
        let mut budget = Budget::new(NonZeroU32::MIN);
        let mut reserve = |at: u64| budget.reserve(Duration::from_millis(at)).as_millis();
        assert_eq!([0, 0, 100, 5000].map(&mut reserve), [0, 1000, 2000, 5000]);
    }

    #[test]
    fn halves_the_rate_when_asked_for_patience_until_it_has_been_calm() {
        let ms = Duration::from_millis;
        let mut budget = Budget::new(NonZeroU32::new(10).unwrap());
        assert_eq!(budget.reserve(ms(0)), ms(0));
        budget.slow_down(ms(100), Some(ms(5000)));
        budget.slow_down(ms(110), None);
        assert_eq!(budget.reserve(ms(200)), ms(5100));
        assert_eq!(
            budget.reserve(ms(200)),
            ms(5300),
            "half the rate, once for both"
        );
        assert_eq!(budget.backlog(ms(6000)), ms(400));
        let calm = ms(110) + CALM;
        let gaps = |budget: &mut Budget, at: Duration| {
            let burst: Vec<Duration> = (0..20).map(|_| budget.reserve(at)).collect();
            burst[19].saturating_sub(burst[18])
        };
        assert_eq!(gaps(&mut budget, calm), ms(100));
        // Again and again: slower and slower, up to a bound.
        for second in 0..20 {
            budget.slow_down(calm + ms(60_000 + 2000 * second), None);
        }
        let then = calm + ms(101_000);
        assert_eq!(gaps(&mut budget, then), ms(6400));
    }
}
