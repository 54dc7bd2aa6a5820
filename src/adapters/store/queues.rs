//! What is still to be delivered: for each sink a queue of events about each agent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::{Store, StoreError, json, reader};
use crate::core::fleet::{EventKind, FleetEvent, IncidentChange, LONGEST_WAIT, StoredEvent};

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
                    bury(
                        transaction,
                        sink,
                        &one.agent,
                        one.number,
                        now,
                        &one.why,
                        None,
                    )
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
                let (agent, number) = (&one.agent, one.number.cast_signed());
                match &one.outcome {
                    Outcome::Delivered => {
                        transaction.execute(
                            "INSERT OR REPLACE INTO delivered (event, sink, at) VALUES (?1, ?2, ?3)",
                            params![number, sink, now.as_microsecond()],
                        )?;
                        finish(transaction, sink, agent, number, now)?;
                    }
                    Outcome::Dead(why) => {
                        bury(transaction, sink, agent, number, now, why, fallback)?;
                    }
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
                bury(transaction, &sink, &agent, number, now, why, fallback)?;
                *expired.entry(sink).or_default() += 1;
            }
            Ok(expired)
        })
    }
}

/// Puts an event into the queue of a sink, unless it waits there. Gives whether it did not.
pub(super) fn push(
    transaction: &Transaction<'_>,
    now: Timestamp,
    sink: &str,
    agent: &str,
    number: i64,
    kind: Option<EventKind>,
) -> rusqlite::Result<bool> {
    let now = now.as_microsecond();
    let (rank, urgent_until) = if kind.is_some_and(EventKind::is_urgent) {
        (URGENT, number)
    } else {
        (FIRST_TRY, 0)
    };
    let added = transaction.execute(
        "INSERT OR IGNORE INTO deliveries (sink, agent, event, written_at) VALUES (?1, ?2, ?3, ?4)",
        params![sink, agent, number, now],
    )?;
    transaction.execute(
        "INSERT INTO queues (sink, agent, rank, next_at, attempts, urgent_until)
         VALUES (?1, ?2, ?3, ?4, 0, ?5)
         ON CONFLICT DO UPDATE SET urgent_until = max(urgent_until, excluded.urgent_until),
             rank = iif(attempts > 0, rank, min(rank, excluded.rank))",
        params![sink, agent, rank, now, urgent_until],
    )?;
    Ok(added > 0)
}

/// Puts an event that closes an incident into the queues of the sinks where it was opened by a fallback.
pub(super) fn close_at_fallbacks(
    transaction: &Transaction<'_>,
    now: Timestamp,
    number: i64,
    event: &FleetEvent,
) -> rusqlite::Result<()> {
    if event.incident() != Some(IncidentChange::Closes) {
        return Ok(());
    }
    let mut query = transaction.prepare(
        "DELETE FROM opened_by_fallback
         WHERE event IN (SELECT number FROM opened_by_fallback JOIN events ON number = event
                         WHERE dedup_key = ?1) RETURNING sink",
    )?;
    let sinks = query.query_map([&event.dedup_key], |row| row.get(0))?;
    for sink in sinks.collect::<rusqlite::Result<BTreeSet<String>>>()? {
        let agent = &event.data.agent;
        push(transaction, now, &sink, agent, number, Some(event.kind))?;
    }
    Ok(())
}

/// What an event does to an incident, and what became of that.
struct Incident {
    change: IncidentChange,
    /// The latest event about it, where that did the contrary.
    overtaken_by: Option<(i64, EventKind)>,
}

/// The incident that an event opens or closes, if it does.
fn incident_of(
    transaction: &Transaction<'_>,
    agent: &str,
    number: i64,
) -> rusqlite::Result<Option<Incident>> {
    let mut query = transaction.prepare(
        "SELECT number, store, kind, at, dedup_key, data FROM events
         WHERE agent = ?1 AND number >= ?2
             AND dedup_key = (SELECT dedup_key FROM events WHERE number = ?2)
         ORDER BY number",
    )?;
    let mut rows = query.query(params![agent, number])?;
    let mut incident = None;
    while let Some(row) = rows.next()? {
        let event = reader::event(row).map(|stored| stored.event).ok();
        let change = event.as_ref().and_then(FleetEvent::incident);
        match (&mut incident, event.zip(change)) {
            (None, Some((_, change))) => {
                incident = Some(Incident {
                    change,
                    overtaken_by: None,
                });
            }
            // It is the event itself that is about no incident.
            (None, None) => return Ok(None),
            (Some(incident), Some((event, change))) => {
                let number = row.get(0)?;
                let is_contrary = change != incident.change;
                incident.overtaken_by = is_contrary.then_some((number, event.kind));
            }
            (Some(_), None) => {}
        }
    }
    Ok(incident)
}

