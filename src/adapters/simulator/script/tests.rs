//! Scenarios by themselves: how they are read, what they answer when, and what a watcher makes of
//! them.

mod contract;
mod faults;
mod parsing;
mod playing;
mod verdicts;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::*;

/// When the simulator of these tests was started.
const OPENED: &str = "2026-11-23T12:00:00Z";

fn opened() -> Timestamp {
    OPENED.parse().unwrap()
}

/// `since` after the simulator's start.
fn now(since: Duration) -> Now {
    Now {
        since,
        wall: opened() + since,
    }
}

fn seconds(seconds: f64) -> Now {
    now(Duration::from_secs_f64(seconds))
}

fn play_of(scenario: Scenario, start: Start) -> Play {
    let scenario = Arc::new(scenario);
    Play::new("voice".to_owned(), scenario, start, Speed::REAL, opened())
}

fn play(text: &str) -> Play {
    play_of(Scenario::parse(text).unwrap(), Start::AtFirstRead)
}

fn built_in(name: &str) -> Scenario {
    Scenario::built_in(name).unwrap()
}

/// The details in a reply that is a whole 200.
fn details(reply: Reply) -> Value {
    match reply {
        Reply::Whole(answer) if answer.status == 200 => json_of(&answer),
        other => panic!("no details: {other:?}"),
    }
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(answer.body.as_deref().unwrap()).unwrap()
}

fn id(deploys: u64, alias: &str) -> String {
    Scenario::deployment_id("voice", deploys, alias)
}

#[test]
fn ids_look_like_version_4_and_follow_from_agent_deploy_and_alias() {
    let id = Scenario::deployment_id("voice-starter", 1, "new");
    assert_eq!(id, "c49aabca-4dd7-4764-9078-19cefe402552");
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(id.split('-').nth(2).unwrap().starts_with('4'));
    assert!(
        id.split('-')
            .nth(3)
            .unwrap()
            .starts_with(['8', '9', 'a', 'b'])
    );
    let of = Scenario::deployment_id;
    assert_eq!(of("a", 2, "old"), of("a", 1, "new"));
    let different = [
        of("a", 1, "old"),
        of("a", 1, "new"),
        of("a", 2, "new"),
        of("a", 1, "newer"),
        of("b", 1, "new"),
        of("a1", 1, "new"),
    ];
    let set: std::collections::BTreeSet<_> = different.iter().collect();
    assert_eq!(set.len(), different.len());
}

#[test]
fn a_misspelt_name_finds_its_scenario() {
    for (name, nearest) in [
        ("rolling-updates", Some("rolling-update")),
        ("Crash-Loop", Some("crash-loop")),
        ("crashloop", Some("crash-loop")),
        ("suprseded", Some("superseded")),
        ("teapot", None),
        ("", None),
    ] {
        assert_eq!(Scenario::nearest(name), nearest, "{name:?}");
    }
    assert!(Scenario::built_in("teapot").is_none());
}

#[test]
fn a_speed_that_makes_no_sense_cannot_be_constructed() {
    for factor in ["0.001", "1", "2.5", "1000000"] {
        assert_eq!(factor.parse::<Speed>().unwrap().to_string(), factor);
    }
    for (factor, said) in [
        ("0", "a speed is a number from 0.001 to 1000000, not 0"),
        ("-1", "a speed is a number from 0.001 to 1000000, not -1"),
        ("NaN", "a speed is a number from 0.001 to 1000000, not NaN"),
        ("inf", "a speed is a number from 0.001 to 1000000, not inf"),
        (
            "fast",
            "a speed is a number from 0.001 to 1000000, not \"fast\"",
        ),
    ] {
        assert_eq!(factor.parse::<Speed>().unwrap_err().to_string(), said);
    }
}
