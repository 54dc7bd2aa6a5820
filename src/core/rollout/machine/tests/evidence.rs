//! What counts against the target's code or image, and when it is enough (rules 1, 5 and 6).

use super::*;

fn in_state(state: ContainerState, reason: Option<&str>) -> Health {
    Health {
        state: Some(state),
        reason: reason.map(str::to_owned),
        ..waiting("", 99)
    }
}

#[test]
fn an_old_revision_that_crash_loops_never_fails_the_target() {
    let broken = waiting("CrashLoopBackOff", 99);
    for answer in [
        reconciling().revision("old", Told::Failed),
        reconciled().revision("old", Told::Failed),
        reconciled().own(Told::Creating).with(|a| {
            a.previous_revision = reconciled()
                .own(Told::Failed)
                .health(broken.clone())
                .0
                .current_revision;
        }),
        reconciled().revision("old", Told::Failed).with(|a| {
            a.current_revision.as_mut().unwrap().deployment_id = None;
        }),
    ] {
        let answer = answer.with(|a| {
            let own = a.current_revision.as_mut().unwrap();
            if own.phase == Some(Told::Failed) {
                own.health = Some(broken.clone());
            }
        });
        watch().steady(0..=599_000, answer).goes_on();
    }
}

#[test]
fn while_another_deployment_is_reconciled_nothing_counts_for_or_against() {
    let all = |answer: Answer| {
        let answer = answer
            .own(Told::Failed)
            .health(waiting("CrashLoopBackOff", 99));
        answer.error("E", "broken").degraded("True").available(true)
    };
    let none = |a: &mut AgentDetails| a.reconciled_deployment_id = None;
    for answer in [
        all(reconciling()),
        all(reconciling().ready()),
        all(reconciling()).with(none),
    ] {
        let mut watch = watch();
        watch.steady(0..=599_000, answer).goes_on();
        assert_eq!(watch.kinds(), ["target-found", "phase-changed"]);
    }
}

#[test]
fn restarts_below_the_limit_of_each_started_replica_never_fail() {
    for (restarts, replicas) in [(0, 1), (1, 1), (2, 1), (2, 0), (8, 3), (29, 10)] {
        watch()
            .steady(0..=599_000, crashing(restarts, replicas))
            .goes_on();
        let mut watch = watch();
        watch
            .see(0, crashing(restarts, replicas))
            .see(1000, crashing(restarts + 1, replicas));
        let limit = restarts + 1 >= 3 * replicas.max(1);
        assert_eq!(watch.verdict().is_some(), limit, "{restarts} {replicas}");
    }
}

#[test]
fn a_target_past_the_limit_is_judged_at_the_first_poll() {
    for state in [ContainerState::Waiting, ContainerState::Terminated] {
        for reason in ["CrashLoopBackOff", "Error", "OOMKilled"] {
            let mut watch = watch();
            let health = Health {
                restart_count: Some(3),
                ..in_state(state.clone(), Some(reason))
            };
            watch.see(0, faring(health));
            assert_eq!(watch.because(Verdict::Failed).code, reason);
        }
    }
    let mut watch = watch();
    watch.see(0, faring(in_state(ContainerState::Terminated, None)));
    assert_eq!(watch.because(Verdict::Failed).code, "Terminated");
}

#[test]
fn max_restarts_sets_the_limit() {
    let one = |l: &mut Limits| l.max_restarts = std::num::NonZeroU32::MIN;
    watch_with(one)
        .steady(0..=599_000, crashing(0, 1))
        .goes_on();
    watch_with(one)
        .see(0, crashing(1, 1))
        .ended(Verdict::Failed);
    watch_with(one).see(0, crashing(1, 2)).goes_on();
    watch_with(one)
        .see(0, crashing(2, 2))
        .ended(Verdict::Failed);
}

#[test]
fn restarts_without_a_replica_count_are_one_replicas_and_no_count_is_none() {
    let bare = |restart_count| {
        faring(Health {
            restart_count,
            replicas_started: None,
            ..waiting("Error", 0)
        })
    };
    watch().see(0, bare(Some(2))).goes_on();
    watch().see(0, bare(Some(3))).ended(Verdict::Failed);
    watch().steady(0..=599_000, bare(None)).goes_on();
}

#[test]
fn code_that_runs_again_has_not_failed_however_often_it_was_restarted() {
    let mut watch = watch();
    let running = faring(in_state(ContainerState::Running, Some("CrashLoopBackOff")));
    watch.steady(0..=599_000, running).goes_on();
    assert_eq!(watch.count("trouble-seen"), 0);
}

