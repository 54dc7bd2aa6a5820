//! What the endpoints show of agents and events: shaped for users, with nothing of the store's insides.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::core::fleet::{AgentRecord, AgentState, Live, Origin, StoredEvent};
use crate::core::rollout::{Reason, Verdict};

/// An agent in `/v1/agents`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentView<'a> {
    name: &'a str,
    region: Option<&'a str>,
    /// `rolling-out`, `ready`, `unready`, or `unknown` before its first check.
    state: &'static str,
    /// Since when.
    since: Timestamp,
    /// Why it is unready.
    reason: Option<&'a Reason>,
    #[serde(flatten)]
    live: &'a Live,
    deployment_id: Option<&'a str>,
    deployment_created_at: Option<Timestamp>,
    image: Option<&'a str>,
    previous_deployment_id: Option<&'a str>,
    /// How the last rollout ended that was watched.
    last_verdict: Option<Verdict>,
}

impl<'a> AgentView<'a> {
    pub(super) fn of(record: &'a AgentRecord) -> Self {
        let live = &record.live;
        let (state, since, reason) = match &record.state {
            AgentState::RollingOut { started_at, .. } => ("rolling-out", *started_at, None),
            AgentState::Unready { since, reason } => ("unready", *since, reason.as_ref()),
            AgentState::Idle { since } if live.ready == Some(true) => ("ready", *since, None),
            // It has not been so for long enough to be reported.
            AgentState::Idle { since } if live.ready == Some(false) => ("unready", *since, None),
            AgentState::Idle { since } => ("unknown", *since, None),
        };
        let deployment = record.deployment.as_ref();
        Self {
            name: &record.name,
            region: record.region.as_deref(),
            state,
            since,
            reason,
            live,
            deployment_id: record.deployment_id(),
            deployment_created_at: deployment.and_then(|deployment| deployment.created_at),
            image: deployment.and_then(|deployment| deployment.image.as_deref()),
            previous_deployment_id: record
                .previous
                .as_ref()
                .map(|previous| previous.id.as_str()),
            last_verdict: record.last_verdict,
        }
    }
}

/// An event in `/v1/events`: its number, and what sinks get of it.
pub(super) fn event(stored: &StoredEvent, origin: &Origin) -> Value {
    json!({ "number": stored.number, "event": stored.cloud_event(origin) })
}
