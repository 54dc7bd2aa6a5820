//! What is remembered of agents and rollouts from one start of the sidecar to the next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{EventData, EventKind, FleetEvent, StoredEvent};
use super::notice::{Notice, NoticeData, NoticeKind};
use super::record;
use crate::core::rollout::{Phase, PhaseEntry, Reason, Verdict};

/// How many steps from one deployment to another, and how many lives, are remembered of an agent.
const COUNTED: usize = 32;

/// What is known of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentRecord {
    /// Its name.
    pub name: String,
    /// The platform's own id of it: another one under the same name is another agent.
    pub service_id: Option<String>,
    /// Where it is deployed.
    pub region: Option<String>,
    /// The deployment that was desired when it was seen last.
    pub deployment_id: Option<String>,
    /// How it stands.
    pub standing: Standing,
    /// How often it stopped being ready since it is known, by itself or by a rollout that ended so.
    pub unready_episodes: u64,
    /// How often each step from one deployment to another was seen, the latest steps only.
    pub steps: Vec<(String, u32)>,
    /// When the platform changed its own record last, as far as the list has shown.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// How often each came under this name, by its service id, the latest only. Where nothing is
    /// said of the present one, it came once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lives: Vec<(String, u32)>,
    /// When it was found to be gone. It is kept for what is counted: whatever happens to one that
    /// comes back under its name has an id of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Timestamp>,
    /// When this was last changed.
    pub changed_at: Timestamp,
}

impl AgentRecord {
    /// An agent of which nothing but its name is known.
    pub(super) fn unknown(name: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            service_id: None,
            region: None,
            deployment_id: None,
            standing: Standing::Settled {
                verdict: None,
                since: now,
            },
            unready_episodes: 0,
            steps: Vec::new(),
            updated_at: None,
            lives: Vec::new(),
            gone_at: None,
            changed_at: now,
        }
    }

    /// What is kept of an agent that is gone.
    pub(super) fn gone(mut self, now: Timestamp) -> Self {
        if self.life().is_none() {
            self.begin_life();
        }
        Self {
            service_id: self.service_id,
            region: self.region,
            unready_episodes: self.unready_episodes,
            steps: self.steps,
            updated_at: self.updated_at,
            lives: self.lives,
            gone_at: Some(now),
            ..Self::unknown(&self.name, now)
        }
    }

    /// Counts one more life of the agent that has come.
    pub(super) fn begin_life(&mut self) {
        count(&mut self.lives, self.service_id.as_deref().unwrap_or("-"));
    }

    /// The id of its coming, or of its going: agent, service, and, where it came before, how often.
    pub(super) fn id_of_life(&self, what: &str) -> String {
        let service = self.service_id.as_deref().unwrap_or("-");
        match self.life() {
            None | Some(1) => format!("{}/{service}/{what}", self.name),
            Some(times) => format!("{}/{service}/{what}/{times}", self.name),
        }
    }

    /// How often the present one has come, where that is said.
    fn life(&self) -> Option<u32> {
        let service = self.service_id.as_deref().unwrap_or("-");
        let known = self.lives.iter().find(|(known, _)| known == service);
        known.map(|(_, times)| *times)
    }

    /// What the ids of a rollout's notices begin with: agent, both deployments, and, where this
    /// very step was seen before, how often.
    pub(super) fn id_of_step(&mut self, previous: Option<&str>, deployment: &str) -> String {
        let step = format!("{}..{deployment}", previous.unwrap_or("-"));
        match count(&mut self.steps, &step) {
            1 => format!("{}/{step}", self.name),
            times => format!("{}/{step}/{times}", self.name),
        }
    }

    /// Whether this deployment was seen here before the present one.
    #[must_use]
    pub fn has_been_at(&self, deployment: &str) -> bool {
        let mut steps = self
            .steps
            .iter()
            .filter_map(|(step, _)| step.split_once(".."));
        steps.any(|(from, to)| from == deployment || to == deployment)
    }

    /// Since when this deployment is rolled out, if it is.
    #[must_use]
    pub fn rolling_out_since(&self, deployment: &str) -> Option<Timestamp> {
        match &self.standing {
            Standing::RollingOut {
                deployment_id,
                started_at,
                ..
            } if deployment_id == deployment => Some(*started_at),
            _ => None,
        }
    }
}

