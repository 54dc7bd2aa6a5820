//! What is still to be delivered: what is due for a sink, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::queue::{FIRST_TRY, Queue, RETRY, URGENT};
use super::{Store, StoreError, json, reader};
use crate::core::fleet::{LONGEST_WAIT, StoredEvent};

/// An event whose turn it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) event: StoredEvent,
    /// How many attempts have failed.
    pub(crate) attempts: u32,
    /// When it was written.
    pub(crate) written_at: Timestamp,
}

/// What is due for a sink.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Due {
    /// Of each agent one event at most.
    pub(crate) deliveries: Vec<Delivery>,
    /// Those that cannot be read; they are dead letters from now on.
    pub(crate) unreadable: Vec<Unreadable>,
    /// When the next retry is due that is not due yet.
    pub(crate) next_at: Option<Timestamp>,
}

/// An event that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    agent: String,
    pub(crate) number: i64,
    pub(crate) why: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settled {
    pub(crate) agent: String,
    pub(crate) number: u64,
    pub(crate) outcome: Outcome,
}

/// What becomes of an event after an attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The sink has it: the next one has its turn.
    Delivered,
    /// It is tried again then.
    Retry(Timestamp),
    /// It is given up, and kept as a dead letter: the next one has its turn.
    Dead(String),
}

impl Store {
    /// The first events of the queues of a sink that are due, so many at most.
    pub(crate) fn due(
        &mut self,
        sink: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Due, StoreError> {
        let mut unreadable = Vec::new();
        loop {
            let mut due = self.read(|connection| heads(connection, sink, now, limit))?;
            if due.unreadable.is_empty() {
                due.unreadable = unreadable;
                return Ok(due);
            }
            self.write(|transaction| {
                due.unreadable.iter().try_for_each(|one| {
                    Queue::new(transaction, now, sink, &one.agent).bury(one.number, &one.why, None)
                })
            })?;
            unreadable.append(&mut due.unreadable);
        }
    }

    /// The same with what follows in these queues, in the order in which it happened, so much at most.
    pub(crate) fn due_together(
        &mut self,
        sink: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Due, StoreError> {
        let mut due = self.due(sink, now, limit)?;
        let followers = self.read(|connection| {
            let mut query = connection.prepare(FOLLOWERS)?;
            let mut found = Vec::new();
            for head in &due.deliveries {
                let after = reader::integer(head.event.number);
                let agent = &head.event.event.data.agent;
                let mut rows = query.query(params![sink, agent, after, reader::integer(limit)])?;
                // What cannot be read has its turn when it is the first.
                while let Some(row) = rows.next()?
                    && let Ok(event) = reader::event(row)
                {
                    found.push(Delivery {
                        event,
                        attempts: 0,
                        written_at: reader::moment(row.get(6)?),
                    });
                }
            }
            Ok(found)
        })?;
        due.deliveries.extend(followers);
        due.deliveries.sort_by_key(|delivery| delivery.event.number);
        due.deliveries.truncate(limit);
        Ok(due)
    }

    /// Writes how attempts ended. What is given up goes to the fallback, if there is one.
    pub(crate) fn settle(
        &mut self,
        sink: &str,
        now: Timestamp,
        settled: &[Settled],
        fallback: Option<&str>,
    ) -> Result<(), StoreError> {
        if settled.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            for one in settled {
                let queue = Queue::new(transaction, now, sink, &one.agent);
                let number = one.number.cast_signed();
                match &one.outcome {
                    Outcome::Delivered => queue.deliver(number)?,
                    Outcome::Dead(why) => queue.bury(number, why, fallback)?,
                    Outcome::Retry(at) => queue.retry(*at)?,
                }
            }
            Ok(())
        })
    }

