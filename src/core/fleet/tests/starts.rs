//! What is believed at a first start, after a restart, and of dates.

use super::*;

#[test]
fn a_first_start_in_mid_rollout_follows_it() {
    for is_named in [false, true] {
        for is_dated in [true, false] {
            let rules = if is_named { named(&["a"]) } else { rules() };
            let mut sidecar = Sidecar::with(rules, &["a"]);
            sidecar.world.is_dated = is_dated;
            // The list says that it is reconciled, and only the details that it is not ready.
            sidecar.deploy("a", "d2");
            sidecar.wall += SignedDuration::from_secs(4);
            sidecar.run(10 * SECOND);
            sidecar.fail("a");
            sidecar.run_until("a d2 rollout.finished failed", 30 * SECOND);
            let lines = sidecar.lines();
            let expected = ["a d2 rollout.started", "a d2 rollout.finished failed"];
            assert_eq!(lines, expected, "{is_named} {is_dated}");
            let data = &sidecar.last(EventKind::RolloutFinished).data;
            assert_eq!(data.previous_deployment_id, None);
            assert_eq!(data.observed_late, !is_dated);
            if is_dated {
                let elapsed = data.elapsed_ms.unwrap();
                assert!((14_000..16_000).contains(&elapsed), "{elapsed}");
            }
        }
    }
}

#[test]
fn a_first_start_takes_what_is_at_rest_or_was_deployed_long_ago_as_it_is() {
    for is_named in [false, true] {
        let rules = if is_named {
            named(&["new", "down"])
        } else {
            rules()
        };
        let mut sidecar = Sidecar::with(rules, &["down"]);
        sidecar.set("down", json!({"ready": false}));
        let now = sidecar.server_now();
        sidecar.create("new", now);
        sidecar.run_until("down d1 agent.unready", 60 * SECOND);
        sidecar.run(60 * SECOND);
        assert_eq!(sidecar.lines(), ["down d1 agent.unready"], "{is_named}");
    }
}

#[test]
fn an_agent_whose_record_was_lost_is_neither_added_nor_rolled_out() {
    let mut sidecar = Sidecar::watching(&["a", "b"]);
    let wall = sidecar.wall;
    sidecar
        .store
        .insert("a".to_owned(), AgentRecord::new("a", wall));
    sidecar.restart(rules(), 60 * SECOND);
    sidecar.run(60 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0]);
    assert_eq!(
        sidecar.fleet.agent("a").unwrap().deployment_id(),
        Some("d1")
    );
}

#[test]
fn what_changed_while_it_was_down_is_found() {
    let mut sidecar = Sidecar::watching(&["a", "b", "c"]);
    sidecar.deploy("a", "d2");
    sidecar.ready("a");
    sidecar.delete("b");
    sidecar.restart(rules(), 600 * SECOND);
    let now = sidecar.server_now();
    sidecar.create("d", now);
    sidecar.run(60 * SECOND);
    let mut lines = sidecar.lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            "a d2 rollout.finished ready",
            "a d2 rollout.started",
            "b d1 agent.removed",
            "d d1 agent.added",
            "d d1 rollout.finished ready",
            "d d1 rollout.started"
        ]
    );
}

#[test]
fn a_first_list_of_forty_thousand_agents_is_taken_in_without_quadratic_work() {
    let services: Vec<Service> = (0..40_000)
        .map(|number| Service {
            name: format!("agent-{number}"),
            desired_deployment_id: Some("d1".to_owned()),
            reconciled_deployment_id: Some("d1".to_owned()),
            ..Service::default()
        })
        .collect();
    let mut fleet = Fleet::restore(rules(), Vec::new(), None);
    let now = Moment {
        at: Duration::ZERO,
        wall: Timestamp::UNIX_EPOCH,
    };
    let step = fleet.handle(now, Input::Listed(services.clone()));
    assert_eq!(step.change.agents.len(), 40_000);
    let step = fleet.handle(now, Input::Listed(services));
    assert!(step.change.is_empty());
    // Half of ten requests a second.
    assert_eq!(fleet.check_interval(Duration::ZERO).0, 8000 * SECOND);
}

