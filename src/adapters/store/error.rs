//! Why a store cannot be used, and what is to be done.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// There is none.
    #[error("there is no store at {}; `pipecat-rollout watch` makes one, --store names another", .0.display())]
    Missing(PathBuf),
    /// Another sidecar uses it, perhaps under another name.
    #[error("another sidecar uses the store {}; stop it, or take another file with --store", .0.display())]
    InUse(PathBuf),
    /// It is not what this program can use.
    #[error("the store {} {why}; it was left as it is", path.display())]
    Unusable {
        /// The store.
        path: PathBuf,
        /// What it is instead, and what is to be done.
        why: String,
    },
    /// The file has no longer its name.
    #[error(
        "the store {} was replaced while it was in use, and nothing is written to it; put the \
         former back, or start the sidecar again to go on with what is there now",
        .0.display()
    )]
    Replaced(PathBuf),
    /// The file or its folder cannot be opened or made.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It cannot be read or written.
    #[error("cannot use the store {}", path.display())]
    Failed {
        /// The store.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Whether another start may succeed: with room on the disk, a file system that is there by then, or
    /// after the end of whoever uses it.
    pub(crate) fn may_pass(&self) -> bool {
        use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
        match self {
            Self::InUse(_) | Self::Failed { .. } => true,
            // What is in the way was put there.
            Self::File { source, .. } => {
                !matches!(source.kind(), AlreadyExists | IsADirectory | NotADirectory)
            }
            Self::Missing(_) | Self::Unusable { .. } | Self::Replaced(_) => false,
        }
    }

    /// What an error of the database means.
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::foreign(path),
            Some(ErrorCode::DatabaseCorrupt) => Self::damaged(path, &source.to_string()),
            _ => Self::Failed {
                path: path.to_owned(),
                source,
            },
        }
    }

    pub(super) fn foreign(path: &Path) -> Self {
        Self::unusable(
            path,
            "is not of this program: take another file with --store",
        )
    }

    pub(super) fn damaged(path: &Path, what: &str) -> Self {
        let what = what.replace('\n', " ");
        Self::unusable(
            path,
            format!("is damaged ({what}): put a copy in its place, or move it away to begin anew"),
        )
    }

    pub(super) fn unusable(path: &Path, why: impl Into<String>) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    pub(super) fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            what,
            path: path.to_owned(),
            source,
        }
    }
}
