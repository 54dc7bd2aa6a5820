//! A watcher of any pace ends each built-in scenario with the verdict that it declares.

use super::*;
use crate::core::rollout::Verdict;
use crate::core::rollout::{
    Baseline, Failure, FailureClass, Limits, Machine, Next, Observation, Outcome, Policy,
    TargetRule,
};
use crate::core::wire::AgentDetails;

/// Watches a scenario from its beginning, polling every `step`.
fn watch(name: &str, step: Duration, change: impl FnOnce(&mut Limits)) -> Outcome {
    let scenario = built_in(name);
    let target = match scenario.baseline() {
        Some(alias) => newer_than(id(1, alias)),
        None => TargetRule::FirstSeen,
    };
    let mut agent = agent_of(scenario, Start::AtFirstRead);
    follow(&mut agent, target, Duration::ZERO, step, change)
}

fn newer_than(id: String) -> TargetRule {
    TargetRule::NewerThan(Baseline {
        noted_at: None,
        deployment_id: Some(id),
        created_at: None,
    })
}

fn follow(
    agent: &mut SimulatedAgent,
    target: TargetRule,
    from: Duration,
    step: Duration,
    change: impl FnOnce(&mut Limits),
) -> Outcome {
    let mut limits = Limits::default();
    change(&mut limits);
    let mut machine = Machine::new(Policy::new(target, limits).unwrap());
    let mut at = Duration::ZERO;
    while at <= Duration::from_mins(30) {
        let observation = observation(agent.read(seconds((from + at).as_secs_f64())));
        if let Next::Done(outcome) = machine.observe(at, observation).next {
            return *outcome;
        }
        at += step;
    }
    panic!("no verdict within half an hour");
}

/// What a client makes of a reply.
fn observation(reply: Reply) -> Observation {
    let class = match reply {
        Reply::Details(details) => {
            return Observation::Details {
                details: Box::new(
                    AgentDetails::parse(details.to_string().as_bytes(), "voice").unwrap(),
                ),
                server_time: None,
            };
        }
        Reply::Answer(answer) if answer.status == 404 => return Observation::Absent(None),
        Reply::Answer(answer) if answer.status == 401 => FailureClass::Unauthorized,
        Reply::Answer(_) | Reply::Reset | Reply::Hang => {
            FailureClass::Transient { retry_after: None }
        }
    };
    Observation::Failed(Failure {
        class,
        code: "Fault".to_owned(),
        summary: "a fault of the scenario's".to_owned(),
        request_id: None,
    })
}

const STEPS: [Duration; 4] = [
    Duration::from_millis(300),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

#[test]
fn every_built_in_ends_with_the_verdict_that_it_declares() {
    for name in Scenario::built_in_names() {
        for step in STEPS {
            let outcome = watch(name, step, |_| ());
            assert_eq!(outcome.verdict, built_in(name).verdict, "{name} {step:?}");
        }
    }
}

/// A watcher that knows what it waits for may come some seconds late, as after a deploy command.
#[test]
fn a_watcher_that_comes_late_ends_with_the_same_verdict() {
    for name in Scenario::built_in_names() {
        // One that is never ready for long cannot be confirmed at the calmest pace.
        let steps = if name == "flapping" {
            &STEPS[1..STEPS.len() - 1]
        } else {
            &STEPS[1..]
        };
        for step in steps {
            for late in [200, 1900, 3300].map(Duration::from_millis) {
                let mut agent = agent_of(built_in(name), Start::AtDeploy);
                let _ = agent.deploy(seconds(0.0), &Value::Null);
                let target = newer_than(id(1, "old"));
                let outcome = follow(&mut agent, target, late, *step, |_| ());
                let expected = built_in(name).verdict;
                assert_eq!(outcome.verdict, expected, "{name} {step:?} {late:?}");
            }
        }
    }
}

#[test]
fn flapping_fails_a_watcher_that_asks_ready_to_hold() {
    for step in STEPS {
        let outcome = watch("flapping", step, |limits| {
            limits.stable_for = Duration::from_secs(10);
        });
        assert_eq!(outcome.verdict, Verdict::Failed, "{step:?}");
    }
}

#[test]
fn stuck_is_stalled_for_a_watcher_that_minds() {
    let outcome = watch("stuck", STEPS[1], |limits| {
        limits.stall_timeout = Some(Duration::from_secs(20));
    });
    assert_eq!(outcome.verdict, Verdict::Stalled);
}
