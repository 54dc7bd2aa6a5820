//! Every fault of a real socket is survived, and none is taken for an answer.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::{KEY, Test, normal};
use crate::server::{Server, agent, answer, read_head, reset, send};

const CUT: &str = "the answer was cut short";
const RESET: &str = "the connection broke: Connection reset by peer (os error 104)";
const READY: &str = "my-agent: ready after TIME, deployment new\n";

/// Serves `fault` for the first request and an agent that is ready for all others; the story must
/// tell of the fault with one of these words.
fn survives(words: &[&str], fault: impl Fn(&mut TcpStream) + Send + Sync + 'static) {
    let server = Server::start(move |number, stream| match number {
        0 => fault(stream),
        _ => send(stream, &agent(true)),
    });
    let left = Test::against(&server.url(), "wait-for-ready my-agent")
        .stdout(READY)
        .stderr_lines(
            "[TIME] my-agent: the API answers again, after 1 failed poll in TIME\n\
             [TIME] my-agent: deployment new is the target\n\
             [TIME] my-agent: active (waiting took TIME)\n\
             [TIME] my-agent: ready",
        )
        .run();
    let told = left.stderr.lines().next().unwrap();
    let expected = |words: &&str| normal(told) == format!("[TIME] my-agent: poll failed: {words}");
    assert!(words.iter().any(expected), "{told}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_reset_before_the_head() {
    survives(&[RESET], |stream| reset(stream));
}

#[test]
fn an_end_before_the_head() {
    survives(
        &["the connection broke: connection closed before message completed"],
        |_| (),
    );
}

#[test]
fn an_end_within_the_head() {
    survives(
        &["the connection broke: connection closed before message completed"],
        |stream| {
            send(stream, "HTTP/1.1 200 OK\r\nContent-Ty");
        },
    );
}

#[test]
fn a_reset_within_the_head() {
    survives(&[RESET], |stream| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Ty");
        reset(stream);
    });
}

#[test]
fn a_reset_after_the_head() {
    // The reset may overtake the head on its way into the client.
    let words = [CUT, RESET];
    survives(&words, |stream| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{");
        reset(stream);
    });
}

#[test]
fn a_body_that_is_cut_short() {
    survives(&[CUT], |stream| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"name\":\"my-agent\"",
        );
    });
}

#[test]
fn truncated_json() {
    survives(
        &["the body is not the JSON of this agent: it breaks off after 42 bytes"],
        |stream| {
            send(
                stream,
                &answer(
                    "200 OK",
                    "",
                    r#"{"name":"my-agent","ready":true,"desiredDe"#,
                ),
            );
        },
    );
}

#[test]
fn html_with_200() {
    survives(
        &["the body is not the JSON of this agent: it is a web page"],
        |stream| {
            let html = "<html><body>ready: true</body></html>";
            send(
                stream,
                &answer("200 OK", "Content-Type: text/html\r\n", html),
            );
        },
    );
}

#[test]
fn an_array_of_fields() {
    survives(
        &[
            r#"the body is not the JSON of this agent: it starts with ["my-agent","us-west",true,true]"#,
        ],
        |stream| {
            send(
                stream,
                &answer("200 OK", "", r#"["my-agent","us-west",true,true]"#),
            );
        },
    );
}

#[test]
fn a_body_about_another_agent() {
    survives(
        &["the body is not the JSON of this agent: it names another, \"other\""],
        |stream| {
            let body = r#"{"name":"other","ready":true,"desiredDeploymentId":"new"}"#;
            send(stream, &answer("200 OK", "", body));
        },
    );
}

#[test]
fn nothing_but_silence() {
    survives(
        &["no answer from 127.0.0.1:PORT within TIME"],
        wait_until_closed,
    );
}

#[test]
fn a_byte_every_half_second() {
    survives(&["the answer was not complete within TIME"], |stream| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(500));
        }
    });
}

