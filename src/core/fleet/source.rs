//! Where knowledge comes from, and whether it still does: the list, and the agents' details.

use std::time::Duration;

use crate::core::rollout::{Failure, Verdict};

/// The least time without a good answer after which a source is no longer ready.
const MIN_PATIENCE: Duration = Duration::from_mins(1);

/// The sources, and how long each may go without a good answer.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The list of agents.
    pub list: Source,
    /// The agents' own details.
    pub details: Source,
    /// How long a source may go without a good answer.
    pub patience: Duration,
}

/// One source.
#[derive(Debug, Clone, Default)]
pub struct Source {
    good_at: Option<Duration>,
    failure: Option<Failing>,
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
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            patience: patience(interval),
            ..Self::default()
        }
    }

    /// Why a source, which is called this, cannot be relied on at this time; none where it can.
    #[must_use]
    pub fn fault(&self, name: &str, source: &Source, at: Duration) -> Option<String> {
        let because = source
            .failure()
            .map_or_else(String::new, |failure| format!(": {}", failure.why));
        let Some(age) = source.age(at) else {
            return Some(format!("the {name} could not be read yet{because}"));
        };
        let since = source.failure().map(|failure| failure.since);
        let failing_for = since.map_or(Duration::ZERO, |since| at.saturating_sub(since));
        (failing_for > self.patience).then(|| {
            let age = age.as_secs();
            format!("the {name} could be read last {age} s ago{because}")
        })
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
}
