//! The rollouts that have ended.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Transaction, params, params_from_iter};

use super::{Store, StoreError, json};
use crate::core::fleet::RolloutRecord;

/// Which rollouts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RolloutQuery {
    /// Those of one agent.
    pub agent: Option<String>,
    /// Those that ended then or later.
    pub since: Option<Timestamp>,
    /// Those that ended before.
    pub until: Option<Timestamp>,
    /// Those with a smaller number.
    pub before: Option<u64>,
    /// So many at most.
    pub most: Option<usize>,
    /// So many bytes at most, as they are kept; the first is given however long it is.
    pub most_bytes: Option<usize>,
}

/// The rollouts that were asked for, or the first of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rollouts {
    /// With their numbers, which grow from one to the next; the latest comes first.
    pub found: Vec<(u64, RolloutRecord)>,
    /// Whether there are more than were to be given.
    pub more: bool,
}

impl Store {
    /// The rollouts that are asked for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn rollouts(&self, query: &RolloutQuery) -> Result<Rollouts, StoreError> {
        let most = query.most.unwrap_or(usize::MAX);
        let most_bytes = query.most_bytes.unwrap_or(usize::MAX);
        let mut more = false;
        let (sql, values) = select(query);
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(&sql)?;
            let mut cursor = statement.query(params_from_iter(values))?;
            let mut rows: Vec<(i64, String)> = Vec::new();
            let mut bytes = 0;
            while let Some(row) = cursor.next()? {
                let text: String = row.get(1)?;
                bytes += text.len();
                more = rows.len() >= most || (bytes > most_bytes && !rows.is_empty());
                if more {
                    break;
                }
                rows.push((row.get(0)?, text));
            }
            Ok(rows)
        })?;
        let found = rows
            .into_iter()
            .map(|(number, text)| Ok((u64::try_from(number).unwrap_or(0), self.record(&text)?)))
            .collect::<Result<_, StoreError>>()?;
        Ok(Rollouts { found, more })
    }
}

/// The rollouts that are asked for, with no condition but those that are: `SQLite` finds the index for
/// them before it knows the values.
pub(super) fn select(query: &RolloutQuery) -> (String, Vec<Value>) {
    let moment = |at: Timestamp| Value::Integer(at.as_microsecond());
    let before = |number| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    // They are read in the order of their numbers, until there are enough: in that of their ends, for
    // which there is an index as well, all would have to be read and sorted. The `+` says so.
    let conditions = [
        ("agent = ?", query.agent.clone().map(Value::Text)),
        ("+finished_at >= ?", query.since.map(moment)),
        ("+finished_at < ?", query.until.map(moment)),
        ("number < ?", query.before.map(before)),
    ];
    let (conditions, values): (Vec<&str>, Vec<Value>) = conditions
        .into_iter()
        .filter_map(|(condition, value)| Some((condition, value?)))
        .unzip();
    let mut sql = "SELECT number, record FROM rollouts".to_owned();
    if !conditions.is_empty() {
        sql = format!("{sql} WHERE {}", conditions.join(" AND "));
    }
    (sql + " ORDER BY number DESC", values)
}

/// Writes a rollout down, unless it has been already.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    rollout: &RolloutRecord,
) -> rusqlite::Result<()> {
    let values = params![
        rollout.agent,
        rollout.deployment_id,
        rollout.started_at.as_microsecond(),
        rollout.finished_at.as_microsecond(),
        json(rollout)
    ];
    let written = transaction.execute(
        "INSERT OR IGNORE INTO rollouts (agent, deployment, started_at, finished_at, record)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        values,
    );
    written.map(drop)
}
