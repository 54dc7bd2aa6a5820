//! What the endpoints tell, and of whom they ask it: closures, so that they depend on nobody.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;

use super::query::{AgentsQuery, RolloutsQuery};
use crate::core::fleet::{AgentView, FinishedRollout};
use crate::core::rollout::whole_millis;

/// An answer that may take its time.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Unanswered>> + Send>>;

/// Of whom the endpoints ask.
///
/// Liveness and readiness are asked within the loop of the endpoints and must not wait; metrics are
/// asked on a thread of their own and may be long; lists may wait, up to half the time of a request.
pub(crate) struct Sources {
    /// Do the loops beat?
    pub liveness: Box<dyn Fn() -> Liveness + Send + Sync>,
    /// Is it of use?
    pub readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
    /// The metrics in the OpenMetrics text format, whole.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Agents by name, those after `after`; `next` is the last one's name where there are more.
    pub agents: Box<dyn Fn(AgentsQuery) -> Answer<Page<AgentView, String>> + Send + Sync>,
    /// Rollouts, the latest first, those numbered below `before`; `next` is the last one's number
    /// where there are more.
    pub rollouts: Box<dyn Fn(RolloutsQuery) -> Answer<Page<FinishedRollout, u64>> + Send + Sync>,
}

/// Why there is no list, in words that callers may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unanswered(pub String);

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<T, N> {
    /// The part.
    pub items: Vec<T>,
    /// Where the next part begins; none after the last.
    pub next: Option<N>,
}

/// Whether the loops of the sidecar beat. It says nothing of the API, which no restart mends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Liveness {
    /// The loops.
    pub loops: Vec<LoopBeat>,
}

/// The heartbeat of a loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoopBeat {
    /// Which one.
    pub name: &'static str,
    /// How long ago it beat last.
    pub age: Duration,
    /// How long that may be.
    pub limit: Duration,
}

/// Whether what the sidecar tells can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// How long ago the API gave the last good answer; none yet without one.
    pub last_good_answer_age: Option<Duration>,
    /// How long that may be.
    pub limit: Duration,
    /// Whether the store can be written; if not, why.
    pub store: Result<(), String>,
}

impl LoopBeat {
    /// Whether it has not beaten for too long.
    #[must_use]
    pub(crate) fn is_stuck(&self) -> bool {
        self.age > self.limit
    }
}

impl Liveness {
    /// The loops that are stuck, by name.
    #[must_use]
    pub(crate) fn stuck(&self) -> Vec<&'static str> {
        let stuck = self.loops.iter().filter(|beat| beat.is_stuck());
        stuck.map(|beat| beat.name).collect()
    }
}

impl Readiness {
    /// What is wrong, in words; nothing when it is ready.
    #[must_use]
    pub(crate) fn faults(&self) -> Vec<String> {
        let answer = match self.last_good_answer_age {
            None => Some("the API has given no good answer yet".to_owned()),
            Some(age) if age > self.limit => Some(format!(
                "the last good answer of the API is {} s old, which is more than {} s",
                age.as_secs(),
                self.limit.as_secs()
            )),
            Some(_) => None,
        };
        let store = self.store.as_ref().err();
        let store = store.map(|why| format!("the store cannot be written: {why}"));
        answer.into_iter().chain(store).collect()
    }
}

impl Serialize for LoopBeat {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            name: &'static str,
            stuck: bool,
            age_ms: u64,
            limit_ms: u64,
        }
        let told = Told {
            name: self.name,
            stuck: self.is_stuck(),
            age_ms: whole_millis(self.age),
            limit_ms: whole_millis(self.limit),
        };
        told.serialize(serializer)
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}
