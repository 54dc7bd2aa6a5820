//! What a run shows: the progress on stderr while it lasts, the report on stdout when it is over.

mod counted;
pub(crate) mod csv;
mod file;
mod files;
mod folded;
mod github;
mod gitlab;
mod json;
mod junit;
mod logging;
mod plain;
pub(crate) mod print;
mod redraw;
#[cfg(test)]
pub(crate) mod samples;
mod summary;
mod tty;
mod variables;

/// The report in the forms that CI systems read, each made of nothing but what it is given.
pub mod forms {
    pub use super::github::{annotation, error, group};
    pub use super::gitlab::{end_section, section};
    pub use super::junit::document as junit;
    pub use super::report_json as json;
    pub use super::summary::page as summary;
    pub use super::variables::{dotenv, outputs};
}

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use jiff::Timestamp;
use tracing::error;

pub(crate) use self::file::FileError;
pub(crate) use self::files::{FilePlan, Files};
pub(crate) use self::logging::{BadFilter, Level, install};
pub(crate) use self::redraw::redraw;
use crate::core::messages::{self, Mode};
use crate::core::rollout::{AgentReport, Event, Report, Verdict};
use crate::core::text::{harmless_json, one_line, short_duration};

/// How the progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A status line an agent, for a terminal.
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

/// How much of the progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Only how it ended, where it did not end well.
    Ending,
    /// All of it.
    All,
}

/// How the readable outputs show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Display {
    pub(crate) detail: Verbosity,
    pub(crate) mode: Mode,
    /// Whether stdout is the same terminal as stderr, and the result is text: then it would stand
    /// there a second time.
    pub(crate) on_same_terminal: bool,
}

/// How the result is written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ResultFormat {
    /// A line, or a table of several agents.
    Text,
    /// One JSON object.
    Json,
}

/// The progress on stderr.
pub(crate) enum Progress {
    Tty(tty::Tty),
    Plain(plain::Plain),
    Folded(folded::Folded),
    Json(json::Json),
    Counted(counted::Counted),
    None,
}

impl Progress {
    /// Begins to show `agents` at this time; each is known by its place in this list.
    pub(crate) fn begin(
        style: Style,
        display: Display,
        began: Timestamp,
        agents: Vec<String>,
    ) -> Self {
        let folded = |log| Progress::Folded(folded::Folded::begin(log, display, agents.clone()));
        match style {
            Style::Tty => Progress::Tty(tty::Tty::begin(display, agents)),
            Style::Plain => Progress::Plain(plain::Plain::begin(display, agents)),
            Style::Github => folded(folded::Log::Github),
            Style::Gitlab => folded(folded::Log::Gitlab { began }),
            Style::Json => Progress::Json(json::Json::begin(agents)),
            Style::None => Progress::None,
        }
    }

    /// Begins to count how many of these agents have been checked.
    pub(crate) fn counting(style: Style, agents: usize) -> Self {
        match style {
            Style::Json | Style::None => Progress::None,
            Style::Tty | Style::Plain | Style::Github | Style::Gitlab => {
                Progress::Counted(counted::Counted::begin(style, agents))
            }
        }
    }

    /// Shows what happened to the `agent`th agent, `at` after the beginning.
    pub(crate) fn on_event(&mut self, agent: usize, at: Duration, event: &Event) {
        match self {
            Progress::Tty(tty) => tty.on_event(agent, at, event),
            Progress::Plain(plain) => plain.on_event(agent, at, event),
            Progress::Folded(folded) => folded.on_event(agent, at, event),
            Progress::Json(json) => json.on_event(agent, at, event),
            Progress::Counted(_) | Progress::None => {}
        }
    }

    /// Shows how the watch of the `agent`th agent ended.
    pub(crate) fn end(&mut self, agent: usize, report: &AgentReport) {
        match self {
            Progress::Tty(tty) => tty.end(agent, report),
            Progress::Plain(plain) => plain.end(report),
            Progress::Folded(folded) => folded.end(agent, report),
            Progress::Counted(counted) => counted.end(),
            // The event that it has finished says it all.
            Progress::Json(_) | Progress::None => {}
        }
    }
}

/// Says on stderr what is wrong, and with which exit code it ends.
pub(crate) fn print_error(style: Style, line: &str, exit_code: u8) {
    let line = one_line(line);
    match style {
        Style::Json => error!(event = "error", "exitCode" = exit_code, "{line}"),
        Style::Github => print::err(&github::error(&line)),
        Style::Tty | Style::Plain | Style::Gitlab | Style::None => {
            print::err(&format!("error: {line}"));
        }
    }
}

/// Writes the result to stdout, but for what the progress has shown in the same place already.
///
/// # Errors
/// When stdout cannot be written, or nobody reads it.
pub(crate) fn print_report(
    report: &Report,
    format: ResultFormat,
    style: Style,
    display: Display,
) -> io::Result<()> {
    let text = match (format, report.agents.as_slice()) {
        (ResultFormat::Json, _) => report_json(report),
        (ResultFormat::Text, agents) if agents.iter().all(|it| is_shown(it, style, display)) => {
            return Ok(());
        }
        (ResultFormat::Text, agents) => match (display.mode, agents) {
            (Mode::Status, [one]) => messages::check_block(one).join("\n"),
            (Mode::Status, several) => {
                let table = messages::check_table(several).join("\n");
                format!("{table}\n\n{}", messages::tally(several))
            }
            (Mode::Watch | Mode::Run, [one]) => messages::result_line(one, display.mode),
            (Mode::Watch | Mode::Run, several) => messages::result_table(several).join("\n"),
        },
    };
    print::out_while_read(&(text + "\n"))
}

/// Whether the progress has shown how it ended with an agent where the result would stand as well:
/// a terminal, or the log of a step on GitHub Actions.
fn is_shown(report: &AgentReport, style: Style, display: Display) -> bool {
    let failed = report.outcome.verdict != Verdict::Ready;
    match style {
        Style::Tty | Style::Plain => {
            display.on_same_terminal && (failed || display.detail == Verbosity::All)
        }
        Style::Github => failed,
        Style::Gitlab | Style::Json | Style::None => false,
    }
}

/// Whether stdout and stderr are one terminal.
pub(crate) fn is_same_terminal() -> bool {
    use std::io::IsTerminal as _;
    let device = |fd: std::os::fd::BorrowedFd<'_>| {
        let file = fd.is_terminal().then(|| fd.try_clone_to_owned().ok());
        let metadata = std::fs::File::from(file??).metadata().ok();
        metadata.map(|metadata| metadata.rdev())
    };
    let (stdout, stderr) = (io::stdout(), io::stderr());
    device(stdout.as_fd()).is_some_and(|out| device(stderr.as_fd()) == Some(out))
}

/// The report as one JSON object on one line.
#[must_use]
pub fn report_json(report: &Report) -> String {
    harmless_json(
        &serde_json::to_string(report).expect("plain data with text keys has a JSON form"),
    )
}

/// `[  12.3s] my-agent: validating`
fn line(agent: &str, at: Duration, words: &str) -> String {
    format!("[{:>7}] {}: {words}", short_duration(at), one_line(agent))
}
