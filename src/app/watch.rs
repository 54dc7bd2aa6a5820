//! The sidecar: reads the list, follows rollouts, looks at agents at rest, remembers and delivers.
//!
//! Each task gathers one kind of input and sends it here; one place decides what it means, writes
//! it down in one transaction, and starts what follows from it.

mod board;
mod dispatch;
mod endpoints;
pub(crate) mod http;
mod named;
mod save;
mod settings;
mod show;
mod store_handle;
mod supervisor;
mod tasks;
mod unaskable;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

pub(crate) use self::board::{Beat, Board};
pub(crate) use self::dispatch::{Dispatch, Parts as DispatchParts, SinkPlan};
pub(crate) use self::endpoints::sources;
use self::named::{Known, Shown};
pub(crate) use self::settings::{Ended, Parts, Passes, Settings, Watched};
pub(crate) use self::store_handle::StoreHandle;
use self::supervisor::Supervisor;
use self::tasks::{Input, Tasks, Watch};
use self::unaskable::Unaskable;
use crate::adapters::metrics::Metrics;
use crate::adapters::store::StoreError;
use crate::core::fleet::old::{AgentRecord, Change};
use crate::core::fleet::{AgentView, Begin, Fleet, Look, NextLook, Schedule};
use crate::core::messages;
use crate::core::rollout::{Event, Limits, Outcome, Verdict};
use crate::core::wire::AgentName;

/// How many looks may be under way at once.
const LOOKS: usize = 8;
/// How often the loop shows that it is alive.
const TICK: Duration = Duration::from_secs(5);
/// How often it is tried whether the store can be written, where nothing else is.
const TOUCH_EVERY: Duration = Duration::from_secs(30);
/// How often what has grown old is taken out of the store.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// What a rollout gets at least when it is taken up again, however long ago it began.
const SHORTEST_WATCH: Duration = Duration::from_mins(1);
/// How long the end may take: what is due is delivered, each once.
const GRACE: Duration = Duration::from_secs(10);
/// How long of that it is tried to write down what could not be.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How often the list is tried in a single pass.
const PASS_TRIES: u32 = 3;
/// How soon the list is read again in a single pass, until it is certain who is gone.
const BETWEEN_PASS_LISTS: Duration = Duration::from_secs(1);

/// The sidecar.
pub(crate) struct Daemon {
    settings: Settings,
    fleet: Fleet,
    schedule: Schedule,
    keeper: StoreHandle,
    delivery: Dispatch,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    tasks: Tasks,
    inputs: mpsc::UnboundedReceiver<Input>,
    stop: watch::Receiver<bool>,
    supervisor: Supervisor,
    started: Instant,
    /// What could not be written yet.
    unsaved: Change,
    /// When the list is to be read; none while it is, or when a single pass needs it no more.
    list_at: Option<Instant>,
    listing: bool,
    /// Whether it has been read.
    listed: bool,
    /// How often in a row it could not be read, and how and why not.
    not_listed: (u32, Option<(Verdict, String)>),
    /// The named agents as they were seen last.
    known: Known,
    under_way: usize,
    /// Of each agent that is followed, the number of its watch.
    watches: BTreeMap<String, u64>,
    last_watch: u64,
    unaskable: Unaskable,
    looks: usize,
}

