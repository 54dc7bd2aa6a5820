//! Agents that stop being ready without a deploy, and incidents from their opening to their end.

use super::*;
use crate::core::messages::event_line;

fn keys(sidecar: &Sidecar) -> Vec<&str> {
    let about_health = sidecar
        .events
        .iter()
        .filter(|event| event.kind.is_about_health());
    about_health.map(|event| event.dedup_key.as_str()).collect()
}

#[test]
fn a_short_blip_is_reported_to_nobody() {
    for seconds in [1, 4, 20, 29] {
        let mut sidecar = Sidecar::watching_by(named(&["a"]), &["a"]);
        sidecar.set("a", json!({"ready": false}));
        sidecar.run(seconds * SECOND);
        sidecar.set("a", json!({"ready": true}));
        sidecar.run(120 * SECOND);
        assert_eq!(sidecar.lines(), [""; 0], "{seconds}");
    }
}

#[test]
fn an_agent_that_stays_unready_is_reported_and_so_is_its_recovery_with_the_same_key() {
    let mut sidecar = Sidecar::watching_by(named(&["a"]), &["a"]);
    let began = sidecar.wall;
    sidecar.set("a", json!({"ready": false, "available": false}));
    let took = sidecar.run_until("a d1 agent.unready", 120 * SECOND);
    assert!(took >= 30 * SECOND && took < 55 * SECOND, "{took:?}");
    let unready = sidecar.last(EventKind::AgentUnready).clone();
    let since = unready.data.started_at.unwrap();
    assert!(since.duration_since(began) < SignedDuration::from_secs(16));
    let reason = unready.data.reason.clone().unwrap();
    assert_eq!(reason.code, "NotReady");
    assert_eq!(
        event_line(&unready),
        "a: no longer ready: the platform says that it is not ready, although its revision is active; nothing serves: \
         the agent takes no sessions"
    );
    sidecar.run(60 * SECOND);
    sidecar.set("a", json!({"ready": true, "available": true}));
    sidecar.run_until("a d1 agent.recovered", 40 * SECOND);
    let recovered = sidecar.last(EventKind::AgentRecovered);
    assert_eq!(recovered.dedup_key, unready.dedup_key);
    let truth = sidecar.wall.duration_since(since).as_millis();
    let elapsed = i128::from(recovered.data.elapsed_ms.unwrap());
    assert!((elapsed - truth).abs() < 200, "{elapsed} {truth}");
    assert_eq!(sidecar.lines().len(), 2);
}

#[test]
fn a_deploy_closes_what_was_open() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.set("a", json!({"ready": false}));
    sidecar.run_until("a d1 agent.unready", 400 * SECOND);
    sidecar.deploy("a", "d2");
    sidecar.run(3 * SECOND);
    sidecar.fail("a");
    sidecar.run_until("a d2 rollout.finished failed", 60 * SECOND);
    sidecar.deploy("a", "d3");
    sidecar.run(3 * SECOND);
    sidecar.ready("a");
    sidecar.run_until("a d3 rollout.finished ready", 60 * SECOND);
    assert_eq!(keys(&sidecar), ["a/d1", "a/d1", "a/d1"]);
    assert!(sidecar.fleet.agent("a").unwrap().incident.is_none());
    // The next incident is one of its own.
    sidecar.deploy("a", "d4");
    sidecar.run(3 * SECOND);
    sidecar.fail("a");
    sidecar.run_until("a d4 rollout.finished failed", 60 * SECOND);
    sidecar.ready("a");
    sidecar.run_until("a d4 agent.recovered", 60 * SECOND);
    assert_eq!(keys(&sidecar)[3..], ["a/d4", "a/d4"]);
}

#[test]
fn removal_closes_what_was_open() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.set("a", json!({"ready": false}));
    sidecar.run_until("a d1 agent.unready", 400 * SECOND);
    sidecar.delete("a");
    sidecar.run_until("a d1 agent.removed", 60 * SECOND);
    assert_eq!(keys(&sidecar), ["a/d1", "a/d1"]);
}

#[test]
fn an_incident_outlives_a_restart() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.set("a", json!({"ready": false}));
    sidecar.run_until("a d1 agent.unready", 400 * SECOND);
    sidecar.restart(rules(), 60 * SECOND);
    sidecar.run(120 * SECOND);
    sidecar.set("a", json!({"ready": true}));
    sidecar.run_until("a d1 agent.recovered", 60 * SECOND);
    assert_eq!(
        sidecar.lines(),
        ["a d1 agent.unready", "a d1 agent.recovered"]
    );
    assert_eq!(keys(&sidecar), ["a/d1", "a/d1"]);
}

