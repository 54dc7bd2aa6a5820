//! How long rollouts are said to take.

use super::*;

/// A rollout that begins this long after the list was read, and takes so long.
fn measured(sidecar: &mut Sidecar, after: Duration, takes: Duration, id: &str) -> EventData {
    sidecar.run(after);
    sidecar.deploy("a", id);
    sidecar.run(takes);
    sidecar.ready("a");
    sidecar.run_until(&format!("a {id} rollout.finished ready"), 60 * SECOND);
    sidecar.last(EventKind::RolloutFinished).data.clone()
}

#[test]
fn durations_count_from_the_deployments_creation_also_where_it_was_over_when_found() {
    let mut sidecar = Sidecar::watching(&["a"]);
    let mut errors = Vec::new();
    for number in 0..200_u64 {
        let takes = Duration::from_millis(5000 + number * 277);
        let after = Duration::from_millis(1000 + number * 731 % 15_000);
        let data = measured(&mut sidecar, after, takes, &format!("d{}", number + 2));
        assert!(!data.observed_late);
        let error = data
            .elapsed_ms
            .unwrap()
            .abs_diff(u64::try_from(takes.as_millis()).unwrap());
        errors.push(error);
        let last = data.phases.last().unwrap();
        assert!(last.at_ms <= data.elapsed_ms.unwrap());
    }
    errors.sort_unstable();
    // The platform dates the last phase.
    assert!(errors[100] < 100, "median {}", errors[100]);
    assert!(errors[190] < 600, "95th percentile {}", errors[190]);
}

#[test]
fn phases_of_what_was_over_when_found_end_with_the_last() {
    let mut sidecar = Sidecar::watching(&["a"]);
    for number in 0..15_u64 {
        let (after, takes) = (SECOND, Duration::from_millis(300 + number * 100));
        let data = measured(&mut sidecar, after, takes, &format!("d{}", number + 2));
        let at: Vec<u64> = data.phases.iter().map(|entry| entry.at_ms).collect();
        assert!(at.is_sorted(), "{:?}", data.phases);
        assert!(at.last() <= data.elapsed_ms.as_ref(), "{:?}", data.phases);
    }
}

#[test]
fn a_wall_clock_that_jumps_or_is_wrong_changes_no_duration() {
    for (ahead, jump) in [(3600, 0), (-3600, 0), (0, 7200), (0, -7200), (86_400, -300)] {
        let mut sidecar = Sidecar::with(rules(), &[]);
        sidecar.world.server_ahead = SignedDuration::from_secs(ahead);
        let long_ago = sidecar.server_now() - SignedDuration::from_hours(48);
        sidecar.create("a", long_ago);
        sidecar.run(40 * SECOND);
        sidecar.deploy("a", "d2");
        sidecar.run(20 * SECOND);
        // Ours jumps, the server's does not.
        sidecar.wall += SignedDuration::from_secs(jump);
        sidecar.world.server_ahead -= SignedDuration::from_secs(jump);
        sidecar.run(20 * SECOND);
        sidecar.ready("a");
        sidecar.run_until("a d2 rollout.finished ready", 60 * SECOND);
        let data = &sidecar.last(EventKind::RolloutFinished).data;
        let elapsed = data.elapsed_ms.unwrap();
        assert!(
            (39_400..41_600).contains(&elapsed),
            "{ahead} {jump}: {elapsed}"
        );
        assert!(!data.observed_late);
    }
}

#[test]
fn without_dates_a_duration_is_said_to_be_inexact() {
    let mut sidecar = Sidecar::with(rules(), &["a"]);
    sidecar.world.is_dated = false;
    sidecar.run(40 * SECOND);
    let data = measured(&mut sidecar, SECOND, 40 * SECOND, "d2");
    assert!(data.observed_late);
    assert!(data.deployment_created_at.is_none());
}

#[test]
fn a_rollout_over_a_restart_keeps_its_start() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.deploy("a", "d2");
    sidecar.run_until("a d2 rollout.started", 20 * SECOND);
    let before = sidecar.wall;
    sidecar.restart(rules(), 30 * SECOND);
    sidecar.run(5 * SECOND);
    sidecar.ready("a");
    sidecar.run_until("a d2 rollout.finished ready", 20 * SECOND);
    let events = sidecar.lines();
    assert_eq!(
        events,
        ["a d2 rollout.started", "a d2 rollout.finished ready"]
    );
    let data = &sidecar.last(EventKind::RolloutFinished).data;
    let created = data.deployment_created_at.unwrap();
    let truth = sidecar.wall.duration_since(created).as_millis();
    let elapsed = i128::from(data.elapsed_ms.unwrap());
    assert!((elapsed - truth).abs() < 2500, "{elapsed} for {truth}");
    assert!(before > created && !data.observed_late);
    // One that began and ended while nobody watched is told by the platform's own dates.
    sidecar.deploy("a", "d3");
    let created = sidecar.server_now();
    sidecar.wall += SignedDuration::from_secs(7);
    sidecar.ready("a");
    sidecar.restart(rules(), Duration::from_hours(3));
    sidecar.run_until("a d3 rollout.finished ready", 30 * SECOND);
    let data = &sidecar.last(EventKind::RolloutFinished).data;
    assert_eq!(data.started_at, Some(created));
    assert_eq!((data.elapsed_ms, data.observed_late), (Some(7000), false));
}

