//! What happens in a rollout: the one enum that feeds every output.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::phase::Phase;
use super::problem::ProblemClass;
use super::report::{Reason, as_millis};
use super::verdict::Verdict;

/// Something that happened in the rollout of one agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// The baseline of a deploy is known.
    BaselineNoted {
        /// The deployment that is desired before the deploy; none where it is the first.
        #[serde(skip_serializing_if = "Option::is_none")]
        deployment_id: Option<String>,
        /// When that was created.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, schemars(with = "Option<crate::core::tests::schema::Time>"))]
        created_at: Option<Timestamp>,
    },
    /// The target is not the desired deployment yet.
    WaitingForTarget {
        /// The deployment that is desired meanwhile; none where there is no agent or none is.
        #[serde(skip_serializing_if = "Option::is_none")]
        desired: Option<String>,
    },
    /// The target became the desired deployment.
    TargetFound {
        /// The deployment that the verdict is about.
        deployment_id: String,
        /// When it was created.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, schemars(with = "Option<crate::core::tests::schema::Time>"))]
        created_at: Option<Timestamp>,
    },
    /// The rollout moved on (or, confirmed, back).
    PhaseChanged {
        /// The phase it is in now.
        phase: Phase,
        /// The phase it left.
        previous: Phase,
        /// How long it was in that one.
        #[serde(rename = "previousMs", with = "as_millis")]
        #[cfg_attr(test, schemars(with = "u64"))]
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
        #[serde(skip_serializing_if = "Option::is_none")]
        last_exit_code: Option<i64>,
        /// Why the code exited, in the platform's word.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_termination_reason: Option<String>,
    },
    /// Something is wrong with the target; its class says how it is weighed.
    ProblemDetected {
        /// How it is weighed.
        class: ProblemClass,
        /// The platform's reason.
        code: String,
        /// The platform's or the code's own text, whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<String>,
    },
    /// What was wrong no longer is.
    ProblemResolved {
        /// The platform's reason.
        code: String,
    },
    /// The platform says that it has a problem of its own.
    InfrastructureIssue,
    /// The platform's own problem is over.
    InfrastructureRecovered,
    /// An answer goes back behind what was seen, contradicts itself or refuses: it waits to be confirmed.
    Unconfirmed {
        /// What it says.
        claim: String,
    },
    /// Answers are ignored, because their own dates prove that they are older than what was seen.
    StaleAnswer,
    /// Polls bring no usable answer, and why: the first time, or where that lasts.
    PollFailed {
        /// One word for machines.
        code: String,
        /// One line for people.
        summary: String,
    },
    /// The API answers again.
    PollRecovered {
        /// Failed polls in a row before this answer.
        failed: u64,
        /// How long there was no usable answer.
        #[serde(rename = "afterMs", with = "as_millis")]
        #[cfg_attr(test, schemars(with = "u64"))]
        after: Duration,
    },
    /// The target is ready, and has to stay so for a while.
    Holding {
        /// How long it has to.
        #[serde(rename = "stableForMs", with = "as_millis")]
        #[cfg_attr(test, schemars(with = "u64"))]
        stable_for: Duration,
    },
    /// The target was ready, and no longer is, or was restarted.
    ReadyLost {
        /// How long it was ready.
        #[serde(rename = "afterMs", with = "as_millis")]
        #[cfg_attr(test, schemars(with = "u64"))]
        after: Duration,
    },
    /// The target is ready, but on another deployment's revision: the old code may go on serving.
    RevisionUnchanged {
        /// The deployment whose revision runs.
        running: String,
    },
    /// The target is ready, and the deploy command of `run` still runs.
    WaitingForCommand,
    /// The deploy command of `run` has ended.
    CommandEnded {
        /// Its exit code, or 128 plus the number of the signal that ended it.
        exit_code: u8,
        /// How long it ran.
        #[serde(rename = "commandMs", with = "as_millis")]
        #[cfg_attr(test, schemars(with = "u64"))]
        lasted: Duration,
    },
    /// Nothing new: the watch is alive.
    Heartbeat {
        /// The present phase.
        phase: Phase,
        /// How long it has lasted.
        #[serde(rename = "phaseMs", with = "as_millis")]
        #[cfg_attr(test, schemars(with = "u64"))]
        in_phase: Duration,
        /// Replicas of the target's that are ready.
        #[serde(skip_serializing_if = "Option::is_none")]
        ready_replicas: Option<u64>,
        /// Restarts of the target's, over all replicas.
        #[serde(skip_serializing_if = "Option::is_none")]
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
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        /// How long it took.
        #[serde(rename = "elapsedMs", with = "as_millis")]
        #[cfg_attr(test, schemars(with = "u64"))]
        elapsed: Duration,
    },
}
