//! One limit on the requests of all watches.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::throttle::Throttle;

/// A gate that all requests pass through, no more than so many a second.
#[derive(Debug)]
pub(crate) struct Gate {
    opened: Instant,
    throttle: Mutex<Throttle>,
    /// What is not urgent gets half the budget at most.
    idle: Mutex<Throttle>,
}

impl Gate {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let half = NonZeroU32::new(per_second.get() / 2).unwrap_or(NonZeroU32::MIN);
        Self {
            opened: Instant::now(),
            throttle: Mutex::new(Throttle::new(per_second)),
            idle: Mutex::new(Throttle::new(half)),
        }
    }

    /// Waits for a place; tells how long. Where one is free it is there at once: a timer would round
    /// up, and a last look at the deadline would come too late.
    pub(crate) async fn pass(&self) -> Duration {
        let ready = self.opened.elapsed();
        let admitted = lock(&self.throttle).admit(ready);
        if admitted > ready {
            sleep_until(self.opened + admitted).await;
        }
        admitted.saturating_sub(ready)
    }

    /// Waits for a place that nobody urgent wants.
    pub(crate) async fn pass_idle(&self) {
        let ready = self.opened.elapsed();
        let admitted = lock(&self.idle).admit(ready);
        sleep_until(self.opened + admitted).await;
        loop {
            let backlog = {
                let mut throttle = lock(&self.throttle);
                let backlog = throttle.backlog(self.opened.elapsed());
                if backlog.is_zero() {
                    let _ = throttle.admit(self.opened.elapsed());
                }
                backlog
            };
            if backlog.is_zero() {
                return;
            }
            sleep(backlog).await;
        }
    }

    /// The server asks for patience: everybody slows down.
    pub(crate) fn slow_down(&self, asked: Option<Duration>) {
        lock(&self.throttle).slow_down(self.opened.elapsed(), asked);
    }
}

fn lock(throttle: &Mutex<Throttle>) -> MutexGuard<'_, Throttle> {
    throttle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn gate(per_second: u32) -> Gate {
        Gate::new(NonZeroU32::new(per_second).unwrap())
    }

    #[tokio::test]
    async fn a_place_that_is_free_is_there_at_once() {
        let gate = gate(10);
        tokio::select! {
            biased;
            waited = gate.pass() => assert_eq!(waited, Duration::ZERO),
            () = std::future::ready(()) => panic!("it waits"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_lets_no_more_pass_than_it_may() {
        let gate = gate(10);
        let start = Instant::now();
        let mut passed = Vec::new();
        for _ in 0..30 {
            gate.pass().await;
            passed.push(start.elapsed());
        }
        assert!(passed[9] < SECOND / 100, "{passed:?}");
        assert!(passed[29] >= 2 * SECOND, "{passed:?}");
        assert!(passed[29] < 3 * SECOND, "{passed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_idle_gets_half_the_budget_and_waits_for_what_is_urgent() {
        let gate = gate(10);
        let start = Instant::now();
        for _ in 0..25 {
            gate.pass_idle().await;
        }
        assert!(start.elapsed() >= 3 * SECOND, "{:?}", start.elapsed());
        for _ in 0..30 {
            let _ = gate.pass().await;
        }
        // The burst that the urgent ones took is paid back before anything idle goes.
        let urgent = start.elapsed();
        gate.pass_idle().await;
        assert!(
            start.elapsed() >= urgent + SECOND * 9 / 10,
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn patience_holds_up_everybody() {
        let gate = gate(10);
        let start = Instant::now();
        gate.slow_down(Some(7 * SECOND));
        gate.pass().await;
        assert!(start.elapsed() >= 7 * SECOND);
        gate.pass_idle().await;
        assert!(start.elapsed() >= 7 * SECOND);
    }
}
