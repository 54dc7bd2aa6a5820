//! What is kept from one start of the sidecar to the next, in one file: the log of events, a record of
//! each agent, and what is still to be delivered.
//!
//! It is `SQLite`, with a write-ahead log that is synced with every commit: what has been applied
//! survives a crash of the program and of the machine.

mod dead_letters;
mod error;
mod queue;
mod queues;
mod reader;
mod rollouts;
mod route;
mod schema;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

pub(crate) use self::error::StoreError;
pub(crate) use self::queues::{Delivery, Due, Outcome, Settled, Unreadable};
pub(crate) use self::reader::{DeadLetter, EventQuery, Reader, RolloutQuery};
pub(crate) use self::rollouts::EventDelivery;
pub(crate) use self::route::{Route, Target};
use crate::core::fleet::{AgentRecord, Change, EventKind, FleetEvent, IncidentChange, StoredEvent};
use crate::core::rollout::Verdict;

/// How long to wait for another program that holds the file. Everything that is written waits for that, one
/// after another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How often, and how soon again, the file is tried to be locked: a program that is just being started by whoever
/// had the lock holds it for a moment, until it is that program.
const LOCK_TRIES: u32 = 10;
const LOCK_AGAIN: Duration = Duration::from_millis(20);
/// What the keys of facts begin with that are incidents of the sidecar itself.
const INCIDENT: &str = "incident ";
/// The key of that of the store; what its marker beside the store is called.
const STORE_INCIDENT: &str = "store";
const FAILING: &str = "-failing";
/// How many pages are given back to the file system at once.
const FREED_PAGES: u32 = 20_000;

/// The store, open for writing.
#[derive(Debug)]
pub(crate) struct Store {
    // The fields are dropped in this order: closing any handle of the file would take from SQLite the
    // locks that it still needs.
    connection: Connection,
    /// Locked as long as the store is open: one sidecar a file, under whichever name.
    file: File,
    path: PathBuf,
    /// What the ids of the events of this opening begin with. It is another at every opening, so that
    /// no copy of the file, and none that was put back, gives an id twice.
    id: String,
}

/// The agents that are remembered.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Agents {
    pub(crate) records: Vec<AgentRecord>,
    /// The names of those whose record cannot be read, by a version as old as this for example.
    pub(crate) unreadable: Vec<String>,
}

