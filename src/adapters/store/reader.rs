//! Reads the store beside whoever writes it: the log of events, the history, what waits.
//!
//! Every reading has a connection of its own, so that neither a writer nor another reader holds it up, and
//! a store that was put in the place of another is seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, json, schema};
use crate::core::fleet::{Backlog, EventKind, FleetEvent, RolloutSummary, StoredEvent};
use crate::core::rollout::Verdict;

/// How long to wait for another program that holds the whole file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

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

/// An event that was given up, and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetter {
    pub(crate) sink: String,
    pub(crate) agent: String,
    /// The event's number.
    pub(crate) event: u64,
    /// What happened; none where that cannot be known any more.
    pub(crate) kind: Option<String>,
    /// When it was given up.
    #[cfg_attr(test, schemars(with = "crate::core::tests::schema::Time"))]
    pub(crate) at: Timestamp,
    pub(crate) why: String,
}

impl Events {
    /// The number after which the next part goes on, if there is one.
    pub(crate) fn next(&self) -> Option<u64> {
        let last = self.found.last().filter(|_| self.more);
        last.map(|event| event.number)
    }
}

impl Reader {
    /// Reads the store that is there, if it is one.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let reader = Self::new(path);
        reader.read(|_| Ok(()))?;
        Ok(reader)
    }

    pub(super) fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self { path }
    }

    /// Events in the order of their numbers, so many and so many bytes of them at most; the first however
    /// long it is.
    pub(crate) fn events(
        &self,
        query: &EventQuery,
        limit: usize,
        bytes: usize,
    ) -> Result<Events, StoreError> {
        let wanted = (
            integer(query.after),
            &query.agent,
            query.kind.map(EventKind::as_str),
            integer(limit).saturating_add(1),
        );
        let numbers = "SELECT number FROM events
            WHERE number > ?1 AND (?2 IS NULL OR agent = ?2) AND (?3 IS NULL OR kind = ?3)
            ORDER BY number LIMIT ?4";
        self.read(|connection| page(connection, numbers, wanted, limit, bytes))
    }

    /// Rollouts, the latest first, so many and so many bytes of them at most; the first however long it is.
    pub(crate) fn rollouts(
        &self,
        query: &RolloutQuery,
        limit: usize,
        bytes: usize,
    ) -> Result<Events, StoreError> {
        let wanted = rollouts_values(query, limit.saturating_add(1));
        self.read(|connection| page(connection, &rollouts_sql(query), wanted, limit, bytes))
    }

    /// What is counted of rollouts, the latest first. What is long of them is not read.
    pub(crate) fn summaries(
        &self,
        query: &RolloutQuery,
    ) -> Result<Vec<RolloutSummary>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare(&rollouts_sql(query))?;
            let rows = statement.query_map(rollouts_values(query, usize::MAX), summary)?;
            rows.filter_map(Result::transpose).collect()
        })
    }

    /// How much there is for each sink, of those that are configured and of those that once were.
    pub(crate) fn backlogs(&self) -> Result<BTreeMap<String, Backlog>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare(
                "SELECT sink, count(*), min(written_at), 0 FROM deliveries GROUP BY sink
                 UNION ALL SELECT sink, 0, NULL, count(*) FROM dead_letters GROUP BY sink",
            )?;
            let mut rows = query.query([])?;
            let mut backlogs: BTreeMap<String, Backlog> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let backlog = backlogs.entry(row.get(0)?).or_default();
                backlog.pending += u64::from(row.get::<_, u32>(1)?);
                backlog.oldest = backlog.oldest.or(row.get::<_, Option<i64>>(2)?.map(moment));
                backlog.dead_letters += u64::from(row.get::<_, u32>(3)?);
            }
            Ok(backlogs)
        })
    }

    /// The latest of what was given up, so many at most.
    pub(crate) fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare(
                "SELECT sink, dead_letters.agent, event, kind, dead_at, why
                 FROM dead_letters LEFT JOIN events ON number = event
                 ORDER BY dead_at DESC, event DESC LIMIT ?1",
            )?;
            let rows = query.query_map([integer(limit)], |row| {
                Ok(DeadLetter {
                    sink: row.get(0)?,
                    agent: row.get(1)?,
                    event: row.get::<_, i64>(2)?.unsigned_abs(),
                    kind: row.get(3)?,
                    at: moment(row.get(4)?),
                    why: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if !self.path.exists() {
            return Err(StoreError::Missing(self.path.clone()));
        }
        read(&self.connect()?).map_err(|error| StoreError::of(&self.path, error))
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = super::connect(&self.path, flags, BUSY_TIMEOUT)?;
        match schema::is_store(&connection, &self.path) {
            Ok(true) => Ok(connection),
            Ok(false) => Err(StoreError::Missing(self.path.clone())),
            Err(StoreError::Failed { source, .. })
                if source.sqlite_error_code() == Some(ErrorCode::CannotOpen) =>
            {
                let why = "cannot be read where nothing can be written: copy it to another folder, \
                           together with its -wal if there is one";
                Err(StoreError::unusable(&self.path, why))
            }
            Err(error) => Err(error),
        }
    }
}

/// The events whose numbers this query gives for these values, so many and so many bytes of them at most.
pub(super) fn page(
    connection: &Connection,
    numbers: &str,
    wanted: impl Params,
    limit: usize,
    bytes: usize,
) -> rusqlite::Result<Events> {
    let mut numbers = connection.prepare(numbers)?;
    let numbers = numbers.query_map(wanted, |row| row.get::<_, i64>(0))?;
    let mut query = connection
        .prepare("SELECT number, store, kind, at, dedup_key, data FROM events WHERE number = ?1")?;
    let (mut page, mut size) = (Events::default(), 0);
    for number in numbers {
        let mut rows = query.query([number?])?;
        let Some(row) = rows.next()? else { continue };
        size += row.get_ref(5)?.as_bytes().map_or(0, <[u8]>::len);
        page.more = page.found.len() >= limit || (size > bytes && !page.found.is_empty());
        if page.more {
            break;
        }
        match event(row) {
            Ok(event) => page.found.push(event),
            Err(_) => page.unreadable += 1,
        }
    }
    Ok(page)
}

/// The event of a row of number, store, kind, moment, `dedup_key` and data, or why it cannot be read.
pub(super) fn event(row: &Row<'_>) -> Result<StoredEvent, String> {
    let read = || -> Result<StoredEvent, Box<dyn std::error::Error>> {
        let kind = row.get_ref(2)?.as_str()?;
        Ok(StoredEvent {
            number: row.get::<_, i64>(0)?.unsigned_abs(),
            store_id: row.get(1)?,
            event: FleetEvent {
                kind: known(kind).ok_or_else(|| format!("{kind:?} is no kind of event"))?,
                time: moment(row.get(3)?),
                dedup_key: row.get(4)?,
                data: serde_json::from_str(row.get_ref(5)?.as_str()?)?,
            },
        })
    };
    read().map_err(|error| error.to_string())
}

/// What is counted of the rollout of a row of number, agent, verdict, moment, start, duration and whether it was
/// observed late; none of a version that knows more verdicts.
pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<Option<RolloutSummary>> {
    let word: Option<String> = row.get(2)?;
    let Some(verdict) = known(word.as_deref().unwrap_or_default()) else {
        return Ok(None);
    };
    let (started_at, elapsed): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
    Ok(Some(RolloutSummary {
        agent: row.get(1)?,
        verdict,
        finished_at: moment(row.get(3)?),
        started_at: started_at.map(moment),
        elapsed_ms: elapsed.map(i64::unsigned_abs),
        observed_late: row.get(6)?,
    }))
}

/// A moment as it is kept.
pub(super) fn moment(microsecond: i64) -> Timestamp {
    Timestamp::from_microsecond(microsecond).unwrap_or(Timestamp::MAX)
}

/// What a word stands for, if it is known.
pub(super) fn known<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(word.into()).ok()
}

/// What the index holds of rollouts, the latest first. By itself `SQLite` may take another index.
fn rollouts_sql(query: &RolloutQuery) -> String {
    let (index, of_agents) = if query.agents.is_empty() {
        ("rollouts", "?1 NOT NULL")
    } else {
        (
            "rollouts_by_agent",
            "agent IN (SELECT value FROM json_each(?1))",
        )
    };
    format!(
        "SELECT number, agent, verdict, at, started_at, elapsed_ms, observed_late
         FROM events INDEXED BY {index}
         WHERE kind = 'rollout.finished' AND {of_agents} AND number < ?2 AND at >= ?3 AND at < ?4
         AND (?5 = '[]' OR verdict IN (SELECT value FROM json_each(?5)))
         ORDER BY number DESC LIMIT ?6"
    )
}

fn rollouts_values(query: &RolloutQuery, limit: usize) -> impl Params {
    let at = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    (
        json(&query.agents),
        query.before.map_or(i64::MAX, integer),
        at(query.since).unwrap_or(i64::MIN),
        at(query.until).unwrap_or(i64::MAX),
        json(&query.verdicts),
        integer(limit),
    )
}

/// A number as `SQLite` takes it.
pub(super) fn integer(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
