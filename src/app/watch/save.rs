//! What has changed, until it is written: with what is to be delivered of it in one transaction, and in the
//! log once that is done. The store is kept up on the way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Dispatch, Shared, StoreHandle};
use crate::adapters::store::{Store, StoreError};
use crate::app::error::chain;
use crate::core::fleet::{Change, StoredEvent};
use crate::core::messages::{Severity, event_line, event_severity};
use crate::core::rollout::{Phase, Verdict};

/// How soon it is tried again what could not be written.
const RETRY: Duration = Duration::from_secs(1);
/// How often what has grown old is taken out and, where nothing else is written, it is tried whether anything
/// can be.
const UPKEEP_EVERY: Duration = Duration::from_secs(30);
/// How many events may wait to be written before nothing new is begun.
const MAX_WAITING: usize = 10_000;
/// How many agents are named of which something is lost.
const MAX_NAMED: usize = 10;

/// The events as they were written, with how the upkeep went, or why they were not.
type Written = Result<(Vec<StoredEvent>, Result<(), StoreError>), StoreError>;

/// What has changed and is not written yet.
pub(super) struct Unsaved {
    store: StoreHandle,
    shared: Arc<Shared>,
    /// How long the history is kept.
    pub(super) retention: Duration,
    waiting: Change,
    /// What is being written.
    writing: Option<(Arc<Change>, JoinHandle<Written>)>,
    retry_at: Instant,
    upkeep_at: Instant,
}

impl Unsaved {
    pub(super) fn new(store: StoreHandle, shared: Arc<Shared>, retention: Duration) -> Self {
        Self {
            store,
            shared,
            retention,
            waiting: Change::default(),
            writing: None,
            retry_at: Instant::now(),
            upkeep_at: Instant::now(),
        }
    }

    /// Adds what has changed.
    pub(super) fn add(&mut self, change: Change) {
        self.waiting.append(change);
        self.measure();
    }

    /// Has the upkeep done as soon as may be.
    pub(super) fn keep_up_now(&mut self) {
        self.upkeep_at = Instant::now();
    }

