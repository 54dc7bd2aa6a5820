//! Dead letters that are sent again.

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::reader::integer;
use super::{Store, StoreError, queues};
use crate::core::fleet::EventKind;

impl Store {
    /// Puts a dead letter of a sink, or all of them, back into its queue, as if it had just been written.
    /// Gives how many that were.
    pub(crate) fn resend(
        &mut self,
        sink: &str,
        event: Option<u64>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.write(|transaction| {
            let mut query = transaction.prepare(
                "SELECT event, dead_letters.agent, kind FROM dead_letters
                 JOIN events ON number = event
                 WHERE sink = ?1 AND (?2 IS NULL OR event = ?2) ORDER BY event",
            )?;
            let rows = query.query_map(params![sink, event.map(integer)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            let letters = rows.collect::<rusqlite::Result<Vec<(i64, String, String)>>>()?;
            for (number, agent, kind) in &letters {
                let kind = serde_json::from_value::<EventKind>(kind.as_str().into());
                let is_urgent = kind.is_ok_and(EventKind::is_urgent);
                queues::push(transaction, now, sink, *number, agent, is_urgent)?;
                retry_at_once(transaction, sink, agent, now)?;
                transaction.execute(
                    "DELETE FROM dead_letters WHERE sink = ?1 AND event = ?2",
                    params![sink, number],
                )?;
            }
            Ok(letters.len())
        })
    }
}

/// The first of the queue may be another one now, which was not tried yet.
fn retry_at_once(
    transaction: &Transaction<'_>,
    sink: &str,
    agent: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let changed = transaction.execute(
        "UPDATE queues SET attempts = 0, next_at = min(next_at, ?3) WHERE sink = ?1 AND agent = ?2",
        params![sink, agent, now.as_microsecond()],
    );
    changed.map(drop)
}

#[cfg(test)]
mod tests {
    use crate::adapters::store::tests::{Place, at, due, started};
    use crate::adapters::store::{Outcome, Settled};

    #[test]
    fn a_dead_letter_sent_again_is_due_before_later_events_of_its_agent() {
        let place = Place::new();
        let mut store = place.open();
        let change = started(&[("a", "1"), ("a", "2"), ("b", "1")]);
        store.apply(at(0), &change, |_| vec!["one", "two"]).unwrap();
        let dead = |number, agent: &str| Settled {
            agent: agent.to_owned(),
            number,
            outcome: Outcome::Dead("refused".to_owned()),
        };
        store
            .settle("one", at(1), &[dead(1, "a"), dead(3, "b")])
            .unwrap();
        assert_eq!(due(&mut store, "one", at(1)), ["a 2"]);
        // The second waits for its next try meanwhile.
        let retry = Settled {
            outcome: Outcome::Retry(at(100)),
            ..dead(2, "a")
        };
        store.settle("one", at(2), &[retry]).unwrap();

        assert_eq!(store.resend("one", Some(7), at(3)).unwrap(), 0);
        assert_eq!(store.resend("two", Some(1), at(3)).unwrap(), 0);
        assert_eq!(store.resend("one", Some(1), at(3)).unwrap(), 1);
        assert_eq!(due(&mut store, "one", at(3)), ["a 1"]);
        assert_eq!(store.resend("one", Some(1), at(3)).unwrap(), 0, "it waits");
        assert_eq!(store.resend("one", None, at(4)).unwrap(), 1);
        assert_eq!(due(&mut store, "one", at(4)), ["b 1", "a 1"]);
        let left = store.reader().dead_letters(9).unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}