#[test]
fn twelve_gibibytes_of_brackets() {
    survives(&["the answer is larger than 4194304 bytes"], |stream| {
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
fn brackets_that_nest_deeper_than_any_stack() {
    let words = "the body is not the JSON of this agent: it breaks off after 3145736 bytes";
    survives(&[words], |stream| {
        let body = format!("{{\"name\":{}", "[".repeat(3 << 20));
        send(stream, &answer("200 OK", "", &body));
    });
}

#[test]
fn a_compressed_bomb() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..32 {
        encoder.write_all(&blanks).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    survives(
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
fn a_burst_of_bad_gateways() {
    let server = Server::start(|number, stream| match number {
        0..4 => send(
            stream,
            &answer("502 Bad Gateway", "Content-Type: text/html\r\n", "<html>"),
        ),
        _ => send(stream, &agent(true)),
    });
    Test::against(&server.url(), "wait-for-ready my-agent")
        .stdout(READY)
        .stderr_lines(
            "[TIME] my-agent: poll failed: the API answered 502 Bad Gateway\n\
             [TIME] my-agent: poll failed, 4 in a row: the API answered 502 Bad Gateway\n\
             [TIME] my-agent: the API answers again, after 4 failed polls in TIME\n\
             [TIME] my-agent: ready",
        )
        .run();
    assert_eq!(server.requests().len(), 5);
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
             [TIME] my-agent: poll failed, 2 in a row: the API answered 503 Service Unavailable, and asks for a pause of TIME\n\
             [TIME] my-agent: ready",
        )
        .run();
    let at: Vec<_> = server.requests().iter().map(|request| request.at).collect();
    assert!(at[1] - at[0] >= Duration::from_secs(2));
    assert!(at[2] - at[1] >= Duration::from_secs(3));
    assert_eq!(at.len(), 3);
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
        .stdout("my-agent: unavailable after TIME: the API answered 302 Found, a redirect to http://127.0.0.1:PORT/v1/agents/my-agent, which is not followed\n")
        .stderr_lines("  next        check --api-url: redirects are not followed")
        .run();
    assert!(left.stderr.contains("DEBUG"), "{}", left.stderr);
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err(), "the other host was asked");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0]
            .head
            .contains(&format!("uthorization: Bearer {KEY}\r\n"))
    );
    assert!(
        requests[0]
            .head
            .starts_with("GET /v1/agents/my-agent HTTP/1.1\r\n")
    );
}

#[test]
fn a_404_of_a_gateway_says_nothing_about_the_agent() {
    survives(
        &[
            "http://127.0.0.1:PORT/v1/agents/my-agent answered 404 Not Found, but not with the API's \
           JSON (check --api-url: does it end in /v1?): the body is a web page, \"nginx\"",
        ],
        |stream| {
            let html = "<html><head><title>nginx</title></head></html>";
            send(stream, &answer("404 Not Found", "", html));
        },
    );
}

#[test]
fn retries_after_403_with_retry_after() {
    survives(
        &["the API answered 403 Forbidden, and asks for a pause of TIME: slow down"],
        |stream| {
            let body = r#"{"error":"slow down"}"#;
            send(stream, &answer("403 Forbidden", "Retry-After: 0\r\n", body));
        },
    );
}

#[test]
fn an_outage_without_end_is_no_verdict_about_the_agent() {
    let server = Server::start(|_, stream| send(stream, &answer("500 Oops", "", "")));
    Test::against(&server.url(), "wait-for-ready my-agent --outage-timeout 2s")
        .status(5)
        .stdout_starts(
            "my-agent: unavailable after TIME: the API answered 500 Internal Server Error",
        )
        .stderr_lines("  next        try again later: pipecat-rollout status my-agent")
        .run();
}

#[test]
fn a_refused_key_needs_three_answers() {
    let refused = r#"{"error":"Unauthorized","code":"401"}"#;
    let server = Server::start(move |_, stream| {
        send(
            stream,
            &answer(
                "401 Unauthorized",
                "Content-Type: application/json\r\n",
                refused,
            ),
        );
    });
    Test::against(&server.url(), "wait-for-ready my-agent")
        .status(3)
        .stdout_starts("my-agent: unauthorized after TIME: the API answered 401 Unauthorized: Unauthorized (401)")
        .stderr_lines("  next        check the key: it must be a private API key of this organization (Dashboard, Settings, API Keys)")
        .run();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_host_that_refuses_is_tried_again_until_the_outage_limit() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("http://{closed}/v1");
    Test::against(&url, "wait-for-ready my-agent --outage-timeout 1s")
        .status(5)
        .stdout_starts("my-agent: unavailable after TIME: cannot connect to 127.0.0.1:PORT: Connection refused (os error 111)")
        .stderr_lines("  next        check the network, HTTPS_PROXY and --api-url, then try again: pipecat-rollout status my-agent")
        .run();
}

/// Waits until the client hangs up.
fn wait_until_closed(stream: &mut TcpStream) {
    let _ = read_head(&*stream);
}

#[test]
fn a_server_that_repeats_the_key_does_not_have_it_shown() {
    // The harness looks for the key in all that a run writes.
    let refused = format!(r#"{{"error":"no such key: {KEY}"}}"#);
    let server =
        Server::start(move |_, stream| send(stream, &answer("401 Unauthorized", "", &refused)));
    Test::against(&server.url(), "wait-for-ready my-agent --progress none")
        .status(3)
        .stdout_starts("my-agent: unauthorized after TIME: the API answered 401 Unauthorized: no such key: [the API key]")
        .run();
    let crashed = format!(
        r#"{{"name":"my-agent","ready":false,"desiredDeploymentId":"new","reconciledDeploymentId":"new",
            "currentRevision":{{"deploymentID":"new","phase":"Failed",
            "health":{{"state":"terminated","message":"PIPECAT_API_KEY={KEY}"}}}}}}"#
    );
    let server = Server::start(move |_, stream| send(stream, &answer("200 OK", "", &crashed)));
    let left = Test::against(
        &server.url(),
        "wait-for-ready my-agent --output json --progress json -vv",
    )
    .env("RUST_LOG", "trace")
    .status(10)
    .stdout_starts("{")
    .stderr_any()
    .run();
    assert!(
        left.stdout.contains("PIPECAT_API_KEY=[the API key]"),
        "{}",
        left.stdout
    );
    let percent = KEY.replace('_', "%5F");
    for key in [KEY, &percent] {
        let elsewhere = format!("Location: https://x/?key={key}\r\n");
        let server =
            Server::start(move |_, stream| send(stream, &answer("302 Found", &elsewhere, "")));
        Test::against(&server.url(), "status my-agent --progress none")
            .status(5)
            .stdout_starts("my-agent: unavailable: the API answered 302 Found, a redirect to https://x/?key=[the API key]")
            .run();
    }
}

#[test]
fn a_key_in_disguise_is_not_shown_either() {
    let (start, end) = KEY.split_at(7);
    for written in [
        KEY.replace('_', "\\u005f"),
        KEY.replace('_', "\\\\u005F"),
        KEY.replace('_', "%5f"),
        format!("{start}\\u001b[0m{end}"),
        format!("{start}\\u200b{end}"),
        format!("{start}\\n{end}"),
    ] {
        let body = format!(
            r#"{{"name":"my-agent","ready":false,"desiredDeploymentId":"new","reconciledDeploymentId":"new",
                "currentRevision":{{"deploymentID":"new","phase":"Failed",
                "health":{{"state":"terminated","message":"KEY={written}."}}}}}}"#
        );
        let server = Server::start(move |_, stream| send(stream, &answer("200 OK", "", &body)));
        for output in ["text", "json"] {
            let left = Test::against(&server.url(), "wait my-agent --progress plain -vv")
                .arg(format!("--output={output}"))
                .env("RUST_LOG", "trace")
                .status(10)
                .stdout_any()
                .stderr_any()
                .run();
            let told = if output == "text" {
                left.stderr
            } else {
                left.stdout
            };
            assert!(told.contains("KEY=[the API key]."), "{written}: {told}");
        }
    }
}
