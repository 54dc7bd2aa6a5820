//! What is believed of the list, of single answers, and of who an agent is.

use super::*;

#[test]
fn a_list_that_loses_agents_removes_none_of_them() {
    let names = many(30);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for kept in [0, 10, 19, 29] {
        let mut sidecar = Sidecar::watching(&names);
        let truth: Vec<Value> = names.iter().map(|name| entry(name, "d1")).collect();
        sidecar.world.list = Some(json!(truth[..kept]));
        sidecar.run(120 * SECOND);
        let distrusted = kept < 20;
        assert_eq!(sidecar.fleet.is_list_distrusted(), distrusted, "{kept}");
        let reported = sidecar.log.iter().filter(|line| line.contains("no longer"));
        assert_eq!(
            sidecar.log.len(),
            usize::from(distrusted),
            "all of them are watched"
        );
        assert_eq!(
            reported.count(),
            usize::from(distrusted),
            "{:?}",
            sidecar.log
        );
        sidecar.world.list = None;
        sidecar.run(120 * SECOND);
        assert!(!sidecar.fleet.is_list_distrusted());
        assert_eq!(sidecar.lines(), [""; 0], "{kept}");
        assert_eq!(sidecar.fleet.agents().count(), 30);
    }
}

#[test]
fn an_agent_is_removed_once_its_own_404_is_confirmed() {
    let mut sidecar = Sidecar::watching(&["a", "b"]);
    sidecar.delete("a");
    let took = sidecar.run_until("a d1 agent.removed", 60 * SECOND);
    assert!(took >= 5 * SECOND && took <= 21 * SECOND, "{took:?}");
    sidecar.run(600 * SECOND);
    assert_eq!(sidecar.lines(), ["a d1 agent.removed"]);
    assert_eq!(sidecar.store.keys().collect::<Vec<_>>(), ["b"]);
    // And so is one that the list goes on showing, without being added again and again.
    sidecar.world.list = Some(json!([entry("b", "d1")]));
    sidecar.delete("b");
    sidecar.run(1200 * SECOND);
    assert_eq!(
        sidecar.lines(),
        ["a d1 agent.removed", "b d1 agent.removed"]
    );
    let asked = sidecar.checked.iter().filter(|(_, agent)| agent == "b");
    assert!(asked.count() < 30, "a hint is not followed for ever");
}

/// 404 for 1.6 s, unreadable for 9 s, 404 for 3 s: nobody has seen 5 s of it.
#[test]
fn an_outage_confirms_no_removal() {
    let mut sidecar = Sidecar::watching(&["a", "b"]);
    let details = sidecar.world.agents.remove("a").unwrap();
    // The list has it checked.
    while !sidecar.checked.iter().any(|(_, agent)| agent == "a") {
        sidecar.run(TICK);
    }
    let of_a = ("a".to_owned(), failure("Http500"));
    sidecar.world.failures.extend([of_a]);
    sidecar.run(40 * SECOND);
    sidecar.world.failures.clear();
    sidecar.checked.clear();
    let is_of_a = |(_, agent): &&(Duration, String)| agent == "a";
    while sidecar.checked.iter().filter(is_of_a).count() < 2 {
        sidecar.run(TICK);
    }
    assert_eq!(sidecar.lines(), [""; 0]);
    sidecar.world.agents.insert("a".to_owned(), details);
    sidecar.run(60 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0]);
}

#[test]
fn single_404s_and_failures_remove_nobody() {
    let mut sidecar = Sidecar::watching_by(named(&["a"]), &["a"]);
    for _ in 0..5 {
        let details = sidecar.world.agents.remove("a").unwrap();
        sidecar.run(3 * SECOND);
        sidecar.world.agents.insert("a".to_owned(), details);
        sidecar.run(40 * SECOND);
        sidecar
            .world
            .failures
            .insert("a".to_owned(), failure("Http500"));
        sidecar.run(60 * SECOND);
        sidecar.world.failures.clear();
        sidecar.run(40 * SECOND);
    }
    assert_eq!(sidecar.lines(), [""; 0]);
}

#[test]
fn details_begin_a_rollout_where_the_list_cannot_be_read_or_is_stale() {
    for is_stale in [false, true] {
        let mut sidecar = Sidecar::watching(&["a"]);
        if is_stale {
            sidecar.world.list = Some(json!([entry("a", "d1")]));
        } else {
            sidecar.world.list_failure = Some(failure("Http500"));
        }
        sidecar.run(20 * SECOND);
        sidecar.deploy("a", "d2");
        sidecar.run(5 * SECOND);
        sidecar.fail("a");
        let limit = if is_stale { 310 } else { 30 };
        sidecar.run_until("a d2 rollout.finished failed", limit * SECOND);
        // A list that goes on showing the old one takes nothing back.
        sidecar.run(300 * SECOND);
        let mut lines = sidecar.lines();
        lines.retain(|line| line != " - watcher.blind");
        assert_eq!(
            lines,
            ["a d2 rollout.started", "a d2 rollout.finished failed"]
        );
        let failing = sidecar.fleet.sources().list.failure().is_some();
        assert_eq!(failing, !is_stale);
        let age = sidecar.fleet.sources().list.age(sidecar.at).unwrap();
        assert_eq!(age > 300 * SECOND, !is_stale, "{age:?}");
    }
}

