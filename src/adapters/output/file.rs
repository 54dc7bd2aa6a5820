//! Files that are proven to be writable before the wait: those replaced atomically, and those of a CI
//! runner, which are appended to.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::print;

/// What other programs take for stdout.
const STDOUT: &str = "-";

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{asked_by}: {}", problem(path, why))]
pub(crate) struct FileError {
    /// The switch, or the variable of the runner's, that names the file.
    asked_by: &'static str,
    path: PathBuf,
    /// Not its source: the words above say all of it.
    why: io::Error,
}

impl FileError {
    fn new(asked_by: &'static str, path: &Path, why: io::Error) -> Self {
        let path = path.to_owned();
        Self {
            asked_by,
            path,
            why,
        }
    }
}

/// Where a file will be written: proven to be writable, and not there yet.
#[derive(Debug)]
pub(super) struct WholeFile {
    asked_by: &'static str,
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A file, replaced atomically where that is possible.
    Replaced,
    /// A file in a folder that takes no other: it can only be written in place.
    Kept,
    /// A pipe or a device, which a rename would replace by a file.
    Written(File),
}

impl WholeFile {
    /// Makes sure that a text can be written to `path`, before there is one. Nothing is left there.
    ///
    /// A symbolic link stays; what it points to is replaced, or made.
    ///
    /// # Errors
    /// When the folder is missing, or it or the file is not writable.
    pub(super) fn prepare(asked_by: &'static str, path: &Path) -> Result<Self, FileError> {
        let real = resolved(path);
        // What is missing is missing where a link ends.
        let named = if real.exists() { path } else { &real };
        let place = place(path, &real).map_err(|source| FileError::new(asked_by, named, source))?;
        Ok(Self {
            asked_by,
            path: real,
            place,
        })
    }

    /// Writes the text, atomically if that is possible.
    pub(super) fn write(self, text: &str) -> Result<(), FileError> {
        let written = match self.place {
            Place::Written(file) => print::write_while_read(&file.into(), text),
            Place::Kept => write_in_place(&self.path, text),
            Place::Replaced => replace(&self.path, text),
        };
        written.map_err(|source| FileError::new(self.asked_by, &self.path, source))
    }
}

/// The file behind symbolic links, also where there is none yet.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    // A link to nothing is followed to its end. One in a circle has none, and what /dev/stdout points
    // to is there without having a path.
    let ends_nowhere = fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    match fs::read_link(path) {
        Ok(target) if ends_nowhere => resolved(&path.with_file_name(target)),
        _ => path.to_owned(),
    }
}

fn place(path: &Path, real: &Path) -> io::Result<Place> {
    // Elsewhere it means stdout. A file of that name can be asked for as ./-
    if path == Path::new(STDOUT) {
        return Err(ErrorKind::InvalidFilename.into());
    }
    // A path that ends like a folder's is no file's, even where there is nothing yet.
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(ErrorKind::IsADirectory.into());
    }
    let found = match fs::metadata(real) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        // A name that is too long, or links in a circle.
        found => Some(found?),
    };
    match found {
        Some(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        // What /dev/stdout points to is not ours to replace, either.
        Some(found) if !found.is_file() || path.starts_with("/dev") => {
            let mut options = File::options();
            if found.file_type().is_fifo() {
                // Without a reader this fails, where it would wait for one.
                let flags = OFlags::NONBLOCK.bits();
                options.custom_flags(flags.cast_signed());
            }
            Ok(Place::Written(options.write(true).open(real)?))
        }
        Some(found) if found.permissions().readonly() => Err(ErrorKind::PermissionDenied.into()),
        // A file without a name shows that one can be made here, and leaves nothing.
        found => match tempfile::tempfile_in(folder(real)) {
            Ok(_) => Ok(Place::Replaced),
            Err(_) if found.is_some() => {
                File::options().write(true).open(real)?;
                Ok(Place::Kept)
            }
            // Its own words name the temporary file, which nobody knows.
            Err(error) => Err(bare(&error)),
        },
    }
}

/// Replaces a file by one of this text; where no rename can do that, as of a file that is mounted by
/// itself, it is written in place.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let temporary = tempfile::Builder::new()
        .prefix(".pipecat-rollout-")
        .tempfile_in(folder(path));
    let Ok(mut file) = temporary else {
        return write_in_place(path, text);
    };
    file.write_all(text.as_bytes())?;
    match file.persist(path) {
        Ok(_) => Ok(()),
        Err(_) => write_in_place(path, text),
    }
}

fn write_in_place(path: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn folder(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn bare(error: &io::Error) -> io::Error {
    let code = error.raw_os_error();
    code.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// What is wrong, in words that name what is missing.
fn problem(path: &Path, why: &io::Error) -> String {
    let shown = path.display();
    let folder = folder(path);
    match why.kind() {
        ErrorKind::NotFound if !folder.exists() => {
            format!("the folder {} does not exist", folder.display())
        }
        ErrorKind::NotADirectory => format!("{} is not a folder", folder.display()),
        ErrorKind::IsADirectory => format!("{shown} is a folder, not a file"),
        ErrorKind::PermissionDenied => format!("no permission to write {shown}"),
        ErrorKind::InvalidFilename if path == Path::new(STDOUT) => {
            "- is no file; the JSON report on stdout is --output json (-o json)".to_owned()
        }
        _ if why.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            format!("nobody reads {shown}; start what reads the pipe first")
        }
        _ => format!("cannot write {shown}: {why}"),
    }
}

/// A file of the runner's, which other commands of the step write to as well.
#[derive(Debug)]
pub(super) struct AppendedFile {
    asked_by: &'static str,
    path: PathBuf,
    file: File,
}

impl AppendedFile {
    /// Makes sure that the file can be appended to.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn prepare(asked_by: &'static str, path: &Path) -> Result<Self, FileError> {
        let mut options = File::options();
        // Crash messages are in it: where there is none yet, it is nobody else's.
        options.read(true).append(true).create(true).mode(0o600);
        let file = options
            .open(path)
            .map_err(|source| FileError::new(asked_by, path, source))?;
        Ok(Self {
            asked_by,
            path: path.to_owned(),
            file,
        })
    }

    /// Appends the text that `text` makes, given how many bytes are there already.
    ///
    /// It begins on a line of its own, and nothing is written if there is nothing to say.
    pub(super) fn append(mut self, text: impl FnOnce(usize) -> String) -> Result<(), FileError> {
        let written = self.try_append(text);
        written.map_err(|source| FileError::new(self.asked_by, &self.path, source))
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
