//! Which sinks an event is for: those that want it, and of what closes an incident those that have it as open. What is
//! opened while it is muted is sent when the mute is over, unless it was closed before.

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::queue::Queue;
use super::{Store, StoreError, reader};
use crate::core::fleet::{FleetEvent, IncidentChange};

/// Who wants an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// These sinks.
    To(Vec<Target<'a>>),
    /// Nobody, as long as it is muted.
    Muted,
}

/// A sink that wants an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) sink: &'a str,
    /// Whether it is sent what closes an incident wherever it was sent what opened it.
    pub(crate) follows_incidents: bool,
}

impl<'a> Route<'a> {
    /// To these sinks, which get nothing but what they want.
    pub(crate) fn to(sinks: &[&'a str]) -> Self {
        let target = |sink: &&'a str| Target {
            sink,
            follows_incidents: false,
        };
        Self::To(sinks.iter().map(target).collect())
    }
}

impl Store {
    /// Has what was opened while it was muted, and is neither closed nor muted any more, wait for the sinks that want
    /// it. Gives how much that was.
    pub(crate) fn unmute<'sinks>(
        &mut self,
        now: Timestamp,
        route: impl Fn(&FleetEvent) -> Route<'sinks>,
    ) -> Result<usize, StoreError> {
        self.write(|transaction| {
            let mut query = transaction.prepare(
                "SELECT number, store, kind, at, events.dedup_key, data
                 FROM muted JOIN events ON number = event ORDER BY number",
            )?;
            let mut rows = query.query([])?;
            let mut muted: Vec<(i64, FleetEvent)> = Vec::new();
            while let Some(row) = rows.next()? {
                // What cannot be read can be sent to nobody.
                if let Ok(stored) = reader::event(row) {
                    muted.push((row.get(0)?, stored.event));
                }
            }
            let mut unmuted = 0;
            for (number, event) in muted {
                let route = route(&event);
                if route != Route::Muted {
                    send(transaction, now, number, &event, &route)?;
                    unmuted += 1;
                }
            }
            Ok(unmuted)
        })
    }
}

/// Puts an event into the queues of the sinks that it is for.
pub(super) fn send(
    transaction: &Transaction<'_>,
    now: Timestamp,
    number: i64,
    event: &FleetEvent,
    route: &Route<'_>,
) -> rusqlite::Result<()> {
    let key = &event.dedup_key;
    let push = |sink: &str| {
        let queue = Queue::new(transaction, now, sink, &event.data.agent);
        queue.push(number, Some(event.kind)).map(drop)
    };
    let was_muted = event.incident().is_some()
        && transaction.execute("DELETE FROM muted WHERE dedup_key = ?1", [key])? > 0;
    if event.incident() == Some(IncidentChange::Closes) {
        let opened = "DELETE FROM opened WHERE dedup_key = ?1 RETURNING sink";
        let mut opened = transaction.prepare(opened)?;
        let sinks = opened.query_map([key], |row| row.get(0))?;
        for sink in sinks.collect::<rusqlite::Result<Vec<String>>>()? {
            push(&sink)?;
        }
        // Nobody was sent what it closes.
        if was_muted {
            return Ok(());
        }
    }
    let opens = event.incident() == Some(IncidentChange::Opens);
    match route {
        Route::To(targets) => {
            let note = "INSERT OR IGNORE INTO opened (dedup_key, sink) VALUES (?1, ?2)";
            for target in targets {
                push(target.sink)?;
                if opens && target.follows_incidents {
                    transaction.execute(note, [key, target.sink])?;
                }
            }
        }
        Route::Muted if opens => {
            let note = "INSERT INTO muted (dedup_key, event) VALUES (?1, ?2)";
            transaction.execute(note, params![key, number])?;
        }
        Route::Muted => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
