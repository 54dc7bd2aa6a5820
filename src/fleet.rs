//! What is known of an organization's agents, and what the world is told of them. Pure.
//!
//! The list says where to look; what a rollout is and how it ends, the machine says; here it
//! becomes what is remembered and told.

mod figures;
mod filter;
mod health;
mod list;
mod moment;
mod notice;
mod record;
mod retry;
mod rollouts;
mod schedule;
mod scope;
mod view;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use figures::{Figures, Judgement, Period};
pub use filter::{BadFilter, Filter, final_verdict};
pub use health::{Look, NextLook};
pub use list::{Begin, ListStep};
pub use moment::parse_moment;
pub use notice::{Notice, NoticeData, NoticeKind};
pub use record::{AgentRecord, Change, RolloutRecord, Standing};
pub use retry::{LONGEST_WAIT, Retry, RetryPlan, SinkHealth};
pub use schedule::Schedule;
pub use scope::{BadPattern, Scope};
pub use view::AgentView;

use crate::wire::Service;

/// The agents of an organization.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    agents: BTreeMap<String, Agent>,
    /// What was there when the list was read last; none before the first list.
    listed: Option<Timestamp>,
    /// Whether anything was remembered from before this start.
    remembers: bool,
}

/// An agent with what is known of it only while the program runs.
#[derive(Debug, Clone)]
struct Agent {
    record: AgentRecord,
    /// A deployment that may be one from before, shown by a replica that lags, and how many lists
    /// in a row have shown it.
    doubted: Option<(String, u32)>,
    /// How many lists in a row it has been missing from.
    missing: u32,
    /// The rollout that is being followed.
    followed: Option<Followed>,
    /// How many looks in a row found it not ready.
    not_ready: u32,
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
    pub fn restore(records: Vec<AgentRecord>) -> Self {
        let remembers = !records.is_empty();
        let agents = records
            .into_iter()
            .map(|record| (record.name.clone(), Agent::new(record)));
        Self {
            agents: agents.collect(),
            listed: None,
            remembers,
        }
    }

    /// The agents, by name.
    pub fn agents(&self) -> impl Iterator<Item = &AgentRecord> {
        self.agents.values().map(|agent| &agent.record)
    }

    /// Takes in agents that could not be asked for until now, as the first list would have shown them:
    /// what they did before was done while nobody watched.
    pub fn on_late(&mut self, now: Timestamp, services: &[Service]) -> ListStep {
        let mut others = std::mem::take(&mut self.agents);
        let names = services.iter().filter_map(|service| service.name.as_ref());
        self.agents = names.filter_map(|name| others.remove_entry(name)).collect();
        let listed = self.listed.take();
        let step = self.on_list(now, services);
        self.listed = listed;
        self.agents.append(&mut others);
        step
    }

    /// What is known of an agent.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&AgentRecord> {
        self.agents.get(name).map(|agent| &agent.record)
    }
}

impl ListStep {
    /// Adds what follows from another list.
    pub fn append(&mut self, later: ListStep) {
        self.change.append(later.change);
        self.begin.extend(later.begin);
        self.added.extend(later.added);
    }
}

impl Agent {
    fn new(record: AgentRecord) -> Self {
        Self {
            record,
            doubted: None,
            missing: 0,
            followed: None,
            not_ready: 0,
        }
    }
}

#[cfg(test)]
mod tests;
