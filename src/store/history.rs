//! The rollouts that have ended.

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::{Store, StoreError, json};
use crate::fleet::RolloutRecord;

/// Which rollouts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutQuery {
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
pub struct Rollouts {
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
    pub fn rollouts(&self, query: &RolloutQuery) -> Result<Rollouts, StoreError> {
        let moment = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
        let most = query.most.unwrap_or(usize::MAX);
        let most_bytes = query.most_bytes.unwrap_or(usize::MAX);
        let mut more = false;
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT number, record FROM rollouts
                 WHERE (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR finished_at >= ?2)
                 AND (?3 IS NULL OR finished_at < ?3) AND (?4 IS NULL OR number < ?4)
                 ORDER BY number DESC",
            )?;
            let before = query
                .before
                .map(|number| i64::try_from(number).unwrap_or(i64::MAX));
            let values = params![
                query.agent,
                moment(query.since),
                moment(query.until),
                before
            ];
            let mut cursor = statement.query(values)?;
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
