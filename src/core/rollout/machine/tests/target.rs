//! Which deployment the verdict is about, and what becomes of it when another is desired.

use super::*;

#[test]
fn a_named_deployment_is_the_target_while_reads_still_show_another() {
    let mut watch = Watch::new(named("new"));
    watch.steady(0..=3000, ids("old", "old").ready()).goes_on();
    assert_eq!(watch.phases(), [(Phase::Waiting, 0)]);
    assert_eq!(watch.count("target-found"), 0);
    watch.see(4000, reconciled().ready());
    let outcome = watch.ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
    assert_eq!(outcome.baseline_deployment_id, None);
}

#[test]
fn a_named_deployment_that_is_never_desired_is_unchanged_when_it_should_have_appeared() {
    let mut watch = Watch::new(named("new"));
    watch.see(0, ids("old", "old").ready());
    assert_eq!(watch.by(), 30_000);
    watch.see(29_999, ids("old", "old").ready()).goes_on();
    watch.see(30_000, ids("old", "old").ready());
    let outcome = watch.ended(Verdict::Unchanged);
    assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
    assert_eq!(outcome.revision, None);
}

#[test]
fn that_the_named_deployment_is_reconciled_does_not_make_it_desired() {
    let mut watch = Watch::new(named("new"));
    watch
        .steady(0..=29_000, ids("old", "new").ready())
        .goes_on();
    watch.see(30_000, ids("old", "new").ready());
    watch.ended(Verdict::Unchanged);
}

#[test]
fn the_first_desired_deployment_that_is_not_the_baseline_is_the_target() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(0, ids("old", "old").ready().created(1)).goes_on();
    watch.see(1000, reconciling().ready().created(2)).goes_on();
    watch.see(2000, reconciled().ready().created(2));
    let outcome = watch.ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
    assert_eq!(outcome.baseline_deployment_id.as_deref(), Some("old"));
    let seen = [
        (Phase::Waiting, 0),
        (Phase::Reconciling, 1000),
        (Phase::Active, 2000),
    ];
    assert_eq!(watch.phases(), seen);
}

#[test]
fn a_baseline_that_stays_the_desired_one_is_unchanged_when_another_should_have_appeared() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(0, ids("old", "old").ready());
    watch.see(29_999, ids("old", "old").ready()).goes_on();
    watch.see(30_000, ids("old", "old").ready());
    assert_eq!(watch.ended(Verdict::Unchanged).deployment_id, None);
}

#[test]
fn a_baseline_after_which_no_deployment_is_desired_at_all_is_unchanged_too() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(0, ids("old", "old").ready());
    let none = Answer(AgentDetails::default());
    watch.steady(1000..=29_000, none.clone()).goes_on();
    watch.see(30_000, none);
    watch.ended(Verdict::Unchanged);
}

#[test]
fn a_target_that_appears_in_the_last_moment_is_followed() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(0, ids("old", "old"));
    watch.see(30_000, reconciling()).goes_on();
    assert_eq!(watch.by(), 600_000);
}

#[test]
fn without_a_name_or_a_baseline_the_first_desired_deployment_is_the_target() {
    let mut watch = watch();
    watch.see(0, absent()).see(1000, transient()).goes_on();
    watch.see(2000, reconciled().ready());
    assert_eq!(
        watch.ended(Verdict::Ready).deployment_id.as_deref(),
        Some("new")
    );
}

#[test]
fn an_agent_without_a_deployment_has_no_target_yet() {
    let mut watch = watch();
    let bare = Answer(AgentDetails {
        ready: true,
        ..AgentDetails::default()
    });
    watch.steady(0..=5000, bare.clone()).goes_on();
    watch.see(6000, reconciling()).goes_on();
    assert_eq!(watch.machine.target.as_deref(), Some("new"));

    let mut watch = super::watch();
    watch.steady(0..=29_000, bare.clone()).goes_on();
    watch.see(30_000, bare);
    assert_eq!(
        watch.because(Verdict::Unchanged).summary,
        "the agent has no deployment"
    );
}

#[test]
fn the_deprecated_name_of_the_desired_deployment_is_read_where_the_new_one_is_missing() {
    let old_name = |a: &mut AgentDetails| a.active_deployment_id = a.desired_deployment_id.take();
    let mut watch = Watch::new(any_but("old"));
    watch
        .see(0, ids("old", "old").ready().with(old_name).created(1))
        .goes_on();
    watch.see(1000, reconciled().ready().with(old_name).created(2));
    assert_eq!(
        watch.ended(Verdict::Ready).deployment_id.as_deref(),
        Some("new")
    );

    let mut watch = Watch::new(named("new"));
    let disagree = reconciled()
        .ready()
        .with(|a| a.active_deployment_id = Some("old".to_owned()));
    watch.see(0, disagree);
    watch.ended(Verdict::Ready);
}

#[test]
fn a_deployment_that_was_made_later_supersedes_the_target_at_once() {
    for rule in [TargetRule::FirstSeen, named("new"), any_but("old")] {
        let mut watch = Watch::new(rule);
        watch.see(0, reconciling().created(10)).goes_on();
        watch.see(1000, ids("newer", "old").created(11));
        let outcome = watch.ended(Verdict::Superseded);
        assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
        assert_eq!(
            watch.because(Verdict::Superseded).summary,
            "deployment newer took the place of new as the desired one"
        );
    }
}

