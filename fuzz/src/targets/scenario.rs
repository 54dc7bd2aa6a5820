//! Scenario files: what parses can be played at any time, at any speed, and answers JSON.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pipecat_rollout::fuzzing::simulator::{
    Answer, LogQuery, Now, Play, Reply, Scenario, Speed, Start,
};
use pipecat_rollout::fuzzing::wire::{AgentDetails, parse_list};
use serde_json::Value;

use crate::input::text;

/// When the simulator was started, and how long after that it is asked, in milliseconds.
const OPENED: i64 = 1_800_000_000;
const TIMES: [u64; 14] = [
    0,
    1,
    500,
    999,
    1000,
    2000,
    4500,
    10_000,
    30_000,
    60_000,
    599_999,
    3_600_000,
    86_400_000,
    40_000_000_000,
];

pub(super) fn run(data: &[u8]) {
    match Scenario::parse(&text(data)) {
        Ok(scenario) => {
            assert!(!scenario.summary().is_empty() && !scenario.summary().contains('\n'));
            let scenario = Arc::new(scenario);
            for (start, speed) in [
                (Start::AtFirstRead, "1"),
                (Start::AtDeploy, "0.001"),
                (Start::AtDeploy, "1000000"),
            ] {
                play(&scenario, start, speed.parse().expect("a speed"));
            }
        }
        Err(error) => {
            assert!(
                !error.what.is_empty() && !error.what.contains('\n'),
                "{error:?}"
            );
            assert!(error.line.is_none_or(|line| line > 0));
        }
    }
}

fn play(scenario: &Arc<Scenario>, start: Start, speed: Speed) {
    let opened = Timestamp::from_second(OPENED).expect("a time");
    let mut play = Play::new("voice".to_owned(), scenario.clone(), start, speed, opened);
    let query = LogQuery::parse("limit=3&order=asc").expect("a query");
    for (i, millis) in TIMES.into_iter().enumerate() {
        let since = Duration::from_millis(millis);
        let wall = opened.checked_add(since).expect("a time");
        let now = Now { since, wall };
        match play.read(now) {
            Reply::Whole(answer) => check(&answer, false),
            Reply::Reset(_, answer) | Reply::CutBody(answer) | Reply::SlowBody(answer) => {
                check(&answer, true);
            }
            Reply::HugeBody | Reply::Hang => {}
        }
        check(&play.logs(now, &query), true);
        if let Some(entry) = play.entry(now) {
            let list = serde_json::json!({ "services": [entry] }).to_string();
            let services = parse_list(list.as_bytes()).expect("it is a list");
            assert_eq!(services[0].name.as_deref(), Some("voice"));
        }
        if i % 4 == 2 {
            check(&play.deploy(now), true);
        }
    }
}

/// What is no fault of the script's making is JSON.
fn check(answer: &Answer, well: bool) {
    assert!((200..600).contains(&answer.status));
    let body = answer.body.as_deref().unwrap_or_default();
    let json = serde_json::from_str::<Value>(body);
    assert!(!well || json.is_ok(), "{body}");
    // Whatever it says, it is read without a panic.
    let _ = AgentDetails::parse(body.as_bytes(), "voice");
}
