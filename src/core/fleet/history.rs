//! What the history knows of a rollout that has ended: the event that said so, seen in two ways.

use jiff::Timestamp;
use serde::Serialize;

use super::event::{EventData, StoredEvent};
use crate::core::rollout::Verdict;

/// A rollout that has ended, as users are given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FinishedRollout {
    /// The id of the event that said so.
    pub id: String,
    /// When its verdict was known.
    #[cfg_attr(test, schemars(with = "crate::core::tests::schema::Time"))]
    pub finished_at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub data: EventData,
}

/// What is counted of a rollout that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutSummary {
    /// The agent.
    pub agent: String,
    /// How it ended.
    pub verdict: Verdict,
    /// When it started, as far as that is known.
    pub started_at: Option<Timestamp>,
    /// When its verdict was known.
    pub finished_at: Timestamp,
    /// How long it took.
    pub elapsed_ms: Option<u64>,
    /// Whether nobody watched when it started or ended, so that its duration is not known exactly.
    pub observed_late: bool,
}

impl From<StoredEvent> for FinishedRollout {
    fn from(stored: StoredEvent) -> Self {
        Self {
            id: stored.id(),
            finished_at: stored.event.time,
            data: stored.event.data,
        }
    }
}