    /// Gives up all that waits for a sink, and keeps it as dead letters; it goes to the fallback, if there is one. Gives
    /// how much that was.
    pub(crate) fn give_up(
        &mut self,
        sink: &str,
        now: Timestamp,
        why: &str,
        fallback: Option<&str>,
    ) -> Result<usize, StoreError> {
        self.write(|transaction| {
            let mut query = transaction
                .prepare("SELECT agent, event FROM deliveries WHERE sink = ?1 ORDER BY event")?;
            let rows = query.query_map([sink], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let waiting = rows.collect::<rusqlite::Result<Vec<(String, i64)>>>()?;
            for (agent, number) in &waiting {
                Queue::new(transaction, now, sink, agent).bury(*number, why, fallback)?;
            }
            Ok(waiting.len())
        })
    }

    /// Gives up what has waited since before a moment for any but these sinks, and keeps it as dead
    /// letters; it goes to the sinks' fallbacks. Gives how much that was, by sink.
    pub(crate) fn expire(
        &mut self,
        working: &BTreeSet<String>,
        fallbacks: &BTreeMap<String, String>,
        before: Timestamp,
        now: Timestamp,
        why: &str,
    ) -> Result<BTreeMap<String, usize>, StoreError> {
        self.write(|transaction| {
            let mut query = transaction.prepare(
                "SELECT sink, agent, event FROM deliveries
                 WHERE written_at < ?1 AND sink NOT IN (SELECT value FROM json_each(?2))",
            )?;
            let rows = query.query_map(params![before.as_microsecond(), json(working)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            let old = rows.collect::<rusqlite::Result<Vec<(String, String, i64)>>>()?;
            let mut expired = BTreeMap::new();
            for (sink, agent, number) in old {
                let fallback = fallbacks.get(&sink).map(String::as_str);
                Queue::new(transaction, now, &sink, &agent).bury(number, why, fallback)?;
                *expired.entry(sink).or_default() += 1;
            }
            Ok(expired)
        })
    }
}

/// What follows the first event of a queue.
const FOLLOWERS: &str = "SELECT number, store, kind, at, dedup_key, data, written_at
    FROM deliveries JOIN events ON number = event
    WHERE sink = ?1 AND deliveries.agent = ?2 AND event > ?3 ORDER BY event LIMIT ?4";

/// The first events of the queues of a rank, those that are due the longest first.
const HEADS: &str = "WITH queue AS (
        SELECT agent, attempts, next_at FROM queues
        WHERE sink = ?1 AND rank = ?2 AND next_at <= ?3 ORDER BY next_at LIMIT ?4
    ), head AS (
        SELECT queue.*, (SELECT min(event) FROM deliveries
                         WHERE sink = ?1 AND deliveries.agent = queue.agent) AS event FROM queue
    )
    SELECT head.event, store, kind, at, dedup_key, data, head.agent, attempts, written_at
    FROM head
    LEFT JOIN deliveries ON sink = ?1 AND deliveries.agent = head.agent AND deliveries.event = head.event
    LEFT JOIN events ON number = head.event
    ORDER BY next_at";

fn heads(
    connection: &Connection,
    sink: &str,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Due> {
    let mut heads = Due::default();
    let mut query = connection.prepare(HEADS)?;
    // What was not tried yet is due whatever the clock says.
    for (rank, until) in [
        (URGENT, i64::MAX),
        (FIRST_TRY, i64::MAX),
        (RETRY, now.as_microsecond()),
    ] {
        let free = limit.saturating_sub(heads.deliveries.len());
        let mut rows = query.query(params![sink, rank, until, reader::integer(free)])?;
        while let Some(row) = rows.next()? {
            match reader::event(row) {
                Ok(event) => heads.deliveries.push(Delivery {
                    event,
                    attempts: row.get(7)?,
                    written_at: reader::moment(row.get(8)?),
                }),
                Err(why) => heads.unreadable.push(Unreadable {
                    agent: row.get(6)?,
                    number: row.get::<_, Option<i64>>(0)?.unwrap_or(0),
                    why,
                }),
            }
        }
    }
    let next: Option<i64> = connection.query_row(
        "SELECT min(next_at) FROM queues WHERE sink = ?1 AND rank = ?2 AND next_at > ?3",
        params![sink, RETRY, now.as_microsecond()],
        |row| row.get(0),
    )?;
    heads.next_at = next.map(reader::moment);
    Ok(heads)
}

/// Makes due what would have to wait for longer than is ever waited: the clock was set back.
pub(super) fn pull_in_retries(
    transaction: &Transaction<'_>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let longest = now.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
    let pulled_in = transaction.execute(
        "UPDATE queues SET next_at = ?1 WHERE next_at > ?2",
        [now.as_microsecond(), longest.as_microsecond()],
    );
    pulled_in.map(drop)
}

#[cfg(test)]
mod tests;
