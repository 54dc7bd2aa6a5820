//! The JSON schemas of what the program writes, made from its types; `config/schema` holds them.
//!
//! `UPDATE_SCHEMAS=1 cargo test schema` writes the files anew.

use std::borrow::Cow;
use std::path::Path;
use std::{env, fs};

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::core::fleet::{EventData, EventKind, TYPE_PREFIX};
use crate::core::rollout::{Event, Report, Verdict};

/// A time as RFC 3339 writes it.
pub(crate) struct Time;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

impl JsonSchema for Verdict {
    fn schema_name() -> Cow<'static, str> {
        "Verdict".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut words = Verdict::WORST_FIRST.map(Verdict::as_str).to_vec();
        words.sort_unstable();
        words.dedup();
        json_schema!({"enum": words})
    }
}

/// A line about a rollout.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct RolloutLine {
    timestamp: Time,
    level: Level,
    /// The event in words, for people.
    message: String,
    /// Name of the agent.
    agent: String,
    /// Milliseconds since the watch began.
    at_ms: u64,
    #[serde(flatten)]
    event: Event,
}

/// The command could not be carried out.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct ErrorLine {
    timestamp: Time,
    level: Level,
    /// What is wrong, for people.
    message: String,
    #[schemars(extend("const" = "error"))]
    event: String,
    /// The exit code of the process.
    #[schemars(range(min = 1))]
    exit_code: u8,
}

/// Whatever `-v` and `RUST_LOG` add: no stable fields.
#[derive(JsonSchema)]
#[schemars(extend("not" = {"required": ["event"]}))]
#[expect(dead_code, reason = "only its shape is of interest")]
struct DiagnosticLine {
    timestamp: Time,
    level: Level,
    message: String,
}

/// One line of stderr of `wait-for-ready`, `run` or `status` under `--progress json`. What is not known
/// is left out.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is of interest")]
enum LogLine {
    Rollout(RolloutLine),
    Error(ErrorLine),
    Diagnostic(DiagnosticLine),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "only its shape is of interest")]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// What sinks of `pipecat-rollout watch` get: a `CloudEvent` 1.0 in structured mode. Fields of `data`
/// that do not apply are left out.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
pub(crate) struct CloudEvent {
    #[schemars(extend("const" = "1.0"))]
    specversion: String,
    /// The store's own id and the number of the event: never given twice. Drop duplicates by it.
    id: String,
    /// The API that is watched.
    #[schemars(extend("format" = "uri-reference"))]
    source: String,
    #[serde(rename = "type")]
    kind: EventType,
    /// The agent; of an event about the sidecar itself, what that is about.
    subject: String,
    /// When it happened, or was seen to have happened.
    time: Time,
    #[schemars(extend("const" = "application/json"))]
    datacontenttype: String,
    /// What it is about: the same for an event that opens an incident and for the one that closes it.
    dedupkey: String,
    data: Data,
}

/// What happened, and where more is shown of it.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Data {
    #[serde(flatten)]
    event: EventData,
    /// Where the sidecar's own page shows it, if its address is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uri"))]
    page_url: Option<String>,
    /// The agent in the platform's dashboard, if its address is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uri"))]
    dashboard_url: Option<String>,
    /// The events of a group, in the order in which they happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<CloudEvent>,
}

struct EventType;

impl JsonSchema for EventType {
    fn schema_name() -> Cow<'static, str> {
        "EventType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = EventKind::ALL.iter().map(|kind| kind.as_str());
        let types = kinds
            .chain(["group"])
            .map(|kind| format!("{TYPE_PREFIX}{kind}"));
        let types: Vec<String> = types.collect();
        json_schema!({"enum": types})
    }
}

/// The schema of a type, with this title.
pub(crate) fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(plain).transform(&mut schema);
    close(schema.ensure_object());
    let mut schema = schema.to_value();
    schema["title"] = json!(title);
    let definitions = schema.get_mut("$defs").and_then(Value::as_object_mut);
    for definition in definitions.into_iter().flat_map(|all| all.values_mut()) {
        close(definition.as_object_mut().unwrap());
    }
    schema
}

/// Without what only Rust means: the width of a number, and a line's end within a sentence.
fn plain(schema: &mut Schema) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    let is_width = |format: &Value| format.as_str().is_some_and(|it| it.contains("int"));
    if schema.get("format").is_some_and(is_width) {
        schema.remove("format");
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// An object has the fields that are described, and no others.
fn close(schema: &mut serde_json::Map<String, Value>) {
    let is_open = schema.contains_key("not");
    if schema.contains_key("properties") && !is_open {
        let closed = if schema.contains_key("oneOf") {
            "unevaluatedProperties"
        } else {
            "additionalProperties"
        };
        schema.insert(closed.to_owned(), json!(false));
    }
}

/// Compares a schema with the file of this name in `config/schema`, or writes that anew.
pub(crate) fn assert_is_in_file(name: &str, schema: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema");
    let path = path.join(name);
    let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
    if env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap();
    assert_eq!(held, text, "UPDATE_SCHEMAS=1 cargo test schema");
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let report = schema_of::<Report>("Report of pipecat-rollout");
    assert_is_in_file("report.schema.json", &report);
    let line = schema_of::<LogLine>("A log line of pipecat-rollout");
    assert_is_in_file("log-line.schema.json", &line);
    let event = schema_of::<CloudEvent>("Event of pipecat-rollout");
    assert_is_in_file("event.schema.json", &event);
}
