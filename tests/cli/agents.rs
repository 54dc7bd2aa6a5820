//! Several agents: judged side by side, under one limit on requests.

use serde_json::{Value, json};

use crate::harness::Test;
use crate::output::validate;
use crate::server::{Server, answer, details, send};

const BOTH: &str = "\
AGENT  VERDICT  AFTER  DEPLOYMENT  REASON
b      ready    TIME   new
a      ready    TIME   new
";

#[test]
fn several_agents_are_judged_side_by_side_and_the_worst_decides() {
    let server =
        Server::start(|_, stream| send(stream, &details(&json!({"name": null, "ready": true}))));
    let slow = Server::start(|number, stream| {
        send(
            stream,
            &details(&json!({"name": null, "ready": number > 20})),
        );
    });
    Test::against(&server.url(), "wait b a b --progress none")
        .stdout(BOTH)
        .run();
    Test::against(&slow.url(), "wait b a --progress none --poll-interval 1ms")
        .stdout(BOTH)
        .run();
    let mixed = Server::start_by_head(|head| match head.split_whitespace().nth(1).unwrap() {
        "/v1/agents/good" => details(&json!({"name": "good", "ready": true})),
        "/v1/agents/bad" => details(
            &json!({"name": "bad", "currentRevision": {"deploymentID": "new", "phase": "Failed"}}),
        ),
        _ => answer(
            "404 Not Found",
            "Content-Type: application/json\r\n",
            r#"{"error":"Service not found","code":"404"}"#,
        ),
    });
    let left = Test::against(
        &mixed.url(),
        "wait missing good bad --appear-timeout 1 --output json",
    )
    .status(10)
    .stdout_starts("{\"exitCode\":10,")
    .stderr_any()
    .run();
    let report: Value = serde_json::from_str(&left.stdout).unwrap();
    validate("report.schema.json", &report);
    let verdicts: Vec<_> = report["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| &agent["verdict"])
        .collect();
    assert_eq!(verdicts, ["not-found", "ready", "failed"]);
    assert_eq!(
        report["agents"][0]["reason"]["message"],
        "Service not found (404)"
    );
}

#[test]
fn fail_fast_stops_the_others() {
    let server = Server::start_by_head(|head| {
        let failed = head.starts_with("GET /v1/agents/bad ");
        let details = json!({
            "ready": false, "desiredDeploymentId": "new", "reconciledDeploymentId": "new",
            "currentRevision": {"deploymentID": "new", "phase": if failed { "Failed" } else { "Creating" }},
        });
        answer("200 OK", "", &details.to_string())
    });
    let left = Test::against(&server.url(), "wait slow bad --fail-fast --progress none")
        .status(10)
        .stdout_starts("AGENT")
        .run();
    let table: Vec<Vec<&str>> = left
        .stdout
        .lines()
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    assert_eq!(
        table[1..],
        [vec!["slow", "interrupted"], vec!["bad", "failed"]]
    );
    assert!(
        left.stdout.contains("bad failed (--fail-fast)"),
        "{}",
        left.stdout
    );
}

#[test]
fn all_agents_share_one_limit_on_requests() {
    let server = Server::start(|number, stream| {
        let details = json!({
            "ready": number >= 8, "desiredDeploymentId": "new", "reconciledDeploymentId": "new",
        });
        send(stream, &answer("200 OK", "", &details.to_string()));
    });
    Test::against(
        &server.url(),
        "wait a b c --poll-interval 1ms --max-rps 4 --progress none --output json",
    )
    .stdout_starts("{\"exitCode\":0,")
    .run();
    let at: Vec<_> = server.requests().iter().map(|request| request.at).collect();
    // Four at once, then four a second.
    let spread = at[8] - at[0];
    assert!(
        spread >= std::time::Duration::from_millis(1200),
        "{spread:?}"
    );
}
