//! What a run shows: the story on stderr while it lasts, the report on stdout when it is over.

mod file;
mod files;
mod folded;
mod github;
mod gitlab;
mod json;
mod junit;
mod lines;
mod logging;
mod plain;
mod report;
#[cfg(test)]
pub(crate) mod samples;
mod summary;
mod tty;
mod variables;
mod writer;

/// The report in the forms that CI systems read, each made of nothing but what it is given.
pub mod forms {
    pub use super::github::{annotation, error, group};
    pub use super::gitlab::{end_section, section};
    pub use super::junit::document as junit;
    pub use super::report::json;
    pub use super::summary::page as summary;
    pub use super::variables::{dotenv, outputs};
}

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use tracing::error;

pub(crate) use self::file::FileError;
pub(crate) use self::files::{FilePlan, Files};
pub(crate) use self::logging::{BadFilter, Level, install};
pub(crate) use self::report::{ResultFormat, print_report};
use crate::core::messages::Occasion;
use crate::core::rollout::{AgentReport, Event};
use crate::core::text::one_line;

/// How the story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A living line an agent, for a terminal.
    Tty,
    /// A line for each change.
    Plain,
    /// Plain lines in a group, and annotations, for GitHub Actions.
    Github,
    /// Plain lines in a section that can be collapsed, for GitLab CI.
    Gitlab,
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
    Folded(folded::Folded),
    Json(json::Json),
    None,
}

impl Progress {
    /// Begins the story of `agents` at this time; in it each is known by its place in this list.
    pub(crate) fn begin(
        style: Style,
        manner: Manner,
        began: Timestamp,
        agents: Vec<String>,
    ) -> Self {
        let folded = |log| Progress::Folded(folded::Folded::begin(log, manner, agents.clone()));
        match style {
            Style::Tty => Progress::Tty(tty::Tty::begin(manner, agents)),
            Style::Plain => Progress::Plain(plain::Plain::begin(manner, agents)),
            Style::Github => folded(folded::Log::Github),
            Style::Gitlab => folded(folded::Log::Gitlab { began }),
            Style::Json => Progress::Json(json::Json::begin(agents)),
            Style::None => Progress::None,
        }
    }

    /// Tells of what happened to the `agent`th agent, `at` after the beginning.
    pub(crate) fn tell(&mut self, agent: usize, at: Duration, event: &Event) {
        match self {
            Progress::Tty(tty) => tty.tell(agent, at, event),
            Progress::Plain(plain) => plain.tell(agent, at, event),
            Progress::Folded(folded) => folded.tell(agent, at, event),
            Progress::Json(json) => json.tell(agent, at, event),
            Progress::None => {}
        }
    }

    /// Tells how the watch of the `agent`th agent ended.
    pub(crate) fn end(&mut self, agent: usize, report: &AgentReport) {
        match self {
            Progress::Tty(tty) => tty.end(agent, report),
            Progress::Plain(plain) => plain.end(report),
            Progress::Folded(folded) => folded.end(agent, report),
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
        Style::Github => write_line(&github::error(&line)),
        Style::Tty | Style::Plain | Style::Gitlab | Style::None => {
            write_line(&format!("error: {line}"));
        }
    }
}

/// Writes a line to stderr. If nobody reads it there is nobody to tell.
fn write_line(line: &str) {
    let _ = io::stderr()
        .lock()
        .write_all(format!("{line}\n").as_bytes());
}
