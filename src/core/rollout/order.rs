//! The order of answers by their own dates, and the clock of the server that wrote them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::date::{is_before, past};
use crate::core::wire::AgentDetails;

/// What the dates of the answers so far prove.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// When the agent's record was changed last.
    updated_at: Option<Timestamp>,
    /// When each deployment was created, and when its record was changed last.
    created: BTreeMap<String, Timestamp>,
    updated: BTreeMap<String, Timestamp>,
    /// What the server's clock said, at least, when the watch began.
    start: Option<Timestamp>,
}

impl Order {
    /// Takes in the dates of an answer that came at `at`, and says whether it counts: not if they prove
    /// it older than what was seen, however often it comes (rule 4).
    pub(super) fn admits(
        &mut self,
        at: Duration,
        details: &AgentDetails,
        server_time: Option<Timestamp>,
    ) -> bool {
        self.note_clock(at, server_time);
        let now = server_time.or_else(|| self.clock(at));
        let updated_at = past(details.updated_at, now);
        let deployment = details.desired().zip(details.desired_deployment());
        let dated = deployment.map(|(id, deployment)| {
            let [created, updated] = [deployment.created_at, deployment.updated_at];
            (id, past(created, now), past(updated, now))
        });
        let seen = dated.and_then(|(id, ..)| self.updated.get(id).copied());
        if is_before(updated_at, self.updated_at)
            || is_before(dated.and_then(|(_, _, updated)| updated), seen)
        {
            return false;
        }
        self.updated_at = self.updated_at.max(updated_at);
        if let Some((id, created, updated)) = dated {
            self.created
                .extend(created.map(|date| (id.to_owned(), date)));
            self.updated
                .extend(updated.map(|date| (id.to_owned(), date)));
        }
        true
    }

    /// Notes when a deployment was created, by somebody else's word.
    pub(super) fn note_created(&mut self, id: &str, created_at: Timestamp) {
        self.created.insert(id.to_owned(), created_at);
    }

    /// When a deployment was created, if any answer has said so.
    pub(super) fn created_at(&self, id: &str) -> Option<Timestamp> {
        self.created.get(id).copied()
    }

    /// Whether deployment `one` is known to have been created before `other`.
    pub(super) fn is_older(&self, one: &str, other: &str) -> bool {
        is_before(self.created_at(one), self.created_at(other))
    }

    /// What the server's clock said, at least, at `at`.
    pub(super) fn clock(&self, at: Duration) -> Option<Timestamp> {
        self.start?.checked_add(at).ok()
    }

    /// An answer that came at `at` has this Date: whole seconds, rounded down, and older than the moment
    /// it came. The server's clock was at least there. Of several answers the earliest reading counts,
    /// so that a server whose clock is ahead proves nothing.
    fn note_clock(&mut self, at: Duration, date: Option<Timestamp>) {
        let start = date.and_then(|date| date.checked_sub(at).ok());
        self.start = self.start.into_iter().chain(start).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::Deployment;

    fn date(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Whether an answer with these dates counts.
    fn admits(order: &mut Order, id: &str, dates: [i64; 3], now: Option<i64>) -> bool {
        let [created, record, agent] = dates.map(|second| Some(date(second)));
        let details = AgentDetails {
            desired_deployment_id: Some(id.to_owned()),
            updated_at: agent,
            deployment: Some(Deployment {
                id: Some(id.to_owned()),
                created_at: created,
                updated_at: record,
                ..Deployment::default()
            }),
            ..AgentDetails::default()
        };
        order.admits(Duration::ZERO, &details, now.map(date))
    }

    #[test]
    fn an_answer_is_older_by_the_agents_date_or_by_that_of_the_same_deployment() {
        let mut seen = Order::default();
        assert!(admits(&mut seen, "a", [10, 20, 30], None));
        for (id, dates, counts) in [
            ("a", [10, 20, 30], true),
            ("a", [10, 20, 29], false),
            ("a", [10, 19, 30], false),
            ("b", [1, 2, 30], true),
            ("b", [1, 2, 29], false),
            ("a", [9, 21, 31], true),
        ] {
            assert_eq!(
                admits(&mut seen.clone(), id, dates, None),
                counts,
                "{id} {dates:?}"
            );
        }
        assert!(seen.admits(Duration::ZERO, &AgentDetails::default(), None));
        assert!(admits(&mut seen, "b", [11, 12, 30], None));
        assert!(seen.is_older("a", "b") && !seen.is_older("b", "a"));
        assert!(!seen.is_older("a", "a") && !seen.is_older("a", "c"));
    }

    #[test]
    fn a_date_ahead_of_the_servers_clock_is_none_nor_is_a_zero_date() {
        for (now, known) in [(None, true), (Some(97), true), (Some(96), false)] {
            let mut order = Order::default();
            assert!(admits(&mut order, "a", [100, 0, 0], now));
            assert_eq!(order.created_at("a").is_some(), known, "{now:?}");
            assert!(admits(&mut order, "b", [0, 0, 0], now));
            assert_eq!(order.created_at("b"), None);
        }
    }

    #[test]
    fn the_servers_clock_is_its_earliest_reading() {
        let mut order = Order::default();
        assert_eq!(order.clock(Duration::ZERO), None);
        let second = Duration::from_secs;
        order.note_clock(second(5), Some(date(1005)));
        order.note_clock(second(6), Some(date(1066)));
        order.note_clock(second(7), None);
        assert_eq!(order.clock(second(9)), Some(date(1009)));
        order.note_clock(second(8), Some(date(1007)));
        assert_eq!(order.clock(second(9)), Some(date(1008)));
    }
}