    /// Whether so much waits that nothing new is to be begun.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.events.len() >= MAX_WAITING
    }

    /// When something is to be written next; none while something is.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let due = if self.waiting.is_empty() {
            self.upkeep_at
        } else {
            self.retry_at
        };
        self.writing.is_none().then_some(due)
    }

    /// Starts to write what waits, and the upkeep where it is due, unless something is being written.
    pub(super) fn start(&mut self, dispatch: &Dispatch) {
        let now = Instant::now();
        if self.due_at().is_none_or(|due| now < due) {
            return;
        }
        let change = Arc::new(std::mem::take(&mut self.waiting));
        let (written, filters) = (Arc::clone(&change), dispatch.filters());
        let upkeep = (now >= self.upkeep_at).then(|| (self.retention, dispatch.expiry()));
        if upkeep.is_some() {
            self.upkeep_at = now + UPKEEP_EVERY;
        }
        let shared = Arc::clone(&self.shared);
        let write = self.store.spawn(move |store| {
            let now = Timestamp::now();
            let events = store.apply(now, &written, |event| filters.route(event))?;
            let keep_up = || {
                let Some((retention, expire)) = upkeep else {
                    return Ok(());
                };
                store.touch(now)?;
                if store.unmute(now, |event| filters.route(event))? > 0 {
                    shared.wake_deliveries();
                }
                expire(store)?;
                store.prune(now, retention)
            };
            let kept_up = keep_up();
            Ok((events, kept_up))
        });
        self.writing = Some((change, write));
    }

    /// Waits until what is being written is written, and gives the events; never, where nothing is.
    pub(super) async fn written(&mut self) -> Vec<StoredEvent> {
        let Some((change, write)) = &mut self.writing else {
            return std::future::pending().await;
        };
        let written = write.await;
        let change = Arc::clone(change);
        self.writing = None;
        let error = match written {
            Ok(Ok((events, upkeep))) => {
                self.measure();
                match upkeep {
                    Ok(()) => self.store_works(),
                    Err(error) => self.store_fails(&chain(&error)),
                }
                for stored in &events {
                    log(stored, self.shared.is_muted(&stored.event));
                }
                return events;
            }
            Ok(Err(error)) => chain(&error),
            Err(lost) => lost.to_string(),
        };
        let later = std::mem::replace(&mut self.waiting, Arc::unwrap_or_clone(change));
        self.waiting.append(later);
        self.retry_at = Instant::now() + RETRY;
        self.measure();
        self.store_fails(&error);
        Vec::new()
    }

    /// Writes what is left, as long as there is time for it, and makes sure that the store is there; says what is
    /// lost, and why.
    pub(super) async fn finish(&mut self, dispatch: &Dispatch, until: Instant) -> Option<String> {
        loop {
            if self.writing.is_none() && self.waiting.is_empty() {
                return self.lost_with_the_store(until).await;
            }
            self.start(dispatch);
            if self.writing.is_some() {
                if tokio::time::timeout_at(until, self.written())
                    .await
                    .is_err()
                {
                    break;
                }
            } else if Instant::now() >= until {
                break;
            } else {
                tokio::time::sleep_until(self.retry_at.min(until)).await;
            }
        }
        if let Some((change, _)) = self.writing.take() {
            let later = std::mem::replace(&mut self.waiting, (*change).clone());
            self.waiting.append(later);
        }
        if self.waiting.is_empty() {
            return None;
        }
        let why = self.shared.store().err();
        let why = why.unwrap_or_else(|| "it takes too long".to_owned());
        Some(format!("{}: {why}", in_words(&self.waiting)))
    }

    /// What was written and is not where it is looked for, and why; none where all of it is.
    async fn lost_with_the_store(&self, until: Instant) -> Option<String> {
        let check = self.store.with(Store::check_place);
        let why = match tokio::time::timeout_at(until, check).await {
            Ok(Err(error)) => chain(&error),
            Ok(Ok(())) | Err(_) => return None,
        };
        Some(format!("the history and the state of all agents: {why}"))
    }

    fn store_fails(&self, why: &str) {
        if self.shared.set_store(Err(why.to_owned())) {
            error!(%why, "the store cannot be written; what happens is kept in memory: {why}");
        }
    }

    fn store_works(&self) {
        if self.shared.set_store(Ok(())) {
            info!("the store can be written again: nothing was lost");
        }
    }

    fn measure(&self) {
        let writing = self
            .writing
            .as_ref()
            .map_or(0, |(change, _)| change.events.len());
        let unsaved = self.waiting.events.len() + writing;
        self.shared.unsaved.store(unsaved, Ordering::Relaxed);
    }
}

/// How much happened, and to whom.
fn in_words(change: &Change) -> String {
    let events = change.events.iter().map(|event| &event.data.agent);
    let all: BTreeSet<&String> = change.agents.keys().chain(events).collect();
    let first: Vec<&str> = all
        .iter()
        .take(MAX_NAMED)
        .map(|name| name.as_str())
        .collect();
    let mut whom = first.join(", ");
    if all.len() > MAX_NAMED {
        whom = format!("{whom} and {} more", all.len() - MAX_NAMED);
    }
    format!("{} events and the state of {whom}", change.events.len())
}

/// Writes an event into the log, and whether sinks do not get it.
fn log(stored: &StoredEvent, is_muted: bool) {
    let (event, data) = (&stored.event, &stored.event.data);
    let muted = if is_muted { " (muted)" } else { "" };
    let line = format!("{}{muted}", event_line(event));
    macro_rules! log_at {
        ($level:ident) => {
            $level!(
                event = event.kind.as_str(),
                id = stored.id(),
                agent = data.agent,
                "deploymentId" = data.deployment_id,
                image = data.image,
                phase = data.phase.map(Phase::as_str),
                verdict = data.verdict.map(Verdict::as_str),
                code = data.reason.as_ref().map(|reason| reason.code.as_str()),
                "elapsedMs" = data.elapsed_ms,
                "revisionUnchanged" = data.revision_unchanged.then_some(true),
                "observedLate" = data.observed_late.then_some(true),
                "{line}"
            )
        };
    }
    match event_severity(event) {
        Severity::Error => log_at!(error),
        Severity::Warning => log_at!(warn),
        Severity::Info | Severity::Success => log_at!(info),
    }
}
