//! The sentences of each ending, and the report on it: what a person reads who is woken at night.

use super::*;

#[test]
fn every_ending_has_its_sentence() {
    let table = "
        # Time.
        first: 60..600 new/old => DeadlineExceeded: not ready after 10m: reconciling for 9m
        first: 60..600 new/old up => DeadlineExceeded: not ready after 10m: reconciling for 9m; the old version still serves
        first: 60..600 new/new Creating down => DeadlineExceeded: not ready after 10m: creating for 9m; nothing serves: the agent takes no sessions
        first: 60..600 new/new Validating CrashLoopBackOff*2 up => CrashLoopBackOff: not ready after 10m: validating for 9m, with CrashLoopBackOff; the agent still takes sessions
        first: 60..600 new/old err=PCC_X => DeadlineExceeded: not ready after 10m: reconciling for 9m; the platform reports an error, perhaps of an older deployment: PCC_X
        first, timeout 20, stable 15: 0..9 new/new | 10..20 new/new ready up => DeadlineExceeded: ready for only 10.0s of 15.0s
        first, timeout 20, stable 5: 10..14 new/new ready up | 15..19 503 | 20 new/new ready up => DeadlineExceeded: ready for 10.0s, but the answers do not show that it lasted for 5.0s
        first, timeout 20, until drained: 10..20 new/new ready prev up => DeadlineExceeded: ready, but the previous revision still drains after 20.0s
        first, timeout 20, until drained: 10..20 new/new ready older=3 up => DeadlineExceeded: ready, but 3 calls still run on the old version after 20.0s
        first, timeout 20, until drained: 10..20 new/new ready older=1 prev up => DeadlineExceeded: ready, but 1 call still runs on the old version after 20.0s
        first, timeout 20, until drained: 10..20 new/new ready older=? up => DeadlineExceeded: ready, but it cannot be read whether calls still run on the old version after 20.0s
        first, timeout 20, until warm: 10..20 new/new ready min=2 up => DeadlineExceeded: ready, but with fewer replicas than the agent keeps at least
        first, timeout 20, require-new: 10..20 new/new ready up => DeadlineExceeded: ready, but no answer shows that it runs on a revision of its own
        not base, timeout 4: 0..4 new/new ready => DeadlineExceeded: too few answers show that this is the new deployment and not one from before
        first, check: 0 new/new down => NotReady: progressing; nothing serves: the agent takes no sessions
        first, check: 0 new/new Active down => NotReady: the platform says that it is not ready, although its revision is active; nothing serves: the agent takes no sessions
        first, check: 0 new/new ready Failed => NotReady: the platform says that it is ready, although its revision has failed
        first, check: 0 new/new Validating ErrImagePull*0 up => ErrImagePull: validating, with ErrImagePull; the agent still takes sessions
        first, timeout 20: 0..20 new/new Creating issue => DeadlineExceeded: not ready after 20.0s: creating for 20.0s; the platform reports an infrastructure issue of its own
        first, stall 5: 0..5 new/new Creating => Stalled: nothing has moved for 5.0s: creating
        first: 0 new/new CrashLoopBackOff*1 | 9 SIGTERM => Interrupted: by SIGTERM, while progressing; its code crashes: CrashLoopBackOff
        # What failed.
        first: 0 new/new CrashLoopBackOff*6 exit=137 => CrashLoopBackOff: its code crashes: CrashLoopBackOff, 6 restarts of 1 replica, last exit code 137
        first: 0 new/new CrashLoopBackOff*6/2 prev up => CrashLoopBackOff: its code crashes: CrashLoopBackOff, 6 restarts of 2 replicas; the old version still serves
        first, restarts 1: 0 new/new dead:Completed*0 | 1 new/new dead:Completed*1 => Completed: its code exits instead of running: Completed, 1 restart of 1 replica
        first, restarts 1: 0 new/new run*0 | 1 new/new run*1 => Restarting: its code crashes: Restarting, 1 restart of 1 replica
        first: 0..20 new/new ErrImagePull*0 => ErrImagePull: its image cannot be pulled: ErrImagePull, for 20.0s
        first: 0..20 new/new CreateContainerError*0 => CreateContainerError: its container cannot be created: CreateContainerError, for 20.0s
        first: 0..5 new/new InvalidImageName*0 => InvalidImageName: the container's configuration is invalid: InvalidImageName
        first: 0 new/new | 1..30 new/new degraded=PodsPending => PodsPending: the platform calls it degraded: PodsPending, for 20.0s
        first: 0 new/old | 1..2 new/old err=PCC_X => PCC_X: the platform reports an error: PCC_X
        first: 0 new/new Failed down => PhaseFailed: its revision has failed, and the platform gives no reason; nothing serves: the agent takes no sessions
        # What was listed before may be an older deployment's.
        not old: 0 old/old err=PCC_X | 1..5 new/old err=PCC_X | 6..9 new/new Failed err=PCC_X says=KeyError => PhaseFailed: its revision has failed, and the platform gives no reason
        first: 0 new/new Failed SolarFlare*0 => SolarFlare: its revision has failed: SolarFlare
        first: 0 new/new Failed issue => PhaseFailed: its revision has failed, and the platform gives no reason; the platform reports an infrastructure issue of its own
        first, require-new: 0..5 new/new ready old:Active => RevisionUnchanged: the deploy changed no revision: that of deployment old serves it
        # Which deployment.
        first: 0 new/old c950 | 1 newer/old c960 => Superseded: deployment newer took the place of new
        not old@500: 0 new/new c900 | 1..6 old/old c500 => Superseded: the previous deployment old was put back in place of new
        first: 0 new/new CrashLoopBackOff*2 | 1..6 old/old => Superseded: deployment old took the place of new; before that, its code crashes: CrashLoopBackOff
        id new: 0..30 old/old => Unchanged: deployment new never was the desired one; old is
        not base: 0..30 base/base => Unchanged: no new deployment came: base is still the desired one
        first: 0..30 -/- => Unchanged: the agent has no deployment
        run: 0 404 | 2 404 | 5 404 | 5 start | 6 end 7 | 7..14 404 => CommandFailed: the deploy command failed with exit code 7, and no new deployment came
        # Who answers.
        first: 0..30 404 => NotFound: there is no such agent (404)
        first: 0 new/old | 1..6 404 => Deleted: the agent was deleted during the watch (404)
        run, dated: 0 base/base c500 | 0 start | 1 end 0 | 2..40 404 => NotFound: the agent is gone, and no other has appeared (404)
        first: 0 302 | 1 302 | 5 302 => Http302: the API said 302 (3 failed polls in a row, over 5.0s)
        first, check: 0 401 => Http401: the API said 401
    ";
    for [asked, history, expected] in rows(table) {
        let mut watch = watch(asked);
        watch.play(history);
        let outcome = watch
            .outcome()
            .unwrap_or_else(|| panic!("{history} goes on"));
        let reason = outcome.reason.as_ref().unwrap();
        let found = format!("{}: {}", reason.code, reason.summary);
        assert_eq!(found, expected, "{history}");
    }
}

