//! What the platform says of itself: an infrastructure issue, errors and conditions (rules 7, 8).

use super::*;

#[test]
fn errors_about_the_target_fail_on_the_second_observation_in_a_row() {
    let mut watch = watch();
    watch
        .see(0, reconciled().error("Quota", "too many"))
        .goes_on();
    watch
        .see(1000, reconciled())
        .see(2000, reconciled().error("Quota", "too many"))
        .goes_on();
    watch.see(
        3000,
        reconciled()
            .error("Quota", "too many")
            .error("Quota2", "far too many"),
    );
    let reason = watch.because(Verdict::Failed);
    assert_eq!(reason.code, "Quota");
    assert_eq!(
        reason.message.as_deref(),
        Some("Quota: too many\nQuota2: far too many")
    );
}

#[test]
fn an_error_about_another_deployment_does_not_fail_the_target() {
    let about = |id: Option<&str>| {
        reconciled().error("Quota", "too many").with(|a| {
            a.errors[0].deployment_id = id.map(str::to_owned);
        })
    };
    watch().steady(0..=599_000, about(Some("old"))).goes_on();
    for own in [None, Some("new")] {
        let mut watch = watch();
        watch.see(0, about(own)).see(1000, about(own));
        assert_eq!(watch.because(Verdict::Failed).code, "Quota");
    }
}

#[test]
fn only_a_true_degraded_condition_counts() {
    let other_kind = reconciled().degraded("True").with(|a| {
        a.conditions[0].kind = Some("Available".to_owned());
    });
    for answer in [
        reconciled().degraded("False"),
        reconciled().degraded("Unknown"),
        other_kind,
    ] {
        watch().steady(0..=599_000, answer).goes_on();
    }
    for status in ["True", "true"] {
        let mut watch = watch();
        watch
            .steady(0..=19_000, reconciled().degraded(status))
            .goes_on();
        watch.see(20_000, reconciled().degraded(status));
        assert_eq!(
            watch.because(Verdict::Failed).message.as_deref(),
            Some("2 pods are pending")
        );
    }
}

#[test]
fn under_an_infrastructure_issue_crashes_and_pulls_wait() {
    for reason in ["CrashLoopBackOff", "ErrImagePull", "InvalidImageName"] {
        let mut watch = watch();
        watch
            .steady(0..=599_000, faring(waiting(reason, 99)).issue())
            .goes_on();
        assert_eq!(watch.by(), 600_000);
        watch.see(600_000, faring(waiting(reason, 99)).issue());
        assert_eq!(watch.because(Verdict::Infrastructure).code, reason);
    }
    watch()
        .steady(
            0..=599_000,
            reconciled().own(Told::Creating).degraded("True").issue(),
        )
        .goes_on();
}

#[test]
fn when_the_issue_clears_restarts_are_counted_anew() {
    let mut watch = watch();
    watch
        .see(0, crashing(2, 1))
        .see(1000, crashing(50, 1).issue());
    watch
        .see(2000, crashing(52, 1))
        .see(3000, crashing(54, 1))
        .goes_on();
    watch.see(4000, crashing(55, 1));
    watch.ended(Verdict::Failed);
}

#[test]
fn restarts_under_the_issue_stay_excused_when_the_count_is_missing_for_a_while() {
    let mut watch = watch();
    watch.see(0, crashing(50, 1).issue());
    watch.see(1000, reconciled().own(Told::Validating));
    watch.see(2000, crashing(52, 1)).goes_on();
    watch.see(3000, crashing(53, 1));
    watch.ended(Verdict::Failed);
}

#[test]
fn a_restart_count_that_falls_after_the_issue_counts_from_there() {
    let mut watch = watch();
    watch
        .see(0, crashing(50, 1).issue())
        .see(1000, crashing(50, 1))
        .see(2000, crashing(0, 1))
        .see(3000, crashing(50, 1))
        .see(4000, crashing(7, 1))
        .see(5000, crashing(9, 1))
        .goes_on();
    watch.see(6000, crashing(10, 1)).ended(Verdict::Failed);
}

#[test]
fn a_replica_that_is_replaced_after_the_issue_is_no_crash() {
    let mut watch = watch();
    watch
        .see(0, crashing(6, 2).issue())
        .see(1000, crashing(6, 2))
        .see(2000, crashing(3, 1))
        .goes_on();
}

#[test]
fn a_count_that_the_issue_never_told_is_excused_when_it_is_told() {
    let mut watch = watch();
    watch
        .see(0, reconciled().own(Told::Validating).issue())
        .see(1000, reconciled().own(Told::Validating))
        .see(2000, crashing(9, 1))
        .goes_on();
}

#[test]
fn when_the_issue_clears_the_clock_of_not_pulling_starts_anew() {
    let pulling = || faring(waiting("ErrImagePull", 0));
    let mut watch = watch();
    watch
        .see(0, pulling())
        .see(10_000, pulling().issue())
        .see(15_000, pulling());
    assert_eq!(watch.by(), 35_000);
    watch.see(34_999, pulling()).goes_on();
    watch.see(35_000, pulling());
    watch.ended(Verdict::Failed);
}

#[test]
fn when_the_issue_clears_the_count_of_what_cannot_mend_itself_starts_anew() {
    let broken = || faring(waiting("InvalidImageName", 0));
    let mut watch = watch();
    watch
        .see(0, broken())
        .see(1000, broken().issue())
        .see(2000, broken())
        .goes_on();
    watch.see(3000, broken());
    watch.ended(Verdict::Failed);
}

#[test]
fn failing_under_an_infrastructure_issue_is_the_platforms_fault() {
    let mut failed = watch();
    failed
        .see(0, reconciled().own(Told::Failed).issue())
        .ended(Verdict::Infrastructure);
    let mut reported = watch();
    reported.steady(
        0..=1000,
        reconciled().own(Told::Creating).error("E", "e").issue(),
    );
    reported.ended(Verdict::Infrastructure);
    let mut others = watch();
    others.see(0, reconciled().revision("old", Told::Active).issue());
    others.see(600_000, reconciled().revision("old", Told::Active).issue());
    others.ended(Verdict::Timeout);
    let mut over = watch();
    over.see(0, reconciled().own(Told::Creating).issue())
        .see(1000, reconciled().own(Told::Failed));
    over.ended(Verdict::Failed);
}