#[test]
fn a_failure_that_was_over_when_found_has_its_own_time() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.deploy("a", "d2");
    sidecar.run(3 * SECOND);
    sidecar.fail("a");
    sidecar.run_until("a d2 rollout.finished failed", 30 * SECOND);
    let data = &sidecar.last(EventKind::RolloutFinished).data;
    let elapsed = data.elapsed_ms.unwrap();
    assert!(
        (3000..25_000).contains(&elapsed) && !data.observed_late,
        "{data:?}"
    );
}

#[test]
fn no_phase_is_later_than_the_end_however_long_the_answer_took() {
    for is_dated in [true, false] {
        let mut sidecar = Sidecar::with(rules(), &["a"]);
        sidecar.world.is_dated = is_dated;
        sidecar.run(40 * SECOND);
        sidecar.world.first_answer = 3 * SECOND;
        sidecar.deploy("a", "d2");
        sidecar.run(2 * SECOND);
        sidecar.set("a", json!({"currentRevision": {"phase": "Failed"}}));
        sidecar.run_until("a d2 rollout.finished failed", 60 * SECOND);
        let data = &sidecar.last(EventKind::RolloutFinished).data;
        assert!(!data.phases.is_empty(), "{data:?}");
    }
}

#[test]
fn a_roll_back_says_so_and_is_timed_from_when_it_happened() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.deploy("a", "d2");
    sidecar.run(2 * SECOND);
    sidecar.ready("a");
    sidecar.run_until("a d2 rollout.finished ready", 30 * SECOND);
    assert!(!sidecar.last(EventKind::RolloutFinished).data.rolled_back);
    sidecar.run(60 * SECOND);
    // The old deployment, with its own date of long ago.
    let long_ago = sidecar.server_now() - SignedDuration::from_hours(48);
    sidecar.deploy("a", "d1");
    sidecar.set("a", json!({"deployment": {"createdAt": long_ago}}));
    sidecar.run(20 * SECOND);
    sidecar.ready("a");
    sidecar.run_until("a d1 rollout.finished ready", 30 * SECOND);
    let data = &sidecar.last(EventKind::RolloutFinished).data;
    assert!(data.rolled_back);
    assert_eq!(data.previous_deployment_id.as_deref(), Some("d2"));
    let elapsed = data.elapsed_ms.unwrap();
    assert!((19_000..22_000).contains(&elapsed), "{elapsed}");
    assert_eq!(data.image.as_deref(), Some("image:d1"));
}

#[test]
fn rolling_forward_to_what_ran_before_is_timed_from_when_it_happened() {
    for is_dated in [true, false] {
        let mut sidecar = Sidecar::watching(&["a"]);
        let old = sidecar.server_now() - SignedDuration::from_hours(48);
        let newer = sidecar.server_now();
        // Without this date nobody knows when it happened.
        let undate = |sidecar: &mut Sidecar| {
            if !is_dated {
                sidecar.world.agents.get_mut("a").unwrap()["updatedAt"] = Value::Null;
            }
        };
        let to = |sidecar: &mut Sidecar, id: &str, created: Timestamp| {
            sidecar.deploy("a", id);
            sidecar.set("a", json!({"deployment": {"createdAt": created}}));
            undate(sidecar);
            sidecar.run_until(&format!("a {id} rollout.started"), 400 * SECOND);
        };
        to(&mut sidecar, "d2", newer);
        sidecar.ready("a");
        undate(&mut sidecar);
        sidecar.run(2 * 3600 * SECOND);
        sidecar.events.clear();
        to(&mut sidecar, "d1", old);
        assert!(sidecar.last(EventKind::RolloutStarted).data.rolled_back);
        sidecar.ready("a");
        undate(&mut sidecar);
        sidecar.run(20 * SECOND);
        to(&mut sidecar, "d2", newer);
        let data = &sidecar.last(EventKind::RolloutStarted).data;
        assert!(!data.rolled_back && data.observed_late != is_dated);
        sidecar.run(75 * SECOND);
        sidecar.ready("a");
        undate(&mut sidecar);
        sidecar.run_until("a d2 rollout.finished ready", 60 * SECOND);
        let elapsed = sidecar.last(EventKind::RolloutFinished).data.elapsed_ms;
        let elapsed = elapsed.unwrap();
        assert!((75_000..95_000).contains(&elapsed), "{elapsed}");
    }
}

#[test]
fn the_phases_from_before_a_restart_are_kept_in_front() {
    let mut sidecar = Sidecar::watching(&["a"]);
    sidecar.deploy("a", "d2");
    sidecar.set("a", json!({"reconciledDeploymentId": "d1"}));
    sidecar.run_until("a d2 rollout.started", 20 * SECOND);
    sidecar.run(5 * SECOND);
    sidecar.set("a", json!({"reconciledDeploymentId": "d2"}));
    sidecar.run(5 * SECOND);
    let known = sidecar.store["a"].under_way().unwrap().phases.clone();
    assert_eq!(known.len(), 2, "{known:?}");
    sidecar.restart(rules(), 30 * SECOND);
    sidecar.run(5 * SECOND);
    sidecar.ready("a");
    sidecar.run_until("a d2 rollout.finished ready", 20 * SECOND);
    let data = &sidecar.last(EventKind::RolloutFinished).data;
    assert_eq!(data.phases[..2], known);
    assert_eq!(data.phases.len(), 3, "{:?}", data.phases);
    assert!(data.phases.is_sorted_by_key(|entry| entry.at_ms));
}
