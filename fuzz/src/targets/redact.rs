//! Secrets are redacted in every text and every JSON, as they are, percent-encoded and escaped; what holds
//! none stays as it is.

use std::fmt::Write as _;

use pipecat_rollout::fuzzing::text::redact::Redaction;
use serde_json::Value;

use crate::input::text;

const SECRET: &str = "sk_Q7/x=Z%9+w";
const PLACEHOLDER: &str = "[the key]";

pub(super) fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let foreign = text(rest);
    let redaction = Redaction::new([SECRET.to_owned()], PLACEHOLDER);
    let halves = foreign.split_at(foreign.floor_char_boundary(foreign.len() / 2));
    if !foreign.contains(['%', '\\']) {
        let hidden = encoded(*choice);
        let redacted = redaction
            .text(&format!("{}{hidden}{}", halves.0, halves.1))
            .into_owned();
        assert_eq!(redacted, format!("{}{PLACEHOLDER}{}", halves.0, halves.1));
    }
    let shown = format!("{}{SECRET}{}", halves.0, halves.1);
    assert!(!redaction.text(&shown).contains(SECRET));
    json(&redaction, &foreign, &shown);
}

/// What is JSON stays JSON, and means the same but for the secret.
fn json(redaction: &Redaction, foreign: &str, shown: &str) {
    let value = serde_json::json!({ "key": shown, shown: [shown, 1, null] });
    let escaped = value
        .to_string()
        .replace('/', "\\/")
        .replace('=', "\\u003d");
    for written in [value.to_string(), escaped] {
        let redacted = redaction.text(&written);
        let read: Value = serde_json::from_str(&redacted).expect("JSON stays JSON");
        assert!(!read.to_string().contains(SECRET));
    }
    if serde_json::from_str::<Value>(foreign).is_ok() {
        let redacted = redaction.text(foreign);
        serde_json::from_str::<Value>(&redacted).expect("JSON stays JSON");
    }
    // Without a `Z` there is no secret in it, however it is written.
    let without: String = foreign
        .chars()
        .filter(|char| !"Z5\\".contains(*char))
        .collect();
    assert_eq!(redaction.text(&without), without);
}

/// The secret, some of its characters encoded, by the bits of `choice`.
fn encoded(choice: u8) -> String {
    let mut written = String::new();
    for (place, char) in SECRET.chars().enumerate() {
        match (choice >> (place % 6)) & 3 {
            1 => write!(written, "%{:02x}", u32::from(char)),
            2 => write!(written, "\\u{:04X}", u32::from(char)),
            _ => write!(written, "{char}"),
        }
        .expect("a String takes it");
    }
    written
}