#[test]
fn a_deployment_of_unknown_age_or_the_same_age_supersedes_when_it_is_seen_three_times() {
    for (target, other) in [
        (reconciling(), ids("other", "old")),
        (reconciling().created(10), ids("other", "old")),
        (reconciling(), ids("other", "old").created(11)),
        (reconciling().created(10), ids("other", "old").created(10)),
        (reconciling().created(10), ids("other", "old").created(9)),
    ] {
        let mut watch = watch();
        watch.see(0, target);
        watch.steady(1000..=2000, other.clone()).goes_on();
        watch.see(3000, other);
        watch.ended(Verdict::Superseded);
    }
}

#[test]
fn a_roll_back_to_the_baseline_supersedes() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(0, reconciling().created(10));
    watch
        .steady(1000..=2000, ids("old", "old").created(5).ready())
        .goes_on();
    watch.see(3000, ids("old", "old").created(5).ready());
    watch.ended(Verdict::Superseded);
}

#[test]
fn a_record_of_another_deployment_says_nothing_about_the_age_of_the_desired_one() {
    let mut watch = watch();
    watch.see(0, reconciling().created(10));
    let foreign = ids("stray", "old").created(99).with(|a| {
        a.desired_deployment_id = Some("other".to_owned());
    });
    watch.steady(1000..=2000, foreign.clone()).goes_on();
    watch.see(3000, foreign);
    watch.ended(Verdict::Superseded);
}

#[test]
fn a_target_that_is_ready_is_superseded_while_it_has_to_hold() {
    let mut watch = watch_with(|l| l.stable_for = ms(10_000));
    watch.see(0, reconciled().ready().created(10)).goes_on();
    watch.see(5000, ids("newer", "new").created(11).ready());
    watch.ended(Verdict::Superseded);
}

#[test]
fn the_report_on_a_superseded_target_never_shows_the_others_revision() {
    let mut watch = watch();
    watch.see(0, reconciled().own(Told::Validating).created(10));
    watch.see(
        1000,
        ids("newer", "new")
            .created(11)
            .revision("newer", Told::Failed),
    );
    assert_eq!(watch.ended(Verdict::Superseded).revision, None);
}

#[test]
fn a_target_from_before_the_baseline_is_dropped_when_the_baseline_shows() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(0, ids("ancient", "ancient").created(1)).goes_on();
    watch
        .see(1000, ids("old", "old").created(5).ready())
        .goes_on();
    assert_eq!(watch.machine.target, None);
    let (reconciled_one, waiting) = ((Phase::Progressing, 0), (Phase::Waiting, 1000));
    assert_eq!(watch.phases()[1..], [reconciled_one, waiting]);
    watch.see(2000, reconciled().created(9).ready());
    assert_eq!(
        watch.ended(Verdict::Ready).deployment_id.as_deref(),
        Some("new")
    );
}

#[test]
fn nothing_of_a_dropped_target_counts_for_the_next_one() {
    let mut watch = Watch::limited(any_but("old"), |l| l.stable_for = ms(10_000));
    watch.see(0, ids("ancient", "ancient").created(1).ready());
    watch.see(1000, ids("old", "old").created(5).ready());
    watch.see(2000, reconciled().created(9).ready()).goes_on();
    watch.see(11_999, reconciled().created(9).ready()).goes_on();
    watch.see(12_000, reconciled().created(9).ready());
    watch.ended(Verdict::Ready);

    let mut watch = Watch::new(any_but("old"));
    let pulling = |answer: Answer, id| {
        answer
            .revision(id, Told::Creating)
            .health(waiting("ErrImagePull", 0))
    };
    watch.see(0, pulling(ids("ancient", "ancient").created(1), "ancient"));
    watch.see(1000, ids("old", "old").created(5).ready());
    assert_eq!(watch.count("trouble-gone"), 1);
    assert_eq!(watch.by(), 30_000, "the dropped target's clock has stopped");
    watch.see(2000, pulling(reconciled().created(9), "new"));
    watch
        .see(21_999, pulling(reconciled().created(9), "new"))
        .goes_on();
    watch.see(22_000, pulling(reconciled().created(9), "new"));
    watch.ended(Verdict::Failed);
}

#[test]
fn what_was_counted_for_a_dropped_target_is_not_counted_for_the_next_one() {
    let old = || ids("old", "old").created(5);
    let failed = |id: &str| ids(id, id).ready().revision(id, Told::Failed);
    let unchanged = |id: &str| ids(id, id).ready().revision("older", Told::Active);
    let cases: [fn(&str) -> Answer; 2] = [failed, unchanged];
    for answer in cases {
        let required = |l: &mut Limits| l.new_revision = NewRevision::Required;
        let mut watch = Watch::limited(any_but("old"), required);
        watch.see(0, answer("ancient").created(1)).see(1000, old());
        watch
            .steady(2000..=3000, answer("new").created(9))
            .goes_on();
        watch.see(4000, answer("new").created(9));
        watch.ended(Verdict::Failed);
    }
}

#[test]
fn after_a_roll_back_the_age_of_a_deployment_proves_nothing() {
    let (ancient, old) = (
        ids("ancient", "old").created(1),
        ids("old", "old").created(5),
    );
    for rule in [any_but("old"), named("ancient")] {
        let mut watch = Watch::new(rule);
        watch.see(0, old.clone());
        watch.steady(1000..=3000, ancient.clone()).goes_on();
        assert_eq!(watch.machine.target.as_deref(), Some("ancient"));
        assert_eq!(watch.count("target-found"), 1);
        // The answers that lag show the deployment from before, which was made later.
        watch.steady(4000..=5000, old.clone()).goes_on();
        watch.see(6000, ancient.clone()).goes_on();
        watch.steady(7000..=8000, old.clone()).goes_on();
        watch.see(9000, old.clone());
        watch.ended(Verdict::Superseded);
    }
}
