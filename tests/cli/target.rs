//! Which deployment is followed: an id through a pipe, or a report from before the deploy.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{KEY, Test};
use crate::server::{Server, answer, details, play};

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

/// The report of `status` before a deploy.
fn baseline() -> String {
    Test::against(&play(vec![ready_old()]).url(), "status my-agent -o json")
        .stdout_any()
        .run()
        .stdout
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
fn a_report_of_status_is_the_baseline() {
    let wait = |answers: Vec<String>, switches: &str| {
        let arguments = format!("wait my-agent --progress none --poll-interval 100ms {switches}");
        Test::against(&play(answers).url(), &arguments).file("before.json", baseline())
    };
    wait(vec![ready_old(), ready_new()], "--baseline before.json")
        .stdout(READY)
        .run();
    wait(vec![ready_new()], "--baseline -")
        .stdin(&baseline())
        .stdout(READY)
        .run();
    // An older deployment that a lagging replica shows is not the new one either.
    let older = ready("deployment-older", "2026-11-23T09:00:00Z");
    wait(vec![older, ready_new()], "--baseline before.json")
        .stdout(READY)
        .run();
    wait(vec![ready_old()], "--baseline before.json --appear-timeout 1s")
        .status(13)
        .stdout("my-agent: unchanged after TIME: no new deployment came: deployment-old (created at MOMENT) still is the desired one\n")
        .run();
}

#[test]
fn a_baseline_may_say_that_there_was_no_agent() {
    let absent = r#"{"error":"Service not found","code":"404"}"#;
    let none = play(vec![answer("404 Not Found", "", absent)]);
    let before = Test::against(&none.url(), "status my-agent -o json --progress none")
        .status(4)
        .stdout_any()
        .run();
    let server = play(vec![ready_new()]);
    Test::against(&server.url(), "wait my-agent --baseline - --progress none")
        .stdin(&before.stdout)
        .stdout(READY)
        .run();
}

#[test]
fn a_file_that_is_no_baseline_of_the_agent_is_wrong_usage() {
    let whole = baseline();
    let changed = |key: &str, value: Value| {
        let mut report: Value = serde_json::from_str(&whole).unwrap();
        report["agents"][0][key] = value;
        report.to_string()
    };
    let other = changed("agent", json!("other"));
    let quoted = changed("deploymentId", json!("\"deployment-old\""));
    let mut unseen: Value = serde_json::from_str(&changed("deploymentId", Value::Null)).unwrap();
    unseen["agents"][0]["verdict"] = json!("unavailable");
    let unseen = unseen.to_string();
    for (text, words) in [
        ("", "this is not the JSON report of `status`: "),
        (
            &whole[..whole.len() / 2],
            "this is not the JSON report of `status`: ",
        ),
        (
            "{}",
            "this is not the JSON report of `status`: it has no agents\n",
        ),
        (
            "deployment-old",
            "this is not the JSON report of `status`: ",
        ),
        (
            &*other,
            "the report is not about agent \"my-agent\", only about other\n",
        ),
        (
            &*unseen,
            "the report says nothing about agent \"my-agent\": its verdict is unavailable; run `status` again before the deploy\n",
        ),
        (
            &*quoted,
            "\"\\\"deployment-old\\\"\" cannot be the id of a deployment: ",
        ),
    ] {
        let left = Test::new("wait my-agent --baseline before.json")
            .env("PIPECAT_API_URL", "http://127.0.0.1:9/v1")
            .env("PIPECAT_API_KEY", KEY)
            .file("before.json", text)
            .status(2)
            .stderr_any()
            .run();
        let line = format!("error: --baseline: {words}");
        assert!(left.stderr.starts_with(&line), "{text}\n{}", left.stderr);
        assert_eq!(left.stderr.lines().count(), 1, "{}", left.stderr);
    }
}

#[test]
fn what_cannot_be_a_deployment_id_is_wrong_usage() {
    for given in [
        "null",
        "\"deployment-old\"",
        "deploym",
        "deployment\u{200b}-old",
        "{deployment-old}",
        "<html>deployment</html>",
    ] {
        for switch in ["--deployment", "--not-deployment"] {
            let left = Test::new("wait my-agent")
                .env("PIPECAT_API_KEY", KEY)
                .arg(format!("{switch}={given}"))
                .status(2)
                .stderr_any()
                .run();
            let start = format!("error: {switch}: \"");
            assert!(left.stderr.starts_with(&start), "{}", left.stderr);
            assert!(left.stderr.contains("cannot be the id of a deployment: "));
            assert_eq!(left.stderr.lines().count(), 1, "{}", left.stderr);
        }
    }
}

#[test]
fn ids_are_compared_without_regard_to_case() {
    let wait = |switches: &str| {
        let arguments = format!("wait my-agent --progress none --appear-timeout 1s {switches}");
        Test::against(&play(vec![ready_new()]).url(), &arguments)
    };
    wait("--deployment DEPLOYMENT-New").stdout(READY).run();
    thread::scope(|scope| {
        scope.spawn(|| {
            wait("--not-deployment DEPLOYMENT-NEW")
                .status(13)
                .stdout_starts(
                    "my-agent: unchanged after TIME: no new deployment came: deployment-new ",
                )
                .run();
        });
        // The first characters of an id are no other deployment than the whole.
        scope.spawn(|| {
            wait("--not-deployment deployment-n")
                .status(13)
                .stdout_starts(
                    "my-agent: unchanged after TIME: no new deployment came: deployment-new ",
                )
                .run();
        });
        scope.spawn(|| {
            wait("--deployment deployment-n")
                .status(13)
                .stdout_starts("my-agent: unchanged after TIME, deployment deployment-n: deployment deployment-n never was the desired one; deployment-new is")
                .run();
        });
    });
}
