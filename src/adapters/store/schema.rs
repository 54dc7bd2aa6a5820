//! The tables, how they came to be, and what a file has to be like to be a store.

use rusqlite::Connection;

use super::{Store, StoreError};

/// Marks the file as a store of this program (`PRAGMA application_id`).
const APPLICATION: i64 = 0x7063_726f;
/// What leads from each version of the schema to the next, from none at all on.
///
/// `number`s are never given twice. Moments are microseconds since 1970. `next_at` is set for the
/// first notice that waits for a sink about an agent, and for no other: the others wait for that.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE facts (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
    CREATE TABLE agents (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE rollouts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        agent TEXT NOT NULL,
        deployment TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        finished_at INTEGER NOT NULL,
        record TEXT NOT NULL,
        UNIQUE (agent, deployment, started_at)
    ) STRICT;
    CREATE INDEX rollouts_by_end ON rollouts (finished_at);
    CREATE TABLE events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        at INTEGER NOT NULL,
        notice TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_by_time ON events (at);
    CREATE TABLE outbox (
        sink TEXT NOT NULL,
        event INTEGER NOT NULL REFERENCES events (number),
        agent TEXT NOT NULL,
        written_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER,
        given_up_at INTEGER,
        why TEXT,
        PRIMARY KEY (sink, event)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX outbox_order ON outbox (sink, agent, event) WHERE given_up_at IS NULL;
    CREATE INDEX outbox_due ON outbox (sink, next_at) WHERE next_at IS NOT NULL;
    CREATE INDEX outbox_given_up ON outbox (sink, given_up_at) WHERE given_up_at IS NOT NULL;
    CREATE INDEX outbox_of_event ON outbox (event);
",
    // By agent and, as every index, by number after that.
    "CREATE INDEX rollouts_by_agent ON rollouts (agent);",
];

impl Store {
    /// Makes sure that the file is empty, or a store that this version knows.
    pub(super) fn check_identity(&self) -> Result<(), StoreError> {
        let path = || self.path.clone();
        let read = |query| self.read(|file| file.query_row(query, [], |row| row.get::<_, i64>(0)));
        let tables = read("SELECT count(*) FROM sqlite_schema")?;
        let application = read("PRAGMA application_id")?;
        if application != APPLICATION && (tables > 0 || application != 0) {
            return Err(StoreError::Foreign { path: path() });
        }
        let version = read("PRAGMA user_version")?;
        if version > latest() {
            return Err(StoreError::Newer {
                path: path(),
                theirs: version,
                ours: latest(),
            });
        }
        Ok(())
    }

    /// Makes sure that nothing has to be brought up to date before the store can be read.
    pub(super) fn check_is_current(&self) -> Result<(), StoreError> {
        let theirs = self.read(version)?;
        if theirs < latest() {
            return Err(StoreError::Older {
                path: self.path.clone(),
                theirs,
                ours: latest(),
            });
        }
        Ok(())
    }

    /// Makes sure that no page of the file is damaged.
    pub(super) fn check_health(&self) -> Result<(), StoreError> {
        let query = "PRAGMA quick_check(1)";
        let what: String = self.read(|file| file.query_row(query, [], |row| row.get(0)))?;
        if what == "ok" {
            return Ok(());
        }
        Err(StoreError::Damaged {
            path: self.path.clone(),
            what: what.replace('\n', " "),
        })
    }

    /// Sets the file up for writing, and brings its tables up to date.
    pub(super) fn prepare(&mut self) -> Result<(), StoreError> {
        self.read(|file| {
            // Where the file system cannot have it, SQLite stays with the safe slower way.
            let _: String = file.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
            file.execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
                 PRAGMA journal_size_limit = 16777216;",
            )
        })?;
        let migrated = migrate(&mut self.connection, &MIGRATIONS);
        migrated.map_err(|error| StoreError::of(&self.path, error))
    }
}

/// Takes the steps that are still to be taken, each whole or not at all.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let done = usize::try_from(version(connection)?).unwrap_or(0);
    for (place, migration) in migrations.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {};",
            place + 1
        ))?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The latest version of the schema.
fn latest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_once_and_a_step_that_fails_leaves_no_trace() {
        let mut connection = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE one (a INTEGER); INSERT INTO one VALUES (1);";
        let second = "INSERT INTO one VALUES (2); INSERT INTO nowhere VALUES (3);";
        let mended = "INSERT INTO one VALUES (2);";
        let sum = |connection: &Connection| -> i64 {
            connection
                .query_row("SELECT sum(a) FROM one", [], |row| row.get(0))
                .unwrap()
        };
        migrate(&mut connection, &[first]).unwrap();
        assert!(migrate(&mut connection, &[first, second]).is_err());
        assert_eq!((sum(&connection), version(&connection).unwrap()), (1, 1));
        migrate(&mut connection, &[first, mended]).unwrap();
        migrate(&mut connection, &[first, mended]).unwrap();
        assert_eq!((sum(&connection), version(&connection).unwrap()), (3, 2));
    }
}
