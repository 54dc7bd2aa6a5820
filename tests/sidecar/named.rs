//! Agents that are named, one of which cannot be asked for: it holds up no other, and is not missed.

use crate::api::Api;
use crate::harness::{Place, Sidecar, wait_until};
use crate::http::get;

const BROKEN: &str = "500 Internal Server Error";
const TOLD: &str = "b cannot be asked for, and is passed over";

/// Waits until the sidecar knows these agents.
fn wait_for_agents(sidecar: &Sidecar, names: &[&str]) {
    wait_until("these agents are known", || {
        let (_, body) = get(sidecar.endpoints(), "/v1/agents")?;
        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
        let agents = told["agents"].as_array().unwrap().iter();
        let known: Vec<&str> = agents
            .map(|agent| agent["name"].as_str().unwrap())
            .collect();
        (known == names).then_some(())
    });
}

/// A rollout from its start to its end, in which the agents were asked for several times.
fn roll_out(api: &Api, sidecar: &Sidecar, agent: &str, deployment: &str) {
    api.deploy(agent, deployment);
    sidecar.wait_for_log(&format!("{agent}: rollout of {deployment} started"));
    api.ready(agent);
    sidecar.wait_for_log(&format!("\"deploymentId\":\"{deployment}\",\"elapsedMs\""));
}

fn rounds(api: &Api) -> usize {
    let requests = api.requests();
    requests.iter().filter(|path| path.ends_with("/b")).count()
}

#[test]
fn one_that_cannot_be_asked_for_from_the_start_holds_up_no_other() {
    let api = Api::with(&["a", "b", "c"]);
    api.outage_of("b", BROKEN);
    let sidecar = Place::of(&api).args("a b c").start_watching();
    wait_for_agents(&sidecar, &["a", "c"]);
    roll_out(&api, &sidecar, "a", "d2");
    wait_until("several rounds", || (rounds(&api) > 4).then_some(()));
    api.mend();
    // It was there before: nothing is told of it but what happens from now on.
    wait_for_agents(&sidecar, &["a", "b", "c"]);
    roll_out(&api, &sidecar, "b", "d3");
    let log = sidecar.stop().stderr;
    assert_eq!(log.matches(TOLD).count(), 1, "{log}");
    let of_b = log
        .lines()
        .filter(|line| line.contains("\"message\":\"b: "));
    assert!(of_b.clone().count() > 0, "{log}");
    for line in of_b {
        assert!(line.contains("d3"), "{line}");
    }
}

#[test]
fn one_that_is_remembered_and_cannot_be_asked_for_after_a_start_is_not_missed() {
    let api = Api::with(&["a", "b"]);
    let place = Place::of(&api).args("a b");
    let sidecar = place.start_watching();
    wait_for_agents(&sidecar, &["a", "b"]);
    sidecar.stop();
    for status in [BROKEN, "403 Forbidden"] {
        api.outage_of("b", status);
        let (sidecar, before) = (place.start_watching(), rounds(&api));
        wait_until("several rounds", || {
            (rounds(&api) > before + 6).then_some(())
        });
        roll_out(&api, &sidecar, "a", status.split(' ').next().unwrap());
        wait_for_agents(&sidecar, &["a", "b"]);
        let log = sidecar.stop().stderr;
        assert_eq!(log.matches(TOLD).count(), 1, "{log}");
        assert!(!log.contains("agent.removed"), "{log}");
    }
}

#[test]
fn where_nobody_answers_that_is_said_as_it_is() {
    let api = Api::with(&["a", "b"]);
    api.outage(BROKEN, "");
    let sidecar = Place::of(&api).args("a b").start();
    sidecar.wait_for_log("the list of agents cannot be read");
    api.mend();
    sidecar.wait_for_log("the list of agents can be read again");
    api.rekey("another-key");
    sidecar.stop();
    let place = Place::of(&api).args("a b --once");
    assert_eq!(place.run().code(), 3);
    api.outage(BROKEN, "");
    api.rekey(crate::harness::KEY);
    assert_eq!(place.run().code(), 5);
}

#[test]
fn a_single_pass_without_one_of_them_is_made_and_no_success() {
    let api = Api::with(&["a", "b"]);
    let place = Place::of(&api).args("a b --once");
    assert_eq!(place.run().code(), 0);
    api.deploy("a", "d2");
    api.ready("a");
    api.outage_of("b", BROKEN);
    let ended = place.run();
    assert_eq!(ended.code(), 5, "{ended:?}");
    assert!(ended.stderr.contains("a: rollout ready"), "{ended:?}");
    let told = "b cannot be asked for: ";
    assert!(ended.stderr.lines().last().unwrap().contains(told));
}
