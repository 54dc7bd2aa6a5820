//! The tables, and what a file has to be like to be a store.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// Marks the file as a store of this program (`PRAGMA application_id`).
const APPLICATION: i64 = 0x7063_726f;
/// The version of the tables (`PRAGMA user_version`).
const VERSION: i64 = 3;
/// Moments are microseconds since 1970.
///
/// An event's number is never given twice, also when the latest was deleted. What the history counts
/// stands before `data`, which may be long, and in an index of its own.
///
/// A queue is what waits for a sink about an agent, in the order of the events. Only its first may be
/// delivered: `next_at`, `attempts` and `rank` are about that. `urgent_until` is the last event of a queue
/// that must not wait behind what other agents have to say.
///
/// `opened` has the sinks that are sent what closes an incident for the only reason that they were sent what
/// opened it. `muted` has the latest event that opened it where no sink was sent that.
const TABLES: &str = "
    CREATE TABLE facts (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
    CREATE TABLE agents (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        store TEXT NOT NULL,
        agent TEXT NOT NULL,
        kind TEXT NOT NULL,
        at INTEGER NOT NULL,
        dedup_key TEXT NOT NULL,
        verdict TEXT,
        started_at INTEGER,
        elapsed_ms INTEGER,
        observed_late INTEGER NOT NULL,
        data TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_by_age ON events (at);
    CREATE INDEX events_by_agent ON events (agent, number);
    CREATE INDEX rollouts ON events (number, agent, at, verdict, started_at, elapsed_ms, observed_late)
        WHERE kind = 'rollout.finished';
    CREATE INDEX rollouts_by_agent ON events (agent, number, at, verdict, started_at, elapsed_ms, observed_late)
        WHERE kind = 'rollout.finished';
    CREATE TABLE queues (
        sink TEXT NOT NULL,
        agent TEXT NOT NULL,
        rank INTEGER NOT NULL,
        next_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        urgent_until INTEGER NOT NULL,
        PRIMARY KEY (sink, agent)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX queues_in_turn ON queues (sink, rank, next_at);
    CREATE TABLE deliveries (
        sink TEXT NOT NULL,
        agent TEXT NOT NULL,
        event INTEGER NOT NULL,
        written_at INTEGER NOT NULL,
        PRIMARY KEY (sink, agent, event)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE delivered (
        event INTEGER NOT NULL,
        sink TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (event, sink)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE opened (
        dedup_key TEXT NOT NULL,
        sink TEXT NOT NULL,
        PRIMARY KEY (dedup_key, sink)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE muted (dedup_key TEXT PRIMARY KEY, event INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE dead_letters (
        sink TEXT NOT NULL,
        event INTEGER NOT NULL,
        agent TEXT NOT NULL,
        written_at INTEGER NOT NULL,
        dead_at INTEGER NOT NULL,
        why TEXT NOT NULL,
        PRIMARY KEY (sink, event)
    ) STRICT, WITHOUT ROWID;
";

/// Makes sure that the file is empty, or an undamaged store that this version knows.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    if !is_store(connection, path)? {
        return Ok(());
    }
    let query = "PRAGMA quick_check(1)";
    let found: rusqlite::Result<String> = connection.query_row(query, [], |row| row.get(0));
    match found.map_err(|error| StoreError::of(path, error))? {
        found if found == "ok" => Ok(()),
        found => Err(StoreError::damaged(path, &found)),
    }
}

/// Whether the file is a store that this version knows; if it is not, it is empty.
pub(super) fn is_store(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let read = |query| {
        let read = connection.query_row(query, [], |row| row.get::<_, i64>(0));
        read.map_err(|error| StoreError::of(path, error))
    };
    let tables = read("SELECT count(*) FROM sqlite_schema")?;
    match (read("PRAGMA application_id")?, read("PRAGMA user_version")?) {
        (0, 0) if tables == 0 => Ok(false),
        (APPLICATION, VERSION) => Ok(true),
        (APPLICATION, version) => Err(StoreError::unusable(
            path,
            format!(
                "is of another version (schema {version}; this program knows {VERSION}): run the program that \
                 has written it, or take another file with --store"
            ),
        )),
        _ => Err(StoreError::foreign(path)),
    }
}

/// Sets the file up for writing, and makes its tables if there are none. Gives an id that was never given.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<String> {
    // This has an effect before there are tables only.
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    // Where the file system cannot have it, SQLite stays with the safe slower way.
    let _: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216;")?;
    let transaction = connection.transaction()?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    connection.query_row("SELECT lower(hex(randomblob(4)))", [], |row| row.get(0))
}
