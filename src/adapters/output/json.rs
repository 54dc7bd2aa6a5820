//! The progress as structured logs: one event, one JSON object on one line.
//!
//! The field names are part of the contract; `config/schema/log-line.schema.json` describes them.

use std::time::Duration;

use serde::Serialize;
use tracing::{error, info, warn};

use crate::core::messages::{self, Severity};
use crate::core::rollout::{Event, whole_millis};

/// The field of a log line whose JSON object is added to the line field by field.
pub(super) const FIELDS: &str = "fields";

/// Logs an event, as it serialises itself, at the level of its severity.
pub(super) fn log(agent: &str, at: Duration, event: &Event) {
    let line = Line {
        agent,
        at_ms: whole_millis(at),
        event,
    };
    // Plain data, of which serde makes an object.
    let fields = serde_json::to_string(&line).unwrap_or_default();
    let message = messages::line(event);
    match messages::severity(event) {
        Severity::Success | Severity::Info => info!(fields, "{message}"),
        Severity::Warning => warn!(fields, "{message}"),
        Severity::Error => error!(fields, "{message}"),
    }
}

/// The fields of a log line: the event's own beside what all have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    agent: &'a str,
    at_ms: u64,
    #[serde(flatten)]
    event: &'a Event,
}
