//! Secrets are struck out of every text and every JSON, as they are and in disguise; what holds none
//! stays as it is.

use std::fmt::Write as _;

use pipecat_rollout::fuzzing::text::redact::Redaction;
use serde_json::Value;

use crate::input::text;

const SECRET: &str = "sk_Q7/x=Z%9+w";
const INSTEAD: &str = "[the key]";

pub(super) fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let foreign = text(rest);
    let redaction = Redaction::new([SECRET.to_owned()], INSTEAD);
    let halves = foreign.split_at(foreign.floor_char_boundary(foreign.len() / 2));
    let hidden = disguised(*choice);
    // Nothing before it may swallow its beginning, nor stand for a part of it.
    let plain = |text: &str| {
        text.chars()
            .all(|char| !char.is_control() && !"%\\".contains(char))
    };
    if plain(&foreign) {
        let struck = redaction
            .text(&format!("{}{hidden}{}", halves.0, halves.1))
            .into_owned();
        assert_eq!(struck, format!("{}{INSTEAD}{}", halves.0, halves.1));
    }
    let told = format!("{}{SECRET}{}", halves.0, halves.1);
    assert!(!redaction.text(&told).contains(SECRET));
    json(&redaction, &foreign, &told);
}

/// What is JSON stays JSON, and means the same but for the secret.
fn json(redaction: &Redaction, foreign: &str, told: &str) {
    let value = serde_json::json!({ "key": told, told: [told, 1, null] });
    let struck = redaction.json(value.to_string().into_bytes());
    let read: Value = serde_json::from_str(&struck).expect("JSON stays JSON");
    assert!(!read.to_string().contains(SECRET) && !struck.contains(SECRET));
    let escaped: String = value
        .to_string()
        .chars()
        .fold(String::new(), |mut all, char| {
            match char {
                '/' => all.push_str("\\/"),
                '=' => all.push_str("\\u003d"),
                char => all.push(char),
            }
            all
        });
    if let Ok(meant) = serde_json::from_str::<Value>(&escaped) {
        assert_eq!(meant, value);
        let struck = redaction.json(escaped.into_bytes());
        let read: Value = serde_json::from_str(&struck).expect("JSON stays JSON");
        assert!(!read.to_string().contains(SECRET));
    }
    if serde_json::from_str::<Value>(foreign).is_ok() {
        let struck = redaction.json(foreign.as_bytes().to_vec());
        serde_json::from_str::<Value>(&struck).expect("JSON stays JSON");
    }
    // Without a `Z` there is no secret in it, however it is written.
    let without: String = foreign
        .chars()
        .filter(|char| !"Z5\\".contains(*char))
        .collect();
    let value = serde_json::json!({ "key": without, without.as_str(): [without, 1, null] });
    assert_eq!(
        redaction.json(value.to_string().into_bytes()),
        value.to_string()
    );
    assert_eq!(redaction.text(&without), without);
    let _ = redaction.json(foreign.as_bytes().to_vec());
}

/// The secret as something else that means it or looks like it, by the bits of `choice`.
fn disguised(choice: u8) -> String {
    let mut written = String::new();
    for (place, char) in SECRET.chars().enumerate() {
        match (choice >> (place % 6)) & 3 {
            1 => write!(written, "%{:02x}", u32::from(char)),
            2 => write!(written, "\\u{:04X}", u32::from(char)),
            3 => write!(written, "{char}\u{200b}\u{1b}[1m"),
            _ => write!(written, "{char}"),
        }
        .expect("a String takes it");
    }
    // What follows the last character is not the secret's.
    written.trim_end_matches("\u{200b}\u{1b}[1m").to_owned()
}
