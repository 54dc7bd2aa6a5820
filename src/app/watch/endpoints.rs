//! What the endpoints tell, and where it comes from.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{Board, StoreHandle, chain};
use crate::adapters::metrics::{Metrics, OutboxDepth};
use crate::adapters::store::{Reader, RolloutQuery, StoreError};
use crate::app::watch::http::{Page, RolloutsQuery, Sources, Unanswered};
use crate::core::fleet::FinishedRollout;

/// The most bytes of rollouts in one answer, as they are kept: crash messages are kept whole.
const MOST_PAGE: usize = 4 * 1024 * 1024;

/// Of whom the endpoints ask. `sinks` are those that are delivered to.
pub(crate) fn sources(
    board: &Arc<Board>,
    metrics: &Arc<Metrics>,
    keeper: &StoreHandle,
    sinks: impl IntoIterator<Item = String>,
) -> Sources {
    let (live, ready, listed) = (Arc::clone(board), Arc::clone(board), Arc::clone(board));
    let (measured, counted) = (Arc::clone(metrics), keeper.clone());
    let kept = keeper.clone();
    let sinks: Mutex<BTreeSet<String>> = Mutex::new(sinks.into_iter().collect());
    Sources {
        liveness: Box::new(move || live.liveness()),
        readiness: Box::new(move || ready.readiness()),
        metrics: Box::new(move || {
            let mut sinks = sinks.lock().unwrap_or_else(PoisonError::into_inner);
            measure_outboxes(&measured, &counted, &mut sinks);
            drop(sinks);
            measured.encode()
        }),
        agents: Box::new(move |query| {
            let page = listed.page(&query);
            Box::pin(async move { Ok(page) })
        }),
        rollouts: Box::new(move |query| {
            let keeper = kept.clone();
            Box::pin(async move {
                let page = keeper.read(move |reader| page(reader, query)).await;
                page.map_err(|error| Unanswered(chain(&error)))
            })
        }),
    }
}

/// Measures the outbox of every sink that is or was there. What cannot be read now keeps its last
/// value.
fn measure_outboxes(metrics: &Metrics, keeper: &StoreHandle, sinks: &mut BTreeSet<String>) {
    let now = Timestamp::now();
    let Ok(mut backlogs) = keeper.reader().backlogs() else {
        return;
    };
    sinks.extend(backlogs.keys().cloned());
    for sink in sinks.iter() {
        let backlog = backlogs.remove(sink).unwrap_or_default();
        let age = |at| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        let depth = OutboxDepth {
            pending: backlog.pending,
            oldest_age: backlog.oldest.map(age),
            given_up: backlog.dead_letters,
        };
        metrics.outbox(sink, &depth);
    }
}

fn page(reader: &Reader, query: RolloutsQuery) -> Result<Page<FinishedRollout, u64>, StoreError> {
    let wanted = RolloutQuery {
        agents: query.agent.into_iter().collect(),
        verdicts: Vec::new(),
        since: query.since,
        until: query.until,
        before: query.before,
    };
    let page = reader.rollouts(&wanted, query.limit, MOST_PAGE)?;
    let next = page.found.last().filter(|_| page.more);
    Ok(Page {
        next: next.map(|event| event.number),
        items: page.found.into_iter().map(FinishedRollout::from).collect(),
    })
}
