//! What happened to an organization's agents: the one event that feeds the log, sinks, history and endpoints.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::rollout::{Phase, PhaseEntry, Reason, RevisionReport, Verdict, Warning};

/// The start of every `CloudEvents` type.
pub(crate) const TYPE_PREFIX: &str = "dev.pipecat-rollout.";

/// The most of a foreign text that an event carries, in bytes: more loses its middle.
const MAX_TEXT: usize = 64 * 1024;

/// Declares the kinds of event, each with its word.
macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal,)*) => {
        /// What kind of thing happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $word)] $kind,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: [EventKind; [$(EventKind::$kind,)*].len()] = [$(EventKind::$kind,)*];

            /// The kind in a word, with which its type ends.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(EventKind::$kind => $word,)*
                }
            }
        }
    };
}

event_kinds! {
    /// A new deployment is being rolled out.
    RolloutStarted = "rollout.started",
    /// It entered a phase for the first time.
    RolloutPhaseChanged = "rollout.phase-changed",
    /// It ended with a verdict.
    RolloutFinished = "rollout.finished",
    /// An agent stopped being ready without a deploy.
    AgentUnready = "agent.unready",
    /// It is ready again.
    AgentRecovered = "agent.recovered",
    /// There is a new agent.
    AgentAdded = "agent.added",
    /// An agent was deleted.
    AgentRemoved = "agent.removed",
}

/// Something that happened, before it has been given a number by the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetEvent {
    /// What kind of thing.
    pub kind: EventKind,
    /// When it happened, or was seen to have happened.
    pub time: Timestamp,
    /// What it is about, the same for an event that opens an incident and for the one that closes it.
    pub dedup_key: String,
    /// What happened.
    pub data: EventData,
}

/// What happened, in the report's words. What does not apply is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct EventData {
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
    #[cfg_attr(test, schemars(with = "Option<crate::core::schema::Time>"))]
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
    /// How the rollout ended.
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
    /// The phases of a rollout that has ended, in milliseconds since it started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseEntry>,
    /// When the rollout, or the time of not being ready, started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::core::schema::Time>"))]
    pub started_at: Option<Timestamp>,
    /// How long it took: a rollout to its verdict, or an agent to become ready again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// Whether nobody watched when it started or ended, so that its duration is not known exactly.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub observed_late: bool,
}

/// An event as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number: it grows, and is never given twice within a store.
    pub number: u64,
    /// The store that gave the number.
    pub store_id: String,
    /// What happened.
    pub event: FleetEvent,
}

impl StoredEvent {
    /// The event's id: never given twice, and the same for every attempt to deliver it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.store_id, self.number)
    }

    /// The event as a `CloudEvent` in structured mode (version 1.0, JSON); `source` is the API that is
    /// watched, as a URI.
    #[must_use]
    pub fn cloud_event(&self, source: &str) -> Value {
        let event = &self.event;
        json!({
            "specversion": "1.0",
            "id": self.id(),
            "source": source,
            "type": format!("{TYPE_PREFIX}{}", event.kind),
            "subject": event.data.agent,
            "time": event.time,
            "datacontenttype": "application/json",
            "dedupkey": event.dedup_key,
            "data": event.data,
        })
    }
}

impl EventKind {
    /// Whether a person waits for it: it is delivered before what is only of interest.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::RolloutFinished | Self::AgentUnready)
    }

    /// Whether it opens an incident, goes on in it or closes it.
    pub(super) const fn is_about_health(self) -> bool {
        match self {
            EventKind::RolloutFinished
            | EventKind::AgentUnready
            | EventKind::AgentRecovered
            | EventKind::AgentRemoved => true,
            EventKind::RolloutStarted | EventKind::RolloutPhaseChanged | EventKind::AgentAdded => {
                false
            }
        }
    }
}

/// A foreign text as an event carries it.
pub(super) fn bounded(text: String) -> String {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let head = text.floor_char_boundary(MAX_TEXT / 4);
    let tail = text.ceil_char_boundary(text.len() - MAX_TEXT / 4 * 3);
    let left_out = tail - head;
    format!(
        "{}\n[{left_out} bytes left out]\n{}",
        &text[..head],
        &text[tail..]
    )
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
