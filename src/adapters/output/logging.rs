//! Sets up tracing: log lines on stderr, as text or JSON, above the status lines if there are any.
//! Neither a terminal nor a CI log can obey them.

use std::fmt::{self, Write as _};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::json::FIELDS;
use super::{Style, print, tty};
use crate::core::text::{harmless_json, one_line};

/// How much is logged where `RUST_LOG` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// `-q`
    Quiet,
    /// Neither.
    Usual,
    /// Neither, where the log is the only output.
    Informed,
    /// `-v`
    Verbose,
    /// `-vv`
    Everything,
}

/// Sends logs to stderr from now on.
///
/// `rust_log` is what the environment variable of that name says.
///
/// # Errors
/// When that cannot be understood.
pub(crate) fn install(style: Style, level: Level, rust_log: Option<&str>) -> Result<()> {
    let filter = match rust_log.map(str::trim) {
        None | Some("") => default_filter(style, level),
        Some(text) => text.parse::<Targets>().with_context(|| {
            format!(
                "RUST_LOG: cannot understand {text:?}; write `debug`, or `pipecat_rollout=debug,hyper=info`"
            )
        })?,
    };
    if style == Style::Json {
        print::report_dropped(|lines| {
            let note = print::dropped_words(lines);
            json_line(tracing::Level::WARN, &note, &Map::new())
        });
    }
    let registry = tracing_subscriber::registry();
    // Only a second installation fails; the first one's then goes on serving.
    let _ = registry.with(Lines(style).with_filter(filter)).try_init();
    Ok(())
}

/// Writes each event as a line.
struct Lines(Style);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        tty::above(&match self.0 {
            Style::Json => json_line(*metadata.level(), &fields.message, &fields.others),
            _ => sentence(metadata, fields),
        });
    }
}

/// A log line for people: when, how bad, and a sentence. What the program itself has to say is all
/// in that; what is beside it, in the fields, is for machines.
fn sentence(metadata: &Metadata<'_>, fields: Fields) -> String {
    let is_ours = metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
    let mut words = fields.message;
    if !is_ours || *metadata.level() > tracing::Level::INFO {
        words = format!("{}: {words}", metadata.target());
        for (name, value) in fields.others {
            // Writing to a String cannot fail.
            let _ = match value {
                Value::String(text) => write!(words, " {name}={text}"),
                value => write!(words, " {name}={value}"),
            };
        }
    }
    let now = Timestamp::now();
    one_line(&format!("{now:.0} {:>5} {words}", metadata.level()))
}

/// One JSON object on one line.
fn json_line(level: tracing::Level, message: &str, fields: &Map<String, Value>) -> String {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        timestamp: String,
        level: &'a str,
        message: &'a str,
        #[serde(flatten)]
        fields: &'a Map<String, Value>,
    }
    let line = Line {
        timestamp: format!("{:.6}", Timestamp::now()),
        level: level.as_str(),
        message,
        fields,
    };
    harmless_json(&serde_json::to_string(&line).expect("plain data with text keys has a JSON form"))
}

/// The fields of a log line as JSON.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn insert(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (FIELDS, Value::String(json)) => {
                let fields = serde_json::from_str::<Map<String, Value>>(&json);
                self.others.extend(fields.unwrap_or_default());
            }
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, json!(format!("{value:?}")));
    }
}

fn default_filter(style: Style, level: Level) -> Targets {
    use LevelFilter as L;
    let (ours, others) = match (level, style) {
        (Level::Quiet | Level::Usual, Style::None) => (L::OFF, L::OFF),
        (Level::Quiet, _) => (L::ERROR, L::WARN),
        // The structured logs are the progress itself.
        (Level::Usual, Style::Json) | (Level::Informed, _) => (L::INFO, L::WARN),
        (Level::Usual, _) => (L::WARN, L::WARN),
        (Level::Verbose, _) => (L::DEBUG, L::WARN),
        (Level::Everything, _) => (L::TRACE, L::DEBUG),
    };
    Targets::new()
        .with_default(others)
        .with_target(env!("CARGO_CRATE_NAME"), ours)
}
