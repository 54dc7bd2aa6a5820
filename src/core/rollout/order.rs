//! The order of answers by their own dates, and the clock of the server that wrote them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::core::wire::AgentDetails;

/// How far a date may lie ahead of the server's clock before it proves nothing.
const MAX_AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// The dates of an answer. One that lies in the future is none, nor is a zero date.
#[derive(Debug, Clone, Default)]
pub(super) struct Dates {
    desired: Option<String>,
    /// When the desired deployment was created.
    pub(super) created_at: Option<Timestamp>,
    /// When its record was changed last.
    deployment_updated_at: Option<Timestamp>,
    /// When the agent's record was changed last.
    updated_at: Option<Timestamp>,
}

impl Dates {
    pub(super) fn of(details: &AgentDetails, server_time: Option<Timestamp>) -> Self {
        let past = |date: Option<Timestamp>| {
            let limit = server_time.and_then(|now| now.checked_add(MAX_AHEAD).ok());
            date.filter(|date| {
                *date > Timestamp::UNIX_EPOCH && limit.is_none_or(|limit| *date <= limit)
            })
        };
        let deployment = details.desired_deployment();
        Self {
            desired: details.desired().map(str::to_owned),
            created_at: past(deployment.and_then(|deployment| deployment.created_at)),
            deployment_updated_at: past(deployment.and_then(|deployment| deployment.updated_at)),
            updated_at: past(details.updated_at),
        }
    }
}

/// The newest dates of the answers so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest {
    updated_at: Option<Timestamp>,
    created: BTreeMap<String, Timestamp>,
    updated: BTreeMap<String, Timestamp>,
}

impl Newest {
    /// Whether its own dates prove that an answer is older than what was seen: it counts for nothing,
    /// however often it comes (design rule 4).
    pub(super) fn proves_older(&self, dates: &Dates) -> bool {
        let seen = dates.desired.as_ref().and_then(|id| self.updated.get(id));
        is_before(dates.updated_at, self.updated_at)
            || is_before(dates.deployment_updated_at, seen.copied())
    }

    /// Takes in the dates of an answer that is not proven older.
    pub(super) fn note(&mut self, dates: &Dates) {
        self.updated_at = self.updated_at.max(dates.updated_at);
        let Some(id) = &dates.desired else { return };
        if let Some(created_at) = dates.created_at {
            self.created.insert(id.clone(), created_at);
        }
        if let Some(updated_at) = dates.deployment_updated_at {
            self.updated.insert(id.clone(), updated_at);
        }
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
}

/// Whether `one` is known to be before `other`.
fn is_before(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one < other)
}

/// The server's clock, as the Date headers of its answers show it.
///
/// A Date is whole seconds, rounded down, and older than the moment its answer came: the server's
/// clock was at least there. Of several answers the earliest reading counts, so that a server whose
/// clock is ahead proves nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ServerClock {
    /// What the server's clock said, at least, when the watch began.
    start: Option<Timestamp>,
}

impl ServerClock {
    /// An answer that came at `at` has this Date.
    pub(super) fn note(&mut self, at: Duration, date: Option<Timestamp>) {
        let start = date.and_then(|date| date.checked_sub(at).ok());
        self.start = match (self.start, start) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// What the server's clock said, at least, at `at`.
    pub(super) fn at(&self, at: Duration) -> Option<Timestamp> {
        self.start?.checked_add(at).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::Deployment;

    fn date(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn dates(id: &str, created: i64, record: i64, agent: i64, now: Option<i64>) -> Dates {
        let details = AgentDetails {
            desired_deployment_id: Some(id.to_owned()),
            updated_at: Some(date(agent)),
            deployment: Some(Deployment {
                id: Some(id.to_owned()),
                created_at: Some(date(created)),
                updated_at: Some(date(record)),
                ..Deployment::default()
            }),
            ..AgentDetails::default()
        };
        Dates::of(&details, now.map(date))
    }

    #[test]
    fn an_answer_is_older_by_the_agents_date_or_by_that_of_the_same_deployment() {
        let mut newest = Newest::default();
        newest.note(&dates("a", 10, 20, 30, None));
        for (answer, older) in [
            (dates("a", 10, 20, 30, None), false),
            (dates("a", 10, 20, 29, None), true),
            (dates("a", 10, 19, 30, None), true),
            (dates("b", 1, 2, 30, None), false),
            (dates("b", 1, 2, 29, None), true),
            (dates("a", 9, 21, 31, None), false),
            (Dates::default(), false),
        ] {
            assert_eq!(newest.proves_older(&answer), older, "{answer:?}");
        }
        newest.note(&dates("b", 11, 12, 30, None));
        assert!(newest.is_older("a", "b") && !newest.is_older("b", "a"));
        assert!(!newest.is_older("a", "a") && !newest.is_older("a", "c"));
    }

    #[test]
    fn a_date_ahead_of_the_servers_clock_is_none() {
        for (now, created) in [(None, true), (Some(40), true), (Some(39), false)] {
            let dates = dates("a", 100, 0, 0, now);
            assert_eq!(dates.created_at.is_some(), created, "{now:?}");
        }
    }

    #[test]
    fn the_servers_clock_is_its_earliest_reading() {
        let mut clock = ServerClock::default();
        assert_eq!(clock.at(Duration::ZERO), None);
        let second = Duration::from_secs;
        clock.note(second(5), Some(date(1005)));
        clock.note(second(6), Some(date(1066)));
        clock.note(second(7), None);
        assert_eq!(clock.at(second(9)), Some(date(1009)));
        clock.note(second(8), Some(date(1007)));
        assert_eq!(clock.at(second(9)), Some(date(1008)));
    }
}