impl Store {
    /// Opens the store for a sidecar, and makes it if there is none. One that cannot be used is left as
    /// it is.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(folder);
            made.map_err(|error| StoreError::file("make the folder", folder, error))?;
        }
        let file = private(path).map_err(|error| StoreError::file("open", path, error))?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Self::open_locked(path, file),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_AGAIN),
                Err(TryLockError::Error(error)) => {
                    return Err(StoreError::file("lock", path, error));
                }
            }
        }
        Err(StoreError::InUse(path.to_owned()))
    }

    fn open_locked(path: &Path, file: File) -> Result<Self, StoreError> {
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, BUSY_TIMEOUT)?;
        schema::check(&connection, path)?;
        let id = schema::prepare(&mut connection).map_err(|error| StoreError::of(path, error))?;
        // A copy, for example, may have been readable for others; what belongs to somebody else stays.
        if let Ok(real) = path.canonicalize() {
            for file in ["", "-wal", "-shm"].map(|suffix| beside(&real, suffix)) {
                let _ = fs::set_permissions(file, Permissions::from_mode(0o600));
            }
        }
        Ok(Self {
            connection,
            file,
            path: path.to_owned(),
            id,
        })
    }

    /// Reads the same store, without waiting for what is being written.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(&self.path)
    }

    /// The agents that are remembered.
    pub(crate) fn agents(&self) -> Result<Agents, StoreError> {
        self.read(|connection| {
            let mut agents = Agents::default();
            let mut query = connection.prepare("SELECT name, record FROM agents ORDER BY name")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let record = row.get_ref(1)?.as_str().ok();
                match record.and_then(|record| serde_json::from_str(record).ok()) {
                    Some(record) => agents.records.push(record),
                    None => agents.unreadable.push(row.get(0)?),
                }
            }
            Ok(agents)
        })
    }

    /// Writes what changed at `now`, and for which sinks its events wait: all of it, or nothing. Gives
    /// the events with their numbers.
    pub(crate) fn apply<'sinks>(
        &mut self,
        now: Timestamp,
        change: &Change,
        route: impl Fn(&FleetEvent) -> Route<'sinks>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let id = self.id.clone();
        let stored = self.write(|transaction| {
            let mut put = transaction
                .prepare("INSERT OR REPLACE INTO agents (name, record) VALUES (?1, ?2)")?;
            let mut delete = transaction.prepare("DELETE FROM agents WHERE name = ?1")?;
            for (name, agent) in &change.agents {
                match agent {
                    Some(record) => put.execute(params![name, json(record)])?,
                    None => delete.execute([name])?,
                };
            }
            let mut insert = transaction.prepare(
                "INSERT INTO events (store, agent, kind, at, dedup_key, verdict, started_at,
                                     elapsed_ms, observed_late, data)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            let mut stored = Vec::with_capacity(change.events.len());
            for event in &change.events {
                let data = &event.data;
                insert.execute(params![
                    id,
                    data.agent,
                    event.kind.as_str(),
                    event.time.as_microsecond(),
                    event.dedup_key,
                    data.verdict.map(Verdict::as_str),
                    data.started_at.map(Timestamp::as_microsecond),
                    data.elapsed_ms.and_then(|took| i64::try_from(took).ok()),
                    data.observed_late,
                    json(data),
                ])?;
                let number = transaction.last_insert_rowid();
                route::send(transaction, now, number, event, &route(event))?;
                if data.agent.is_empty() {
                    note_incident(transaction, event)?;
                }
                stored.push(StoredEvent {
                    number: number.unsigned_abs(),
                    store_id: id.clone(),
                    event: event.clone(),
                });
            }
            Ok(stored)
        })?;
        let is_over = |event: &FleetEvent| event.kind == EventKind::StoreRecovered;
        if change.events.iter().any(is_over) {
            let _ = fs::remove_file(beside(&self.path, FAILING));
        }
        Ok(stored)
    }

    /// What was reported as wrong with the sidecar itself and is not over: `dedupkey` of the events, each with
    /// when that began.
    pub(crate) fn own_incidents(&self) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare("SELECT key, value FROM facts WHERE key > ?1")?;
            let rows = query.query_map([INCIDENT], |row| {
                Ok((row.get::<_, String>(0)?, reader::moment(row.get(1)?)))
            })?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter();
            let own =
                rows.filter_map(|(key, at)| Some((key.strip_prefix(INCIDENT)?.to_owned(), at)));
            let marker = fs::metadata(beside(&self.path, FAILING)).and_then(|it| it.modified());
            let failing = marker.ok().and_then(|at| {
                let since = at.duration_since(UNIX_EPOCH).ok()?.as_micros();
                Timestamp::from_microsecond(since.try_into().ok()?).ok()
            });
            let failing = failing.map(|since| (STORE_INCIDENT.to_owned(), since));
            Ok(own.chain(failing).collect())
        })
    }

    /// Notes that it was reported that the store cannot be written since a moment: in the time of an empty file beside
    /// it, which a full disk has room for.
    pub(crate) fn mark_failing(&self, since: Timestamp) -> Result<(), StoreError> {
        let path = beside(&self.path, FAILING);
        let marked = private(&path).and_then(|file| {
            file.set_modified(
                UNIX_EPOCH + Duration::from_micros(since.as_microsecond().unsigned_abs()),
            )
        });
        marked.map_err(|error| StoreError::file("mark as failing", &self.path, error))
    }

    /// Writes that the sidecar is alive at `now`, which shows whether the store can be written.
    pub(crate) fn touch(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO facts (key, value) VALUES ('alive_at', ?1)",
                [now.as_microsecond()],
            )?;
            queues::pull_in_retries(transaction, now)
        })
    }

    /// When a sidecar was alive last; none where this is the first.
    pub(crate) fn alive_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = "SELECT max(value) FROM facts WHERE key = 'alive_at'";
        let at: Option<i64> = self.read(|file| file.query_row(query, [], |row| row.get(0)))?;
        Ok(at.and_then(|at| Timestamp::from_microsecond(at).ok()))
    }

    /// Deletes what is older than `keep`, and gives the room back; what waits to be delivered stays, and
    /// dead letters as long as anything.
    ///
    /// Age is counted from the latest event: a clock that is wrong makes nothing old by itself.
    pub(crate) fn prune(&mut self, now: Timestamp, keep: Duration) -> Result<(), StoreError> {
        let keep = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
        self.write(|transaction| {
            let latest: Option<i64> =
                transaction.query_row("SELECT max(at) FROM events", [], |row| row.get(0))?;
            let Some(latest) = latest else { return Ok(()) };
            let before = latest.min(now.as_microsecond()).saturating_sub(keep);
            transaction.execute("DELETE FROM dead_letters WHERE dead_at < ?1", [before])?;
            transaction.execute(
                "DELETE FROM events WHERE at < ?1
                 AND number NOT IN (SELECT event FROM deliveries)
                 AND number NOT IN (SELECT event FROM muted)
                 AND number NOT IN (SELECT event FROM dead_letters)",
                [before],
            )?;
            let delivered = "DELETE FROM delivered WHERE event < (SELECT min(number) FROM events)";
            transaction.execute(delivered, []).map(drop)
        })?;
        self.read(|connection| {
            let mut vacuum =
                connection.prepare(&format!("PRAGMA incremental_vacuum({FREED_PAGES})"))?;
            let mut freed = vacuum.query([])?;
            while freed.next()?.is_some() {}
            Ok(())
        })
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        query(&self.connection).map_err(|error| StoreError::of(&self.path, error))
    }

    fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.check_place()?;
        write(&mut self.connection, &self.path, change)
    }

    /// Makes sure that what is written goes where it will be looked for: `SQLite` would go on with a file
    /// that has no name any more.
    pub(crate) fn check_place(&mut self) -> Result<(), StoreError> {
        let place = |found: &fs::Metadata| (found.dev(), found.ino());
        let failed = |error| StoreError::file("look for", &self.path, error);
        let own = self.file.metadata().map_err(failed)?;
        match fs::metadata(&self.path) {
            Ok(found) if place(&found) == place(&own) => Ok(()),
            Ok(_) => Err(StoreError::Replaced(self.path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.restore_deleted(),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes a store that was deleted anew, with all that was in it: the open file still has it.
    fn restore_deleted(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let failed = |error| StoreError::file("restore the deleted", &path, error);
        let file = private(&path).map_err(failed)?;
        file.try_lock().map_err(|error| failed(error.into()))?;
        let name = path.to_string_lossy();
        self.read(|connection| connection.execute("VACUUM INTO ?1", [name]).map(drop))?;
        // The index of the log is still mapped: the new file needs one of its own.
        let real = path.canonicalize().map_err(failed)?;
        let _ = fs::remove_file(beside(&real, "-shm"));
        let id = self.id.clone();
        *self = Self {
            id,
            ..Self::open_locked(&path, file)?
        };
        tracing::warn!(
            "the store {} was deleted while it was in use, and has been made again: nothing is lost",
            path.display()
        );
        Ok(())
    }
}

/// Opens a file of SQLite, and waits for so long where another program holds it.
fn connect(path: &Path, flags: OpenFlags, busy: Duration) -> Result<Connection, StoreError> {
    let opened = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = opened.and_then(|connection| {
        connection.busy_timeout(busy)?;
        Ok(connection)
    });
    connection.map_err(|error| StoreError::of(path, error))
}

/// Writes all of it, or nothing.
fn write<T>(
    connection: &mut Connection,
    path: &Path,
    change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let written = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(|transaction| {
            let changed = change(&transaction)?;
            transaction.commit()?;
            Ok(changed)
        });
    written.map_err(|error| StoreError::of(path, error))
}

/// Keeps what an event about the sidecar itself opens, until another closes it.
fn note_incident(transaction: &Transaction<'_>, event: &FleetEvent) -> rusqlite::Result<()> {
    let key = format!("{INCIDENT}{}", event.dedup_key);
    let noted = match event.incident() {
        Some(IncidentChange::Opens) => transaction.execute(
            "INSERT OR IGNORE INTO facts (key, value) VALUES (?1, ?2)",
            params![
                key,
                event.data.started_at.unwrap_or(event.time).as_microsecond()
            ],
        ),
        Some(IncidentChange::Closes) => {
            transaction.execute("DELETE FROM facts WHERE key = ?1", [key])
        }
        None => Ok(0),
    };
    noted.map(drop)
}

/// A record as it is kept.
fn json(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("records have text for keys and cannot fail otherwise")
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

#[cfg(test)]
mod tests;
