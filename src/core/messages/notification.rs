//! What a sink is sent at once: an event, or the events of a burst as a group.

use std::collections::BTreeMap;
use std::slice;

use serde_json::{Value, json};

use super::fleet_event::{event_line, event_severity, event_title};
use super::{Severity, agents};
use crate::core::fleet::{Origin, StoredEvent, whole_event};

/// The most rows of a group's table.
const MAX_ROWS: usize = 40;

/// What a sink is sent at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notification<'a> {
    events: &'a [StoredEvent],
    origin: &'a Origin,
}

impl<'a> Notification<'a> {
    /// An event.
    pub(crate) fn of(event: &'a StoredEvent, origin: &'a Origin) -> Self {
        Self::of_all(slice::from_ref(event), origin)
    }

    /// An event, or several as a group.
    pub(crate) fn of_all(events: &'a [StoredEvent], origin: &'a Origin) -> Self {
        Self { events, origin }
    }

    /// The event, where it is one.
    pub(crate) fn single(&self) -> Option<&'a StoredEvent> {
        match self.events {
            [event] => Some(event),
            _ => None,
        }
    }

    /// Its id: that of its event; of a group those of its first and last.
    pub(crate) fn id(&self) -> String {
        match self.events {
            [] => String::new(),
            [event] => event.id(),
            [first, .., last] => format!("{}..{}", first.id(), last.id()),
        }
    }

    /// How grave the gravest of its events is.
    pub(crate) fn severity(&self) -> Severity {
        let severities = self.events.iter().map(|it| event_severity(&it.event));
        severities.max().unwrap_or(Severity::Info)
    }

    /// What happened, in a few harmless words.
    pub(crate) fn title(&self) -> String {
        if let Some(stored) = self.single() {
            return event_title(&stored.event);
        }
        let latest = self.latest();
        let names = latest.keys().filter(|name| !name.is_empty()).count();
        let bad = latest
            .values()
            .filter(|stored| event_severity(&stored.event) >= Severity::Warning);
        let (count, bad) = (self.events.len(), bad.count());
        format!(
            "{count} events about {}, {bad} of them not well",
            agents(names)
        )
    }

    /// What is to be known, in harmless lines: of a group the latest of each agent.
    pub(crate) fn lines(&self) -> Vec<String> {
        let latest = self.latest();
        let rows = latest.values().take(MAX_ROWS);
        let rows = rows.map(|stored| event_line(&stored.event));
        let more = latest.len().saturating_sub(MAX_ROWS);
        let more = (more > 0).then(|| format!("and {more} more"));
        rows.chain(more).collect()
    }

    /// Where more is shown of it: on the sidecar's own page, else in the platform's dashboard.
    pub(crate) fn link(&self) -> Option<String> {
        let Some(stored) = self.single() else {
            return Some(self.origin.public_url.as_ref()?.overview());
        };
        let links = self.origin.links(stored).into_iter();
        links.map(|(_, link)| link).next()
    }

    /// The `CloudEvent`.
    pub(crate) fn cloud_event(&self) -> Value {
        if let Some(stored) = self.single() {
            return stored.cloud_event(self.origin);
        }
        let events = self
            .events
            .iter()
            .map(|stored| stored.cloud_event(self.origin));
        json!({
            "specversion": "1.0",
            "id": self.id(),
            "source": self.origin.source,
            "type": "dev.pipecat-rollout.group",
            "subject": "group",
            "time": self.events.last().map(|stored| stored.event.time),
            "datacontenttype": "application/json",
            "dedupkey": self.id(),
            "data": { "events": events.collect::<Vec<_>>() },
        })
    }

    /// What templates can use: the `CloudEvent`, and what follows from it in words.
    pub(crate) fn values(&self) -> Value {
        let mut values = self.cloud_event();
        let single = self.single();
        values["event"] = single
            .map_or("group", |stored| stored.event.kind.as_str())
            .into();
        values["severity"] = self.severity().as_str().into();
        values["incident"] = single
            .and_then(|stored| stored.event.incident())
            .map_or(Value::Null, |change| change.as_str().into());
        values["title"] = self.title().into();
        values["text"] = self.lines().join("\n").into();
        values["link"] = self.link().into();
        values
    }

    /// The latest event about each agent, by its name.
    fn latest(&self) -> BTreeMap<&'a str, &'a StoredEvent> {
        let events = self.events.iter();
        events
            .map(|stored| (stored.event.data.agent.as_str(), stored))
            .collect()
    }
}

/// What templates can use, nothing of which is missing.
pub(crate) fn example_values() -> Value {
    let (event, origin) = whole_event();
    Notification::of(&event, &origin).values()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::{EventKind, test_events};

    #[test]
    fn a_group_has_a_title_a_table_and_its_events() {
        let [mut failed, ready] = test_events(jiff::Timestamp::UNIX_EPOCH);
        failed.event.data.agent = "a\u{1b}[31m".to_owned();
        let mut started = failed.clone();
        started.event.kind = EventKind::RolloutStarted;
        started.number = 0;
        let events = [started, failed, ready];
        let origin = Origin {
            public_url: "https://x.example/".parse().ok(),
            ..Origin::default()
        };
        let group = Notification::of_all(&events, &origin);
        assert_eq!(group.title(), "3 events about 2 agents, 1 of them not well");
        assert_eq!(
            group.lines(),
            [
                "a: rollout failed after 40.0s: this is a test of the sink, and nothing has happened",
                "pipecat-rollout-test: rollout ready after 40.0s",
            ]
        );
        let values = group.values();
        assert_eq!(values["id"], "test-0-0..test-0-2");
        assert_eq!(values["severity"], "error");
        assert_eq!(values["incident"], Value::Null);
        assert_eq!(values["link"], "https://x.example/");
        let inner = values["data"]["events"].as_array().unwrap();
        assert_eq!(inner.len(), 3);
        assert_eq!(
            inner[1]["data"]["pageUrl"],
            "https://x.example/#rollout/a%1B%5B31m/00000000-0000-0000-0000-000000000002"
        );
    }

    #[test]
    fn a_single_event_is_itself() {
        let events = test_events(jiff::Timestamp::UNIX_EPOCH);
        let (_, origin) = whole_event();
        for (event, incident, severity) in [
            (&events[0], "opens", "error"),
            (&events[1], "closes", "success"),
        ] {
            let single = Notification::of(event, &origin);
            assert_eq!(single.cloud_event(), event.cloud_event(&origin));
            let values = single.values();
            assert_eq!(values["incident"], incident);
            assert_eq!(values["severity"], severity);
            assert_eq!(values["event"], "rollout.finished");
            let page = "https://rollouts.example.com/#rollout/pipecat-rollout-test/\
                        00000000-0000-0000-0000-000000000002";
            assert_eq!(values["link"], page);
            let dashboard = "https://dashboard.example.com/pipecat-rollout-test";
            assert_eq!(values["data"]["dashboardUrl"], dashboard);
        }
        let nothing = example_values();
        let missing = nothing
            .as_object()
            .unwrap()
            .iter()
            .find(|(_, value)| value.is_null());
        assert_eq!(missing, None);
    }
}
