//! When the target is ready (rule 3), how it holds, and what else is waited for.

use super::*;

#[test]
fn ready_with_matching_ids_is_complete_whatever_the_revision_says() {
    for revision in
        ", Creating, Validating, Active, Draining, Shiny, old:Failed, old:Active, :Active, down, \
        up, prev, readies=0, issue, CrashLoopBackOff*9, run*9, ErrImagePull*0, \
        InvalidImageName*0, err=PCC_X, err=PCC_X@new, degraded, prev prev=current, min=3 \
        readies=0"
            .split(", ")
    {
        check(&format!(
            "
            first: 0 new/new ready {revision} => ready 0 new
        "
        ));
    }
    check(
        "
        first: 0..9 new/new up Active readies=1 => goes on
        first: 0..9 new/old ready up => goes on
        first: 0..9 new/- ready up => goes on
        id new: 0..9 old/new ready up => goes on
    ",
    );
}

#[test]
fn ready_beside_the_phase_failed_fails_once_confirmed() {
    check(
        "
        first: 0..9 new/new ready Failed => failed 5
        first: 0..9 new/new ready :Failed => failed 5
        first: 0..9 new/new ready Failed issue => infrastructure 5
        first: 0..4 new/new ready Failed | 5 new/new ready Active => ready 5
        first: 0..4 new/new ready Failed | 5 new/new Failed => failed 5
        first, stable 3: 0 new/new ready | 1..2 new/new ready Failed | 3..9 new/new ready => ready 6
        first, check: 0 new/new ready Failed => timeout 0
    ",
    );
}

