//! What a run shows: the progress on stderr while it lasts, the report on stdout when it is over.

pub(crate) mod csv;
mod file;
mod files;
mod github;
mod gitlab;
mod json;
mod junit;
mod logging;
pub(crate) mod print;
mod progress;
mod redraw;
#[cfg(test)]
pub(crate) mod samples;
mod summary;
pub(crate) mod terminal;
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

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use strum::{EnumString, VariantNames};
use tracing::error;

pub(crate) use self::files::{FileKind, Files};
pub(crate) use self::logging::{Level, install};
pub(crate) use self::progress::{OnEvent, Progress};
pub(crate) use self::redraw::redraw;
pub(crate) use self::tty::columns;
use crate::core::messages::{self, Mode};
use crate::core::rollout::{AgentReport, Report, Verdict};
use crate::core::text::{harmless_json, one_line};

/// How the progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
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
    /// Whether stdout is the same terminal as stderr, and the result is text: then it would be
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
                let table = messages::check_table(several, columns()).join("\n");
                format!("{table}\n\n{}", messages::tally(several))
            }
            (Mode::Watch | Mode::Run, [one]) => messages::result_line(one, display.mode),
            (Mode::Watch | Mode::Run, several) => messages::result_table(several).join("\n"),
        },
    };
    print::out_while_read(&(text + "\n"))
}

/// Whether the progress has shown how it ended with an agent where the result would be as well:
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
    let device = |fd: BorrowedFd<'_>| {
        let found = fd.is_terminal().then(|| rustix::fs::fstat(fd).ok());
        found.flatten().map(|found| found.st_rdev)
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
