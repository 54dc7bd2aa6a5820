//! Delivers what waits: a worker for each sink, so that one that is down holds up no other, several events
//! at once where they are about different agents.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error, info, warn};

use super::{Shared, StoreHandle};
use crate::adapters::delivery::{DeliveryError, Sink};
use crate::adapters::metrics::{DeliveryOutcome, Metrics};
use crate::adapters::store::{
    Delivery, Due, Outcome, Reader, Settled, Store, StoreError, Unreadable,
};
use crate::app::error::chain;
use crate::core::fleet::{DeliveryFailure, Filter, FleetEvent, Retry, SinkHealth, StoredEvent};

/// How often a worker shows that it is alive, and looks for events although nobody told it to.
const TICK: Duration = Duration::from_secs(10);
/// Why events are given up that were not tried.
const TOOK_NOTHING: &str = "its sink was down for too long, wants no more or is not configured";
/// How soon to try again what the store could not do.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// A sink, and which events it is sent.
#[derive(Debug)]
pub(crate) struct SinkPlan {
    pub(crate) name: String,
    pub(crate) sink: Sink,
    pub(crate) filter: Filter,
}

/// What all workers work with.
pub(crate) struct Parts {
    /// The API that is watched, as a URI.
    pub(crate) source: String,
    /// How old an event is when it is given up.
    pub(crate) delivery_timeout: Duration,
    pub(crate) store: StoreHandle,
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The deliveries to all sinks.
pub(crate) struct Dispatch {
    parts: Arc<Parts>,
    filters: Arc<Filters>,
    drain: watch::Sender<bool>,
    workers: JoinSet<()>,
    /// Every sink that is or was configured; none where it is not any more.
    sinks: BTreeMap<String, watch::Sender<Option<Arc<Sink>>>>,
    /// Those for which events are kept however old they are.
    working: Working,
}

/// Which events are for which sinks.
#[derive(Debug, Default)]
pub(super) struct Filters(Vec<(String, Filter)>);

/// The sinks that are configured, want events, and have not been down for too long.
type Working = Arc<Mutex<BTreeSet<String>>>;

impl Filters {
    pub(super) fn sinks_of(&self, event: &FleetEvent) -> Vec<&str> {
        let fit = self.0.iter().filter(|(_, filter)| filter.passes(event));
        fit.map(|(name, _)| name.as_str()).collect()
    }
}

impl Dispatch {
    /// Starts to deliver what is in the store, to each sink on its own.
    pub(crate) async fn start(sinks: Vec<SinkPlan>, parts: Parts) -> Self {
        let mut dispatch = Self {
            parts: Arc::new(parts),
            filters: Arc::default(),
            drain: watch::Sender::new(false),
            workers: JoinSet::new(),
            sinks: BTreeMap::new(),
            working: Arc::default(),
        };
        dispatch.reload(sinks).await;
        dispatch
    }

    /// Goes on with these sinks: those that are as they were do not notice, those that are not there any
    /// more are sent nothing, and what waits for them stays.
    pub(crate) async fn reload(&mut self, sinks: Vec<SinkPlan>) {
        let names: BTreeSet<String> = sinks.iter().map(|plan| plan.name.clone()).collect();
        for (_, target) in self.sinks.iter().filter(|(name, _)| !names.contains(*name)) {
            target.send_replace(None);
        }
        lock(&self.working).clone_from(&names);
        let mut filters = Vec::new();
        for plan in sinks {
            filters.push((plan.name.clone(), plan.filter));
            let target = Some(Arc::new(plan.sink));
            if let Some(known) = self.sinks.get(&plan.name) {
                known.send_replace(target);
            } else {
                let sender = watch::Sender::new(target);
                self.start_worker(plan.name.clone(), sender.subscribe());
                self.sinks.insert(plan.name, sender);
            }
        }
        self.filters = Arc::new(Filters(filters));
        self.warn_of_unconfigured(&names).await;
    }

