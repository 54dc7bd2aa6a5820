//! `--stall-timeout`: nothing about the target has moved for that long.

use super::*;

fn stall(l: &mut Limits) {
    l.stall_timeout = Some(ms(60_000));
}

#[test]
fn a_target_about_which_nothing_moves_is_stalled_to_the_millisecond() {
    for answer in [
        reconciling(),
        reconciled(),
        reconciled().own(Told::Creating),
    ] {
        let mut watch = watch_with(stall);
        watch.see(1000, answer.clone());
        assert_eq!(watch.by(), 61_000);
        watch.see(60_999, answer.clone()).goes_on();
        watch.see(61_000, answer);
        watch.ended(Verdict::Stalled);
    }
    watch().steady(0..=599_000, reconciling()).goes_on();
}

#[test]
fn whatever_moves_about_the_target_starts_the_stall_anew() {
    let own = || reconciled().own(Told::Creating);
    let reconciled_another = ids("new", "older").created(1);
    for (one, other) in [
        (reconciling(), reconciled_another),
        (reconciling(), reconciled()),
        (reconciled(), own()),
        (own(), reconciled().own(Told::Validating)),
        (
            own(),
            own().with(|a| a.current_revision.as_mut().unwrap().ready_replicas = Some(1)),
        ),
        (own(), own().health(waiting("ContainerCreating", 0))),
        (
            own().health(waiting("Error", 0)),
            own().health(waiting("Error", 1)),
        ),
    ] {
        let mut watch = watch_with(stall);
        watch.see(0, one).see(59_000, other.clone());
        assert_eq!(watch.by(), 119_000);
        watch.see(118_999, other.clone()).goes_on();
        watch.see(119_000, other);
        watch.ended(Verdict::Stalled);
    }
}

#[test]
fn what_moves_about_another_deployment_is_no_movement_of_the_target() {
    let mut watch = watch_with(stall);
    for i in 0..=60 {
        let old = reconciling()
            .revision("old", Told::Active)
            .health(waiting("Error", i));
        watch.see(i * 1000, old.updated(i.try_into().unwrap()));
    }
    watch.ended(Verdict::Stalled);
}

#[test]
fn what_an_unreconciled_answer_says_of_the_target_and_who_still_talks_to_the_old_is_none_either() {
    let mut early = watch_with(stall);
    let mut talking = watch_with(stall);
    for i in 0..=60 {
        let own = reconciling().own(Told::Active).health(waiting("Error", i));
        early.see(i * 1000, own);
        let sessions = reconciled().own(Told::Creating).previous();
        talking.see(
            i * 1000,
            sessions.with(|a| a.active_session_count = Some(i)),
        );
    }
    early.ended(Verdict::Stalled);
    talking.ended(Verdict::Stalled);
}

#[test]
fn before_the_target_is_in_view_nothing_stalls_and_the_clock_starts_when_it_is() {
    let nothing_yet = reconciling().with(|a| a.reconciled_deployment_id = None);
    for answer in [reconciling(), nothing_yet] {
        let mut watch = Watch::limited(named("new"), |l| {
            stall(l);
            l.appear_timeout = ms(300_000);
        });
        let none = ids("old", "old").with(|a| a.reconciled_deployment_id = None);
        watch.see(0, none.clone());
        assert_eq!(watch.by(), 300_000);
        watch.steady(1000..=100_000, none);
        watch.see(101_000, answer.clone());
        watch.see(160_999, answer.clone()).goes_on();
        watch.see(161_000, answer);
        watch.ended(Verdict::Stalled);
    }
}

#[test]
fn what_only_has_to_hold_still_never_stalls() {
    let mut watch = watch_with(|l| {
        stall(l);
        l.stable_for = ms(300_000);
    });
    watch.steady(0..=299_000, reconciled().ready()).goes_on();
    watch.see(300_000, reconciled().ready());
    watch.ended(Verdict::Ready);
}

#[test]
fn what_drains_stalls_unless_sessions_end() {
    let drained = |l: &mut Limits| {
        stall(l);
        l.until = Until::Drained;
    };
    let sessions = |count| {
        reconciled()
            .ready()
            .previous()
            .with(|a| a.active_session_count = Some(count))
    };
    let mut watch = watch_with(drained);
    watch
        .see(0, sessions(2))
        .see(59_000, sessions(1))
        .see(118_999, sessions(1))
        .goes_on();
    watch.see(119_000, sessions(1));
    watch.ended(Verdict::Stalled);
}

#[test]
fn a_stall_under_an_infrastructure_issue_is_the_platforms_fault() {
    let mut watch = watch_with(stall);
    watch.steady(0..=60_000, reconciled().own(Told::Creating).issue());
    watch.ended(Verdict::Infrastructure);
}
