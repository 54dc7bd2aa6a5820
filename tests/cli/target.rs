//! Which deployment is followed: an id through a pipe, or a report from before the deploy.

use std::thread;

use serde_json::json;

use crate::harness::Test;
use crate::server::{Server, details, play};
use crate::support::KEY;
use crate::support::http::answer;

const OLD: &str = "deployment-old";
const NEW: &str = "deployment-new";

/// The answer of an agent whose deployment is ready.
fn ready(id: &str, created_at: &str) -> String {
    details(&json!({
        "ready": true, "desiredDeploymentId": id, "reconciledDeploymentId": id,
        "deployment": {"id": id, "createdAt": created_at},
    }))
}

fn ready_old() -> String {
    ready(OLD, "2026-11-23T10:00:00Z")
}

fn ready_new() -> String {
    ready(NEW, "2026-11-23T11:00:00Z")
}

const READY: &str = "my-agent: ready after TIME, deployment deployment-new\n";

#[test]
fn the_id_of_a_deployment_comes_through_a_pipe() {
    let server = play(vec![ready_old(), ready_new()]);
    let piped = |server: &Server, text: &str| {
        let arguments = "wait my-agent --progress none --poll-interval 1ms --deployment -";
        Test::against(&server.url(), arguments).stdin(text)
    };
    piped(&server, "deployment-new\n").stdout(READY).run();
    let printed = r#"{"agentName": "my-agent", "deploymentId": "deployment-new", "ready": false}"#;
    piped(&play(vec![ready_new()]), printed).stdout(READY).run();
    for (text, words) in [
        (
            "\n",
            "stdin is empty; did the command before the pipe fail?",
        ),
        (
            "deployed deployment-new\n",
            "stdin must hold an id, or the JSON that `pipecat cloud deploy` prints: it has 2 words",
        ),
        (
            r#"{"agentName": "other", "deploymentId": "deployment-new"}"#,
            "stdin is about agent \"other\", and not about \"my-agent\"",
        ),
        (
            r#"{"agentName": "my-agent"}"#,
            "stdin must hold an id, or the JSON that `pipecat cloud deploy` prints: it has no deploymentId",
        ),
        (
            "null",
            "\"null\" cannot be the id of a deployment: there was no id to take",
        ),
    ] {
        piped(&server, text)
            .status(2)
            .stderr(&format!("error: --deployment -: {words}\n"))
            .run();
    }
}

#[test]
fn a_pipe_that_never_ends_is_not_waited_for_longer_than_the_timeout() {
    let (reader, writer) = std::io::pipe().unwrap();
    Test::against(&play(vec![ready_new()]).url(), "wait my-agent --timeout 1s --deployment -")
        .stdin_from(reader)
        .status(2)
        .stderr("error: --deployment -: stdin did not end within TIME; did the command before the pipe hang?\n")
        .run();
    drop(writer);
}

#[test]
fn wait_follows_what_comes_after_the_baseline() {
    let before = Test::against(&play(vec![ready_old()]).url(), "status my-agent -o json")
        .stdout_any()
        .run();
    // A replica that lags shows an even older deployment first.
    let older = ready("deployment-older", "2026-11-23T09:00:00Z");
    let server = play(vec![older, ready_old(), ready_new()]);
    let arguments = "wait my-agent --progress none --poll-interval 100ms --baseline -";
    Test::against(&server.url(), arguments)
        .stdin(&before.stdout)
        .stdout(READY)
        .run();
}

#[test]
fn the_beginning_of_a_uuid_is_no_id() {
    for given in [
        "19db578d",
        "19DB578D-808c",
        "19db578d-808c-420a-a047-",
        "19db578d-808c-420a-a047-87edd93dc57",
    ] {
        for switch in ["--deployment", "--not-deployment"] {
            Test::with(["wait", "my-agent", switch, given])
                .env("PIPECAT_API_KEY", KEY)
                .status(2)
                .stderr(&format!("error: {switch}: \"{given}\" cannot be the id of a deployment: it is only the beginning of an id; give the whole\n"))
                .run();
        }
    }
    let ready = ready(
        "19db578d-808c-420a-a047-87edd93dc57a",
        "2026-11-23T15:00:00Z",
    );
    let arguments =
        "wait my-agent --progress none --deployment 19db578d-808c-420a-a047-87edd93dc57a";
    Test::against(&play(vec![ready]).url(), arguments)
        .stdout_starts("my-agent: ready")
        .run();
}

#[test]
fn the_first_characters_of_an_id_are_no_other_deployment() {
    let wait = |switches: &str| {
        let arguments = format!("wait my-agent --progress none --appear-timeout 1s {switches}");
        Test::against(&play(vec![ready_new()]).url(), &arguments).status(13)
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            wait("--not-deployment deployment-n")
                .stdout_starts(
                    "my-agent: unchanged after TIME: no new deployment came: deployment-new ",
                )
                .run();
        });
        scope.spawn(|| {
            wait("--deployment deployment-n")
                .stdout_starts("my-agent: unchanged after TIME, deployment deployment-n: deployment deployment-n never was the desired one; deployment-new is")
                .run();
        });
    });
}

/// An agent that deploys on a push: what its details say of commits.
fn pushed(id: &str, commit: &str, status: &str) -> String {
    details(&json!({
        "ready": true, "desiredDeploymentId": id, "reconciledDeploymentId": id,
        "git": {"repoFullName": "acme/bot", "branch": "main", "autoDeploy": true},
        "deployedCommit": {"sha": commit, "ref": "refs/heads/main"},
        "latestDeploy": {
            "id": "push-1", "status": status, "commitSha": NEW_COMMIT, "reason": "exit code 1",
        },
    }))
}

