//! The sidecar: its loop gathers inputs, the fleet decides what they mean, and the loop performs that.
//!
//! What happens is written in one transaction with what is to be delivered of it.

mod dispatch;
pub(crate) mod http;
mod recent;
mod save;
mod shared;
mod store_handle;
mod supervisor;
mod tasks;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

pub(crate) use self::dispatch::{Dispatch, Parts as DispatchParts, SinkPlan};
use self::save::Unsaved;
pub(crate) use self::shared::{Muted, Shared};
pub(crate) use self::store_handle::StoreHandle;
use self::supervisor::{Supervisor, notify};
use self::tasks::Tasks;
use crate::adapters::api::connection::Connection;
use crate::adapters::metrics::Metrics;
use crate::app::error::chain;
use crate::app::telemetry::Traces;
use crate::core::fleet::{
    Action, Change, EventKind, FleetEvent, Input, Moment, Mute, OwnIncident, PassEnd, Rules,
    StoredEvent,
};
use crate::core::messages::Severity;
use crate::core::text::one_line;

/// How often the loop shows that it is alive.
const TICK: Duration = Duration::from_secs(5);
/// How long the end may take: what is due is delivered, each once.
const GRACE: Duration = Duration::from_secs(10);
/// How long of that it is tried to write what could not be written.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How long the store may not be written before that is announced.
const STORE_PATIENCE: Duration = Duration::from_secs(20);

/// The name of the loop among the heartbeats.
const LOOP: &str = "agents";

/// The sidecar.
pub(crate) struct Sidecar {
    parts: Parts,
    tasks: Tasks,
    unsaved: Unsaved,
    supervisor: Supervisor,
    /// Since when the store cannot be written.
    store_failing: Option<Moment>,
    store_incident: OwnIncident,
}

/// What the sidecar works with.
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Connection,
    pub(crate) store: StoreHandle,
    pub(crate) dispatch: Dispatch,
    pub(crate) metrics: Arc<Metrics>,
    /// What rollouts that have ended are sent through.
    pub(crate) traces: Option<Traces>,
    /// How long the history is kept.
    pub(crate) retention: Duration,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) reloads: mpsc::Receiver<Reload>,
    /// What there is to report of sinks.
    pub(crate) reports: mpsc::UnboundedReceiver<FleetEvent>,
}

/// What changes when the configuration is read anew, or why it cannot be.
pub(crate) type Reload = Result<Reloaded, String>;

/// What a new configuration changes while the sidecar runs.
pub(crate) struct Reloaded {
    pub(crate) rules: Rules,
    pub(crate) sinks: Vec<SinkPlan>,
    pub(crate) mutes: Vec<Mute>,
    pub(crate) retention: Duration,
}

/// How the sidecar has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Ended {
    /// It was asked to stop.
    Stopped,
    /// Its one pass is over.
    Passed(PassEnd),
    /// What happened last could not be written: what that is, and why.
    Unsaved(String),
}

impl Sidecar {
    pub(crate) fn new(parts: Parts) -> Self {
        let (connection, stop) = (parts.connection.clone(), parts.stop.clone());
        let (store, shared) = (parts.store.clone(), Arc::clone(&parts.shared));
        Self {
            tasks: Tasks::new(connection, Arc::clone(&shared), stop),
            unsaved: Unsaved::new(store, shared, parts.retention),
            supervisor: Supervisor::new(),
            store_failing: None,
            store_incident: OwnIncident::of_store().resumed(parts.dispatch.incidents()),
            parts,
        }
    }

