//! Answers from a replica that lags: what goes back must come three times in a row (rule 4).

use super::*;

#[test]
fn an_old_desired_deployment_that_shows_twice_decides_nothing() {
    let mut watch = watch();
    watch.see(0, reconciling());
    watch
        .steady(1000..=2000, ids("old", "old").ready())
        .goes_on();
    watch.see(3000, reconciled().ready());
    watch.ended(Verdict::Ready);
}

#[test]
fn any_other_answer_breaks_a_run_of_claims() {
    let lagging = ids("old", "old");
    for between in [Observation::from(reconciling()), absent()] {
        let mut watch = watch();
        watch.see(0, reconciling());
        watch
            .steady(1000..=2000, lagging.clone())
            .see(3000, between);
        watch.steady(4000..=5000, lagging.clone()).goes_on();
        watch.see(6000, lagging.clone());
        watch.ended(Verdict::Superseded);
    }
}

#[test]
fn a_failed_poll_neither_counts_nor_breaks_a_run_of_claims() {
    let mut watch = watch();
    watch.see(0, reconciling());
    watch.see(1000, ids("old", "old")).see(2000, transient());
    watch
        .see(3000, ids("old", "old"))
        .see(4000, transient())
        .goes_on();
    watch.see(5000, ids("old", "old"));
    watch.ended(Verdict::Superseded);
}

#[test]
fn an_agent_that_was_seen_is_deleted_when_three_answers_in_a_row_say_404() {
    let mut watch = watch();
    watch.see(0, reconciling());
    watch.steady(1000..=2000, absent()).goes_on();
    watch.see(3000, reconciling());
    watch.steady(4000..=5000, absent()).goes_on();
    watch.see(6000, absent());
    assert_eq!(watch.because(Verdict::NotFound).code, "Deleted");
}

#[test]
fn an_agent_whose_baseline_alone_was_seen_is_deleted_just_so() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(0, ids("old", "old"));
    watch.steady(31_000..=32_000, absent()).goes_on();
    watch.see(33_000, absent());
    assert_eq!(watch.because(Verdict::NotFound).code, "Deleted");
}

#[test]
fn a_reconciled_deployment_that_goes_back_needs_confirmation() {
    let mut watch = watch();
    watch.see(0, reconciled().own(Told::Creating));
    watch.steady(1000..=2000, reconciling().ready());
    assert_eq!(watch.phases().last(), Some(&(Phase::Creating, 0)));
    watch.see(3000, reconciling().ready()).goes_on();
    assert_eq!(watch.phases().last(), Some(&(Phase::Reconciling, 3000)));
    watch.see(4000, reconciled().own(Told::Creating)).goes_on();
    assert_eq!(watch.phases().last(), Some(&(Phase::Creating, 4000)));
}

#[test]
fn an_answer_without_a_reconciled_deployment_goes_back_too() {
    let mut watch = watch_with(|l| l.stable_for = ms(3000));
    watch.see(0, reconciled().ready());
    let none = reconciled().with(|a| a.reconciled_deployment_id = None);
    watch.steady(1000..=2000, none);
    watch.see(3000, reconciled().ready());
    watch.ended(Verdict::Ready);
    assert_eq!(watch.count("ready-lost"), 0);
}

#[test]
fn every_earlier_phase_needs_confirmation_and_every_later_one_is_believed() {
    let order = [
        Told::Creating,
        Told::Validating,
        Told::Active,
        Told::Draining,
    ];
    for (i, one) in order.iter().enumerate() {
        for (j, other) in order.iter().enumerate() {
            let mut watch = watch();
            watch.see(0, reconciled().own(one.clone()));
            watch.see(1000, reconciled().own(other.clone()));
            let aside = usize::from(j < i);
            assert_eq!(watch.count("answer-set-aside"), aside, "{one:?} {other:?}");
            watch
                .steady(2000..=3000, reconciled().own(other.clone()))
                .goes_on();
            assert_eq!(
                watch.machine.latest().unwrap(),
                &reconciled().own(other.clone()).0
            );
        }
    }
}

#[test]
fn a_revision_that_was_seen_and_is_gone_needs_confirmation() {
    let mut watch = watch();
    watch.see(0, reconciled().own(Told::Validating));
    watch.steady(1000..=2000, reconciled());
    assert_eq!(watch.phases().last(), Some(&(Phase::Validating, 0)));
    watch.see(3000, reconciled());
    assert_eq!(watch.phases().last(), Some(&(Phase::Progressing, 3000)));
}

