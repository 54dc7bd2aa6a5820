//! How a watch ended, in full: what the report and the outputs show.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::phase::Phase;
use super::verdict::{Verdict, worst};
use crate::core::wire::Revision;

/// Why a watch ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reason {
    /// One word for machines: the platform's own where there is one.
    pub code: String,
    /// One line for people.
    pub summary: String,
    /// The platform's or the code's own words, whole; a traceback for example.
    pub message: Option<String>,
}

impl Reason {
    /// A reason without further words.
    pub(crate) fn new(code: &str, summary: String) -> Self {
        Self {
            code: code.to_owned(),
            summary,
            message: None,
        }
    }
}

/// When a phase began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PhaseEntry {
    /// The phase.
    pub phase: Phase,
    /// Milliseconds from the beginning of the watch to the first sight of it.
    pub at_ms: u64,
}

/// The target's revision as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RevisionReport {
    /// Its phase, in the platform's word.
    pub phase: Option<String>,
    /// When that phase began, by the server's clock; it is no part of the report.
    #[serde(skip)]
    pub phase_started_at: Option<Timestamp>,
    /// Replicas that are ready.
    pub ready_replicas: Option<u64>,
    /// Restarts in all, over all replicas.
    pub restart_count: Option<u64>,
    /// Replicas that were started.
    pub replicas_started: Option<u64>,
    /// Exit code of the latest crash.
    pub last_exit_code: Option<i64>,
    /// Why the code exited last.
    pub last_termination_reason: Option<String>,
}

/// Something that a person should know although it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Warning {
    /// One word for machines.
    pub code: String,
    /// One line for people.
    pub summary: String,
}

/// How the watch of one agent ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The target, if one was known.
    pub deployment_id: Option<String>,
    /// When the target was created, by the server's clock.
    #[cfg_attr(test, schemars(with = "Option<crate::core::tests::schema::Time>"))]
    pub deployment_created_at: Option<Timestamp>,
    /// The deployment that was desired before the deploy, if it is known.
    pub baseline_deployment_id: Option<String>,
    /// Why; none when ready.
    pub reason: Option<Reason>,
    /// Whether the agent accepted sessions when it was seen last, whichever deployment served.
    pub available: Option<bool>,
    /// Whether the target was ready on another deployment's revision.
    pub revision_unchanged: bool,
    /// What a person should know although it decided nothing.
    pub warnings: Vec<Warning>,
    /// The target's revision as it was seen last.
    pub revision: Option<RevisionReport>,
    /// The target's container image, where the platform shows it.
    pub image: Option<String>,
    /// Where the agent is deployed.
    pub region: Option<String>,
    /// Sessions under way when the agent was seen last, whichever deployment serves them.
    pub active_sessions: Option<u64>,
    /// When, counted from the beginning of the watch, the rollout began that is timed here.
    #[serde(skip)]
    pub began_after: Duration,
    /// How long it took.
    #[serde(rename = "elapsedMs", with = "as_millis")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub elapsed: Duration,
    /// The phases in the order in which they were seen.
    pub phases: Vec<PhaseEntry>,
    /// The server's clock when the watch ended, as far as its answers showed it.
    #[cfg_attr(test, schemars(with = "Option<crate::core::tests::schema::Time>"))]
    pub server_time: Option<Timestamp>,
    /// Polls made.
    pub polls: u64,
    /// Polls that brought no usable answer.
    pub failed_polls: u64,
    /// `X-Request-Id` of the last failed answer: what the vendor's support asks for.
    pub request_id: Option<String>,
}

impl Outcome {
    /// A watch that ended so, and of which nothing else is known.
    #[must_use]
    pub fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            ..Self::default()
        }
    }
}

/// How the deploy command of `run` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommandReport {
    /// Its exit code, or 128 plus the number of the signal that ended it, as a shell says it.
    pub exit_code: u8,
    /// How long it ran.
    #[serde(rename = "elapsedMs", with = "as_millis")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub elapsed: Duration,
}

/// The report on one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentReport {
    /// The agent's name.
    pub agent: String,
    /// The verdict as an exit code.
    pub exit_code: u8,
    /// When the rollout, as it is timed here, began.
    #[cfg_attr(test, schemars(with = "crate::core::tests::schema::Time"))]
    pub started_at: Timestamp,
    /// How the watch ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The last lines of the deployment's log, oldest first.
    pub logs: Vec<String>,
    /// How the deploy command ended; only of `run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandReport>,
}

impl AgentReport {
    /// The report on `agent`, whose watch began at `watch_began` and ended in `outcome`.
    #[must_use]
    pub fn new(agent: String, watch_began: Timestamp, outcome: Outcome) -> Self {
        let started_at = watch_began.checked_add(outcome.began_after);
        Self {
            agent,
            exit_code: outcome.verdict.exit_code(),
            started_at: started_at.unwrap_or(watch_began),
            outcome,
            logs: Vec::new(),
            command: None,
        }
    }

    /// How old the target was when the watch ended; none where that is not known. Two clocks say so: what
    /// seems to lie ahead has no age.
    #[must_use]
    pub fn deployment_age(&self) -> Option<Duration> {
        let created = self.outcome.deployment_created_at?;
        let before = Duration::try_from(self.started_at.duration_since(created)).ok()?;
        Some(before.saturating_add(self.outcome.elapsed))
    }

    /// The phase in which the watch ended, and how long it had lasted.
    #[must_use]
    pub fn last_phase(&self) -> Option<(Phase, Duration)> {
        let last = self.outcome.phases.last()?;
        let began = Duration::from_millis(last.at_ms);
        Some((last.phase, self.outcome.elapsed.saturating_sub(began)))
    }
}

/// The report on all agents of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The process's exit code: the worst agent's.
    pub exit_code: u8,
    /// The agents, in the order in which they were named.
    pub agents: Vec<AgentReport>,
}

impl Report {
    /// The report on `agents`; with none there is nothing that could have gone wrong.
    #[must_use]
    pub fn new(agents: Vec<AgentReport>) -> Self {
        let verdict = worst(agents.iter().map(|agent| agent.outcome.verdict));
        let exit_code = verdict.unwrap_or(Verdict::Ready).exit_code();
        Self { exit_code, agents }
    }
}

impl RevisionReport {
    /// What the report says about a revision.
    pub(super) fn of(revision: &Revision) -> Self {
        let health = revision.health.as_ref();
        Self {
            phase: revision.phase.as_ref().map(ToString::to_string),
            phase_started_at: revision.phase_started_at,
            ready_replicas: revision.ready_replicas,
            restart_count: health.and_then(|health| health.restart_count),
            replicas_started: health.and_then(|health| health.replicas_started),
            last_exit_code: health.and_then(|health| health.last_exit_code),
            last_termination_reason: health.and_then(|h| h.last_termination_reason.clone()),
        }
    }
}

/// The whole milliseconds of a duration, as reports give them.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Durations as whole milliseconds in JSON.
pub(super) mod as_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(super::whole_millis(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
