//! An organization's agents: what is known of them, what happens to them, and whom to ask next. Pure.
//!
//! [`Fleet::handle`] takes in one thing that has happened and says what changed and what to do. The list
//! of agents is only a hint where to look: what is believed comes from the agents' own details.

mod agent;
mod checks;
mod clock;
mod event;
mod example;

mod filter;
mod history;
mod input;
mod list;
mod moment;
mod mute;
mod overview;
mod own_incident;
mod public_url;
mod record;
mod retry;
mod rollouts;
mod schedule;
mod scope;
mod source;
mod stats;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::Bound;
use std::time::Duration;

use jiff::Timestamp;

pub use self::clock::{Moment, ServerClock};
#[cfg(test)]
pub(crate) use self::event::TYPE_PREFIX;
pub use self::event::{EventData, EventKind, FleetEvent, IncidentChange, Origin, StoredEvent};
pub(crate) use self::example::{test_events, whole_event};

pub use self::filter::{BadFilter, Filter, Wanted, final_verdict};
pub use self::history::{FinishedRollout, RolloutSummary};
pub use self::input::{Action, Input, Step, Task, TaskId};
pub use self::moment::parse_moment;
pub use self::mute::Mute;
pub use self::overview::{AgentFilter, Census, Order, Status, attention_first, census};
pub use self::own_incident::OwnIncident;
pub use self::public_url::{PublicUrl, url_part};
pub use self::record::{
    AgentRecord, AgentState, Change, Incident, KnownDeployment, Live, UnderWay,
};
pub use self::retry::{Backlog, DeliveryFailure, LONGEST_WAIT, Retry, SinkHealth};
pub use self::schedule::Urgency;
pub use self::scope::{BadPattern, Scope};
pub use self::source::{Source, Sources};
pub use self::stats::{Period, Stats};

use self::agent::Agent;
use self::schedule::Schedule;
use self::source::patience;
use crate::core::rollout::{Limits, Route, Shown, Verdict};
use crate::core::wire::{AgentName, Service};

/// How many regular checks may be under way at once.
const MAX_REGULAR_CHECKS: usize = 8;

/// How often a single pass asks for what cannot be read.
const PASS_TRIES: u32 = 3;

/// What decides how an organization is watched.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Which agents.
    pub watched: Watched,
    /// How often the list is read or, without one, each agent is checked.
    pub interval: Duration,
    /// How often an agent is checked of which nothing new is known.
    pub health_interval: Duration,
    /// How long an agent must not be ready until that is reported.
    pub unready_for: Duration,
    /// The limits of each rollout.
    pub limits: Limits,
    /// How many requests there may be in a second.
    pub max_rps: NonZeroU32,
    /// How long it runs.
    pub mode: Mode,
}

/// Which agents are watched.
#[derive(Debug, Clone)]
pub enum Watched {
    /// Those of the organization's list that are in this scope.
    Listed(Scope),
    /// These, without the list.
    Named(Vec<AgentName>),
}

/// How long the sidecar runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is stopped.
    Daemon,
    /// Until every agent has been checked, and what was under way has ended.
    Once,
}

/// The agents of an organization.
#[derive(Debug, Clone)]
pub struct Fleet {
    rules: Rules,
    /// Boxed: a map keeps room for more entries than it has.
    agents: BTreeMap<String, Box<Entry>>,
    schedule: Schedule,
    clock: ServerClock,
    sources: Sources,
    /// When the list is to be read; none while it is, and where there is none.
    list_at: Option<Duration>,
    /// Until when an earlier run had watched; none where this is the first.
    watched_until: Option<Timestamp>,
    /// What the latest list came to; none before the first.
    listed: Option<Listed>,
    /// Lists in a row that showed nobody to watch, at the start.
    nobody: Option<Shown>,
    last_number: u64,
    /// How many checks, and followed rollouts, are under way.
    checks: usize,
    follows: usize,
    /// The checks among them that nothing urgent has to wait for, by their numbers.
    regular_checks: BTreeSet<u64>,
    /// Names in the latest list that cannot be asked for.
    invalid_names: BTreeSet<String>,
    /// Agents that were reported as removed: they are new again when they come back.
    removed: BTreeSet<String>,
    /// Remembered agents that are not watched any more, until what is open of them is closed.
    left: Vec<AgentRecord>,
}

