//! What a run shows: the story on stderr while it lasts, the report on stdout when it is over.

mod json;
mod logging;
mod plain;
mod report;
mod tty;
mod writer;

use std::io::{self, Write};
use std::time::Duration;

use tracing::error;

pub(crate) use self::logging::{BadFilter, Level, install};
pub(crate) use self::report::{ReportFile, ReportFileError, ResultFormat, print_report};
use crate::rollout::{AgentReport, Event};
use crate::story::Occasion;
use crate::text::one_line;

/// How the story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A living line an agent, for a terminal.
    Tty,
    /// A line for each change.
    Plain,
    /// Structured logs, one JSON object a line.
    Json,
    /// Not at all.
    None,
}

/// How much of the story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Only how it ended, where it did not end well.
    Ending,
    /// All of it.
    Whole,
}

/// How the readable outputs tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) detail: Detail,
    pub(crate) occasion: Occasion,
}

/// The story on stderr.
pub(crate) enum Progress {
    Tty(tty::Tty),
    Plain(plain::Plain),
    Json(json::Json),
    None,
}

impl Progress {
    /// Begins the story of `agents`; in it each is known by its place in this list.
    pub(crate) fn begin(style: Style, manner: Manner, agents: Vec<String>) -> Self {
        match style {
            Style::Tty => Progress::Tty(tty::Tty::begin(manner, agents)),
            Style::Plain => Progress::Plain(plain::Plain::begin(manner, agents)),
            Style::Json => Progress::Json(json::Json::begin(agents)),
            Style::None => Progress::None,
        }
    }

    /// Tells of what happened to the `agent`th agent, `at` after the beginning.
    pub(crate) fn tell(&mut self, agent: usize, at: Duration, event: &Event) {
        match self {
            Progress::Tty(tty) => tty.tell(agent, at, event),
            Progress::Plain(plain) => plain.tell(agent, at, event),
            Progress::Json(json) => json.tell(agent, at, event),
            Progress::None => {}
        }
    }

    /// Tells how the watch of the `agent`th agent ended.
    pub(crate) fn end(&mut self, agent: usize, report: &AgentReport) {
        match self {
            Progress::Tty(tty) => tty.end(agent, report),
            Progress::Plain(plain) => plain.end(report),
            // The event that it has finished says it all.
            Progress::Json(_) | Progress::None => {}
        }
    }
}

/// Says on stderr what is wrong, and with which exit code it ends.
pub(crate) fn complain(style: Style, line: &str, exit_code: u8) {
    let line = one_line(line);
    match style {
        Style::Json => error!(event = "error", "exitCode" = exit_code, "{line}"),
        Style::Tty | Style::Plain | Style::None => {
            // If nobody reads it there is nobody to tell.
            let _ = io::stderr()
                .lock()
                .write_all(format!("error: {line}\n").as_bytes());
        }
    }
}
