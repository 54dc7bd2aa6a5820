//! What the endpoints tell, and where it comes from.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Board, Keeper, chain};
use crate::http::{Page, RolloutsQuery, Sources, Unanswered};
use crate::metrics::{Metrics, OutboxDepth};
use crate::store::{RolloutQuery, Store, StoreError};

/// Of whom the endpoints ask.
pub(crate) fn sources(board: &Arc<Board>, metrics: &Arc<Metrics>, keeper: &Keeper) -> Sources {
    let (live, ready, listed) = (Arc::clone(board), Arc::clone(board), Arc::clone(board));
    let (measured, counted) = (Arc::clone(metrics), keeper.clone());
    let kept = keeper.clone();
    Sources {
        liveness: Box::new(move || live.liveness()),
        readiness: Box::new(move || ready.readiness()),
        metrics: Box::new(move || {
            measure_outboxes(&measured, &counted);
            measured.encode()
        }),
        agents: Box::new(move |query| {
            let page = listed.page(&query);
            Box::pin(async move { Ok(page) })
        }),
        rollouts: Box::new(move |query| {
            let keeper = kept.clone();
            Box::pin(async move {
                let page = keeper.with(move |store| page(store, query)).await;
                page.map_err(|error| Unanswered(chain(&error)))
            })
        }),
    }
}

/// What cannot be read now keeps its last value.
fn measure_outboxes(metrics: &Metrics, keeper: &Keeper) {
    let now = Timestamp::now();
    let Ok(backlogs) = keeper.with_blocking(|store| store.backlogs()) else {
        return;
    };
    for (sink, backlog) in backlogs {
        let age = |at| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        let depth = OutboxDepth {
            pending: backlog.pending,
            oldest_age: backlog.oldest.map(age),
            given_up: backlog.given_up,
        };
        metrics.outbox(&sink, &depth);
    }
}

fn page(
    store: &Store,
    query: RolloutsQuery,
) -> Result<Page<crate::fleet::RolloutRecord, u64>, StoreError> {
    let limit = query.limit;
    // One more tells whether there are more.
    let mut found = store.rollouts(&RolloutQuery {
        agent: query.agent,
        since: query.since,
        until: query.until,
        before: query.before,
        most: Some(limit.saturating_add(1)),
    })?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(number, _)| *number);
    let items = found.into_iter().map(|(_, rollout)| rollout).collect();
    Ok(Page { items, next })
}
