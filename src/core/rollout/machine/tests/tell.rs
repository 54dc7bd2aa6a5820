//! What the machine tells on the way: each event when it happens, and not again.

use super::*;
use crate::core::rollout::TroubleClass;

fn phase_changed(phase: Phase, previous: Phase, lasted: u64) -> Event {
    Event::PhaseChanged {
        phase,
        previous,
        lasted: ms(lasted),
    }
}

fn trouble(class: TroubleClass, code: &str) -> Event {
    Event::TroubleSeen {
        class,
        code: code.to_owned(),
        message: Some("Traceback".to_owned()),
    }
}

#[test]
fn a_rollout_is_told_change_by_change_and_a_quiet_one_tells_nothing() {
    let mut watch = Watch::new(named("new"));
    let awaited = |desired: Option<&str>| Event::TargetAwaited {
        desired: desired.map(str::to_owned),
    };
    watch.see(0, absent()).see(500, absent());
    watch
        .see(800, ids("old", "old"))
        .see(1000, ids("old", "old"));
    assert_eq!(watch.told, [awaited(None), awaited(Some("old"))]);
    watch.see(2000, reconciling()).see(3000, reconciling());
    watch.see(4000, reconciled()).see(5000, reconciled());
    watch.see(6000, reconciled().own(Told::Creating));
    watch
        .see(7000, reconciled().own(Told::Validating))
        .see(8000, reconciled().own(Told::Validating));
    watch
        .see(9000, reconciled().own(Told::Active))
        .see(10_000, reconciled().own(Told::Active).ready());
    let expected = [
        awaited(None),
        awaited(Some("old")),
        Event::TargetFound {
            deployment_id: "new".to_owned(),
        },
        phase_changed(Phase::Reconciling, Phase::Waiting, 2000),
        phase_changed(Phase::Progressing, Phase::Reconciling, 2000),
        phase_changed(Phase::Creating, Phase::Progressing, 2000),
        phase_changed(Phase::Validating, Phase::Creating, 1000),
        phase_changed(Phase::Active, Phase::Validating, 2000),
        Event::Finished {
            verdict: Verdict::Ready,
            reason: None,
            elapsed: ms(10_000),
        },
    ];
    assert_eq!(watch.told, expected);
}

#[test]
fn each_phase_of_the_platform_has_its_own_word_and_unknown_is_progressing() {
    for (told, phase) in [
        (Told::Creating, Phase::Creating),
        (Told::Validating, Phase::Validating),
        (Told::Active, Phase::Active),
        (Told::Draining, Phase::Draining),
        (Told::Failed, Phase::Failed),
        (Told::Unknown("Shiny".to_owned()), Phase::Progressing),
    ] {
        let mut watch = watch();
        watch.see(0, reconciled().own(told));
        assert_eq!(watch.phases(), [(Phase::Waiting, 0), (phase, 0)]);
    }
}

#[test]
fn what_is_ready_is_active_and_draining_only_where_that_is_waited_for() {
    let mut ready = watch();
    ready.see(0, reconciled().own(Told::Validating).ready().previous());
    assert_eq!(ready.phases(), [(Phase::Waiting, 0), (Phase::Active, 0)]);
    let mut drains = watch_with(|l| l.until = Until::Drained);
    drains.see(0, reconciled().own(Told::Active).ready().previous());
    drains.see(5000, reconciled().own(Told::Active).ready());
    let seen = [
        (Phase::Waiting, 0),
        (Phase::Draining, 0),
        (Phase::Active, 5000),
    ];
    assert_eq!(drains.phases(), seen);
    let mut late = watch_with(|l| l.until = Until::Drained);
    late.see(0, reconciled().own(Told::Validating).previous());
    assert_eq!(late.phases(), [(Phase::Waiting, 0), (Phase::Validating, 0)]);
}

#[test]
fn restarts_are_told_when_their_number_grows() {
    let health = |restarts| Health {
        last_exit_code: Some(1),
        last_termination_reason: Some("Error".to_owned()),
        ..waiting("ContainerCreating", restarts)
    };
    let mut watch = watch();
    for (second, restarts) in [0, 0, 1, 1, 5, 4, 5].into_iter().enumerate() {
        watch.see(second as u64 * 1000, faring(health(restarts)));
    }
    let restarts: Vec<u64> = watch
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Restarted {
                restart_count,
                last_exit_code,
                last_termination_reason,
            } => {
                assert_eq!(*last_exit_code, Some(1));
                assert_eq!(last_termination_reason.as_deref(), Some("Error"));
                Some(*restart_count)
            }
            _ => None,
        })
        .collect();
    assert_eq!(restarts, [1, 5, 5]);
}

#[test]
fn another_deployments_restarts_and_replicas_are_not_told() {
    let mut watch = watch();
    for restarts in 0..5 {
        let health = waiting("CrashLoopBackOff", restarts);
        watch.see(
            restarts * 2000,
            reconciling().own(Told::Active).health(health.clone()),
        );
        watch.see(
            restarts * 2000 + 1,
            reconciling().revision("old", Told::Active).health(health),
        );
    }
    watch.see(
        20_000,
        reconciled()
            .revision("old", Told::Active)
            .health(waiting("Error", 9)),
    );
    assert_eq!(
        watch.kinds(),
        ["target-found", "phase-changed", "phase-changed"]
    );
}

