//! Delivers what waits: a worker for each sink, so that one that is down holds up no other, several events
//! at once where they are about different agents.

mod heartbeat;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{error, info, warn};

use self::worker::Worker;
use super::shared::lock;
use super::{Shared, StoreHandle};
use crate::adapters::delivery::Sink;
use crate::adapters::metrics::Metrics;
use crate::adapters::store::{Reader, Route, Store, StoreError, Target};
use crate::core::fleet::{EventKind, Filter, FleetEvent, Origin, OwnIncident, StoredEvent};
use crate::core::messages::{Notification, event_line};

/// How often a worker shows that it is alive, and looks for events although nothing woke it.
const TICK: Duration = Duration::from_secs(10);
/// Why events are given up that were not tried.
const TOOK_NOTHING: &str = "its sink was down for too long or is not configured";
/// How often, and how soon again, it is tried to announce what cannot be stored.
const ANNOUNCEMENTS: u32 = 6;
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(2);

/// A sink, and which events it is sent.
#[derive(Debug)]
pub(crate) struct SinkPlan {
    pub(crate) name: String,
    pub(crate) sink: Sink,
    pub(crate) filter: Filter,
    /// For how long events are gathered that are sent together.
    pub(crate) group_for: Option<Duration>,
    /// The sink that gets what this one was sent in vain.
    pub(crate) fallback: Option<String>,
}

/// What all workers work with.
pub(crate) struct Parts {
    /// Where events come from.
    pub(crate) origin: Origin,
    /// How old an event is when it is given up.
    pub(crate) delivery_timeout: Duration,
    /// How long a sink may take nothing before that is reported.
    pub(crate) sink_patience: Duration,
    /// What was reported as wrong with the sidecar itself and is not over, by `dedupkey`.
    pub(crate) incidents: BTreeMap<String, Timestamp>,
    /// What there is to report of sinks.
    pub(crate) reports: mpsc::UnboundedSender<FleetEvent>,
    pub(crate) store: StoreHandle,
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Parts {
    /// Passes on what there is to report of a sink, if anything.
    fn report(&self, event: Option<FleetEvent>) {
        if let Some(event) = event {
            // Once nobody listens the program ends.
            let _ = self.reports.send(event);
        }
    }
}

/// The deliveries to all sinks.
pub(crate) struct Dispatch {
    parts: Arc<Parts>,
    filters: Arc<Filters>,
    drain: watch::Sender<bool>,
    workers: JoinSet<()>,
    /// Every sink that is or was configured; none where it is not any more.
    sinks: BTreeMap<String, watch::Sender<Option<Arc<SinkPlan>>>>,
    /// Those for which events are kept however old they are.
    working: Working,
}

/// Which events are for which sinks.
pub(super) struct Filters {
    sinks: Vec<Arc<SinkPlan>>,
    shared: Arc<Shared>,
}

/// The sinks that are configured, want events, and have not been down for too long.
type Working = Arc<Mutex<BTreeSet<String>>>;

impl Filters {
    /// Which sinks want an event.
    pub(super) fn route(&self, event: &FleetEvent) -> Route<'_> {
        if self.shared.is_muted(event) {
            return Route::Muted;
        }
        // What takes nothing need not be sent that.
        let is_own = |name: &String| {
            event.kind == EventKind::SinkFailing && event.data.sink.as_ref() == Some(name)
        };
        let fit = self.sinks.iter();
        let fit = fit.filter(|plan| plan.filter.passes(event) && !is_own(&plan.name));
        let targets = fit.map(|plan| Target {
            sink: &plan.name,
            follows_incidents: plan.filter.wants_incidents_only(),
        });
        Route::To(targets.collect())
    }
}

impl SinkPlan {
    /// Whether events are delivered in the same way, whichever they are.
    fn is_same(&self, other: &Self) -> bool {
        self.sink.is_same(&other.sink)
            && self.group_for == other.group_for
            && self.fallback == other.fallback
    }
}

impl Dispatch {
    /// Starts to deliver what is in the store, to each sink on its own.
    pub(crate) async fn start(sinks: Vec<SinkPlan>, parts: Parts) -> Self {
        let filters = Filters {
            sinks: Vec::new(),
            shared: Arc::clone(&parts.shared),
        };
        let mut dispatch = Self {
            parts: Arc::new(parts),
            filters: Arc::new(filters),
            drain: watch::Sender::new(false),
            workers: JoinSet::new(),
            sinks: BTreeMap::new(),
            working: Arc::default(),
        };
        dispatch.reload(sinks).await;
        dispatch.close_incidents_of_unconfigured();
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
        let mut of_events = Vec::new();
        for plan in sinks.into_iter().map(Arc::new) {
            let is_heartbeat = plan.sink.every().is_some();
            if !is_heartbeat {
                of_events.push(Arc::clone(&plan));
            }
            // One that becomes a heartbeat, or no heartbeat any more, is another one.
            let known = self.sinks.get(&plan.name).filter(|known| {
                let before = known.borrow();
                let every = before.as_ref().map(|target| target.sink.every().is_some());
                every == Some(is_heartbeat)
            });
            if let Some(known) = known {
                known.send_replace(Some(plan));
            } else {
                self.start_worker(plan);
            }
        }
        self.filters = Arc::new(Filters {
            sinks: of_events,
            shared: Arc::clone(&self.parts.shared),
        });
        self.warn_of_unconfigured(&names).await;
    }

