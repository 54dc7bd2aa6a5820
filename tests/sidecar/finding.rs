//! What the sidecar finds by itself, and what it reports.

use crate::api::Api;
use crate::harness::Place;
use crate::receiver::Receiver;
use crate::support::{validate, wait_until};

#[test]
fn reports_a_rollout_from_its_start_to_its_verdict() {
    let (api, hook) = (Api::with(&["a", "b"]), Receiver::start());
    let sidecar = Place::of(&api)
        .webhook("hook", &hook.url())
        .start_watching();
    api.deploy("a", "d2");
    hook.wait_for_line("a d2 rollout.phase-changed validating");
    api.ready("a");
    let lines = hook.wait_for_line("a d2 rollout.finished ready");
    assert_eq!(
        lines,
        [
            "a d2 rollout.started",
            "a d2 rollout.phase-changed validating",
            "a d2 rollout.phase-changed active",
            "a d2 rollout.finished ready",
        ],
        "and nothing of b, which rests"
    );
    api.deploy("b", "d2");
    hook.wait_for_line("b d2 rollout.started");
    api.fail("b");
    hook.wait_for_line("b d2 rollout.finished failed");
    api.deploy("b", "d3");
    hook.wait_for_line("b d3 rollout.started");
    api.deploy("b", "d4");
    api.ready("b");
    let lines = hook.wait_for_line("b d4 rollout.finished ready");
    let of_b: Vec<&str> = lines
        .iter()
        .filter(|line| line.starts_with("b d3") || line.starts_with("b d4"))
        .map(String::as_str)
        .filter(|line| !line.contains("phase-changed"))
        .collect();
    assert_eq!(
        of_b,
        [
            "b d3 rollout.started",
            "b d3 rollout.finished superseded",
            "b d4 rollout.started",
            "b d4 rollout.finished ready",
        ]
    );
    api.remove("a");
    hook.wait_for_line("a d2 agent.removed");
    sidecar.stop();
    for one in hook.received() {
        validate("event.schema.json", &one.event);
    }
}

#[test]
fn reports_an_agent_that_becomes_unready_without_a_deploy_and_its_recovery() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let sidecar = Place::of(&api)
        .webhook("hook", &hook.url())
        .start_watching();
    api.set("a", &serde_json::json!({ "ready": false }));
    hook.wait_for_line("a d1 agent.unready");
    api.ready("a");
    let lines = hook.wait_for_line("a d1 agent.recovered");
    assert_eq!(lines, ["a d1 agent.unready", "a d1 agent.recovered"]);
    sidecar.stop();
}

#[test]
fn reports_agents_that_are_added_and_removed() {
    let (api, hook) = (Api::with(&["a", "b"]), Receiver::start());
    let sidecar = Place::of(&api)
        .webhook("hook", &hook.url())
        .start_watching();
    api.add("c");
    hook.wait_for_line("c d1 agent.added");
    api.remove("b");
    hook.wait_for_line("b d1 agent.removed");
    sidecar.stop();
}

#[test]
fn only_the_agents_in_scope_are_watched() {
    let (api, hook) = (
        Api::with(&["prod-a", "prod-canary", "dev-a"]),
        Receiver::start(),
    );
    let place = Place::of(&api)
        .config("include = [\"prod-*\"]\nexclude = [\"*-canary\"]\n")
        .webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    for agent in ["dev-a", "prod-canary", "prod-a"] {
        api.deploy(agent, "d2");
        api.ready(agent);
    }
    let lines = hook.wait_for_line("prod-a d2 rollout.finished ready");
    assert!(
        lines.iter().all(|line| line.starts_with("prod-a ")),
        "{lines:?}"
    );
    let log = sidecar.stop().stderr;
    assert!(log.contains("watching 1 agent"), "{log}");
    let asked = api.requests();
    assert!(
        asked.iter().all(|path| !path.contains("dev-a")),
        "{asked:?}"
    );
}

#[test]
fn a_named_agent_is_watched_without_the_list() {
    let (api, hook) = (Api::with(&["a", "b"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url()).args("a");
    let sidecar = place.start_watching();
    api.deploy("b", "d2");
    api.deploy("a", "d2");
    hook.wait_for_line("a d2 rollout.started");
    api.ready("a");
    let lines = hook.wait_for_line("a d2 rollout.finished ready");
    assert!(lines.iter().all(|line| line.starts_with("a ")), "{lines:?}");
    api.remove("a");
    hook.wait_for_line("a d2 agent.removed");
    sidecar.stop();
    let asked = api.requests();
    assert!(asked.iter().all(|path| path == "/v1/agents/a"), "{asked:?}");
}

#[test]
fn reports_rollouts_that_began_and_ended_while_it_was_down() {
    let (api, hook) = (Api::with(&["a", "b", "c"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    api.deploy("b", "d2");
    hook.wait_for_line("b d2 rollout.phase-changed validating");
    sidecar.kill();
    // One begins and ends, one ends, one goes and one comes.
    api.deploy("a", "d2");
    api.ready("a");
    api.fail("b");
    api.remove("c");
    api.add("d");
    let sidecar = place.start();
    for line in [
        "a d2 rollout.finished ready",
        "b d2 rollout.finished failed",
        "c d1 agent.removed",
        "d d1 agent.added",
    ] {
        hook.wait_for_line(line);
    }
    sidecar.stop();
    let received = hook.received();
    // Only whoever came later than it was stopped is new, and all durations are exact.
    for one in &received {
        assert_ne!(one.event["data"]["observedLate"], true, "{}", one.event);
    }
}

#[test]
fn an_unreadable_list_is_logged_once_and_removes_no_agent() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let sidecar = Place::of(&api)
        .webhook("hook", &hook.url())
        .start_watching();
    api.outage("503 Service Unavailable", "");
    sidecar.wait_for_log("the list of agents cannot be read");
    let before = api.requests().len();
    wait_until("several lists", || {
        (api.requests().len() > before + 5).then_some(())
    });
    api.recover();
    sidecar.wait_for_log("the list of agents can be read again");
    api.deploy("a", "d2");
    api.ready("a");
    let lines = hook.wait_for_line("a d2 rollout.finished ready");
    assert!(
        lines.iter().all(|line| line.starts_with("a d2 rollout.")),
        "{lines:?}"
    );
    let log = sidecar.stop().stderr;
    let said = log.matches("the list of agents cannot be read").count();
    // Once in the message and once in the field beside it would be twice a line.
    let lines = log.lines().filter(|line| line.contains("cannot be read"));
    assert_eq!(lines.count(), 1, "{said} times:\n{log}");
}

#[test]
fn a_new_agent_of_the_same_name_is_followed_from_its_start() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let sidecar = Place::of(&api)
        .webhook("hook", &hook.url())
        .start_watching();
    api.deploy("a", "d2");
    hook.wait_for_line("a d2 rollout.phase-changed validating");
    api.remove("a");
    api.add("a");
    api.deploy("a", "d3");
    hook.wait_for_line("a d3 rollout.started");
    api.ready("a");
    let lines = hook.wait_for_line("a d3 rollout.finished ready");
    sidecar.stop();
    let lines: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.contains("phase-changed"))
        .collect();
    let superseded = "a d2 rollout.finished superseded";
    let deleted = "a d2 rollout.finished not-found";
    // Whether the rollout or the agent is the first to be seen gone is chance.
    assert!(lines[1] == superseded || lines[1] == deleted, "{lines:?}");
    assert_eq!(lines[0], "a d2 rollout.started");
    let last = ["a d3 rollout.started", "a d3 rollout.finished ready"];
    assert_eq!(lines[lines.len() - 2..], last);
}