#[test]
fn unknown_phases_have_no_order() {
    let shiny = || Told::Unknown("Shiny".to_owned());
    let mut watch = watch();
    watch.see(0, reconciled().own(Told::Active));
    watch.see(1000, reconciled().own(shiny()));
    watch.see(2000, reconciled().own(Told::Creating)).goes_on();
    assert_eq!(watch.count("answer-set-aside"), 0);
}

#[test]
fn a_lagging_failure_of_an_earlier_phase_is_no_ready_lost() {
    let mut watch = watch_with(|l| l.stable_for = ms(3000));
    watch.see(0, reconciled().own(Told::Active).ready());
    watch.see(1000, reconciled().own(Told::Validating));
    watch.see(3000, reconciled().own(Told::Active).ready());
    watch.ended(Verdict::Ready);
}

#[test]
fn an_answer_with_older_timestamps_decides_nothing_until_confirmed() {
    let mut watch = watch();
    watch.see(0, reconciled().own(Told::Creating).updated(10));
    let failed = reconciled().own(Told::Failed).updated(9);
    watch.steady(1000..=2000, failed.clone()).goes_on();
    watch.see(3000, failed);
    watch.ended(Verdict::Failed);

    let mut watch = super::watch();
    let changed = |answer: Answer, second| {
        answer.created(0).with(|a| {
            a.deployment.as_mut().unwrap().updated_at = Some(second_of_day(second));
        })
    };
    watch.see(0, changed(reconciling(), 10));
    watch
        .steady(1000..=2000, changed(reconciled().ready(), 9))
        .goes_on();
    watch.see(3000, changed(reconciled().ready(), 10));
    watch.ended(Verdict::Ready);
}

#[test]
fn equal_or_missing_timestamps_are_not_older() {
    for (one, other) in [
        (reconciling().updated(10), reconciled().ready().updated(10)),
        (reconciling().updated(10), reconciled().ready()),
        (reconciling(), reconciled().ready().updated(10)),
    ] {
        let mut watch = watch();
        watch.see(0, one).see(1000, other);
        watch.ended(Verdict::Ready);
    }
}

#[test]
fn that_no_deployment_is_desired_is_never_believed_once_one_was() {
    let mut watch = watch();
    watch.see(0, reconciled().own(Told::Creating));
    let none = reconciled()
        .ready()
        .with(|a| a.desired_deployment_id = None);
    watch.steady(1000..=599_000, none.clone()).goes_on();
    watch.see(600_000, none);
    watch.ended(Verdict::Timeout);
}

#[test]
fn while_the_target_has_yet_to_appear_only_an_older_deployment_needs_confirmation() {
    let mut watch = Watch::new(named("new"));
    watch.see(0, ids("old", "old").created(5));
    watch.see(1000, reconciling().created(5)).goes_on();
    assert_eq!(watch.machine.latest().unwrap().desired(), Some("new"));

    let mut watch = Watch::new(named("new"));
    watch.see(0, ids("old", "old").created(5));
    watch
        .steady(1000..=2000, reconciled().ready().created(4))
        .goes_on();
    watch.see(3000, reconciled().ready().created(4));
    watch.ended(Verdict::Ready);
}

#[test]
fn an_answer_that_is_set_aside_is_told_with_what_it_claims_and_how_often() {
    let mut watch = watch();
    watch.see(0, reconciling());
    watch.steady(1000..=2000, ids("old", "old"));
    let aside = |times| Event::AnswerSetAside {
        claim: "deployment old is the desired one".to_owned(),
        times,
        needed: 3,
    };
    assert_eq!(watch.told[watch.told.len() - 2..], [aside(1), aside(2)]);
}

#[test]
fn a_claim_of_its_own_kind_starts_its_own_run_whatever_it_names() {
    let mut watch = super::watch();
    watch.see(0, reconciled().own(Told::Active));
    watch.steady(1000..=2000, reconciled().own(Told::Creating));
    watch.see(3000, ids("new", "old"));
    assert_eq!(watch.phases().last(), Some(&(Phase::Active, 0)));
    watch.see(4000, reconciled().own(Told::Creating));
    watch.see(5000, reconciled().own(Told::Validating));
    assert_eq!(watch.phases().last(), Some(&(Phase::Active, 0)));
    watch.see(6000, reconciled().own(Told::Creating));
    assert_eq!(watch.phases().last(), Some(&(Phase::Creating, 6000)));

    let mut watch = super::watch();
    watch.see(0, reconciling());
    watch
        .see(1000, ids("one", "old"))
        .see(2000, ids("two", "old"));
    watch.goes_on().see(3000, ids("one", "old"));
    watch.ended(Verdict::Superseded);
}

