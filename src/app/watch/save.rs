//! Writes down what happens, and says it in the log once that is done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info};

use super::{Daemon, chain};
use crate::adapters::store::StoreError;
use crate::core::fleet::old::Change;
use crate::core::fleet::{Notice, StoredEvent};
use crate::core::rollout::{Phase, Verdict};

/// How soon it is tried again, at the end, what could not be written.
const AGAIN: Duration = Duration::from_millis(250);
/// How many agents are named of whom something is lost.
const MOST_NAMED: usize = 10;

impl Daemon {
    /// Writes down what has happened, in one transaction with what is to be delivered of it.
    pub(super) async fn save(&mut self) {
        if self.unsaved.is_empty() {
            return;
        }
        let change = Arc::new(std::mem::take(&mut self.unsaved));
        let (written, filters) = (change.converted(), self.delivery.filters());
        let applied = self
            .keeper
            .with(move |store| {
                store.apply(Timestamp::now(), &written, |event| filters.sinks_of(event))
            })
            .await;
        let change = Arc::unwrap_or_clone(change);
        match applied {
            Ok(stored) => {
                for event in &stored {
                    log_event(event);
                }
                self.store_works();
                self.delivery.wake();
            }
            Err(error) => {
                self.complain(&error);
                // It is tried again with what happens next, and with every tick.
                self.unsaved = change;
            }
        }
    }

    /// Writes down what is left, as long as there is time for it; tells what could not be, and why.
    pub(super) async fn save_by(&mut self, until: Instant) -> Option<String> {
        self.save().await;
        while !self.unsaved.is_empty() && Instant::now() < until {
            sleep_until(until.min(Instant::now() + AGAIN)).await;
            self.save().await;
        }
        if self.unsaved.is_empty() {
            return None;
        }
        let why = self.board.readiness().store.err().unwrap_or_default();
        Some(format!("{}: {why}", in_words(&self.unsaved)))
    }

    /// Shows whether the store can be written. Where it could not be with what has happened, that it
    /// can be with this says nothing.
    pub(super) async fn touch(&self) {
        let touched = self
            .keeper
            .with(|store| store.touch(Timestamp::now()))
            .await;
        match touched {
            Ok(()) if self.unsaved.is_empty() => self.store_works(),
            Ok(()) => {}
            Err(error) => self.complain(&error),
        }
    }

    /// Deletes what has grown old.
    pub(super) async fn prune(&mut self) {
        let keep = self.settings.history_for;
        let pruned = self
            .keeper
            .with(move |store| store.prune(Timestamp::now(), keep))
            .await;
        if let Err(error) = pruned {
            self.complain(&error);
        }
        if let Err(error) = self.delivery.expire().await {
            self.complain(&error);
        }
    }

    fn store_works(&self) {
        if self.board.store_works(Ok(())) {
            info!("the store can be written again: nothing was lost");
        }
    }

    /// Says that the store cannot be written: once for each reason, until it can be again.
    fn complain(&self, error: &StoreError) {
        let why = chain(error);
        if self.board.store_works(Err(why.clone())) {
            error!(%why, "what has happened cannot be written down, and is kept in memory: {why}");
        }
    }
}

/// How much happened, and to whom.
fn in_words(change: &Change) -> String {
    let agents = change.agents.iter().map(|agent| &agent.name);
    let rollouts = change.rollouts.iter().map(|rollout| &rollout.agent);
    let notices = change.notices.iter().map(|notice| &notice.data.agent);
    let all: BTreeSet<&String> = agents
        .chain(&change.removed)
        .chain(rollouts)
        .chain(notices)
        .collect();
    let first: Vec<&str> = all
        .iter()
        .take(MOST_NAMED)
        .map(|name| name.as_str())
        .collect();
    let mut whom = first.join(", ");
    if all.len() > MOST_NAMED {
        whom = format!("{whom} and {} more", all.len() - MOST_NAMED);
    }
    let (events, rollouts) = (change.notices.len(), change.rollouts.len());
    format!("{events} events and {rollouts} rollouts of {whom}")
}

/// Logs what happened.
fn log_event(event: &StoredEvent) {
    let notice = &Notice::from(event);
    let data = &notice.data;
    let headline = notice.headline();
    info!(
        event = notice.kind.as_str(),
        id = notice.id,
        agent = data.agent,
        "deploymentId" = data.deployment_id,
        phase = data.phase.map(Phase::as_str),
        verdict = data.verdict.map(Verdict::as_str),
        code = data.reason.as_ref().map(|reason| reason.code.as_str()),
        "elapsedMs" = data.elapsed_ms,
        "{}: {headline}",
        data.agent
    );
}
