//! Reads the store beside whoever writes it: the log of events, the history, what waits.
//!
//! Every reading has a connection of its own, so that neither a writer nor another reader holds it up, and
//! a store that was put in the place of another is seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params_from_iter};
use serde::Serialize;

use super::schema::{self, Content};
use super::{StoreError, beside};
use crate::core::fleet::{EventKind, FleetEvent, RolloutSummary, StoredEvent};
use crate::core::rollout::Verdict;

/// How long to wait for another program that holds the whole file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// What an event is made of.
const EVENT: &str = "number, store, kind, at, dedup_key, data";

/// Reads a store.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    path: PathBuf,
}

/// Which events of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventQuery {
    /// Those with a greater number.
    pub(crate) after: u64,
    pub(crate) agent: Option<String>,
    pub(crate) kind: Option<EventKind>,
}

/// Which rollouts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RolloutQuery {
    /// Those of these agents; of all where there are none.
    pub(crate) agents: Vec<String>,
    /// Those that ended with one of these; with any where there are none.
    pub(crate) verdicts: Vec<Verdict>,
    /// Those that ended then or later.
    pub(crate) since: Option<Timestamp>,
    /// Those that ended before.
    pub(crate) until: Option<Timestamp>,
    /// Those with a smaller number.
    pub(crate) before: Option<u64>,
}

/// A part of the events that were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Events {
    pub(crate) found: Vec<StoredEvent>,
    /// Whether there are more.
    pub(crate) more: bool,
    /// How many were left out since they cannot be read.
    pub(crate) unreadable: usize,
}

/// How much there is for a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Events that wait.
    pub(crate) pending: u64,
    /// When the oldest of them was written.
    pub(crate) oldest: Option<Timestamp>,
    /// Events that were given up, and are kept.
    pub(crate) dead_letters: u64,
}

/// An event that was given up, and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetter {
    pub(crate) sink: String,
    pub(crate) agent: String,
    /// The event's number.
    pub(crate) event: u64,
    /// What happened; none where that cannot be known any more.
    pub(crate) kind: Option<String>,
    /// When it was given up.
    pub(crate) at: Option<Timestamp>,
    pub(crate) why: String,
}