#[test]
fn a_deploy_is_not_held_up_by_a_check_that_waits_behind_others() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.is_saturated = true;
    // Its regular check waits for its turn.
    sidecar.run(400 * SECOND);
    sidecar.deploy("a", "d2");
    sidecar.run_until("a d2 rollout.started", 30 * SECOND);

    // All places of regular checks are taken, and others are overdue.
    let names: Vec<String> = (0..30).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut sidecar = Sidecar::watching(&names);
    sidecar.is_saturated = true;
    sidecar.run(700 * SECOND);
    for name in names {
        sidecar.deploy(name, "d2");
        sidecar.run_until(&format!("{name} d2 rollout.started"), 30 * SECOND);
    }
}

/// What an answer, the list or an older store says of a time that has not come proves nothing: nobody is
/// blind because of it.
#[test]
fn a_date_in_the_future_blinds_nobody() {
    for (source, ahead) in ["answer", "list", "store", "first answer"]
        .into_iter()
        .flat_map(|source| [30, 600, 2_000_000_000].map(|ahead| (source, ahead)))
    {
        let mut sidecar = Sidecar::with(rules(), &["a"]);
        sidecar.world.server_ahead = SignedDuration::from_secs(-7200);
        let poison = |agent: &mut Value, now: Timestamp| {
            let future = now + SignedDuration::from_secs(ahead);
            for key in ["updatedAt", "createdAt"] {
                agent[key] = json!(future);
            }
            agent["deployment"]["createdAt"] = json!(future);
        };
        let truth = sidecar.world.agents["a"].clone();
        let now = sidecar.server_now();
        if source == "list" {
            let mut shown = entry("a", "d1");
            poison(&mut shown, now);
            sidecar.world.list = Some(json!([shown]));
        } else if source == "first answer" {
            poison(sidecar.world.agents.get_mut("a").unwrap(), now);
            sidecar.run(SECOND);
            sidecar.world.agents.insert("a".to_owned(), truth.clone());
        }
        sidecar.run(40 * SECOND);
        sidecar.world.list = None;
        if source == "answer" {
            let before = sidecar.checked.len();
            while sidecar.checked.len() == before {
                let now = sidecar.server_now();
                poison(sidecar.world.agents.get_mut("a").unwrap(), now);
                sidecar.run(TICK);
            }
        } else if source == "store" {
            let future = Some(sidecar.server_now() + SignedDuration::from_secs(ahead));
            let record = sidecar.store.get_mut("a").unwrap();
            record.updated_at = future;
            record.created_at = future;
            record.deployment.as_mut().unwrap().created_at = future;
            sidecar.restart(rules(), SECOND);
        }
        sidecar.world.agents.insert("a".to_owned(), truth);
        sidecar.set("a", json!({"ready": false}));
        sidecar.run_until("a d1 agent.unready", 400 * SECOND);
        sidecar.deploy("a", "d2");
        sidecar.run_until("a d2 rollout.started", 20 * SECOND);
        sidecar.ready("a");
        sidecar.run_until("a d2 rollout.finished ready", 20 * SECOND);
        assert_eq!(
            sidecar.lines().len(),
            3,
            "{source}, {ahead} s: {:?}",
            sidecar.lines()
        );
    }
}

#[test]
fn what_was_created_after_the_list_has_shown_another_is_new_at_once() {
    let mut sidecar = Sidecar::with(rules(), &["a"]);
    sidecar.is_saturated = true;
    sidecar.run(5 * SECOND);
    assert_eq!(sidecar.checked, []);
    sidecar.deploy("a", "d2");
    sidecar.run_until("a d2 rollout.started", 20 * SECOND);
    assert_eq!(sidecar.checked.len(), 1);
}

#[test]
fn details_count_whatever_date_the_list_gives() {
    for rules in [
        rules(),
        Rules {
            mode: Mode::Once,
            ..rules()
        },
    ] {
        let mut sidecar = Sidecar::with(rules, &["a"]);
        let mut shown = entry("a", "d1");
        shown["updatedAt"] = json!(sidecar.server_now() - SignedDuration::from_secs(1));
        sidecar.world.list = Some(json!([shown]));
        sidecar.set("a", json!({"ready": false}));
        let details = sidecar.world.agents.get_mut("a").unwrap();
        details["updatedAt"] = json!(sidecar.wall - SignedDuration::from_secs(2));
        sidecar.run_until("a d1 agent.unready", 60 * SECOND);
    }
}
