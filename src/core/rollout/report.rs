//! How a watch ended, in full: what the report and the outputs tell.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::phase::Phase;
use super::verdict::{Verdict, worst};
use crate::core::wire::{Revision, RevisionPhase};

/// Why a watch ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// One word for machines: the platform's own where there is one.
    pub code: String,
    /// One line for people.
    pub summary: String,
    /// The platform's or the code's own words, whole; a traceback for example.
    pub message: Option<String>,
}

/// When a phase began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseEntry {
    /// The phase.
    pub phase: Phase,
    /// Milliseconds from the beginning of the watch to the first sight of it.
    pub at_ms: u64,
}

/// The target's revision as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionReport {
    /// Its phase, in the platform's word.
    pub phase: Option<String>,
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

/// How the watch of one agent ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// Why; none when ready.
    pub reason: Option<Reason>,
    /// The target, if one was known.
    pub deployment_id: Option<String>,
    /// The baseline that was given.
    pub baseline_deployment_id: Option<String>,
    /// Whether the agent accepted sessions when it was seen last, whichever deployment served.
    pub available: Option<bool>,
    /// Whether the target was ready on another deployment's revision.
    pub revision_unchanged: bool,
    /// The target's revision as it was seen last.
    pub revision: Option<RevisionReport>,
    /// From the beginning of the watch to its end.
    pub elapsed: Duration,
    /// The phases in the order in which they were seen.
    pub phases: Vec<PhaseEntry>,
    /// Polls made.
    pub polls: u64,
    /// Polls that brought no usable answer.
    pub failed_polls: u64,
}

/// The report on one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentReport {
    /// The agent's name.
    pub agent: String,
    /// How the watch ended.
    pub verdict: Verdict,
    /// The verdict as an exit code.
    pub exit_code: u8,
    /// The target, if one was known.
    pub deployment_id: Option<String>,
    /// The baseline that was given.
    pub baseline_deployment_id: Option<String>,
    /// Why; none when ready.
    pub reason: Option<Reason>,
    /// Whether the agent accepted sessions when it was seen last, whichever deployment served.
    pub available: Option<bool>,
    /// Whether the target was ready on another deployment's revision.
    pub revision_unchanged: bool,
    /// The target's revision as it was seen last.
    pub revision: Option<RevisionReport>,
    /// When the watch began.
    pub started_at: Timestamp,
    /// How long it took.
    pub elapsed_ms: u64,
    /// The phases in the order in which they were seen.
    pub phases: Vec<PhaseEntry>,
    /// Polls made.
    pub polls: u64,
    /// Polls that brought no usable answer.
    pub failed_polls: u64,
    /// The last lines of the deployment's log, oldest first.
    pub logs: Vec<String>,
}

impl AgentReport {
    /// The report on `agent`, whose watch began at `started_at` and ended in `outcome`.
    #[must_use]
    pub fn new(agent: String, started_at: Timestamp, outcome: Outcome) -> Self {
        Self {
            agent,
            verdict: outcome.verdict,
            exit_code: outcome.verdict.exit_code(),
            deployment_id: outcome.deployment_id,
            baseline_deployment_id: outcome.baseline_deployment_id,
            reason: outcome.reason,
            available: outcome.available,
            revision_unchanged: outcome.revision_unchanged,
            revision: outcome.revision,
            started_at,
            elapsed_ms: whole_millis(outcome.elapsed),
            phases: outcome.phases,
            polls: outcome.polls,
            failed_polls: outcome.failed_polls,
            logs: Vec::new(),
        }
    }

    /// The phase in which the watch ended, and how long it had lasted.
    #[must_use]
    pub fn last_phase(&self) -> Option<(Phase, Duration)> {
        let last = self.phases.last()?;
        let lasted = Duration::from_millis(self.elapsed_ms.saturating_sub(last.at_ms));
        Some((last.phase, lasted))
    }
}

/// The report on all agents of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        let verdict = worst(agents.iter().map(|agent| agent.verdict));
        let exit_code = verdict.unwrap_or(Verdict::Ready).exit_code();
        Self { exit_code, agents }
    }
}

impl RevisionReport {
    /// What the report tells of a revision.
    pub(super) fn of(revision: &Revision) -> Self {
        let health = revision.health.as_ref();
        Self {
            phase: revision.phase.as_ref().map(RevisionPhase::word),
            ready_replicas: revision.ready_replicas,
            restart_count: health.and_then(|health| health.restart_count),
            replicas_started: health.and_then(|health| health.replicas_started),
            last_exit_code: health.and_then(|health| health.last_exit_code),
            last_termination_reason: health.and_then(|h| h.last_termination_reason.clone()),
        }
    }
}

/// The whole milliseconds of a duration, as reports tell them.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
