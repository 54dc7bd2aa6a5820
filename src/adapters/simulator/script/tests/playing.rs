//! What an agent answers at which time.

use serde_json::json;

use super::*;

pub(super) const ROLLOUT: &str = r#"
summary = "s"
verdict = "ready"
[deployments]
old = { made = "-1h", image = "voice:1" }
new = { made = "0s", image = "voice:2" }
[before]
desired = "old"
reconciled = "old"
ready = true
available = true
sessions = 3
current = { deployment = "old", phase = "Active", ready-replicas = 1, health = { ready = true, state = "running" } }
[[state]]
at = "0s"
desired = "new"
[[state]]
at = "2s"
reconciled = "new"
ready = false
current = { deployment = "new", phase = "Creating" }
previous = { deployment = "old", phase = "Active", ready-replicas = 1 }
[[state]]
at = "4s"
current.health = { state = "waiting", reason = "ErrImagePull", message = "m" }
extra.conditions = [{ type = "Degraded", status = "True" }]
extra.currentRevision.phase = "Levitating"
[[state]]
at = "5s"
current.health = { restart-count = 1 }
extra = {}
[[state]]
at = "6s"
current = { phase = "Validating", health = { state = "running" } }
[[state]]
at = "8s"
previous = "none"
[[state]]
at = "9s"
absent = true
[[state]]
at = "10s"
desired = "new"
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

/// The details at each of these seconds, read by one client in this order.
fn at(play: &mut Play, second: f64) -> Value {
    details(play.read(seconds(second)))
}

fn begun(text: &str) -> Play {
    let mut play = play(text);
    let _ = play.read(seconds(0.0));
    play
}

#[test]
fn what_a_state_does_not_say_stays_as_it_was() {
    let mut play = begun(ROLLOUT);
    let start = at(&mut play, 0.0);
    assert_eq!(start["desiredDeploymentId"], id(1, "new"));
    assert_eq!(start["activeDeploymentId"], id(1, "new"));
    assert_eq!(start["reconciledDeploymentId"], id(1, "old"));
    assert_eq!(start["ready"], true);
    assert_eq!(start["activeDeploymentReady"], true);
    assert_eq!(start["activeSessionCount"], 3);
    assert_eq!(start["currentRevision"]["deploymentID"], id(1, "old"));
    assert_eq!(start["previousRevision"], Value::Null);
    assert_eq!(start["deployment"]["id"], id(1, "new"));
    assert_eq!(start["deployment"]["manifest"]["spec"]["image"], "voice:2");

    assert_eq!(at(&mut play, 1.999), start);
    let creating = at(&mut play, 2.0);
    assert_eq!(
        creating["currentRevision"],
        json!({
            "deploymentID": id(1, "new"),
            "phase": "Creating",
            "readyReplicas": 0,
            "phaseStartedAt": "2026-11-23T12:00:02.000Z",
        }),
        "a new revision begins with nothing"
    );
    assert_eq!(
        creating["previousRevision"]["phaseStartedAt"],
        "2026-11-23T11:00:00.000Z"
    );
    assert_eq!(creating["available"], true);
    assert_eq!(creating["ready"], false);
}

#[test]
fn a_reason_goes_with_its_state_and_all_else_of_the_health_stays() {
    let mut play = begun(ROLLOUT);
    let pulling = at(&mut play, 4.0)["currentRevision"]["health"].clone();
    assert_eq!(
        pulling,
        json!({
            "ready": false, "state": "waiting", "restartCount": 0, "replicasStarted": 1,
            "reason": "ErrImagePull", "message": "m",
        })
    );
    let same_state = at(&mut play, 5.0)["currentRevision"]["health"].clone();
    assert_eq!(same_state["reason"], "ErrImagePull");
    assert_eq!(same_state["restartCount"], 1);
    let running = at(&mut play, 6.0)["currentRevision"].clone();
    assert_eq!(running["health"]["reason"], Value::Null);
    assert_eq!(running["health"]["message"], "m");
    assert_eq!(running["phaseStartedAt"], "2026-11-23T12:00:06.000Z");
}

