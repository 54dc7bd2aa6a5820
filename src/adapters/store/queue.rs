//! The queue of events about an agent that wait for a sink: what comes in, and what leaves it.

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::reader;
use crate::core::fleet::{EventKind, FleetEvent, IncidentChange};

/// The ranks of queues: those whose first event was not tried yet come before the others, and among
/// them those with something urgent.
pub(super) const URGENT: i64 = 0;
pub(super) const FIRST_TRY: i64 = 1;
pub(super) const RETRY: i64 = 2;

/// A queue, as it is changed at a moment.
pub(super) struct Queue<'a> {
    transaction: &'a Transaction<'a>,
    now: Timestamp,
    sink: &'a str,
    agent: &'a str,
}

/// What an event does to an incident, and what became of that.
pub(super) struct Incident {
    change: IncidentChange,
    /// The latest event about it, where that did the contrary.
    pub(super) overtaken_by: Option<(i64, EventKind)>,
}

impl<'a> Queue<'a> {
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        now: Timestamp,
        sink: &'a str,
        agent: &'a str,
    ) -> Self {
        Self {
            transaction,
            now,
            sink,
            agent,
        }
    }

    /// Adds an event, unless it waits already. Gives how many were added.
    pub(super) fn push(&self, number: i64, kind: Option<EventKind>) -> rusqlite::Result<usize> {
        let now = self.now.as_microsecond();
        let (rank, urgent_until) = if kind.is_some_and(EventKind::is_urgent) {
            (URGENT, number)
        } else {
            (FIRST_TRY, 0)
        };
        let added = self.transaction.execute(
            "INSERT OR IGNORE INTO deliveries (sink, agent, event, written_at) VALUES (?1, ?2, ?3, ?4)",
            params![self.sink, self.agent, number, now],
        )?;
        self.transaction.execute(
            "INSERT INTO queues (sink, agent, rank, next_at, attempts, urgent_until)
             VALUES (?1, ?2, ?3, ?4, 0, ?5)
             ON CONFLICT DO UPDATE SET urgent_until = max(urgent_until, excluded.urgent_until),
                 rank = iif(attempts > 0, rank, min(rank, excluded.rank))",
            params![self.sink, self.agent, rank, now, urgent_until],
        )?;
        Ok(added)
    }

    /// Notes that the sink has an event, and gives the next one its turn.
    pub(super) fn deliver(&self, number: i64) -> rusqlite::Result<()> {
        self.transaction.execute(
            "INSERT OR REPLACE INTO delivered (event, sink, at) VALUES (?1, ?2, ?3)",
            params![number, self.sink, self.now.as_microsecond()],
        )?;
        self.finish(number)
    }

    /// Has the first event tried again at a moment.
    pub(super) fn retry(&self, at: Timestamp) -> rusqlite::Result<()> {
        let changed = self.transaction.execute(
            "UPDATE queues SET attempts = attempts + 1, next_at = ?3, rank = ?4
             WHERE sink = ?1 AND agent = ?2",
            params![self.sink, self.agent, at.as_microsecond(), RETRY],
        );
        changed.map(drop)
    }

    /// Makes an event a dead letter, and gives the next one its turn. It goes to the fallback, if there is one.
    pub(super) fn bury(
        &self,
        number: i64,
        why: &str,
        fallback: Option<&str>,
    ) -> rusqlite::Result<()> {
        if let Some(sink) = fallback {
            Queue { sink, ..*self }.fall_back(number)?;
        }
        self.transaction.execute(
            "INSERT OR REPLACE INTO dead_letters (sink, event, agent, written_at, dead_at, why)
             SELECT sink, event, agent, written_at, ?4, ?5 FROM deliveries
             WHERE sink = ?1 AND agent = ?2 AND event = ?3",
            params![
                self.sink,
                self.agent,
                number,
                self.now.as_microsecond(),
                why
            ],
        )?;
        self.finish(number)
    }

    /// The incident that an event opens or closes, if it does.
    pub(super) fn incident_of(&self, number: i64) -> rusqlite::Result<Option<Incident>> {
        let mut query = self.transaction.prepare(
            "SELECT number, store, kind, at, dedup_key, data FROM events
             WHERE agent = ?1 AND number >= ?2
                 AND dedup_key = (SELECT dedup_key FROM events WHERE number = ?2)
             ORDER BY number",
        )?;
        let mut rows = query.query(params![self.agent, number])?;
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

    /// Whether the sink was sent an event.
    pub(super) fn was_sent(&self, number: i64) -> rusqlite::Result<bool> {
        let sent = "SELECT 1 FROM delivered WHERE sink = ?1 AND event = ?2
            UNION ALL SELECT 1 FROM dead_letters WHERE sink = ?1 AND event = ?2";
        let mut sent = self.transaction.prepare(sent)?;
        sent.exists(params![self.sink, number])
    }

    /// Gives a fallback an event that it did not get; where that opens an incident, also what closes it.
    fn fall_back(&self, number: i64) -> rusqlite::Result<()> {
        let waits = "SELECT 1 FROM deliveries WHERE sink = ?1 AND agent = ?2 AND event = ?3";
        let mut waits = self.transaction.prepare(waits)?;
        if waits.exists(params![self.sink, self.agent, number])? || self.was_sent(number)? {
            return Ok(());
        }
        let query = "SELECT max(kind) FROM events WHERE number = ?1";
        let kind: Option<String> = self
            .transaction
            .query_row(query, [number], |row| row.get(0))?;
        self.push(number, kind.and_then(|kind| reader::known(&kind)))?;
        let incident = self.incident_of(number)?;
        if let Some(incident) = incident.filter(|one| one.change == IncidentChange::Opens) {
            let note = "INSERT OR IGNORE INTO opened (dedup_key, sink)
                SELECT dedup_key, ?2 FROM events WHERE number = ?1";
            match incident.overtaken_by {
                Some((by, kind)) => self.push(by, Some(kind))?,
                None => self.transaction.execute(note, params![number, self.sink])?,
            };
        }
        Ok(())
    }

    /// Takes an event out, and gives the next one its turn.
    fn finish(&self, number: i64) -> rusqlite::Result<()> {
        let Self { sink, agent, .. } = self;
        self.transaction.execute(
            "DELETE FROM deliveries WHERE sink = ?1 AND agent = ?2 AND event = ?3",
            params![sink, agent, number],
        )?;
        let next: Option<i64> = self.transaction.query_row(
            "SELECT min(event) FROM deliveries WHERE sink = ?1 AND agent = ?2",
            [sink, agent],
            |row| row.get(0),
        )?;
        let changed = match next {
            None => self.transaction.execute(
                "DELETE FROM queues WHERE sink = ?1 AND agent = ?2",
                [sink, agent],
            ),
            Some(next) => self.transaction.execute(
                "UPDATE queues SET attempts = 0, next_at = ?3, rank = iif(?4 <= urgent_until, ?5, ?6)
                 WHERE sink = ?1 AND agent = ?2",
                params![sink, agent, self.now.as_microsecond(), next, URGENT, FIRST_TRY],
            ),
        };
        changed.map(drop)
    }
}
