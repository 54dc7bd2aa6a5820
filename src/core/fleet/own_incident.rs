//! What can be wrong with the sidecar itself: it is reported once, and once that it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{Timestamp, Unit};

use super::event::{EventData, EventKind, FleetEvent};
use crate::core::rollout::{Reason, whole_millis};

/// An incident of the sidecar itself, or that there is none.
#[derive(Debug, Clone)]
pub struct OwnIncident {
    /// The kind of the event that reports it, and of the one that it is over.
    kinds: [EventKind; 2],
    dedup_key: String,
    code: String,
    /// Since when it lasts, where it was reported and is not over.
    since: Option<Timestamp>,
}

impl OwnIncident {
    /// A source, `list` for example, cannot be read.
    #[must_use]
    pub fn of_source(word: &str) -> Self {
        let kinds = [EventKind::WatcherBlind, EventKind::WatcherRecovered];
        Self::new(
            kinds,
            format!("watcher/{word}"),
            &format!("{word}-unreadable"),
        )
    }

    /// A sink takes nothing.
    #[must_use]
    pub fn of_sink(name: &str) -> Self {
        let kinds = [EventKind::SinkFailing, EventKind::SinkRecovered];
        Self::new(kinds, format!("sink/{name}"), "sink-failing")
    }

    /// The store cannot be written.
    #[must_use]
    pub fn of_store() -> Self {
        let kinds = [EventKind::StoreFailing, EventKind::StoreRecovered];
        Self::new(kinds, "store".to_owned(), "store-failing")
    }

    fn new(kinds: [EventKind; 2], dedup_key: String, code: &str) -> Self {
        Self {
            kinds,
            dedup_key,
            code: code.to_owned(),
            since: None,
        }
    }

    /// Goes on with it where an earlier run has reported it: those that are not over, by `dedupkey`.
    #[must_use]
    pub fn resumed(self, reported: &BTreeMap<String, Timestamp>) -> Self {
        let since = reported.get(&self.dedup_key).copied();
        Self { since, ..self }
    }

    /// It lasts since a moment. Gives the event that reports it, unless it was reported.
    pub fn open(&mut self, now: Timestamp, since: Timestamp, why: String) -> Option<FleetEvent> {
        if self.since.is_some() {
            return None;
        }
        // As precise as it is kept, and so the same when it is over.
        let since = since.round(Unit::Millisecond).unwrap_or(since);
        self.since = Some(since);
        let data = EventData {
            reason: Some(Reason::new(&self.code, why)),
            ..EventData::default()
        };
        Some(self.event(self.kinds[0], now, since, data))
    }

    /// It is over, if there was one. Gives the event that reports it, where the contrary was reported.
    pub fn close(&mut self, now: Timestamp) -> Option<FleetEvent> {
        let since = self.since.take()?;
        let lasted = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let data = EventData {
            elapsed_ms: Some(whole_millis(lasted)),
            ..EventData::default()
        };
        Some(self.event(self.kinds[1], now, since, data))
    }

    fn event(
        &self,
        kind: EventKind,
        time: Timestamp,
        since: Timestamp,
        data: EventData,
    ) -> FleetEvent {
        FleetEvent {
            kind,
            time,
            dedup_key: self.dedup_key.clone(),
            data: EventData {
                sink: self.dedup_key.strip_prefix("sink/").map(str::to_owned),
                started_at: Some(since),
                ..data
            },
        }
    }
}
