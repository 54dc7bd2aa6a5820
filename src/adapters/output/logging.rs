//! Sets up tracing: log lines on stderr, as text or JSON, above the living lines if there are any.

use std::fmt;
use std::io::{self, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Style;
use super::writer::{Harmless, Kind};

/// How much is logged where `RUST_LOG` does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// `-q`
    Quiet,
    /// Neither.
    Usual,
    /// Neither, where the log is all that is told.
    Informed,
    /// `-v`
    Verbose,
    /// `-vv`
    Everything,
}

/// `RUST_LOG` cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "RUST_LOG: cannot understand {text:?}; write `debug`, or `pipecat_rollout=debug,hyper=info`"
)]
pub(crate) struct BadFilter {
    text: String,
    source: tracing_subscriber::filter::ParseError,
}

/// The screen whose living lines log lines must not tear.
static SCREEN: OnceLock<MultiProgress> = OnceLock::new();

/// Sends logs to stderr from now on.
///
/// `rust_log` is what the environment variable of that name says.
pub(crate) fn install(style: Style, level: Level, rust_log: Option<&str>) -> Result<(), BadFilter> {
    let filter = match rust_log.map(str::trim) {
        None | Some("") => default_filter(style, level),
        Some(text) => text.parse().map_err(|source| BadFilter {
            text: text.to_owned(),
            source,
        })?,
    };
    let kind = match style {
        Style::Json => Kind::Json,
        Style::Tty | Style::Plain | Style::Github | Style::Gitlab | Style::None => Kind::Text,
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || Harmless::new(kind, write_line));
    let registry = tracing_subscriber::registry();
    // Only a second installation fails; the first one's then goes on serving.
    let _ = match kind {
        Kind::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false);
            registry
                .with(layer.with_span_list(false).with_filter(filter))
                .try_init()
        }
        Kind::Text => {
            let layer = layer.event_format(Sentences);
            registry.with(layer.with_filter(filter)).try_init()
        }
    };
    Ok(())
}

/// Log lines for people: when, how bad, and a sentence. What the program itself has to say is all
/// in that; what is beside it, in the fields, is for machines.
struct Sentences;

impl<S, N> FormatEvent<S, N> for Sentences
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (at, metadata) = (Timestamp::now(), event.metadata());
        write!(writer, "{at:.0} {:>5} ", metadata.level())?;
        let ours = metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
        if ours && *metadata.level() <= tracing::Level::INFO {
            event.record(&mut Message(&mut writer));
        } else {
            write!(writer, "{}: ", metadata.target())?;
            context.format_fields(writer.by_ref(), event)?;
        }
        writeln!(writer)
    }
}

/// Writes the message of an event, and nothing else of it.
struct Message<'a, 'w>(&'a mut Writer<'w>);

impl Visit for Message<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // A log that cannot be written is not heard of anyway.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// Has log lines written above the living lines of `screen` from now on.
pub(super) fn write_above(screen: MultiProgress) {
    let _ = SCREEN.set(screen);
}

fn default_filter(style: Style, level: Level) -> Targets {
    let ours = match (level, style) {
        (Level::Quiet | Level::Usual, Style::None) => LevelFilter::OFF,
        (Level::Quiet, _) => LevelFilter::ERROR,
        // The structured logs are the story itself.
        (Level::Usual, Style::Json) | (Level::Informed, _) => LevelFilter::INFO,
        (Level::Usual, _) => LevelFilter::WARN,
        (Level::Verbose, _) => LevelFilter::DEBUG,
        (Level::Everything, _) => LevelFilter::TRACE,
    };
    let others = match (level, style) {
        (Level::Everything, _) => LevelFilter::DEBUG,
        (Level::Quiet | Level::Usual, Style::None) => LevelFilter::OFF,
        (Level::Quiet | Level::Usual | Level::Informed | Level::Verbose, _) => LevelFilter::WARN,
    };
    Targets::new()
        .with_default(others)
        .with_target(env!("CARGO_CRATE_NAME"), ours)
}

fn write_line(line: &str) {
    let drawn = SCREEN.get().filter(|screen| !screen.is_hidden());
    match drawn {
        Some(screen) => {
            let _ = screen.println(line);
        }
        None => {
            let _ = io::stderr()
                .lock()
                .write_all(format!("{line}\n").as_bytes());
        }
    }
}