/// Counts one more of these, and tells how many there were.
fn count(seen: &mut Vec<(String, u32)>, what: &str) -> u32 {
    let place = seen.iter().position(|(known, _)| known == what);
    let times = place.map_or(1, |place| seen.remove(place).1 + 1);
    seen.push((what.to_owned(), times));
    let forgotten = seen.len().saturating_sub(COUNTED);
    seen.drain(..forgotten);
    times
}

/// How an agent stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "state",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Standing {
    /// A rollout is under way. Left with its verdict.
    RollingOut {
        /// The deployment that is rolled out.
        deployment_id: String,
        /// What the ids of its notices begin with.
        id: String,
        /// When it was first seen.
        started_at: Timestamp,
        /// The phases that were told so far, each once.
        phases: Vec<Phase>,
        /// Whether it had begun while nobody watched.
        observed_late: bool,
    },
    /// Nothing is under way. Left with a new deployment, or when the agent stops being ready.
    Settled {
        /// The verdict of its last rollout; none where that was never watched.
        verdict: Option<Verdict>,
        /// When it was known.
        since: Timestamp,
    },
    /// It stopped being ready without a deploy. Left when it is ready again, or with a deploy.
    Unready {
        /// What the ids of its notices begin with.
        id: String,
        /// When that was noticed.
        since: Timestamp,
        /// Why, as far as the platform tells.
        reason: Option<Reason>,
    },
}

/// A rollout that has ended: a line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRecord {
    /// The agent.
    pub agent: String,
    /// Where it is deployed.
    pub region: Option<String>,
    /// The deployment.
    pub deployment_id: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why; none when ready.
    pub reason: Option<Reason>,
    /// When it was first seen.
    pub started_at: Timestamp,
    /// When its verdict was known.
    pub finished_at: Timestamp,
    /// How long it took, or was watched.
    pub elapsed_ms: u64,
    /// The phases in the order in which they were seen.
    pub phases: Vec<PhaseEntry>,
    /// Whether it had begun, or even ended, while nobody watched: its times are then too late.
    pub observed_late: bool,
}

/// What happened at once: it is remembered, and told, in one piece.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Agents as they stand now, and what is kept of those that are gone.
    pub agents: Vec<AgentRecord>,
    /// Agents that are gone, by name: they went before what `agents` says.
    pub removed: Vec<String>,
    /// Rollouts that have ended.
    pub rollouts: Vec<RolloutRecord>,
    /// What the world is told of it, in this order.
    pub notices: Vec<Notice>,
}

impl Change {
    /// Adds what happened after.
    pub fn append(&mut self, later: Change) {
        self.agents.retain(|agent| {
            let changed = later.agents.iter().any(|other| other.name == agent.name);
            !changed && !later.removed.contains(&agent.name)
        });
        self.agents.extend(later.agents);
        self.removed.extend(later.removed);
        self.rollouts.extend(later.rollouts);
        self.notices.extend(later.notices);
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
            && self.removed.is_empty()
            && self.rollouts.is_empty()
            && self.notices.is_empty()
    }
}

// Glue between the former fleet and the store of events; it goes with this file.

impl Change {
    /// As the store takes it.
    #[must_use]
    pub fn converted(&self) -> record::Change {
        let mut change = record::Change::default();
        for name in &self.removed {
            change.agents.insert(name.clone(), None);
        }
        for agent in self.agents.iter().filter(|agent| agent.gone_at.is_none()) {
            change
                .agents
                .insert(agent.name.clone(), Some(agent.converted()));
        }
        for notice in &self.notices {
            let ended = self.rollouts.iter().find(|rollout| {
                notice.kind == NoticeKind::RolloutFinished && rollout.agent == notice.data.agent
            });
            let mut event = notice.converted();
            event.data.started_at = ended.map(|rollout| rollout.started_at);
            change.events.push(event);
        }
        change
    }
}

