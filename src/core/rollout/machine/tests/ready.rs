//! When a target is ready: proven, for as long as was asked, and on which revision (rules 2, 3, 9).

use super::*;

fn required(l: &mut Limits) {
    l.new_revision = NewRevision::Required;
}

fn drained(l: &mut Limits) {
    l.until = Until::Drained;
}

fn held(l: &mut Limits) {
    l.stable_for = ms(10_000);
}

#[test]
fn ready_with_matching_ids_is_complete_whatever_the_revision_says() {
    let phases = [
        Told::Creating,
        Told::Validating,
        Told::Active,
        Told::Draining,
    ];
    let unknown = Told::Unknown("Shiny".to_owned());
    for phase in phases.into_iter().chain([unknown]) {
        let answer = reconciled()
            .own(phase)
            .health(waiting("CrashLoopBackOff", 99))
            .issue();
        let mut watch = watch();
        watch.see(
            0,
            answer
                .error("E", "e")
                .degraded("True")
                .ready()
                .available(false),
        );
        assert_eq!(watch.ended(Verdict::Ready).reason, None);
    }
    watch().see(0, reconciled().ready()).ended(Verdict::Ready);
}

#[test]
fn ready_is_complete_although_a_previous_revision_is_left() {
    watch()
        .see(0, reconciled().ready().previous())
        .ended(Verdict::Ready);
}

#[test]
fn scaled_to_zero_is_ready() {
    let zero = reconciled().own(Told::Active).with(|a| {
        a.current_revision.as_mut().unwrap().ready_replicas = Some(0);
    });
    watch().see(0, zero.clone().ready()).ended(Verdict::Ready);
    watch().steady(0..=599_000, zero).goes_on();
}

#[test]
fn available_and_the_health_never_stand_in_for_ready() {
    let healthy = Health {
        state: Some(ContainerState::Running),
        ..Health::default()
    };
    let answer = reconciled()
        .own(Told::Active)
        .health(healthy)
        .available(true);
    watch().steady(0..=599_000, answer).goes_on();
}

#[test]
fn ready_must_still_be_so_when_it_has_to_have_held() {
    let mut watch = watch_with(held);
    watch.see(500, reconciled().ready()).goes_on();
    assert_eq!(watch.by(), 10_500);
    watch.see(10_499, reconciled().ready()).goes_on();
    watch.see(10_500, transient()).goes_on();
    watch.lapse(11_000).goes_on();
    watch.see(12_000, reconciled().ready());
    watch.ended(Verdict::Ready);
    assert_eq!(watch.count("holding"), 1);
}

#[test]
fn ready_that_is_lost_has_to_hold_from_the_beginning() {
    let mut watch = watch_with(held);
    watch
        .see(0, reconciled().ready())
        .see(9000, reconciled())
        .see(9500, reconciled().ready());
    watch.see(19_499, reconciled().ready()).goes_on();
    watch.see(19_500, reconciled().ready());
    watch.ended(Verdict::Ready);
    assert!(watch.told.contains(&Event::ReadyLost { after: ms(9000) }));
    assert_eq!(watch.count("holding"), 2);
}

#[test]
fn until_drained_waits_for_the_previous_revision_to_go() {
    let mut watch = watch_with(drained);
    watch
        .steady(0..=300_000, reconciled().ready().previous())
        .goes_on();
    assert_eq!(watch.phases(), [(Phase::Waiting, 0), (Phase::Draining, 0)]);
    watch.see(301_000, reconciled().ready());
    watch.ended(Verdict::Ready);
}

#[test]
fn until_drained_is_not_met_by_a_previous_revision_that_is_gone_before_ready() {
    let mut watch = watch_with(drained);
    watch
        .see(0, reconciled())
        .see(1000, reconciling().ready())
        .goes_on();
}

#[test]
fn stable_and_drained_are_both_asked_for() {
    let both = |l: &mut Limits| {
        held(l);
        drained(l);
    };
    let mut slow = watch_with(both);
    slow.see(0, reconciled().ready().previous());
    slow.see(20_000, reconciled().ready().previous()).goes_on();
    slow.see(21_000, reconciled().ready()).ended(Verdict::Ready);
    let mut quick = watch_with(both);
    quick
        .see(0, reconciled().ready())
        .see(9999, reconciled().ready())
        .goes_on();
    quick
        .see(10_000, reconciled().ready())
        .ended(Verdict::Ready);
}

#[test]
fn a_deploy_that_changed_no_revision_is_ready_with_a_warning() {
    let mut watch = watch();
    watch.see(0, reconciled().ready().revision("old", Told::Active));
    let outcome = watch.ended(Verdict::Ready);
    assert!(outcome.revision_unchanged);
    assert_eq!((&outcome.reason, &outcome.revision), (&None, &None));
    let running = "old".to_owned();
    assert!(watch.told.contains(&Event::RevisionUnchanged { running }));
}

#[test]
fn the_warning_comes_once_and_not_for_the_targets_own_revision() {
    let mut changed = watch_with(held);
    changed.steady(
        0..=10_000,
        reconciled().ready().revision("old", Told::Active),
    );
    assert!(changed.ended(Verdict::Ready).revision_unchanged);
    assert_eq!(changed.count("revision-unchanged"), 1);

    let mut own = watch_with(held);
    own.steady(0..=9000, reconciled().ready().revision("old", Told::Active));
    own.see(10_000, reconciled().ready().own(Told::Active));
    assert!(!own.ended(Verdict::Ready).revision_unchanged);

    let nameless = |a: &mut AgentDetails| a.current_revision.as_mut().unwrap().deployment_id = None;
    for answer in [
        reconciled(),
        reconciled().own(Told::Active),
        reconciled().own(Told::Active).with(nameless),
    ] {
        let mut watch = watch();
        watch.see(0, answer.ready());
        assert!(!watch.ended(Verdict::Ready).revision_unchanged);
        assert_eq!(watch.count("revision-unchanged"), 0);
    }
}