/// Gives a fallback an event that it did not get; where that opens an incident, also what closes it.
fn fall_back(
    transaction: &Transaction<'_>,
    now: Timestamp,
    sink: &str,
    agent: &str,
    number: i64,
) -> rusqlite::Result<()> {
    let known = "SELECT EXISTS (SELECT 1 FROM delivered WHERE sink = ?1 AND event = ?2)
        OR EXISTS (SELECT 1 FROM dead_letters WHERE sink = ?1 AND event = ?2)
        OR EXISTS (SELECT 1 FROM deliveries WHERE sink = ?1 AND agent = ?3 AND event = ?2)";
    if transaction.query_row(known, params![sink, number, agent], |row| row.get(0))? {
        return Ok(());
    }
    let query = "SELECT max(kind) FROM events WHERE number = ?1";
    let kind: Option<String> = transaction.query_row(query, [number], |row| row.get(0))?;
    let kind = kind.and_then(|kind| reader::known(&kind));
    push(transaction, now, sink, agent, number, kind)?;
    let incident = incident_of(transaction, agent, number)?;
    match incident.filter(|incident| incident.change == IncidentChange::Opens) {
        None => {}
        Some(Incident {
            overtaken_by: Some((by, kind)),
            ..
        }) => {
            push(transaction, now, sink, agent, by, Some(kind))?;
        }
        Some(_) => {
            transaction.execute(
                "INSERT OR IGNORE INTO opened_by_fallback (event, sink) VALUES (?1, ?2)",
                params![number, sink],
            )?;
        }
    }
    Ok(())
}

/// Puts dead letters into the queues of their sinks again: of one sink or of all, one event or every one. Where a sink
/// was sent since what closed the incident that an event opens, or opened it anew, it is sent that again: it must not
/// end up with what is over. Gives how many events wait for that, by sink.
pub(super) fn redeliver(
    transaction: &Transaction<'_>,
    now: Timestamp,
    sink: Option<&str>,
    event: Option<i64>,
) -> rusqlite::Result<BTreeMap<String, usize>> {
    let mut query = transaction.prepare(
        "SELECT sink, dead_letters.agent, event, kind FROM dead_letters JOIN events ON number = event
         WHERE (?1 IS NULL OR sink = ?1) AND (?2 IS NULL OR event = ?2) ORDER BY event",
    )?;
    let rows = query.query_map(params![sink, event], |row| {
        let kind: String = row.get(3)?;
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, reader::known(&kind)))
    })?;
    let letters = rows.collect::<rusqlite::Result<Vec<(String, String, i64, _)>>>()?;
    let mut counts = BTreeMap::new();
    for (sink, agent, number, kind) in letters {
        let mut added = usize::from(push(transaction, now, &sink, &agent, number, kind)?);
        let incident = incident_of(transaction, &agent, number)?;
        if let Some((by, kind)) = incident.and_then(|incident| incident.overtaken_by) {
            let was_sent = "SELECT EXISTS (SELECT 1 FROM delivered WHERE sink = ?1 AND event = ?2)
                OR EXISTS (SELECT 1 FROM dead_letters WHERE sink = ?1 AND event = ?2)";
            if transaction.query_row(was_sent, params![sink, by], |row| row.get(0))? {
                added += usize::from(push(transaction, now, &sink, &agent, by, Some(kind))?);
                let forget = "DELETE FROM dead_letters WHERE sink = ?1 AND event = ?2";
                transaction.execute(forget, params![sink, by])?;
            }
        }
        // The first of the queue may be another one now, which was not tried yet.
        transaction.execute(
            "UPDATE queues SET attempts = 0, next_at = min(next_at, ?3) WHERE sink = ?1 AND agent = ?2",
            params![sink, agent, now.as_microsecond()],
        )?;
        transaction.execute(
            "DELETE FROM dead_letters WHERE sink = ?1 AND event = ?2",
            params![sink, number],
        )?;
        *counts.entry(sink).or_default() += added;
    }
    Ok(counts)
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

/// Makes an event a dead letter, and gives the next one its turn. It goes to the fallback, if there is one.
fn bury(
    transaction: &Transaction<'_>,
    sink: &str,
    agent: &str,
    number: i64,
    now: Timestamp,
    why: &str,
    fallback: Option<&str>,
) -> rusqlite::Result<()> {
    if let Some(fallback) = fallback {
        fall_back(transaction, now, fallback, agent, number)?;
    }
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
