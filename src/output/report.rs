//! The report: on stdout as text or JSON, and in a file that is never half written.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::rollout::Report;
use crate::story::{self, Occasion};
use crate::text::harmless_json;

/// How the result is written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ResultFormat {
    /// A line, or a table of several agents.
    Text,
    /// One JSON object.
    Json,
}

/// A report file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report to {}", path.display())]
pub(crate) struct ReportFileError {
    path: PathBuf,
    source: io::Error,
}

/// Where the report will be written: proven to be writable, and not there yet.
#[derive(Debug)]
pub(crate) struct ReportFile {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A file, replaced in one piece.
    Replaced(NamedTempFile),
    /// A pipe or a device, which a rename would replace by a file.
    Written(File),
}

impl ReportFile {
    /// Makes sure that a report can be written to `path`, before there is one.
    ///
    /// A symbolic link stays; what it points to is replaced.
    ///
    /// # Errors
    /// When the directory is missing, or it or the file is not writable.
    pub(crate) fn prepare(path: &Path) -> Result<Self, ReportFileError> {
        let failed = |source| ReportFileError {
            path: path.to_owned(),
            source,
        };
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let place = match fs::metadata(&real) {
            Ok(found) if found.is_dir() => {
                return Err(failed(io::Error::from(ErrorKind::IsADirectory)));
            }
            // What /dev/stdout points to is not ours to replace, either.
            Ok(found) if !found.is_file() || path.starts_with("/dev") => {
                Place::Written(File::options().write(true).open(&real).map_err(failed)?)
            }
            Ok(found) if found.permissions().readonly() => {
                return Err(failed(io::Error::from(ErrorKind::PermissionDenied)));
            }
            _ => {
                let folder = real
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                Place::Replaced(
                    tempfile::Builder::new()
                        .prefix(".pipecat-rollout-")
                        .tempfile_in(folder)
                        // Its own words name the temporary file, which nobody knows.
                        .map_err(|error| failed(io::Error::from(error.kind())))?,
                )
            }
        };
        Ok(Self { path: real, place })
    }

    /// Writes the report, in one piece.
    pub(crate) fn write(self, report: &Report) -> Result<(), ReportFileError> {
        let Self { path, place } = self;
        let text = json(report) + "\n";
        let written = match place {
            Place::Written(mut file) => file.write_all(text.as_bytes()),
            Place::Replaced(mut file) => file
                .write_all(text.as_bytes())
                .and_then(|()| file.as_file().sync_all())
                .and_then(|()| file.persist(&path).map_err(|error| error.error))
                .map(drop),
        };
        written.map_err(|source| ReportFileError { path, source })
    }
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
                [one] => vec![story::result_line(one, occasion)],
                several => story::result_table(several, occasion),
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
fn json(report: &Report) -> String {
    harmless_json(
        &serde_json::to_string(report).expect("plain data with text keys has a JSON form"),
    )
}
