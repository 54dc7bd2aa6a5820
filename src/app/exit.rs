//! Exit codes: one exhaustive match.

use crate::app::error::Error;
use crate::core::rollout::{Report, Verdict};

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With verdicts, which were reported in full.
    Judged(Report),
    /// With verdicts, but stdout or one of the files could not be written.
    Unreported(Report),
    /// With nothing to judge.
    Done,
    /// With a pass of the sidecar that came to nothing.
    PassFailed { verdict: Verdict, why: String },
    /// With an error.
    Failed(Error),
}

impl Ending {
    /// What was judged, if anything was.
    pub(crate) fn verdicts(&self) -> Option<&Report> {
        match self {
            Ending::Judged(report) | Ending::Unreported(report) => Some(report),
            Ending::Done | Ending::PassFailed { .. } | Ending::Failed(_) => None,
        }
    }
}

/// The exit code of a command that ended so.
pub(crate) fn code(ending: &Ending) -> u8 {
    const INTERNAL: u8 = 1;
    const USAGE: u8 = 2;
    match ending {
        // Success is only claimed where its proof could be handed over.
        Ending::Unreported(report) if report.exit_code == 0 => INTERNAL,
        Ending::Judged(report) | Ending::Unreported(report) => report.exit_code,
        Ending::Done => 0,
        Ending::PassFailed { verdict, .. } => verdict.exit_code(),
        Ending::Failed(error) => match error {
            // A retry may help: a supervisor is to try again.
            Error::Store(error) if error.may_pass() => INTERNAL,
            Error::Http(error) if error.may_pass() => INTERNAL,
            Error::Usage(_) | Error::Store(_) | Error::Http(_) => USAGE,
            Error::Unsaved(_)
            | Error::SinkFailed(_)
            | Error::Unhealthy(_)
            | Error::Print(_)
            | Error::Setup(_)
            | Error::Lost => INTERNAL,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use anyhow::anyhow;

    use super::*;
    use crate::adapters::output::samples::{failed, ready};
    use crate::adapters::store::StoreError;
    use crate::app::watch::http::HttpError;

    #[test]
    fn every_ending_has_the_contracts_code() {
        let good = || Report::new(vec![ready("good")]);
        let bad = || Report::new(vec![ready("good"), failed("bad", "why")]);
        for (ending, expected) in [
            (Ending::Judged(good()), 0),
            (Ending::Judged(bad()), 10),
            (Ending::Unreported(good()), 1),
            (Ending::Unreported(bad()), 10),
            (Ending::Done, 0),
            (
                Ending::PassFailed {
                    verdict: Verdict::Unauthorized,
                    why: "no".to_owned(),
                },
                3,
            ),
            (Ending::Failed(anyhow!("no such agent").into()), 2),
            (Ending::Failed(Error::Lost), 1),
            (Ending::Failed(Error::Unsaved("1 event".to_owned())), 1),
        ] {
            assert_eq!(code(&ending), expected, "{ending:?}");
        }
    }

    #[test]
    fn a_store_or_address_that_a_retry_may_get_is_no_wrong_usage() {
        let path = || "store.db".into();
        let file = |kind: ErrorKind| {
            let (path, source) = (path(), io::Error::from(kind));
            Error::Store(StoreError::File {
                what: "open",
                path,
                source,
            })
        };
        let sqlite = |code: i32| {
            let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            Error::Store(StoreError::of("store.db".as_ref(), source))
        };
        let bind = |kind: ErrorKind| {
            let (address, source) = (([192, 0, 2, 1], 80).into(), io::Error::from(kind));
            Error::Http(HttpError::Bind { address, source })
        };
        for (error, expected) in [
            (Error::Store(StoreError::InUse(path())), 1),
            (sqlite(rusqlite::ffi::SQLITE_FULL), 1),
            (sqlite(rusqlite::ffi::SQLITE_BUSY), 1),
            (sqlite(rusqlite::ffi::SQLITE_IOERR), 1),
            (sqlite(rusqlite::ffi::SQLITE_CANTOPEN), 1),
            (sqlite(rusqlite::ffi::SQLITE_READONLY), 1),
            (sqlite(rusqlite::ffi::SQLITE_CORRUPT), 2),
            (sqlite(rusqlite::ffi::SQLITE_NOTADB), 2),
            (file(ErrorKind::StorageFull), 1),
            (file(ErrorKind::PermissionDenied), 1),
            (file(ErrorKind::IsADirectory), 2),
            (file(ErrorKind::ReadOnlyFilesystem), 1),
            (file(ErrorKind::NotADirectory), 2),
            (file(ErrorKind::AlreadyExists), 2),
            (Error::Store(StoreError::Missing(path())), 2),
            (
                Error::Http(HttpError::Taken(([127, 0, 0, 1], 9464).into())),
                1,
            ),
            (bind(ErrorKind::AddrNotAvailable), 1),
            (bind(ErrorKind::PermissionDenied), 2),
        ] {
            let ending = Ending::Failed(error);
            assert_eq!(code(&ending), expected, "{ending:?}");
        }
    }
}