#[test]
fn replicas_are_told_when_their_numbers_change() {
    let mut watch = watch();
    let replicas = |ready, started| {
        let health = Health {
            replicas_started: Some(started),
            ..Health::default()
        };
        reconciled().own(Told::Validating).health(health).with(|a| {
            a.current_revision.as_mut().unwrap().ready_replicas = Some(ready);
        })
    };
    watch
        .see(0, replicas(0, 1))
        .see(1000, replicas(0, 1))
        .see(2000, replicas(1, 1));
    watch.see(3000, replicas(1, 2));
    let changed = |ready_replicas, replicas_started| Event::ReplicasChanged {
        ready_replicas,
        replicas_started,
    };
    assert_eq!(
        watch.told[2..],
        [changed(0, 1), changed(1, 1), changed(1, 2)]
    );
}

#[test]
fn trouble_is_told_when_it_comes_when_its_code_changes_and_when_it_goes() {
    let mut watch = watch();
    let pulling = |reason| faring(waiting(reason, 0));
    watch
        .see(0, pulling("ErrImagePull"))
        .see(1000, pulling("ErrImagePull"));
    watch
        .see(2000, pulling("ImagePullBackOff"))
        .see(3000, pulling("CrashLoopBackOff"));
    watch
        .see(4000, reconciled().own(Told::Validating))
        .see(5000, reconciled().own(Told::Validating));
    let expected = [
        trouble(TroubleClass::NotPulling, "ErrImagePull"),
        trouble(TroubleClass::NotPulling, "ImagePullBackOff"),
        trouble(TroubleClass::Crashing, "CrashLoopBackOff"),
        Event::TroubleGone {
            code: "CrashLoopBackOff".to_owned(),
        },
    ];
    let told = watch
        .told
        .iter()
        .filter(|event| matches!(event, Event::TroubleSeen { .. } | Event::TroubleGone { .. }));
    assert!(told.eq(&expected), "{:?}", watch.told);
}

#[test]
fn of_several_troubles_the_gravest_is_told() {
    let mut watch = watch();
    watch.see(
        0,
        faring(waiting("ErrImagePull", 0))
            .degraded("True")
            .error("Quota", "too many"),
    );
    assert!(
        matches!(&watch.told[3..], [Event::TroubleSeen { code, .. }] if code == "Quota"),
        "{:?}",
        watch.told
    );
    let mut both = super::watch();
    both.see(0, faring(waiting("SolarFlare", 0)).degraded("True"));
    assert!(
        matches!(&both.told[3..], [Event::TroubleSeen { code, .. }] if code == "PodsPending"),
        "{:?}",
        both.told
    );
}

#[test]
fn ready_that_comes_ends_the_trouble() {
    let mut watch = watch_with(|l| l.stable_for = ms(10_000));
    watch
        .see(0, faring(waiting("Error", 1)))
        .see(1000, faring(waiting("Error", 1)).ready());
    let tail = ["trouble-gone", "holding"];
    assert_eq!(watch.kinds()[watch.told.len() - 2..], tail);
}

#[test]
fn an_infrastructure_issue_is_told_when_it_comes_and_when_it_goes() {
    let mut watch = watch();
    let own = || reconciled().own(Told::Creating);
    watch
        .see(0, own().issue())
        .see(1000, own().issue())
        .see(2000, own())
        .see(3000, own());
    watch.see(4000, own().issue()).see(5000, ids("new", "old"));
    watch.steady(6000..=7000, ids("new", "old"));
    let told: Vec<String> = watch
        .kinds()
        .into_iter()
        .filter(|kind| kind.starts_with("infra"))
        .collect();
    let (issue, recovered) = ("infrastructure-issue", "infrastructure-recovered");
    assert_eq!(told, [issue, recovered, issue, recovered]);
}

#[test]
fn a_contradiction_is_told_until_it_decides() {
    let mut watch = watch();
    watch.steady(0..=2000, reconciled().ready().own(Told::Failed));
    assert_eq!(
        watch.kinds()[2..],
        ["answer-set-aside", "answer-set-aside", "finished"]
    );
    assert_eq!(watch.phases().last(), Some(&(Phase::Failed, 0)));
}

#[test]
fn ready_is_told_to_hold_only_where_it_has_to() {
    let mut watch = watch();
    watch.see(0, reconciled().ready());
    assert_eq!(watch.kinds(), ["target-found", "phase-changed", "finished"]);
    let mut holds = watch_with(|l| l.stable_for = ms(5000));
    holds
        .see(0, reconciled().ready())
        .see(1000, reconciled().ready())
        .see(2000, reconciling());
    let stable_for = ms(5000);
    assert_eq!(holds.told[2], Event::Holding { stable_for });
    assert_eq!(holds.kinds()[3..], ["answer-set-aside"]);
}