#[test]
fn an_agent_that_flaps_is_reported_ever_more_rarely() {
    let mut sidecar = Sidecar::watching_by(named(&["a"]), &["a"]);
    for _ in 0..60 {
        sidecar.set("a", json!({"ready": false}));
        sidecar.run(75 * SECOND);
        sidecar.set("a", json!({"ready": true}));
        sidecar.run(45 * SECOND);
    }
    let count = sidecar.lines().len();
    assert!((4..=16).contains(&count), "{count} events in two hours");
    sidecar.run(1200 * SECOND);
    let last = sidecar.lines().pop().unwrap();
    assert_eq!(last, "a d1 agent.recovered", "once it stays ready");
}

#[test]
fn failures_to_read_say_nothing_about_health() {
    let mut sidecar = Sidecar::watching_by(named(&["a"]), &["a"]);
    sidecar
        .world
        .failures
        .insert("a".to_owned(), failure("Http500"));
    sidecar.run(600 * SECOND);
    assert_eq!(sidecar.lines(), [" - watcher.blind"]);
}

/// Not ready for 6 s, unreadable for 12 s, not ready for 4 s: nobody has seen 12 s of it.
#[test]
fn time_without_a_usable_answer_counts_for_nothing() {
    let rules = Rules {
        health_interval: SECOND,
        unready_for: 12 * SECOND,
        ..named(&["a"])
    };
    let stale = json!({"ready": false, "updatedAt": "2026-01-01T00:00:00Z"});
    for unusable in ["failures", "stale answers", "a 404"] {
        let mut sidecar = Sidecar::watching_by(rules.clone(), &["a"]);
        sidecar.set("a", json!({"ready": false}));
        sidecar.run(6 * SECOND);
        let details = sidecar.world.agents["a"].clone();
        let seconds = match unusable {
            "failures" => {
                let of_a = ("a".to_owned(), failure("Http500"));
                sidecar.world.failures.extend([of_a]);
                12
            }
            "stale answers" => {
                merge(sidecar.world.agents.get_mut("a").unwrap(), stale.clone());
                12
            }
            // Longer would be a removal.
            _ => {
                sidecar.delete("a");
                4
            }
        };
        sidecar.run(seconds * SECOND);
        sidecar.world.failures.clear();
        sidecar.world.agents.insert("a".to_owned(), details);
        sidecar.run((16 - seconds).min(5) * SECOND);
        assert_eq!(sidecar.lines(), [""; 0], "{unusable}");
        sidecar.run_until("a d1 agent.unready", 20 * SECOND);
    }
}

#[test]
fn a_recovery_lasts_only_while_answers_show_it() {
    let rules = Rules {
        health_interval: SECOND,
        ..named(&["a"])
    };
    let mut sidecar = Sidecar::watching_by(rules, &["a"]);
    // One that flaps has to stay ready for `unready-for` from the second time on.
    for _ in 0..3 {
        sidecar.set("a", json!({"ready": false}));
        sidecar.run(45 * SECOND);
        sidecar.set("a", json!({"ready": true}));
        sidecar.run(45 * SECOND);
    }
    sidecar.run(60 * SECOND);
    sidecar.set("a", json!({"ready": false}));
    sidecar.run(45 * SECOND);
    assert_eq!(sidecar.lines().pop().unwrap(), "a d1 agent.unready");
    sidecar.set("a", json!({"ready": true}));
    sidecar.run(3 * SECOND);
    let of_a = ("a".to_owned(), failure("Http500"));
    sidecar.world.failures.extend([of_a]);
    sidecar.run(300 * SECOND);
    sidecar.world.failures.clear();
    sidecar.run(45 * SECOND);
    let health = |line: &String| line.starts_with("a ");
    let last = sidecar.lines().into_iter().rfind(health).unwrap();
    assert_eq!(last, "a d1 agent.unready");
}

