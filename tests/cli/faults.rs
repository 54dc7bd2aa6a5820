//! Failed polls are retried whatever a socket does, and none of them is taken for an answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::harness::{Test, normal};
use crate::server::{Server, agent, play};
use crate::support::KEY;
use crate::support::http::{answer, reset, send};

const CLOSED: &str = "the connection broke: connection closed before message completed";
const CUT: &str = "the answer was cut short";
const RESET: &str = "the connection broke: Connection reset by peer (os error 104)";
const READY: &str = "my-agent: ready after TIME, deployment new\n";

/// What happens to a request instead of an answer.
type Fault = fn(&mut TcpStream);

/// Has the first poll end in `fault`, and the second one find a ready agent. The progress must name
/// one of these reasons.
fn retries_after(reasons: &[&str], fault: impl Fn(&mut TcpStream) + Send + Sync + 'static) {
    let server = Server::start(move |number, stream| match number {
        0 => fault(stream),
        _ => send(stream, &agent(true)),
    });
    let left = Test::against(&server.url(), "wait-for-ready my-agent")
        .stdout(READY)
        .stderr_any()
        .run();
    let progress = normal(&left.stderr);
    let (first, rest) = progress.split_once('\n').unwrap();
    let failed = |reason: &&str| first == format!("[TIME] my-agent: poll failed: {reason}");
    assert!(reasons.iter().any(failed), "{first}");
    assert_eq!(
        rest,
        "[TIME] my-agent: the API answers again, after 1 failed poll in TIME\n\
         [TIME] my-agent: following deployment new\n\
         [TIME] my-agent: active\n\
         [TIME] my-agent: ready after TIME\n"
    );
    assert_eq!(server.requests().len(), 2);
}

/// The same for each of these, side by side.
fn retries_after_each(cases: &[(&[&str], Fault)]) {
    thread::scope(|scope| {
        for &(reasons, fault) in cases {
            scope.spawn(move || retries_after(reasons, fault));
        }
    });
}

#[test]
fn retries_after_a_reset() {
    retries_after_each(&[
        (&[RESET], |stream| reset(stream)),
        (&[RESET], |stream| {
            send(stream, "HTTP/1.1 200 OK\r\nContent-Ty");
            reset(stream);
        }),
        // The reset may overtake the head on its way into the client.
        (&[CUT, RESET], |stream| {
            send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{");
            reset(stream);
        }),
    ]);
}

#[test]
fn retries_after_an_answer_that_is_cut_short() {
    retries_after_each(&[
        (&[CLOSED], |_| ()),
        (&[CLOSED], |stream| {
            send(stream, "HTTP/1.1 200 OK\r\nContent-Ty");
        }),
        (&[CUT], |stream| {
            send(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"name\":\"my-agent\"",
            );
        }),
    ]);
}

#[test]
fn retries_after_an_answer_that_is_not_the_agent() {
    retries_after_each(&[
        (
            &["the body is not the JSON of this agent: it breaks off after 42 bytes"],
            |stream| {
                let body = r#"{"name":"my-agent","ready":true,"desiredDe"#;
                send(stream, &answer("200 OK", "", body));
            },
        ),
        (
            &["the body is not the JSON of this agent: it is a web page"],
            |stream| {
                let html = "<html><body>ready: true</body></html>";
                send(
                    stream,
                    &answer("200 OK", "Content-Type: text/html\r\n", html),
                );
            },
        ),
        (
            &[
                r#"the body is not the JSON of this agent: it starts with ["my-agent","us-west",true,true]"#,
            ],
            |stream| {
                let body = r#"["my-agent","us-west",true,true]"#;
                send(stream, &answer("200 OK", "", body));
            },
        ),
        (
            &["the body is not the JSON of this agent: it names another, \"other\""],
            |stream| {
                let body = r#"{"name":"other","ready":true,"desiredDeploymentId":"new"}"#;
                send(stream, &answer("200 OK", "", body));
            },
        ),
        (
            &[
                "http://127.0.0.1:PORT/v1/agents/my-agent answered 404 Not Found, but not with the \
                 API's JSON (check --api-url: does it end in /v1?): the body is a web page, \"nginx\"",
            ],
            |stream| {
                let html = "<html><head><title>nginx</title></head></html>";
                send(stream, &answer("404 Not Found", "", html));
            },
        ),
        (
            &["the API answered 403 Forbidden, and asks for a pause of TIME: slow down"],
            |stream| {
                let body = r#"{"error":"slow down"}"#;
                send(stream, &answer("403 Forbidden", "Retry-After: 0\r\n", body));
            },
        ),
    ]);
}

#[test]
fn retries_after_ten_seconds_without_a_whole_answer() {
    retries_after_each(&[
        (&["no answer from 127.0.0.1:PORT within TIME"], |stream| {
            // Until the client hangs up.
            let _ = stream.read(&mut [0]);
        }),
        (&["the answer was not complete within TIME"], |stream| {
            send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            while stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(500));
            }
        }),
    ]);
}

