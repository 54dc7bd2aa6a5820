//! What happens in a rollout: the one enum that feeds every output.

use std::time::Duration;

use serde::Serialize;

use super::evidence::TroubleClass;
use super::phase::Phase;
use super::report::{Reason, whole_millis};
use super::verdict::Verdict;

/// Something that happened in the rollout of one agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// The baseline of a deploy is known.
    BaselineNoted {
        /// The deployment that is desired before the deploy; none where it is the first.
        deployment_id: Option<String>,
    },
    /// The target is not in view yet.
    TargetAwaited {
        /// The deployment that is desired meanwhile; none where there is no agent or none is.
        desired: Option<String>,
    },
    /// The target became the desired deployment.
    TargetFound {
        /// The deployment that the verdict is about.
        deployment_id: String,
    },
    /// The rollout moved on (or, confirmed, back).
    PhaseChanged {
        /// The phase it is in now.
        phase: Phase,
        /// The phase it left.
        previous: Phase,
        /// How long it was in that one.
        #[serde(rename = "previousMs", serialize_with = "millis")]
        lasted: Duration,
    },
    /// The number of the target's replicas changed.
    ReplicasChanged {
        /// Replicas that are ready.
        ready_replicas: u64,
        /// Replicas that were started.
        replicas_started: u64,
    },
    /// The target's code was restarted.
    Restarted {
        /// Restarts in all, over all replicas.
        restart_count: u64,
        /// Exit code of the latest crash.
        last_exit_code: Option<i64>,
        /// Why the code exited, in the platform's word.
        last_termination_reason: Option<String>,
    },
    /// Something is wrong with the target; whether it decides is told by the class.
    TroubleSeen {
        /// How it is weighed.
        class: TroubleClass,
        /// The platform's reason.
        code: String,
        /// The platform's or the code's own words, whole.
        message: Option<String>,
    },
    /// What was wrong is so no more.
    TroubleGone {
        /// The platform's reason.
        code: String,
    },
    /// The platform says that it has a problem of its own.
    InfrastructureIssue,
    /// The platform's own problem is over.
    InfrastructureRecovered,
    /// An answer went back behind what was seen, or contradicts itself: it waits to be confirmed.
    AnswerSetAside {
        /// What it claims.
        claim: String,
        /// How often in a row it was claimed.
        times: u32,
        /// How often it must be before it counts.
        needed: u32,
    },
    /// A poll brought no usable answer.
    PollFailed {
        /// One word for machines.
        code: String,
        /// One line for people.
        summary: String,
        /// Failed polls in a row.
        in_a_row: u64,
    },
    /// The API answers again.
    PollRecovered {
        /// Failed polls in a row before this answer.
        failed: u64,
        /// How long there was no usable answer.
        #[serde(rename = "afterMs", serialize_with = "millis")]
        after: Duration,
    },
    /// The target is ready, and has to hold it for a while.
    Holding {
        /// How long it has to.
        #[serde(rename = "stableForMs", serialize_with = "millis")]
        stable_for: Duration,
    },
    /// The target was ready and is so no more.
    ReadyLost {
        /// How long it was ready.
        #[serde(rename = "afterMs", serialize_with = "millis")]
        after: Duration,
    },
    /// The target is ready, but on another deployment's revision: the old code may go on serving.
    RevisionUnchanged {
        /// The deployment whose revision runs.
        running: String,
    },
    /// Nothing new: the watch is alive.
    Heartbeat {
        /// The present phase.
        phase: Phase,
        /// How long it has lasted.
        #[serde(rename = "phaseMs", serialize_with = "millis")]
        in_phase: Duration,
        /// Replicas of the target's that are ready.
        ready_replicas: Option<u64>,
        /// Restarts of the target's, over all replicas.
        restart_count: Option<u64>,
        /// Polls so far.
        polls: u64,
        /// Failed polls in a row, at present.
        failing: u64,
    },
    /// The verdict.
    Finished {
        /// How it ended.
        verdict: Verdict,
        /// Why; none when ready.
        reason: Option<Reason>,
        /// How long it took.
        #[serde(rename = "elapsedMs", serialize_with = "millis")]
        elapsed: Duration,
    },
}

pub(super) fn millis<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(whole_millis(*duration))
}