    fn start_worker(&mut self, name: String, mut configured: watch::Receiver<Option<Arc<Sink>>>) {
        self.parts.metrics.sink_added(&name);
        let target = configured.borrow_and_update().clone();
        let worker = Worker {
            name,
            parts: Arc::clone(&self.parts),
            configured,
            target,
            wake: self.parts.shared.deliveries(),
            drain: self.drain.subscribe(),
            working: Arc::clone(&self.working),
            started: Instant::now(),
            health: SinkHealth::default(),
            attempts: JoinSet::new(),
            under_way: BTreeSet::new(),
            settled: Vec::new(),
            store_error: None,
        };
        self.workers.spawn(worker.run());
    }

    /// Which events are for which sinks.
    pub(super) fn filters(&self) -> Arc<Filters> {
        Arc::clone(&self.filters)
    }

    /// Something may wait that did not before.
    pub(super) fn wake(&self) {
        self.parts.shared.wake_deliveries();
    }

    /// What gives up events that are too old and wait for a sink that takes nothing.
    pub(super) fn expiry(&self) -> impl FnOnce(&mut Store) -> Result<(), StoreError> + use<> {
        let working = lock(&self.working).clone();
        let timeout = self.parts.delivery_timeout;
        move |store| {
            let now = Timestamp::now();
            let before = now.checked_sub(timeout).unwrap_or(Timestamp::MIN);
            for (sink, expired) in store.expire(&working, before, now, TOOK_NOTHING)? {
                let why = TOOK_NOTHING;
                error!(
                    sink,
                    expired, "{sink}: {expired} events were given up, and are kept: {why}"
                );
            }
            Ok(())
        }
    }

    async fn warn_of_unconfigured(&self, configured: &BTreeSet<String>) {
        let backlogs = self.parts.store.read(Reader::backlogs).await;
        for (sink, backlog) in backlogs.unwrap_or_default() {
            let waiting = backlog.pending;
            if waiting > 0 && !configured.contains(&sink) {
                warn!(
                    sink,
                    waiting,
                    "{waiting} events wait for the sink {sink:?}, which is not configured; they are \
                     delivered when a sink has this name, and given up after the delivery timeout"
                );
            }
        }
    }

    /// Delivers what is due, each once, and ends. What takes longer is delivered after the next start.
    pub(super) async fn finish(mut self, until: Instant) {
        self.drain.send_replace(true);
        let ended = async { while self.workers.join_next().await.is_some() {} };
        if timeout_at(until, ended).await.is_err() {
            warn!("deliveries took too long: what is left waits for the next start");
        }
    }
}

/// Delivers to one sink.
struct Worker {
    name: String,
    parts: Arc<Parts>,
    configured: watch::Receiver<Option<Arc<Sink>>>,
    /// Where it delivers to; none where the sink is not configured any more, or wants no more.
    target: Option<Arc<Sink>>,
    wake: watch::Receiver<()>,
    drain: watch::Receiver<bool>,
    working: Working,
    started: Instant,
    health: SinkHealth,
    attempts: JoinSet<Attempt>,
    /// The agents about which something is being delivered, or was and that is not written yet.
    under_way: BTreeSet<String>,
    /// What is not written yet.
    settled: Vec<Settled>,
    /// Why the store cannot be used, as it was logged.
    store_error: Option<String>,
}

/// An attempt that has ended.
struct Attempt {
    delivery: Delivery,
    target: Arc<Sink>,
    /// When it began.
    sent: Duration,
    result: Result<(), DeliveryError>,
}

impl Worker {
    async fn run(mut self) {
        loop {
            self.parts.shared.beat(&self.name);
            let wake = self.turn().await.min(Instant::now() + TICK);
            let draining = *self.drain.borrow();
            if draining && self.attempts.is_empty() && self.settled.is_empty() {
                break;
            }
            tokio::select! {
                Some(ended) = self.attempts.join_next() => self.conclude(ended),
                Ok(()) = self.configured.changed() => self.reconfigure(),
                Ok(()) = self.wake.changed(), if !draining => {}
                Ok(()) = self.drain.changed(), if !draining => {}
                () = sleep_until(wake) => {}
            }
            // What has ended meanwhile is written together.
            while let Some(ended) = self.attempts.try_join_next() {
                self.conclude(ended);
            }
        }
        self.parts.shared.rest(&self.name);
    }

