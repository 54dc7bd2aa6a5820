//! The limit on requests a second that all agents share.

mod budget;

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use self::budget::Budget;

/// Gives out permits for requests, no more than so many in any second.
#[derive(Debug)]
pub(super) struct RateLimiter {
    started: Instant,
    budget: Mutex<Budget>,
    /// Requests of low priority get half the budget at most, one after another.
    low_priority: tokio::sync::Mutex<Budget>,
}

impl RateLimiter {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let half = NonZeroU32::new(per_second.get() / 2).unwrap_or(NonZeroU32::MIN);
        Self {
            started: Instant::now(),
            budget: Mutex::new(Budget::new(per_second)),
            low_priority: tokio::sync::Mutex::new(Budget::new(half)),
        }
    }

    /// Waits for a permit, and returns how long that took. A free one comes at once: a timer would
    /// round up.
    pub(super) async fn acquire(&self) -> Duration {
        let ready = self.started.elapsed();
        let reserved = lock(&self.budget).reserve(ready);
        if reserved > ready {
            sleep_until(self.started + reserved).await;
        }
        reserved.saturating_sub(ready)
    }

    /// Waits for a permit that no request of normal priority wants. Those who wait get theirs in the order in
    /// which they came.
    pub(super) async fn acquire_low_priority(&self) {
        let mut low_priority = self.low_priority.lock().await;
        let reserved = low_priority.reserve(self.started.elapsed());
        sleep_until(self.started + reserved).await;
        loop {
            let backlog = {
                let mut budget = lock(&self.budget);
                let ready = self.started.elapsed();
                let backlog = budget.backlog(ready);
                if backlog.is_zero() {
                    // Where nothing is owed it goes at once.
                    let _ = budget.reserve(ready);
                    return;
                }
                backlog
            };
            sleep(backlog).await;
        }
    }

    /// Slows everybody down: the server asked for patience, perhaps for this long.
    pub(super) fn slow_down(&self, asked: Option<Duration>) {
        lock(&self.budget).slow_down(self.started.elapsed(), asked);
    }
}

fn lock(budget: &Mutex<Budget>) -> MutexGuard<'_, Budget> {
    budget.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter(per_second: u32) -> RateLimiter {
        RateLimiter::new(NonZeroU32::new(per_second).unwrap())
    }

    #[tokio::test]
    async fn a_free_permit_comes_at_once() {
        let limiter = limiter(10);
        tokio::select! {
            biased;
            waited = limiter.acquire() => assert_eq!(waited, Duration::ZERO),
            () = std::future::ready(()) => panic!("it waits"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gives_no_more_permits_than_it_may() {
        let limiter = limiter(10);
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..30 {
            limiter.acquire().await;
            times.push(start.elapsed());
        }
        assert!(times[9] < SECOND / 100, "{times:?}");
        for together in times.windows(11) {
            assert!(
                together[10].saturating_sub(together[0]) >= SECOND,
                "{times:?}"
            );
        }
        assert!(times[29] < SECOND * 31 / 10, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn low_priority_gets_half_the_budget_and_waits_for_normal_priority() {
        let limiter = limiter(10);
        let start = Instant::now();
        for _ in 0..25 {
            limiter.acquire_low_priority().await;
        }
        assert!(start.elapsed() >= 3 * SECOND, "{:?}", start.elapsed());
        for _ in 0..30 {
            let _ = limiter.acquire().await;
        }
        // The burst of normal priority is paid back before anything of low priority goes.
        let normal = start.elapsed();
        limiter.acquire_low_priority().await;
        assert!(
            start.elapsed() >= normal + SECOND * 9 / 10,
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn low_priority_goes_in_the_order_in_which_it_came() {
        let limiter = limiter(10);
        let order = Mutex::new(Vec::new());
        let one = async |number: u32| {
            // They come a little apart, faster than they can go.
            sleep(Duration::from_millis(u64::from(number) * 20)).await;
            limiter.acquire_low_priority().await;
            order.lock().unwrap().push(number);
        };
        let normal = async {
            for _ in 0..60 {
                limiter.acquire().await;
                sleep(Duration::from_millis(150)).await;
            }
        };
        let low = async {
            tokio::join!(
                one(0),
                one(1),
                one(2),
                one(3),
                one(4),
                one(5),
                one(6),
                one(7),
                one(8),
                one(9),
                one(10),
                one(11),
                one(12),
                one(13),
                one(14),
                one(15),
            )
        };
        tokio::join!(normal, low);
        let order = order.into_inner().unwrap();
        assert!(order.is_sorted() && order.len() == 16, "{order:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_down_delays_everybody() {
        let limiter = limiter(10);
        let start = Instant::now();
        limiter.slow_down(Some(7 * SECOND));
        limiter.acquire().await;
        assert!(start.elapsed() >= 7 * SECOND);
        limiter.acquire_low_priority().await;
        assert!(start.elapsed() >= 7 * SECOND);
    }
}
