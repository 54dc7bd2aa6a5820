//! Notices from any JSON: each is a whole `CloudEvent`, reads back as itself, and has a harmless line.

use jiff::Timestamp;
use pipecat_rollout::fuzzing::fleet::{Notice, NoticeKind};
use pipecat_rollout::fuzzing::messages::event_line;
use serde_json::Value;

use crate::oracle::assert_harmless;

const SOURCE: &str = "https://api.pipecat.daily.co/v1";

pub(super) fn run(data: &[u8]) {
    let Ok(notice) = serde_json::from_slice::<Notice>(data) else {
        return;
    };
    let json = serde_json::to_string(&notice).expect("a notice has a JSON form");
    let again: Notice = serde_json::from_str(&json).expect("it reads back");
    // Which signal ended a watch is not told.
    assert_eq!(serde_json::to_string(&again).ok(), Some(json));
    assert_harmless(&event_line(notice.kind, &notice.data));
    cloud_event(&notice);
}

fn cloud_event(notice: &Notice) {
    let event = notice.cloud_event(SOURCE).to_string();
    let event: Value = serde_json::from_str(&event).expect("an event is JSON");
    let event = event.as_object().expect("an event is an object");
    let attribute = |name: &str| event[name].as_str().expect("an attribute is text");
    assert_eq!(attribute("specversion"), "1.0");
    assert_eq!(attribute("id"), notice.id);
    assert_eq!(attribute("source"), SOURCE);
    let kind = attribute("type").strip_prefix("dev.pipecat-rollout.");
    assert!(
        NoticeKind::ALL
            .iter()
            .any(|known| kind == Some(known.as_str()))
    );
    assert_eq!(attribute("subject"), notice.data.agent);
    let time: Timestamp = attribute("time").parse().expect("a time is RFC 3339");
    assert_eq!(time, notice.time);
    assert_eq!(event["data"]["agent"], notice.data.agent);
    // Names of attributes are lower-case letters and digits.
    let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase());
    assert!(event.keys().all(plain));
}
