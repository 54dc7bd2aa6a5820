//! What an agent answers at which time, and what a watcher makes of it.

mod contract;
mod verdicts;

use serde_json::json;

use super::super::query::Query;
use super::*;

/// When the simulator of these tests was started.
const OPENED: &str = "2026-11-23T12:00:00Z";

const ROLLOUT: &str = r#"
summary = "s"
verdict = "ready"
session-log = ["hello"]
[before]
desiredDeploymentId = "{old}"
reconciledDeploymentId = "{old}"
ready = true
available = true
activeSessionCount = 2
currentRevision = { deploymentID = "{old}", phase = "Active", readyReplicas = 1, phaseStartedAt = "{now}" }
[[state]]
at = "0s"
desiredDeploymentId = "{new}"
[[state]]
at = "2s"
reconciledDeploymentId = "{new}"
ready = false
currentRevision = { deploymentID = "{new}", phase = "Creating", readyReplicas = 0, phaseStartedAt = "{now}" }
previousRevision = { deploymentID = "{old}", phase = "Active", readyReplicas = 1 }
[[state]]
at = "4s"
currentRevision.health = { state = "waiting", reason = "ErrImagePull", message = "{image} {'a': 1} {now-1m}" }
conditions = [{ type = "Degraded", message = "{new}" }]
[[state]]
at = "6s"
currentRevision = { phase = "Active", health = { state = "running", reason = "{null}" } }
ready = true
[[state]]
at = "8s"
previousRevision = "{null}"
activeSessionCount = 0
[[state]]
at = "9s"
absent = true
[[state]]
at = "10s"
desiredDeploymentId = "{new}"
[[log]]
at = "1s"
line = "one"
[[log]]
at = "3s"
line = "three"
deployment = "old"
[[log]]
at = "2s"
line = "two"
"#;

fn opened() -> Timestamp {
    OPENED.parse().unwrap()
}

fn seconds(seconds: f64) -> Now {
    let since = Duration::from_secs_f64(seconds);
    Now {
        since,
        wall: opened() + since,
    }
}

fn agent_of(scenario: Scenario, start: Start) -> SimulatedAgent {
    SimulatedAgent::new("voice", Arc::new(scenario), start, Speed::REAL, opened())
}

fn agent(text: &str, start: Start) -> SimulatedAgent {
    agent_of(Scenario::parse(text).unwrap(), start)
}

fn built_in(name: &str) -> Scenario {
    Scenario::built_in(name).unwrap()
}

/// An agent whose timeline has begun with the simulator.
fn begun(text: &str) -> SimulatedAgent {
    let mut agent = agent(text, Start::AtFirstRead);
    let _ = agent.read(seconds(0.0));
    agent
}

/// The details at this time.
fn at(agent: &mut SimulatedAgent, second: f64) -> Value {
    match agent.read(seconds(second)) {
        Reply::Details(details) => details,
        other => panic!("no details: {other:?}"),
    }
}

fn id(deploys: u64, name: &str) -> String {
    Scenario::deployment_id("voice", deploys, name)
}

#[test]
fn an_answer_is_all_patches_so_far_on_what_the_api_always_says() {
    let mut agent = begun(ROLLOUT);
    let start = at(&mut agent, 0.0);
    for (field, value) in [
        ("name", json!("voice")),
        ("desiredDeploymentId", json!(id(1, "new"))),
        ("activeDeploymentId", json!(id(1, "new"))),
        ("reconciledDeploymentId", json!(id(1, "old"))),
        ("ready", json!(true)),
        ("activeDeploymentReady", json!(true)),
        ("activeSessionCount", json!(2)),
        ("previousRevision", Value::Null),
        ("agentProfile", Value::Null),
        ("createdAt", json!("2026-11-23T11:00:00.000Z")),
        ("updatedAt", json!("2026-11-23T12:00:00.000Z")),
    ] {
        assert_eq!(start[field], value, "{field}");
    }
    assert_eq!(start["deployment"]["id"], id(1, "new"));
    assert_eq!(start["deployment"]["createdAt"], "2026-11-23T12:00:00.000Z");
    assert_eq!(at(&mut agent, 1.999), start);
    assert_eq!(
        at(&mut agent, 2.0)["currentRevision"],
        json!({
            "deploymentID": id(1, "new"),
            "phase": "Creating",
            "readyReplicas": 0,
            "phaseStartedAt": "2026-11-23T12:00:02.000Z",
        }),
    );
    let pulling = at(&mut agent, 4.0);
    let image = "registry.example.com/acme/voice-starter:1.5.0";
    assert_eq!(
        pulling["currentRevision"]["health"]["message"],
        format!("{image} {{'a': 1}} 2026-11-23T11:59:04.000Z")
    );
    assert_eq!(pulling["conditions"][0]["message"], id(1, "new"));
    let health = &at(&mut agent, 6.0)["currentRevision"]["health"];
    assert_eq!(
        (&health["reason"], &health["state"]),
        (&Value::Null, &json!("running"))
    );
    assert_ne!(at(&mut agent, 7.9)["previousRevision"], Value::Null);
    assert_eq!(at(&mut agent, 8.0)["previousRevision"], Value::Null);
}