    /// Runs until it is asked to stop, or its one pass is over; then delivers what is due, for a while.
    pub(crate) async fn run(mut self) -> Ended {
        notify(NotifyState::Ready);
        let mut stop = self.parts.stop.clone();
        let ended = loop {
            self.parts.shared.beat(LOOP);
            self.supervisor.alive(&self.parts.shared);
            self.start_due();
            self.watch_store();
            self.end_mutes();
            self.unsaved.start(&self.parts.dispatch);
            if let Some(end) = self.parts.shared.fleet().pass_end() {
                break Ended::Passed(end);
            }
            let wake = self.next_wake();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break Ended::Stopped,
                events = self.unsaved.written() => {
                    for StoredEvent { event, .. } in &events {
                        if event.kind == EventKind::RolloutFinished {
                            self.parts.metrics.rollout_finished(&event.data);
                            self.parts.shared.recent.forget(&event.data.agent);
                        }
                        if self.parts.shared.count_muted(event) {
                            self.parts.metrics.muted_event();
                        }
                    }
                    if !events.is_empty() {
                        self.parts.shared.wake_deliveries();
                    }
                }
                input = self.tasks.next() => self.handle(input),
                Some(event) = self.parts.reports.recv() => self.add_event(event),
                Some(reload) = self.parts.reloads.recv() => self.reload(reload).await,
                () = sleep_until(wake) => {}
            }
        };
        notify(NotifyState::Stopping);
        info!("stopping: finishing deliveries");
        let until = Instant::now() + GRACE;
        let last_writes = Instant::now() + LAST_WRITES;
        let unsaved = self.unsaved.finish(&self.parts.dispatch, last_writes).await;
        self.parts.shared.wake_deliveries();
        self.parts.dispatch.finish(until).await;
        if let Some(traces) = self.parts.traces.take() {
            traces.finish().await;
        }
        unsaved.map_or(ended, Ended::Unsaved)
    }

    fn handle(&mut self, input: Input) {
        let step = self
            .parts
            .shared
            .fleet_mut()
            .handle(self.parts.shared.now(), input);
        if let Some(traces) = &self.parts.traces {
            traces.export(&step.change.events);
        }
        if !step.change.is_empty() {
            self.unsaved.add(step.change);
        }
        self.perform(step.actions);
    }

    fn add_event(&mut self, event: FleetEvent) {
        self.unsaved.add(Change {
            events: vec![event],
            ..Change::default()
        });
    }

    /// Announces that the store cannot be written for a while, without it; and with it that it can be again.
    fn watch_store(&mut self) {
        let now = self.parts.shared.now();
        if let Err(why) = self.parts.shared.store() {
            let since = *self.store_failing.get_or_insert(now);
            if now.at.saturating_sub(since.at) >= STORE_PATIENCE
                && let Some(event) = self.store_incident.open(now.wall, since.wall, why)
            {
                self.parts.dispatch.announce(event);
                self.parts.store.spawn(move |store| {
                    if let Err(error) = store.mark_failing(since.wall) {
                        warn!(
                            "{}; nothing will say that it is over after a restart",
                            chain(&error)
                        );
                    }
                });
            }
        } else {
            self.store_failing = None;
            if let Some(event) = self.store_incident.close(now.wall) {
                self.add_event(event);
            }
        }
    }

    /// Says what was not said while it was muted, and has sent what was opened and is not over.
    fn end_mutes(&mut self) {
        let shared = &self.parts.shared;
        for Muted { mute, events } in shared.take_ended_mutes(shared.now().wall) {
            warn!(
                events,
                "not muted any more: {mute}; {events} events were not sent, but what they opened and is still open is now"
            );
            self.unsaved.keep_up_now();
        }
    }

    /// Starts what is due, unless too much waits to be written.
    fn start_due(&mut self) {
        if !self.unsaved.is_full() {
            let actions = self.parts.shared.fleet_mut().due(self.parts.shared.now());
            self.perform(actions);
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::ReadList(route) => self.tasks.read_list(route),
                Action::Check {
                    check,
                    route,
                    urgency,
                } => self.tasks.check(check, route, urgency),
                Action::Follow {
                    follow,
                    deployment_id,
                    limits,
                } => self.tasks.follow(follow, deployment_id, limits),
                Action::Log(severity, line) => {
                    match severity {
                        Severity::Error => error!("{line}"),
                        Severity::Warning => warn!("{line}"),
                        Severity::Info | Severity::Success => info!("{line}"),
                    }
                    notify(NotifyState::Status(&one_line(&line)));
                }
            }
        }
    }

    fn next_wake(&self) -> Instant {
        let due = if self.unsaved.is_full() {
            None
        } else {
            self.parts.shared.fleet().next_due()
        };
        let due = due.map(|due| self.parts.shared.instant(due));
        let wakes = [due, self.unsaved.due_at()];
        let tick = Instant::now() + TICK;
        wakes.into_iter().flatten().fold(tick, Instant::min)
    }

    async fn reload(&mut self, reload: Reload) {
        let reload_ok = &self.parts.shared.reload_ok;
        reload_ok.store(reload.is_ok(), Ordering::Relaxed);
        let reloaded = match reload {
            Ok(reloaded) => reloaded,
            Err(why) => {
                error!(%why, "the configuration cannot be reloaded, and stays as it was: {why}");
                return;
            }
        };
        let now = self.parts.shared.now();
        self.parts.shared.fleet_mut().reload(now, &reloaded.rules);
        self.unsaved.retention = reloaded.retention;
        let names = reloaded.sinks.iter().map(|sink| sink.name.clone());
        self.parts.shared.set_sinks(names);
        self.parts.shared.set_mutes(reloaded.mutes);
        self.parts.dispatch.reload(reloaded.sinks).await;
        self.unsaved.keep_up_now();
        info!("the configuration was reloaded");
    }
}