    /// Takes over the configuration. What is known of a receiver is forgotten where it is another one.
    fn reconfigure(&mut self) {
        let target = self.configured.borrow_and_update().clone();
        let is_same = match (&self.target, &target) {
            (Some(now), Some(new)) => now.is_same(new),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.health = SinkHealth::default();
            self.target = target;
        }
    }

    /// Writes how attempts ended, and starts those that are due; gives when to look again.
    async fn turn(&mut self) -> Instant {
        let now = self.started.elapsed();
        let is_down = self.health.failures_in_a_row() > 0
            && self.health.failing_for(now) >= self.parts.delivery_timeout;
        if self.target.is_some() && !is_down {
            lock(&self.working).insert(self.name.clone());
        } else {
            lock(&self.working).remove(&self.name);
        }
        let pause = self.health.paused_until(now);
        let sent = self.under_way.len() - self.settled.len();
        let free = match (&self.target, pause) {
            (Some(_), None) => self.health.places().saturating_sub(sent),
            _ => 0,
        };
        let mut next = None;
        if free > 0 || !self.settled.is_empty() {
            match self.write_and_read(free).await {
                Ok(due) => {
                    self.store_error = None;
                    next = self.start_due(due, free);
                }
                Err(error) => {
                    self.complain(&error);
                    return Instant::now() + STORE_AGAIN;
                }
            }
        }
        let pause = pause.map(|until| self.started + until);
        pause.or(next).unwrap_or_else(|| Instant::now() + TICK)
    }

    /// Writes what is settled, and reads what is due.
    async fn write_and_read(&mut self, free: usize) -> Result<Due, StoreError> {
        let settled = Arc::new(std::mem::take(&mut self.settled));
        let (name, written) = (self.name.clone(), Arc::clone(&settled));
        // The first of the queues that are under way are due as well.
        let limit = free + self.under_way.len();
        let work = move |store: &mut Store| {
            let now = Timestamp::now();
            store.settle(&name, now, &written)?;
            match free {
                0 => Ok(Due::default()),
                _ => store.due(&name, now, limit),
            }
        };
        let due = self.parts.store.with(work).await;
        if due.is_ok() {
            for one in settled.iter() {
                self.under_way.remove(&one.agent);
            }
        } else {
            // It is written again; what was written already stays as it is.
            self.settled = Arc::unwrap_or_clone(settled);
        }
        due
    }

    fn start_due(&mut self, due: Due, free: usize) -> Option<Instant> {
        for Unreadable { number, why, .. } in due.unreadable {
            error!(
                sink = self.name,
                number,
                %why,
                "{}: event {number} cannot be read, and is not sent: {why}",
                self.name
            );
            self.count(DeliveryOutcome::GivenUp);
        }
        let target = self.target.clone()?;
        let is_free = |due: &Delivery| !self.under_way.contains(&due.event.event.data.agent);
        let next = due.next_at.map(|at| at.duration_since(Timestamp::now()));
        let due = due.deliveries.into_iter().filter(is_free).take(free);
        for delivery in due.collect::<Vec<_>>() {
            self.under_way
                .insert(delivery.event.event.data.agent.clone());
            let (target, parts) = (Arc::clone(&target), Arc::clone(&self.parts));
            let sent = self.started.elapsed();
            self.attempts.spawn(async move {
                let now = Timestamp::now();
                let result = target.deliver(&delivery.event, &parts.source, now).await;
                Attempt {
                    delivery,
                    target,
                    sent,
                    result,
                }
            });
        }
        let wait = Duration::try_from(next?).unwrap_or_default();
        Some(Instant::now() + wait)
    }

