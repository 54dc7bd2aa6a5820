//! The sidecar: reads the list, follows rollouts, looks at agents at rest, remembers and delivers.
//!
//! Each task gathers one kind of input and sends it here; one place decides what it means, writes
//! it down in one transaction, and starts what follows from it.

mod deliver;
mod tasks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use self::deliver::Delivery;
pub(crate) use self::deliver::SinkSettings;
use self::tasks::{Input, Tasks};
use crate::connection::Connection;
use crate::fleet::{Change, Fleet, Look, Notice, Schedule, Scope};
use crate::rollout::{Limits, Outcome, Verdict};
use crate::store::Store;
use crate::wire::{AgentName, Service};

/// How many looks may be under way at once.
const LOOKS: usize = 8;
/// How often what has grown old is taken out of the store.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// How soon to try again to write what could not be written.
const SAVE_AGAIN: Duration = Duration::from_secs(5);

/// What the sidecar does.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) watched: Watched,
    /// How often the list is read.
    pub(crate) interval: Duration,
    /// The limits of each rollout.
    pub(crate) limits: Limits,
    pub(crate) history_for: Duration,
    pub(crate) passes: Passes,
}

/// Which agents are watched.
#[derive(Debug, Clone)]
pub(crate) enum Watched {
    /// Those of the organization's list that are in this scope.
    Listed(Scope),
    /// These, without the list.
    Named(Vec<AgentName>),
}

/// How long the sidecar runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passes {
    /// Until it is told to stop.
    Endless,
    /// Until what was under way at the first list has ended, and what is due is delivered.
    One,
}

/// The sidecar.
pub(crate) struct Daemon {
    settings: Settings,
    fleet: Fleet,
    schedule: Schedule,
    store: Arc<Mutex<Store>>,
    delivery: Delivery,
    tasks: Tasks,
    inputs: mpsc::UnboundedReceiver<Input>,
    started: Instant,
    /// What could not be written yet.
    unsaved: Change,
    listed: bool,
    under_way: usize,
    looks: usize,
}

