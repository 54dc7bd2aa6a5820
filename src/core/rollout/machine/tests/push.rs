//! Deploys on a push to GitHub: what is built before there is a deployment, and targets by their commit.

use super::*;

#[test]
fn a_commit_names_its_deployment() {
    check(
        "
        # It is the target once three answers over five seconds agree.
        commit abc: 0..3 old/old ready deployed=def | 4..20 new/new ready deployed=abc123 => ready 9 new
        commit abc: 0..3 old/old ready deployed=def | 4..7 new/old deployed=ABC123 | 8..20 new/new ready deployed=ABC123 => ready 9 new
        commit abc: 0..3 old/old ready | 4..20 new/new ready push=p:succeeded:abc123 => ready 9 new
        commit abc, check: 0 new/new ready deployed=abc123 => ready 0 new
        # What is desired while the commit is still being built is another one's.
        commit abc: 0..3 old/old ready push=p:building:abc | 4..12 old/old ready push=p:succeeded:abc | 13..30 new/new ready push=p:succeeded:abc => ready 18 new
        commit abc: 0..3 old/old ready push=p:building:abc | 4..6 new/old push=p:deploying:abc | 7..30 new/new ready push=p:succeeded:abc => ready 12 new
        commit abc: 0..3 old/old ready push=p:building:abc | 4..12 old/old ready deployed=abc push=p:deploying:abc | 13..30 new/new ready deployed=abc push=p:succeeded:abc => ready 18 new
        commit abc: 0 old/old ready push=p:succeeded:abc | 1..12 old/old ready push=q:building:abc | 13..30 new/new ready push=q:succeeded:abc => ready 18 new
        # The same commit once more: a new deployment comes, or none is needed.
        commit abc: 0..9 old/old ready deployed=abc push=p:building:abc | 10..20 new/new ready deployed=abc push=p:succeeded:abc => ready 15 new
        commit abc: 0..9 old/old ready deployed=abc push=p:building:abc | 10..20 old/old ready deployed=abc push=p:succeeded:abc => ready 15 old
        # A replica that lags takes it away again.
        commit abc: 0 new/new ready deployed=abc | 1..40 old/old ready deployed=def => unchanged 30
        # It is not the one that the platform only means to deploy, or has deployed before.
        commit abc: 0..40 old/old ready push=p:deploying:abc123 => goes on
        commit abc: 0..40 old/old ready deployed=def push=p:succeeded:abc123 => unchanged 30 -
        commit abc: 0..40 old/old ready => unchanged 30 -
        commit abc: 0..9 new/new deployed=abc | 10..20 next/new deployed=fed => superseded 15 new
        ",
    );
    let mut never = watch("commit abcdef0123456789");
    let why = never.play("0..40 old/old ready deployed=0123456789abcdef");
    assert_eq!(
        why.because(Verdict::Unchanged).summary,
        "no deployment of commit abcdef012345 came; commit 0123456789ab is deployed"
    );
}

#[test]
fn what_is_built_keeps_the_time_to_appear_waiting() {
    check(
        "
        commit abc: 0..300 old/old ready push=p:building:abc | 301..400 old/old ready => unchanged 330 -
        commit abc, timeout 60: 0..60 old/old ready push=p:pending:abc => timeout 60 -
        commit abc, check: 0 old/old ready push=p:deploying:abc => timeout 0 -
        commit abc: 0..40 old/old ready push=p:building:fed => unchanged 30 -
        not old: 0..300 old/old ready push=p:building:abc | 301 new/new ready => goes on
        not old, accept: 0..60 old/old ready push=p:building:abc | 61..99 old/old ready => ready 91 old
        run: 0..6 old/old | 7 start | 8 end 0 | 9..200 old/old push=p:building:abc | 201..240 old/old => unchanged 230 -
        run: 0..6 old/old | 7 start | 8 end 1 | 9..20 old/old push=p:building:abc => command-failed-1 14 -
        # What was built before the command began is not its own.
        run: 0..6 old/old push=p:building:abc | 7 start | 8 end 0 | 9..60 old/old push=p:building:abc => unchanged 38 -
        # One that was named by its id, or that was there, does not come by a push.
        id new: 0..40 old/old push=p:building:abc => unchanged 30 new
        first: 0 old/old ready push=p:building:abc => ready 0 old
        ",
    );
    let mut built = watch("commit abc");
    built.play("0 old/old | 1..3 old/old push=p:building:abc | 4 new/old deployed=abc | 5..20 new/new ready deployed=abc");
    let phases: Vec<Phase> = built.phases().into_iter().map(|(phase, _)| phase).collect();
    assert_eq!(
        phases,
        [
            Phase::Waiting,
            Phase::Building,
            Phase::Reconciling,
            Phase::Active
        ]
    );
}

#[test]
fn a_failed_push_fails_the_target_that_it_was_to_bring() {
    check(
        "
        commit abc: 0..9 old/old ready push=p:building:abc | 10..20 old/old ready push=p:failed:abc => failed 15 -
        commit abc: 0..9 old/old ready push=p:cancelled:abc => failed 5 -
        # One answer alone may come from a replica that lags.
        commit abc: 0..2 old/old ready push=p:failed:abc | 3 old/old ready push=q:building:abc | 4..20 old/old ready push=p:failed:abc => failed 9 -
        commit abc: 0..2 old/old ready push=p:failed:abc | 3..40 old/old ready push=q:building:abc => goes on
        commit abc: 0..20 old/old ready push=p:failed:def => goes on
        # Without a name it is ours only where it was seen under way.
        not old: 0..9 old/old push=p:building:abc | 10..20 old/old push=p:failed:abc => failed 15 -
        not old: 0..40 old/old push=p:failed:abc => unchanged 30 -
        run: 0..6 old/old | 7 start | 8 end 0 | 9..20 old/old push=p:building:abc | 21..40 old/old push=p:failed:abc => failed 26 -
        # While the command runs it may be anybody's.
        run: 0..6 old/old | 7 start | 8..20 old/old push=p:building:abc | 21..40 old/old push=p:failed:abc => goes on
        run: 0..6 old/old | 7 start | 8..20 old/old push=p:building:abc | 21..40 old/old push=p:failed:abc | 41 end 1 | 42..50 old/old push=p:failed:abc => failed 42 -
        run: 0..6 old/old push=p:building:abc | 7 start | 8..40 old/old push=p:failed:abc => goes on
        # Once there is a deployment, its own revision decides.
        commit abc: 0..9 new/new deployed=abc push=p:failed:abc | 10..20 new/new ready deployed=abc => ready 10 new
        commit abc: 0..9 new/new deployed=abc | 10..20 next/new deployed=fed push=p:failed:abc => superseded 15 new
        ",
    );
    let mut failed = watch("commit abc");
    failed.play("0..9 old/old push=p:failed:abcdef0123456789:exit_code_1");
    let reason = failed.because(Verdict::Failed);
    assert_eq!(reason.code, "PushFailed");
    assert_eq!(
        reason.summary,
        "the deploy of commit abcdef012345 failed before there was a deployment: exit_code_1"
    );
    assert_eq!(reason.message.as_deref(), Some("exit_code_1"));
}

#[test]
fn a_pushed_commit_counts_only_for_agents_that_deploy_on_a_push() {
    check(
        "
        pushed abc: 0 503 | 1 old/old ready auto deployed=def | 2..20 new/new ready auto deployed=abc => ready 7 new
        pushed abc: 0..40 old/old ready auto => unchanged 30 -
        pushed abc: 0 404 | 1 old/old ready => ready 1 old
        pushed abc: 0..9 old/old => goes on
        ",
    );
}
