//! Writes down what happens, and says it in the log once that is done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::{Daemon, chain};
use crate::adapters::store::StoreError;
use crate::core::fleet::{Change, Notice};
use crate::core::messages;
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
        let (written, filters) = (Arc::clone(&change), self.delivery.filters());
        let applied = self
            .keeper
            .with(move |store| {
                store.apply(Timestamp::now(), &written, |notice| {
                    filters.sinks_of(notice)
                })
            })
            .await;
        let change = Arc::unwrap_or_clone(change);
        match applied {
            Ok(new) => {
                for (notice, _) in change.notices.iter().zip(new).filter(|(_, new)| *new) {
                    tell(notice);
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

    /// When a sidecar was alive last, if one was.
    pub(super) async fn alive_at(&self) -> Option<Timestamp> {
        match self.keeper.with(|store| store.alive_at()).await {
            Ok(at) => at,
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    /// Takes out what was old already at `past`, or is now where the clock was set back since.
    ///
    /// `past` is when it was done last, or a sidecar was alive last: a clock that is far ahead at once
    /// makes nothing old, and has until the next time to be set right.
    pub(super) async fn prune(&mut self, past: Timestamp) {
        let now = Timestamp::now();
        let certain = past.min(now);
        let (history_for, retry_for) = (self.settings.history_for, self.settings.retry_for);
        // Of agents that are gone nothing is kept beyond what was told of them: that is kept until it
        // is delivered, and as long as the history from then on.
        if let Ok(before) = certain.checked_sub(history_for.saturating_add(retry_for)) {
            let forgotten = self.fleet.forget(before);
            self.unsaved.append(forgotten);
        }
        let sinks = self.delivery.active();
        let pruned = self
            .keeper
            .with(move |store| {
                if let Ok(before) = certain.checked_sub(retry_for) {
                    let sinks: Vec<&str> = sinks.iter().map(String::as_str).collect();
                    let given_up = store.give_up_orphans(&sinks, before, now)?;
                    if given_up > 0 {
                        warn!(
                            given_up,
                            "{given_up} events were given up on: their sink is gone"
                        );
                    }
                }
                match certain.checked_sub(history_for) {
                    Ok(before) => store.prune(before),
                    // That long ago there was nothing.
                    Err(_) => Ok(()),
                }
            })
            .await;
        if let Err(error) = pruned {
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
fn tell(notice: &Notice) {
    let data = &notice.data;
    let line = messages::event_line(notice.kind, data);
    info!(
        event = notice.kind.as_str(),
        id = notice.id,
        agent = data.agent,
        "deploymentId" = data.deployment_id,
        phase = data.phase.map(Phase::as_str),
        verdict = data.verdict.map(Verdict::as_str),
        code = data.reason.as_ref().map(|reason| reason.code.as_str()),
        "elapsedMs" = data.elapsed_ms,
        "{}: {line}",
        data.agent
    );
}
