//! How a watch ends and what it leaves behind: the outcome, interruptions, the single look.

use super::*;

fn one_look(rule: TargetRule) -> Watch {
    Watch::of(Policy::one_look(rule, Limits::default()))
}

#[test]
fn after_the_verdict_nothing_changes_it() {
    let mut watch = watch();
    watch
        .see(0, reconciling())
        .see(1000, reconciled().own(Told::Failed))
        .ended(Verdict::Failed);
    let told = watch.told.len();
    // `Watch` compares each outcome with the one before.
    watch
        .see(2000, reconciled().ready())
        .see(3000, absent())
        .see(4000, transient());
    watch.see(5000, ids("newer", "newer")).lapse(900_000);
    watch.interrupt(900_001, Interruption::Interrupt);
    let outcome = watch.ended(Verdict::Failed);
    assert_eq!((outcome.polls, outcome.elapsed), (2, ms(1000)));
    assert_eq!(watch.told.len(), told);
}

#[test]
fn an_interruption_ends_the_watch_whatever_is_known() {
    for (interruption, code) in [
        (Interruption::Interrupt, 130),
        (Interruption::Terminate, 143),
    ] {
        let mut before = watch();
        before.interrupt(10, interruption);
        let outcome = before.ended(Verdict::Interrupted(interruption));
        assert_eq!((outcome.verdict.exit_code(), outcome.polls), (code, 0));

        let mut within = watch();
        within
            .see(0, reconciled().own(Told::Creating).issue().available(true))
            .see(500, transient());
        within.interrupt(700_000, interruption);
        let outcome = within.ended(Verdict::Interrupted(interruption));
        assert_eq!(outcome.available, Some(true));
        assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
        assert_eq!(
            outcome.revision.as_ref().unwrap().phase.as_deref(),
            Some("Creating")
        );
    }
}

#[test]
fn a_lapse_before_anything_is_due_changes_nothing() {
    let mut watch = watch_with(|l| l.stable_for = ms(5000));
    watch
        .see(0, reconciled().ready())
        .lapse(1)
        .lapse(5000)
        .lapse(599_999)
        .goes_on();
    assert_eq!(watch.machine.polls, 1);
    assert_eq!(watch.count("finished"), 0);
}

#[test]
fn the_outcome_tells_of_the_target_as_it_was_seen_last() {
    let mut watch = Watch::new(any_but("old"));
    watch
        .see(0, ids("old", "old").available(true))
        .see(1000, transient());
    watch.see(2000, reconciling().available(true));
    watch.see(3500, reconciled().own(Told::Creating).available(true));
    let health = Health {
        last_exit_code: Some(137),
        last_termination_reason: Some("OOMKilled".to_owned()),
        ..waiting("CrashLoopBackOff", 6)
    };
    let last = reconciled()
        .own(Told::Validating)
        .health(health)
        .available(false);
    watch.see(
        9000,
        last.with(|a| a.current_revision.as_mut().unwrap().ready_replicas = Some(0)),
    );
    let outcome = watch.ended(Verdict::Failed);
    let revision = RevisionReport {
        phase: Some("Validating".to_owned()),
        ready_replicas: Some(0),
        restart_count: Some(6),
        replicas_started: Some(1),
        last_exit_code: Some(137),
        last_termination_reason: Some("OOMKilled".to_owned()),
    };
    let phases = [
        (Phase::Waiting, 0),
        (Phase::Reconciling, 2000),
        (Phase::Creating, 3500),
        (Phase::Validating, 9000),
    ];
    let phases = phases.map(|(phase, at_ms)| PhaseEntry { phase, at_ms });
    let expected = Outcome {
        reason: outcome.reason.clone(),
        deployment_id: Some("new".to_owned()),
        baseline_deployment_id: Some("old".to_owned()),
        available: Some(false),
        revision: Some(revision),
        elapsed: ms(9000),
        phases: phases.to_vec(),
        polls: 5,
        failed_polls: 1,
        ..Outcome::new(Verdict::Failed)
    };
    assert_eq!(outcome, &expected);
}

#[test]
fn the_outcome_never_shows_another_deployments_revision_as_the_targets() {
    for answer in [
        reconciling().own(Told::Creating),
        reconciling().revision("old", Told::Active),
    ] {
        let mut watch = watch();
        watch.see(0, answer).lapse(600_000);
        assert_eq!(watch.ended(Verdict::Timeout).revision, None);
    }
    let mut others = watch();
    others
        .see(0, reconciled().revision("old", Told::Active))
        .lapse(600_000);
    assert_eq!(others.ended(Verdict::Timeout).revision, None);
    let mut unseen = Watch::new(named("new"));
    unseen.steady(
        28_000..=30_000,
        ids("old", "new").revision("old", Told::Active),
    );
    assert_eq!(unseen.ended(Verdict::Unchanged).revision, None);
}

