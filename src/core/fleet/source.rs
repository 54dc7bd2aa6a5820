//! Where knowledge comes from, and whether it still does: the list, and the agents' details.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::clock::Moment;
use super::event::FleetEvent;
use super::own_incident::OwnIncident;
use crate::core::rollout::{Failure, Verdict};

/// The least time without a good answer after which a source is no longer ready.
const MIN_PATIENCE: Duration = Duration::from_mins(1);

/// The sources, and how long each may go without a good answer.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The list of agents.
    pub list: Source,
    /// The agents' own details.
    pub details: Source,
    /// How long a source may go without a good answer.
    pub patience: Duration,
}

/// One source.
#[derive(Debug, Clone)]
pub struct Source {
    name: &'static str,
    /// Whether it is read at all.
    is_read: bool,
    good_at: Option<Duration>,
    failure: Option<Failing>,
    incident: OwnIncident,
}

/// Failures in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// When the first of them was.
    pub since: Duration,
    /// How many there were.
    pub times: u32,
    /// What the latest comes to.
    pub verdict: Verdict,
    /// What the latest was, in a line.
    pub why: String,
}

impl Sources {
    /// The sources where each is read once an interval; there may be no list.
    pub(super) fn new(interval: Duration, reads_list: bool) -> Self {
        let source = |word, name| Source {
            name,
            is_read: true,
            good_at: None,
            failure: None,
            incident: OwnIncident::of_source(word),
        };
        Self {
            list: Source {
                is_read: reads_list,
                ..source("list", "list of agents")
            },
            details: source("details", "agents' details"),
            patience: patience(interval),
        }
    }

    /// Goes on with what an earlier run has reported and is not over, by `dedupkey`.
    pub(super) fn resume(&mut self, reported: &BTreeMap<String, Timestamp>) {
        for source in [&mut self.list, &mut self.details] {
            source.incident = source.incident.clone().resumed(reported);
        }
    }

    /// Why they cannot be relied on at this time; empty where they can.
    #[must_use]
    pub fn faults(&self, at: Duration) -> Vec<String> {
        let read = [&self.list, &self.details].into_iter();
        let read = read.filter(|source| source.is_read);
        read.filter_map(|source| source.fault(self.patience, at))
            .collect()
    }

    /// Whether no details could be read for a third of what there is patience for.
    pub(super) fn is_details_doubtful(&self, at: Duration) -> bool {
        self.details.failing_for(at).saturating_mul(3) >= self.patience
    }

    /// Reports what cannot be read for longer than there is patience, and what can be again.
    pub(super) fn report(&mut self, now: Moment) -> impl Iterator<Item = FleetEvent> {
        let patience = self.patience;
        let sources = [&mut self.list, &mut self.details].into_iter();
        sources.filter_map(move |source| source.report(patience, now))
    }
}

/// How long a source may fail, if it is read once an interval, before that is a fault.
pub(super) fn patience(interval: Duration) -> Duration {
    interval.saturating_mul(4).max(MIN_PATIENCE)
}

impl Source {
    /// There was a good answer. Gives whether there were failures before.
    pub(super) fn good(&mut self, at: Duration) -> bool {
        self.good_at = Some(at);
        self.failure.take().is_some()
    }

    /// There was none. Gives whether that is news: the first failure, or one of another kind.
    pub(super) fn failed(&mut self, at: Duration, failure: &Failure) -> bool {
        let before = self.failure.take();
        let is_news = before
            .as_ref()
            .is_none_or(|before| before.why != failure.summary);
        self.failure = Some(Failing {
            since: before.as_ref().map_or(at, |before| before.since),
            times: before.map_or(0, |before| before.times).saturating_add(1),
            verdict: failure.class.verdict(),
            why: failure.summary.clone(),
        });
        is_news
    }

    /// How old the last good answer is; none before the first.
    #[must_use]
    pub fn age(&self, at: Duration) -> Option<Duration> {
        Some(at.saturating_sub(self.good_at?))
    }

    /// The failures since the last good answer.
    #[must_use]
    pub fn failure(&self) -> Option<&Failing> {
        self.failure.as_ref()
    }

    /// For how long there has been nothing but failures.
    fn failing_for(&self, at: Duration) -> Duration {
        let failure = self.failure.as_ref();
        failure.map_or(Duration::ZERO, |failure| at.saturating_sub(failure.since))
    }

    /// Why it cannot be relied on, in words that stay the same while it lasts; none where it can.
    fn fault(&self, patience: Duration, at: Duration) -> Option<String> {
        let (name, failure) = (self.name, self.failure.as_ref());
        let because = failure.map_or_else(String::new, |failure| format!(": {}", failure.why));
        if self.good_at.is_none() {
            return Some(format!("the {name} could not be read yet{because}"));
        }
        (self.failing_for(at) > patience).then(|| format!("the {name} cannot be read{because}"))
    }

    fn report(&mut self, patience: Duration, now: Moment) -> Option<FleetEvent> {
        let failing_for = self.failing_for(now.at);
        if failing_for > patience {
            let since = now.ago(failing_for);
            let why = self.fault(patience, now.at).unwrap_or_default();
            return self.incident.open(now.wall, since, why);
        }
        let is_good = self.failure.is_none() && self.good_at.is_some();
        if is_good || !self.is_read {
            return self.incident.close(now.wall);
        }
        None
    }
}
