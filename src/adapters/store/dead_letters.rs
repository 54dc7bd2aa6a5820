//! Dead letters that are sent again.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{OpenFlags, Transaction, params};

use super::queue::Queue;
use super::reader::{integer, known};
use super::{BUSY_TIMEOUT, Reader, Store, StoreError, connect, write};

impl Store {
    /// Puts what was given up into the queues of its sinks again: of one sink, or of all. Gives how much that
    /// was, by sink. A sidecar that runs delivers it.
    pub(crate) fn redeliver(
        path: &Path,
        now: Timestamp,
        sink: Option<&str>,
    ) -> Result<BTreeMap<String, usize>, StoreError> {
        // That there is one, and of this version.
        Reader::open(path)?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, BUSY_TIMEOUT)?;
        write(&mut connection, path, |transaction| {
            redeliver(transaction, now, sink, None)
        })
    }

    /// Puts a dead letter of a sink, or all of them, back into its queue, as if it had just been written.
    /// Gives how many that were.
    pub(crate) fn redeliver_to(
        &mut self,
        sink: &str,
        event: Option<u64>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let event = event.map(integer);
        let counts = self.write(|transaction| redeliver(transaction, now, Some(sink), event))?;
        Ok(counts.into_values().sum())
    }
}

/// Puts dead letters into the queues of their sinks again: of one sink or of all, one event or every one. Where a sink
/// was sent since what closed the incident that an event opens, or opened it anew, it is sent that again: it must not
/// end up with what is over. Gives how many events wait for that, by sink.
fn redeliver(
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
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, known(&kind)))
    })?;
    let letters = rows.collect::<rusqlite::Result<Vec<(String, String, i64, _)>>>()?;
    let mut forget =
        transaction.prepare("DELETE FROM dead_letters WHERE sink = ?1 AND event = ?2")?;
    let mut counts = BTreeMap::new();
    for (sink, agent, number, kind) in letters {
        let queue = Queue::new(transaction, now, &sink, &agent);
        let mut added = queue.push(number, kind)?;
        let incident = queue.incident_of(number)?;
        if let Some((by, kind)) = incident.and_then(|incident| incident.overtaken_by)
            && queue.was_sent(by)?
        {
            added += queue.push(by, Some(kind))?;
            forget.execute(params![sink, by])?;
        }
        // The first of the queue may be another one now, which was not tried yet.
        transaction.execute(
            "UPDATE queues SET attempts = 0, next_at = min(next_at, ?3) WHERE sink = ?1 AND agent = ?2",
            params![sink, agent, now.as_microsecond()],
        )?;
        forget.execute(params![sink, number])?;
        *counts.entry(sink).or_default() += added;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use crate::adapters::store::tests::{Place, at, due, started};
    use crate::adapters::store::{Outcome, Route, Settled};

    #[test]
    fn a_dead_letter_sent_again_is_due_before_later_events_of_its_agent() {
        let place = Place::new();
        let mut store = place.open();
        let change = started(&[("a", "1"), ("a", "2"), ("b", "1")]);
        store
            .apply(at(0), &change, |_| Route::to(&["one", "two"]))
            .unwrap();
        let dead = |number, agent: &str| Settled {
            agent: agent.to_owned(),
            number,
            outcome: Outcome::Dead("refused".to_owned()),
        };
        store
            .settle("one", at(1), &[dead(1, "a"), dead(3, "b")], None)
            .unwrap();
        assert_eq!(due(&mut store, "one", at(1)), ["a 2"]);
        // The second waits for its next try meanwhile.
        let retry = Settled {
            outcome: Outcome::Retry(at(100)),
            ..dead(2, "a")
        };
        store.settle("one", at(2), &[retry], None).unwrap();

        assert_eq!(store.redeliver_to("one", Some(7), at(3)).unwrap(), 0);
        assert_eq!(store.redeliver_to("two", Some(1), at(3)).unwrap(), 0);
        assert_eq!(store.redeliver_to("one", Some(1), at(3)).unwrap(), 1);
        assert_eq!(due(&mut store, "one", at(3)), ["a 1"]);
        assert_eq!(
            store.redeliver_to("one", Some(1), at(3)).unwrap(),
            0,
            "it waits"
        );
        assert_eq!(store.redeliver_to("one", None, at(4)).unwrap(), 1);
        assert_eq!(due(&mut store, "one", at(4)), ["b 1", "a 1"]);
        let left = store.reader().dead_letters(9).unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}
