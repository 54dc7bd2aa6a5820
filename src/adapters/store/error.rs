//! Why a store cannot be used, and what mends it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// There is none.
    #[error("there is no store at {}; `pipecat-rollout watch` makes one, --store names another", path.display())]
    Missing {
        /// Where it was to be.
        path: PathBuf,
    },
    /// Its folder cannot be made.
    #[error("cannot make the store's folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its file cannot be opened or made.
    #[error("cannot open {} for writing", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another sidecar uses it.
    #[error("another sidecar uses the store {}; stop it, or take another file with --store", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a store of this program, and was left as it is; take another file with --store", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of the program has written it.
    #[error(
        "the store {} is of a newer version (schema {theirs}; this program knows {ours}), and was left as it is; run the newer program, or take another file with --store",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema.
        theirs: i64,
        /// The latest schema that is known here.
        ours: i64,
    },
    /// An older version of the program has written it, and only a sidecar brings it up to date.
    #[error(
        "the store {} is of an older version (schema {theirs} of {ours}); `pipecat-rollout watch` brings it up to date",
        path.display()
    )]
    Older {
        /// The store.
        path: PathBuf,
        /// Its schema.
        theirs: i64,
        /// The present schema.
        ours: i64,
    },
    /// It is damaged.
    #[error(
        "the store {} is damaged ({what}), and was left as it is; put a copy in its place, or move it away to begin anew",
        path.display()
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What shows it.
        what: String,
    },
    /// A record in it makes no sense.
    #[error("the store {} holds a record that makes no sense", path.display())]
    Record {
        /// The store.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// There is no room left on its disk.
    #[error("the disk of the store {} is full", path.display())]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("the store {} cannot be used", path.display())]
    Failed {
        /// The store.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Whether another start may find it mended: by room on the disk, a file system that is there by
    /// then, the end of who uses it. A store that cannot be read for what it is stays so.
    #[must_use]
    pub(crate) fn may_pass(&self) -> bool {
        use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
        match self {
            Self::InUse { .. } | Self::Full { .. } | Self::Failed { .. } => true,
            // What is in the way was put there.
            Self::Folder { source, .. } | Self::Unusable { source, .. } => {
                !matches!(source.kind(), AlreadyExists | IsADirectory | NotADirectory)
            }
            Self::Missing { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Damaged { .. }
            | Self::Record { .. } => false,
        }
    }

    /// What an error of the database means.
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                what: source.to_string(),
            },
            _ => Self::Failed { path, source },
        }
    }
}