/// What the latest list came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listed {
    /// How many entries there were in all, and how many in scope.
    in_all: usize,
    in_scope: usize,
    /// How many agents are watched since: those that it does not show are so until they are known to be gone.
    watched: usize,
    /// Whether it has suddenly lost so many agents that it is not trusted.
    is_distrusted: bool,
}

impl Listed {
    /// Why there is nobody to watch.
    fn nobody(self) -> String {
        match (self.in_all, self.in_scope) {
            (0, _) => "the organization has no agents: its list is empty".to_owned(),
            (_, 0) => "no agent of the list is in scope".to_owned(),
            _ => "no agent of the list exists".to_owned(),
        }
    }
}

/// A check that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Check {
    number: u64,
    urgency: Urgency,
}

/// An agent, or a name that may be one.
#[derive(Debug, Clone, Default)]
struct Entry {
    /// What is known of it; none until its details have been seen.
    agent: Option<Agent>,
    /// What the list shows, where that has still to be found true.
    hint: Option<Box<Service>>,
    /// Whether the latest list showed it.
    is_listed: bool,
    /// Whether the very first start found it there, and no answer about it has been taken in since: its
    /// deployment is none that came while anybody watched.
    was_there: bool,
    /// The check that is under way; the answer to another one counts for nothing.
    check: Option<Check>,
    /// Whether it is to be checked once more as soon as that has ended.
    check_again: bool,
    /// Checks in a row that said that there is no such agent.
    absent: Option<Shown>,
    /// Checks in a row without a usable answer; that is reported once it is confirmed.
    failing: Option<Shown>,
    /// Until when a hint of the list is passed over, since the details said otherwise.
    passes_over_hints_until: Duration,
}

/// How the watching of an organization has ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassEnd {
    /// The one pass is over.
    Passed,
    /// It came to nothing, with this verdict on the API and for this reason.
    Failed(Verdict, String),
}

impl Fleet {
    /// The agents as they were remembered, by a sidecar that watched until then; with no moment this is
    /// the first start.
    #[must_use]
    pub fn restore(
        rules: Rules,
        records: Vec<AgentRecord>,
        watched_until: Option<Timestamp>,
    ) -> Self {
        let reads_list = matches!(rules.watched, Watched::Listed(_));
        let mut fleet = Self {
            agents: BTreeMap::new(),
            schedule: Schedule::new(rules.health_interval, rules.max_rps),
            clock: ServerClock::default(),
            sources: Sources::new(rules.interval, reads_list),
            list_at: reads_list.then_some(Duration::ZERO),
            watched_until,
            listed: None,
            nobody: None,
            last_number: 0,
            checks: 0,
            follows: 0,
            regular_checks: BTreeSet::new(),
            invalid_names: BTreeSet::new(),
            removed: BTreeSet::new(),
            left: Vec::new(),
            rules,
        };
        for record in records {
            let in_scope = match &fleet.rules.watched {
                Watched::Listed(scope) => scope.holds(&record.name, record.region.as_deref()),
                Watched::Named(names) => names.iter().any(|name| name.as_str() == record.name),
            };
            // What is not in scope stays in the store as it is, unless something is open that this
            // sidecar would have to close.
            let is_open = record.under_way().is_some() || record.incident.is_some();
            if !in_scope && is_open && fleet.rules.mode == Mode::Daemon {
                fleet.left.push(record);
            } else if in_scope {
                fleet.schedule.add(Duration::ZERO, &record.name);
                if record.under_way().is_some() {
                    fleet
                        .schedule
                        .put(Duration::ZERO, &record.name, Urgency::Urgent);
                }
                let entry = fleet.agents.entry(record.name.clone()).or_default();
                entry.agent = Some(Agent::new(record));
            }
        }
        if let Watched::Named(names) = &fleet.rules.watched {
            for name in names {
                let entry = fleet.agents.entry(name.as_str().to_owned()).or_default();
                entry.was_there = watched_until.is_none() && entry.agent.is_none();
                fleet
                    .schedule
                    .put(Duration::ZERO, name.as_str(), Urgency::Regular);
            }
        }
        fleet
            .schedule
            .set_interval(Duration::ZERO, fleet.idle_interval());
        fleet
    }

