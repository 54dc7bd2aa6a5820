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
}

impl Store {
    /// Rollouts with their numbers, which grow from one to the next; the latest comes first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rollouts(&self, query: &RolloutQuery) -> Result<Vec<(u64, RolloutRecord)>, StoreError> {
        let moment = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
        let most = query.most.and_then(|most| i64::try_from(most).ok());
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT number, record FROM rollouts
                 WHERE (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR finished_at >= ?2)
                 AND (?3 IS NULL OR finished_at < ?3) AND (?4 IS NULL OR number < ?4)
                 ORDER BY number DESC LIMIT coalesce(?5, -1)",
            )?;
            let before = query
                .before
                .map(|number| i64::try_from(number).unwrap_or(i64::MAX));
            let values = params![
                query.agent,
                moment(query.since),
                moment(query.until),
                before,
                most
            ];
            let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(i64, String)>>>()
        })?;
        rows.into_iter()
            .map(|(number, text)| Ok((u64::try_from(number).unwrap_or(0), self.record(&text)?)))
            .collect()
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
