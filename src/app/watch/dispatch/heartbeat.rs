//! Sends signs of life to dead man's switches, as long as the sidecar knows what it is there to know.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::{Parts, SinkPlan, TICK};
use crate::adapters::metrics::DeliveryOutcome;
use crate::core::fleet::test_events;
use crate::core::messages::Notification;

/// Sends them to one sink, for as long as it is configured.
pub(super) async fn run(
    name: String,
    parts: Arc<Parts>,
    mut configured: watch::Receiver<Option<Arc<SinkPlan>>>,
    mut drain: watch::Receiver<bool>,
) {
    parts.metrics.sink_added(&name);
    let mut next = Instant::now();
    let mut problem: Option<String> = None;
    // What is sent is only that something is.
    let [sign, _] = test_events(Timestamp::now());
    while !*drain.borrow() {
        parts.shared.beat(&name);
        let target = configured.borrow_and_update().clone();
        let every = target.as_ref().and_then(|target| target.sink.every());
        if let (Some(target), Some(every)) = (target, every)
            && Instant::now() >= next
        {
            next = Instant::now() + every;
            let sign = Notification::of(&sign, &parts.origin);
            let failure = if let Some(why) = parts.shared.faults().into_iter().next() {
                Some(("no heartbeat is sent", why))
            } else if let Err(error) = target.sink.deliver(sign, Timestamp::now()).await {
                parts.metrics.delivery(&name, DeliveryOutcome::Failed);
                Some(("a heartbeat failed", error.reason))
            } else {
                debug!(sink = name, "sent a heartbeat");
                parts.metrics.delivery(&name, DeliveryOutcome::Delivered);
                None
            };
            match &failure {
                Some((what, why)) if problem.as_ref() != Some(why) => {
                    warn!(sink = name, %why, "{name}: {what}: {why}");
                }
                None if problem.is_some() => {
                    info!(sink = name, "{name}: heartbeats arrive again");
                }
                Some(_) | None => {}
            }
            problem = failure.map(|(_, why)| why);
        }
        tokio::select! {
            Ok(()) = configured.changed() => {}
            Ok(()) = drain.changed() => {}
            () = sleep_until(next.max(Instant::now()).min(Instant::now() + TICK)) => {}
        }
    }
    parts.shared.rest(&name);
}
