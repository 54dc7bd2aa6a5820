//! What one answer points at, how much of it each ending needs, and which verdict that is.
//!
//! This is the whole table of the verdict: an answer is assessed into indications; `Policy::needs`
//! says how many answers in a row, over how long, have to show each; `Indication::ending` says how
//! the watch ends then.

use std::time::Duration;

use super::policy::Limits;
use super::problem::{Problem, ProblemClass};
use super::streak::Needs;
use super::verdict::{Interruption, Verdict};
use crate::core::rollout::Failure;
use crate::core::wire::{ContainerState, LatestDeploy, RevisionPhase};

/// What one answer points at. Several can hold at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Indication {
    /// Before a deploy: this deployment is desired, or none.
    Baseline(Option<String>),
    /// The target, of which nothing proves that it is new, is the desired deployment.
    Target(String),
    /// The agent does not exist, or does not desire the target (yet).
    NotInView,
    /// The agent does not exist (yet), so that the target is not in view.
    Absent,
    /// Desired = reconciled = target, and `ready` is true.
    Ready,
    /// `ready` beside the phase Failed.
    Contradiction,
    /// Ready on another deployment's revision, where a new one was asked for.
    RevisionUnchanged { running: String },
    /// The target's revision has the phase Failed.
    PhaseFailed,
    /// The target has been restarted less often than was seen: a replica was replaced.
    FewerRestarts,
    /// The target has a problem.
    Problem(Problem),
    /// The push that was to bring the target failed, or was cancelled, before there was a deployment.
    PushFailed(LatestDeploy),
    /// Another deployment is desired in the target's place.
    Superseded { by: String, proof: Proof },
    /// The agent, seen before, does not exist.
    Deleted,
    /// The answer goes back behind what was seen of the target.
    StepBack(StepBack),
    /// Nothing about the target has moved: how far it has come.
    Unmoved(Box<Progress>),
    /// 401 or 403.
    Unauthorized(Failure),
    /// A redirect, another 4xx, an untrusted certificate.
    Refused(Failure),
}

/// Whether its dates prove that a deployment was made later than the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Newer,
    None,
}

/// How an answer goes back behind what was seen of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepBack {
    /// It is said not to be reconciled, although it was.
    Reconciled,
    /// Its revision is said to be in an earlier phase, or gone.
    Phase,
}

/// How far the target has come: ids, phase, counts, state and reason; never texts or times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(super) reconciled: Option<String>,
    pub(super) own: Option<Shape>,
    /// What still drains, once the target is ready: the previous revision, and the sessions.
    pub(super) draining: Option<(Option<Shape>, Option<u64>)>,
}

/// What of a revision can move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(super) deployment_id: Option<String>,
    pub(super) phase: Option<RevisionPhase>,
    pub(super) counts: [Option<u64>; 3],
    pub(super) state: Option<ContainerState>,
    pub(super) reason: Option<String>,
}

/// Why a watch ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Proven: desired, reconciled and ready, for as long as was asked.
    Ready,
    /// The API refused the key.
    Unauthorized,
    /// Nothing but the API's 404 for as long as the agent may take to appear.
    NotFound,
    /// 404, confirmed, after the agent had been seen.
    Deleted,
    /// No usable answer for too long, or a confirmed one that no retry changes.
    Unavailable,
    /// The target's revision has failed.
    PhaseFailed,
    /// A problem has what it needs.
    Problem(Problem, Duration),
    /// Ready on another deployment's revision, where a new one was asked for.
    RevisionUnchanged { running: String },
    /// The push that was to bring the target failed, or was cancelled.
    PushFailed(LatestDeploy),
    /// Nothing about the target has moved for this long.
    Stalled(Duration),
    /// Another deployment took the target's place.
    Superseded { by: String },
    /// The target was not the desired deployment in time.
    Unchanged,
    /// The deploy command failed with this code, and no new deployment came.
    CommandFailed(u8),
    /// The deadline passed with the target in view.
    Timeout,
    /// The user ended it.
    Interrupted(Interruption),
}

impl Indication {
    /// Whether it says something of one target, and nothing of the next.
    pub(super) fn is_about_target(&self) -> bool {
        !matches!(
            self,
            Self::Baseline(_)
                | Self::NotInView
                | Self::Absent
                | Self::PushFailed(_)
                | Self::Deleted
                | Self::Unauthorized(_)
                | Self::Refused(_)
        )
    }

