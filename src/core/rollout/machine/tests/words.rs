//! The words of each ending: what a person reads who is woken at night.

use super::*;

/// Code and summary of the reason.
fn said(watch: &Watch, verdict: Verdict) -> (&str, &str) {
    let reason = watch.because(verdict);
    (&reason.code, &reason.summary)
}

#[test]
fn a_timeout_says_how_long_in_which_phase_and_whether_anything_serves() {
    for (answer, summary) in [
        (reconciling(), "not ready after 10m: reconciling for 9m"),
        (
            reconciling().available(true),
            "not ready after 10m: reconciling for 9m; the old version still serves",
        ),
        (
            reconciled().own(Told::Creating).available(false),
            "not ready after 10m: creating for 9m; nothing serves: the agent takes no sessions",
        ),
    ] {
        let mut watch = watch();
        watch.see(60_000, answer).lapse(600_000);
        assert_eq!(
            said(&watch, Verdict::Timeout),
            ("DeadlineExceeded", summary)
        );
    }
}

#[test]
fn a_timeout_with_trouble_gives_the_trouble_as_the_reason() {
    let mut watch = watch();
    watch
        .see(60_000, crashing(2, 1).available(true))
        .lapse(600_000);
    let reason = watch.because(Verdict::Timeout);
    assert_eq!(reason.code, "CrashLoopBackOff");
    let summary = "not ready after 10m: validating for 9m, with CrashLoopBackOff; the agent still takes sessions";
    assert_eq!(reason.summary, summary);
    assert_eq!(reason.message.as_deref(), Some("Traceback"));
}

#[test]
fn a_timeout_of_what_was_ready_says_what_it_still_lacked() {
    let held = |l: &mut Limits| l.stable_for = ms(60_000);
    let drained = |l: &mut Limits| l.until = Until::Drained;
    let both = |l: &mut Limits| (held(l), drained(l)).0;
    let draining = || reconciled().ready().previous().available(true);
    let ready = || reconciled().ready().available(true);
    let still_draining = "ready, but the previous revision was still draining after 10m";
    let not_held = "ready for only 50.0s of the 1m that it has to hold";
    let mut watch = watch_with(held);
    watch.see(550_000, ready()).lapse(600_000);
    assert_eq!(
        said(&watch, Verdict::Timeout),
        ("DeadlineExceeded", not_held)
    );
    let unproven = "ready for 1m, but no answer in time shows that it held for 1m";
    let mut watch = watch_with(held);
    watch
        .see(540_000, ready())
        .see(599_000, reconciling())
        .lapse(600_000);
    assert_eq!(said(&watch, Verdict::Timeout).1, unproven);
    let mut watch = watch_with(drained);
    watch.see(550_000, draining()).lapse(600_000);
    assert_eq!(said(&watch, Verdict::Timeout).1, still_draining);
    let mut watch = watch_with(both);
    watch
        .see(550_000, draining())
        .see(560_000, ready())
        .lapse(600_000);
    assert_eq!(said(&watch, Verdict::Timeout).1, not_held);
}

#[test]
fn a_single_look_that_is_not_ready_says_where_things_stand() {
    let one_look = || Watch::of(Policy::one_look(TargetRule::FirstSeen, Limits::default()));
    let mut pulling = one_look();
    pulling.see(400, faring(waiting("ErrImagePull", 0)).available(true));
    let summary = "not ready yet: validating, with ErrImagePull; the agent still takes sessions";
    assert_eq!(said(&pulling, Verdict::Timeout), ("ErrImagePull", summary));
}

#[test]
fn the_platforms_fault_is_said_to_be_the_platforms() {
    let mut late = watch();
    late.see(0, reconciled().own(Told::Creating).issue())
        .lapse(600_000);
    let summary = "not ready after 10m: creating for 10m; \
                   the platform reports an infrastructure issue of its own";
    assert_eq!(
        said(&late, Verdict::Infrastructure),
        ("DeadlineExceeded", summary)
    );
    let mut failed = watch();
    failed.see(0, reconciled().own(Told::Failed).issue());
    let summary = "its revision has failed, and the platform gives no reason; \
                   the platform reports an infrastructure issue of its own";
    assert_eq!(
        said(&failed, Verdict::Infrastructure),
        ("PhaseFailed", summary)
    );
}

