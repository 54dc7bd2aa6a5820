//! What one answer points at, how much of it each ending needs, and which verdict that is.
//!
//! This is the whole table of the verdict: an answer is assessed into indications; `Indication::needs`
//! says how many answers in a row, over how long, have to show each; `Indication::verdict` says how
//! the watch ends then.

use std::time::Duration;

use super::policy::Limits;
use super::problem::{Problem, ProblemClass};
use super::shown::Needs;
use super::verdict::Verdict;
use crate::core::wire::{LatestDeploy, Revision};

/// How long a refusal has to last before the API has ever answered: then nothing is known to work.
const FIRST_REFUSAL: Duration = Duration::from_secs(2);

/// What one answer points at. Several can hold at once.
#[derive(Debug, Clone, PartialEq)]
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
    /// The target is desired again, after several answers in a row had shown it replaced or deleted: which of
    /// them lag, one more does not say.
    Back,
    /// The answer goes back behind what was seen of the target.
    StepBack(StepBack),
    /// Nothing about the target has moved: how far it has come.
    Unmoved(Box<Progress>),
    /// 401 or 403; whether the API had never answered before.
    Unauthorized { first: bool },
    /// A redirect, another 4xx, an untrusted certificate; whether the API had never answered before.
    Refused { first: bool },
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
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    pub(super) reconciled: Option<String>,
    pub(super) own: Option<Revision>,
    /// What still drains, once the target is ready: the previous revision, and the sessions.
    pub(super) draining: Option<(Option<Revision>, Option<u64>)>,
}

/// Why a watch ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ending {
    pub(crate) verdict: Verdict,
    /// What answers have shown, and for how long; nothing where a deadline or a person ends it.
    pub(crate) shown: Option<(Indication, Duration)>,
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
                | Self::Unauthorized { .. }
                | Self::Refused { .. }
        )
    }

    /// Whether the target is not where it was, as far as this answer goes.
    pub(super) fn is_away(&self) -> bool {
        matches!(
            self,
            Self::Deleted
                | Self::Superseded {
                    proof: Proof::None,
                    ..
                }
        )
    }

    /// Whether it was seen and waits to be confirmed, so that other replicas should be asked.
    pub(super) fn is_unconfirmed(&self) -> bool {
        matches!(
            self,
            Self::Superseded {
                proof: Proof::None,
                ..
            } | Self::Deleted
                | Self::Back
                | Self::StepBack(_)
                | Self::Contradiction
                | Self::RevisionUnchanged { .. }
                | Self::Baseline(_)
                | Self::Target(_)
        )
    }

    /// Whether this is the same indication as another, so that they are in a row.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Problem(one), Self::Problem(two)) => {
                let same_error = one.class != ProblemClass::Reported || one.code == two.code;
                one.class == two.class && same_error
            }
            // Whichever deployment is in its place, each answer says that the target is not.
            (Self::Superseded { proof: one, .. }, Self::Superseded { proof: two, .. }) => {
                one == two
            }
            (one, two) => one == two,
        }
    }

    /// Whether the next answer, which shows the same, only says that there is a pause before another try: why,
    /// this one has said.
    pub(super) fn explains(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Problem(one), Self::Problem(next)) => one.asks_to_try_later() && next.is_pause(),
            _ => false,
        }
    }

    /// What this needs before it counts; nothing of what is only shown.
    pub(super) fn needs(&self, limits: &Limits) -> Option<Needs> {
        Some(match self {
            Self::Unauthorized { first: true } | Self::Refused { first: true } => Needs {
                over: FIRST_REFUSAL,
                ..Needs::CONFIRMED
            },
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
            | Self::Back
            | Self::StepBack(_)
            | Self::FewerRestarts
            | Self::Unauthorized { first: false }
            | Self::Refused { first: false } => Needs::CONFIRMED,
            Self::Superseded {
                proof: Proof::Newer,
                ..
            }
            | Self::PhaseFailed => Needs::ONE,
            Self::Ready => Needs::lasting(limits.stable_for),
            Self::Unmoved(_) => Needs::lasting(limits.stall_timeout?),
            Self::Problem(problem) => match problem.class {
                ProblemClass::Reported => Needs::TWICE,
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

    /// How the watch ends when this has what it needs; not at all where it only settles something.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        Some(match self {
            Self::Ready => Verdict::Ready,
            Self::Contradiction
            | Self::PhaseFailed
            | Self::RevisionUnchanged { .. }
            | Self::PushFailed(_)
            | Self::Problem(_) => Verdict::Failed,
            Self::Superseded { .. } => Verdict::Superseded,
            Self::Deleted => Verdict::NotFound,
            Self::Unmoved(_) => Verdict::Stalled,
            Self::Unauthorized { .. } => Verdict::Unauthorized,
            Self::Refused { .. } => Verdict::Unavailable,
            Self::Baseline(_)
            | Self::Target(_)
            | Self::NotInView
            | Self::Absent
            | Self::FewerRestarts
            | Self::Back
            | Self::StepBack(_) => return None,
        })
    }
}

impl From<Verdict> for Ending {
    /// A deadline or a person ends the watch.
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            shown: None,
        }
    }
}

impl Ending {
    /// The verdict; what fails, stalls or times out under an infrastructure issue is the platform's fault.
    pub(super) fn final_verdict(&self, infrastructure_issue: bool) -> Verdict {
        let is_users_own = matches!(
            self.shown,
            Some((
                Indication::RevisionUnchanged { .. } | Indication::PushFailed(_),
                _
            ))
        );
        match self.verdict {
            Verdict::Failed | Verdict::Stalled | Verdict::Timeout
                if infrastructure_issue && !is_users_own =>
            {
                Verdict::Infrastructure
            }
            verdict => verdict,
        }
    }
}
