//! The limit on requests a second that all agents share.

mod budget;

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use self::budget::Budget;
use super::connection::Priority;

/// Of normal priority so many requests at most go between two of low priority that wait.
const BETWEEN: u32 = 4;

/// Gives out permits for requests, no more than so many in any second.
///
/// Requests of one priority wait in a line, and only the first of each line has a place in the budget: so none
/// waits for the end of another line.
#[derive(Debug)]
pub(super) struct RateLimiter {
    started: Instant,
    budget: Mutex<Budget>,
    list: tokio::sync::Mutex<()>,
    normal: tokio::sync::Mutex<()>,
    /// When the first of low priority goes at the latest.
    low: tokio::sync::Mutex<Instant>,
    /// How long that is put off by each of them.
    low_every: Duration,
}

impl RateLimiter {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let started = Instant::now();
        Self {
            started,
            budget: Mutex::new(Budget::new(per_second)),
            list: tokio::sync::Mutex::default(),
            normal: tokio::sync::Mutex::default(),
            low: tokio::sync::Mutex::new(started),
            low_every: Duration::from_secs(1) * BETWEEN / per_second.get(),
        }
    }

    /// Waits for a permit, and returns how long that took.
    pub(super) async fn acquire(&self, priority: Priority) -> Duration {
        let came = Instant::now();
        match priority {
            Priority::List => {
                let _first = self.list.lock().await;
                self.take().await;
            }
            Priority::Normal => {
                let _first = self.normal.lock().await;
                self.take().await;
            }
            Priority::Low => {
                let mut at_the_latest = self.low.lock().await;
                // It waits among those of normal priority, as long as it has to.
                let _first = timeout_at(*at_the_latest, self.normal.lock()).await;
                self.take().await;
                *at_the_latest = Instant::now() + self.low_every;
            }
        }
        came.elapsed()
    }

    /// Takes the next place in the budget. A free one comes at once: a timer would round up.
    async fn take(&self) {
        let ready = self.started.elapsed();
        let reserved = lock(&self.budget).reserve(ready);
        if reserved > ready {
            sleep_until(self.started + reserved).await;
        }
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
        assert!(low[19] < 13 * SECOND, "a fifth of 10 a second: {low:?}");
        assert!(normal[99] < 15 * SECOND, "what they leave: {normal:?}");
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