#[test]
fn a_failure_says_what_failed() {
    let exit = Health {
        last_exit_code: Some(137),
        ..waiting("CrashLoopBackOff", 6)
    };
    let pair = Health {
        replicas_started: Some(2),
        ..exit.clone()
    };
    let bare = Health {
        reason: None,
        state: Some(ContainerState::Terminated),
        ..exit.clone()
    };
    for (answer, code, summary) in [
        (
            faring(exit),
            "CrashLoopBackOff",
            "its code crashes: CrashLoopBackOff, 6 restarts of 1 replica, last exit code 137",
        ),
        (
            faring(pair),
            "CrashLoopBackOff",
            "its code crashes: CrashLoopBackOff, 6 restarts of 2 replicas, last exit code 137",
        ),
        (
            faring(bare),
            "Terminated",
            "its code crashes: Terminated, 6 restarts of 1 replica, last exit code 137",
        ),
        (
            faring(waiting("ErrImagePull", 0)),
            "ErrImagePull",
            "its image or container does not come up: ErrImagePull, for 20.0s",
        ),
        (
            faring(Health {
                state: Some(ContainerState::Terminated),
                last_exit_code: Some(0),
                ..waiting("Completed", 3)
            }),
            "Completed",
            "its code ends instead of running: Completed, 3 restarts of 1 replica, last exit code 0",
        ),
        (
            reconciled().degraded("True"),
            "PodsPending",
            "the platform calls it degraded: PodsPending, for 20.0s",
        ),
        (
            crashing(3, 1).available(true).previous(),
            "CrashLoopBackOff",
            "its code crashes: CrashLoopBackOff, 3 restarts of 1 replica; the old version still serves",
        ),
        (
            reconciled().own(Told::Failed).available(false),
            "PhaseFailed",
            "its revision has failed, and the platform gives no reason; nothing serves: the agent takes no sessions",
        ),
        (
            faring(waiting("InvalidImageName", 0)),
            "InvalidImageName",
            "its container cannot be made as described: InvalidImageName",
        ),
        (
            reconciled().error("Quota", "too many"),
            "Quota",
            "the platform reports an error: Quota",
        ),
        (
            reconciled().own(Told::Failed),
            "PhaseFailed",
            "its revision has failed, and the platform gives no reason",
        ),
        (
            reconciled()
                .own(Told::Failed)
                .health(waiting("SolarFlare", 0)),
            "SolarFlare",
            "its revision has failed: SolarFlare",
        ),
        (
            reconciled()
                .own(Told::Failed)
                .ready()
                .health(waiting("Error", 0)),
            "Error",
            "its revision has failed: Error",
        ),
    ] {
        let mut watch = watch();
        watch.steady(0..=20_000, answer);
        assert_eq!(said(&watch, Verdict::Failed), (code, summary));
    }
}

#[test]
fn a_failure_carries_the_platforms_or_the_codes_own_words_whole() {
    for (answer, message) in [
        (crashing(3, 1), Some("Traceback")),
        (
            reconciled().own(Told::Failed).health(waiting("Error", 0)),
            Some("Traceback"),
        ),
        (
            reconciled().own(Told::Failed).error("Quota", "too many"),
            Some("too many"),
        ),
        (
            reconciled()
                .own(Told::Failed)
                .health(waiting("Error", 0))
                .with(|a| a.errors = vec![AgentError::default()]),
            Some("Traceback"),
        ),
        (reconciled().own(Told::Failed), None),
    ] {
        let mut watch = watch();
        watch.see(0, answer);
        assert_eq!(watch.because(Verdict::Failed).message.as_deref(), message);
    }
}

#[test]
fn an_unanswered_watch_gives_the_last_failure_and_how_long_they_went_on() {
    let mut once = watch();
    once.see(0, failure(FailureClass::Refused, "Http302"));
    assert_eq!(
        said(&once, Verdict::Unavailable),
        ("Http302", "the API said Http302")
    );
    let mut thrice = watch();
    thrice
        .see(0, refused())
        .see(1000, refused())
        .see(5000, refused());
    let summary = "the API said Http401 (3 failed polls in a row, over 5.0s)";
    assert_eq!(said(&thrice, Verdict::Unauthorized), ("Http401", summary));
    let mut never = watch();
    never.lapse(600_000);
    assert_eq!(
        said(&never, Verdict::Unavailable),
        ("NoAnswer", "no answer came in time")
    );
}

#[test]
fn how_long_an_image_has_not_come_is_counted_from_its_first_failure() {
    let mut watch = watch();
    watch.see(5000, reconciled().own(Told::Creating));
    watch.steady(10_000..=30_000, faring(waiting("ErrImagePull", 0)));
    let summary = "its image or container does not come up: ErrImagePull, for 20.0s";
    assert_eq!(said(&watch, Verdict::Failed), ("ErrImagePull", summary));
}

#[test]
fn what_is_not_there_is_told_from_what_was_deleted_and_what_never_came() {
    let mut never = watch();
    never.steady(28_000..=30_000, absent());
    assert_eq!(
        said(&never, Verdict::NotFound),
        ("NotFound", "there is no such agent (404)")
    );
    assert_eq!(
        never.because(Verdict::NotFound).message.as_deref(),
        Some("Agent not found")
    );
    let mut deleted = watch();
    deleted.see(0, reconciling()).steady(1000..=3000, absent());
    let summary = "the agent was deleted while it was watched (404)";
    assert_eq!(said(&deleted, Verdict::NotFound), ("Deleted", summary));
    assert_eq!(
        deleted.because(Verdict::NotFound).message.as_deref(),
        Some("Agent not found")
    );
    let mut named = Watch::new(named("new"));
    named.steady(28_000..=30_000, ids("old", "old"));
    let summary = "deployment new was never the desired one; old is";
    assert_eq!(said(&named, Verdict::Unchanged), ("Unchanged", summary));
    let mut baseline = Watch::new(any_but("old"));
    baseline.steady(28_000..=30_000, ids("old", "old"));
    let summary = "no new deployment: old, the one from before, is still the desired one";
    assert_eq!(said(&baseline, Verdict::Unchanged), ("Unchanged", summary));
    let mut undeployed = Watch::new(any_but("old"));
    undeployed.see(0, ids("old", "old"));
    undeployed.steady(28_000..=30_000, Answer(AgentDetails::default()));
    let summary = "the agent has no deployment";
    assert_eq!(said(&undeployed, Verdict::Unchanged).1, summary);
}

