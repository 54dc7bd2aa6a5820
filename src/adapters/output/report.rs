//! The report: on stdout as text or JSON.

use std::io::{self, ErrorKind, Write};

use crate::core::messages::{self, Occasion};
use crate::core::rollout::Report;
use crate::core::text::harmless_json;

/// How the result is written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ResultFormat {
    /// A line, or a table of several agents.
    Text,
    /// One JSON object.
    Json,
}

/// Writes the result to stdout. That nobody reads it any more is no error.
pub(crate) fn print_report(
    report: &Report,
    format: ResultFormat,
    occasion: Occasion,
) -> io::Result<()> {
    let text = match format {
        ResultFormat::Json => json(report),
        ResultFormat::Text => {
            let lines = match report.agents.as_slice() {
                [one] => vec![messages::result_line(one, occasion)],
                several => messages::result_table(several, occasion),
            };
            lines.join("\n")
        }
    };
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The report as one JSON object on one line.
#[must_use]
pub fn json(report: &Report) -> String {
    harmless_json(
        &serde_json::to_string(report).expect("plain data with text keys has a JSON form"),
    )
}
