//! An agent as it is shown: what is remembered of it, and what the last answer said.

use serde::Serialize;

use super::old::{AgentRecord, Standing};
use crate::core::rollout::{Event, Outcome, Phase, Verdict};

/// An agent as it is shown in `/v1/agents` and measured in `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    /// What is remembered of it.
    #[serde(flatten)]
    pub record: AgentRecord,
    /// Where its present deployment stands; none before the first answer that tells.
    pub phase: Option<Phase>,
    /// Whether it is ready, by the last answer.
    pub ready: Option<bool>,
    /// Whether it takes sessions, whichever deployment serves them.
    pub available: Option<bool>,
    /// Replicas of the present revision that are ready.
    pub ready_replicas: Option<u64>,
    /// Restarts of the present revision in all.
    pub restart_count: Option<u64>,
}

impl AgentView {
    /// An agent of which no more is known than what is remembered.
    #[must_use]
    pub fn remembered(record: AgentRecord) -> Self {
        Self {
            record,
            phase: None,
            ready: None,
            available: None,
            ready_replicas: None,
            restart_count: None,
        }
    }

    /// Takes in what happened in its rollout.
    pub fn happened(&mut self, event: &Event) {
        match event {
            Event::TargetFound { .. } => {
                *self = Self {
                    ready: Some(false),
                    available: self.available,
                    ..Self::remembered(self.record.clone())
                };
            }
            Event::PhaseChanged { phase, .. } => self.phase = Some(*phase),
            Event::ReplicasChanged { ready_replicas, .. } => {
                self.ready_replicas = Some(*ready_replicas);
            }
            Event::Restarted { restart_count, .. } => self.restart_count = Some(*restart_count),
            _ => {}
        }
    }

    /// Takes in how the watch of its rollout, or a look at it, ended.
    pub fn judged(&mut self, outcome: &Outcome) {
        match outcome.verdict {
            Verdict::Ready => self.ready = Some(true),
            Verdict::Failed | Verdict::Stalled | Verdict::Infrastructure | Verdict::Timeout => {
                self.ready = Some(false);
            }
            // Nothing was learnt of the present deployment.
            Verdict::Unauthorized
            | Verdict::NotFound
            | Verdict::Unavailable
            | Verdict::Superseded
            | Verdict::Unchanged
            | Verdict::CommandFailed(_)
            | Verdict::Interrupted(_) => return,
        }
        self.available = outcome.available.or(self.available);
        if let Some(entry) = outcome.phases.last() {
            self.phase = Some(entry.phase);
        }
        if let Some(revision) = &outcome.revision {
            self.ready_replicas = revision.ready_replicas.or(self.ready_replicas);
            self.restart_count = revision.restart_count.or(self.restart_count);
        }
    }

    /// Whether a rollout of it is under way.
    #[must_use]
    pub fn is_rolling_out(&self) -> bool {
        matches!(self.record.standing, Standing::RollingOut { .. })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_view_is_one_flat_object() {
        let record = AgentRecord {
            name: "my-agent".to_owned(),
            service_id: None,
            region: Some("us-west".to_owned()),
            deployment_id: Some("new".to_owned()),
            standing: Standing::Settled {
                verdict: None,
                since: "2026-11-23T14:00:00Z".parse().unwrap(),
            },
            unready_episodes: 2,
            steps: Vec::new(),
            updated_at: None,
            lives: Vec::new(),
            gone_at: None,
            changed_at: "2026-11-23T15:00:00Z".parse().unwrap(),
        };
        let view = AgentView {
            phase: Some(Phase::Active),
            ready: Some(true),
            restart_count: Some(3),
            ..AgentView::remembered(record)
        };
        assert!(!view.is_rolling_out());
        assert_eq!(
            serde_json::to_value(view).unwrap(),
            json!({
                "name": "my-agent", "serviceId": null, "region": "us-west", "deploymentId": "new",
                "standing": { "state": "settled", "verdict": null, "since": "2026-11-23T14:00:00Z" },
                "unreadyEpisodes": 2, "steps": [], "updatedAt": null,
                "changedAt": "2026-11-23T15:00:00Z", "phase": "active", "ready": true,
                "available": null, "readyReplicas": null, "restartCount": 3,
            })
        );
    }
}
