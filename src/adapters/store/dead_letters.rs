//! Dead letters that are sent again.

use jiff::Timestamp;

use super::reader::integer;
use super::{Store, StoreError, queues};

impl Store {
    /// Puts a dead letter of a sink, or all of them, back into its queue, as if it had just been written.
    /// Gives how many that were.
    pub(crate) fn redeliver_to(
        &mut self,
        sink: &str,
        event: Option<u64>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let event = event.map(integer);
        let counts =
            self.write(|transaction| queues::redeliver(transaction, now, Some(sink), event))?;
        Ok(counts.into_values().sum())
    }
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
