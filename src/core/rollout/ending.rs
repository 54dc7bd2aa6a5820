//! Why a watch ends, and with which verdict.

use std::time::Duration;

use super::evidence::Cause;
use super::observation::Failure;
use super::verdict::{Interruption, Verdict};

/// An unbroken run of failed polls.
#[derive(Debug, Clone)]
pub(super) struct Silence {
    /// When the first of them failed.
    pub(super) since: Duration,
    /// How many there were.
    pub(super) failed: u64,
    /// The latest.
    pub(super) last: Failure,
}

impl Silence {
    pub(super) fn new(since: Duration, failure: Failure) -> Self {
        Self {
            since,
            failed: 1,
            last: failure,
        }
    }

    pub(super) fn again(self, failure: Failure) -> Self {
        Self {
            failed: self.failed + 1,
            last: failure,
            ..self
        }
    }
}

/// Why a watch ends.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// Proven: desired, reconciled and ready, for as long as was asked.
    Ready,
    /// 401 or 403, confirmed or at the deadline.
    Unauthorized,
    /// Nothing but 404 for as long as the agent may take to appear.
    NeverThere,
    /// 404, confirmed, after the agent had been seen.
    Deleted,
    /// No usable answer for too long, or one that no retry mends.
    Unavailable,
    /// Which deployment is desired was all that was asked, and no three answers in a row agreed.
    Unsettled,
    /// The target's revision has the phase Failed.
    PhaseFailed,
    /// The evidence is enough.
    Trouble(Cause),
    /// Ready on another deployment's revision, where a new one was asked for.
    NotNew { running: String },
    /// Nothing about the target has moved.
    Stalled,
    /// Another deployment took the target's place.
    Superseded { by: String },
    /// The target was not the desired deployment in time.
    NeverDesired,
    /// The deadline passed with the target in view.
    Timeout,
    /// The user ended it.
    Interrupted(Interruption),
}

impl Ending {
    /// The verdict; what fails or times out under an infrastructure issue is the platform's fault.
    pub(super) fn verdict(&self, under_infrastructure_issue: bool) -> Verdict {
        let blame = |verdict| {
            if under_infrastructure_issue {
                Verdict::Infrastructure
            } else {
                verdict
            }
        };
        match self {
            Ending::Ready => Verdict::Ready,
            Ending::Unauthorized => Verdict::Unauthorized,
            Ending::NeverThere | Ending::Deleted => Verdict::NotFound,
            Ending::Unavailable | Ending::Unsettled => Verdict::Unavailable,
            Ending::PhaseFailed | Ending::Trouble(_) => blame(Verdict::Failed),
            Ending::NotNew { .. } => Verdict::Failed,
            Ending::Stalled => blame(Verdict::Stalled),
            Ending::Superseded { .. } => Verdict::Superseded,
            Ending::NeverDesired => Verdict::Unchanged,
            Ending::Timeout => blame(Verdict::Timeout),
            Ending::Interrupted(interruption) => Verdict::Interrupted(*interruption),
        }
    }
}