    /// Whether this is the same indication as another, so that they are in a row.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Problem(one), Self::Problem(two)) => one.class == two.class,
            (Self::Unauthorized(_), Self::Unauthorized(_))
            | (Self::Refused(_), Self::Refused(_)) => true,
            (one, two) => one == two,
        }
    }

    /// What this needs before it counts; nothing of what is only shown.
    pub(super) fn needs(&self, limits: &Limits) -> Option<Needs> {
        Some(match self {
            Self::Baseline(_)
            | Self::Target(_)
            | Self::NotInView
            | Self::Absent
            | Self::Contradiction
            | Self::RevisionUnchanged { .. }
            | Self::Superseded {
                proof: Proof::None, ..
            }
            | Self::PushFailed(_)
            | Self::Deleted
            | Self::StepBack(_)
            | Self::FewerRestarts
            | Self::Unauthorized(_)
            | Self::Refused(_) => Needs::CONFIRMED,
            Self::Superseded {
                proof: Proof::Newer,
                ..
            }
            | Self::PhaseFailed => Needs::ONE,
            Self::Ready => Needs::lasting(limits.stable_for),
            Self::Unmoved(_) => Needs::lasting(limits.stall_timeout?),
            Self::Problem(problem) => match problem.class {
                ProblemClass::Reported => Needs {
                    answers: 2,
                    over: Duration::ZERO,
                },
                ProblemClass::Unrecoverable => Needs::CONFIRMED,
                // The restarts have been counted already.
                ProblemClass::Crashing => Needs::ONE,
                ProblemClass::NotPulling if problem.asks_to_try_later() => {
                    Needs::lasting(limits.pull_grace.saturating_mul(3))
                }
                ProblemClass::NotPulling
                | ProblemClass::Degraded
                | ProblemClass::ReportedBefore => Needs::lasting(limits.pull_grace),
                ProblemClass::Unknown => return None,
            },
        })
    }

    /// How the watch ends when this has what it needs, having `lasted` so long.
    pub(super) fn ending(&self, lasted: Duration) -> Option<Ending> {
        Some(match self {
            // These settle something, and end nothing.
            Self::Baseline(_)
            | Self::Target(_)
            | Self::NotInView
            | Self::FewerRestarts
            | Self::Absent
            | Self::StepBack(_) => return None,
            Self::Ready => Ending::Ready,
            Self::Contradiction | Self::PhaseFailed => Ending::PhaseFailed,
            Self::RevisionUnchanged { running } => Ending::RevisionUnchanged {
                running: running.clone(),
            },
            Self::Problem(problem) => Ending::Problem(problem.clone(), lasted),
            Self::Superseded { by, .. } => Ending::Superseded { by: by.clone() },
            Self::PushFailed(push) => Ending::PushFailed(push.clone()),
            Self::Deleted => Ending::Deleted,
            Self::Unmoved(_) => Ending::Stalled(lasted),
            Self::Unauthorized(_) => Ending::Unauthorized,
            Self::Refused(_) => Ending::Unavailable,
        })
    }
}

impl Ending {
    /// The verdict; what fails, stalls or times out under an infrastructure issue is the platform's fault.
    pub(super) fn verdict(&self, infrastructure_issue: bool) -> Verdict {
        let blame = |verdict| {
            if infrastructure_issue {
                Verdict::Infrastructure
            } else {
                verdict
            }
        };
        match self {
            Ending::Ready => Verdict::Ready,
            Ending::Unauthorized => Verdict::Unauthorized,
            Ending::NotFound | Ending::Deleted => Verdict::NotFound,
            Ending::Unavailable => Verdict::Unavailable,
            Ending::PhaseFailed | Ending::Problem(..) => blame(Verdict::Failed),
            Ending::RevisionUnchanged { .. } | Ending::PushFailed(_) => Verdict::Failed,
            Ending::Stalled(_) => blame(Verdict::Stalled),
            Ending::Superseded { .. } => Verdict::Superseded,
            Ending::Unchanged => Verdict::Unchanged,
            Ending::CommandFailed(code) => Verdict::CommandFailed(*code),
            Ending::Timeout => blame(Verdict::Timeout),
            Ending::Interrupted(interruption) => Verdict::Interrupted(*interruption),
        }
    }
}
