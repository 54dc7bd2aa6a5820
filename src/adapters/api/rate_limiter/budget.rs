//! How many requests may go: so many a second, fewer while the server asks for patience.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// What holds no more requests than a second may: a little longer than one, as requests differ in how long
/// they are under way.
const WINDOW: Duration = Duration::from_millis(1050);
/// The shortest pause after a server has asked for patience.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that a server can ask for.
const MAX_PAUSE: Duration = Duration::from_hours(1);
/// How long the server must not have asked for patience before the rate is doubled again.
const CALM: Duration = Duration::from_secs(30);
/// The most that the usual distance between two requests is stretched.
const MAX_STRETCH: u32 = 64;

/// Spreads requests evenly, and allows a burst after a pause: so many in any second, however it begins.
///
/// When the server asks for patience, all requests pause, and then go at half the rate; after each
/// calm period the rate is doubled again, up to the usual one.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// The most requests in a second.
    most: usize,
    /// When the latest of them go, as many at most.
    latest: VecDeque<Duration>,
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
        let most = u64::from(per_second.get());
        let window = u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX);
        let every = Duration::from_nanos(window.div_ceil(most));
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            latest: VecDeque::new(),
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
        let spread = self.due.saturating_sub(self.burst).max(at);
        let oldest = self
            .latest
            .front()
            .filter(|_| self.latest.len() == self.most);
        let free = oldest.map_or(Duration::ZERO, |oldest| oldest.saturating_add(WINDOW));
        let due = if free > spread {
            // A burst has used up the second: what follows is spread.
            free.saturating_add(self.burst)
        } else {
            self.due.max(at)
        };
        self.due = due.saturating_add(self.every * self.stretch);
        let goes_at = spread.max(free);
        self.latest.push_back(goes_at);
        while self.latest.len() > self.most
            || self
                .latest
                .front()
                .is_some_and(|first| first.saturating_add(WINDOW) <= at)
        {
            self.latest.pop_front();
        }
        goes_at
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_a_burst_and_then_so_many_a_second() {
        let mut budget = Budget::new(NonZeroU32::new(4).unwrap());
        let mut reserve = |at: u64| budget.reserve(Duration::from_millis(at)).as_millis();
        assert_eq!([0; 7].map(&mut reserve), [0, 0, 0, 0, 1050, 1312, 1575]);
        // What was reserved ahead is paid for first.
        assert_eq!([800; 2].map(&mut reserve), [1837, 2100]);
        // A pause allows a burst again, but no larger one.
        assert_eq!(
            [60_000; 6].map(&mut reserve),
            [60_000, 60_000, 60_000, 60_000, 61_050, 61_312]
        );
    }

    #[test]
    fn no_second_holds_more_than_it_may() {
        let mut random = fastrand::Rng::with_seed(1);
        for per_second in [1, 2, 3, 7, 10, 20, 100] {
            let mut budget = Budget::new(NonZeroU32::new(per_second).unwrap());
            let mut at = Duration::ZERO;
            let mut sent = Vec::new();
            for _ in 0..1000 {
                match random.u8(..) {
                    0..100 => {}
                    100..200 => at += Duration::from_millis(random.u64(..100)),
                    200..250 => at += Duration::from_millis(random.u64(..3000)),
                    250..=255 => budget.slow_down(at, None),
                }
                sent.push(budget.reserve(at));
            }
            let most = usize::try_from(per_second).unwrap();
            for together in sent.windows(most + 1) {
                let took = together[most].saturating_sub(together[0]);
                assert!(took >= Duration::from_secs(1), "{per_second}: {together:?}");
            }
        }
    }

    #[test]
    fn what_is_not_used_up_by_a_burst_is_spread_over_the_same_time() {
        let mut budget = Budget::new(NonZeroU32::new(10).unwrap());
        let last = (0..1000).map(|_| budget.reserve(Duration::ZERO)).last();
        assert_eq!(last, Some(WINDOW * 99 + WINDOW * 9 / 10));
    }

    #[test]
    fn one_a_second_allows_no_burst() {
        let mut budget = Budget::new(NonZeroU32::MIN);
        let mut reserve = |at: u64| budget.reserve(Duration::from_millis(at)).as_millis();
        assert_eq!([0, 0, 100, 5000].map(&mut reserve), [0, 1050, 2100, 5000]);
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
            ms(5310),
            "half the rate, once for both"
        );
        let calm = ms(110) + CALM;
        let gaps = |budget: &mut Budget, at: Duration| {
            let burst: Vec<Duration> = (0..20).map(|_| budget.reserve(at)).collect();
            burst[19].saturating_sub(burst[18])
        };
        assert_eq!(gaps(&mut budget, calm), ms(105));
        // Again and again: slower and slower, up to a bound.
        for second in 0..20 {
            budget.slow_down(calm + ms(60_000 + 2000 * second), None);
        }
        let then = calm + ms(101_000);
        assert_eq!(gaps(&mut budget, then), ms(6720));
    }
}
