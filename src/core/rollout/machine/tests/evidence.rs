//! What counts against the target, and what does not (rules 1, 2 and 5 to 8).

use super::*;

#[test]
fn nothing_counts_while_another_deployment_is_reconciled() {
    for evidence in
        "Failed, old:Failed, :Failed, ready old:Active up, CrashLoopBackOff*99, degraded, \
        old:Failed OOMKilled*9, InvalidImageName*0, ErrImagePull*0, err=PCC_X@old, issue"
            .split(", ")
    {
        let history = format!("0 old/old | 1..200 new/old {evidence} | 201 new/new ready");
        check(&format!(
            "
            id new, grace 0, restarts 1: {history} => ready 201
        "
        ));
    }
}

#[test]
fn only_the_targets_own_revision_fails_it() {
    check(
        "
        first: 0 new/new Failed => failed 0
        first: 0..99 new/new old:Failed => goes on
        first: 0..99 new/new old:Failed OOMKilled*99 => goes on
        # A revision that names no deployment is the target's, unless it is the previous one.
        first: 0..1 new/old :Failed | 2 new/new :Failed => failed 2
        first: 0 new/new :Creating CrashLoopBackOff*3 => failed 0
        first: 0..99 new/new :Failed prev=current => goes on
        first: 0 new/new :Failed prev => failed 0
        first: 0 new/new :Failed issue => infrastructure 0
        not base@500: 0 new/new c900 :Failed => failed 0
        id new: 0..9 old/old :Failed => goes on
    ",
    );
}