#[test]
fn an_answer_that_was_set_aside_is_not_what_was_seen_last() {
    let mut watch = watch();
    watch.see(0, reconciled().own(Told::Active).available(true));
    watch
        .see(599_000, reconciled().own(Told::Creating).available(false))
        .lapse(600_000);
    let outcome = watch.ended(Verdict::Timeout);
    assert_eq!(outcome.available, Some(true));
    assert_eq!(
        outcome.revision.as_ref().unwrap().phase.as_deref(),
        Some("Active")
    );
    assert_eq!((outcome.polls, outcome.failed_polls), (2, 0));
}

#[test]
fn an_unchanged_revision_is_reported_only_where_it_decided() {
    let mut lost = watch_with(|l| l.stable_for = ms(10_000));
    lost.see(0, reconciled().ready().revision("old", Told::Active))
        .lapse(600_000);
    assert!(!lost.ended(Verdict::Timeout).revision_unchanged);
}

#[test]
fn a_single_look_brings_the_verdict() {
    let crashing = crashing(3, 1);
    for (observation, verdict) in [
        (reconciled().ready().into(), Verdict::Ready),
        (reconciled().ready().previous().into(), Verdict::Ready),
        (reconciled().own(Told::Validating).into(), Verdict::Timeout),
        (reconciling().ready().into(), Verdict::Timeout),
        (
            reconciled().own(Told::Creating).issue().into(),
            Verdict::Infrastructure,
        ),
        (reconciled().own(Told::Failed).into(), Verdict::Failed),
        (crashing.into(), Verdict::Failed),
        (faring(waiting("ErrImagePull", 0)).into(), Verdict::Timeout),
        (
            reconciled().ready().own(Told::Failed).into(),
            Verdict::Timeout,
        ),
        (Answer(AgentDetails::default()).into(), Verdict::Unchanged),
        (absent(), Verdict::NotFound),
        (transient(), Verdict::Unavailable),
        (
            failure(FailureClass::Refused, "Http302"),
            Verdict::Unavailable,
        ),
        (refused(), Verdict::Unauthorized),
    ] {
        for at in [0, 800] {
            one_look(TargetRule::FirstSeen)
                .see(at, observation.clone())
                .ended(verdict);
        }
    }
    one_look(named("new"))
        .see(0, ids("old", "old").ready())
        .ended(Verdict::Unchanged);
    one_look(any_but("new"))
        .see(0, reconciled().ready())
        .ended(Verdict::Unchanged);
}

#[test]
fn a_single_look_has_no_time_to_see_ready_hold() {
    let limits = Limits {
        stable_for: ms(10_000),
        ..Limits::default()
    };
    let mut watch = Watch::of(Policy::one_look(TargetRule::FirstSeen, limits));
    watch.see(0, reconciled().ready()).ended(Verdict::Ready);
    assert_eq!(watch.count("holding"), 0);
}

#[test]
fn the_heartbeat_tells_how_things_stand() {
    let mut watch = watch();
    let beat = |watch: &Watch, at| watch.machine.heartbeat(ms(at));
    let expected = |phase, in_phase, restart_count: Option<u64>, polls, failing| Event::Heartbeat {
        phase,
        in_phase: ms(in_phase),
        ready_replicas: restart_count.map(|_| 4),
        restart_count,
        polls,
        failing,
    };
    assert_eq!(beat(&watch, 500), expected(Phase::Waiting, 500, None, 0, 0));
    watch.see(
        1000,
        reconciling()
            .own(Told::Creating)
            .health(waiting("Error", 7)),
    );
    assert_eq!(
        beat(&watch, 3000),
        expected(Phase::Reconciling, 2000, None, 1, 0)
    );
    let own = reconciled().own(Told::Creating).health(waiting("Error", 2));
    watch.see(
        4000,
        own.with(|a| a.current_revision.as_mut().unwrap().ready_replicas = Some(4)),
    );
    watch.see(5000, transient()).see(6000, transient());
    assert_eq!(
        beat(&watch, 9000),
        expected(Phase::Creating, 5000, Some(2), 4, 2)
    );
}