#[test]
fn retries_after_an_answer_of_twelve_gibibytes() {
    retries_after(&["the answer is larger than 4194304 bytes"], |stream| {
        let size = 12_u64 << 30;
        send(
            stream,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"),
        );
        let brackets = vec![b'['; 65_536];
        let mut sent = 0;
        while sent < size && stream.write_all(&brackets).is_ok() {
            sent += brackets.len() as u64;
        }
        // What is in flight when the client hangs up fills no more than the sockets' buffers.
        assert!(sent < 64 << 20, "{sent} bytes were taken");
    });
}

#[test]
fn retries_after_json_that_nests_deeper_than_any_stack() {
    let reason = "the body is not the JSON of this agent: it breaks off after 3145736 bytes";
    retries_after(&[reason], |stream| {
        let body = format!("{{\"name\":{}", "[".repeat(3 << 20));
        send(stream, &answer("200 OK", "", &body));
    });
}

#[test]
fn retries_after_a_compressed_bomb() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..32 {
        encoder.write_all(&blanks).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    retries_after(
        &["the answer is larger than 4194304 bytes"],
        move |stream| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                bomb.len()
            );
            send(stream, &head);
            let _ = stream.write_all(&bomb);
        },
    );
}

#[test]
fn an_outage_is_one_line_however_many_polls_fail() {
    let server = Server::start(|number, stream| match number {
        0..3 => send(
            stream,
            &answer("502 Bad Gateway", "Content-Type: text/html\r\n", "<html>"),
        ),
        _ => send(stream, &agent(true)),
    });
    Test::against(&server.url(), "wait-for-ready my-agent")
        .stdout(READY)
        .stderr(
            "[TIME] my-agent: poll failed: the API answered 502 Bad Gateway\n\
             [TIME] my-agent: the API answers again, after 3 failed polls in TIME\n\
             [TIME] my-agent: following deployment new\n\
             [TIME] my-agent: active\n\
             [TIME] my-agent: ready after TIME\n",
        )
        .run();
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn retry_after_in_both_forms_is_honoured() {
    let server = Server::start(|number, stream| {
        let now = std::time::SystemTime::now();
        let date = |time| httpdate::fmt_http_date(time);
        match number {
            0 => send(
                stream,
                &answer("429 Too Many Requests", "Retry-After: 2\r\n", ""),
            ),
            1 => {
                let until = date(now + Duration::from_secs(3));
                let headers = format!("Date: {}\r\nRetry-After: {until}\r\n", date(now));
                send(stream, &answer("503 Service Unavailable", &headers, ""));
            }
            _ => send(stream, &agent(true)),
        }
    });
    Test::against(&server.url(), "wait-for-ready my-agent")
        .stdout(READY)
        .stderr_lines(
            "[TIME] my-agent: poll failed: the API answered 429 Too Many Requests, and asks for a pause of TIME\n\
             [TIME] my-agent: the API answers again, after 2 failed polls in TIME\n\
             [TIME] my-agent: ready after TIME",
        )
        .run();
    let at = server.times();
    assert!(at[1] - at[0] >= Duration::from_secs(2));
    assert!(at[2] - at[1] >= Duration::from_secs(3));
    assert_eq!(at.len(), 3);
}

#[test]
fn an_outage_ends_the_watch_after_outage_timeout() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let failing = play(vec![answer("500 Oops", "", "")]);
    let elsewhere = play(vec![answer("404 Not Found", "", "<p>")]);
    let cases = [
        (
            format!("http://{closed}/v1"),
            "cannot connect to 127.0.0.1:PORT: Connection refused (os error 111)",
            "check the network, HTTPS_PROXY and --api-url, then try again: pipecat-rollout status my-agent",
        ),
        (
            failing.url(),
            "the API answered 500 Internal Server Error",
            "try again later: pipecat-rollout status my-agent",
        ),
        (
            elsewhere.url(),
            "http://127.0.0.1:PORT/v1/agents/my-agent answered 404 Not Found, but not with the API's JSON",
            "check --api-url and the proxy: what answered is not the API's JSON",
        ),
    ];
    thread::scope(|scope| {
        for (url, reason, next) in cases {
            scope.spawn(move || {
                Test::against(&url, "wait-for-ready my-agent --outage-timeout 1s")
                    .status(5)
                    .stdout_starts(&format!("my-agent: unavailable after TIME: {reason}"))
                    .stderr_lines(&format!("  next        {next}"))
                    .run();
            });
        }
    });
}