#[test]
fn an_absent_agent_is_not_found_and_begins_with_nothing() {
    let mut agent = begun(ROLLOUT);
    let Reply::Answer(absent) = agent.read(seconds(9.0)) else {
        panic!("no answer");
    };
    assert_eq!(
        (absent.status.as_u16(), absent.body.as_str()),
        (
            404,
            r#"{"code":"NOT_FOUND","error":"agent \"voice\" not found"}"#
        )
    );
    assert_eq!(agent.entry(seconds(9.0)), None);
    let anew = at(&mut agent, 1e9);
    assert_eq!(anew["desiredDeploymentId"], id(1, "new"));
    assert_eq!(anew["reconciledDeploymentId"], Value::Null);
    assert_eq!(anew["currentRevision"], Value::Null);
}

#[test]
fn a_deploy_starts_the_timeline_and_a_second_one_replaces_what_the_first_made() {
    let mut agent = agent(ROLLOUT, Start::AtDeploy);
    let before = at(&mut agent, 10.0);
    assert_eq!(before["desiredDeploymentId"], id(1, "old"));
    let answer = agent.deploy(seconds(20.0), &Value::Null).unwrap();
    assert_eq!(answer, at(&mut agent, 20.0));
    let second = agent.deploy(seconds(80.0), &Value::Null).unwrap();
    assert_eq!(second["desiredDeploymentId"], id(2, "new"));
    assert_eq!(
        second["reconciledDeploymentId"],
        answer["desiredDeploymentId"]
    );
    assert_eq!(second["createdAt"], before["createdAt"]);
    assert_eq!(second["updatedAt"], "2026-11-23T12:01:20.000Z");
    assert_eq!(
        second["currentRevision"]["phaseStartedAt"],
        answer["deployment"]["createdAt"]
    );
}

#[test]
fn a_deploy_of_the_same_image_makes_no_new_deployment() {
    let mut agent = agent(ROLLOUT, Start::AtDeploy);
    let manifest = json!({
        "image": "acme/voice:2", "region": "eu-central", "autoScaling": { "minAgents": 2 },
    });
    let first = agent.deploy(seconds(0.0), &manifest).unwrap();
    let spec = &first["deployment"]["manifest"]["spec"];
    assert_eq!(spec["image"], "acme/voice:2");
    assert_eq!(
        spec["autoScaling"],
        json!({ "minReplicas": 2, "maxReplicas": 10 })
    );
    assert_eq!(first["region"], "eu-central");
    assert_eq!(agent.entry(seconds(1.0)).unwrap()["region"], "eu-central");
    let again = agent.deploy(seconds(7.0), &manifest).unwrap();
    assert_eq!(again["desiredDeploymentId"], id(1, "new"));
    assert!(again["warning"].is_string(), "{again}");
    assert_eq!(at(&mut agent, 7.0)["ready"], true);
    let forced = json!({ "image": "acme/voice:2", "forceRedeploy": true });
    let forced = agent.deploy(seconds(8.0), &forced).unwrap();
    assert_eq!(forced["desiredDeploymentId"], id(2, "new"));
    let built = agent
        .deploy(seconds(9.0), &json!({ "buildId": "b" }))
        .unwrap();
    assert_eq!(built["desiredDeploymentId"], id(3, "new"));
    assert_eq!(built["deployment"]["buildId"], "b");
    assert_eq!(
        built["deployment"]["manifest"]["spec"]["image"],
        Value::Null
    );
}

#[test]
fn a_deploy_that_changes_nothing_changes_no_id_either() {
    let mut agent = agent_of(built_in("unchanged"), Start::AtDeploy);
    for second in [1.0, 2.0] {
        let answer = agent
            .deploy(seconds(second), &json!({ "image": "a:1" }))
            .unwrap();
        assert_eq!(answer["desiredDeploymentId"], id(1, "old"));
    }
}

