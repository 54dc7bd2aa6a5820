//! The upkeep of the store: what has grown old is taken out, and where nothing else is written, it is tried
//! whether anything can be.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::StoreHandle;
use crate::adapters::store::StoreError;
use crate::app::error::chain;

/// How often it is tried whether the store can be written.
const PROBE_EVERY: Duration = Duration::from_secs(30);
/// How often what has grown old is taken out.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// The upkeep of the store, which keeps no loop waiting.
pub(super) struct Upkeep {
    store: StoreHandle,
    /// How long the history is kept.
    pub(super) retention: Duration,
    probe_at: Instant,
    prune_at: Instant,
    work: Option<JoinHandle<Result<(), StoreError>>>,
    /// Whether that takes out what has grown old.
    prunes: bool,
}

/// What was done.
pub(super) struct Done {
    /// Whether the store could be written, or why not.
    pub(super) written: Result<(), String>,
    /// Whether what has grown old was taken out.
    pub(super) pruned: bool,
}

impl Upkeep {
    pub(super) fn new(store: StoreHandle, retention: Duration) -> Self {
        let now = Instant::now();
        Self {
            store,
            retention,
            probe_at: now,
            prune_at: now,
            work: None,
            prunes: false,
        }
    }

    /// Starts what is due, unless something is under way; gives when the next thing will be.
    pub(super) fn start_due(&mut self) -> Instant {
        let now = Instant::now();
        if self.work.is_none() && now >= self.probe_at {
            self.probe_at = now + PROBE_EVERY;
            self.prunes = now >= self.prune_at;
            if self.prunes {
                self.prune_at = now + PRUNE_EVERY;
            }
            let retention = self.prunes.then_some(self.retention);
            self.work = Some(self.store.spawn(move |store| {
                let now = Timestamp::now();
                store.touch(now)?;
                retention.map_or(Ok(()), |retention| store.prune(now, retention))
            }));
        }
        self.probe_at
    }

    /// Waits until what is under way has ended; for ever, where nothing is.
    pub(super) async fn done(&mut self) -> Done {
        let Some(work) = &mut self.work else {
            return std::future::pending().await;
        };
        let done = work.await;
        self.work = None;
        let written = match done {
            Ok(written) => written.map_err(|error| chain(&error)),
            Err(lost) => Err(lost.to_string()),
        };
        Done {
            pruned: self.prunes && written.is_ok(),
            written,
        }
    }
}
