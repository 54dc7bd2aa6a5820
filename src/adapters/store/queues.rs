//! What is still to be delivered: for each sink a queue of events about each agent.

use jiff::Timestamp;
use rusqlite::{Connection, Statement, Transaction, params};

use super::{Store, StoreError, reader};
use crate::core::fleet::{FleetEvent, LONGEST_WAIT, StoredEvent};

/// The ranks of queues: those whose first event was not tried yet come before the others, and among
/// them those with something urgent.
const URGENT: i64 = 0;
const FIRST_TRY: i64 = 1;
const RETRY: i64 = 2;

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
    /// The numbers of events that could not be read, and why; they are dead letters from now on.
    pub(crate) unreadable: Vec<(u64, String)>,
    /// When the next retry is due that is not due yet.
    pub(crate) next_at: Option<Timestamp>,
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
            let heads = self.read(|connection| heads(connection, sink, now, limit))?;
            if heads.unreadable.is_empty() {
                return Ok(Due {
                    deliveries: heads.deliveries,
                    unreadable,
                    next_at: heads.next_at,
                });
            }
            let buried = heads.unreadable;
            self.write(|transaction| {
                for (agent, number, why) in &buried {
                    bury(transaction, sink, agent, *number, now, why)?;
                }
                Ok(())
            })?;
            let buried = buried.into_iter();
            unreadable.extend(buried.map(|(_, number, why)| (number.unsigned_abs(), why)));
        }
    }

    /// Writes how attempts ended.
    pub(crate) fn settle(
        &mut self,
        sink: &str,
        now: Timestamp,
        settled: &[Settled],
    ) -> Result<(), StoreError> {
        if settled.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            for one in settled {
                let (agent, number) = (&one.agent, one.number.cast_signed());
                match &one.outcome {
                    Outcome::Delivered => finish(transaction, sink, agent, number, now)?,
                    Outcome::Dead(why) => bury(transaction, sink, agent, number, now, why)?,
                    Outcome::Retry(at) => {
                        transaction.execute(
                            "UPDATE queues SET attempts = attempts + 1, next_at = ?3, rank = ?4
                             WHERE sink = ?1 AND agent = ?2",
                            params![sink, agent, at.as_microsecond(), RETRY],
                        )?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Gives up what waits for a sink since before a moment, and keeps it as dead letters. Gives their
    /// number.
    pub(crate) fn expire(
        &mut self,
        sink: &str,
        before: Timestamp,
        now: Timestamp,
        why: &str,
    ) -> Result<usize, StoreError> {
        let (before, now) = (before.as_microsecond(), now.as_microsecond());
        self.write(|transaction| {
            let expired = transaction.execute(
                "INSERT OR REPLACE INTO dead_letters (sink, event, agent, written_at, dead_at, why)
                 SELECT sink, event, agent, written_at, ?3, ?4 FROM deliveries
                 WHERE sink = ?1 AND written_at < ?2",
                params![sink, before, now, why],
            )?;
            if expired > 0 {
                transaction.execute(
                    "DELETE FROM deliveries WHERE sink = ?1 AND written_at < ?2",
                    params![sink, before],
                )?;
                transaction.execute(
                    "DELETE FROM queues WHERE sink = ?1 AND NOT EXISTS (
                         SELECT 1 FROM deliveries
                         WHERE deliveries.sink = ?1 AND deliveries.agent = queues.agent)",
                    [sink],
                )?;
                transaction.execute("UPDATE queues SET attempts = 0 WHERE sink = ?1", [sink])?;
            }
            Ok(expired)
        })
    }
}

/// The statements that put events into queues.
pub(super) struct Pushes<'transaction> {
    delivery: Statement<'transaction>,
    queue: Statement<'transaction>,
}

impl<'transaction> Pushes<'transaction> {
    pub(super) fn new(transaction: &'transaction Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            delivery: transaction.prepare(
                "INSERT INTO deliveries (sink, agent, event, written_at) VALUES (?1, ?2, ?3, ?4)",
            )?,
            queue: transaction.prepare(
                "INSERT INTO queues (sink, agent, rank, next_at, attempts, urgent_until)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5)
                 ON CONFLICT DO UPDATE SET urgent_until = max(urgent_until, excluded.urgent_until),
                     rank = iif(attempts > 0, rank, min(rank, excluded.rank))",
            )?,
        })
    }

    pub(super) fn push(
        &mut self,
        now: Timestamp,
        sink: &str,
        number: i64,
        event: &FleetEvent,
    ) -> rusqlite::Result<()> {
        let (agent, now) = (&event.data.agent, now.as_microsecond());
        let (rank, urgent_until) = if event.kind.is_urgent() {
            (URGENT, number)
        } else {
            (FIRST_TRY, 0)
        };
        self.delivery.execute(params![sink, agent, number, now])?;
        self.queue
            .execute(params![sink, agent, rank, now, urgent_until])?;
        Ok(())
    }
}

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

/// What is due, with the queues whose first event cannot be read.
struct Heads {
    deliveries: Vec<Delivery>,
    unreadable: Vec<(String, i64, String)>,
    next_at: Option<Timestamp>,
}

fn heads(
    connection: &Connection,
    sink: &str,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Heads> {
    let mut heads = Heads {
        deliveries: Vec::new(),
        unreadable: Vec::new(),
        next_at: None,
    };
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
                Err(why) => {
                    let number: Option<i64> = row.get(0)?;
                    heads
                        .unreadable
                        .push((row.get(6)?, number.unwrap_or(0), why));
                }
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

/// Makes an event a dead letter, and gives the next one its turn.
fn bury(
    transaction: &Transaction<'_>,
    sink: &str,
    agent: &str,
    number: i64,
    now: Timestamp,
    why: &str,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR REPLACE INTO dead_letters (sink, event, agent, written_at, dead_at, why)
         SELECT sink, event, agent, written_at, ?4, ?5 FROM deliveries
         WHERE sink = ?1 AND agent = ?2 AND event = ?3",
        params![sink, agent, number, now.as_microsecond(), why],
    )?;
    finish(transaction, sink, agent, number, now)
}

/// Takes an event out of its queue, and gives the next one its turn.
fn finish(
    transaction: &Transaction<'_>,
    sink: &str,
    agent: &str,
    number: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM deliveries WHERE sink = ?1 AND agent = ?2 AND event = ?3",
        params![sink, agent, number],
    )?;
    let next: Option<i64> = transaction.query_row(
        "SELECT min(event) FROM deliveries WHERE sink = ?1 AND agent = ?2",
        [sink, agent],
        |row| row.get(0),
    )?;
    let changed = match next {
        None => transaction.execute(
            "DELETE FROM queues WHERE sink = ?1 AND agent = ?2",
            [sink, agent],
        ),
        Some(next) => transaction.execute(
            "UPDATE queues SET attempts = 0, next_at = ?3, rank = iif(?4 <= urgent_until, ?5, ?6)
             WHERE sink = ?1 AND agent = ?2",
            params![sink, agent, now.as_microsecond(), next, URGENT, FIRST_TRY],
        ),
    };
    changed.map(drop)
}

#[cfg(test)]
mod tests;