    fn start_worker(&mut self, plan: Arc<SinkPlan>) {
        let (name, is_heartbeat) = (plan.name.clone(), plan.sink.every().is_some());
        let sender = watch::Sender::new(Some(plan));
        let configured = sender.subscribe();
        self.sinks.insert(name.clone(), sender);
        let (parts, drain) = (Arc::clone(&self.parts), self.drain.subscribe());
        if is_heartbeat {
            let worker = heartbeat::run(name, parts, configured, drain);
            self.workers.spawn(worker);
        } else {
            let (wake, working) = (self.parts.shared.deliveries(), Arc::clone(&self.working));
            let worker = Worker::new(name, parts, configured, wake, drain, working);
            self.workers.spawn(worker.run());
        }
    }

    /// Of a sink that is not configured any more, nothing is wrong any more.
    fn close_incidents_of_unconfigured(&self) {
        let now = self.parts.shared.now().wall;
        let incidents = &self.parts.incidents;
        let names = incidents.keys().filter_map(|key| key.strip_prefix("sink/"));
        for name in names.filter(|name| !self.sinks.contains_key(*name)) {
            let mut incident = OwnIncident::of_sink(name).resumed(incidents);
            self.parts.report(incident.close(now));
        }
    }

    /// What was reported as wrong with the sidecar itself and is not over, by `dedupkey`.
    pub(super) fn incidents(&self) -> &BTreeMap<String, Timestamp> {
        &self.parts.incidents
    }

    /// Sends an event that cannot be stored to the sinks that want it, a few times where that fails.
    pub(super) fn announce(&self, event: FleetEvent) {
        let line = event_line(&event);
        error!(event = event.kind.as_str(), "{line}");
        let Route::To(targets) = self.filters.route(&event) else {
            return;
        };
        let targets = targets.into_iter().filter_map(|target| {
            let plan = self.sinks.get(target.sink)?.borrow().clone()?;
            Some((target.sink.to_owned(), plan))
        });
        let stored = StoredEvent {
            number: 1,
            store_id: format!("unstored-{:08x}", fastrand::u32(..)),
            event,
        };
        for (name, target) in targets {
            let (stored, parts) = (stored.clone(), Arc::clone(&self.parts));
            tokio::spawn(async move {
                let what = Notification::of(&stored, &parts.origin);
                for attempt in 1..=ANNOUNCEMENTS {
                    match target.sink.deliver(what, Timestamp::now()).await {
                        Ok(()) => {
                            return info!(
                                sink = name,
                                "{name}: it was announced without the store"
                            );
                        }
                        Err(error) if attempt == ANNOUNCEMENTS => {
                            let why = error.reason;
                            error!(sink = name, %why, "{name}: it could not be announced: {why}");
                        }
                        Err(_) => sleep(ANNOUNCE_AGAIN * 2_u32.pow(attempt)).await,
                    }
                }
            });
        }
    }

    /// Which events are for which sinks.
    pub(super) fn filters(&self) -> Arc<Filters> {
        Arc::clone(&self.filters)
    }

    /// What gives up events that are too old and wait for a sink that takes nothing.
    pub(super) fn expiry(&self) -> impl FnOnce(&mut Store) -> Result<(), StoreError> + use<> {
        let working = lock(&self.working).clone();
        let timeout = self.parts.delivery_timeout;
        let fallback = |(name, target): (&String, &watch::Sender<Option<Arc<SinkPlan>>>)| {
            Some((name.clone(), target.borrow().as_ref()?.fallback.clone()?))
        };
        let fallbacks: BTreeMap<_, _> = self.sinks.iter().filter_map(fallback).collect();
        let shared = Arc::clone(&self.parts.shared);
        move |store| {
            let now = Timestamp::now();
            let before = now.checked_sub(timeout).unwrap_or(Timestamp::MIN);
            for (sink, expired) in store.expire(&working, &fallbacks, before, now, TOOK_NOTHING)? {
                let why = TOOK_NOTHING;
                error!(
                    sink,
                    expired, "{sink}: {expired} events were given up, and are kept: {why}"
                );
                // A fallback may have something to do now.
                shared.wake_deliveries();
            }
            Ok(())
        }
    }

    async fn warn_of_unconfigured(&self, configured: &BTreeSet<String>) {
        let backlogs = self.parts.store.read(Reader::backlogs).await;
        for (sink, backlog) in backlogs.unwrap_or_default() {
            let waiting = backlog.pending;
            if configured.contains(&sink) {
                continue;
            }
            let dead = backlog.dead_letters;
            if dead > 0 {
                warn!(
                    sink,
                    dead,
                    "{dead} events are kept that the sink {sink:?} did not take, which is not configured; \
                     `watch --redeliver {sink}` has them wait for a sink of this name"
                );
            }
            if waiting > 0 {
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

#[cfg(test)]
mod tests;
