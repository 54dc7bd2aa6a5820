//! What the world is told: CloudEvents 1.0 with ids that are made of what happened.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::rollout::{Phase, PhaseEntry, Reason, RevisionReport, Verdict, Warning};

/// The start of every event's type.
const TYPE_PREFIX: &str = "dev.pipecat-rollout.";

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoticeKind {
    /// A new deployment is rolled out.
    #[serde(rename = "rollout.started")]
    RolloutStarted,
    /// It entered a phase for the first time.
    #[serde(rename = "rollout.phase-changed")]
    RolloutPhaseChanged,
    /// It ended with a verdict.
    #[serde(rename = "rollout.finished")]
    RolloutFinished,
    /// An agent stopped being ready without a deploy.
    #[serde(rename = "agent.unready")]
    AgentUnready,
    /// It is ready again.
    #[serde(rename = "agent.recovered")]
    AgentRecovered,
    /// There is a new agent.
    #[serde(rename = "agent.added")]
    AgentAdded,
    /// An agent is gone.
    #[serde(rename = "agent.removed")]
    AgentRemoved,
}

/// Something that happened, as the world is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The same whoever notices it, and however often: receivers drop doubles by it.
    pub id: String,
    /// What kind of thing.
    pub kind: NoticeKind,
    /// When it was noticed.
    pub time: Timestamp,
    /// What happened.
    pub data: NoticeData,
}

/// What happened, with the report's names. What does not apply is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NoticeData {
    /// The agent.
    pub agent: String,
    /// Where it is deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The deployment that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// When that was created, by the server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_created_at: Option<Timestamp>,
    /// Its container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The deployment that was desired before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_deployment_id: Option<String>,
    /// Whether the deployment is older than the one before: a roll-back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
    /// The phase that was entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why it failed, or is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Whether the rollout is ready on the revision of another deployment: the old code may still run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub revision_unchanged: bool,
    /// What a person should know although it decided nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Whether the agent takes sessions, whichever deployment serves them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
    /// The deployment's revision as it was seen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionReport>,
    /// The phases of a rollout that has ended, in the order in which they were seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseEntry>,
    /// How long it took: a rollout to its verdict, or an agent to be ready again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// Whether it happened, or began, while nobody watched.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub observed_late: bool,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [NoticeKind; 7] = [
        NoticeKind::RolloutStarted,
        NoticeKind::RolloutPhaseChanged,
        NoticeKind::RolloutFinished,
        NoticeKind::AgentUnready,
        NoticeKind::AgentRecovered,
        NoticeKind::AgentAdded,
        NoticeKind::AgentRemoved,
    ];

    /// The kind in a word, with which its type ends.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            NoticeKind::RolloutStarted => "rollout.started",
            NoticeKind::RolloutPhaseChanged => "rollout.phase-changed",
            NoticeKind::RolloutFinished => "rollout.finished",
            NoticeKind::AgentUnready => "agent.unready",
            NoticeKind::AgentRecovered => "agent.recovered",
            NoticeKind::AgentAdded => "agent.added",
            NoticeKind::AgentRemoved => "agent.removed",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Notice {
    /// The notice as a `CloudEvent` in structured mode (version 1.0, JSON); `source` says
    /// who tells it, as a URI.
    #[must_use]
    pub fn cloud_event(&self, source: &str) -> Value {
        json!({
            "specversion": "1.0",
            "id": self.id,
            "source": source,
            "type": format!("{TYPE_PREFIX}{}", self.kind),
            "subject": self.data.agent,
            "time": self.time,
            "datacontenttype": "application/json",
            "data": self.data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_a_cloud_event() {
        let notice = Notice {
            id: "my-agent/new/finished/failed".to_owned(),
            kind: NoticeKind::RolloutFinished,
            time: "2026-11-23T15:00:00Z".parse().unwrap(),
            data: NoticeData {
                agent: "my-agent".to_owned(),
                deployment_id: Some("new".to_owned()),
                verdict: Some(Verdict::Failed),
                elapsed_ms: Some(12_345),
                ..NoticeData::default()
            },
        };
        assert_eq!(
            notice.cloud_event("https://api.pipecat.daily.co/v1"),
            json!({
                "specversion": "1.0", "id": "my-agent/new/finished/failed",
                "source": "https://api.pipecat.daily.co/v1",
                "type": "dev.pipecat-rollout.rollout.finished",
                "subject": "my-agent", "time": "2026-11-23T15:00:00Z",
                "datacontenttype": "application/json",
                "data": {
                    "agent": "my-agent", "deploymentId": "new", "verdict": "failed", "elapsedMs": 12345,
                },
            })
        );
    }

    #[test]
    fn every_kind_has_one_word() {
        for kind in NoticeKind::ALL {
            let word = serde_json::to_value(kind).unwrap();
            assert_eq!(word, kind.as_str());
            assert_eq!(serde_json::from_value::<NoticeKind>(word).unwrap(), kind);
        }
    }
}
