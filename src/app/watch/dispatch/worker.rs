//! Delivers what waits for one sink, and decides when it is tried again.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

use super::{Parts, SinkPlan, TICK, Working, lock};
use crate::adapters::delivery::DeliveryError;
use crate::adapters::metrics::DeliveryOutcome;
use crate::adapters::store::{Delivery, Due, Outcome, Settled, Store, StoreError, Unreadable};
use crate::app::error::chain;
use crate::core::fleet::{DeliveryFailure, OwnIncident, Retry, SinkHealth, StoredEvent};
use crate::core::messages::{Notification, count};

/// How soon to try again what the store could not do.
const STORE_AGAIN: Duration = Duration::from_secs(5);
/// The most events of a group.
const MAX_GROUP: usize = 200;

/// Delivers to one sink.
pub(super) struct Worker {
    name: String,
    parts: Arc<Parts>,
    configured: watch::Receiver<Option<Arc<SinkPlan>>>,
    /// Where it delivers to; none where the sink is not configured any more.
    target: Option<Arc<SinkPlan>>,
    /// Why the sink wants no more, if it does not.
    gone: Option<String>,
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
    incident: OwnIncident,
    /// Why the latest delivery failed that is about the sink.
    problem: Option<String>,
}

/// An attempt that has ended.
struct Attempt {
    /// One, or those of a group.
    deliveries: Vec<Delivery>,
    target: Arc<SinkPlan>,
    /// When it began.
    sent: Duration,
    result: Result<(), DeliveryError>,
}

impl Worker {
    pub(super) fn new(
        name: String,
        parts: Arc<Parts>,
        mut configured: watch::Receiver<Option<Arc<SinkPlan>>>,
        wake: watch::Receiver<()>,
        drain: watch::Receiver<bool>,
        working: Working,
    ) -> Self {
        parts.metrics.sink_added(&name);
        let target = configured.borrow_and_update().clone();
        Self {
            target,
            gone: None,
            incident: OwnIncident::of_sink(&name).resumed(&parts.incidents),
            name,
            parts,
            configured,
            wake,
            drain,
            working,
            started: Instant::now(),
            health: SinkHealth::default(),
            attempts: JoinSet::new(),
            under_way: BTreeSet::new(),
            settled: Vec::new(),
            store_error: None,
            problem: None,
        }
    }