#[test]
fn not_pulling_fails_when_it_has_lasted_for_the_grace_to_the_millisecond() {
    for reason in [
        "ErrImagePull",
        "ImagePullBackOff",
        "CreateContainerError",
        "RunContainerError",
    ] {
        let mut watch = watch();
        watch.see(700, faring(waiting(reason, 0))).goes_on();
        assert_eq!(watch.by(), 20_700);
        watch.see(20_699, faring(waiting(reason, 0))).goes_on();
        watch.see(20_700, faring(waiting(reason, 0)));
        assert_eq!(watch.because(Verdict::Failed).code, reason);
    }
}

#[test]
fn the_reasons_of_not_pulling_share_one_clock_and_so_does_degraded() {
    let mut watch = watch();
    watch.see(0, faring(waiting("ErrImagePull", 0)));
    watch.see(9000, faring(waiting("ImagePullBackOff", 0)));
    watch
        .see(15_000, reconciled().own(Told::Validating).degraded("True"))
        .goes_on();
    assert_eq!(watch.by(), 20_000);
    watch.see(20_000, faring(waiting("RunContainerError", 0)));
    watch.ended(Verdict::Failed);
}

#[test]
fn a_break_starts_the_clock_of_not_pulling_anew() {
    let pulling = || faring(waiting("ErrImagePull", 0));
    for between in [
        reconciled().own(Told::Validating),
        faring(waiting("ContainerCreating", 0)),
        faring(waiting("SolarFlare", 0)),
        faring(in_state(ContainerState::Running, None)),
        pulling().ready(),
    ] {
        let mut watch = watch_with(|l| l.stable_for = ms(60_000));
        watch.see(0, pulling()).see(19_000, between);
        watch
            .see(20_000, pulling())
            .see(39_999, pulling())
            .goes_on();
        watch.see(40_000, pulling());
        watch.ended(Verdict::Failed);
    }
}

#[test]
fn a_failed_poll_or_an_answer_set_aside_is_no_break() {
    let pulling = || faring(waiting("ErrImagePull", 0));
    for between in [transient(), refused(), absent(), reconciling().into()] {
        let mut watch = watch();
        watch
            .see(0, pulling())
            .see(19_000, between)
            .see(20_000, pulling());
        watch.ended(Verdict::Failed);
    }
}

#[test]
fn pull_grace_sets_the_grace_and_zero_is_at_once() {
    let mut watch = watch_with(|l| l.pull_grace = ms(1500));
    watch.see(0, faring(waiting("ErrImagePull", 0))).goes_on();
    assert_eq!(watch.by(), 1500);
    let mut watch = watch_with(|l| l.pull_grace = ms(0));
    watch
        .see(0, faring(waiting("ErrImagePull", 0)))
        .ended(Verdict::Failed);
}

#[test]
fn what_cannot_mend_itself_fails_on_the_second_observation_in_a_row() {
    for reason in [
        "InvalidImageName",
        "CreateContainerConfigError",
        "ErrImageNeverPull",
    ] {
        let broken = || faring(waiting(reason, 0));
        let mut watch = watch();
        watch.see(0, broken()).goes_on();
        watch.see(1000, faring(waiting("ContainerCreating", 0)));
        watch.see(2000, broken()).see(3000, transient()).goes_on();
        watch.see(4000, broken());
        assert_eq!(watch.because(Verdict::Failed).code, reason);
    }
}

#[test]
fn an_unknown_reason_never_fails_and_is_shown() {
    let mut watch = watch();
    watch
        .steady(0..=599_000, faring(waiting("SolarFlare", 99)))
        .goes_on();
    assert!(watch.told.contains(&Event::TroubleSeen {
        class: crate::core::rollout::TroubleClass::Unknown,
        code: "SolarFlare".to_owned(),
        message: Some("Traceback".to_owned()),
    }));
    watch.see(600_000, faring(waiting("SolarFlare", 99)));
    assert_eq!(watch.because(Verdict::Timeout).code, "SolarFlare");
}

#[test]
fn phase_failed_fails_at_once_and_only_the_targets_own() {
    watch()
        .see(0, reconciled().own(Told::Failed))
        .ended(Verdict::Failed);
    watch()
        .see(0, reconciled().revision("old", Told::Failed))
        .goes_on();
    watch()
        .see(0, reconciled().own(Told::Unknown("failed".to_owned())))
        .goes_on();
}

#[test]
fn what_is_ready_has_no_troubles() {
    let mut watch = watch_with(|l| l.stable_for = ms(60_000));
    watch
        .steady(
            0..=59_000,
            crashing(99, 1).error("E", "e").degraded("True").ready(),
        )
        .goes_on();
    assert_eq!(watch.count("trouble-seen"), 0);
    watch
        .see(60_000, crashing(99, 1).ready())
        .ended(Verdict::Ready);
}