impl Daemon {
    /// Takes up what the store remembers.
    pub(crate) async fn new(settings: Settings, parts: Parts) -> Result<Self, StoreError> {
        let kept = parts.keeper.with(|store| store.agents()).await?;
        for name in &kept.unreadable {
            warn!("{name}: what was remembered of it cannot be read");
        }
        let records: Vec<AgentRecord> = kept.records.into_iter().map(AgentRecord::from).collect();
        let fleet = Fleet::restore_in_scope(records, |record| match &settings.watched {
            Watched::Listed(scope) => scope.holds_record(record),
            Watched::Named(names) => names.iter().any(|name| name.as_str() == record.name),
        });
        let mut schedule = Schedule::new(settings.health_interval, settings.max_rps);
        for record in fleet.agents() {
            schedule.add(Duration::ZERO, &record.name);
            let view = AgentView::remembered(record.clone());
            parts.metrics.agent_stands(&view);
            parts.board.show(view);
        }
        let (sender, inputs) = mpsc::unbounded_channel();
        let tasks = Tasks::new(
            parts.connection,
            Arc::clone(&parts.board),
            sender,
            parts.stop.clone(),
        );
        Ok(Self {
            settings,
            fleet,
            schedule,
            keeper: parts.keeper,
            delivery: parts.delivery,
            supervisor: Supervisor::new(),
            board: parts.board,
            metrics: parts.metrics,
            tasks,
            inputs,
            stop: parts.stop,
            started: Instant::now(),
            unsaved: Change::default(),
            list_at: Some(Instant::now()),
            listing: false,
            listed: false,
            not_listed: (0, None),
            known: Known::new(),
            under_way: 0,
            watches: BTreeMap::new(),
            last_watch: 0,
            unaskable: Unaskable::default(),
            looks: 0,
        })
    }