#[test]
fn dates_that_are_not_told_again_still_tell_what_is_older() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(0, ids("old", "old").created(5));
    watch.see(1000, ids("old", "old"));
    watch.see(2000, ids("older", "older").created(4)).goes_on();
    watch.see(3000, reconciled().ready().created(6));
    assert_eq!(
        watch.ended(Verdict::Ready).deployment_id.as_deref(),
        Some("new")
    );

    let mut watch = super::watch();
    watch
        .see(0, reconciling().updated(10))
        .see(1000, reconciling());
    watch
        .see(2000, reconciled().own(Told::Failed).updated(9))
        .goes_on();
}

#[test]
fn an_older_record_is_from_the_past_even_where_its_deployment_was_made_later() {
    // b was rolled back to a before the deploy.
    let a = || ids("a", "a").ready().created(1).updated(30);
    let b = || ids("b", "b").ready().created(2).updated(20);
    let c = || ids("c", "c").ready().created(3).updated(40);
    let mut watch = Watch::new(any_but("a"));
    watch.see(0, a()).steady(1000..=2000, b()).goes_on();
    assert_eq!(watch.count("answer-set-aside"), 2);
    let outcome = watch.see(3000, c()).ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("c"));

    let mut confirmed = Watch::new(any_but("a"));
    confirmed.see(0, a()).steady(1000..=3000, b());
    confirmed.ended(Verdict::Ready);
}

#[test]
fn what_a_roll_back_has_replaced_does_not_replace_it_by_one_answer() {
    let back = |reconciled| ids("older", reconciled).created(1);
    let current = || ids("current", "current").ready().created(2);
    for undated in [false, true] {
        let mut watch = Watch::new(named("older"));
        let back = |reconciled| {
            if undated {
                ids("older", reconciled)
            } else {
                back(reconciled)
            }
        };
        watch.see(0, back("current"));
        watch.steady(1000..=2000, current()).goes_on();
        watch.see(3000, back("older"));
        watch.steady(4000..=5000, current()).goes_on();
        watch.see(6000, current());
        watch.ended(Verdict::Superseded);
    }
    let mut dropped = Watch::new(any_but("current"));
    dropped
        .see(0, back("current"))
        .see(1000, current())
        .goes_on();
    assert_eq!(dropped.machine.target.as_deref(), Some("older"));
}

#[test]
fn where_nothing_is_believed_any_more_it_stalls_but_not_by_one_answer() {
    let none = || reconciled().with(|a| a.desired_deployment_id = None);
    let mut watch = watch_with(|l| l.stall_timeout = Some(ms(5000)));
    watch.see(0, reconciled().own(Told::Creating));
    watch.see(6000, none()).see(7000, none()).goes_on();
    watch.see(8000, none());
    watch.ended(Verdict::Stalled);
}

#[test]
fn a_target_that_is_said_to_be_ready_does_not_stand_still() {
    let before = || ids("old", "old");
    let none = || reconciled().with(|a| a.desired_deployment_id = None);
    let ready_on_old = || reconciled().revision("old", Told::Active).ready();
    let mut watch = watch_with(|l| l.stall_timeout = Some(ms(3000)));
    watch.see(0, reconciled().own(Told::Creating));
    watch.see(1000, before()).see(2000, ready_on_old());
    watch.see(3000, before()).see(3500, none()).goes_on();
    watch.see(4000, before());
    watch.ended(Verdict::Stalled);
}

#[test]
fn only_that_the_target_itself_is_ready_is_a_sign_that_it_does_not_stand_still() {
    let none = || reconciled().with(|a| a.desired_deployment_id = None);
    for answer in [
        ids("old", "old").ready(),
        ids("old", "new").ready(),
        reconciling().ready(),
        reconciled().revision("old", Told::Active),
    ] {
        let mut watch = watch_with(|l| l.stall_timeout = Some(ms(3000)));
        watch.see(0, reconciled().own(Told::Creating));
        watch.see(1000, none()).see(2000, answer).goes_on();
        watch.see(3000, none());
        watch.ended(Verdict::Stalled);
    }
}

#[test]
fn a_target_that_has_to_stay_ready_does_not_stand_still_where_nothing_is_believed() {
    let none = || reconciled().with(|a| a.desired_deployment_id = None);
    let mut watch = watch_with(|l| {
        l.stall_timeout = Some(ms(3000));
        l.stable_for = ms(20_000);
    });
    watch.see(0, reconciled().own(Told::Active).ready());
    watch.see(4000, none()).see(5000, none());
    watch.see(6000, none()).goes_on();
}
