//! Agents that are named: each is read by itself, and one that cannot be read blocks no other.

use crate::api::Api;
use crate::harness::{Place, Sidecar, get, get_json};
use crate::support::wait_until;

const BROKEN: &str = "500 Internal Server Error";
const UNREADABLE: &str = "b cannot be read: ";

/// Waits until the sidecar knows these agents.
fn wait_for_agents(sidecar: &Sidecar, names: &[&str]) {
    wait_until("these agents are known", || {
        let answer = get_json(sidecar.endpoints(), "/v1/agents")?;
        let agents = answer["agents"].as_array().unwrap().iter();
        let known: Vec<&str> = agents
            .map(|agent| agent["name"].as_str().unwrap())
            .collect();
        (known == names).then_some(())
    });
}

fn roll_out(api: &Api, sidecar: &Sidecar, agent: &str, deployment: &str) {
    api.deploy(agent, deployment);
    sidecar.wait_for_log(&format!("{agent}: rollout of {deployment} started"));
    api.ready(agent);
    sidecar.wait_for_log(&format!("{agent}: rollout ready"));
}

#[test]
fn an_agent_that_cannot_be_read_blocks_no_other() {
    let api = Api::with(&["a", "b", "c"]);
    api.outage_of("b", BROKEN);
    let sidecar = Place::of(&api).args("a b c").start_watching();
    wait_for_agents(&sidecar, &["a", "c"]);
    roll_out(&api, &sidecar, "a", "d2");
    sidecar.wait_for_log(UNREADABLE);
    api.recover();
    // It was there before: nothing is reported about it but what happens from now on.
    wait_for_agents(&sidecar, &["a", "b", "c"]);
    roll_out(&api, &sidecar, "b", "d3");
    let log = sidecar.stop().stderr;
    assert_eq!(log.matches(UNREADABLE).count(), 1, "{log}");
    assert!(!log.contains("agent.added"), "{log}");
}

#[test]
fn agents_are_read_side_by_side() {
    let api = Api::with(&["a", "b", "c"]);
    api.hang("a");
    api.hang("b");
    let sidecar = Place::of(&api).args("a b c").start_watching();
    wait_for_agents(&sidecar, &["c"]);
    roll_out(&api, &sidecar, "c", "d2");
    sidecar.stop();
}

#[test]
fn a_known_agent_that_cannot_be_read_is_not_removed() {
    let api = Api::with(&["a", "b"]);
    let place = Place::of(&api).args("a b");
    let sidecar = place.start_watching();
    wait_for_agents(&sidecar, &["a", "b"]);
    sidecar.stop();
    api.outage_of("b", "403 Forbidden");
    let sidecar = place.start_watching();
    sidecar.wait_for_log(UNREADABLE);
    wait_for_agents(&sidecar, &["a", "b"]);
    let log = sidecar.stop().stderr;
    assert!(!log.contains("agent.removed"), "{log}");
}

#[test]
fn an_agent_that_does_not_exist_is_reported() {
    let api = Api::with(&["a"]);
    let sidecar = Place::of(&api).args("a unknown").start();
    sidecar.wait_for_log("there is no agent unknown");
    let metrics = get(sidecar.endpoints(), "/metrics").unwrap().1;
    let line = "pipecat_rollout_agents_missing 1\n";
    assert!(metrics.contains(line), "{metrics}");
    sidecar.stop();
    let ended = Place::of(&api).args("a unknown --once").run();
    assert_eq!(ended.code(), 4, "{ended:?}");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("there is no agent unknown"), "{last}");
}

#[test]
fn a_single_pass_that_cannot_read_one_of_them_is_no_success() {
    let api = Api::with(&["a", "b"]);
    let place = Place::of(&api).args("a b --once");
    assert_eq!(place.run().code(), 0);
    api.deploy("a", "d2");
    api.ready("a");
    api.outage_of("b", BROKEN);
    let ended = place.run();
    assert_eq!(ended.code(), 5, "{ended:?}");
    assert!(ended.stderr.contains("a: rollout ready"), "{ended:?}");
    assert!(ended.stderr.lines().last().unwrap().contains(UNREADABLE));
    api.rekey("another-key");
    assert_eq!(place.run().code(), 3);
}