#[test]
fn a_deployment_that_only_the_list_shows_is_none() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.world.list = Some(json!([entry("a", "d9")]));
    sidecar.run(600 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0]);
    assert!(sidecar.checked.len() < 30, "{}", sidecar.checked.len());
}

#[test]
fn an_answer_of_a_lagging_replica_begins_no_rollout() {
    for is_dated in [true, false] {
        let mut sidecar = Sidecar::with(rules(), &["a"]);
        sidecar.world.is_dated = is_dated;
        sidecar.run(40 * SECOND);
        sidecar.deploy("a", "d2");
        sidecar.run(3 * SECOND);
        sidecar.ready("a");
        sidecar.run_until("a d2 rollout.finished ready", 60 * SECOND);
        let old = sidecar.world.agents["a"].clone();
        let mut stale = old.clone();
        merge(
            &mut stale,
            json!({
            "desiredDeploymentId": "d1", "reconciledDeploymentId": "d1",
            "deployment": {"id": "d1", "createdAt": "2026-01-01T00:00:00Z"},
            "updatedAt": "2026-01-01T00:00:00Z"}),
        );
        for _ in 0..20 {
            sidecar.world.agents.insert("a".to_owned(), stale.clone());
            sidecar.world.list = Some(json!([entry("a", "d1")]));
            sidecar.run(4 * SECOND);
            sidecar.world.agents.insert("a".to_owned(), old.clone());
            sidecar.world.list = None;
            sidecar.run(31 * SECOND);
        }
        assert_eq!(
            sidecar.lines().len(),
            2,
            "{is_dated}: {:?}",
            sidecar.lines()
        );
    }
}

#[test]
fn one_name_twice_in_a_list_is_one_agent() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.world.list = Some(json!([
        entry("a", "d1"),
        entry("a", "d7"),
        entry("a", "d8")
    ]));
    sidecar.run(120 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0]);
    assert_eq!(sidecar.fleet.agents().count(), 1);
}

#[test]
fn an_agent_that_comes_is_added_and_its_deployment_is_a_rollout() {
    let mut sidecar = Sidecar::watching(&["a"]);
    let now = sidecar.server_now();
    sidecar.create("b", now);
    sidecar.set(
        "b",
        json!({"ready": false, "currentRevision": {"phase": "Validating"}}),
    );
    sidecar.run(20 * SECOND);
    sidecar.ready("b");
    sidecar.run_until("b d1 rollout.finished ready", 30 * SECOND);
    assert_eq!(
        sidecar.lines(),
        [
            "b d1 agent.added",
            "b d1 rollout.started",
            "b d1 rollout.finished ready"
        ]
    );
    // One that was made long ago, and shows only now, has not just been deployed.
    let long_ago = sidecar.server_now() - SignedDuration::from_hours(50);
    sidecar.create("c", long_ago);
    sidecar.run(60 * SECOND);
    assert_eq!(sidecar.lines().len(), 3, "{:?}", sidecar.lines());
    assert!(sidecar.fleet.agent("c").is_some());
}

#[test]
fn an_agent_that_was_deleted_in_mid_rollout_ends_it() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.deploy("a", "d2");
    sidecar.run_until("a d2 rollout.started", 20 * SECOND);
    sidecar.delete("a");
    sidecar.run_until("a d2 agent.removed", 60 * SECOND);
    assert_eq!(
        sidecar.lines(),
        [
            "a d2 rollout.started",
            "a d2 rollout.finished not-found",
            "a d2 agent.removed"
        ]
    );
    let keys: BTreeSet<&str> = sidecar
        .events
        .iter()
        .map(|e| e.dedup_key.as_str())
        .collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(sidecar.fleet.follows(), 0);
}

