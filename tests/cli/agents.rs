//! Several agents: judged side by side, under one limit on requests.

use std::time::Duration;

use serde_json::json;

use crate::harness::Test;
use crate::server::{Server, details, play};
use crate::support::http::{answer, send};
use crate::support::validate;

const BOTH: &str = "\
AGENT  VERDICT  AFTER  DEPLOYMENT  REASON
b      ready    TIME   new
a      ready    TIME   new
";

#[test]
fn several_agents_are_judged_side_by_side_and_the_worst_decides() {
    let server = play(vec![details(&json!({"name": null, "ready": true}))]);
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
    let mixed = Server::answering(|request| match request.path.as_str() {
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
    let report = left.json();
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
    let server = Server::answering(|request| {
        let failed = request.path == "/v1/agents/bad";
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
    let at = server.times();
    // Four at once, then four a second, less what requests may differ in how long they are under way.
    for together in at.windows(5) {
        let spread = together[4] - together[0];
        assert!(spread >= Duration::from_millis(800), "{at:?}");
    }
}

#[test]
fn warns_where_max_rps_is_too_low_for_so_many_agents() {
    let warning = |arguments: &str| {
        let server = Server::answering(|request| {
            let name = request.path.split('/').nth(3).unwrap();
            details(
                &json!({"name": name, "currentRevision": {"deploymentID": "new", "phase": "Failed"}}),
            )
        });
        let line = format!("{arguments} --max-rps 1 --logs 0 --progress plain");
        let (process, _folder) = Test::against(&server.url(), &line).start();
        let left = process.end();
        let warning = left.stderr.lines().find(|line| line.contains(" WARN "));
        let words = warning.map(|line| line.split_once(" WARN ").unwrap().1);
        words.map(str::to_owned)
    };
    for (arguments, words) in [
        (
            "wait a b --timeout 1s",
            Some(
                "2 agents at 1 request a second: not all of them can be polled within 1.0s; raise --timeout or --max-rps",
            ),
        ),
        (
            "wait a b c d e f --fail-fast",
            Some("6 agents at 1 request a second: each is polled only every 6.0s; raise --max-rps"),
        ),
        (
            "status a b c d e f",
            Some("6 agents at 1 request a second: to check them all takes 6.0s; raise --max-rps"),
        ),
        ("wait a b c d e --fail-fast", None),
        ("wait a b c d e f --fail-fast --poll-interval 10s", None),
        ("wait a --timeout 500ms", None),
        (
            "wait a b c d e f --fail-fast --simulate phase-failed --speed 1000",
            None,
        ),
    ] {
        assert_eq!(warning(arguments).as_deref(), words, "{arguments}");
    }
}
