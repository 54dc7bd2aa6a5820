//! Any bytes as the body of an answer, with the machine behind the parser: no panic, and ready only
//! where a reader of the JSON says so as well.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pipecat_rollout::rollout::{
    AgentReport, Limits, Machine, Next, Observation, Policy, Report, TargetRule, Verdict,
};
use pipecat_rollout::wire::AgentDetails;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    // Several bodies, one after the other, as several polls.
    let bodies: Vec<&[u8]> = bytes.split(|byte| *byte == 0).take(8).collect();
    let policy = Policy::new(TargetRule::FirstSeen, Limits::default()).unwrap();
    let mut machine = Machine::new(policy);
    for (place, body) in bodies.iter().enumerate() {
        let at = Duration::from_secs(place as u64 * 7);
        let observation = match AgentDetails::parse(body, "my-agent") {
            Ok(details) => Observation::Details {
                details: Box::new(details),
                server_time: None,
            },
            Err(error) => {
                let _ = error.to_string();
                Observation::Absent(None)
            }
        };
        let step = machine.observe(at, observation);
        let Next::Done(outcome) = step.next else {
            continue;
        };
        if outcome.verdict == Verdict::Ready {
            // What was mended to be read at all is judged by the machine alone.
            if let Ok(value) = serde_json::from_slice::<Value>(body) {
                assert_eq!(value["ready"], true);
                let desired = value.get("desiredDeploymentId").filter(|id| !id.is_null());
                let desired = desired.or(value.get("activeDeploymentId"));
                assert_eq!(desired, value.get("reconciledDeploymentId"));
            }
        }
        let report = AgentReport::new("my-agent".to_owned(), jiff::Timestamp::UNIX_EPOCH, *outcome);
        let report = serde_json::to_string(&Report::new(vec![report])).unwrap();
        serde_json::from_str::<Value>(&report).unwrap();
        return;
    }
});