#[test]
fn a_deploy_that_reads_do_not_show_yet_is_answered_all_the_same() {
    let mut first = agent_of(built_in("first-deploy"), Start::AtDeploy);
    assert_eq!(first.entry(seconds(1.0)), None);
    let answer = first.deploy(seconds(2.0), &Value::Null).unwrap();
    assert_eq!(answer["desiredDeploymentId"], id(1, "new"));
    assert_eq!(answer["createdAt"], "2026-11-23T12:00:02.000Z");
    assert!(
        matches!(first.read(seconds(2.5)), Reply::Answer(Answer { status, .. }) if status == 404)
    );
    assert_eq!(at(&mut first, 3.0)["desiredDeploymentId"], id(1, "new"));
    let mut never = agent_of(built_in("not-found"), Start::AtDeploy);
    assert_eq!(
        never.deploy(seconds(0.0), &Value::Null).unwrap_err().status,
        404
    );
}

#[test]
fn timestamps_follow_the_speed() {
    let scenario = Arc::new(Scenario::parse(ROLLOUT).unwrap());
    let speed = Speed::new(10.0).unwrap();
    let mut agent = SimulatedAgent::new("voice", scenario, Start::AtDeploy, speed, opened());
    let _ = agent.deploy(seconds(60.0), &Value::Null);
    let soon = at(&mut agent, 60.3);
    assert_eq!(soon["currentRevision"]["phase"], "Creating");
    assert_eq!(
        soon["currentRevision"]["phaseStartedAt"],
        "2026-11-23T12:01:00.200Z"
    );
}

#[test]
fn the_list_shows_ids_and_times() {
    let agent = begun(ROLLOUT);
    assert_eq!(
        agent.entry(seconds(2.0)).unwrap(),
        json!({
            "id": uuid(&["voice"]),
            "organizationId": uuid(&[]),
            "name": "voice",
            "region": "us-west",
            "desiredDeploymentId": id(1, "new"),
            "activeDeploymentId": id(1, "new"),
            "reconciledDeploymentId": id(1, "new"),
            "createdAt": "2026-11-23T11:00:00.000Z",
            "updatedAt": "2026-11-23T12:00:00.000Z",
            "deletedAt": null,
        })
    );
}

#[test]
fn logs_come_in_the_order_and_number_that_are_asked_for() {
    let mut agent = begun(ROLLOUT);
    let logs = |agent: &SimulatedAgent, second: f64, query: &str| {
        let answer = agent.logs(seconds(second), &Query::parse(query)).unwrap();
        let lines = answer["logs"].as_array().unwrap().iter();
        let lines: Vec<_> = lines
            .map(|line| line["log"].as_str().unwrap().to_owned())
            .collect();
        (answer["total"]["value"].as_u64().unwrap(), lines.join(" "))
    };
    assert_eq!(logs(&agent, 0.5, ""), (0, String::new()));
    assert_eq!(logs(&agent, 2.0, ""), (2, "two one".to_owned()));
    assert_eq!(
        logs(&agent, 5.0, "order=asc"),
        (3, "one two three".to_owned())
    );
    assert_eq!(
        logs(&agent, 5.0, "limit=1&order=desc"),
        (3, "three".to_owned())
    );
    let of_new = format!("deploymentId={}&x=y", id(1, "new"));
    assert_eq!(logs(&agent, 5.0, &of_new), (2, "two one".to_owned()));
    assert_eq!(logs(&agent, 5.0, "deploymentId=none"), (0, String::new()));
    let answer = agent.logs(seconds(1.0), &Query::default()).unwrap();
    assert_eq!(
        answer["logs"][0],
        json!({
            "log": "one", "timestamp": "2026-11-23T12:00:01.000Z", "deploymentId": id(1, "new"),
        })
    );
    let session = agent.start_session(seconds(7.0)).unwrap()["sessionId"].clone();
    let of_session = format!("sessionId={}", session.as_str().unwrap());
    assert_eq!(logs(&agent, 7.5, &of_session), (1, "hello".to_owned()));
    for (query, words) in [
        ("limit=-1", "limit \\\"-1\\\" is no number"),
        ("order=newest", "order \\\"newest\\\" is none of desc, asc"),
    ] {
        let refused = agent.logs(seconds(1.0), &Query::parse(query)).unwrap_err();
        assert!(refused.body.contains(words), "{}", refused.body);
        assert_eq!(refused.status, 400);
    }
}

