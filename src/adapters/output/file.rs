//! Files that are proven to be writable before the wait: those written in one piece, and those of a
//! CI runner, which are appended to.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The JSON report.
    Report,
    /// The verdicts as test results.
    Junit,
    /// Variables for later jobs.
    Dotenv,
    /// Outputs of the step, for later steps.
    GithubOutput,
    /// The page that the step shows.
    GithubSummary,
}

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{purpose} to {}", path.display())]
pub(crate) struct FileError {
    purpose: Purpose,
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Report => "--report-file: cannot write the report",
            Purpose::Junit => "--junit: cannot write the test results",
            Purpose::Dotenv => "--dotenv: cannot write the variables",
            Purpose::GithubOutput => "GITHUB_OUTPUT: cannot write the outputs",
            Purpose::GithubSummary => "GITHUB_STEP_SUMMARY: cannot write the summary",
        })
    }
}

/// Where a file will be written: proven to be writable, and not there yet.
#[derive(Debug)]
pub(super) struct WholeFile {
    purpose: Purpose,
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

impl WholeFile {
    /// Makes sure that a text can be written to `path`, before there is one.
    ///
    /// A symbolic link stays; what it points to is replaced.
    ///
    /// # Errors
    /// When the directory is missing, or it or the file is not writable.
    pub(super) fn prepare(purpose: Purpose, path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError {
            purpose,
            path: path.to_owned(),
            source,
        };
        // A path that ends like a folder's is no file's, even where there is nothing yet.
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(failed(io::Error::from(ErrorKind::IsADirectory)));
        }
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
            // A name that is too long, or links in a circle.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(_) | Err(_) => {
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
        Ok(Self {
            purpose,
            path: real,
            place,
        })
    }

    /// Writes the text, in one piece.
    pub(super) fn write(self, text: &str) -> Result<(), FileError> {
        let Self {
            purpose,
            path,
            place,
        } = self;
        let written = match place {
            Place::Written(mut file) => file.write_all(text.as_bytes()),
            Place::Replaced(mut file) => file
                .write_all(text.as_bytes())
                .and_then(|()| file.as_file().sync_all())
                .and_then(|()| file.persist(&path).map_err(|error| error.error))
                .map(drop),
        };
        written.map_err(|source| FileError {
            purpose,
            path,
            source,
        })
    }
}

/// A file of the runner's, which other commands of the step write to as well.
#[derive(Debug)]
pub(super) struct AppendedFile {
    purpose: Purpose,
    path: PathBuf,
    file: File,
}

impl AppendedFile {
    /// Makes sure that the file can be appended to.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn prepare(purpose: Purpose, path: &Path) -> Result<Self, FileError> {
        let mut options = File::options();
        // Crash messages are in it: where there is none yet, it is nobody else's.
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path);
        Ok(Self {
            purpose,
            path: path.to_owned(),
            file: file.map_err(|source| FileError {
                purpose,
                path: path.to_owned(),
                source,
            })?,
        })
    }

    /// Appends the text that `text` makes, given how many bytes are there already.
    ///
    /// It begins on a line of its own, and nothing is written if there is nothing to say.
    pub(super) fn append(mut self, text: impl FnOnce(usize) -> String) -> Result<(), FileError> {
        let (purpose, path) = (self.purpose, self.path.clone());
        self.try_append(text).map_err(|source| FileError {
            purpose,
            path,
            source,
        })
    }

    fn try_append(&mut self, text: impl FnOnce(usize) -> String) -> io::Result<()> {
        let there = self.file.seek(SeekFrom::End(0))?;
        let mut text = text(usize::try_from(there).unwrap_or(usize::MAX));
        if there > 0 && !text.is_empty() {
            let mut last = [0];
            self.file.seek(SeekFrom::End(-1))?;
            self.file.read_exact(&mut last)?;
            if last != *b"\n" {
                text.insert(0, '\n');
            }
        }
        self.file.write_all(text.as_bytes())
    }
}