    pub(super) async fn run(mut self) {
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
            // Whatever woke it, the next deliveries are made as is configured now.
            if self.configured.has_changed().unwrap_or(false) {
                self.reconfigure();
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
        let (is_same, is_same_sink) = match (&self.target, &target) {
            (Some(now), Some(new)) => (now.is_same(new), now.sink.is_same(&new.sink)),
            (None, None) => (true, true),
            _ => (false, false),
        };
        if !is_same_sink {
            self.health = SinkHealth::default();
        }
        if target.is_none() {
            self.report_recovery();
        }
        // What wanted no more is tried anew.
        let was_gone = self.gone.take().is_some();
        if !is_same || was_gone {
            self.target = target;
        }
    }

    /// Writes how attempts ended, and starts those that are due; gives when to look again.
    pub(super) async fn turn(&mut self) -> Instant {
        let now = self.started.elapsed();
        let failing_for = self.health.failing_for(now);
        let is_failing = self.health.failures_in_a_row() > 0;
        if is_failing && failing_for >= self.parts.sink_patience {
            self.report_failure(failing_for);
        }
        let is_down = is_failing && failing_for >= self.parts.delivery_timeout;
        if self.target.is_some() && self.gone.is_none() && !is_down {
            lock(&self.working).insert(self.name.clone());
        } else {
            lock(&self.working).remove(&self.name);
        }
        let pause = self.health.paused_until(now);
        let sent = self.attempts.len();
        let target = self.target.as_ref().filter(|_| self.gone.is_none());
        let free = match (target, pause) {
            // Groups are sent one after another.
            (Some(target), None) if target.group_for.is_some() => usize::from(sent == 0),
            (Some(_), None) => self.health.places().saturating_sub(sent),
            _ => 0,
        };
        let mut next = None;
        if free > 0 || !self.settled.is_empty() {
            match self.write_and_read(free).await {
                Ok(due) => {
                    self.store_error = None;
                    // What was read for another configuration is read again.
                    if self.configured.has_changed().unwrap_or(false) {
                        return Instant::now();
                    }
                    next = self.start_due(due, free);
                }
                Err(error) => {
                    self.complain(&error);
                    return Instant::now() + STORE_AGAIN;
                }
            }
        }
        if sent == 0
            && let Err(error) = self.give_up_if_gone().await
        {
            self.complain(&error);
            return Instant::now() + STORE_AGAIN;
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
        let target = self.target.clone();
        let work = move |store: &mut Store| {
            let now = Timestamp::now();
            let target = target.as_deref();
            let fallback = target.and_then(|target| target.fallback.as_deref());
            store.settle(&name, now, &written, fallback)?;
            match (free, target.and_then(|target| target.group_for)) {
                (0, _) => Ok(Due::default()),
                (_, Some(_)) => store.due_together(&name, now, MAX_GROUP),
                (_, None) => store.due(&name, now, limit),
            }
        };
        let due = self.parts.store.with(work).await;
        if due.is_ok() {
            for one in settled.iter() {
                self.under_way.remove(&one.agent);
            }
            // A fallback may have something to do now.
            let is_dead = |one: &Settled| matches!(one.outcome, Outcome::Dead(_));
            if settled.iter().any(is_dead) {
                self.parts.shared.wake_deliveries();
            }
        } else {
            // It is written again; what was written already stays as it is.
            self.settled = Arc::unwrap_or_clone(settled);
        }
        due
    }

    /// Gives up all that waits for a sink that wants no more.
    async fn give_up_if_gone(&mut self) -> Result<(), StoreError> {
        let Some(why) = self.gone.clone() else {
            return Ok(());
        };
        let fallback = self
            .target
            .as_ref()
            .and_then(|target| target.fallback.clone());
        let name = self.name.clone();
        let configured = self.configured.clone();
        let give_up = move |store: &mut Store| {
            // What came after a new configuration is for that.
            if configured.has_changed().unwrap_or(false) {
                return Ok(0);
            }
            store.give_up(&name, Timestamp::now(), &why, fallback.as_deref())
        };
        let count = self.parts.store.with(give_up).await?;
        if count > 0 {
            (0..count).for_each(|_| self.count(DeliveryOutcome::GivenUp));
            error!(
                sink = self.name,
                count,
                "{}: {count} events were given up, and are kept: the receiver wants no more",
                self.name
            );
            self.parts.shared.wake_deliveries();
        }
        Ok(())
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
        let in_time = |at: Timestamp| {
            let wait = Duration::try_from(at.duration_since(Timestamp::now()));
            Instant::now() + wait.unwrap_or_default()
        };
        let next = due.next_at.map(in_time);
        if let Some(group_for) = target.group_for {
            let Some(oldest) = due.deliveries.iter().map(|due| due.written_at).min() else {
                return next;
            };
            let gathered = oldest.checked_add(group_for).unwrap_or(oldest);
            let is_whole = due.deliveries.len() >= MAX_GROUP || *self.drain.borrow();
            if gathered > Timestamp::now() && !is_whole {
                return [next, Some(in_time(gathered))].into_iter().flatten().min();
            }
            self.attempt(&target, due.deliveries);
            return next;
        }
        let is_free = |due: &Delivery| !self.under_way.contains(&due.event.event.data.agent);
        let due = due.deliveries.into_iter().filter(is_free).take(free);
        for delivery in due.collect::<Vec<_>>() {
            self.attempt(&target, vec![delivery]);
        }
        next
    }

    fn attempt(&mut self, target: &Arc<SinkPlan>, deliveries: Vec<Delivery>) {
        let agents = deliveries.iter().map(|one| &one.event.event.data.agent);
        self.under_way.extend(agents.cloned());
        let (target, parts) = (Arc::clone(target), Arc::clone(&self.parts));
        let sent = self.started.elapsed();
        self.attempts.spawn(async move {
            let events: Vec<StoredEvent> = deliveries.iter().map(|one| one.event.clone()).collect();
            let what = Notification::of_all(&events, &parts.origin);
            let result = target.sink.deliver(what, Timestamp::now()).await;
            Attempt {
                deliveries,
                target,
                sent,
                result,
            }
        });
    }

    /// Decides what follows from an attempt that has ended.
    fn conclude(&mut self, ended: Result<Attempt, JoinError>) {
        let attempt = ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        let (deliveries, sent) = (attempt.deliveries, attempt.sent);
        let target = self.target.as_ref();
        let is_former = target.is_none_or(|target| !Arc::ptr_eq(target, &attempt.target));
        let Some(first) = deliveries.first() else {
            return;
        };
        let outcome = match attempt.result {
            Ok(()) => {
                self.works(sent);
                debug!(sink = self.name, id = first.event.id(), "delivered");
                self.count(DeliveryOutcome::Delivered);
                Some(Outcome::Delivered)
            }
            // What the former one said is not about the present one, which gets a try of its own.
            Err(_) if is_former => None,
            Err(error) if error.failure == DeliveryFailure::Gone => {
                self.end(&error.reason);
                None
            }
            Err(error) => Some(self.failed(first, sent, error.failure, error.reason)),
        };
        for Delivery { event, .. } in deliveries {
            let StoredEvent { number, event, .. } = event;
            let agent = event.data.agent;
            // A queue as a whole is tried again.
            let is_noted = matches!(outcome, Some(Outcome::Retry(_)))
                && self.settled.iter().any(|settled| settled.agent == agent);
            match outcome.clone() {
                Some(outcome) if !is_noted => self.settled.push(Settled {
                    agent,
                    number,
                    outcome,
                }),
                Some(_) => {}
                None => {
                    self.under_way.remove(&agent);
                }
            }
        }
    }

    fn works(&mut self, sent: Duration) {
        if self.gone.is_some() {
            return;
        }
        let failures = self.health.failures_in_a_row();
        self.health.works(sent);
        if failures > 0 && self.health.failures_in_a_row() == 0 {
            info!(sink = self.name, "{}: deliveries arrive again", self.name);
        }
        if self.health.failures_in_a_row() == 0 {
            self.report_recovery();
        }
    }

    /// The sink wants no more.
    fn end(&mut self, why: &str) {
        self.count(DeliveryOutcome::Failed);
        if self.gone.replace(why.to_owned()).is_some() {
            return;
        }
        error!(
            sink = self.name,
            %why,
            "{}: the receiver wants no more ({why}); nothing is sent to it until the sidecar is started again \
             or reads its configuration anew",
            self.name
        );
        self.problem = Some(why.to_owned());
        self.report_failure(Duration::ZERO);
    }

    /// Reports that the sink takes nothing, once.
    fn report_failure(&mut self, failing_for: Duration) {
        let now = self.parts.shared.now().wall;
        let since = now.checked_sub(failing_for).unwrap_or(now);
        let why = self.problem.clone().unwrap_or_default();
        let event = self.incident.open(now, since, why);
        self.parts.report(event);
    }

    /// Reports that it takes events again, where the contrary was reported.
    fn report_recovery(&mut self) {
        let event = self.incident.close(self.parts.shared.now().wall);
        self.parts.report(event);
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
            DeliveryFailure::Unsendable => attempt,
            DeliveryFailure::TimedOut
            | DeliveryFailure::Unavailable { .. }
            | DeliveryFailure::Gone => {
                self.health.failed(sent, at, failure, fastrand::f64());
                self.problem = Some(why.clone());
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
                let attempts = count(attempt.into(), "attempt");
                error!(
                    sink = self.name,
                    id,
                    attempt,
                    %why,
                    "{}: an event was given up after {attempts}, and is kept: {why}",
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
