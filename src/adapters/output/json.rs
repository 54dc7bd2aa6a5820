//! The progress as structured logs: one event, one JSON object on one line.
//!
//! The field names are part of the contract; `config/schema/log-line.schema.json` describes them.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tracing::{error, info, warn};

use crate::core::messages::{self, Tone};
use crate::core::rollout::{Event, whole_millis};

/// The field of a log line whose JSON object stands in the line field by field.
pub(super) const FIELDS: &str = "fields";

/// Structured logs by tracing.
pub(crate) struct Json {
    agents: Vec<String>,
}

impl Json {
    pub(super) fn begin(agents: Vec<String>) -> Self {
        Self { agents }
    }

    /// Logs an event, as it serialises itself, at the level of its severity.
    pub(super) fn tell(&mut self, agent: usize, at: Duration, event: &Event) {
        let mut fields = fields(event);
        fields.insert("agent".to_owned(), json!(self.agents[agent]));
        fields.insert("atMs".to_owned(), json!(whole_millis(at)));
        let (fields, message) = (Value::Object(fields).to_string(), messages::line(event));
        match messages::tone(event) {
            Tone::Good | Tone::Neutral => info!(fields, "{message}"),
            Tone::Doubtful => warn!(fields, "{message}"),
            Tone::Bad => error!(fields, "{message}"),
        }
    }
}

/// The fields of an event: its type as `event`, and what is known; foreign words as `details`, for
/// `message` is the whole line's.
fn fields(event: &Event) -> Map<String, Value> {
    let fields = match serde_json::to_value(event) {
        Ok(Value::Object(fields)) => fields,
        // An event is plain data, of which serde makes an object.
        Ok(_) | Err(_) => Map::new(),
    };
    let known = fields.into_iter().filter(|(_, value)| !value.is_null());
    let named = known.map(|(name, value)| match name.as_str() {
        "type" => ("event".to_owned(), value),
        "message" => ("details".to_owned(), value),
        _ => (name, value),
    });
    named.collect()
}