#[test]
fn a_reason_carries_the_text_of_the_code_or_the_platform_whole() {
    for (history, message) in [
        ("0 new/new CrashLoopBackOff*3", Some("Traceback")),
        ("0 new/new Failed Error*0", Some("Traceback")),
        ("0 new/new Failed", None),
        ("0..1 new/- err=PCC_X", Some("about PCC_X")),
        (
            "0..1 new/- err=PCC_X err=PCC_Y",
            Some("PCC_X: about PCC_X\nPCC_Y: about PCC_Y"),
        ),
        (
            "0 new/new CrashLoopBackOff*2 | 1..6 old/old",
            Some("Traceback"),
        ),
        (
            "0 new/new CrashLoopBackOff*2 | 1 SIGTERM",
            Some("Traceback"),
        ),
        ("0..600 new/new CrashLoopBackOff*2", Some("Traceback")),
        ("0..30 404", Some("Agent not found")),
    ] {
        let mut watch = watch("first");
        watch.play(history);
        let outcome = watch
            .outcome()
            .unwrap_or_else(|| panic!("{history} goes on"));
        let reason = outcome.reason.as_ref().unwrap();
        assert_eq!(reason.message.as_deref(), message, "{history}");
    }
}

#[test]
fn unchanged_says_how_old_the_deployment_is() {
    let mut watch = watch("run, dated");
    watch.play("0 base/base c500 | 1 start | 2 end 0 | 3..40 base/base c500");
    let summary = &watch.because(Verdict::Unchanged).summary;
    assert_eq!(
        summary,
        "no new deployment came: base (created at 2025-06-15T15:15:00Z, before the deploy at \
         2025-06-15T15:23:20Z) is still the desired one"
    );
}