#[test]
fn another_agent_under_the_same_name_ends_what_was_open_and_is_followed_anew() {
    for in_mid_rollout in [false, true] {
        let mut sidecar = Sidecar::watching(&["a"]);
        if in_mid_rollout {
            sidecar.deploy("a", "d2");
            sidecar.run_until("a d2 rollout.started", 20 * SECOND);
        }
        sidecar.run(10 * SECOND);
        let now = sidecar.server_now();
        sidecar.create("a", now);
        sidecar.deploy("a", "d3");
        sidecar.run(20 * SECOND);
        sidecar.ready("a");
        sidecar.run_until("a d3 rollout.finished ready", 60 * SECOND);
        let lines = sidecar.lines();
        let started = lines
            .iter()
            .filter(|line| line.ends_with("started"))
            .count();
        let finished = lines
            .iter()
            .filter(|line| line.contains("finished"))
            .count();
        assert_eq!(started, finished, "{lines:?}");
        assert_eq!(started, 1 + usize::from(in_mid_rollout));
        if !in_mid_rollout {
            assert_eq!(
                lines,
                [
                    "a d1 agent.removed",
                    "a d3 agent.added",
                    "a d3 rollout.started",
                    "a d3 rollout.finished ready"
                ]
            );
        }
    }
}

#[test]
fn a_deployment_that_another_replaces_is_superseded_and_the_other_followed() {
    let mut sidecar = Sidecar::watching(&["a"]);
    for id in ["d2", "d3", "d4", "d5"] {
        sidecar.deploy("a", id);
        sidecar.run(16 * SECOND);
    }
    sidecar.ready("a");
    sidecar.run_until("a d5 rollout.finished ready", 30 * SECOND);
    let finished: Vec<String> = sidecar
        .lines()
        .into_iter()
        .filter(|l| l.contains("finished"))
        .collect();
    assert_eq!(
        finished,
        [
            "a d2 rollout.finished superseded",
            "a d3 rollout.finished superseded",
            "a d4 rollout.finished superseded",
            "a d5 rollout.finished ready"
        ]
    );
}

#[test]
fn a_named_agent_that_does_not_exist_is_reported_and_watched_once_it_does() {
    let mut sidecar = Sidecar::with(named(&["a", "nobody"]), &["a"]);
    sidecar.run(60 * SECOND);
    let reports = sidecar
        .log
        .iter()
        .filter(|line| line.contains("there is no agent nobody"));
    assert_eq!(reports.count(), 1, "{:?}", sidecar.log);
    assert_eq!(sidecar.fleet.missing_agents(), 1);
    let now = sidecar.server_now();
    sidecar.create("nobody", now);
    sidecar.run_until("nobody d1 rollout.finished ready", 30 * SECOND);
    assert_eq!(sidecar.lines()[0], "nobody d1 agent.added");
    assert_eq!(sidecar.fleet.missing_agents(), 0);
}

#[test]
fn a_named_agent_that_cannot_be_read_is_reported_once_and_does_not_block_the_others() {
    let mut sidecar = Sidecar::watching_by(named(&["a", "b"]), &["a", "b"]);
    sidecar
        .world
        .failures
        .insert("a".to_owned(), failure("Http500"));
    sidecar.run(120 * SECOND);
    sidecar.deploy("b", "d2");
    sidecar.run(3 * SECOND);
    sidecar.ready("b");
    sidecar.run_until("b d2 rollout.finished ready", 30 * SECOND);
    sidecar.world.failures.clear();
    sidecar.run(40 * SECOND);
    let of_a: Vec<&String> = sidecar
        .log
        .iter()
        .filter(|line| line.contains(": a "))
        .collect();
    assert_eq!(
        of_a,
        [
            "Warning: a cannot be read: the API answered Http500",
            "Info: a can be read again"
        ]
    );
    assert_eq!(sidecar.lines().len(), 2);
}

#[test]
fn an_agent_that_nobody_can_see_is_unknown_until_it_can_be_seen_again() {
    let mut sidecar = Sidecar::watching(&["a", "b"]);
    let status = |sidecar: &Sidecar, name| sidecar.fleet.agent(name).unwrap().status().0;
    let of_a = ("a".to_owned(), failure("Http500"));
    sidecar.world.failures.extend([of_a]);
    while sidecar.fleet.agents["a"].failing.is_none() {
        sidecar.run(TICK);
    }
    sidecar.run(55 * SECOND);
    assert_eq!(status(&sidecar, "a"), Status::Ready, "there is patience");
    // The sidecar is not blind: another agent is asked, and can be read.
    sidecar.run(600 * SECOND);
    assert_eq!(status(&sidecar, "a"), Status::Unknown);
    assert_eq!(sidecar.fleet.agent("a").unwrap().live.ready, None);
    assert_eq!(status(&sidecar, "b"), Status::Ready);
    sidecar.world.failures.clear();
    sidecar.run(31 * SECOND);
    assert_eq!(status(&sidecar, "a"), Status::Ready);
    assert_eq!(sidecar.lines(), [""; 0]);
}

#[test]
fn patterns_that_fit_nobody_are_reported() {
    for (agents, words) in [
        (
            &["dev-a", "dev-b"][..],
            "none of the 2 agents of the list is in scope",
        ),
        (&["dev-a"], "the only agent of the list is not in scope"),
    ] {
        let scope = Scope::new(&["prod-*".to_owned()], &[], Vec::new()).unwrap();
        let rules = Rules {
            watched: Watched::Listed(scope),
            ..rules()
        };
        let mut sidecar = Sidecar::with(rules, agents);
        sidecar.run(60 * SECOND);
        let line = format!("Warning: {words}: check include, exclude and regions");
        assert_eq!(sidecar.log, [line]);
    }
}

