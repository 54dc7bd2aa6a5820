//! Sets up tracing: log lines on stderr, as text or JSON, above the living lines if there are any.

use std::io::{self, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
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
        Kind::Text => registry.with(layer.with_filter(filter)).try_init(),
    };
    Ok(())
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