#[test]
fn a_redirect_is_not_followed_and_the_key_stays() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("http://{}/v1/agents/my-agent", other.local_addr().unwrap());
    let server = Server::start(move |_, stream| {
        send(
            stream,
            &answer("302 Found", &format!("Location: {elsewhere}\r\n"), ""),
        );
    });
    let left = Test::against(&server.url(), "wait-for-ready my-agent -vv")
        .env("RUST_LOG", "trace")
        .status(5)
        .stdout_starts("my-agent: unavailable after TIME: the API answered 302 Found, a redirect to http://127.0.0.1:PORT/v1/agents/my-agent, which is not followed")
        .stderr_lines("  next        check --api-url: redirects are not followed")
        .run();
    assert!(left.stderr.contains("TRACE"), "{}", left.stderr);
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err(), "the other host was asked");
    for request in server.requests() {
        assert_eq!(request.line(), "GET /v1/agents/my-agent");
        let key = format!("Bearer {KEY}");
        assert_eq!(request.header("authorization"), Some(key.as_str()));
    }
}

/// Answers that refuse: how each ends, and what its reason begins with.
const REFUSALS: [(&str, &str, i32, &str); 4] = [
    (
        "401 Unauthorized",
        r#"{"error":"Unauthorized","code":"401"}"#,
        3,
        "the API answered 401 Unauthorized: Unauthorized (401); asked with the private API key in PIPECAT_API_KEY",
    ),
    (
        "403 Forbidden",
        "",
        3,
        "the API answered 403 Forbidden; asked with the private API key in PIPECAT_API_KEY",
    ),
    ("400 Bad Request", "", 5, "the API answered 400 Bad Request"),
    (
        "302 Found",
        "",
        5,
        "the API answered 302 Found, a redirect, which is not followed",
    ),
];

/// Watches an agent whose API refuses in this way from the `first` request to before the `end`.
fn refused_between(status: &'static str, body: &'static str, first: usize, end: usize) -> Test {
    let server = Server::start(move |number, stream| {
        let refusal = answer(status, "", body);
        let is_ready = number >= end;
        send(
            stream,
            &if (first..end).contains(&number) {
                refusal
            } else {
                agent(is_ready)
            },
        );
    });
    Test::against(
        &server.url(),
        "wait-for-ready my-agent --progress none --output json",
    )
}

/// Runs it, and gives what is reported of its agent.
fn reported(test: Test, status: i32) -> Value {
    let left = test.status(status).stdout_any().run();
    let mut report = left.json();
    report["agents"][0].take()
}

