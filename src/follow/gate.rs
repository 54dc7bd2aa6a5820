//! One limit on the requests of all watches.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Instant, sleep_until};

use crate::rollout::pacing::Throttle;

/// A gate that all requests pass through, no more than so many a second.
#[derive(Debug)]
pub(crate) struct Gate {
    opened: Instant,
    throttle: Mutex<Throttle>,
}

impl Gate {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self {
            opened: Instant::now(),
            throttle: Mutex::new(Throttle::new(per_second)),
        }
    }

    /// Waits for a place.
    pub(crate) async fn pass(&self) {
        let admitted = {
            let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
            throttle.admit(self.opened.elapsed())
        };
        sleep_until(self.opened + admitted).await;
    }
}