#[test]
fn another_deployments_failed_revision_contradicts_nothing() {
    let mut watch = watch();
    watch.see(0, reconciled().ready().revision("old", Told::Failed));
    assert!(watch.ended(Verdict::Ready).revision_unchanged);
}

#[test]
fn where_a_new_revision_is_required_the_old_one_fails_after_three_observations_in_a_row() {
    let mut watch = watch_with(required);
    let old = || reconciled().ready().revision("old", Told::Active);
    watch
        .steady(0..=1000, old())
        .see(2000, reconciled().revision("old", Told::Active));
    watch
        .steady(3000..=4000, old())
        .see(4500, transient())
        .goes_on();
    watch.see(5000, old());
    let outcome = watch.ended(Verdict::Failed);
    assert!(outcome.revision_unchanged);
    assert_eq!(outcome.reason.as_ref().unwrap().code, "RevisionUnchanged");
}

#[test]
fn where_a_new_revision_is_required_it_is_ready_when_it_has_come() {
    let mut watch = watch_with(required);
    watch
        .steady(0..=1000, reconciled().ready().revision("old", Told::Active))
        .goes_on();
    watch.see(2000, reconciled().ready().own(Told::Active));
    assert!(!watch.ended(Verdict::Ready).revision_unchanged);
}

#[test]
fn where_a_new_revision_is_required_it_has_to_be_shown() {
    let mut watch = watch_with(required);
    watch.see(0, reconciled().ready()).goes_on();
    let nameless = Revision {
        phase: Some(Told::Active),
        ..Revision::default()
    };
    watch
        .steady(
            1000..=9000,
            reconciled()
                .ready()
                .with(|a| a.current_revision = Some(nameless)),
        )
        .goes_on();
    let mut late = watch.machine.clone();
    let Next::Done(outcome) = late.lapse(ms(600_000)).next else {
        panic!("the deadline has passed");
    };
    assert_eq!(outcome.verdict, Verdict::Timeout);
    assert_eq!(
        outcome.reason.unwrap().summary,
        "ready, but no answer shows that it runs on a revision of its own"
    );
    watch
        .see(10_000, reconciled().ready().own(Told::Active))
        .ended(Verdict::Ready);
    let mut stalled = watch_with(|limits| {
        required(limits);
        limits.stall_timeout = Some(ms(5000));
    });
    stalled
        .steady(0..=5000, reconciled().ready())
        .ended(Verdict::Stalled);
}

#[test]
fn any_other_answer_breaks_the_run_of_the_old_revision_and_the_old_revision_breaks_a_hold() {
    let old = || reconciled().ready().revision("old", Told::Active);
    let shiny = || reconciled().own(Told::Unknown("Shiny".to_owned()));
    for between in [shiny().ready().into(), shiny().into(), absent()] {
        let mut watch = watch_with(|l| {
            required(l);
            held(l);
        });
        watch.steady(0..=1000, old()).see(2000, between);
        watch.steady(3000..=4000, old()).goes_on();
        watch.see(5000, shiny().ready());
        watch.see(14_999, shiny().ready()).goes_on();
        watch.see(15_000, shiny().ready());
        watch.ended(Verdict::Ready);
    }
}

#[test]
fn ready_beside_the_phase_failed_decides_nothing_until_three_observations_in_a_row() {
    let both = || reconciled().ready().own(Told::Failed);
    let mut ready = watch();
    ready
        .steady(0..=1000, both())
        .see(1500, transient())
        .goes_on();
    assert_eq!(ready.count("answer-set-aside"), 2);
    ready.see(2000, both());
    assert_eq!(ready.because(Verdict::Failed).code, "PhaseFailed");

    let mut plain = watch();
    plain
        .see(0, both())
        .see(1000, reconciled().own(Told::Failed))
        .ended(Verdict::Failed);
}

#[test]
fn an_answer_that_shows_no_contradiction_breaks_its_run() {
    let both = || reconciled().ready().own(Told::Failed);
    for between in [
        reconciled().ready().own(Told::Active).into(),
        reconciled()
            .ready()
            .own(Told::Unknown("Shiny".to_owned()))
            .into(),
        reconciled().own(Told::Unknown("Shiny".to_owned())).into(),
        absent(),
    ] {
        let mut watch = watch_with(held);
        watch.steady(0..=1000, both()).see(2000, between);
        watch.steady(3000..=4000, both()).goes_on();
        watch.see(5000, both());
        watch.ended(Verdict::Failed);
    }
}

#[test]
fn a_contradiction_breaks_what_has_to_hold() {
    let mut watch = watch_with(held);
    let shiny = || reconciled().ready().own(Told::Unknown("Shiny".to_owned()));
    watch
        .see(0, shiny())
        .see(1000, reconciled().ready().own(Told::Failed));
    assert_eq!(watch.count("ready-lost"), 1);
    watch.see(2000, shiny()).see(11_999, shiny()).goes_on();
    watch.see(12_000, shiny());
    watch.ended(Verdict::Ready);
}