#[test]
fn crashing_is_counted_in_restarts_whatever_they_are_called() {
    let climbing = |reason: &str, from: u64, to: u64| {
        let answers = (from..=to).map(|n| format!("{} new/new Validating {reason}*{n}", n - from));
        answers.collect::<Vec<_>>().join(" | ")
    };
    for reason in "CrashLoopBackOff, crashloopbackoff, Error, OOMKilled, run, dead, run:OOMKilled, \
        dead:Completed, PostStartHookError, odd:Shiny, odd:Error, ContainerCreating, run:Error, \
        ImagePullBackOff, ContainerCannotRun"
        .split(", ")
    {
        let [three, two, late] = [(0, 3), (0, 2), (40, 44)].map(|(a, b)| climbing(reason, a, b));
        check(&format!(
            "
            first: {three} => failed 3
            first, restarts 1: {three} => failed 1
            first: {two} => goes on
        "
        ));
        // The total at the first sight is of old; a loop that the platform names goes on.
        let named = reason.eq_ignore_ascii_case("CrashLoopBackOff");
        let expected = if named { "failed 0" } else { "failed 3" };
        check(&format!(
            "
            first: {late} => {expected}
        "
        ));
    }
    check("
        first: 0 new/new Validating CrashLoopBackOff*2 => goes on
        first: 0 new/new Validating CrashLoopBackOff*3 => failed 0
        first: 0 new/new Validating CrashLoopBackOff*5/2 => goes on
        first: 0 new/new Validating CrashLoopBackOff*6/2 => failed 0
        first: 0 new/new Validating CrashLoopBackOff*3/0 => failed 0
        first: 0 new/new Validating CrashLoopBackOff*2/0 => goes on
        first: 0 new/new run*9 | 1 new/new run*0 | 2..7 new/new run*1 | 8 new/new run*3 => failed 8
        first: 0 new/new Validating CrashLoopBackOff*3/x => failed 0
        first: 0..99 new/new Validating CrashLoopBackOff*x => goes on
        first: 0 new/new Active Error*40 | 3 new/new ready Active run*40 => ready 3
        first: 0..99 new/new Validating Error*40 => goes on
        first: 0 new/new Creating | 1 new/new Validating CrashLoopBackOff*3 => failed 1
        # What several replicas count together is not one's, however few an answer shows.
        first: 0 new/new run*0/10 | 1 new/new run*3/10 | 2 new/new run*0/1 | 3 new/new run*3/10 | 4 new/new ready => ready 4
        first: 0 new/new run*0/4 | 1 new/new run*4/4 | 2 new/new run*4 | 3 new/new ready => ready 3
        first: 0 new/new run*0/10 | 1 new/new run*4/10 | 2..9 new/new run*0/1 | 10 new/new ready => ready 10
        first: 0 new/new run*0/10 | 1 new/new run*4/10 | 2..9 new/new run*0/1 | 10 new/new run*3/1 => failed 10
        first: 0 new/new run*0/1 | 1 new/new run*2/1 | 2 new/new run*4/2 => goes on
        # One restart is none, also where two replicas of the API disagree on it.
        first: 0..99 new/new Validating CrashLoopBackOff*1 => goes on
        first: 0 new/new Validating run*0 | 1 new/new Validating run*1 | 2 new/new Validating run*0 | 3 new/new Validating run*1 | 4 new/new Validating run*0 | 5 new/new Validating run*1 | 6 new/new Validating run*0 | 7 new/new Validating run*1 => goes on
        # A fall is a replaced replica: what was counted stays, and its successor's restarts count.
        first: 0 new/new Validating run*5/2 | 1 new/new Validating run*8/2 | 2..7 new/new Validating run*3/2 | 8 new/new Validating run*6/2 => failed 8
        first: 0..4 new/new Validating run*9 | 5..10 new/new Validating run*0 | 11 new/new Validating run*2 => goes on
        first: 0..4 new/new Validating run*9 | 5..10 new/new Validating run*0 | 11 new/new Validating run*3 => failed 11
        first: 0 new/new Validating run*0 | 9 new/new Validating | 20 new/new Validating run*3 => failed 20
        # Before it was in view, and while another was reconciled, it was not its own.
        # Old restarts that the first answer does not show are no new ones; without dates a revision that was there.
        first, dated: 0 new/old c400 | 1..20 new/new Validating run*40 c400 => goes on
        first: 0 new/new Validating | 1..20 new/new Validating run*40 => goes on
        first, dated, stable 60: 0 new/new ready c400 | 1..20 new/new ready run*40 c400 => goes on
        first, dated: 0 new/new Creating c940 | 1..20 new/new Validating run*3 c940 => failed 1
        first, dated: 0 new/new Creating c939 | 1..20 new/new Validating run*3 c939 => goes on
        first, dated: 0..20 new/new Validating run*3 c999 => goes on
        # What is stale shows nothing, however long: a pull that fails has not lasted meanwhile.
        first, grace 4: 0 new/new ErrImagePull*0 u960 | 1..6 old/old u900 | 7 new/new ErrImagePull*0 u960 => goes on
        id new: 0 old/old Active CrashLoopBackOff*0 | 1 new/old old:Active CrashLoopBackOff*9 | 2..60 new/new Validating run*9 => failed 2
    ");
}

#[test]
fn not_pulling_fails_when_it_has_lasted_for_the_grace() {
    for reason in "ErrImagePull, ImagePullBackOff, CreateContainerError, RunContainerError, \
        CreateContainerConfigError, imagepullbackoff, ERRIMAGEPULL, odd:ErrImagePull, \
        dead:ErrImagePull"
        .split(", ")
    {
        let pulling = format!("new/new Creating {reason}*0");
        check(&format!("
            first: 0..30 {pulling} => failed 20
            first: 0 {pulling} | 19.9 {pulling} => goes on
            first, grace 2: 0..9 {pulling} => failed 2
            first, grace 0: 0 {pulling} => failed 0
            # A break begins it anew; what nobody has seen does not count.
            first, grace 4: 0..3 {pulling} | 4 new/new Creating | 5..20 {pulling} => failed 9
            first, grace 4: 0..3 {pulling} | 4 new/new Creating ContainerCreating*0 | 5..20 {pulling} => failed 9
            first, grace 2: 0 {pulling} | 1..3 502 | 4 {pulling} => goes on
            first, grace 2: 0..1 {pulling} | 2..9 502 | 10..11 {pulling} => failed 11
            first, grace 4: 0..3 {pulling} u960 | 4 new/new Creating u900 | 5 {pulling} => failed 5
            # Its text asks to try later.
            first: 0..90 {pulling} says=unexpected_status_code_429_Too_Many_Requests => failed 60
            first: 0..90 {pulling} says=registry:_503 => failed 60
            first: 0..90 {pulling} says=net/http:_TLS_handshake_timeout => failed 60
            first: 0..90 {pulling} says=manifest_unknown:_sha256:4294295031 => failed 20
            first: 0..30 {pulling} says=503 | 31 {pulling} says=unauthorized => failed 31
            first: 0..99 {pulling} issue => goes on
        "));
    }
    // All of them share one clock.
    check("
        first, grace 4: 0 new/new ErrImagePull*0 | 1 new/new ImagePullBackOff*0 | 2..3 new/new ErrImagePull*0 | 4 new/new CreateContainerError*0 => failed 4
        first: 0..300 new/new Creating run:ErrImagePull*0 => goes on
    ");
    // The registry says once why; the kubelet's pause after it does not.
    check("
        first, grace 4: 0 new/new Creating ErrImagePull*0 says=429 | 1..20 new/new Creating ImagePullBackOff*0 says=Back-off_pulling_image => failed 12
        first, grace 4: 0 new/new Creating ErrImagePull*0 says=429 | 1..20 new/new Creating ImagePullBackOff*0 says=Back-off_pulling_image_x:_not_found => failed 4
    ");
}

#[test]
fn what_cannot_heal_fails_when_confirmed_and_what_is_unknown_is_shown() {
    for reason in [
        "InvalidImageName",
        "ErrImageNeverPull",
        "invalidimagename",
        "ERRIMAGENEVERPULL",
    ] {
        check(&format!("
            first: 0..9 new/new Creating {reason}*0 => failed 5
            first: 0..4 new/new Creating {reason}*0 | 5 new/new Creating | 6..10 new/new Creating {reason}*0 => goes on
            first: 0..4 new/new Creating {reason}*0 | 5 new/new ready => ready 5
            first: 0..2 new/new Creating {reason}*0 | 3..8 503 | 9..12 new/new Creating {reason}*0 => failed 12
        "));
    }
    for reason in ["SolarFlare", "PostStartHookError", "odd:Shiny"] {
        let mut watch = watch("first, grace 0");
        watch
            .play(&format!("0..99 new/new Creating {reason}*9"))
            .goes_on();
        assert_eq!(watch.count("problem-detected"), 1);
    }
}

#[test]
fn new_errors_fail_on_the_second_answer_also_before_reconciliation() {
    for code in ["PCC_IMAGE_NOT_FOUND", "PCC_INVALID_IMAGE_PLATFORM", "x"] {
        let [before, after] = [format!("new/old err={code}"), format!("new/new err={code}")];
        check(&format!(
            "
            not old@500: 0 old/old c500 | 1 new/old c900 | 2..3 {before} c900 => failed 3
            not old@500: 0 old/old c500 | 1..2 {before} c900 => failed 2
            not old: 0 old/old | 1..20 {before} => failed 6
            id new: 0 old/old | 1..2 {before} => failed 2
            id new: 0 old/old | 1 {before} | 2 {after} => failed 2
            first: 0 new/old | 1..2 {before} => failed 2
            first: 0 new/old | 1 {before} | 2 new/old | 3 {before} | 4 new/new ready => ready 4
            first: 0 new/old | 1 {before} | 2 new/old err=PCC_OTHER | 3 new/old | 4 new/new ready => ready 4
            first: 0 new/old | 1 {before} | 2 503 | 3 {before} => failed 3
            first: 0 new/old | 1 {before} | 2 {after} ready => ready 2
            # A first deploy: all that is listed is about it.
            first: 0..1 new/- err={code} => failed 1
            not nothing: 0 404 | 1..20 new/- err={code} => failed 6
            id new: 0..1 new/- err={code} => failed 1
            run, dated: 0 404 | 2 404 | 5 404 | 5 start | 6..7 new/- c1006 err={code} => failed 7
            # Those that name a deployment are about that one.
            first: 0..1 new/old err={code}@new => failed 1
            first: 0..1 new/new err={code}@new => failed 1
            first: 0 new/new | 1..300 new/new err={code}@old => goes on
            first: 0..300 new/- err={code}@old => goes on
            # The platform's problem or not: it says that this deployment cannot run.
            first: 0 new/new issue | 1..2 {after} issue => infrastructure 2
        "
        ));
    }
}

#[test]
fn errors_from_before_the_target_count_only_when_they_outlive_the_reconciliation() {
    check("
        # The baseline was broken; the list stays for two seconds.
        not old@500: 0..3 old/old c500 err=PCC_X | 4..9 new/old c900 err=PCC_X | 10..12 new/new c900 err=PCC_X | 13..17 new/new c900 | 18 new/new ready c900 => ready 18
        not old@500: 0 old/old c500 err=PCC_X | 1..90 new/old c900 err=PCC_X => goes on
        not old@500: 0 old/old c500 err=PCC_X | 1..9 new/old c900 err=PCC_X | 10..90 new/new c900 err=PCC_X => failed 30
        not old@500, grace 5: 0 old/old c500 err=PCC_X | 1..90 new/new c900 err=PCC_X => failed 6
        not old@500, grace 5: 0 old/old c500 err=PCC_X | 1..4 new/new c900 err=PCC_X | 5 new/new c900 | 6..10 new/new c900 err=PCC_X => goes on
        # Where no answer is from before it, the first that shows it has to do.
        first: 0..90 new/old err=PCC_X => goes on
        first: 0..9 new/old err=PCC_X | 10..90 new/new err=PCC_X => failed 30
        first: 0..90 new/new err=PCC_X => failed 20
        # A new one beside it, and one that names the target.
        first: 0 new/old err=PCC_X | 1..2 new/old err=PCC_X err=PCC_Y => failed 2
        not old@500: 0 old/old c500 err=PCC_X@new | 1..2 new/old c900 err=PCC_X@new => failed 2
        run, dated: 0 old/old c500 err=PCC_X | 1 start | 2..30 new/old c1002 err=PCC_X | 31..60 new/new c1002 err=PCC_X => failed 51
        run, dated: 0 old/old c500 err=PCC_X | 1 start | 2..30 new/old c1002 err=PCC_X err=PCC_Y => failed 3
        first, check: 0 new/new err=PCC_X => timeout 0
    ");
}

#[test]
fn degraded_counts_only_where_it_is_new_and_nothing_moves() {
    check("
        # The condition of the broken baseline stays while the target comes up.
        not old@500: 0 old/old c500 degraded | 1..60 new/new c900 Creating degraded | 61 new/new c900 ready => ready 61
        first: 0..300 new/new Creating degraded => goes on
        first: 0 new/new Creating | 1..60 new/new Creating degraded => failed 21
        first: 0 new/new Creating | 1..15 new/new Creating degraded | 16..60 new/new Validating degraded => failed 36
        first: 0 new/new Creating | 1..15 new/new Creating degraded | 16 new/new Creating | 17..60 new/new Creating degraded => failed 37
        first, grace 5: 0 new/new Creating readies=0 | 1..4 new/new Creating readies=0 degraded | 5..8 new/new Creating readies=1 degraded | 9 new/new ready degraded => ready 9
        first: 0 new/new | 1..60 new/new degraded=Other => failed 21
        first: 0 new/new degraded | 1..60 new/new degraded=Other => failed 21
        first: 0..60 new/- degraded | 61..90 new/new degraded => failed 81
        first: 0 new/old | 1..90 new/old degraded => goes on
        first: 0 new/new | 1..300 new/new condition=False => goes on
        first: 0 new/new | 1..300 new/new condition=Unknown => goes on
        first: 0 new/new | 1..300 new/new condition=true => failed 21
        first: 0 new/new Creating | 1..300 new/new Creating degraded issue => goes on
    ");
}

#[test]
fn an_infrastructure_issue_makes_crashes_and_pulls_wait_and_begins_them_anew() {
    for reason in [
        "CrashLoopBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "OOMKilled",
    ] {
        let ill = format!("new/new Creating {reason}*99 issue");
        check(&format!(
            "
            first, timeout 90: 0..90 {ill} => infrastructure 90
            first, stall 9: 0..90 {ill} => infrastructure 9
        "
        ));
    }
    check("
        first: 0 new/new Validating run*0 | 1 new/new Validating run*2 | 2 new/new Validating run*50 issue | 3 new/new Validating run*52 | 4 new/new Validating run*54 | 5 new/new Validating run*55 => failed 5
        first: 0 new/new Validating run*0 | 1 new/new Validating run*2 | 2 new/new Validating issue | 3 new/new Validating | 4 new/new Validating run*4 => goes on
        first: 0 new/new Validating CrashLoopBackOff*50 issue | 1..60 new/new Validating CrashLoopBackOff*50 => goes on
        first: 0 new/new Creating issue | 1..60 new/new Validating CrashLoopBackOff*2 => goes on
        first, grace 5: 0..3 new/new ErrImagePull*0 | 4 new/new ErrImagePull*0 issue | 5..20 new/new ErrImagePull*0 => failed 10
        first: 0..3 new/new InvalidImageName*0 | 4 new/new InvalidImageName*0 issue | 5..20 new/new InvalidImageName*0 => failed 10
        first, timeout 9: 0..4 new/new Creating issue | 5..9 new/new Creating => timeout 9
        first: 0 new/new Failed issue => infrastructure 0
    ");
}