    /// Runs until it is told to stop, or its one pass is over; then delivers what is due, for a
    /// while.
    pub(crate) async fn run(mut self) -> Ended {
        supervisor::ready();
        let mut prune_at = self.started;
        let mut touch_at = self.started;
        let mut stop = self.stop.clone();
        let ended = loop {
            self.board.beat(Beat::Agents);
            self.supervisor.alive(&self.board);
            let wake = [self.next_look(), self.list_at, Some(Instant::now() + TICK)];
            let wake = wake.into_iter().flatten().min().expect("there is a tick");
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break Ended::Stopped,
                Some(input) = self.inputs.recv() => self.take(input),
                () = sleep_until(wake) => {}
            }
            // What came meanwhile is written down together.
            while let Ok(input) = self.inputs.try_recv() {
                self.take(input);
            }
            self.save().await;
            self.look();
            if self.list_at.is_some_and(|due| Instant::now() >= due) {
                self.list_at = None;
                self.listing = true;
                self.tasks.list(self.settings.watched.clone());
            }
            if Instant::now() >= touch_at {
                self.touch().await;
                touch_at = Instant::now() + TOUCH_EVERY;
            }
            if Instant::now() >= prune_at {
                self.prune().await;
                prune_at = Instant::now() + PRUNE_EVERY;
            }
            if let Some(ended) = self.pass_is_over() {
                break ended;
            }
        };
        supervisor::stopping();
        info!("stopping: finishing deliveries");
        let until = Instant::now() + GRACE;
        // The tasks end by themselves, and the watches tell how far they came.
        while let Ok(input) = self.inputs.try_recv() {
            self.take(input);
        }
        let unsaved = self.save_by(Instant::now() + LAST_WRITES).await;
        self.delivery.finish(until).await;
        unsaved.map_or(ended, Ended::Unsaved)
    }

    /// Takes in what a task has gathered.
    fn take(&mut self, input: Input) {
        let now = Timestamp::now();
        let change = match input {
            Input::Listed(services) => {
                self.listing = false;
                let services = self.unaskable.leave_out(services);
                self.on_list(now, &self.settings.watched.shown(services))
            }
            Input::Asked(answers) => {
                self.listing = false;
                let shown = self.known.complete(answers, &self.fleet);
                let change = self.on_list(now, &shown);
                if self.settings.passes == Passes::One && self.known.wants_more() {
                    self.list_at = Some(Instant::now() + BETWEEN_PASS_LISTS);
                }
                change
            }
            Input::NotListed(verdict, why) => {
                self.listing = false;
                self.on_no_list(verdict, why);
                return;
            }
            Input::Happened(watch, event) => {
                if !self.is_present(&watch) {
                    return;
                }
                self.on_event(now, &watch.agent, &event)
            }
            Input::Ended(watch, outcome) => {
                self.under_way -= 1;
                if !self.is_present(&watch) {
                    return;
                }
                self.watches.remove(&watch.agent);
                self.on_end(now, &watch.agent, &outcome)
            }
            Input::Looked(agent, outcome) => self.on_look(now, &agent, &outcome),
        };
        self.show(&change);
        self.unsaved.append(change);
    }

    fn on_list(&mut self, now: Timestamp, shown: &Shown) -> Change {
        let step = self
            .fleet
            .on_answers(now, &shown.services, |name| shown.late.contains(name));
        for agent in &step.change.removed {
            self.schedule.remove(agent);
            self.watches.remove(agent);
        }
        for agent in &step.added {
            self.schedule.add(self.started.elapsed(), agent);
        }
        if self.not_listed.1.take().is_some() {
            info!("the list of agents can be read again");
        }
        if !self.listed {
            self.on_first_list(shown.services.len(), step.begin.len());
        }
        for begin in step.begin {
            self.begin(now, begin);
        }
        self.not_listed = (0, None);
        self.listed = true;
        self.board.beat(Beat::List);
        self.list_at = match self.settings.passes {
            Passes::Endless => Some(Instant::now() + self.settings.interval),
            Passes::One if self.fleet.has_doubts() => Some(Instant::now() + BETWEEN_PASS_LISTS),
            Passes::One => None,
        };
        self.measure_pace();
        step.change
    }

    fn on_first_list(&mut self, agents: usize, rollouts: usize) {
        info!(agents, rollouts, "{}", watching(agents, rollouts));
        if self.settings.passes == Passes::One {
            for agent in self.fleet.agents() {
                self.schedule
                    .add_at_once(self.started.elapsed(), &agent.name);
            }
        }
    }

    fn on_no_list(&mut self, verdict: Verdict, why: String) {
        let (times, before) = &mut self.not_listed;
        *times += 1;
        let known = before.as_ref().is_some_and(|(_, known)| *known == why);
        if !known {
            warn!("the list of agents cannot be read: {why}");
            supervisor::status(&format!("the list of agents cannot be read: {why}"));
        }
        *before = Some((verdict, why));
        self.board.beat(Beat::List);
        let wait = match self.settings.passes {
            Passes::Endless => self.settings.interval,
            Passes::One => BETWEEN_PASS_LISTS,
        };
        self.list_at = Some(Instant::now() + wait);
    }

    /// Shows how often agents at rest are looked at, and what there is to do.
    fn measure_pace(&self) {
        let interval = self.schedule.interval();
        let stretched = interval.as_secs_f64() / self.settings.health_interval.as_secs_f64();
        self.metrics.health_look_interval(interval, stretched);
        let (agents, under_way) = (self.fleet.agents().count(), self.under_way);
        supervisor::status(&watching(agents, under_way));
    }

    /// Follows a rollout from now on, for as long as is left of its time.
    fn begin(&mut self, now: Timestamp, begin: Begin) {
        let Ok(agent) = begin.agent.parse::<AgentName>() else {
            return;
        };
        self.under_way += 1;
        self.schedule.remove(&begin.agent);
        let since = self
            .fleet
            .agent(&begin.agent)
            .and_then(|agent| agent.rolling_out_since(&begin.deployment_id));
        let spent = since.map_or(Duration::ZERO, |since| {
            Duration::try_from(now.duration_since(since)).unwrap_or_default()
        });
        let timeout = self.settings.limits.timeout;
        let limits = Limits {
            timeout: timeout
                .saturating_sub(spent)
                .max(SHORTEST_WATCH.min(timeout)),
            ..self.settings.limits.clone()
        };
        self.last_watch += 1;
        let watch = Watch {
            agent: begin.agent,
            number: self.last_watch,
        };
        self.watches.insert(watch.agent.clone(), watch.number);
        self.tasks.follow(watch, agent, begin.deployment_id, limits);
    }

    /// Whether this is the watch of the agent that has this name now.
    fn is_present(&self, watch: &Watch) -> bool {
        self.watches.get(&watch.agent) == Some(&watch.number)
    }

    fn on_event(&mut self, now: Timestamp, agent: &str, event: &Event) -> Change {
        let change = self.fleet.happened(now, agent, event);
        self.board.update(agent, |view| view.happened(event));
        self.measure(agent);
        change
    }

    fn on_end(&mut self, now: Timestamp, agent: &str, outcome: &Outcome) -> Change {
        let change = self.fleet.ended(now, agent, outcome);
        self.board.update(agent, |view| view.judged(outcome));
        self.look_again(agent, self.fleet.next_look(agent));
        if outcome.verdict == Verdict::Superseded {
            // What took its place shows in the list.
            self.list_soon();
        }
        change
    }

    fn on_look(&mut self, now: Timestamp, agent: &str, outcome: &Outcome) -> Change {
        self.looks -= 1;
        let known = self
            .fleet
            .agent(agent)
            .and_then(|agent| agent.deployment_id.clone());
        let look = if outcome.deployment_id == known {
            self.board.update(agent, |view| view.judged(outcome));
            look_of(outcome)
        } else {
            // What is new shows in the list, which can be told from what lags.
            self.list_soon();
            Look::Unknown
        };
        let (change, next) = self.fleet.looked(now, agent, look);
        self.look_again(agent, next);
        self.measure(agent);
        change
    }

    /// Looks at an agent again when its last look, or the end of its rollout, says so.
    fn look_again(&mut self, agent: &str, next: NextLook) {
        let next = match (self.settings.passes, next) {
            // A single pass ends with what is certain.
            (Passes::One, NextLook::Regular | NextLook::Watchful) => NextLook::Never,
            (_, next) => next,
        };
        self.schedule.again(self.started.elapsed(), agent, next);
    }

    /// Has the list read at once, unless it is just being read.
    fn list_soon(&mut self) {
        if !self.listing {
            self.list_at = Some(Instant::now());
        }
    }

    /// When the next look is due, if one more may be under way.
    fn next_look(&self) -> Option<Instant> {
        let due = self.schedule.next().filter(|_| self.looks < LOOKS)?;
        Some(self.started + due)
    }

    /// Starts the looks that are due, once it is known who is there.
    fn look(&mut self) {
        while self.listed
            && self.looks < LOOKS
            && let Some(agent) = self.schedule.take(self.started.elapsed())
        {
            if let Ok(name) = agent.parse::<AgentName>() {
                self.looks += 1;
                self.tasks.look(name, self.settings.limits.clone());
            }
        }
    }

    /// Whether the one pass is over, if there is only one.
    fn pass_is_over(&self) -> Option<Ended> {
        if self.settings.passes == Passes::Endless {
            return None;
        }
        if let (times, Some((verdict, why))) = &self.not_listed
            && (*times >= PASS_TRIES || *verdict == Verdict::Unauthorized)
        {
            return Some(Ended::NoPass(*verdict, why.clone()));
        }
        let over = self.listed
            && self.list_at.is_none()
            && !self.listing
            && self.under_way == 0
            && self.looks == 0
            && self.schedule.is_empty()
            && !self.fleet.has_doubts();
        over.then(|| self.known.passed())
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
        | Verdict::CommandFailed(_)
        | Verdict::Interrupted(_) => Look::Unknown,
    }
}

/// An error and its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

fn watching(agents: usize, rollouts: usize) -> String {
    let agents = messages::agents(u64::try_from(agents).unwrap_or(u64::MAX));
    format!("watching {agents}, {rollouts} of them rolling out")
}

#[cfg(test)]
mod tests;
