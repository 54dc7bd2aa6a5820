//! What the endpoints show of agents, rollouts and events: shaped for users, with nothing of the store's insides.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::adapters::store::EventDelivery;
use crate::app::watch::recent::Recent;
use crate::core::fleet::{
    AgentRecord, Backlog, Census, FinishedRollout, Live, Status, StoredEvent, UnderWay,
};
use crate::core::rollout::{Phase, Reason, Verdict};

/// An agent in `/v1/agents`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentView {
    name: String,
    region: Option<String>,
    /// `unknown` before its first check.
    state: Status,
    /// Since when.
    #[cfg_attr(test, schemars(with = "crate::core::tests::schema::Time"))]
    since: Timestamp,
    /// Why it is unready.
    reason: Option<Reason>,
    #[serde(flatten)]
    live: Live,
    deployment_id: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<crate::core::tests::schema::Time>"))]
    deployment_created_at: Option<Timestamp>,
    image: Option<String>,
    previous_deployment_id: Option<String>,
    /// How the last rollout ended that was watched.
    last_verdict: Option<Verdict>,
    /// The rollout that is under way.
    rollout: Option<UnderWay>,
    /// The last ten that have ended, the oldest first, and how long they usually take.
    #[serde(flatten)]
    recent: Recent,
}

/// `/v1/overview`: all agents in numbers, the rollouts under way, and the sinks.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    pub(super) version: &'static str,
    /// The API that is watched.
    pub(super) source: String,
    /// By how many seconds the server's clock is ahead of the sidecar's, where that matters.
    pub(super) server_clock_ahead_s: i64,
    /// Why the sidecar does not know what it is there to know; empty where it does.
    pub(super) faults: Vec<String>,
    pub(super) agents: Census,
    /// The agents whose rollout is under way, the longest first; fifty at most.
    pub(super) under_way: Vec<AgentView>,
    pub(super) sinks: Vec<SinkView>,
    /// Whether logs can be read here, and dead letters be sent again.
    pub(super) may_act: bool,
}

/// A sink, and what there is for it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct SinkView {
    name: String,
    /// Whether the present configuration has it.
    configured: bool,
    /// Events that wait.
    pending: u64,
    /// When the oldest of them was written.
    #[cfg_attr(test, schemars(with = "Option<crate::core::tests::schema::Time>"))]
    oldest_at: Option<Timestamp>,
    dead_letters: u64,
}

/// `/v1/rollout`: what is known of the rollout of a deployment.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct RolloutView {
    pub(super) agent: String,
    pub(super) deployment_id: String,
    /// How it ended, if it has; of several the latest.
    pub(super) finished: Option<FinishedRollout>,
    /// The agent as it is now; none where it was deleted.
    pub(super) now: Option<AgentView>,
    /// The rollout of the deployment before.
    pub(super) before: Option<FinishedRollout>,
    /// What happened, the oldest first.
    pub(super) events: Vec<RolloutEvent>,
}

/// An event of a rollout.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct RolloutEvent {
    number: u64,
    kind: String,
    #[cfg_attr(test, schemars(with = "crate::core::tests::schema::Time"))]
    at: Timestamp,
    phase: Option<Phase>,
    verdict: Option<Verdict>,
    deliveries: Vec<EventDelivery>,
}

impl AgentView {
    pub(super) fn of(record: &AgentRecord, recent: Recent) -> Self {
        let (state, since, reason) = record.status();
        let deployment = record.deployment.as_ref();
        Self {
            name: record.name.clone(),
            region: record.region.clone(),
            state,
            since,
            reason: reason.cloned(),
            live: record.live.clone(),
            deployment_id: record.deployment_id().map(str::to_owned),
            deployment_created_at: deployment.and_then(|deployment| deployment.created_at),
            image: deployment.and_then(|deployment| deployment.image.clone()),
            previous_deployment_id: record.previous.as_ref().map(|previous| previous.id.clone()),
            last_verdict: record.last_verdict,
            rollout: record.under_way().cloned(),
            recent,
        }
    }
}

impl SinkView {
    pub(super) fn of(name: String, backlog: Backlog, configured: bool) -> Self {
        Self {
            name,
            configured,
            pending: backlog.pending,
            oldest_at: backlog.oldest,
            dead_letters: backlog.dead_letters,
        }
    }
}

impl RolloutEvent {
    pub(super) fn of(
        stored: &StoredEvent,
        deliveries: &mut BTreeMap<u64, Vec<EventDelivery>>,
    ) -> Self {
        let event = &stored.event;
        Self {
            number: stored.number,
            kind: event.kind.as_str().to_owned(),
            at: event.time,
            phase: event.data.phase,
            verdict: event.data.verdict,
            deliveries: deliveries.remove(&stored.number).unwrap_or_default(),
        }
    }
}