#[test]
fn what_the_contract_does_not_know_is_laid_over_the_answer() {
    let mut play = begun(ROLLOUT);
    let odd = at(&mut play, 4.0);
    assert_eq!(
        odd["conditions"],
        json!([{ "type": "Degraded", "status": "True" }])
    );
    assert_eq!(odd["currentRevision"]["phase"], "Levitating");
    assert_eq!(odd["currentRevision"]["deploymentID"], id(1, "new"));
    let gone = at(&mut play, 5.0);
    assert_eq!(gone["conditions"], Value::Null);
    assert_eq!(gone["currentRevision"]["phase"], "Creating");
}

#[test]
fn none_takes_away_and_absence_forgets_everything() {
    let mut play = begun(ROLLOUT);
    assert_ne!(at(&mut play, 7.9)["previousRevision"], Value::Null);
    assert_eq!(at(&mut play, 8.0)["previousRevision"], Value::Null);
    let Reply::Whole(absent) = play.read(seconds(9.0)) else {
        panic!("no answer");
    };
    assert_eq!(
        (absent.status, &json_of(&absent)["code"]),
        (404, &json!("NOT_FOUND"))
    );
    assert_eq!(play.entry(seconds(9.0)), None);
    let anew = at(&mut play, 1e9);
    assert_eq!(anew["desiredDeploymentId"], id(1, "new"));
    assert_eq!(anew["reconciledDeploymentId"], Value::Null);
    assert_eq!(anew["currentRevision"], Value::Null);
}

#[test]
fn a_timeline_begins_with_the_first_read_or_with_the_deploy() {
    let scenario = || Scenario::parse(ROLLOUT).unwrap();
    let mut at_read = play_of(scenario(), Start::AtFirstRead);
    assert_eq!(at(&mut at_read, 100.0)["desiredDeploymentId"], id(1, "new"));
    assert_eq!(
        at(&mut at_read, 102.0)["reconciledDeploymentId"],
        id(1, "new")
    );

    let mut at_deploy = play_of(scenario(), Start::AtDeploy);
    assert_eq!(
        at(&mut at_deploy, 100.0)["desiredDeploymentId"],
        id(1, "old")
    );
    let answer = json_of(&at_deploy.deploy(seconds(200.0)));
    assert_eq!(answer["desiredDeploymentId"], id(1, "new"));
    assert_eq!(
        answer["deployment"]["createdAt"],
        "2026-11-23T12:03:20.000Z"
    );
    assert_eq!(
        at(&mut at_deploy, 201.0)["reconciledDeploymentId"],
        id(1, "old")
    );
    assert_eq!(
        at(&mut at_deploy, 202.0)["reconciledDeploymentId"],
        id(1, "new")
    );
}

#[test]
fn a_second_deploy_replaces_what_the_first_one_made() {
    let mut play = play_of(Scenario::parse(ROLLOUT).unwrap(), Start::AtDeploy);
    let before = at(&mut play, 10.0);
    let _ = play.deploy(seconds(20.0));
    let first = at(&mut play, 20.0);
    let answer = json_of(&play.deploy(seconds(80.0)));
    let second = at(&mut play, 80.5);
    assert_eq!(second, answer);
    assert_eq!(second["desiredDeploymentId"], id(2, "new"));
    assert_eq!(
        second["reconciledDeploymentId"],
        first["desiredDeploymentId"]
    );
    assert_eq!(second["createdAt"], before["createdAt"]);
    assert_eq!(second["updatedAt"], "2026-11-23T12:01:20.000Z");
    // What ran before was made when the first deploy said that it was.
    let old = &second["currentRevision"]["phaseStartedAt"];
    assert_eq!(*old, first["deployment"]["createdAt"]);
}

