//! The limit on requests a second that all agents share.

mod budget;

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::budget::Budget;
use super::connection::Priority;

/// Gives out permits for requests, no more than so many in any second.
///
/// Requests of one priority wait in a line, and only the first of each line has a place in the budget: so the
/// lines take turns, and none waits for the end of another.
#[derive(Debug)]
pub(super) struct RateLimiter {
    started: Instant,
    budget: Mutex<Budget>,
    lines: [tokio::sync::Mutex<()>; 3],
}

impl RateLimiter {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self {
            started: Instant::now(),
            budget: Mutex::new(Budget::new(per_second)),
            lines: Default::default(),
        }
    }

    /// Waits for a permit, and returns how long that took. A free one comes at once: a timer would
    /// round up.
    pub(super) async fn acquire(&self, priority: Priority) -> Duration {
        let came = self.started.elapsed();
        let _first = self.lines[priority as usize].lock().await;
        let ready = self.started.elapsed();
        let reserved = lock(&self.budget).reserve(ready);
        if reserved > ready {
            sleep_until(self.started + reserved).await;
        }
        reserved.saturating_sub(came)
    }

    /// Slows everybody down: the server asked for patience, perhaps for this long.
    pub(super) fn slow_down(&self, asked: Option<Duration>) {
        lock(&self.budget).slow_down(self.started.elapsed(), asked);
    }
}

fn lock(budget: &Mutex<Budget>) -> std::sync::MutexGuard<'_, Budget> {
    budget.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::task::JoinSet;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter(per_second: u32) -> RateLimiter {
        RateLimiter::new(NonZeroU32::new(per_second).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_permit_comes_at_once() {
        let limiter = limiter(10);
        tokio::select! {
            biased;
            waited = limiter.acquire(Priority::Normal) => assert_eq!(waited, Duration::ZERO),
            () = std::future::ready(()) => panic!("it waits"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gives_no_more_permits_than_it_may() {
        let limiter = limiter(10);
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..30 {
            limiter.acquire(Priority::Normal).await;
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

    /// When each of so many requests went that came at once.
    async fn times(limiter: &Arc<RateLimiter>, priority: Priority, count: usize) -> Vec<Duration> {
        let mut requests = JoinSet::new();
        for _ in 0..count {
            let limiter = Arc::clone(limiter);
            requests.spawn(async move {
                limiter.acquire(priority).await;
                limiter.started.elapsed()
            });
        }
        requests.join_all().await
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_of_one_priority_do_not_hold_up_another() {
        let limiter = Arc::new(limiter(10));
        let (normal, low, list) = tokio::join!(
            times(&limiter, Priority::Normal, 300),
            times(&limiter, Priority::Low, 20),
            times(&limiter, Priority::List, 1),
        );
        // The first ten go at once.
        assert!(list[0] < SECOND * 3 / 2, "{list:?}");
        assert!(low[19] < 6 * SECOND, "half of 10 a second: {low:?}");
        assert!(normal[299] < 34 * SECOND, "what is left over: {normal:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_down_delays_everybody() {
        let limiter = limiter(10);
        let start = Instant::now();
        limiter.slow_down(Some(7 * SECOND));
        limiter.acquire(Priority::Normal).await;
        assert!(start.elapsed() >= 7 * SECOND);
        limiter.acquire(Priority::Low).await;
        assert!(start.elapsed() >= 7 * SECOND);
    }
}
