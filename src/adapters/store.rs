//! What is kept from one start of the sidecar to the next, in one file: agents as they stand, the
//! history of rollouts, and what is still to be delivered.
//!
//! It is `SQLite`, with a write-ahead log that is synced with every commit: what has been applied
//! survives a crash of the program and of the machine.

mod error;
mod history;
mod outbox;
mod schema;

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

pub(crate) use self::error::StoreError;
pub(crate) use self::history::{RolloutQuery, Rollouts};
pub(crate) use self::outbox::{Backlog, Waiting};
use crate::core::fleet::{AgentRecord, Change, Notice};

/// How long to wait for somebody who reads, or copies, the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store, open.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    path: PathBuf,
    /// Held as long as the store is open for writing: one sidecar a file.
    _lock: Option<File>,
}

impl Store {
    /// Opens the store for a sidecar, and makes it if there is none.
    ///
    /// # Errors
    /// When it is in use, damaged, of a newer version or of another program, or cannot be written.
    /// Nothing is changed in it then.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        make_folder(path)?;
        let lock = lock(path)?;
        // SQLite gives its other files the rights of this one, where it makes them.
        drop(private(path).map_err(unusable(path))?);
        let mut store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, Some(lock))?;
        store.check_identity()?;
        store.check_health()?;
        store.prepare()?;
        store.mend_queues()?;
        // A link's other files are beside what it leads to.
        let real = path.canonicalize().map_err(unusable(path))?;
        for file in ["", "-wal", "-shm"].map(|suffix| beside(&real, suffix)) {
            keep_private(&file).map_err(unusable(&file))?;
        }
        Ok(store)
    }

    /// Opens the store for reading, also while a sidecar uses it.
    ///
    /// # Errors
    /// When there is none, or it is damaged, of another version or of another program.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing {
                path: path.to_owned(),
            });
        }
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, None)?;
        store.check_identity()?;
        store.check_is_current()?;
        Ok(store)
    }

    fn connect(path: &Path, flags: OpenFlags, lock: Option<File>) -> Result<Self, StoreError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| StoreError::of(path, error);
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The agents as they stood last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn agents(&self) -> Result<Vec<AgentRecord>, StoreError> {
        let rows = self.read(|connection| {
            let mut query = connection.prepare("SELECT record FROM agents ORDER BY name")?;
            let rows = query.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        })?;
        rows.iter().map(|text| self.record(text)).collect()
    }

    /// Writes down what has happened at `now`, and for which sinks its notices wait: all of it, or
    /// nothing. It tells, notice by notice, which were not known already.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing has changed.
    pub(crate) fn apply<'sinks>(
        &mut self,
        now: Timestamp,
        change: &Change,
        sinks_of: impl Fn(&Notice) -> Vec<&'sinks str>,
    ) -> Result<Vec<bool>, StoreError> {
        self.write(|transaction| {
            for name in &change.removed {
                transaction.execute("DELETE FROM agents WHERE name = ?1", [name])?;
            }
            for agent in &change.agents {
                transaction.execute(
                    "INSERT OR REPLACE INTO agents (name, record) VALUES (?1, ?2)",
                    params![agent.name, json(agent)],
                )?;
            }
            for rollout in &change.rollouts {
                history::insert(transaction, rollout)?;
            }
            let notices = change.notices.iter();
            notices
                .map(|notice| outbox::insert(transaction, now, notice, &sinks_of(notice)))
                .collect()
        })
    }

    /// Writes down that the sidecar is alive at `now`, which shows whether the store can be written.
    ///
    /// # Errors
    /// When it cannot.
    pub(crate) fn touch(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO facts (key, value) VALUES ('alive_at', ?1)",
                [now.as_microsecond()],
            )
        })?;
        Ok(())
    }

    /// When a sidecar was alive last; none where this is the first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn alive_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = "SELECT max(value) FROM facts WHERE key = 'alive_at'";
        let at: Option<i64> = self.read(|file| file.query_row(query, [], |row| row.get(0)))?;
        Ok(at.and_then(|at| Timestamp::from_microsecond(at).ok()))
    }

    /// Takes out what ended, or was given up on, before this moment.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing has changed.
    pub(crate) fn prune(&mut self, before: Timestamp) -> Result<(), StoreError> {
        let before = before.as_microsecond();
        self.write(|transaction| {
            transaction.execute("DELETE FROM rollouts WHERE finished_at < ?1", [before])?;
            transaction.execute("DELETE FROM outbox WHERE given_up_at < ?1", [before])?;
            transaction.execute(
                "DELETE FROM events WHERE at < ?1
                 AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.event = events.number)",
                [before],
            )
        })?;
        Ok(())
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        query(&self.connection).map_err(|error| StoreError::of(&self.path, error))
    }

    /// Writes all of it, or nothing.
    fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let behavior = TransactionBehavior::Immediate;
        let written = self
            .connection
            .transaction_with_behavior(behavior)
            .and_then(|transaction| {
                let changed = change(&transaction)?;
                transaction.commit()?;
                Ok(changed)
            });
        written.map_err(|error| StoreError::of(&self.path, error))
    }

    fn record<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|source| StoreError::Record {
            path: self.path.clone(),
            source,
        })
    }
}

/// A record as it is kept.
fn json(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("records have text for keys and cannot fail otherwise")
}

/// The folder of the store, for nobody else where it has to be made.
fn make_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    else {
        return Ok(());
    };
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|source| StoreError::Folder {
        path: folder.to_owned(),
        source,
    })
}

/// Makes sure that no other sidecar uses the store. The lock is a file beside it, since closing any
/// handle of the store itself would let go of `SQLite`'s own locks.
fn lock(path: &Path) -> Result<File, StoreError> {
    let beside = beside(path, ".lock");
    let file = private(&beside).map_err(unusable(&beside))?;
    keep_private(&beside).map_err(unusable(&beside))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(unusable(&beside)(source)),
    }
}

/// The file that is named as the store, and more.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    PathBuf::from(beside)
}

/// Opens a file, which nobody else can read where it has to be made.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Takes from others what a file lets them do that was made by something else, a copy for example.
/// One that belongs to somebody else stays as it is: its owner decides.
fn keep_private(path: &Path) -> io::Result<()> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let others = found.permissions().mode() & 0o077;
    if others == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(0o600)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Unusable {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
