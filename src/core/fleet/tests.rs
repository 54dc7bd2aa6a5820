//! What is remembered and told: lists, rollouts and looks in, changes out.

use super::*;
use crate::core::fleet::old::{AgentRecord, Change, Standing};
use crate::core::rollout::{Event, Interruption, Outcome, Phase, Reason, Verdict};
use crate::core::wire::Service;

mod comings;
mod doubts;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn service(name: &str, desired: &str, reconciled: &str) -> Service {
    Service {
        id: Some(format!("id-of-{name}")),
        name: Some(name.to_owned()),
        region: Some("us-west".to_owned()),
        desired_deployment_id: Some(desired.to_owned()),
        reconciled_deployment_id: Some(reconciled.to_owned()),
        ..Service::default()
    }
}

fn outcome(deployment: &str, verdict: Verdict) -> Outcome {
    Outcome {
        reason: (verdict != Verdict::Ready).then(|| Reason {
            code: "Why".to_owned(),
            summary: "because".to_owned(),
            message: None,
        }),
        deployment_id: Some(deployment.to_owned()),
        available: Some(true),
        elapsed: std::time::Duration::from_secs(5),
        polls: 3,
        ..Outcome::new(verdict)
    }
}

fn found(deployment: &str) -> Event {
    Event::TargetFound {
        deployment_id: deployment.to_owned(),
        created_at: None,
    }
}

fn entered(phase: Phase) -> Event {
    Event::PhaseChanged {
        phase,
        previous: Phase::Waiting,
        lasted: std::time::Duration::ZERO,
    }
}

fn ids(change: &Change) -> Vec<&str> {
    change
        .notices
        .iter()
        .map(|notice| notice.id.as_str())
        .collect()
}

fn begun(step: &ListStep) -> Vec<(&str, &str)> {
    let begun = step.begin.iter();
    begun
        .map(|begin| (begin.agent.as_str(), begin.deployment_id.as_str()))
        .collect()
}

/// A fleet of one agent at rest with the deployment `old`, one list after the first start.
fn resting() -> Fleet {
    let mut fleet = Fleet::restore(Vec::new());
    assert!(
        fleet
            .on_list(at(0), &[service("a", "old", "old")])
            .begin
            .is_empty()
    );
    fleet
}

/// Ends the program and starts it anew with what it remembered.
fn restart(fleet: &Fleet) -> Fleet {
    let json = serde_json::to_string(&fleet.agents().collect::<Vec<_>>()).unwrap();
    Fleet::restore(serde_json::from_str(&json).unwrap())
}

#[test]
fn on_the_first_start_agents_at_rest_are_taken_as_they_stand() {
    let mut fleet = Fleet::restore(Vec::new());
    let step = fleet.on_list(at(0), &[service("a", "x", "x"), service("b", "new", "old")]);
    assert_eq!(begun(&step), [("b", "new")]);
    assert_eq!(step.change.notices, []);
    assert_eq!(step.change.agents.len(), 2);
    assert_eq!(step.added, ["a", "b"]);
}

#[test]
fn a_rollout_is_told_from_its_start_to_its_verdict() {
    let mut fleet = resting();
    let list = [service("a", "new", "old")];
    let step = fleet.on_list(at(10), &list);
    assert_eq!(begun(&step), [("a", "new")]);
    assert!(step.change.is_empty(), "the list is only a hint");
    assert_eq!(
        begun(&fleet.on_list(at(20), &list)),
        [],
        "it is being followed"
    );

    let change = fleet.happened(at(21), "a", &found("new"));
    assert_eq!(ids(&change), ["a/old..new/started"]);
    let data = &change.notices[0].data;
    assert_eq!(data.previous_deployment_id.as_deref(), Some("old"));
    assert!(!data.observed_late && data.region.as_deref() == Some("us-west"));
    let change = fleet.happened(at(22), "a", &entered(Phase::Creating));
    assert_eq!(ids(&change), ["a/old..new/phase/creating"]);
    for phase in [Phase::Creating, Phase::Waiting] {
        assert!(
            fleet.happened(at(23), "a", &entered(phase)).is_empty(),
            "{phase}"
        );
    }
    let change = fleet.ended(at(30), "a", &outcome("new", Verdict::Ready));
    assert_eq!(ids(&change), ["a/old..new/finished/ready"]);
    assert_eq!(change.rollouts[0].elapsed_ms, 9000);
    assert_eq!(change.agents[0].deployment_id.as_deref(), Some("new"));
    assert_eq!(begun(&fleet.on_list(at(40), &list)), [], "it is over");
}

