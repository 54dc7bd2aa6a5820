//! What is remembered of an agent from one start of the sidecar to the next, and what changes at once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::FleetEvent;
use crate::core::rollout::{Phase, PhaseEntry, Reason, Verdict, past};

/// What is known of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentRecord {
    /// Its name.
    pub name: String,
    /// The platform's own id of it: another one under the same name is another agent.
    pub service_id: Option<String>,
    /// When it was created, by the server's clock: one that was created later is another agent.
    pub created_at: Option<Timestamp>,
    /// Where it is deployed.
    pub region: Option<String>,
    /// The deployment that is desired, as far as the agent's details have shown.
    pub deployment: Option<KnownDeployment>,
    /// The one that was desired before it.
    pub previous: Option<KnownDeployment>,
    /// What it is doing.
    pub state: AgentState,
    /// What was reported as wrong with it and is not over: `dedupkey` of the event that said so.
    pub incident: Option<Incident>,
    /// How its last rollout ended.
    pub last_verdict: Option<Verdict>,
    /// When the platform changed its own record of the agent last, as far as its details have shown.
    pub updated_at: Option<Timestamp>,
    /// What the last answer about it showed.
    #[serde(skip)]
    pub live: Live,
}

impl AgentRecord {
    /// An agent of which nothing but its name is known.
    #[must_use]
    pub fn new(name: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            service_id: None,
            created_at: None,
            region: None,
            deployment: None,
            previous: None,
            state: AgentState::Idle { since: now },
            incident: None,
            last_verdict: None,
            updated_at: None,
            live: Live::default(),
        }
    }

    /// The id of the deployment that is desired, as far as it is known.
    #[must_use]
    pub fn deployment_id(&self) -> Option<&str> {
        Some(self.deployment.as_ref()?.id.as_str())
    }

    /// Forgets the dates that prove nothing at this time of the server's.
    pub(super) fn forget_future(&mut self, server_now: Timestamp) {
        let deployments = [&mut self.deployment, &mut self.previous].into_iter();
        let created = deployments.flatten().map(|known| &mut known.created_at);
        for date in created.chain([&mut self.created_at, &mut self.updated_at]) {
            *date = past(*date, Some(server_now));
        }
    }

    /// The rollout of its deployment, while it is under way.
    #[must_use]
    pub fn under_way(&self) -> Option<&UnderWay> {
        match &self.state {
            AgentState::RollingOut(rollout) => Some(rollout),
            AgentState::Idle { .. } | AgentState::Unready { .. } => None,
        }
    }
}

/// A deployment that has been seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownDeployment {
    /// Its id.
    pub id: String,
    /// When it was created, by the server's clock.
    pub created_at: Option<Timestamp>,
    /// Its container image.
    pub image: Option<String>,
    /// The commit that it was made from, where the platform deploys on a push.
    #[serde(default)]
    pub commit: Option<String>,
}

/// What an agent is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "state",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum AgentState {
    /// Nothing is under way. Left with a new deployment, or when the agent stops being ready.
    Idle {
        /// Since when.
        since: Timestamp,
    },
    /// The deployment that is desired is being rolled out. Left with its verdict.
    RollingOut(UnderWay),
    /// It is not ready, although nothing is being rolled out. Left when it is ready again, or with a new deployment.
    Unready {
        /// Since when.
        since: Timestamp,
        /// Why, as far as the platform says.
        reason: Option<Reason>,
    },
}

/// A rollout that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UnderWay {
    /// When its deployment was created, by the server's clock or, where that is unknown, when it was first seen.
    #[cfg_attr(test, schemars(with = "crate::core::tests::schema::Time"))]
    pub started_at: Timestamp,
    /// Whether its start is unknown.
    pub observed_late: bool,
    /// Whether its deployment is older than the one before.
    pub rolled_back: bool,
    /// The phases so far, in milliseconds since it started.
    pub phases: Vec<PhaseEntry>,
}

/// Something that was reported as wrong with an agent, and is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// `dedupkey` of the event that opened it, and of those that follow until it is closed.
    pub dedup_key: String,
    /// When it was opened.
    pub since: Timestamp,
}

/// What the last answer about an agent showed; it is not kept over a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// The phase of the present deployment.
    pub phase: Option<Phase>,
    /// Whether it is ready.
    pub ready: Option<bool>,
    /// Whether it takes sessions, whichever deployment serves them.
    pub available: Option<bool>,
    /// Replicas of the present revision that are ready.
    pub ready_replicas: Option<u64>,
    /// Restarts of the present revision in all.
    pub restart_count: Option<u64>,
    /// Sessions under way.
    pub sessions: Option<u64>,
}

/// What changes at once: it is written in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Agents as they are now, by name; none for one that was deleted.
    pub agents: BTreeMap<String, Option<Box<AgentRecord>>>,
    /// What happened, in this order.
    pub events: Vec<FleetEvent>,
}

impl Change {
    /// Adds what changed after.
    pub fn append(&mut self, later: Change) {
        self.agents.extend(later.agents);
        self.events.extend(later.events);
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty() && self.events.is_empty()
    }
}