    /// Takes in what an earlier run has reported as wrong with the sidecar itself, and is not over.
    #[must_use]
    pub fn with_incidents(mut self, incidents: &BTreeMap<String, Timestamp>) -> Self {
        self.sources.resume(incidents);
        self
    }

    /// Takes in something that has happened.
    pub fn handle(&mut self, now: Moment, input: Input) -> Step {
        let mut step = Step::default();
        for record in std::mem::take(&mut self.left) {
            let name = record.name.clone();
            let mut agent = Agent::new(record);
            agent.left(now, &self.clock);
            step.change.events.append(&mut agent.events);
            step.change.agents.insert(name, None);
        }
        match input {
            Input::Listed(services) => self.on_list(now, services, &mut step),
            Input::ListFailed(failure) => self.on_list_failed(now, &failure, &mut step),
            Input::Checked { check, observation } => {
                self.on_checked(now, &check, observation, &mut step);
            }
            Input::ServerDate {
                sent,
                received,
                date,
            } => self.clock.note(sent, received, date),
            Input::Progressed(follow, event) => self.on_progress(now, &follow, &event, &mut step),
            Input::Followed(follow, outcome) => {
                self.on_followed(now, &follow, &outcome, &mut step);
            }
            Input::TaskLost(task) => self.on_task_lost(now, task, &mut step),
        }
        step.change.events.extend(self.sources.report(now));
        step
    }

    /// What is due: the list, and checks.
    pub fn due(&mut self, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.list_at.is_some_and(|due| due <= now.at) {
            self.list_at = None;
            // What confirms a list must not come from the same replica.
            actions.push(Action::ReadList(match self.nobody {
                Some(_) => Route::Fresh,
                None => Route::Pooled,
            }));
        }
        while let Some(name) = self.schedule.take(now.at, Urgency::Urgent) {
            actions.extend(self.check(&name, Urgency::Urgent));
        }
        while self.regular_checks.len() < MAX_REGULAR_CHECKS
            && let Some(name) = self.schedule.take(now.at, Urgency::Regular)
        {
            actions.extend(self.check(&name, Urgency::Regular));
        }
        actions
    }