#[test]
fn a_session_runs_on_what_serves_until_it_is_ended() {
    let mut agent = begun(ROLLOUT);
    let start = |agent: &mut SimulatedAgent, second| {
        let answer = agent.start_session(seconds(second)).unwrap();
        answer["sessionId"].as_str().unwrap().to_owned()
    };
    let early = start(&mut agent, 3.0);
    let late = start(&mut agent, 6.5);
    let deployment = |agent: &SimulatedAgent, session: &str| {
        agent.session(seconds(7.0), session).unwrap()["deploymentId"].clone()
    };
    assert_eq!(deployment(&agent, &early), id(1, "old"));
    assert_eq!(deployment(&agent, &late), id(1, "new"));
    let count = |agent: &SimulatedAgent, query: &str| {
        let answer = agent.sessions(seconds(7.0), &Query::parse(query)).unwrap();
        answer["total_count"].as_u64().unwrap()
    };
    // Two are the scenario's: on the old deployment, which is being replaced.
    assert_eq!(count(&agent, "status=active"), 4);
    let of_old = format!("status=active&deploymentId={}", id(1, "old"));
    assert_eq!(count(&agent, &of_old), 3);
    assert_eq!(at(&mut agent, 7.0)["activeSessionCount"], 4);
    agent.end_session(seconds(7.0), &early).unwrap();
    assert_eq!(count(&agent, "status=active"), 3);
    assert_eq!(count(&agent, "status=ended"), 1);
    assert_eq!(at(&mut agent, 8.0)["activeSessionCount"], 1);
    assert_eq!(agent.session(seconds(7.0), "none").unwrap_err().status, 404);
    assert_eq!(
        agent.end_session(seconds(7.0), "none").unwrap_err().status,
        404
    );
    let bad = Query::parse("status=new");
    assert_eq!(agent.sessions(seconds(7.0), &bad).unwrap_err().status, 400);
    // Nothing serves before the first deploy, and nothing after the agent was deleted.
    assert_eq!(agent.start_session(seconds(9.0)).unwrap_err().status, 404);
    assert_eq!(agent.start_session(seconds(10.0)).unwrap_err().status, 429);
}

/// Replies to requests at these seconds after a deploy.
fn faulty(fault: &str, times: &[f64]) -> Vec<Reply> {
    let mut agent = agent(&format!("{ROLLOUT}\n[[fault]]\n{fault}"), Start::AtDeploy);
    let _ = agent.deploy(seconds(0.0), &Value::Null);
    times
        .iter()
        .map(|second| agent.read(seconds(*second)))
        .collect()
}

#[test]
fn a_fault_strikes_at_its_times_and_requests_only() {
    let hung = |fault: &str, times: &[f64]| -> Vec<bool> {
        let replies = faulty(&format!("hang = true\n{fault}"), times);
        replies.iter().map(|reply| *reply == Reply::Hang).collect()
    };
    let times = [1.0, 2.0, 3.9, 4.0];
    assert_eq!(hung("", &times), [true; 4]);
    let window = "from = \"2s\"\nuntil = \"4s\"";
    assert_eq!(hung(window, &times), [false, true, true, false]);
    assert_eq!(
        hung("requests = [1, 3]", &times),
        [true, false, true, false]
    );
    let both = "from = \"2s\"\nrequests = [1, 4]";
    assert_eq!(hung(both, &times), [false, false, false, true]);
    // Before the deploy, only what is bound to nothing; requests are counted from the deploy on.
    for (when, before) in [("", true), ("requests = [1]", false), (window, false)] {
        let text = format!("{ROLLOUT}\n[[fault]]\nhang = true\n{when}");
        let mut agent = agent(&text, Start::AtDeploy);
        assert_eq!(agent.read(seconds(2.0)) == Reply::Hang, before, "{when}");
        let _ = agent.deploy(seconds(2.0), &Value::Null);
        assert_eq!(agent.read(seconds(4.5)), Reply::Hang, "{when}");
    }
}

#[test]
fn each_kind_of_fault_does_its_harm() {
    let Reply::Answer(limited) = faulty(
        "status = 429\nheaders = { Retry-After = \"{now+2s}\" }",
        &[3.0],
    )
    .remove(0) else {
        panic!("no answer");
    };
    assert_eq!(
        (limited.status.as_u16(), limited.body.as_str()),
        (
            429,
            r#"{"code":"TOO_MANY_REQUESTS","error":"too many requests"}"#
        )
    );
    assert_eq!(limited.headers[0].1, "Mon, 23 Nov 2026 12:00:05 GMT");
    assert_eq!(faulty("reset = true", &[3.0]), [Reply::Reset]);
    for (lag, reconciled) in [("0s", "new"), ("1001ms", "old")] {
        let replies = faulty(&format!("lag = \"{lag}\""), &[3.0]);
        let Reply::Details(details) = &replies[0] else {
            panic!("no details");
        };
        assert_eq!(details["reconciledDeploymentId"], id(1, reconciled));
    }
    let Reply::Details(before) = faulty("lag = \"1h\"", &[3.0]).remove(0) else {
        panic!("no details");
    };
    assert_eq!(before["desiredDeploymentId"], id(1, "old"));
    assert_eq!(before["updatedAt"], "2026-11-23T11:00:00.000Z");
}