#[test]
fn the_report_is_about_the_target_as_it_was_seen_last() {
    let mut watch = watch("not old@500");
    watch.play("0 old/old c500 | 1 new/new Validating readies=1 run*1/2 exit=3 c900 | 2..9 old/old old:Failed down");
    let outcome = watch.ended(Verdict::Superseded);
    assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
    assert_eq!(outcome.deployment_created_at, Some(second("900")));
    assert_eq!(outcome.baseline_deployment_id.as_deref(), Some("old"));
    assert_eq!(outcome.available, Some(false));
    let revision = outcome.revision.as_ref().unwrap();
    assert_eq!(revision.phase.as_deref(), Some("Validating"));
    assert_eq!(
        (revision.ready_replicas, revision.restart_count),
        (Some(1), Some(1))
    );
    assert_eq!(
        (revision.replicas_started, revision.last_exit_code),
        (Some(2), Some(3))
    );
    assert_eq!(
        (outcome.polls, outcome.failed_polls, outcome.elapsed),
        (8, 0, ms(7000))
    );

    let mut replaced = super::watch("id new");
    replaced.play("0..30 old/new Active new:Failed");
    assert_eq!(replaced.ended(Verdict::Superseded).revision, None);

    // The image of another deployment is none of the target's.
    for (desired, image) in [("new", Some("acme/bot:2")), ("old", None)] {
        let mut watch = super::watch("id new, check");
        let mut shown = answer(&format!("{desired}/new ready old:Active c900 sessions=2"));
        if let Observation::Details { details, .. } = &mut shown {
            details.region = Some("us-west".to_owned());
            details.deployment.as_mut().unwrap().image = Some("acme/bot:2".to_owned());
        }
        watch.see(ms(0), shown);
        let outcome = watch.outcome().unwrap();
        assert_eq!(outcome.image.as_deref(), image);
        assert_eq!(outcome.region.as_deref(), Some("us-west"));
        assert_eq!(outcome.active_sessions, Some(2));
        assert_eq!(outcome.revision_unchanged, desired == "new");
    }

    // The wait for the deploy command is none for the rollout.
    let mut run = super::watch("run, dated");
    run.play("0 base/base c500 | 0 start | 1 new/new c1001 | 3..8 new/new ready c1001 | 9 end 0 | 10 new/new ready c1001");
    let outcome = run.ended(Verdict::Ready);
    assert_eq!(outcome.elapsed, ms(2000));
    assert_eq!(outcome.server_time, Some(second("1010")));
    let mut run = super::watch("run, dated");
    run.play("0 base/base c500 | 0 start | 1 new/new c1001 | 3..8 new/new ready c1001 | 9 new/new Failed c1001");
    assert_eq!(run.ended(Verdict::Failed).elapsed, ms(8000));

    let mut superseded = super::watch("first");
    superseded.play("0 new/new Validating c950 | 1 newer/newer Failed c951");
    assert_ne!(
        superseded
            .ended(Verdict::Superseded)
            .revision
            .as_ref()
            .unwrap()
            .phase
            .as_deref(),
        Some("Failed")
    );
}