#[test]
fn a_hint_that_proves_stale_is_told_to_nobody() {
    let mut fleet = resting();
    let step = fleet.on_list(at(10), &[service("a", "older", "older")]);
    assert_eq!(begun(&step), [("a", "older")]);
    let change = fleet.ended(at(40), "a", &outcome("older", Verdict::Unchanged));
    assert!(change.is_empty());
    let step = fleet.on_list(at(41), &[service("a", "old", "old")]);
    assert!(step.begin.is_empty() && step.change.is_empty());
}

#[test]
fn what_ends_without_a_verdict_about_the_deployment_goes_on() {
    for verdict in [
        Verdict::Unavailable,
        Verdict::Unauthorized,
        Verdict::Interrupted(Interruption::Terminate),
    ] {
        let mut fleet = resting();
        let list = [service("a", "new", "old")];
        let _ = fleet.on_list(at(10), &list);
        let _ = fleet.happened(at(11), "a", &found("new"));
        assert!(
            fleet
                .ended(at(20), "a", &outcome("new", verdict))
                .is_empty()
        );
        assert_eq!(begun(&fleet.on_list(at(30), &list)), [("a", "new")]);
        assert!(
            fleet.happened(at(31), "a", &found("new")).is_empty(),
            "told already"
        );
        let change = fleet.ended(at(40), "a", &outcome("new", Verdict::Failed));
        assert_eq!(ids(&change), ["a/old..new/finished/failed"]);
        assert_eq!(change.rollouts[0].elapsed_ms, 29_000);
    }
}

#[test]
fn a_restart_neither_repeats_nor_misses() {
    let mut fleet = resting();
    let _ = fleet.on_list(at(10), &[service("a", "new", "old")]);
    let _ = fleet.happened(at(11), "a", &found("new"));
    let _ = fleet.happened(at(12), "a", &entered(Phase::Creating));
    // It goes on under way.
    let mut same = restart(&fleet);
    assert_eq!(
        begun(&same.on_list(at(50), &[service("a", "new", "new")])),
        [("a", "new")]
    );
    assert!(same.happened(at(51), "a", &found("new")).is_empty());
    assert!(
        same.happened(at(51), "a", &entered(Phase::Creating))
            .is_empty()
    );
    let change = same.ended(at(52), "a", &outcome("new", Verdict::Ready));
    assert_eq!(ids(&change), ["a/old..new/finished/ready"]);
    // Another took its place meanwhile.
    let mut other = restart(&fleet);
    let _ = other.on_list(at(50), &[service("a", "newer", "newer")]);
    let change = other.happened(at(51), "a", &found("newer"));
    assert_eq!(
        ids(&change),
        ["a/old..new/finished/superseded", "a/new..newer/started"]
    );
    assert_eq!(change.rollouts[0].verdict, Verdict::Superseded);
    assert!(change.notices[1].data.observed_late);
    // One began, and ended, while nobody watched.
    let mut rested = restart(&resting());
    let step = rested.on_list(
        at(50),
        &[service("a", "new", "new"), service("b", "x", "x")],
    );
    assert_eq!(begun(&step), [("a", "new"), ("b", "x")]);
    assert_eq!(ids(&step.change), ["b/id-of-b/added"]);
    let change = rested.happened(at(51), "a", &found("new"));
    assert!(change.notices[0].data.observed_late);
    let change = rested.ended(at(51), "a", &outcome("new", Verdict::Ready));
    assert!(change.rollouts[0].observed_late);
}

#[test]
fn a_step_that_is_taken_again_has_an_id_of_its_own() {
    let mut fleet = resting();
    let mut told = Vec::new();
    for (second, deployment) in [(10, "new"), (20, "old"), (30, "new"), (40, "old")] {
        let _ = fleet.on_list(at(second), &[service("a", deployment, deployment)]);
        let change = fleet.happened(at(second), "a", &found(deployment));
        told.extend(ids(&change).into_iter().map(str::to_owned));
        let _ = fleet.ended(at(second), "a", &outcome(deployment, Verdict::Ready));
    }
    assert_eq!(
        told,
        [
            "a/old..new/started",
            "a/new..old/started",
            "a/old..new/2/started",
            "a/new..old/2/started"
        ]
    );
}

