//! What the user asked for: the target and the limits, checked once so that none contradict.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use strum::{EnumString, VariantNames};

use crate::core::text::exact_duration;

/// Which deployment the verdict is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetRule {
    /// This one, also while reads lag and still show another.
    Deployment(String),
    /// The first desired deployment that is not from before the deploy.
    NewerThan(Baseline),
    /// What a deploy command makes that is started once the baseline has been read. The time limit
    /// counts from when the target shows.
    Deploy,
    /// The deployment of this commit, in lower case, of an agent that deploys on a push.
    Commit(String),
    /// The same if the agent deploys on a push, else [`TargetRule::FirstSeen`]: the first usable answer
    /// says which.
    Pushed(String),
    /// The deployment that the first usable answer shows as desired.
    FirstSeen,
}

/// The deployment that was desired before a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// Its id; none where there was no agent, or nothing was deployed.
    pub deployment_id: Option<String>,
    /// When it was created, by the server's clock, if that is known.
    pub created_at: Option<Timestamp>,
    /// When it was noted, by the server's clock, if that is known: what was created before is not new.
    pub noted_at: Option<Timestamp>,
}

/// What counts as complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Until {
    /// The target is ready.
    Ready,
    /// The target is ready, with as many replicas as the agent keeps at least.
    Warm,
    /// The target is ready and no previous revision is left.
    Drained,
}

/// What to make of it when no new deployment appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Unchanged {
    /// It ends the watch: the deploy did nothing.
    Fail,
    /// The baseline, which is still desired, is judged instead.
    Accept,
}

/// What to make of a deployment that is ready but runs on another deployment's revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewRevision {
    /// It is ready, with a warning that the old code may go on serving.
    Optional,
    /// It is a failure.
    Required,
}

/// The limits of a watch. All times are counted from its beginning unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// After this the watch ends, whatever is known. More than zero.
    pub timeout: Duration,
    /// End when nothing about the target has moved for this long.
    pub stall_timeout: Option<Duration>,
    /// How long the agent or the target may take to appear.
    pub appear_timeout: Duration,
    /// End when every poll has failed for this long. More than zero.
    pub outage_timeout: Duration,
    /// How long the target must stay ready. Less than `timeout`.
    pub stable_for: Duration,
    /// Restarts per started replica at which crashing is a failure.
    pub max_restarts: NonZeroU32,
    /// How long an image may fail to be pulled, or a container to be made, without a break.
    pub pull_grace: Duration,
    /// What counts as complete.
    pub until: Until,
    /// Whether the target must have a revision of its own.
    pub new_revision: NewRevision,
    /// What to make of it when no new deployment appears.
    pub unchanged: Unchanged,
}

impl Default for Limits {
    /// The contract's defaults.
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(10),
            stall_timeout: None,
            appear_timeout: Duration::from_secs(30),
            outage_timeout: Duration::from_mins(2),
            stable_for: Duration::ZERO,
            max_restarts: NonZeroU32::MIN.saturating_add(2),
            pull_grace: Duration::from_secs(20),
            until: Until::Ready,
            new_revision: NewRevision::Optional,
            unchanged: Unchanged::Fail,
        }
    }
}

/// Why limits make no sense together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// A watch of no length.
    #[error("--timeout must be longer than zero; for a single check use `status`")]
    NoTime,
    /// An outage that is over before it began.
    #[error("--outage-timeout must be longer than zero")]
    NoOutage,
    /// The target could never be ready for long enough.
    #[error(
        "--stable-for ({}) must be shorter than --timeout ({}), or the target can never be ready that long",
        exact_duration(*stable_for),
        exact_duration(*timeout)
    )]
    NeverStable {
        /// `--stable-for`.
        stable_for: Duration,
        /// `--timeout`.
        timeout: Duration,
    },
}

/// A target and limits that make sense together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    target: TargetRule,
    limits: Limits,
}

impl Policy {
    /// Checks the limits.
    ///
    /// # Errors
    /// When no watch could ever end as they ask.
    pub fn new(target: TargetRule, limits: Limits) -> Result<Self, InvalidPolicy> {
        if limits.timeout.is_zero() {
            return Err(InvalidPolicy::NoTime);
        }
        if limits.outage_timeout.is_zero() {
            return Err(InvalidPolicy::NoOutage);
        }
        if limits.stable_for >= limits.timeout {
            return Err(InvalidPolicy::NeverStable {
                stable_for: limits.stable_for,
                timeout: limits.timeout,
            });
        }
        Ok(Self { target, limits })
    }

    /// A single check: the deadline is now, so the first observation brings the verdict, and
    /// nothing has to last.
    #[must_use]
    pub fn single_check(target: TargetRule, mut limits: Limits) -> Self {
        limits.timeout = Duration::ZERO;
        limits.stable_for = Duration::ZERO;
        Self { target, limits }
    }

    /// Which deployment the verdict is about.
    #[must_use]
    pub fn target(&self) -> &TargetRule {
        &self.target
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn into_parts(self) -> (TargetRule, Limits) {
        (self.target, self.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(change: impl FnOnce(&mut Limits)) -> Result<Policy, InvalidPolicy> {
        let mut limits = Limits::default();
        change(&mut limits);
        Policy::new(TargetRule::FirstSeen, limits)
    }

    #[test]
    fn limits_that_make_no_sense_cannot_be_constructed() {
        assert!(policy(|_| ()).is_ok());
        assert_eq!(
            policy(|l| l.timeout = Duration::ZERO),
            Err(InvalidPolicy::NoTime)
        );
        assert_eq!(
            policy(|l| l.outage_timeout = Duration::ZERO),
            Err(InvalidPolicy::NoOutage)
        );
        let never = policy(|l| l.stable_for = l.timeout).unwrap_err();
        assert_eq!(
            never.to_string(),
            "--stable-for (10m) must be shorter than --timeout (10m), or the target can never be ready that long"
        );
    }
}
