//! Why it failed: the last lines that the deployment logged.

use serde_json::json;

use crate::harness::Test;
use crate::server::{Server, agent, play};
use crate::support::http::answer;

/// An agent whose revision has failed, and what its logs answer.
fn failed(logs: impl Fn() -> String + Send + Sync + 'static) -> Server {
    Server::answering(move |request| {
        if request.path.contains("/logs?") {
            return logs();
        }
        let details = json!({
            "name": "my-agent", "ready": false, "desiredDeploymentId": "n/w", "reconciledDeploymentId": "n/w",
            "currentRevision": {"deploymentID": "n/w", "phase": "Failed"},
        });
        answer("200 OK", "", &details.to_string())
    })
}

fn page() -> String {
    let logs = json!({"total": {"value": 3}, "logs": [
        {"log": "third ##[error]", "timestamp": "2026-11-23T15:00:02Z", "deploymentId": "n/w"},
        {"log": "second\u{1b}[2J", "timestamp": "2026-11-23T15:00:01Z", "deploymentId": "n/w"},
        {"log": "first", "timestamp": "2026-11-23T15:00:00Z", "deploymentId": "n/w"},
    ]});
    answer("200 OK", "", &logs.to_string())
}

const FAILED: &str = "my-agent: failed after TIME, deployment n/w: its revision has failed, and the platform gives no reason\n";
const LAST: &str = "  deployment  n/w";

#[test]
fn the_last_lines_are_shown_oldest_first_and_reported() {
    let server = failed(page);
    let left = Test::against(&server.url(), "wait my-agent --logs 7 --output json")
        .status(10)
        .stdout_starts("{\"exitCode\":10,")
        .stderr_lines(&format!(
            "{LAST}\n  logs\n    | first\n    | second\n    | third ## [error]"
        ))
        .run();
    let report = left.json();
    assert_eq!(
        report["agents"][0]["logs"],
        json!(["first", "second\u{1b}[2J", "third ##[error]"])
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let asked = "GET /v1/agents/my-agent/logs?deploymentId=n%2Fw&limit=7&order=desc";
    assert_eq!(requests[1].line(), asked);
}

#[test]
fn logs_that_cannot_be_had_change_nothing() {
    for (answered, why) in [
        (
            answer("500 Oops", "", ""),
            "the API answered 500 Internal Server Error",
        ),
        (
            answer("404 Not Found", "", r#"{"error":"no logs"}"#),
            "the API answered 404 Not Found: no logs",
        ),
        (
            answer("200 OK", "", "<html>"),
            "the body is not the JSON of logs: it is a web page",
        ),
        (
            String::new(),
            "the connection broke: connection closed before message completed",
        ),
    ] {
        let server = failed(move || answered.clone());
        let left = Test::against(&server.url(), "wait my-agent")
            .status(10)
            .stdout(FAILED)
            .stderr_lines(LAST)
            .run();
        let warning = format!(" WARN the logs of my-agent cannot be read: {why}\n");
        assert!(left.stderr.contains(&warning), "{}", left.stderr);
        assert!(!left.stderr.contains("  logs"), "{}", left.stderr);
    }
}

#[test]
fn logs_that_hang_are_not_waited_for() {
    let (over, end) = std::sync::mpsc::channel::<()>();
    let end = std::sync::Mutex::new(end);
    let server = failed(move || {
        // Until the test is over.
        let _ = end.lock().unwrap().recv();
        page()
    });
    let left = Test::against(&server.url(), "wait my-agent")
        .status(10)
        .stdout(FAILED)
        .stderr_lines(LAST)
        .run();
    assert!(
        left.stderr
            .contains(" WARN the logs of my-agent cannot be read: ")
    );
    drop(over);
}

#[test]
fn no_logs_are_asked_for_where_none_are_wanted_or_needed() {
    let server = failed(page);
    Test::against(&server.url(), "wait my-agent --logs 0 --progress none")
        .status(10)
        .stdout(FAILED)
        .run();
    assert_eq!(server.requests().len(), 1);
    let ready = play(vec![agent(true)]);
    Test::against(&ready.url(), "wait my-agent --progress none")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .run();
    assert_eq!(ready.requests().len(), 1);
    let progressing = play(vec![agent(false)]);
    Test::against(&progressing.url(), "status my-agent --progress none")
        .status(124)
        .stdout_starts("my-agent: still progressing")
        .run();
    assert_eq!(progressing.requests().len(), 1);
}

#[test]
fn where_many_requests_wait_the_verdict_does_not_wait_for_the_logs() {
    let server = Server::answering(|request| {
        if request.path.contains("/logs?") {
            return page();
        }
        let name = request.path.split('/').nth(3).unwrap();
        let details = json!({
            "name": name, "ready": name != "bad", "desiredDeploymentId": "n/w", "reconciledDeploymentId": "n/w",
            "currentRevision": {"deploymentID": "n/w", "phase": if name == "bad" { "Failed" } else { "Active" }},
        });
        answer("200 OK", "", &details.to_string())
    });
    // The others get their permits in the seconds after the first one's, and the logs in the one after.
    let left = Test::against(&server.url(), "wait bad one two three four --max-rps 1")
        .status(10)
        .stdout_any()
        .stderr_lines("[TIME] four: ready after TIME")
        .run();
    let warning = " WARN the logs of bad cannot be read: too many requests are waiting\n";
    assert!(left.stderr.contains(warning), "{}", left.stderr);
    let asked = server.requests();
    assert!(!asked.iter().any(|request| request.path.contains("/logs?")));
}