    /// When something is due next, on the monotonic clock.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let has_place = self.regular_checks.len() < MAX_REGULAR_CHECKS;
        let regular = self.schedule.next(Urgency::Regular).filter(|_| has_place);
        let urgent = self.schedule.next(Urgency::Urgent);
        [urgent, regular, self.list_at].into_iter().flatten().min()
    }

    /// Whether the one pass is over, if there is only one.
    #[must_use]
    pub fn pass_end(&self) -> Option<PassEnd> {
        if self.rules.mode == Mode::Daemon {
            return None;
        }
        let list = &self.sources.list;
        if let Some(failing) = list.failure()
            && failing.times >= PASS_TRIES
        {
            let why = format!("the list of agents cannot be read: {}", failing.why);
            return Some(PassEnd::Failed(failing.verdict, why));
        }
        let reading = !self.is_named() && (self.listed.is_none() || self.list_at.is_some());
        if reading || self.follows > 0 || self.checks > 0 || !self.schedule.is_empty() {
            return None;
        }
        let failed = |verdict, why| Some(PassEnd::Failed(verdict, why));
        for (name, entry) in &self.agents {
            if entry.failing.is_some() {
                let (verdict, why) = match self.sources.details.failure() {
                    Some(failure) => (failure.verdict, failure.why.as_str()),
                    None => (Verdict::Unavailable, "there was no usable answer"),
                };
                return failed(verdict, format!("{name} cannot be read: {why}"));
            }
            if entry.agent.is_none() && self.is_named() {
                return failed(Verdict::NotFound, format!("there is no agent {name}"));
            }
        }
        // Where nobody was seen, nobody knows that all is well.
        match self.listed {
            Some(listed) if self.knows_nobody() => failed(Verdict::NotFound, listed.nobody()),
            _ => Some(PassEnd::Passed),
        }
    }

    /// Takes other intervals and limits from now on.
    pub fn reload(&mut self, now: Moment, rules: &Rules) {
        self.rules.interval = rules.interval;
        self.rules.health_interval = rules.health_interval;
        self.rules.unready_for = rules.unready_for;
        self.rules.limits = rules.limits.clone();
        self.sources.patience = patience(rules.interval);
        self.schedule.set_interval(now.at, self.idle_interval());
    }

    /// The agents that are known, by name.
    pub fn agents(&self) -> impl Iterator<Item = &AgentRecord> {
        self.agents_after(None)
    }

    /// The agents that are known whose names come after this one.
    pub fn agents_after<'a>(
        &'a self,
        name: Option<&'a str>,
    ) -> impl Iterator<Item = &'a AgentRecord> {
        let after = name.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.agents.range::<str, _>((after, Bound::Unbounded));
        entries.filter_map(|(_, entry)| Some(&entry.agent.as_ref()?.record))
    }

    /// What is known of an agent.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&AgentRecord> {
        let agent = self.agents.get(name)?.agent.as_ref()?;
        Some(&agent.record)
    }

    /// What the server's clock says; none before its first answer.
    #[must_use]
    pub fn server_time(&self, at: Duration) -> Option<Timestamp> {
        self.clock.at(at)
    }

    /// How well the list and the agents' details can be read.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// How many agents were named, or are in the list, without there being any.
    #[must_use]
    pub fn missing_agents(&self) -> usize {
        self.agents
            .values()
            .filter(|entry| entry.agent.is_none() && entry.absent.is_some())
            .count()
    }

    /// Whether the latest list has suddenly lost so many agents that it is not trusted.
    #[must_use]
    pub fn is_list_distrusted(&self) -> bool {
        self.listed.is_some_and(|listed| listed.is_distrusted)
    }

    /// How many rollouts are followed.
    #[must_use]
    pub fn follows(&self) -> usize {
        self.follows
    }

    /// Why it does not know at this time what it is there to know; empty where it does.
    #[must_use]
    pub fn faults(&self, at: Duration) -> Vec<String> {
        let mut faults = self.sources.faults(at);
        let late = self.schedule.lateness(at);
        if late > self.sources.patience {
            let late = late.as_secs();
            faults.push(format!("a check of an agent is {late} s late"));
        }
        faults
    }

    /// How often agents are checked of which nothing new is known, late checks included, and by how much that
    /// is longer than was asked for.
    #[must_use]
    pub fn check_interval(&self, at: Duration) -> (Duration, f64) {
        let interval = self.schedule.interval() + self.schedule.lateness(at);
        let asked = self.rules.health_interval.as_secs_f64();
        (interval, interval.as_secs_f64() / asked)
    }

    /// How often agents are checked of which nothing new is known: as often as the list would be read,
    /// where there is none or it cannot be.
    fn idle_interval(&self) -> Duration {
        let is_blind = self.sources.list.failure().is_some();
        match self.rules.watched {
            Watched::Listed(_) if !is_blind => self.rules.health_interval,
            _ => self.rules.interval.min(self.rules.health_interval),
        }
    }

    fn agent_mut(&mut self, name: &str) -> Option<&mut Agent> {
        self.agents.get_mut(name)?.agent.as_mut()
    }

    fn knows_nobody(&self) -> bool {
        self.agents.values().all(|entry| entry.agent.is_none())
    }

    fn is_named(&self) -> bool {
        matches!(self.rules.watched, Watched::Named(_))
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Changes an agent: what of it has to be remembered goes into the step, with the events.
    fn change(
        &mut self,
        name: &str,
        step: &mut Step,
        change: impl FnOnce(&mut Agent, &ServerClock),
    ) {
        let clock = self.clock;
        let Some(agent) = self.agent_mut(name) else {
            return;
        };
        let before = agent.record.clone();
        change(agent, &clock);
        let is_same = before
            == AgentRecord {
                live: before.live.clone(),
                ..agent.record.clone()
            };
        step.change.events.append(&mut agent.events);
        if !is_same {
            let record = Some(Box::new(agent.record.clone()));
            step.change.agents.insert(name.to_owned(), record);
        }
    }

    /// An agent was deleted.
    fn remove(&mut self, now: Moment, name: &str, step: &mut Step) {
        self.change(name, step, |agent, clock| agent.removed(now, clock));
        step.change.agents.insert(name.to_owned(), None);
        self.removed.insert(name.to_owned());
        if !self.is_named() {
            self.agents.remove(name);
            self.schedule.remove(name);
        } else if let Some(entry) = self.agents.get_mut(name) {
            // It goes on being asked for.
            entry.agent = None;
        }
    }
}