const OLD_COMMIT: &str = "1111111111111111111111111111111111111111";
const NEW_COMMIT: &str = "2222222222222222222222222222222222222222";

/// In a workflow that a push has started.
fn on_a_push(test: Test) -> Test {
    test.env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_SHA", NEW_COMMIT)
        .arg("--progress=plain")
}

#[test]
fn a_push_is_followed_from_its_build_to_its_deployment() {
    let built = || {
        let building = pushed("old", OLD_COMMIT, "building");
        play(vec![
            building.clone(),
            building,
            pushed("new", NEW_COMMIT, "succeeded"),
        ])
    };
    let by_hand = Test::against(&built().url(), "wait my-agent --progress plain --commit")
        .arg(NEW_COMMIT[..7].to_uppercase());
    let in_ci = on_a_push(Test::against(&built().url(), "wait my-agent"));
    for test in [by_hand, in_ci] {
        let left = test
            .stdout("my-agent: ready after TIME, deployment new\n")
            .stderr_any()
            .run();
        for words in [
            "my-agent: building",
            "my-agent: following deployment new\n",
            "my-agent: active (building took ",
        ] {
            assert!(left.stderr.contains(words), "{words}: {}", left.stderr);
        }
    }
    // The merge commit of a pull request is deployed by nobody.
    on_a_push(Test::against(&built().url(), "wait my-agent"))
        .env("GITHUB_EVENT_NAME", "pull_request")
        .stdout("my-agent: ready after TIME, deployment old\n")
        .stderr_any()
        .run();
}

#[test]
fn a_push_whose_build_fails_fails_with_the_platform_s_reason() {
    let failed = play(vec![pushed("old", OLD_COMMIT, "failed")]);
    Test::against(&failed.url(), "wait my-agent --progress none --commit")
        .arg(NEW_COMMIT)
        .status(10)
        .stdout("my-agent: failed after TIME: the deploy of commit 222222222222 failed before there was a deployment: exit code 1\n")
        .run();
}

#[test]
fn a_commit_that_never_deploys_is_unchanged() {
    let deployed = play(vec![pushed("old", OLD_COMMIT, "succeeded")]);
    Test::against(
        &deployed.url(),
        "wait my-agent --progress none --appear-timeout 1 --commit 3333333",
    )
    .status(13)
    .stdout("my-agent: unchanged after TIME: no deployment of commit 3333333 came; commit 111111111111 is deployed\n")
    .run();
    Test::against(
        &deployed.url(),
        "status my-agent --progress none --commit 1111111",
    )
    .stdout("my-agent: ready, deployment old\n")
    .run();
    for commit in ["main", "123", "", "222222g"] {
        Test::against(&deployed.url(), "wait my-agent --commit")
            .arg(commit)
            .status(2)
            .stderr(&format!(
                "error: --commit: {commit:?} cannot be a commit: give its hash, or at least the first 7 characters of it\n"
            ))
            .run();
    }
}

/// An agent that is ready, with a previous revision or not, whose sessions are answered with this.
fn draining(sessions: &'static [(&'static str, &'static str)], previous: bool) -> Server {
    let answered = std::sync::atomic::AtomicUsize::new(0);
    Server::answering(move |request| {
        if !request.path.ends_with("/sessions?status=active&limit=1000") {
            let previous = previous.then(|| json!({"deploymentID": "old", "readyReplicas": 1}));
            return details(&json!({"ready": true, "previousRevision": previous}));
        }
        let number = answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (status, body) = sessions.get(number).or(sessions.last()).unwrap();
        answer(status, "", body)
    })
}

const TWO_OLD: (&str, &str) = (
    "200 OK",
    r#"{"sessions": [{"deploymentId": "old"}, {"deploymentId": "older"}, {"deploymentId": "new"}]}"#,
);
const ALL_NEW: (&str, &str) = ("200 OK", r#"{"sessions": [{"deploymentId": "new"}]}"#);

#[test]
fn drained_waits_for_the_calls_on_older_deployments_where_they_can_be_read() {
    let drain = |server: &Server, switches: &str| {
        let line = format!("wait my-agent --progress none --until drained {switches}");
        Test::against(&server.url(), &line)
    };
    let ready = "my-agent: ready after TIME, deployment new\n";
    // That they cannot be read once says nothing.
    let server = draining(&[TWO_OLD, ("503 Service Unavailable", ""), ALL_NEW], false);
    drain(&server, "").stdout(ready).run();
    assert_eq!(server.requests().len(), 6);
    drain(&draining(&[TWO_OLD], false), "--timeout 2")
        .status(124)
        .stdout("my-agent: timed out after TIME, deployment new: ready, but 2 calls still run on the old version after TIME\n")
        .run();
    // Where the platform does not say it, the previous revision decides.
    for answered in [
        ("404 Not Found", r#"{"error":"no","code":"404"}"#),
        ("403 Forbidden", ""),
        ("200 OK", "{}"),
    ] {
        let answers: &'static [_] = Box::leak(Box::new([answered]));
        drain(&draining(answers, false), "").stdout(ready).run();
    }
    drain(&draining(&[("404 Not Found", "")], true), "--timeout 1")
        .status(124)
        .stdout("my-agent: timed out after TIME, deployment new: ready, but the previous revision still drains after TIME\n")
        .run();
    // Nobody else asks for them.
    let server = draining(&[TWO_OLD], false);
    Test::against(&server.url(), "wait my-agent --progress none")
        .stdout(ready)
        .run();
    assert_eq!(server.requests().len(), 1);
}