impl Daemon {
    /// Takes up what the store remembers.
    pub(crate) fn new(
        settings: Settings,
        schedule: Schedule,
        connection: Connection,
        store: Arc<Mutex<Store>>,
        delivery: Delivery,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, crate::store::StoreError> {
        let records = lock(&store).agents()?;
        let mut schedule = schedule;
        for record in &records {
            schedule.add(Duration::ZERO, &record.name);
        }
        let (sender, inputs) = mpsc::unbounded_channel();
        let tasks = Tasks::new(connection, settings.limits.clone(), sender, stop);
        Ok(Self {
            settings,
            fleet: Fleet::restore(records),
            schedule,
            store,
            delivery,
            tasks,
            inputs,
            started: Instant::now(),
            unsaved: Change::default(),
            listed: false,
            under_way: 0,
            looks: 0,
        })
    }

    /// Runs until it is told to stop, or its one pass is over; then delivers what is due, for a
    /// while.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        self.tasks.list(&self.settings.watched, self.settings.interval);
        let mut prune_at = self.started;
        loop {
            let look_at = self.next_look();
            let save_at = (!self.unsaved.is_empty()).then(|| Instant::now() + SAVE_AGAIN);
            let wake = [look_at, save_at, Some(prune_at)];
            let wake = wake.into_iter().flatten().min().unwrap_or(prune_at);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(input) = self.inputs.recv() => self.take(input),
                () = sleep_until(wake) => {}
            }
            // What came meanwhile is written down together.
            while let Ok(input) = self.inputs.try_recv() {
                self.take(input);
            }
            self.save();
            self.look();
            if Instant::now() >= prune_at {
                self.prune();
                prune_at = Instant::now() + PRUNE_EVERY;
            }
            if self.settings.passes == Passes::One && self.listed && self.under_way == 0 {
                break;
            }
        }
        self.save();
        self.delivery.finish().await;
    }

    /// Takes in what a task has gathered.
    fn take(&mut self, input: Input) {
        let now = Timestamp::now();
        let change = match input {
            Input::Listed(services) => self.on_list(now, services),
            Input::NotListed(why) => {
                warn!(why, "the list of agents cannot be read");
                return;
            }
            Input::Happened(agent, event) => self.fleet.happened(now, &agent, &event),
            Input::Ended(agent, outcome) => {
                self.under_way -= 1;
                let change = self.fleet.ended(now, &agent, &outcome);
                self.schedule.add(self.started.elapsed(), &agent);
                change
            }
            Input::Looked(agent, outcome) => self.on_look(now, &agent, &outcome),
        };
        self.unsaved.append(change);
    }

    fn on_list(&mut self, now: Timestamp, services: Vec<Service>) -> Change {
        let services: Vec<Service> = match &self.settings.watched {
            Watched::Listed(scope) => services.into_iter().filter(|s| scope.holds(s)).collect(),
            Watched::Named(_) => services,
        };
        let step = self.fleet.on_list(now, &services);
        if !self.listed {
            info!(agents = services.len(), under_way = step.begin.len(), "watching");
            self.listed = true;
        }
        for agent in &step.change.removed {
            self.schedule.remove(agent);
        }
        for agent in &step.added {
            self.schedule.add(self.started.elapsed(), agent);
        }
        for begin in step.begin {
            self.under_way += 1;
            self.schedule.remove(&begin.agent);
            self.tasks.follow(begin);
        }
        step.change
    }

    fn on_look(&mut self, now: Timestamp, agent: &str, outcome: &Outcome) -> Change {
        self.looks -= 1;
        let known = self.fleet.agent(agent).and_then(|record| record.deployment_id.clone());
        let look = if outcome.deployment_id == known {
            look_of(outcome)
        } else {
            let desired = outcome.deployment_id.as_deref();
            if let Some(begin) = self.fleet.on_desired(agent, desired) {
                self.under_way += 1;
                self.tasks.follow(begin);
            }
            Look::Unknown
        };
        let (change, next) = self.fleet.looked(now, agent, look);
        self.schedule.again(self.started.elapsed(), agent, next);
        change
    }

    /// When the next look is due, if one more may be under way.
    fn next_look(&self) -> Option<Instant> {
        let due = self.schedule.next().filter(|_| self.looks < LOOKS)?;
        Some(self.started + due)
    }

    /// Starts the looks that are due.
    fn look(&mut self) {
        while self.looks < LOOKS
            && let Some(agent) = self.schedule.take(self.started.elapsed())
        {
            if let Ok(name) = agent.parse::<AgentName>() {
                self.looks += 1;
                self.tasks.look(name);
            }
        }
    }

    /// Writes down what has happened, in one transaction with what is to be delivered of it.
    fn save(&mut self) {
        if self.unsaved.is_empty() {
            return;
        }
        let applied = lock(&self.store).apply(&self.unsaved, self.delivery.filters());
        match applied {
            Ok(applied) => {
                for notice in self.unsaved.notices.iter().filter(|n| applied.is_new(&n.id)) {
                    tell(notice);
                }
                self.unsaved = Change::default();
                self.delivery.wake();
            }
            Err(error) => error!(%error, "what has happened cannot be written down; trying again"),
        }
    }

    fn prune(&self) {
        let history_for = self.settings.history_for;
        let Ok(before) = Timestamp::now().checked_sub(history_for) else {
            return;
        };
        if let Err(error) = lock(&self.store).prune(before) {
            warn!(%error, "what is old cannot be taken out of the store");
        }
    }
}

/// What a single look's outcome says about the agent's health.
fn look_of(outcome: &Outcome) -> Look {
    match outcome.verdict {
        Verdict::Ready => Look::Ready,
        Verdict::Failed | Verdict::Infrastructure | Verdict::Timeout | Verdict::Stalled => {
            Look::NotReady(outcome.reason.clone())
        }
        Verdict::Unauthorized
        | Verdict::NotFound
        | Verdict::Unavailable
        | Verdict::Superseded
        | Verdict::Unchanged
        | Verdict::Interrupted(_) => Look::Unknown,
    }
}

/// Logs what happened.
fn tell(notice: &Notice) {
    let data = &notice.data;
    info!(
        event = notice.kind.as_str(),
        id = notice.id,
        agent = data.agent,
        "deploymentId" = data.deployment_id,
        "phase" = data.phase.map(|phase| phase.as_str()),
        "verdict" = data.verdict.map(|verdict| verdict.as_str()),
        "code" = data.reason.as_ref().map(|reason| reason.code.as_str()),
        "summary" = data.reason.as_ref().map(|reason| reason.summary.as_str()),
        "elapsedMs" = data.elapsed_ms,
        "{} {}",
        data.agent,
        notice.kind
    );
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
