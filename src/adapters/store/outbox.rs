//! What is still to be delivered: for each sink, notices in order per agent.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{Store, StoreError, json};
use crate::core::fleet::{LONGEST_WAIT, Notice};

/// A notice whose turn it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waiting {
    /// The number of the event, the same for every sink.
    pub event: i64,
    /// The notice.
    pub notice: Notice,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When it was written down.
    pub written_at: Timestamp,
}

/// How much there is for a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Notices that wait.
    pub pending: u64,
    /// When the oldest of them was written down.
    pub oldest: Option<Timestamp>,
    /// Notices that were given up on, and are kept.
    pub given_up: u64,
}

impl Store {
    /// The first notices that wait for a sink, of each agent one, whose next attempt is due.
    ///
    /// Due is also what would have to wait for longer than is ever waited: the clock was set back.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn due(
        &self,
        sink: &str,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        type Row = (i64, String, u32, i64);
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(
                "WITH due AS (
                     SELECT next_at, event, attempts, written_at FROM outbox
                     WHERE sink = ?1 AND next_at <= ?2
                     UNION ALL
                     SELECT next_at, event, attempts, written_at FROM outbox
                     WHERE sink = ?1 AND next_at > ?3
                     ORDER BY next_at, event LIMIT ?4
                 )
                 SELECT due.event, events.notice, due.attempts, due.written_at
                 FROM due JOIN events ON events.number = due.event
                 ORDER BY due.next_at, due.event",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let too_far = now.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
            let values = params![sink, now.as_microsecond(), too_far.as_microsecond(), most];
            let rows = statement.query_map(values, |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<Row>>>()
        })?;
        let waiting = rows.into_iter().map(|(event, text, attempts, written_at)| {
            Ok(Waiting {
                event,
                notice: self.record(&text)?,
                attempts,
                written_at: Timestamp::from_microsecond(written_at).unwrap_or(now),
            })
        });
        waiting.collect()
    }

    /// When the next attempt for a sink is due; none where nothing waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn next_due(&self, sink: &str) -> Result<Option<Timestamp>, StoreError> {
        let query = "SELECT min(next_at) FROM outbox WHERE sink = ?1 AND next_at IS NOT NULL";
        let at: Option<i64> = self.read(|file| file.query_row(query, [sink], |row| row.get(0)))?;
        Ok(at.and_then(|at| Timestamp::from_microsecond(at).ok()))
    }

    /// A sink has a notice: the next one about its agent has its turn.
    ///
    /// # Errors
    /// When the store cannot be written; then it will be delivered once more.
    pub(crate) fn delivered(
        &mut self,
        sink: &str,
        event: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.finish(sink, event, now, |transaction| {
            transaction.execute(
                "DELETE FROM outbox WHERE sink = ?1 AND event = ?2",
                params![sink, event],
            )
        })
    }

    /// A notice cannot be had by a sink: it is kept as that, and the next one has its turn.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn give_up(
        &mut self,
        sink: &str,
        event: i64,
        now: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        self.finish(sink, event, now, |transaction| {
            transaction.execute(
                "UPDATE outbox SET given_up_at = ?3, next_at = NULL, why = ?4,
                 attempts = attempts + 1 WHERE sink = ?1 AND event = ?2",
                params![sink, event, now.as_microsecond(), why],
            )
        })
    }

    /// An attempt has failed: the next one is due then.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn postpone(
        &mut self,
        sink: &str,
        event: i64,
        until: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE outbox SET attempts = attempts + 1, next_at = ?3, why = ?4
                 WHERE sink = ?1 AND event = ?2 AND given_up_at IS NULL",
                params![sink, event, until.as_microsecond(), why],
            )
        })?;
        Ok(())
    }

    /// How much there is for each sink, of those that are known and of those that once were.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn backlogs(&self) -> Result<Vec<(String, Backlog)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT sink, count(*) FILTER (WHERE given_up_at IS NULL),
                 min(written_at) FILTER (WHERE given_up_at IS NULL),
                 count(given_up_at) FROM outbox GROUP BY sink",
            )?;
            let rows = statement.query_map([], |row| {
                let oldest: Option<i64> = row.get(2)?;
                let backlog = Backlog {
                    pending: row.get::<_, u32>(1)?.into(),
                    oldest: oldest.and_then(|at| Timestamp::from_microsecond(at).ok()),
                    given_up: row.get::<_, u32>(3)?.into(),
                };
                Ok((row.get(0)?, backlog))
            })?;
            rows.collect()
        })
    }

    /// Gives up on what waits for sinks that are no more, and was written down before `before`; tells
    /// how many notices that were.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn give_up_orphans(
        &mut self,
        known: &[&str],
        before: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let known = json(&known);
        self.write(|transaction| {
            let given_up = transaction.execute(
                "UPDATE outbox SET given_up_at = ?3, next_at = NULL, why = 'the sink is gone'
                 WHERE given_up_at IS NULL AND written_at < ?2
                 AND sink NOT IN (SELECT value FROM json_each(?1))",
                params![known, before.as_microsecond(), now.as_microsecond()],
            )?;
            // Should the sink come back, what is left goes on.
            begin_turns(transaction)?;
            Ok(given_up)
        })
    }

    /// Gives every queue a first notice, also those that an older version has left without one.
    pub(super) fn mend_queues(&mut self) -> Result<(), StoreError> {
        self.write(|transaction| begin_turns(transaction))
    }

    /// Ends the turn of a notice, and gives it to the next one about the same agent.
    fn finish(
        &mut self,
        sink: &str,
        event: i64,
        now: Timestamp,
        end: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let agent: Option<String> = transaction
                .query_row(
                    "SELECT agent FROM outbox WHERE sink = ?1 AND event = ?2",
                    params![sink, event],
                    |row| row.get(0),
                )
                .optional()?;
            end(transaction)?;
            if let Some(agent) = agent {
                transaction.execute(
                    "UPDATE outbox SET next_at = ?3 WHERE sink = ?1 AND event = (
                         SELECT min(event) FROM outbox
                         WHERE sink = ?1 AND agent = ?2 AND given_up_at IS NULL
                     ) AND next_at IS NULL",
                    params![sink, agent, now.as_microsecond()],
                )?;
            }
            Ok(())
        })
    }
}

