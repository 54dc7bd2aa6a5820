//! How long to wait between two polls while answers come.
//!
//! `FAR` while the end cannot be near: until the target is reconciled, and for the first wait
//! where no phase is shown. `NEAR` from then on, and right after something new was seen.
//!
//! What holds, for any rollout of up to ten minutes:
//! - The end is seen at most one wait late, and half a wait at the median: below 0.5 s where the poll
//!   before it saw the target reconciled, below 1 s where it did not. A request adds its own time.
//! - The waits shrink as a rollout moves on. A fixed interval that makes as many requests is as long
//!   as the mean of our waits, and the last wait, which decides how late the end is seen, is among
//!   the shortest. So no fixed interval is faster at the same number of requests. Where waits grow
//!   with the age of a rollout or of a phase, the last wait is the longest, and a fixed interval is
//!   faster.
//! - Where nothing distinguishes the end from the beginning (no phases, or an end before reconciliation),
//!   all waits but the first are alike and a fixed interval does as well. No pace can do better.
//! - An indication that a second answer has to confirm gets it after `NEAR`, also before
//!   reconciliation.
//!
//! The price is about one request a second, until nothing has changed for ten minutes.
//! `cargo bench --bench delay` prints the figures, beside those of other paces.

use std::time::Duration;

use super::phase::Phase;

/// The wait while the end may come at any time. With requests that take 0.1 s, the median delay is
/// still below 0.5 s.
const NEAR: Duration = Duration::from_millis(900);
/// The wait while the end cannot be near. Longer ones would pass over what follows reconciliation in
/// a quick rollout, and see its end late.
const FAR: Duration = Duration::from_millis(1800);
/// The wait once nothing has changed for [`IDLE_AFTER`]. The longest wait there is.
const IDLE: Duration = Duration::from_secs(5);
/// How long nothing may change until polls become rare. Even long rollouts are over by then.
const IDLE_AFTER: Duration = Duration::from_mins(10);
/// Only the first poll is planned this early in a watch.
const START: Duration = Duration::from_secs(1);
/// Only the poll right after the one that showed something new is planned this early in a phase:
/// about half a wait.
const FRESH: Duration = Duration::from_millis(500);
/// The share by which a wait may be shortened, so that many watchers do not fall in step.
const JITTER: f64 = 0.1;

/// What is known when the next poll is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Where the rollout is.
    pub phase: Phase,
    /// The time since the phase, a problem or an unconfirmed indication began.
    pub phase_age: Duration,
    /// The time since the watch began.
    pub elapsed: Duration,
}

/// How polls are paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// By what is known, jittered.
    Adaptive,
    /// Always this long.
    Fixed(Duration),
}

impl Pace {
    /// How long to wait until the next poll: 0.81 to 5 s, unless fixed.
    ///
    /// `random` decides the jitter, from 0 (none) to 1 (a tenth shorter). What is no such number
    /// counts as 0.
    #[must_use]
    pub fn wait(self, moment: Moment, random: f64) -> Duration {
        match self {
            Pace::Fixed(interval) => interval,
            Pace::Adaptive => {
                let random = if (0.0..=1.0).contains(&random) {
                    random
                } else {
                    0.0
                };
                longest_wait(moment).mul_f64(1.0 - JITTER * random)
            }
        }
    }
}

/// The wait before it is jittered.
fn longest_wait(moment: Moment) -> Duration {
    let first = moment.elapsed < START;
    let fresh = moment.phase_age < FRESH;
    match moment.phase {
        _ if moment.phase_age >= IDLE_AFTER => IDLE,
        Phase::Waiting | Phase::Building | Phase::Reconciling if first || !fresh => FAR,
        Phase::Progressing if first => FAR,
        _ => NEAR,
    }
}

#[cfg(test)]
mod tests;
