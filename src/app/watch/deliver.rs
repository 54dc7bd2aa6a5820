//! Delivers what waits in the outbox: a task for each sink, so that one that is down holds up no
//! other, several notices at once where they are about different agents.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::{debug, error, info, warn};

use super::{Beat, Board, Keeper, chain};
use crate::adapters::delivery::{DeliveryError, Failure, Sink};
use crate::adapters::metrics::{DeliveryOutcome, Metrics};
use crate::adapters::store::{Store, StoreError, Waiting};
use crate::core::fleet::{Filter, Notice, Retry, RetryPlan, SinkHealth};

/// How often a task shows that it is alive, and looks at the outbox although nobody told it to.
const TICK: Duration = Duration::from_secs(10);
/// How soon to try again what the store could not do.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// A sink, and what it is told of.
#[derive(Debug)]
pub(crate) struct SinkPlan {
    pub(crate) name: String,
    pub(crate) sink: Sink,
    pub(crate) filter: Filter,
}

/// What all sinks have in common.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryTerms {
    /// Who tells, as a URI.
    pub(crate) source: String,
    pub(crate) plan: RetryPlan,
}

/// The deliveries under way.
pub(crate) struct Delivery {
    filters: Arc<Filters>,
    /// Counts up with everything that is written down.
    wake: watch::Sender<u64>,
    drain: watch::Sender<bool>,
    couriers: JoinSet<()>,
    active: Arc<Mutex<BTreeSet<String>>>,
}

/// Which sinks are told of what.
#[derive(Debug)]
pub(super) struct Filters(Vec<(String, Filter)>);

impl Filters {
    pub(super) fn sinks_of(&self, notice: &Notice) -> Vec<&str> {
        let fit = self.0.iter().filter(|(_, filter)| filter.passes(notice));
        fit.map(|(name, _)| name.as_str()).collect()
    }
}

impl Delivery {
    /// Begins to deliver what is in the store, to each sink on its own.
    pub(crate) fn start(
        sinks: Vec<SinkPlan>,
        terms: &DeliveryTerms,
        keeper: &Keeper,
        board: &Arc<Board>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let (wake, awake) = watch::channel(0);
        let (drain, draining) = watch::channel(false);
        let names = sinks.iter().map(|sink| sink.name.clone());
        let active = Arc::new(Mutex::new(names.collect()));
        let mut couriers = JoinSet::new();
        let mut filters = Vec::new();
        for (index, plan) in sinks.into_iter().enumerate() {
            metrics.sink_added(&plan.name);
            filters.push((plan.name.clone(), plan.filter));
            let courier = Courier {
                beat: Beat::Sink(index),
                name: plan.name,
                sink: Arc::new(plan.sink),
                terms: terms.clone(),
                keeper: keeper.clone(),
                board: Arc::clone(board),
                metrics: Arc::clone(metrics),
                wake: awake.clone(),
                drain: draining.clone(),
                active: Arc::clone(&active),
                health: SinkHealth::default(),
                failing_since: None,
                paused_until: None,
                attempts: JoinSet::new(),
                under_way: BTreeSet::new(),
            };
            couriers.spawn(courier.run());
        }
        Self {
            filters: Arc::new(Filters(filters)),
            wake,
            drain,
            couriers,
            active,
        }
    }

    /// Which sinks are told of what.
    pub(super) fn filters(&self) -> Arc<Filters> {
        Arc::clone(&self.filters)
    }

    /// The sinks that still want something.
    pub(super) fn active(&self) -> Vec<String> {
        lock(&self.active).iter().cloned().collect()
    }

    /// Something may wait that did not before.
    pub(super) fn wake(&self) {
        self.wake
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Delivers what is due, each once, and ends. What takes longer is delivered after the next start.
    pub(super) async fn finish(mut self, until: Instant) {
        self.drain.send_replace(true);
        let ended = async { while self.couriers.join_next().await.is_some() {} };
        if timeout_at(until, ended).await.is_err() {
            warn!("deliveries took too long: what is left waits for the next start");
        }
    }
}

/// Delivers to one sink.
struct Courier {
    beat: Beat,
    name: String,
    sink: Arc<Sink>,
    terms: DeliveryTerms,
    keeper: Keeper,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    wake: watch::Receiver<u64>,
    drain: watch::Receiver<bool>,
    active: Arc<Mutex<BTreeSet<String>>>,
    health: SinkHealth,
    /// Since when it has taken nothing, if it does not.
    failing_since: Option<Instant>,
    /// Until when the sink is left alone.
    paused_until: Option<Instant>,
    attempts: JoinSet<Attempt>,
    /// The events that are being delivered.
    under_way: BTreeSet<i64>,
}

/// An attempt that has ended.
type Attempt = (Waiting, Result<(), DeliveryError>);

/// What follows from an attempt for the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
enum Sequel {
    GoOn,
    /// It wants no more.
    End,
}

impl Courier {
    async fn run(mut self) {
        loop {
            self.board.beat(self.beat);
            let draining = *self.drain.borrow();
            let wake = match self.start_due().await {
                Ok(next) => next.min(Instant::now() + TICK),
                Err(error) => {
                    let why = chain(&error);
                    error!(sink = self.name, %why, "the outbox cannot be read: {why}");
                    Instant::now() + STORE_AGAIN
                }
            };
            if draining && self.attempts.is_empty() {
                break;
            }
            tokio::select! {
                Some(ended) = self.attempts.join_next() => {
                    let ended = ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
                    if self.conclude(ended).await == Sequel::End {
                        break;
                    }
                }
                Ok(()) = self.wake.changed() => {}
                Ok(()) = self.drain.changed(), if !draining => {}
                () = sleep_until(wake) => {}
            }
        }
        self.board.rest(self.beat);
    }