#[test]
fn ready_has_to_hold_while_answers_show_it() {
    check("
        first, stable 6: 0..9 new/new ready => ready 6
        first, stable 6: 0 new/new ready | 6 new/new ready => ready 6
        first, stable 6: 0 new/new ready | 5.9 new/new ready => goes on
        not old@500, stable 6: 0..9 new/new ready c900 => ready 6
        # Each restart begins it anew, and as many as count as crashing fail.
        first, stable 6: 0..2 new/new ready run*0 | 3..20 new/new ready run*1 => ready 9
        first, stable 6: 0 new/new ready run*0 | 2 new/new ready run*1 | 4 new/new ready run*2 | 6 new/new ready run*3 => failed 6
        first, stable 6, restarts 1: 0 new/new ready run*0 | 2 new/new ready run*1 => failed 2
        first, stable 6: 0 new/new ready run*0/2 | 2 new/new ready run*5/2 | 4..20 new/new ready run*5/2 => ready 8
        first, stable 6: 0 new/new ready run*0/2 | 2 new/new ready run*6/2 => failed 2
        first, stable 6: 0 new/new ready CrashLoopBackOff*3 => failed 0
        not base@500, stable 3: 0 new/new CrashLoopBackOff*3 | 1..4 new/new ready run*3 c900 => ready 4 new
        first, stable 6: 0..9 new/new ready run*40 => ready 6
        first, stable 6: 0..2 new/new ready run*5 | 3..9 new/new ready run*0 => ready 6
        # Time that nobody has seen does not count.
        first, stable 3: 0 new/new ready | 1..5 502 | 5.7 new/new ready => goes on
        first, stable 3: 0 new/new ready | 1..5 502 | 5.7 new/new ready | 8 new/new ready | 8.7 new/new ready => ready 8.7
        first, stable 3: 0..2 new/new ready | 3..7 401 | 8..20 new/new ready => ready 9
        first, stable 3: 0..2 new/new ready | 3 reset | 4 new/new ready | 5 new/new ready => ready 5
        # What is not ready begins it anew, what is proven older does not.
        first, stable 3: 0..2 new/new ready | 3 new/new Active | 4..20 new/new ready => ready 7
        first, stable 3: 0..2 new/new ready | 3 new/old ready | 4..20 new/new ready => ready 7
        first, stable 3: 0..2 new/new ready Active | 3 new/new Creating | 4..20 new/new ready => ready 7
        first, stable 3: 0..2 new/new ready | 3 404 | 4..20 new/new ready => ready 7
        first, stable 3: 0..2 new/new ready | 3 old/old ready | 4..20 new/new ready => ready 7
        first, stable 3: 0..2 new/new ready | 3 -/new ready | 4..20 new/new ready => ready 7
        first, stable 3: 0..2 new/new ready u960 | 3 new/new Active u959 | 4 new/new ready u960 => ready 4
        first, stable 3: 0..2 new/new ready u960 | 3 old/old u959 | 4 new/new ready u960 => ready 4
        # From several in a row on nobody has seen that it holds.
        first, stable 3: 0 new/new ready u960 | 1..6 old/old u959 | 7..9 new/new ready u960 => goes on
        first, stable 3: 0 new/new ready u960 | 1..6 old/old u959 | 7..20 new/new ready u960 => ready 10
    ");
}

#[test]
fn until_warm_waits_for_as_many_replicas_as_the_agent_keeps() {
    check("
        first, until warm: 0..5 new/new ready Active readies=1 min=2 | 6 new/new ready readies=2 min=2 => ready 6
        first, until warm: 0 new/new ready Active readies=0 min=0 => ready 0
        # Where nobody says how many it keeps, one.
        first, until warm: 0..9 new/new ready Active => goes on
        first, until warm: 0..9 new/new ready Active readies=0 => goes on
        first, until warm: 0 new/new ready Active readies=1 => ready 0
        first, until warm: 0..9 new/new ready min=1 => goes on
        first, until warm: 0..9 new/new Active readies=2 min=2 => goes on
        first, until warm: 0..9 new/new ready old:Active readies=2 min=2 => goes on
        first, until warm, stable 4: 0..2 new/new ready Active readies=1 min=1 | 3..9 new/new ready Active readies=2 min=1 => ready 4
        # All that is waited for has to last.
        first, until warm, stable 4: 0..2 new/new ready Active readies=1 min=2 | 3..9 new/new ready Active readies=2 min=2 => ready 7
        first, until warm, stable 4: 0..2 new/new ready Active readies=2 min=2 | 3 new/new ready Active readies=1 min=2 | 4..9 new/new ready Active readies=2 min=2 => ready 8
        first, until warm, stall 5: 0..9 new/new ready Active readies=1 min=2 => stalled 5
    ");
}

#[test]
fn until_drained_waits_for_the_previous_revision_to_go() {
    check("
        first, until drained: 0..5 new/new ready prev | 6 new/new ready => ready 6
        # The old code may serve without a previous revision.
        # Where the platform says which calls run, those on older deployments count as well.
        first, until drained: 0..5 new/new ready older=2 | 6 new/new ready older=0 => ready 6
        first, until drained: 0..5 new/new ready older=? | 6 new/new ready older=0 => ready 6
        first, until drained: 0..5 new/new ready older=0 prev | 6 new/new ready older=0 => ready 6
        first, until drained, stall 5: 0..4 new/new ready older=2 | 5..20 new/new ready older=1 => stalled 10
        first: 0 new/new ready older=2 => ready 0
        first, until drained: 0..5 new/new ready old:Active | 6 new/new ready Active => ready 6
        first, until drained: 0..5 new/new Active | 6..9 new/new ready prev => goes on
        first, until drained: 0..5 new/new ready prev | 6 new/new ready prev=none-ready => ready 6
        first, until drained, timeout 9: 0..9 new/new ready prev => timeout 9
        first, until drained, stable 4: 0..5 new/new ready prev | 6..20 new/new ready => ready 10
        first, until drained, stall 5: 0..4 new/new ready prev sessions=2 | 5..20 new/new ready prev sessions=1 => stalled 10
    ");
}

#[test]
fn a_deploy_that_changed_no_revision_is_ready_with_a_warning_or_failed() {
    let mut watch = watch("first, stable 2");
    watch.play("0..9 new/new ready old:Active");
    let outcome = watch.ended(Verdict::Ready);
    assert!(outcome.revision_unchanged);
    assert_eq!(outcome.warnings[0].code, "RevisionUnchanged");
    assert_eq!(outcome.revision, None);
    assert_eq!(watch.count("revision-unchanged"), 1);
    check("
        first, require-new: 0..9 new/new ready old:Active => failed 5
        first, require-new: 0..4 new/new ready old:Active | 5 new/new ready Active => ready 5
        first, require-new: 0..4 new/new ready old:Active | 5 new/new | 6..10 new/new ready old:Active => goes on
        first, require-new: 0..3 new/new ready old:Active | 4..6 503 | 7..8 new/new ready old:Active => goes on
        first, require-new: 0 new/new ready :Active => ready 0
        first, require-new: 0..9 new/new ready => goes on
        first, require-new: 0..9 new/new ready :Active prev=current => goes on
        first, require-new, timeout 5: 0..9 new/new ready => timeout 5
        first, require-new, stable 2: 0 new/new ready Active | 1 new/new ready old:Active | 2..9 new/new ready Active => ready 4
        first, require-new: 0..9 new/new ready old:Failed => failed 5
    ");
}

#[test]
fn warns_about_what_is_ready_and_yet_not_well() {
    for (answer, expected) in [
        ("new/new ready up Active run*0", &[][..]),
        ("new/new ready down", &["NotAvailable"]),
        (
            "new/new ready down Active CrashLoopBackOff*9",
            &["NotAvailable", "Restarted"],
        ),
        ("new/new ready Active run*1", &["Restarted"]),
        ("new/new ready old:Active run*5", &["RevisionUnchanged"]),
        ("new/new ready degraded", &["Degraded"]),
        ("new/new ready condition=False", &[]),
    ] {
        let mut watch = watch("first");
        let outcome = watch.play(&format!("0 {answer}")).ended(Verdict::Ready);
        let codes: Vec<_> = outcome.warnings.iter().map(|w| w.code.as_str()).collect();
        assert_eq!(codes, expected, "{answer}");
    }
}