#[test]
fn timestamps_follow_the_speed_of_the_script() {
    let scenario = Arc::new(Scenario::parse(ROLLOUT).unwrap());
    let speed = Speed::new(10.0).unwrap();
    let mut play = Play::new(
        "voice".to_owned(),
        scenario,
        Start::AtDeploy,
        speed,
        opened(),
    );
    let _ = play.deploy(seconds(60.0));
    let soon = at(&mut play, 60.6);
    assert_eq!(soon["currentRevision"]["phase"], "Validating");
    assert_eq!(
        soon["currentRevision"]["phaseStartedAt"],
        "2026-11-23T12:01:00.600Z"
    );
    assert_eq!(soon["createdAt"], "2026-11-23T11:54:00.000Z");
}

#[test]
fn the_list_tells_ids_and_times() {
    let play = begun(ROLLOUT);
    assert_eq!(
        play.entry(seconds(2.0)).unwrap(),
        json!({
            "id": super::ids::service("voice"),
            "name": "voice",
            "region": "us-west",
            "desiredDeploymentId": id(1, "new"),
            "reconciledDeploymentId": id(1, "new"),
            "createdAt": "2026-11-23T11:00:00.000Z",
            "updatedAt": "2026-11-23T12:00:00.000Z",
            "deletedAt": null,
        })
    );
}

#[test]
fn logs_come_in_the_order_and_number_that_are_asked_for() {
    let play = begun(ROLLOUT);
    let logs = |second: f64, query: &str| {
        let query = LogQuery::parse(query).unwrap();
        let answer = json_of(&play.logs(seconds(second), &query));
        let lines = answer["logs"].as_array().unwrap().iter();
        let lines: Vec<_> = lines
            .map(|line| line["log"].as_str().unwrap().to_owned())
            .collect();
        (answer["total"]["value"].as_u64().unwrap(), lines.join(" "))
    };
    assert_eq!(logs(0.5, ""), (0, String::new()));
    assert_eq!(logs(2.0, ""), (2, "two one".to_owned()));
    assert_eq!(logs(5.0, "order=asc"), (3, "one two three".to_owned()));
    assert_eq!(logs(5.0, "limit=1&order=desc"), (3, "three".to_owned()));
    let of_new = format!("deploymentId={}&x=y", id(1, "new"));
    assert_eq!(logs(5.0, &of_new), (2, "two one".to_owned()));
    assert_eq!(logs(5.0, "deploymentId=none"), (0, String::new()));
    let line = &json_of(&play.logs(seconds(1.0), &LogQuery::parse("").unwrap()))["logs"][0];
    assert_eq!(
        *line,
        json!({
            "log": "one", "timestamp": "2026-11-23T12:00:01.000Z", "deploymentId": id(1, "new"),
        })
    );
    for (query, said) in [
        ("limit=-1", "limit \"-1\" is no number"),
        ("order=newest", "order \"newest\" is neither asc nor desc"),
    ] {
        assert_eq!(LogQuery::parse(query).unwrap_err(), said);
    }
}

#[test]
fn a_deploy_that_reads_do_not_show_yet_is_answered_all_the_same() {
    let mut first = play_of(built_in("first-deploy"), Start::AtDeploy);
    assert_eq!(first.entry(seconds(1.0)), None);
    let answer = first.deploy(seconds(2.0));
    assert_eq!(answer.status, 200);
    assert_eq!(json_of(&answer)["desiredDeploymentId"], id(1, "new"));
    assert!(matches!(
        first.read(seconds(2.5)),
        Reply::Whole(Answer { status: 404, .. })
    ));
    assert_eq!(at(&mut first, 3.0)["desiredDeploymentId"], id(1, "new"));
    let mut never = play_of(built_in("not-found"), Start::AtDeploy);
    assert_eq!(never.deploy(seconds(0.0)).status, 404);
}
