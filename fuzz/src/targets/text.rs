//! The cleaners: what they remove is never left, what can be read always is, and JSON keeps its
//! meaning.

use std::time::Duration;

use pipecat_rollout::fuzzing::text::{
    SHOWN, harmless_json, line_start, lines, one_line, short_duration,
};
use serde_json::Value;

use crate::input::text;
use crate::oracle::{assert_harmless, assert_no_command, has_command, is_obeyed};

/// Room for the note that says how much of a long text was left out.
const NOTE: usize = 64;

pub(super) fn run(data: &[u8]) {
    let foreign = text(data);
    shown(&foreign);
    long(&foreign);
    kept(&foreign);
    json(&foreign);
    if let Some(bytes) = data.first_chunk() {
        let millis = u64::from_le_bytes(*bytes);
        for most in [60_000, 10_000_000, 1_000_000_000, u64::MAX] {
            duration(Duration::from_millis(millis % most));
        }
    }
}

fn shown(foreign: &str) {
    let line = one_line(foreign);
    assert_harmless(&line);
    assert!(line.len() <= SHOWN + NOTE);
    let start = line_start(foreign);
    assert_harmless(&start);
    assert_no_command(&start);
    let several = lines(foreign);
    let length: usize = several.iter().map(|line| line.len() + 1).sum();
    assert!(length <= SHOWN + NOTE + 1);
    for line in &several {
        assert_harmless(line);
        assert_eq!(line.trim_end(), line);
    }
    if length < SHOWN && line.len() <= SHOWN {
        assert_eq!(one_line(&line), line, "cleaned twice is cleaned once");
        assert_eq!(lines(&several.join("\n")), several);
    }
}

/// The same over and over, until it is too long; not each time, for that is slow.
fn long(foreign: &str) {
    if foreign.len().is_multiple_of(8) && (8..256).contains(&foreign.len()) {
        shown(&foreign.repeat(SHOWN / foreign.len() + 2));
    }
}

/// Nothing that can be read is lost, and an escape that never ends hides no more than its line.
fn kept(foreign: &str) {
    let plain = |char: char| !is_obeyed(char) && char != '\t';
    let invisible = foreign.chars().all(plain);
    if invisible && !has_command(foreign) && foreign.len() <= SHOWN {
        assert_eq!(one_line(foreign), foreign.trim());
        assert_eq!(lines(foreign), [foreign.trim_end()]);
    }
    if foreign.len() < SHOWN {
        let last = lines(&format!("{foreign}\n\nlast"));
        assert_eq!(last.last().map(String::as_str), Some("last"));
        let first = one_line(&format!("first\n{foreign}"));
        assert!(first.starts_with("first"), "{first:?}");
    }
}

/// JSON with the text in it, and the text where it is JSON itself.
fn json(foreign: &str) {
    let value = serde_json::json!({ "key": foreign, foreign: [foreign, 1, null] });
    for written in [value.to_string(), format!("{value:#}")] {
        let harmless = harmless_json(&written);
        assert_harmless(&harmless.replace('\n', ""));
        assert_eq!(harmless.lines().count(), written.lines().count());
        assert_eq!(
            serde_json::from_str::<Value>(&harmless).ok().as_ref(),
            Some(&value)
        );
    }
    if let Ok(meant) = serde_json::from_str::<Value>(foreign) {
        let harmless = harmless_json(foreign);
        assert_harmless(&harmless.replace('\n', ""));
        assert_eq!(serde_json::from_str::<Value>(&harmless).ok(), Some(meant));
    }
}

/// A short duration says how long it is to the last of its units, rounded down.
fn duration(duration: Duration) {
    let short = short_duration(duration);
    let mut shown = 0;
    let mut unit = 0;
    for part in short.split(' ') {
        let (number, name) = part.split_at(part.len() - 1);
        (unit, shown) = match (name, number.split_once('.')) {
            ("s", Some((whole, tenths))) => {
                (100, shown + count(whole) * 1000 + count(tenths) * 100)
            }
            ("s", None) => (1000, shown + count(number) * 1000),
            ("m", None) => (60_000, shown + count(number) * 60_000),
            ("h", None) => (3_600_000, shown + count(number) * 3_600_000),
            ("d", None) => (86_400_000, shown + count(number) * 86_400_000),
            _ => panic!("{short:?} is no duration"),
        };
    }
    // Where the smaller unit is zero it is left out.
    let within = match unit {
        60_000 if !short.contains(' ') => 1000,
        3_600_000 if !short.contains(' ') => 60_000,
        86_400_000 => 3_600_000,
        unit => unit,
    };
    let millis = duration.as_millis();
    assert!(
        shown <= millis && millis < shown + within,
        "{duration:?} is {short}"
    );
}

fn count(number: &str) -> u128 {
    number.parse().expect("a number")
}