/// Makes the first notice due that waits for each sink about each agent, where its turn has not begun.
fn begin_turns(connection: &Connection) -> rusqlite::Result<()> {
    let begun = connection.execute(
        "UPDATE outbox SET next_at = written_at WHERE next_at IS NULL AND (sink, event) IN (
             SELECT sink, min(event) FROM outbox WHERE given_up_at IS NULL GROUP BY sink, agent
         )",
        [],
    );
    begun.map(drop)
}

/// Writes a notice down for these sinks, unless it has been already.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    now: Timestamp,
    notice: &Notice,
    sinks: &[&str],
) -> rusqlite::Result<bool> {
    let new = transaction.execute(
        "INSERT OR IGNORE INTO events (id, at, notice) VALUES (?1, ?2, ?3)",
        params![notice.id, notice.time.as_microsecond(), json(notice)],
    )? > 0;
    if !new {
        return Ok(false);
    }
    let event = transaction.last_insert_rowid();
    for sink in sinks {
        transaction.execute(
            "INSERT INTO outbox (sink, event, agent, written_at, next_at)
             VALUES (?1, ?2, ?3, ?4, CASE WHEN EXISTS (
                 SELECT 1 FROM outbox WHERE sink = ?1 AND agent = ?3 AND given_up_at IS NULL
             ) THEN NULL ELSE ?4 END)",
            params![sink, event, notice.data.agent, now.as_microsecond()],
        )?;
    }
    Ok(true)
}
