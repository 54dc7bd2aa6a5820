//! Scenario files: what parses can be played at any time, at any speed, and answers JSON.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pipecat_rollout::fuzzing::simulator::{
    Now, Query, Reply, Scenario, SimulatedAgent, Speed, Start,
};
use pipecat_rollout::fuzzing::wire::{AgentDetails, parse_list};
use serde_json::{Value, json};

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
            assert!(!scenario.summary.is_empty() && !scenario.summary.contains('\n'));
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
    let mut agent = SimulatedAgent::new("voice", scenario.clone(), start, speed, opened);
    let query = Query::parse("limit=3&order=asc");
    for (i, millis) in TIMES.into_iter().enumerate() {
        let since = Duration::from_millis(millis);
        let wall = opened.checked_add(since).expect("a time");
        let now = Now { since, wall };
        match agent.read(now) {
            Reply::Details(details) => {
                // Whatever it says, it is read without a panic.
                let _ = AgentDetails::parse(details.to_string().as_bytes(), "voice");
            }
            Reply::Answer(answer) => {
                assert!((200..600).contains(&answer.status.as_u16()));
                let _ = AgentDetails::parse(answer.body.as_bytes(), "voice");
            }
            Reply::Reset | Reply::Hang => {}
        }
        if let Some(entry) = agent.entry(now) {
            let named = entry["name"] == "voice";
            let list = json!({ "services": [entry] }).to_string();
            let services = parse_list(list.as_bytes()).expect("it is a list");
            assert!(!named || services[0].name == "voice");
        }
        let answers = [
            agent.logs(now, &query),
            agent.start_session(now),
            agent.sessions(now, &query),
        ];
        for refusal in answers.into_iter().filter_map(Result::err) {
            let body: Value = serde_json::from_str(&refusal.body).expect("it is JSON");
            assert!(body["error"].is_string() && refusal.status.is_client_error());
        }
        if i % 4 == 2 {
            let _ = agent.deploy(now, &json!({ "image": format!("voice:{}", i / 8) }));
        }
    }
}
