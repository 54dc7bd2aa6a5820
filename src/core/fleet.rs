//! What is known of an organization's agents, and what the world is told of them. Pure.
//!
//! The list says where to look; what a rollout is and how it ends, the machine says; here it
//! becomes what is remembered and told.

mod event;
mod filter;
mod health;
mod history;
mod list;
mod moment;
mod notice;
pub mod old;
mod record;
mod retry;
mod rollouts;
mod schedule;
mod scope;
mod stats;
mod view;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use event::{EventData, EventKind, FleetEvent, StoredEvent};
pub use filter::{BadFilter, Filter, final_verdict};
pub use health::{Look, NextLook};
pub use history::{FinishedRollout, RolloutSummary};
pub use list::{Begin, ListStep};
pub use moment::parse_moment;
pub use notice::{Notice, NoticeData, NoticeKind};
pub use record::{AgentRecord, AgentState, Change, Incident, KnownDeployment, Live};
pub use retry::{Failure, LONGEST_WAIT, Retry, SinkHealth};
pub use schedule::Schedule;
pub use scope::{BadPattern, Scope};
pub use stats::{Judgement, Period, Stats};
pub use view::AgentView;

/// How many lists in a row have to say what goes back behind what was known.
const CONFIRMATIONS: u32 = 3;

/// The agents of an organization.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    agents: BTreeMap<String, Agent>,
    /// What is kept of those that are gone, and those that are not in scope.
    aside: BTreeMap<String, Agent>,
    /// What was there when the list was read last; none before the first list.
    listed: Option<Timestamp>,
    /// Whether anything was remembered from before this start, be it out of scope: what is not known
    /// then is new.
    remembers: bool,
}

/// An agent with what is known of it only while the program runs.
#[derive(Debug, Clone)]
struct Agent {
    record: old::AgentRecord,
    /// What may be from before, shown by a replica that lags.
    doubted: Option<Doubt>,
    /// How many lists in a row it has been missing from.
    missing: u32,
    /// The rollout that is being followed.
    followed: Option<Followed>,
    /// How many looks in a row found it not ready.
    not_ready: u32,
}

/// Something that several lists in a row have to show before it is believed.
#[derive(Debug, Clone)]
struct Doubt {
    shown: Shown,
    /// How many lists in a row have shown it.
    times: u32,
    /// How a rollout is followed that began by the first of them.
    followed: Followed,
}

/// What an entry of the list shows of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    service_id: Option<String>,
    deployment_id: Option<String>,
    updated_at: Option<Timestamp>,
}

/// A rollout that is being followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Followed {
    /// It showed while the program ran.
    InTime,
    /// It showed in the first list: it may have begun, or even ended, while nobody watched.
    Late,
}

impl Fleet {
    /// The agents as they were remembered; with none it is the first start.
    #[must_use]
    pub fn restore(records: Vec<old::AgentRecord>) -> Self {
        Self::restore_in_scope(records, |_| true)
    }

    /// The same where some are not in scope. They stay as they are until they are: who is not to be
    /// watched is not gone.
    #[must_use]
    pub fn restore_in_scope(
        records: Vec<old::AgentRecord>,
        in_scope: impl Fn(&old::AgentRecord) -> bool,
    ) -> Self {
        let remembers = !records.is_empty();
        let (present, aside): (Vec<_>, Vec<_>) = records
            .into_iter()
            .map(|record| (record.name.clone(), Agent::new(record)))
            .partition(|(_, agent)| !agent.is_gone() && in_scope(&agent.record));
        Self {
            agents: present.into_iter().collect(),
            aside: aside.into_iter().collect(),
            listed: None,
            remembers,
        }
    }

    /// Keeps nothing any more of those that were gone before this moment.
    pub fn forget(&mut self, before: Timestamp) -> old::Change {
        let mut change = old::Change::default();
        self.aside.retain(|name, agent| {
            let gone_at = agent.record.gone_at;
            let forgotten = gone_at.is_some_and(|gone_at| gone_at < before);
            if forgotten {
                change.removed.push(name.clone());
            }
            !forgotten
        });
        change
    }

    /// The agents, by name.
    pub fn agents(&self) -> impl Iterator<Item = &old::AgentRecord> {
        self.agents.values().map(|agent| &agent.record)
    }

    /// What is known of an agent.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&old::AgentRecord> {
        self.agents.get(name).map(|agent| &agent.record)
    }
}

impl Agent {
    fn new(record: old::AgentRecord) -> Self {
        Self {
            record,
            doubted: None,
            missing: 0,
            followed: None,
            not_ready: 0,
        }
    }

    fn is_gone(&self) -> bool {
        self.record.gone_at.is_some()
    }
}

#[cfg(test)]
mod tests;
