//! Which deployment is followed: an id through a pipe, or a report from before the deploy.

use std::thread;

use serde_json::json;

use crate::harness::{KEY, Test};
use crate::server::{Server, details, play};

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