#[test]
fn names_that_cannot_be_asked_for_are_reported_once() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.world.list = Some(json!([
        entry("a", "d1"),
        entry("..", "d1"),
        entry("x\u{1b}y", "d1")
    ]));
    sidecar.run(120 * SECOND);
    let reports = sidecar
        .log
        .iter()
        .filter(|line| line.contains("is not watched"));
    assert_eq!(reports.count(), 2, "{:?}", sidecar.log);
    assert!(sidecar.log.iter().all(|line| !line.contains('\u{1b}')));
}

#[test]
fn agents_that_come_into_scope_are_not_added_and_those_out_of_it_stay_as_they_are() {
    let scope = |pattern: &str| Rules {
        watched: Watched::Listed(Scope::new(&[pattern.to_owned()], &[], Vec::new()).unwrap()),
        ..rules()
    };
    let mut sidecar = Sidecar::watching_by(scope("a*"), &["a", "b"]);
    sidecar.restart(scope("b*"), 60 * SECOND);
    sidecar.run(60 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0]);
    assert_eq!(sidecar.store.len(), 2, "what is out of scope is kept");
    assert_eq!(sidecar.fleet.agents().count(), 1);
}

/// Nobody would see the end of what is open, were it left as it is.
#[test]
fn what_is_open_is_closed_when_its_agent_leaves_the_scope() {
    let without = |pattern: &str| Rules {
        watched: Watched::Listed(Scope::new(&[], &[pattern.to_owned()], Vec::new()).unwrap()),
        ..rules()
    };
    let mut sidecar = Sidecar::watching(&["x-down", "x-new", "x-well", "y"]);
    sidecar.set("x-down", json!({"ready": false}));
    sidecar.run_until("x-down d1 agent.unready", 400 * SECOND);
    sidecar.deploy("x-new", "d2");
    sidecar.run_until("x-new d2 rollout.started", 20 * SECOND);
    for _ in 0..2 {
        sidecar.restart(without("x*"), 10 * SECOND);
        sidecar.run(60 * SECOND);
    }
    assert_eq!(
        sidecar.lines()[2..],
        [
            "x-down d1 agent.removed",
            "x-new d2 rollout.finished not-found",
            "x-new d2 agent.removed"
        ]
    );
    let removed = sidecar.last(EventKind::AgentRemoved);
    assert_eq!(removed.data.reason.as_ref().unwrap().code, "NotWatched");
    assert_eq!(sidecar.store.keys().collect::<Vec<_>>(), ["x-well", "y"]);
    // What is still so when it is watched again is reported again.
    sidecar.restart(rules(), 10 * SECOND);
    sidecar.run_until("x-down d1 agent.unready", 60 * SECOND);
    sidecar.ready("x-new");
    sidecar.run_until("x-new d2 rollout.finished ready", 60 * SECOND);
}

#[test]
fn another_agent_under_the_same_name_has_to_be_confirmed_and_one_that_comes_back_is_new() {
    let mut sidecar = Sidecar::watching_by(named(&["a"]), &["a"]);
    let truth = sidecar.world.agents["a"].clone();
    for created in [
        SignedDuration::from_hours(1),
        SignedDuration::from_hours(1000),
    ] {
        // One answer, then two, are not enough.
        for answers in [1, 2] {
            sidecar.world.agents.get_mut("a").unwrap()["createdAt"] = json!(sidecar.wall - created);
            let before = sidecar.checked.len();
            while sidecar.checked.len() < before + answers {
                sidecar.run(TICK);
            }
            sidecar.world.agents.insert("a".to_owned(), truth.clone());
            sidecar.run(60 * SECOND);
            assert_eq!(sidecar.lines(), [""; 0], "{created:?}");
        }
    }
    // Below a second, replicas write the same date differently.
    let created: Timestamp = truth["createdAt"].as_str().unwrap().parse().unwrap();
    let other = json!(created + SignedDuration::from_millis(795));
    sidecar.world.agents.get_mut("a").unwrap()["createdAt"] = other;
    sidecar.run(900 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0]);
    sidecar.world.agents.insert("a".to_owned(), truth.clone());
    sidecar.run(900 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0]);
    sidecar.delete("a");
    sidecar.run_until("a d1 agent.removed", 400 * SECOND);
    sidecar.world.agents.insert("a".to_owned(), truth);
    sidecar.run(60 * SECOND);
    assert_eq!(sidecar.lines(), ["a d1 agent.removed", "a d1 agent.added"]);
}
