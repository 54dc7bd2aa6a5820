//! Examples of events: one in which nothing is missing, and those with which a sink is tried.

use jiff::Timestamp;

use super::event::{EventData, EventKind, FleetEvent, Origin, StoredEvent};
use crate::core::rollout::{Phase, PhaseEntry, Reason, RevisionReport, Verdict, Warning};
use crate::core::text::template::Template;

/// The agent of the examples.
const AGENT: &str = "pipecat-rollout-test";

/// An event in which nothing is missing, and where it comes from: what a template can use is in it.
pub(crate) fn whole_event() -> (StoredEvent, Origin) {
    let at = Timestamp::UNIX_EPOCH;
    let data = EventData {
        sink: Some("ops".to_owned()),
        phase: Some(Phase::Active),
        warnings: vec![Warning {
            code: "Degraded".to_owned(),
            summary: "it is degraded".to_owned(),
        }],
        rolled_back: true,
        revision_unchanged: true,
        observed_late: true,
        ..failure(at)
    };
    let origin = Origin {
        source: "https://api.pipecat.daily.co/v1".to_owned(),
        public_url: "https://rollouts.example.com".parse().ok(),
        dashboard_url: Template::parse("https://dashboard.example.com/{{agent}}").ok(),
    };
    (finished(0, at, data), origin)
}

/// What a sink is sent to try it: a rollout that failed, and one that ends what that opened.
pub(crate) fn test_events(now: Timestamp) -> [StoredEvent; 2] {
    let ready = EventData {
        verdict: Some(Verdict::Ready),
        reason: None,
        revision: None,
        ..failure(now)
    };
    [finished(1, now, failure(now)), finished(2, now, ready)]
}

fn finished(number: u64, time: Timestamp, data: EventData) -> StoredEvent {
    StoredEvent {
        number,
        store_id: format!("test-{}", time.as_second()),
        event: FleetEvent {
            kind: EventKind::RolloutFinished,
            time,
            dedup_key: format!("{AGENT}/test"),
            data,
        },
    }
}

fn failure(now: Timestamp) -> EventData {
    EventData {
        agent: AGENT.to_owned(),
        region: Some("us-west".to_owned()),
        deployment_id: Some("00000000-0000-0000-0000-000000000002".to_owned()),
        deployment_created_at: Some(now),
        image: Some("registry.example.com/test:1.2.3".to_owned()),
        commit: Some("0000000000000000000000000000000000000000".to_owned()),
        previous_deployment_id: Some("00000000-0000-0000-0000-000000000001".to_owned()),
        verdict: Some(Verdict::Failed),
        reason: Some(Reason {
            code: "Test".to_owned(),
            summary: "this is a test of the sink, and nothing has happened".to_owned(),
            message: Some("Traceback (most recent call last):\n  a test".to_owned()),
        }),
        available: Some(true),
        revision: Some(RevisionReport {
            phase: Some("Failed".to_owned()),
            phase_started_at: None,
            ready_replicas: Some(0),
            restart_count: Some(3),
            replicas_started: Some(1),
            last_exit_code: Some(1),
            last_termination_reason: Some("Error".to_owned()),
        }),
        phases: vec![PhaseEntry {
            phase: Phase::Creating,
            at_ms: 1000,
        }],
        started_at: Some(now),
        elapsed_ms: Some(40_000),
        ..EventData::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The names of what a schema describes, one a line, as templates would write them.
    fn described(schema: &Value, start: &str, names: &mut Vec<String>) {
        for key in schema["properties"].as_object().unwrap().keys() {
            names.push(format!("{start}{key}"));
        }
    }

    #[test]
    fn nothing_that_the_schema_describes_is_missing_in_the_whole_event() {
        let schema = include_str!("../../../config/schema/event.schema.json");
        let schema: Value = serde_json::from_str(schema).unwrap();
        let mut names = Vec::new();
        described(&schema, "", &mut names);
        described(&schema["$defs"]["Data"], "data.", &mut names);
        let (event, origin) = whole_event();
        let event = event.cloud_event(&origin);
        // Only a group has them.
        names.retain(|name| name != "data.events");
        assert!(names.len() > 25, "{names:?}");
        for name in names {
            let pointer = format!("/{}", name.replace('.', "/"));
            assert!(event.pointer(&pointer).is_some(), "{name}");
        }
    }
}
