//! Events from any JSON: each is a whole `CloudEvent`, reads back as itself, and has a harmless line.

use jiff::Timestamp;
use pipecat_rollout::fuzzing::fleet::{EventKind, FleetEvent, Origin, StoredEvent};
use pipecat_rollout::fuzzing::messages::event_line;
use serde_json::Value;

use crate::oracle::assert_harmless;

const SOURCE: &str = "https://api.pipecat.daily.co/v1";

pub(super) fn run(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<FleetEvent>(data) else {
        return;
    };
    let json = serde_json::to_string(&event).expect("an event has a JSON form");
    let again: FleetEvent = serde_json::from_str(&json).expect("it reads back");
    // Which signal ended a watch is not kept.
    assert_eq!(serde_json::to_string(&again).ok(), Some(json));
    assert_harmless(&event_line(&event));
    cloud_event(&StoredEvent {
        number: 7,
        store_id: "0123abcd".to_owned(),
        event,
    });
}

fn cloud_event(stored: &StoredEvent) {
    let origin = Origin {
        source: SOURCE.to_owned(),
        ..Origin::default()
    };
    let event = stored.cloud_event(&origin).to_string();
    let event: Value = serde_json::from_str(&event).expect("an event is JSON");
    let event = event.as_object().expect("an event is an object");
    let attribute = |name: &str| event[name].as_str().expect("an attribute is text");
    assert_eq!(attribute("specversion"), "1.0");
    assert_eq!(attribute("id"), "0123abcd-7");
    assert_eq!(attribute("source"), SOURCE);
    assert_eq!(attribute("dedupkey"), stored.event.dedup_key);
    let kind = attribute("type").strip_prefix("dev.pipecat-rollout.");
    let mut kinds = EventKind::ALL.iter();
    assert!(kinds.any(|known| kind == Some(known.as_str())));
    let subject = match stored.event.data.agent.as_str() {
        "" => &stored.event.dedup_key,
        agent => agent,
    };
    assert_eq!(attribute("subject"), subject);
    let time: Timestamp = attribute("time").parse().expect("a time is RFC 3339");
    assert_eq!(time, stored.event.time);
    // Names of attributes are lower-case letters and digits.
    let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase());
    assert!(event.keys().all(plain));
}