#[test]
fn checks_that_are_late_are_a_fault_and_stretch_the_interval() {
    let mut sidecar = Sidecar::watching(&["a"]);
    let state = |sidecar: &Sidecar| {
        let (_, ratio) = sidecar.fleet.check_interval(sidecar.at);
        (sidecar.fleet.faults(sidecar.at), ratio)
    };
    assert_eq!(state(&sidecar), (vec![], 1.0));
    sidecar.is_saturated = true;
    sidecar.run(700 * SECOND);
    let (faults, ratio) = state(&sidecar);
    assert!(
        faults.len() == 1 && faults[0].starts_with("a check of an agent is "),
        "{faults:?}"
    );
    assert!(ratio > 2.0, "{ratio}");
}

#[test]
fn the_watcher_is_blind_while_the_list_or_the_details_cannot_be_read() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.world.list_failure = Some(failure("Http500"));
    sidecar.run(59 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0], "it has patience");
    sidecar.run_until(" - watcher.blind", 30 * SECOND);
    sidecar.run(600 * SECOND);
    sidecar.world.list_failure = None;
    sidecar.run_until(" - watcher.recovered", 30 * SECOND);
    assert_eq!(
        sidecar.lines(),
        [" - watcher.blind", " - watcher.recovered"]
    );
    let [blind, recovered] = sidecar.events.as_slice() else {
        panic!("{:?}", sidecar.events);
    };
    assert_eq!(
        [&blind.dedup_key, &recovered.dedup_key],
        ["watcher/list"; 2]
    );
    let reason = blind.data.reason.as_ref().unwrap();
    let why = "the list of agents cannot be read: the API answered Http500";
    assert_eq!(reason.summary, why);
    let began = blind.data.started_at.unwrap();
    assert_eq!(began.subsec_nanosecond() % 1_000_000, 0, "{began}");
    assert_eq!(blind.data.started_at, recovered.data.started_at);
    assert!(recovered.data.elapsed_ms.unwrap() > 600_000);
}

#[test]
fn what_it_was_blind_to_before_a_restart_is_reported_once_it_sees_again() {
    let since = Timestamp::UNIX_EPOCH;
    let incidents = [("watcher/list", since), ("sink/ops", since)];
    let incidents = incidents.map(|(key, at)| (key.to_owned(), at));
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.fleet = sidecar.fleet.clone().with_incidents(&incidents.into());
    sidecar.run(60 * SECOND);
    assert_eq!(sidecar.lines(), [" - watcher.recovered"]);
}

#[test]
fn a_rollout_that_changed_no_revision_is_ready_with_a_warning() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.deploy("a", "d2");
    sidecar.set(
        "a",
        json!({"currentRevision": {"deploymentID": "d1", "phase": "Active"}}),
    );
    sidecar.run(3 * SECOND);
    sidecar.ready("a");
    sidecar.run_until("a d2 rollout.finished ready", 60 * SECOND);
    let data = &sidecar.last(EventKind::RolloutFinished).data;
    assert!(data.revision_unchanged);
    assert!(!data.warnings.is_empty(), "{data:?}");
}

#[test]
fn foreign_text_in_an_event_has_a_bound() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.deploy("a", "d2");
    let message = format!("first line\n{}\nlast line", "é\u{202e}".repeat(1_000_000));
    sidecar.set(
        "a",
        json!({"currentRevision": {"phase": "Failed",
        "health": {"reason": "CrashLoopBackOff", "message": message}}}),
    );
    sidecar.run_until("a d2 rollout.finished failed", 60 * SECOND);
    let event = sidecar.last(EventKind::RolloutFinished);
    let size = serde_json::to_string(event).unwrap().len();
    assert!(size < 80_000, "{size}");
    let kept = event
        .data
        .reason
        .as_ref()
        .unwrap()
        .message
        .as_ref()
        .unwrap();
    assert!(kept.starts_with("first line") && kept.ends_with("last line"));
    assert!(kept.contains("bytes left out"), "it says so");
}

#[test]
fn an_agent_is_shown_as_its_last_answer_said() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.set(
        "a",
        json!({"activeSessionCount": 7, "currentRevision": {"readyReplicas": 3}}),
    );
    sidecar.run(310 * SECOND);
    let record = sidecar.fleet.agent("a").unwrap();
    let live = &record.live;
    assert_eq!(
        (live.ready, live.ready_replicas, live.sessions),
        (Some(true), Some(3), Some(7))
    );
    assert_eq!(
        record.deployment.as_ref().unwrap().image.as_deref(),
        Some("image:d1")
    );
}
