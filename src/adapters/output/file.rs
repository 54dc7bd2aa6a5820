//! Files that are proven to be writable before the wait: those replaced atomically, and those of a CI
//! runner, which are appended to.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::print;

/// What other programs take for stdout.
const STDOUT: &str = "-";

/// Where a text will be written: proven to be writable before there is one.
#[derive(Debug)]
pub(super) struct OutputFile {
    /// The option, or the variable of the runner's, that names the file.
    named_by: &'static str,
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A file, replaced atomically where that is possible; in a folder that takes no other it is written in place.
    Replaced,
    /// A pipe or a device, which a rename would replace by a file.
    Written(File),
    /// A file of the runner's, which other commands of the step write to as well.
    Appended(File),
}

impl OutputFile {
    /// Makes sure that a file can be written to `path`. Nothing is left there.
    ///
    /// A symbolic link stays; what it points to is replaced, or made.
    ///
    /// # Errors
    /// When the folder is missing, or it or the file is not writable.
    pub(super) fn to_replace(named_by: &'static str, path: &Path) -> Result<Self> {
        let real = resolved(path);
        // What is missing is missing where a link ends.
        let named = if real.exists() { path } else { &real };
        let place = place(path, &real).map_err(|why| cannot_write(named_by, named, &why))?;
        Ok(Self {
            named_by,
            path: real,
            place,
        })
    }

    /// Makes sure that the file can be appended to.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn to_append(named_by: &'static str, path: &Path) -> Result<Self> {
        let place = match fs::metadata(path) {
            // Nothing is there of what they were given before.
            Ok(found) if !found.is_file() => opened(path, &found).map(Place::Written),
            Ok(_) | Err(_) => {
                let mut options = File::options();
                // Crash messages are in it: one that is made here is for nobody else to read.
                options.read(true).append(true).create(true).mode(0o600);
                options.open(path).map(Place::Appended)
            }
        };
        let place = place.map_err(|why| cannot_write(named_by, path, &why))?;
        Ok(Self {
            named_by,
            path: path.to_owned(),
            place,
        })
    }

    /// Whether it takes the place of what the other one writes.
    pub(super) fn overwrites(&self, other: &Self) -> bool {
        let is_replaced = matches!(self.place, Place::Replaced);
        is_replaced && whereabouts(&self.path) == whereabouts(&other.path)
    }

    /// Writes the text that `text` makes, given how many bytes are there already and stay.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(self, text: impl FnOnce(usize) -> String) -> Result<()> {
        let written = match self.place {
            Place::Written(file) => print::write_while_read(file.into(), &text(0)),
            Place::Replaced => replace(&self.path, &text(0)),
            Place::Appended(file) => append(file, text),
        };
        written.map_err(|why| cannot_write(self.named_by, &self.path, &why))
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

/// A path that is the same however a file is named, also where there is none yet.
fn whereabouts(path: &Path) -> Option<PathBuf> {
    let real = resolved(path);
    let folder = match real.parent()? {
        here if here.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    Some(fs::canonicalize(folder).ok()?.join(real.file_name()?))
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
            opened(real, &found).map(Place::Written)
        }
        Some(found) if found.permissions().readonly() => Err(ErrorKind::PermissionDenied.into()),
        // A file without a name shows that one can be made here, and leaves nothing.
        found => match tempfile::tempfile_in(folder(real)) {
            Ok(_) => Ok(Place::Replaced),
            Err(_) if found.is_some() => {
                File::options().write(true).open(real)?;
                Ok(Place::Replaced)
            }
            // Its own words name the temporary file, which nobody knows.
            Err(error) => Err(bare(&error)),
        },
    }
}

/// A pipe or a device, opened to be written to.
fn opened(path: &Path, found: &Metadata) -> io::Result<File> {
    let mut options = File::options();
    if found.file_type().is_fifo() {
        // Without a reader this fails, where it would wait for one.
        let flags = OFlags::NONBLOCK.bits();
        options.custom_flags(flags.cast_signed());
    }
    options.write(true).open(path)
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

/// A file cannot be written, in words that name what is missing.
fn cannot_write(named_by: &str, path: &Path, why: &io::Error) -> Error {
    let shown = path.display();
    let folder = folder(path);
    let problem = match why.kind() {
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
    };
    anyhow!("{named_by}: {problem}")
}

/// Appends a text, on a line of its own; an empty one leaves no trace.
fn append(mut file: File, text: impl FnOnce(usize) -> String) -> io::Result<()> {
    let there = file.seek(SeekFrom::End(0))?;
    let mut text = text(usize::try_from(there).unwrap_or(usize::MAX));
    if there > 0 && !text.is_empty() {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.insert(0, '\n');
        }
    }
    file.write_all(text.as_bytes())
}