#[test]
fn a_refusal_from_the_start_ends_the_watch_after_three_polls_over_two_seconds() {
    thread::scope(|scope| {
        for (status, body, code, reason) in REFUSALS {
            scope.spawn(move || {
                let report = reported(refused_between(status, body, 0, usize::MAX), code);
                let summary = report["reason"]["summary"].as_str().unwrap();
                assert!(summary.starts_with(reason), "{summary}");
                assert!(report["polls"].as_u64().unwrap() >= 3, "{report}");
                let elapsed = report["elapsedMs"].as_u64().unwrap();
                assert!(elapsed >= 2_000, "{report}");
            });
        }
    });
}

#[test]
fn a_refusal_after_the_api_has_answered_ends_the_watch_after_five_seconds() {
    let gone = r#"{"error":"Service not found","code":"404"}"#;
    let deleted = (
        "404 Not Found",
        gone,
        4,
        "the agent was deleted during the watch (404)",
    );
    thread::scope(|scope| {
        for (status, body, code, reason) in REFUSALS.into_iter().chain([deleted]) {
            scope.spawn(move || {
                let report = reported(refused_between(status, body, 1, usize::MAX), code);
                let summary = report["reason"]["summary"].as_str().unwrap();
                assert!(summary.starts_with(reason), "{summary}");
                let elapsed = report["elapsedMs"].as_u64().unwrap();
                assert!(elapsed >= 5_000, "{report}");
            });
        }
    });
}

#[test]
fn three_refusals_in_less_than_five_seconds_are_retried() {
    let gone = r#"{"error":"Service not found","code":"404"}"#;
    let absent = ("404 Not Found", gone, 4, "");
    thread::scope(|scope| {
        for (status, body, _, _) in REFUSALS.into_iter().chain([absent]) {
            scope.spawn(move || {
                let report = reported(refused_between(status, body, 1, 4), 0);
                assert_eq!(report["verdict"], "ready", "{status}: {report}");
            });
        }
    });
}

#[test]
fn a_key_that_the_server_repeats_is_not_shown() {
    // The harness searches all that a run writes for the key.
    let refused = format!(r#"{{"error":"no such key: {KEY}"}}"#);
    let server = play(vec![answer("401 Unauthorized", "", &refused)]);
    Test::against(&server.url(), "status my-agent --progress none")
        .status(3)
        .stdout("my-agent: unauthorized: the API answered 401 Unauthorized: no such key: [the API key]; asked with the private API key in PIPECAT_API_KEY\n")
        .run();
    for key in [KEY, &KEY.replace('_', "%5F")] {
        let elsewhere = format!("Location: https://x/?key={key}\r\n");
        let server = play(vec![answer("302 Found", &elsewhere, "")]);
        Test::against(&server.url(), "status my-agent --progress none")
            .status(5)
            .stdout_starts("my-agent: unavailable: the API answered 302 Found, a redirect to https://x/?key=[the API key]")
            .run();
    }
}

#[test]
fn a_key_in_a_crash_message_is_not_shown() {
    for written in [
        KEY.to_owned(),
        KEY.replace('_', "\\u005f"),
        KEY.replace('_', "%5f"),
    ] {
        let body = format!(
            r#"{{"name":"my-agent","ready":false,"desiredDeploymentId":"new","reconciledDeploymentId":"new",
                "currentRevision":{{"deploymentID":"new","phase":"Failed",
                "health":{{"state":"terminated","message":"KEY={written}."}}}}}}"#
        );
        let server = play(vec![answer("200 OK", "", &body)]);
        for switches in ["--progress plain", "--progress json --output json"] {
            let left = Test::against(&server.url(), &format!("wait my-agent -vv {switches}"))
                .env("RUST_LOG", "trace")
                .status(10)
                .stdout_any()
                .stderr_any()
                .run();
            let shown = left.stdout + &left.stderr;
            assert!(shown.contains("KEY=[the API key]."), "{written}: {shown}");
        }
    }
}
