//! What the page asks of rollouts: the latest of an agent, the events of one, and what became of these.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;

use super::reader::{Events, integer, moment, page, summary};
use super::{Reader, StoreError, json};
use crate::core::fleet::RolloutSummary;

/// How many events of an agent are looked through for those of a rollout.
const MAX_LOOKED_THROUGH: usize = 2000;

/// What became of an event on its way to a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventDelivery {
    pub(crate) sink: String,
    pub(crate) state: DeliveryState,
    /// When it was delivered, given up or, where it waits, put into the queue.
    #[cfg_attr(test, schemars(with = "crate::core::tests::schema::Time"))]
    pub(crate) at: Timestamp,
    /// Why it was given up.
    pub(crate) why: Option<String>,
}

/// Where an event is on its way to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeliveryState {
    Waiting,
    Delivered,
    Dead,
}

impl Reader {
    /// What is counted of the latest rollouts of each of these agents, so many of each at most, the latest
    /// first.
    pub(crate) fn latest(
        &self,
        agents: &[&str],
        limit: usize,
    ) -> Result<Vec<Vec<RolloutSummary>>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare(
                "SELECT number, agent, verdict, at, started_at, elapsed_ms, observed_late
                 FROM events INDEXED BY rollouts_by_agent
                 WHERE kind = 'rollout.finished' AND agent = ?1 ORDER BY number DESC LIMIT ?2",
            )?;
            let mut latest = Vec::with_capacity(agents.len());
            for agent in agents {
                let rows = query.query_map(params![agent, integer(limit)], summary)?;
                let found = rows.filter_map(Result::transpose);
                latest.push(found.collect::<rusqlite::Result<_>>()?);
            }
            Ok(latest)
        })
    }

    /// The events about a deployment of an agent, the latest so many and so many bytes of them, the latest
    /// first.
    pub(crate) fn events_of_rollout(
        &self,
        agent: &str,
        deployment_id: &str,
        limit: usize,
        bytes: usize,
    ) -> Result<Events, StoreError> {
        let numbers = "WITH own AS (
                SELECT number, data FROM events INDEXED BY events_by_agent
                WHERE agent = ?1 ORDER BY number DESC LIMIT ?4
            )
            SELECT number FROM own
            WHERE json_extract(data, '$.deploymentId') = ?2 COLLATE NOCASE
            ORDER BY number DESC LIMIT ?3";
        let (found, read) = (integer(limit), integer(MAX_LOOKED_THROUGH));
        let wanted = (agent, deployment_id, found, read);
        self.read(|connection| page(connection, numbers, wanted, limit, bytes))
    }

    /// What became of these events, by number.
    pub(crate) fn deliveries_of(
        &self,
        events: &[u64],
    ) -> Result<BTreeMap<u64, Vec<EventDelivery>>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare(
                "WITH wanted AS (SELECT value AS event FROM json_each(?1))
                 SELECT event, sink, at, NULL, 0 FROM delivered WHERE event IN wanted
                 UNION ALL SELECT event, sink, dead_at, why, 1 FROM dead_letters WHERE event IN wanted
                 UNION ALL SELECT event, sink, written_at, NULL, 2 FROM deliveries WHERE event IN wanted
                 ORDER BY sink",
            )?;
            let rows = query.query_map([json(&events)], |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), delivery(row)?))
            })?;
            let mut found: BTreeMap<u64, Vec<EventDelivery>> = BTreeMap::new();
            for row in rows {
                let (event, delivery) = row?;
                found.entry(event).or_default().push(delivery);
            }
            Ok(found)
        })
    }
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<EventDelivery> {
    Ok(EventDelivery {
        sink: row.get(1)?,
        state: match row.get::<_, i64>(4)? {
            0 => DeliveryState::Delivered,
            1 => DeliveryState::Dead,
            _ => DeliveryState::Waiting,
        },
        at: moment(row.get(2)?),
        why: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::store::tests::{Place, at, started};
    use crate::adapters::store::{Outcome, Route, Settled};

    #[test]
    fn what_became_of_an_event_is_known_for_each_sink() {
        let place = Place::new();
        let mut store = place.open();
        let mut change = started(&[("a", "first"), ("a", "second"), ("b", "first")]);
        for (event, id) in change.events.iter_mut().zip(["d1", "d2", "d1"]) {
            event.data.deployment_id = Some(id.to_owned());
        }
        let sinks = |_: &_| Route::to(&["dead", "good", "slow"]);
        store.apply(at(0), &change, sinks).unwrap();
        let settled = |outcome| Settled {
            agent: "a".to_owned(),
            number: 1,
            outcome,
        };
        let refused = Outcome::Dead("refused".to_owned());
        store
            .settle("dead", at(1), &[settled(refused)], None)
            .unwrap();
        let delivered = settled(Outcome::Delivered);
        store.settle("good", at(2), &[delivered], None).unwrap();

        let reader = store.reader();
        let events = reader.events_of_rollout("a", "D1", 9, 1 << 20).unwrap();
        let numbers: Vec<u64> = events.found.iter().map(|event| event.number).collect();
        assert_eq!(numbers, [1]);
        let found = reader.deliveries_of(&numbers).unwrap();
        let found: Vec<_> = found[&1]
            .iter()
            .map(|one| (one.sink.as_str(), one.state, one.at, one.why.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("dead", DeliveryState::Dead, at(1), Some("refused")),
                ("good", DeliveryState::Delivered, at(2), None),
                ("slow", DeliveryState::Waiting, at(0), None),
            ]
        );
    }
}
