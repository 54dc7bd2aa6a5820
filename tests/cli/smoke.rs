//! `--smoke`: a session that is started on the deployment once it is ready.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

use crate::harness::Test;
use crate::server::{Server, agent};
use crate::support::http::answer;
use crate::support::{KEY, validate};

const PUBLIC_KEY: &str = "pk_test_5ecret";

/// How the platform answers about a session: its start, what it is, what it logs.
#[derive(Clone, Copy)]
struct Session {
    start: (&'static str, &'static str),
    shown: (&'static str, &'static str),
    logs: (&'static str, &'static str),
    end: &'static str,
}

/// A session that runs, and ends by itself.
const GOOD: Session = Session {
    start: ("200 OK", r#"{"sessionId": "session-1"}"#),
    shown: (
        "200 OK",
        r#"{"sessionId": "session-1", "deploymentId": "new", "endedAt": "2026-11-23T15:00:00Z"}"#,
    ),
    logs: ("200 OK", r#"{"logs": [{"log": "hello"}]}"#),
    end: "204 No Content",
};

fn platform(session: Session) -> Server {
    Server::answering(move |request| {
        let path = request.path.split('?').next().unwrap();
        match (request.method.as_str(), path) {
            ("POST", "/v1/public/my-agent/start") => answer(session.start.0, "", session.start.1),
            ("GET", "/v1/agents/my-agent/sessions/session-1") => {
                answer(session.shown.0, "", session.shown.1)
            }
            ("GET", "/v1/agents/my-agent/logs") => answer(session.logs.0, "", session.logs.1),
            ("DELETE", "/v1/agents/my-agent/sessions/session-1") => answer(session.end, "", ""),
            _ => agent(true),
        }
    })
}

fn smoke(server: &Server) -> Test {
    Test::against(&server.url(), "wait my-agent --smoke")
        .env("PIPECAT_PUBLIC_API_KEY", PUBLIC_KEY)
        .env("PIPECAT_ROLLOUT_PROGRESS", "none")
}

/// The requests: method, path and with which key.
fn asked(server: &Server) -> Vec<String> {
    let requests = server.requests().into_iter();
    requests
        .map(|request| {
            let headers = format!("{:?}", request.headers);
            let public = headers.contains(PUBLIC_KEY);
            assert!(public != headers.contains(KEY));
            let key = if public { " (public key)" } else { "" };
            format!("{} {}{key}", request.method, request.path)
        })
        .collect()
}

#[test]
fn a_session_is_started_checked_and_ended() {
    let server = platform(GOOD);
    smoke(&server)
        .file("body.json", r#"{"greet": true}"#)
        .arg("--smoke-body=body.json")
        .arg("--progress=plain")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr_lines("[TIME] my-agent: ready after TIME")
        .run();
    assert_eq!(
        asked(&server),
        [
            "GET /v1/agents/my-agent",
            "POST /v1/public/my-agent/start (public key)",
            "GET /v1/agents/my-agent/sessions/session-1",
            "GET /v1/agents/my-agent/sessions/session-1",
            "GET /v1/agents/my-agent/logs?sessionId=session-1&limit=200&order=desc",
            "DELETE /v1/agents/my-agent/sessions/session-1",
        ]
    );
    let body = server.requests()[1].json();
    assert_eq!(
        body,
        json!({"createDailyRoom": false, "body": {"greet": true}})
    );
}

/// Runs into this fault, and gives the report.
fn fails(session: Session, switches: &[&str], code: i32) -> (Value, Vec<String>) {
    let server = platform(session);
    let test = switches.iter().fold(smoke(&server), Test::arg);
    let left = test
        .arg("--output=json")
        .status(code)
        .stdout_any()
        .stderr_any()
        .run();
    let report = left.json();
    validate("report.schema.json", &report);
    (report["agents"][0]["reason"].clone(), asked(&server))
}

#[test]
fn what_goes_wrong_with_the_session_fails_with_a_reason_of_its_own() {
    const END: &str = "DELETE /v1/agents/my-agent/sessions/session-1";
    let exception = Session {
        logs: (
            "200 OK",
            r#"{"logs": [{"log": "KeyError: 'X'"}, {"log": "ERROR Exception running bot(): 'X'"}, {"log": "hello"}]}"#,
        ),
        ..GOOD
    };
    let (reason, asked) = fails(exception, &[], 10);
    assert_eq!(reason["code"], "SmokeException");
    assert_eq!(
        reason["summary"],
        "the bot fails when a session starts: Exception running bot()"
    );
    assert_eq!(
        reason["message"],
        "ERROR Exception running bot(): 'X'\nKeyError: 'X'"
    );
    assert!(asked.iter().any(|line| line == END), "{asked:?}");

    let elsewhere = Session {
        shown: ("200 OK", r#"{"deploymentId": "old"}"#),
        ..GOOD
    };
    let (reason, asked) = fails(elsewhere, &[], 10);
    assert_eq!(
        reason["summary"],
        "the smoke session runs on deployment old, and not on this one"
    );
    assert!(asked.iter().any(|line| line == END), "{asked:?}");

    let silent = Session {
        shown: ("200 OK", r#"{"sessionId": "session-1"}"#),
        ..GOOD
    };
    let (reason, asked) = fails(silent, &["--smoke-timeout=2s"], 10);
    assert_eq!(
        reason["summary"],
        "the smoke session was started, and no deployment was shown to serve it within 2.0s"
    );
    assert!(asked.iter().any(|line| line == END), "{asked:?}");

    let busy = Session {
        start: ("429 Too Many Requests", r#"{"error": "no instance"}"#),
        ..GOOD
    };
    let (reason, asked) = fails(busy, &["--smoke-timeout=2s"], 10);
    assert_eq!(reason["code"], "SmokeNotStarted");
    let summary = reason["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("no instance was free for the smoke session within 2.0s: "),
        "{summary}"
    );
    assert!(!asked.iter().any(|line| line.starts_with("DELETE")));

    for (start, code, words) in [
        (
            ("401 Unauthorized", ""),
            3,
            "it is ready, but no smoke session could be started: the API answered 401 Unauthorized; asked with \
             the public key in PIPECAT_PUBLIC_API_KEY",
        ),
        (
            (
                "404 Not Found",
                r#"{"error": "no such agent", "code": "404"}"#,
            ),
            5,
            "it is ready, but no smoke session could be started: the API answered 404 Not Found: no such agent (404)",
        ),
        (
            ("200 OK", "{}"),
            5,
            "it is ready, but no smoke session could be started: the body is not the JSON of a session: it starts with {}",
        ),
    ] {
        let (reason, _) = fails(Session { start, ..GOOD }, &[], code);
        assert_eq!(reason["summary"], words);
    }
}

#[test]
fn what_the_api_does_not_answer_about_the_session_is_unknown() {
    const WHERE: &str =
        "it is ready, but it is not known which deployment serves the smoke session";
    const LOGGED: &str =
        "it is ready, but it is not known whether the smoke session logged an exception";
    let broken = ("500 Internal Server Error", "");
    let refused = ("403 Forbidden", "");
    let no_answer = |shown| Session { shown, ..GOOD };
    let no_logs = |logs| Session { logs, ..GOOD };
    let cases = [
        (
            no_answer(broken),
            &["--smoke-timeout=2s"][..],
            5,
            "SmokeNoAnswer",
            format!("{WHERE}: the API answered 500 Internal Server Error"),
        ),
        (
            no_answer(refused),
            &[],
            3,
            "SmokeNoAnswer",
            format!(
                "{WHERE}: the API answered 403 Forbidden; asked with the private API key in PIPECAT_API_KEY"
            ),
        ),
        (
            no_logs(broken),
            &["--smoke-timeout=2s"],
            5,
            "SmokeLogsUnread",
            format!("{LOGGED}: the API answered 500 Internal Server Error"),
        ),
        (
            no_logs(refused),
            &[],
            3,
            "SmokeLogsUnread",
            format!(
                "{LOGGED}: the API answered 403 Forbidden; asked with the private API key in PIPECAT_API_KEY"
            ),
        ),
    ];
    // Each is asked again for some seconds.
    thread::scope(|scope| {
        for (session, switches, verdict, reason_code, summary) in cases {
            scope.spawn(move || {
                let (reason, asked) = fails(session, switches, verdict);
                assert_eq!(reason["code"], reason_code);
                assert_eq!(reason["summary"], summary);
                assert!(asked.last().unwrap().starts_with("DELETE"), "{asked:?}");
            });
        }
    });
}

#[test]
fn a_question_about_the_session_that_fails_now_and_then_is_asked_again() {
    let asked = Mutex::new(HashSet::new());
    let server = Server::answering(move |request| {
        let path = request.path.split('?').next().unwrap().to_owned();
        let is_first = asked.lock().unwrap().insert(path);
        match request.method.as_str() {
            "POST" => answer(GOOD.start.0, "", GOOD.start.1),
            "DELETE" => answer(GOOD.end, "", ""),
            _ if request.path.ends_with("my-agent") => agent(true),
            _ if is_first => answer("502 Bad Gateway", "", ""),
            _ if request.path.contains("/logs?") => answer("200 OK", "", GOOD.logs.1),
            _ => answer("200 OK", "", GOOD.shown.1),
        }
    });
    smoke(&server)
        .stdout("my-agent: ready after TIME, deployment new\n")
        .run();
}

#[test]
fn a_busy_agent_is_waited_for_and_a_session_that_cannot_be_ended_is_named() {
    let started = std::sync::atomic::AtomicUsize::new(0);
    let good = platform(GOOD);
    let server = Server::answering(move |request| {
        let first = started.fetch_add(
            usize::from(request.method == "POST"),
            std::sync::atomic::Ordering::Relaxed,
        );
        match request.method.as_str() {
            "POST" if first == 0 => answer("429 Too Many Requests", "Retry-After: 1\r\n", ""),
            "POST" => answer(GOOD.start.0, "", GOOD.start.1),
            "DELETE" => answer("500 Internal Server Error", "", ""),
            _ if request.path.contains("/sessions/") => answer("200 OK", "", GOOD.shown.1),
            _ if request.path.contains("/logs?") => answer("200 OK", "", GOOD.logs.1),
            _ => agent(true),
        }
    });
    drop(good);
    let left = smoke(&server)
        .arg("--progress=plain")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr_any()
        .run();
    let words = "my-agent: the smoke session session-1 could not be ended, and may go on: the API answered 500 Internal Server Error\n";
    assert!(left.stderr.contains(words), "{}", left.stderr);
}

#[test]
fn a_smoke_session_that_cannot_be_started_is_found_out_before_the_wait() {
    let refused = |switches: &str, line: &str, give: &dyn Fn(Test) -> Test| {
        let test = Test::against(
            "http://127.0.0.1:9/v1",
            &format!("wait a --smoke {switches}"),
        );
        give(test)
            .status(2)
            .stderr(&format!("error: {line}\n"))
            .run();
    };
    let none = |test: Test| test;
    refused(
        "",
        "--smoke: no public key; put one (pk_…) into PIPECAT_PUBLIC_API_KEY, or its file into --smoke-key-file",
        &none,
    );
    refused(
        "",
        "--smoke: a public key (pk_…) is needed, and this is the private API key in PIPECAT_PUBLIC_API_KEY",
        &|test| test.env("PIPECAT_PUBLIC_API_KEY", KEY),
    );
    refused(
        "--smoke-key-file key",
        "--smoke-key-file: cannot read key: No such file or directory (os error 2)",
        &none,
    );
    let keyed = |test: Test| test.file("key", PUBLIC_KEY).file("body.json", "{");
    refused(
        "--smoke-key-file key --smoke-body body.json",
        "--smoke-body: body.json is not JSON: EOF while parsing an object at line 1 column 1",
        &keyed,
    );
}

#[test]
fn a_rehearsal_has_a_session_of_its_own() {
    let switches =
        "--simulate rolling-update --speed 20 --smoke --smoke-timeout 5s --progress none";
    Test::new(&format!("wait a {switches}"))
        .stdout("a: ready after TIME, deployment ID\n")
        .run();
}