    /// Decides what follows from an attempt that has ended.
    fn conclude(&mut self, ended: Result<Attempt, JoinError>) {
        let attempt = ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        let (delivery, sent) = (attempt.delivery, attempt.sent);
        let target = self.target.as_ref();
        let is_former = target.is_none_or(|target| !Arc::ptr_eq(target, &attempt.target));
        let outcome = match attempt.result {
            Ok(()) => {
                self.works(sent);
                debug!(sink = self.name, id = delivery.event.id(), "delivered");
                self.count(DeliveryOutcome::Delivered);
                Some(Outcome::Delivered)
            }
            // What the former one said is not about the present one, which gets a try of its own.
            Err(_) if is_former => None,
            Err(error) if error.failure == DeliveryFailure::Gone => {
                self.end(&error.reason);
                None
            }
            Err(error) => Some(self.failed(&delivery, sent, error.failure, error.reason)),
        };
        let StoredEvent { number, event, .. } = delivery.event;
        let agent = event.data.agent;
        match outcome {
            Some(outcome) => self.settled.push(Settled {
                agent,
                number,
                outcome,
            }),
            None => {
                self.under_way.remove(&agent);
            }
        }
    }

    fn works(&mut self, sent: Duration) {
        let failures = self.health.failures_in_a_row();
        self.health.works(sent);
        if failures > 0 && self.health.failures_in_a_row() == 0 {
            info!(sink = self.name, "{}: deliveries arrive again", self.name);
        }
    }

    /// The sink wants no more.
    fn end(&mut self, why: &str) {
        self.target = None;
        self.count(DeliveryOutcome::Failed);
        error!(
            sink = self.name,
            %why,
            "{}: the receiver wants no more ({why}); nothing is sent to it until the sidecar is started again \
             or reads its configuration anew",
            self.name
        );
    }

    fn failed(
        &mut self,
        delivery: &Delivery,
        sent: Duration,
        failure: DeliveryFailure,
        why: String,
    ) -> Outcome {
        let (now, at) = (Timestamp::now(), self.started.elapsed());
        let age = Duration::try_from(now.duration_since(delivery.written_at)).unwrap_or_default();
        let attempt = delivery.attempts.saturating_add(1);
        let timeout = self.parts.delivery_timeout;
        let said = match failure {
            DeliveryFailure::Refused => {
                self.works(sent);
                attempt
            }
            DeliveryFailure::TimedOut
            | DeliveryFailure::Unavailable { .. }
            | DeliveryFailure::Gone => {
                self.health.failed(sent, at, failure, fastrand::f64());
                self.health.failures_in_a_row()
            }
        };
        let id = delivery.event.id();
        match failure.after(attempt, age, timeout, fastrand::f64()) {
            Retry::After(wait) => {
                self.count(DeliveryOutcome::Failed);
                // What goes on failing is said ever more rarely.
                if said.is_power_of_two() {
                    warn!(sink = self.name, id, attempt, %why, "{}: a delivery failed: {why}", self.name);
                }
                Outcome::Retry(now.checked_add(wait).unwrap_or(Timestamp::MAX))
            }
            Retry::GiveUp => {
                self.count(DeliveryOutcome::GivenUp);
                error!(
                    sink = self.name,
                    id,
                    attempt,
                    %why,
                    "{}: an event was given up after {attempt} attempts, and is kept: {why}",
                    self.name
                );
                Outcome::Dead(why)
            }
        }
    }

    /// Says that the store cannot be used: once for each reason, until it can be again.
    fn complain(&mut self, error: &StoreError) {
        let why = chain(error);
        if self.store_error.as_ref() != Some(&why) {
            error!(sink = self.name, %why, "{}: deliveries wait for the store: {why}", self.name);
            self.store_error = Some(why);
        }
    }

    fn count(&self, outcome: DeliveryOutcome) {
        self.parts.metrics.delivery(&self.name, outcome);
    }
}

fn lock(names: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