#[test]
fn an_error_that_may_be_of_the_one_before_is_told_where_nothing_else_says_why() {
    let mut watch = watch();
    let listed = || reconciling().available(true).error("Quota", "no more");
    watch.see(0, listed()).see(1000, listed()).goes_on();
    watch.lapse(600_000);
    let told = watch.because(Verdict::Timeout);
    assert_eq!(
        (told.code.as_str(), told.message.as_deref()),
        ("DeadlineExceeded", Some("no more"))
    );
    assert_eq!(
        told.summary,
        "not ready after 10m: reconciling for 10m; the platform reports an error, of this \
         deployment or of the one before: Quota; the old version still serves"
    );
    let mut settled = super::watch();
    let about_old = || listed().with(|a| a.errors[0].deployment_id = Some("old".to_owned()));
    settled.see(0, about_old()).lapse(600_000);
    let summary = "not ready after 10m: reconciling for 10m; the old version still serves";
    assert_eq!(said(&settled, Verdict::Timeout).1, summary);
    let mut holding = watch_with(|l| l.stable_for = ms(60_000));
    holding
        .see(599_000, reconciled().ready().error("Quota", "no more"))
        .lapse(600_000);
    let summary = "ready for only 1.0s of the 1m that it has to hold";
    assert_eq!(said(&holding, Verdict::Timeout).1, summary);
}

#[test]
fn only_a_target_that_is_ready_lacks_nothing_but_a_revision() {
    let required = |limits: &mut Limits| limits.new_revision = NewRevision::Required;
    for (answer, phase) in [
        (reconciled(), "progressing"),
        (reconciling().ready(), "reconciling"),
        (reconciled().ready().own(Told::Failed), "failed"),
    ] {
        let mut watch = watch_with(required);
        watch.see(0, answer).lapse(600_000);
        let summary = format!("not ready after 10m: {phase} for 10m");
        assert_eq!(said(&watch, Verdict::Timeout).1, summary);
    }
}

#[test]
fn a_revision_that_failed_without_a_reason_tells_how_it_ended_last() {
    let mut watch = watch();
    let killed = Health {
        state: Some(ContainerState::Running),
        last_termination_reason: Some("OOMKilled".to_owned()),
        last_exit_code: Some(137),
        ..Health::default()
    };
    watch.see(0, reconciled().own(Told::Failed).health(killed));
    let told = said(&watch, Verdict::Failed);
    assert_eq!(told, ("OOMKilled", "its revision has failed: OOMKilled"));
}

#[test]
fn a_target_that_may_be_from_before_the_baseline_is_not_ready_for_long_enough() {
    let mut watch = Watch::new(any_but("old"));
    watch.see(599_000, reconciled().ready()).goes_on();
    watch.lapse(600_000);
    let summary =
        "ready, but fewer than 3 answers in a row show that it is no deployment from before";
    assert_eq!(
        said(&watch, Verdict::Timeout),
        ("DeadlineExceeded", summary)
    );
}

#[test]
fn a_stall_an_interruption_and_an_old_revision_say_so() {
    let mut stalled = watch_with(|l| l.stall_timeout = Some(ms(60_000)));
    stalled
        .see(0, reconciling().available(true))
        .see(60_000, reconciling().available(true));
    let summary = "nothing has moved for 1m in phase reconciling; the old version still serves";
    assert_eq!(said(&stalled, Verdict::Stalled), ("Stalled", summary));
    let (int, term) = (Interruption::Interrupt, Interruption::Terminate);
    for (interruption, how) in [
        (int, "interrupted (SIGINT)"),
        (term, "terminated (SIGTERM)"),
    ] {
        let mut watch = watch();
        watch.see(0, reconciling()).interrupt(1500, interruption);
        let summary = format!("{how} in phase reconciling, after 1.5s");
        let said = said(&watch, Verdict::Interrupted(interruption));
        assert_eq!(said, ("Interrupted", summary.as_str()));
    }
    let mut old = watch_with(|l| l.new_revision = NewRevision::Required);
    old.steady(0..=2000, reconciled().ready().revision("old", Told::Active));
    let summary =
        "it is ready, but deployment old's revision serves it: the deploy changed no revision";
    assert_eq!(said(&old, Verdict::Failed), ("RevisionUnchanged", summary));
}