    /// Starts the deliveries that are due; tells when the next one will be.
    async fn start_due(&mut self) -> Result<Instant, StoreError> {
        let later = Instant::now() + TICK;
        if let Some(until) = self.paused_until.filter(|until| Instant::now() < *until) {
            return Ok(until);
        }
        let places = self.health.places();
        let free = places.saturating_sub(self.under_way.len());
        if free == 0 {
            return Ok(later);
        }
        let name = self.name.clone();
        let now = Timestamp::now();
        let (due, next) = self
            .keeper
            .with(move |store| Ok((store.due(&name, now, places)?, store.next_due(&name)?)))
            .await?;
        let due = due
            .into_iter()
            .filter(|waiting| !self.under_way.contains(&waiting.event));
        for waiting in due.take(free).collect::<Vec<_>>() {
            self.under_way.insert(waiting.event);
            let (sink, source) = (Arc::clone(&self.sink), self.terms.source.clone());
            self.attempts.spawn(async move {
                let attempt = sink
                    .deliver(&waiting.notice, &source, Timestamp::now())
                    .await;
                (waiting, attempt)
            });
        }
        let wait = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        // What is under way already counts as due: the end of that wakes this task.
        Ok(wait
            .filter(|wait| !wait.is_zero())
            .map_or(later, |wait| Instant::now() + wait))
    }

    /// Writes down how an attempt ended.
    async fn conclude(&mut self, (waiting, attempt): Attempt) -> Sequel {
        let now = Timestamp::now();
        let (name, event) = (self.name.clone(), waiting.event);
        match attempt {
            Ok(()) => {
                if self.health.failures_in_a_row() > 0 {
                    info!(sink = self.name, "{}: deliveries arrive again", self.name);
                }
                self.health.succeeded();
                self.failing_since = None;
                self.paused_until = None;
                debug!(sink = self.name, id = waiting.notice.id, "delivered");
                self.metrics
                    .delivery(&self.name, DeliveryOutcome::Delivered);
                self.write(event, move |store| store.delivered(&name, event, now))
                    .await;
                Sequel::GoOn
            }
            Err(DeliveryError {
                reason: why,
                failure,
            }) => match failure {
                Failure::Refused | Failure::TimedOut => {
                    self.failed(&waiting, now, why, None).await;
                    Sequel::GoOn
                }
                Failure::Unavailable { retry_after } => {
                    self.failed(&waiting, now, why, retry_after).await;
                    Sequel::GoOn
                }
                Failure::Gone => {
                    error!(
                        sink = self.name,
                        %why,
                        "{}: the receiver wants no more ({why}); nothing is sent to it until the \
                         sidecar is started again",
                        self.name
                    );
                    lock(&self.active).remove(&self.name);
                    self.metrics.delivery(&self.name, DeliveryOutcome::GivenUp);
                    self.write(event, move |store| store.give_up(&name, event, now, &why))
                        .await;
                    Sequel::End
                }
            },
        }
    }

    async fn failed(
        &mut self,
        waiting: &Waiting,
        now: Timestamp,
        why: String,
        asked: Option<Duration>,
    ) {
        let (name, event) = (self.name.clone(), waiting.event);
        let age = Duration::try_from(now.duration_since(waiting.written_at)).unwrap_or_default();
        let failing_since = *self.failing_since.get_or_insert_with(Instant::now);
        let attempt = waiting.attempts.saturating_add(1);
        if let Some(pause) = self.health.failed(asked, fastrand::f64()) {
            self.paused_until = Some(Instant::now() + pause);
        }
        // Of a sink that stays down the log says so ever more rarely.
        if self.health.failures_in_a_row().is_power_of_two() {
            warn!(
                sink = self.name,
                id = waiting.notice.id,
                attempt,
                %why,
                "{}: a delivery failed: {why}",
                self.name
            );
        }
        let retry = self.terms.plan.after_failure(
            attempt,
            age,
            failing_since.elapsed(),
            asked,
            fastrand::f64(),
        );
        match retry {
            Retry::After(wait) => {
                self.metrics.delivery(&self.name, DeliveryOutcome::Failed);
                let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
                self.write(event, move |store| {
                    store.postpone(&name, event, until, &why)
                })
                .await;
            }
            Retry::GiveUp => {
                error!(
                    sink = self.name,
                    id = waiting.notice.id,
                    attempt,
                    "{}: an event was given up on, and is kept: {why}",
                    self.name
                );
                self.metrics.delivery(&self.name, DeliveryOutcome::GivenUp);
                self.write(event, move |store| store.give_up(&name, event, now, &why))
                    .await;
            }
        }
    }

    /// Writes something down about an event, however often that takes; at the end, once.
    async fn write(
        &mut self,
        event: i64,
        change: impl FnOnce(&mut Store) -> Result<(), StoreError> + Clone + Send + 'static,
    ) {
        while let Err(error) = self.keeper.with(change.clone()).await {
            let why = chain(&error);
            error!(sink = self.name, %why, "a delivery cannot be written down: {why}");
            self.board.beat(self.beat);
            if *self.drain.borrow() {
                break;
            }
            sleep(STORE_AGAIN).await;
        }
        self.under_way.remove(&event);
    }
}

fn lock(active: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    active.lock().unwrap_or_else(PoisonError::into_inner)
}