impl Reader {
    /// Reads the store that is there, if it is one.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let reader = Self::new(path);
        reader.read(|_| Ok(()))?;
        Ok(reader)
    }

    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Events in the order of their numbers, so many and so many bytes of them at most; the first however
    /// long it is.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "the endpoint of the events comes with the next step"
        )
    )]
    pub(crate) fn events(
        &self,
        query: &EventQuery,
        limit: usize,
        bytes: usize,
    ) -> Result<Events, StoreError> {
        let mut conditions = Conditions::default();
        conditions.add("number > ?", Some(number(query.after)));
        conditions.add("agent = ?", query.agent.clone().map(Value::Text));
        conditions.add("kind = ?", query.kind.map(|kind| text(kind.as_str())));
        let sql = format!("SELECT {EVENT} FROM events{conditions} ORDER BY number");
        self.page(&sql, conditions, limit, bytes)
    }

    /// Rollouts, the latest first, so many and so many bytes of them at most; the first however long it is.
    pub(crate) fn rollouts(
        &self,
        query: &RolloutQuery,
        limit: usize,
        bytes: usize,
    ) -> Result<Events, StoreError> {
        let conditions = Conditions::of_rollouts(query);
        let sql = format!("SELECT {EVENT} FROM events{conditions} ORDER BY number DESC");
        self.page(&sql, conditions, limit, bytes)
    }

    /// What the history counts of rollouts, the latest first; what is long of them is not read.
    pub(crate) fn summaries(
        &self,
        query: &RolloutQuery,
    ) -> Result<Vec<RolloutSummary>, StoreError> {
        let conditions = Conditions::of_rollouts(query);
        let sql = format!(
            "SELECT agent, verdict, started_at, at, elapsed_ms, observed_late
             FROM events{conditions} ORDER BY number DESC"
        );
        self.read(|connection| {
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(conditions.values))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let verdict = word(row.get_ref(1)?.as_str_or_null().ok().flatten());
                let (Some(verdict), Ok(finished_at)) =
                    (verdict, Timestamp::from_microsecond(row.get(3)?))
                else {
                    // Of a version that knows more: the table leaves it out as well, and says so.
                    continue;
                };
                let started_at: Option<i64> = row.get(2)?;
                let elapsed: Option<i64> = row.get(4)?;
                found.push(RolloutSummary {
                    agent: row.get(0)?,
                    verdict,
                    started_at: started_at.and_then(|at| Timestamp::from_microsecond(at).ok()),
                    finished_at,
                    elapsed_ms: elapsed.and_then(|took| took.try_into().ok()),
                    observed_late: row.get(5)?,
                });
            }
            Ok(found)
        })
    }

    /// How much there is for each sink, of those that are configured and of those that once were.
    pub(crate) fn backlogs(&self) -> Result<BTreeMap<String, Backlog>, StoreError> {
        self.read(|connection| {
            let mut backlogs: BTreeMap<String, Backlog> = BTreeMap::new();
            let query = "SELECT sink, count(*), min(written_at) FROM deliveries GROUP BY sink";
            let mut pending = connection.prepare(query)?;
            let mut rows = pending.query([])?;
            while let Some(row) = rows.next()? {
                let backlog = backlogs.entry(row.get(0)?).or_default();
                backlog.pending = row.get::<_, u32>(1)?.into();
                backlog.oldest = Timestamp::from_microsecond(row.get(2)?).ok();
            }
            let query = "SELECT sink, count(*) FROM dead_letters GROUP BY sink";
            let mut dead = connection.prepare(query)?;
            let mut rows = dead.query([])?;
            while let Some(row) = rows.next()? {
                let backlog = backlogs.entry(row.get(0)?).or_default();
                backlog.dead_letters = row.get::<_, u32>(1)?.into();
            }
            Ok(backlogs)
        })
    }

    /// The latest of what was given up, so many at most.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "the endpoint of the events comes with the next step"
        )
    )]
    pub(crate) fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare(
                "SELECT sink, dead_letters.agent, event, kind, dead_at, why
                 FROM dead_letters LEFT JOIN events ON number = event
                 ORDER BY dead_at DESC, event DESC LIMIT ?1",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = query.query_map([limit], |row| {
                Ok(DeadLetter {
                    sink: row.get(0)?,
                    agent: row.get(1)?,
                    event: row.get::<_, i64>(2)?.unsigned_abs(),
                    kind: row.get(3)?,
                    at: Timestamp::from_microsecond(row.get(4)?).ok(),
                    why: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    fn page(
        &self,
        sql: &str,
        conditions: Conditions,
        limit: usize,
        bytes: usize,
    ) -> Result<Events, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query(params_from_iter(conditions.values))?;
            let (mut page, mut size) = (Events::default(), 0);
            while let Some(row) = rows.next()? {
                size += row.get_ref(5)?.as_str().map_or(0, str::len);
                let full = page.found.len() >= limit || (size > bytes && !page.found.is_empty());
                if full {
                    page.more = true;
                    break;
                }
                match event(row) {
                    Ok(event) => page.found.push(event),
                    Err(_) => page.unreadable += 1,
                }
            }
            Ok(page)
        })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if !self.path.exists() {
            return Err(StoreError::Missing(self.path.clone()));
        }
        let connection = self.connect()?;
        read(&connection).map_err(|error| StoreError::of(&self.path, error))
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| StoreError::of(&self.path, error);
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        match schema::check_identity(&connection, &self.path) {
            Ok(Content::Store) => Ok(connection),
            Ok(Content::Nothing) => Err(StoreError::Missing(self.path.clone())),
            Err(StoreError::Failed { source, .. })
                if source.sqlite_error_code() == Some(ErrorCode::CannotOpen) =>
            {
                self.connect_to_copy()
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a store in a folder where nothing can be written, and so by nobody.
    fn connect_to_copy(&self) -> Result<Connection, StoreError> {
        let wal = beside(&self.path, "-wal");
        if wal.metadata().is_ok_and(|found| found.len() > 0) {
            let why = format!(
                "cannot be read where nothing can be written, since not all is in the one file: copy it \
                 together with {} to another folder",
                wal.display()
            );
            return Err(StoreError::unusable(&self.path, why));
        }
        let path = self.path.to_string_lossy();
        let path = path
            .replace('%', "%25")
            .replace('?', "%3f")
            .replace('#', "%23");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let opened = Connection::open_with_flags(format!("file:{path}?immutable=1"), flags);
        let connection = opened.map_err(|error| StoreError::of(&self.path, error))?;
        schema::check_identity(&connection, &self.path)?;
        Ok(connection)
    }
}

/// The event of a row that begins with [`EVENT`], or why it cannot be read.
pub(super) fn event(row: &Row<'_>) -> Result<StoredEvent, String> {
    let read = || -> Result<StoredEvent, Box<dyn std::error::Error>> {
        let kind = row.get_ref(2)?.as_str()?;
        let number: i64 = row.get(0)?;
        Ok(StoredEvent {
            number: number.unsigned_abs(),
            store_id: row.get(1)?,
            event: FleetEvent {
                kind: word(Some(kind)).ok_or_else(|| format!("{kind:?} is no kind of event"))?,
                time: Timestamp::from_microsecond(row.get(3)?)?,
                dedup_key: row.get(4)?,
                data: serde_json::from_str(row.get_ref(5)?.as_str()?)?,
            },
        })
    };
    read().map_err(|error| error.to_string())
}

/// What a word stands for, if it is known.
fn word<T: serde::de::DeserializeOwned>(word: Option<&str>) -> Option<T> {
    serde_json::from_value(word?.into()).ok()
}

/// The conditions of a query, and none but those that there are: `SQLite` chooses the index before it
/// knows the values.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    fn of_rollouts(query: &RolloutQuery) -> Self {
        let at = |at: Timestamp| Value::Integer(at.as_microsecond());
        // By itself SQLite may take the index of all events of an agent, which are many more.
        let index = match query.agents.as_slice() {
            [] => "rollouts",
            _ => "rollouts_by_agent",
        };
        let mut conditions = Self {
            sql: format!(" INDEXED BY {index} WHERE kind = 'rollout.finished'"),
            values: Vec::new(),
        };
        conditions.any("agent", query.agents.iter().map(|agent| text(agent)));
        // In the order of their numbers, until there are enough; not by age, which would have to be sorted.
        conditions.add("+at >= ?", query.since.map(at));
        conditions.add("+at < ?", query.until.map(at));
        conditions.add("number < ?", query.before.map(number));
        let verdicts = query.verdicts.iter();
        conditions.any("verdict", verdicts.map(|verdict| text(verdict.as_str())));
        conditions
    }

    fn add(&mut self, condition: &str, value: Option<Value>) {
        if let Some(value) = value {
            let joint = if self.sql.is_empty() {
                " WHERE"
            } else {
                " AND"
            };
            self.sql.extend([joint, " ", condition]);
            self.values.push(value);
        }
    }

    fn any(&mut self, column: &str, values: impl Iterator<Item = Value>) {
        let before = self.values.len();
        self.values.extend(values);
        let marks = vec!["?"; self.values.len() - before].join(", ");
        if !marks.is_empty() {
            self.sql.extend([" AND ", column, " IN (", &marks, ")"]);
        }
    }
}

impl std::fmt::Display for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sql)
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
