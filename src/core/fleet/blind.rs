//! Whether the list and the agents' details can be read, as events of the sidecar about itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::event::{EventKind, opened, recovered};
use super::{Fleet, Moment, Step};

/// What `dedupkey` begins with where the watcher is blind.
const WATCHER: &str = "watcher/";

impl Fleet {
    /// Takes in what an earlier run has reported as wrong with the sidecar itself, and is not over.
    #[must_use]
    pub fn with_incidents(self, incidents: &BTreeMap<String, Timestamp>) -> Self {
        let blind = incidents.iter().filter(|(key, _)| key.starts_with(WATCHER));
        Self {
            blind: blind.map(|(key, at)| (key.clone(), *at)).collect(),
            ..self
        }
    }

    /// Reports what cannot be read for longer than it has patience, and that it can be again.
    pub(super) fn watch_sources(&mut self, now: Moment, step: &mut Step) {
        let sources = [
            ("list", "list of agents", &self.sources.list),
            ("details", "agents' details", &self.sources.details),
        ];
        let mut events = Vec::new();
        for (word, name, source) in sources {
            let key = format!("{WATCHER}{word}");
            match (source.failure(), self.blind.get(&key)) {
                (Some(failing), None) => {
                    let failing_for = now.at.saturating_sub(failing.since);
                    if failing_for > self.sources.patience {
                        let since = now.wall.checked_sub(failing_for).unwrap_or(now.wall);
                        let summary = self.sources.fault(name, source, now.at);
                        self.blind.insert(key.clone(), since);
                        let (kind, code) = (EventKind::WatcherBlind, format!("{word}-unreadable"));
                        let summary = summary.unwrap_or_default();
                        events.push(opened(kind, now.wall, key, since, &code, summary));
                    }
                }
                (None, Some(&since))
                    if source.age(now.at).is_some() || (word == "list" && self.is_named()) =>
                {
                    self.blind.remove(&key);
                    events.push(recovered(EventKind::WatcherRecovered, now.wall, key, since));
                }
                _ => {}
            }
        }
        step.change.events.extend(events);
    }
}
