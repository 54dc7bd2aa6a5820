//! What happened to an organization's agents: the one event that feeds the log, sinks, history and endpoints.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strum::IntoStaticStr;

use super::public_url::{PublicUrl, url_part};
use crate::core::rollout::{Phase, PhaseEntry, Reason, RevisionReport, Verdict, Warning};
use crate::core::text::template::Template;

/// The start of every `CloudEvents` type.
pub(crate) const TYPE_PREFIX: &str = "dev.pipecat-rollout.";

/// The most of a foreign text that an event carries, in bytes: more loses its middle.
const MAX_TEXT: usize = 64 * 1024;

/// Declares the kinds of event, each with its word and what it does to an incident, whatever its data.
macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal: $incident:expr,)*) => {
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

            const fn incident(self) -> Option<IncidentChange> {
                match self {
                    $(EventKind::$kind => $incident,)*
                }
            }
        }
    };
}

event_kinds! {
    /// A new deployment is being rolled out.
    RolloutStarted = "rollout.started": None,
    /// It entered a phase for the first time.
    RolloutPhaseChanged = "rollout.phase-changed": None,
    /// It ended with a verdict, which decides what that does to an incident.
    RolloutFinished = "rollout.finished": None,
    /// An agent stopped being ready without a deploy.
    AgentUnready = "agent.unready": Some(IncidentChange::Opens),
    /// It is ready again.
    AgentRecovered = "agent.recovered": Some(IncidentChange::Closes),
    /// There is a new agent.
    AgentAdded = "agent.added": None,
    /// An agent was deleted, or what is open of it is no longer watched.
    AgentRemoved = "agent.removed": Some(IncidentChange::Closes),
    /// The list of agents, or their details, cannot be read.
    WatcherBlind = "watcher.blind": Some(IncidentChange::Opens),
    /// They can be read again.
    WatcherRecovered = "watcher.recovered": Some(IncidentChange::Closes),
    /// A sink takes nothing.
    SinkFailing = "sink.failing": Some(IncidentChange::Opens),
    /// It takes events again, or is not configured any more.
    SinkRecovered = "sink.recovered": Some(IncidentChange::Closes),
    /// The store cannot be written.
    StoreFailing = "store.failing": Some(IncidentChange::Opens),
    /// It can be written again.
    StoreRecovered = "store.recovered": Some(IncidentChange::Closes),
}

/// What an event does to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum IncidentChange {
    /// It opens one, or goes on in it.
    Opens,
    /// It closes one, if one is open.
    Closes,
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
    /// The agent; none where it is about the sidecar itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// The sink that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Where it is deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The deployment that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// When that was created, by the server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::core::tests::schema::Time>"))]
    pub deployment_created_at: Option<Timestamp>,
    /// Its container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The commit that it was made from, where the platform deploys on a push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
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
    #[cfg_attr(test, schemars(with = "Option<crate::core::tests::schema::Time>"))]
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

    /// The event as a `CloudEvent` in structured mode (version 1.0, JSON), with links to where more is shown.
    #[must_use]
    pub fn cloud_event(&self, origin: &Origin) -> Value {
        let event = &self.event;
        let mut data = json!(event.data);
        for (key, link) in origin.links(self) {
            data[key] = link.into();
        }
        let subject = match event.data.agent.as_str() {
            "" => &event.dedup_key,
            agent => agent,
        };
        json!({
            "specversion": "1.0",
            "id": self.id(),
            "source": origin.source,
            "type": format!("{TYPE_PREFIX}{}", event.kind),
            "subject": subject,
            "time": event.time,
            "datacontenttype": "application/json",
            "dedupkey": event.dedup_key,
            "data": data,
        })
    }
}

/// Where events come from, and where more is shown of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The API that is watched, as a URI.
    pub source: String,
    /// The address of the sidecar's own page, as its readers reach it.
    pub public_url: Option<PublicUrl>,
    /// The address of an agent in the platform's dashboard, with a place for its name.
    pub dashboard_url: Option<Template>,
}

impl Origin {
    /// Where more is shown of an event: the keys in its data, each with its address.
    pub(crate) fn links(&self, stored: &StoredEvent) -> Vec<(&'static str, String)> {
        let data = &stored.event.data;
        let page = self.public_url.as_ref().map(|url| {
            let link = match (data.agent.as_str(), &data.deployment_id) {
                ("", _) => url.overview(),
                (agent, Some(id)) => url.rollout(agent, id),
                (agent, None) => url.agent(agent),
            };
            ("pageUrl", link)
        });
        let dashboard = self
            .dashboard_url
            .as_ref()
            .filter(|_| !data.agent.is_empty());
        let dashboard = dashboard.map(|url| ("dashboardUrl", url.text(&json!(data), url_part)));
        page.into_iter().chain(dashboard).collect()
    }
}

impl FleetEvent {
    /// What it does to the incident that it is about.
    #[must_use]
    pub fn incident(&self) -> Option<IncidentChange> {
        if self.kind != EventKind::RolloutFinished {
            return self.kind.incident();
        }
        match self.data.verdict? {
            Verdict::Ready => Some(IncidentChange::Closes),
            // The deployment that took its place, or the agent's removal, will close what is open.
            Verdict::Superseded | Verdict::NotFound => None,
            _ => Some(IncidentChange::Opens),
        }
    }
}

impl IncidentChange {
    /// The change in a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl EventKind {
    /// Whether a person waits for it: it is delivered before what is only of interest.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        self == Self::RolloutFinished || self.incident() == Some(IncidentChange::Opens)
    }

    /// Whether it opens an incident, goes on in it or closes it.
    pub(super) fn is_about_health(self) -> bool {
        self == Self::RolloutFinished || self.incident().is_some()
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