#[test]
fn agents_come_and_go() {
    let mut fleet = resting();
    let (a, b) = (service("a", "old", "old"), service("b", "first", "-"));
    let step = fleet.on_list(at(10), &[a.clone(), b.clone()]);
    assert_eq!(ids(&step.change), ["b/id-of-b/added"]);
    assert_eq!(begun(&step), [("b", "first")]);
    // A list that lags does not remove it.
    for second in [20, 30] {
        assert!(
            fleet
                .on_list(at(second), std::slice::from_ref(&a))
                .change
                .is_empty()
        );
    }
    let step = fleet.on_list(at(40), std::slice::from_ref(&a));
    assert_eq!(
        (ids(&step.change), step.change.removed.clone()),
        (vec!["b/id-of-b/removed"], vec!["b".to_owned()])
    );
    assert!(fleet.agent("b").is_none());
    // Deleted, and made anew under the same name between two lists.
    let again = Service {
        id: Some("another".to_owned()),
        ..a
    };
    for second in [50, 51] {
        let step = fleet.on_list(at(second), std::slice::from_ref(&again));
        assert!(step.change.is_empty(), "nothing tells which came later");
    }
    let step = fleet.on_list(at(52), &[again]);
    assert_eq!(ids(&step.change), ["a/id-of-a/removed", "a/another/added"]);
    assert_eq!(step.change.agents.len(), 1);
    let deleted = Service {
        deleted_at: Some(at(1)),
        ..service("c", "x", "x")
    };
    assert!(fleet.on_list(at(60), &[deleted]).change.is_empty());
}

fn unready() -> Look {
    Look::NotReady(None)
}

#[test]
fn an_agent_that_stops_being_ready_is_told_once_confirmed_and_so_is_its_recovery() {
    let mut fleet = resting();
    let (change, next) = fleet.looked(at(100), "a", Look::Ready);
    assert!(change.is_empty() && next == NextLook::Regular);
    for second in [200, 201] {
        let (change, next) = fleet.looked(at(second), "a", unready());
        assert!(change.is_empty() && next == NextLook::ToConfirm);
    }
    let (_, next) = fleet.looked(at(202), "a", Look::Unknown);
    assert_eq!(next, NextLook::ToConfirm, "no answer says nothing");
    let (change, next) = fleet.looked(at(203), "a", unready());
    assert_eq!(
        (ids(&change), next),
        (vec!["a/old/unready/1"], NextLook::Watchful)
    );
    assert!(fleet.looked(at(210), "a", unready()).0.is_empty());
    let mut fleet = restart(&fleet);
    let (change, next) = fleet.looked(at(233), "a", Look::Ready);
    assert_eq!(
        (ids(&change), next),
        (vec!["a/old/unready/1/recovered"], NextLook::Regular)
    );
    assert_eq!(change.notices[0].data.elapsed_ms, Some(30_000));
    for second in [300, 301, 302] {
        let _ = fleet.looked(at(second), "a", unready());
    }
    let unready = matches!(&fleet.agent("a").unwrap().standing, Standing::Unready { id, .. } if id == "a/old/unready/2");
    assert!(unready);
}

#[test]
fn a_flicker_is_no_outage() {
    let mut fleet = resting();
    for second in 0..9 {
        let look = if second % 3 == 2 {
            Look::Ready
        } else {
            unready()
        };
        assert!(fleet.looked(at(second), "a", look).0.is_empty());
    }
}

#[test]
fn a_failed_rollout_that_recovers_by_itself_is_told() {
    let mut fleet = resting();
    let _ = fleet.on_list(at(10), &[service("a", "new", "new")]);
    assert_eq!(fleet.looked(at(10), "a", unready()).1, NextLook::Never);
    let _ = fleet.happened(at(11), "a", &found("new"));
    let _ = fleet.ended(at(20), "a", &outcome("new", Verdict::Failed));
    let (change, next) = fleet.looked(at(30), "a", unready());
    assert!(change.is_empty() && next == NextLook::Watchful);
    let (change, _) = fleet.looked(at(50), "a", Look::Ready);
    assert_eq!(ids(&change), ["a/new/unready/1/recovered"]);
    assert!(fleet.looked(at(60), "a", Look::Ready).0.is_empty());
}

/// It was told as the recovery from the outage before, a second time.
#[test]
fn one_that_another_took_the_place_of_leaves_nothing_to_recover_from() {
    let mut fleet = resting();
    for second in 0..3 {
        let _ = fleet.looked(at(second), "a", unready());
    }
    let _ = fleet.looked(at(4), "a", Look::Ready);
    let _ = fleet.on_list(at(10), &[service("a", "new", "old")]);
    let _ = fleet.happened(at(11), "a", &found("new"));
    let _ = fleet.ended(at(20), "a", &outcome("new", Verdict::Superseded));
    let (change, next) = fleet.looked(at(21), "a", Look::Ready);
    assert!(change.is_empty() && next == NextLook::Regular, "{change:?}");
}