impl AgentRecord {
    fn converted(&self) -> record::AgentRecord {
        let known = |id: &str| record::KnownDeployment {
            id: id.to_owned(),
            ..Default::default()
        };
        let (state, last_verdict) = match &self.standing {
            Standing::RollingOut {
                deployment_id,
                started_at,
                phases,
                observed_late,
                ..
            } => (
                record::AgentState::RollingOut {
                    deployment: known(deployment_id),
                    started_at: *started_at,
                    phases: phases.clone(),
                    observed_late: *observed_late,
                    previous_deployment_id: None,
                    rolled_back: false,
                },
                None,
            ),
            Standing::Settled { verdict, since } => {
                (record::AgentState::Idle { since: *since }, *verdict)
            }
            Standing::Unready { since, reason, .. } => (
                record::AgentState::Unready {
                    since: *since,
                    reason: reason.clone(),
                },
                None,
            ),
        };
        record::AgentRecord {
            name: self.name.clone(),
            service_id: self.service_id.clone(),
            region: self.region.clone(),
            deployment: self.deployment_id.as_deref().map(known),
            state,
            incident: None,
            last_verdict,
            updated_at: self.updated_at,
            changed_at: self.changed_at,
            live: record::Live::default(),
        }
    }
}

impl From<record::AgentRecord> for AgentRecord {
    fn from(record: record::AgentRecord) -> Self {
        let id = record.name.clone();
        let standing = match record.state {
            record::AgentState::Idle { since } => Standing::Settled {
                verdict: record.last_verdict,
                since,
            },
            record::AgentState::RollingOut {
                deployment,
                started_at,
                phases,
                observed_late,
                ..
            } => Standing::RollingOut {
                deployment_id: deployment.id,
                id,
                started_at,
                phases,
                observed_late,
            },
            record::AgentState::Unready { since, reason } => {
                Standing::Unready { id, since, reason }
            }
        };
        Self {
            name: record.name,
            service_id: record.service_id,
            region: record.region,
            deployment_id: record.deployment.map(|deployment| deployment.id),
            standing,
            unready_episodes: 0,
            steps: Vec::new(),
            updated_at: record.updated_at,
            lives: Vec::new(),
            gone_at: None,
            changed_at: record.changed_at,
        }
    }
}

impl Notice {
    /// As the store takes it.
    #[must_use]
    pub fn converted(&self) -> FleetEvent {
        let data = self.data.clone();
        let kind = EventKind::ALL
            .iter()
            .find(|kind| kind.as_str() == self.kind.as_str());
        FleetEvent {
            kind: *kind.unwrap_or(&EventKind::AgentAdded),
            time: self.time,
            dedup_key: self.id.clone(),
            data: EventData {
                agent: data.agent,
                region: data.region,
                deployment_id: data.deployment_id,
                previous_deployment_id: data.previous_deployment_id,
                phase: data.phase,
                verdict: data.verdict,
                reason: data.reason,
                available: data.available,
                revision: data.revision,
                phases: data.phases,
                elapsed_ms: data.elapsed_ms,
                observed_late: data.observed_late,
                ..EventData::default()
            },
        }
    }
}

impl From<&StoredEvent> for Notice {
    fn from(stored: &StoredEvent) -> Self {
        let data = stored.event.data.clone();
        let kind = NoticeKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == stored.event.kind.as_str());
        Self {
            id: stored.id(),
            kind: kind.unwrap_or(NoticeKind::AgentAdded),
            time: stored.event.time,
            data: NoticeData {
                agent: data.agent,
                region: data.region,
                deployment_id: data.deployment_id,
                previous_deployment_id: data.previous_deployment_id,
                phase: data.phase,
                verdict: data.verdict,
                reason: data.reason,
                available: data.available,
                revision: data.revision,
                phases: data.phases,
                elapsed_ms: data.elapsed_ms,
                observed_late: data.observed_late,
            },
        }
    }
}
