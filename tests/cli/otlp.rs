//! Rollouts as traces: what a receiver gets, and what one that fails costs.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::Test;
use crate::server::{Server, play};
use crate::support::http::{answer, send};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A receiver that answers every request so.
fn receiver(status: &'static str, body: &'static str) -> Server {
    play(vec![answer(status, "", body)])
}

fn accepting() -> Server {
    receiver("200 OK", r#"{"partialSuccess":{}}"#)
}

/// Where a receiver takes everything: the address without a path.
fn base(receiver: &Server) -> String {
    receiver.url().replace("/v1", "")
}

/// The spans that a receiver was sent, the root first.
fn spans(receiver: &Server) -> Vec<Value> {
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
    let body = requests[0].json();
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    spans.as_array().unwrap().clone()
}

fn rehearsal(arguments: &str) -> Test {
    Test::new(&format!(
        "{arguments} --simulate rolling-update --speed 50 --progress none"
    ))
    .stdout_any()
}

#[test]
fn a_rollout_is_sent_as_opentelemetrys_variables_say() {
    let collector = accepting();
    rehearsal("wait a")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", base(&collector))
        .env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "x-team=one,authorization=Bearer%205ecret",
        )
        .env("OTEL_SERVICE_NAME", "deploys")
        .env(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=other,deployment.environment.name=prod",
        )
        .env("TRACEPARENT", PARENT)
        .run();
    let request = &collector.requests()[0];
    assert_eq!(request.line(), "POST /v1/traces");
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-team", "one"),
        ("authorization", "Bearer 5ecret"),
    ] {
        assert_eq!(request.header(name), Some(value));
    }
    let body = request.json();
    let resource = body["resourceSpans"][0]["resource"]["attributes"].to_string();
    for part in [
        r#"{"key":"service.name","value":{"stringValue":"deploys"}}"#,
        r#"{"key":"deployment.environment.name","value":{"stringValue":"prod"}}"#,
    ] {
        assert!(resource.contains(part), "{resource}");
    }
    assert!(!resource.contains("other"), "{resource}");
    let spans = spans(&collector);
    assert_eq!(spans[0]["name"], "rollout a");
    assert_eq!(spans[0]["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(spans[0]["parentSpanId"], "b7ad6b7169203331");
    assert!(
        spans[1..]
            .iter()
            .all(|it| it["parentSpanId"] == spans[0]["spanId"])
    );
    assert!(
        spans.iter().any(|it| it["name"] == "validating"),
        "{spans:#?}"
    );
}

#[test]
fn the_address_of_traces_is_taken_as_it_is_and_a_switch_wins() {
    let (exact, typed) = (accepting(), accepting());
    let path = format!("{}/custom", base(&exact));
    rehearsal("wait a")
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &path)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", base(&typed))
        .run();
    assert_eq!(exact.requests()[0].line(), "POST /custom");
    assert!(typed.requests().is_empty());
    rehearsal(&format!("wait a b --otlp-endpoint {}/", base(&typed)))
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &path)
        .run();
    assert_eq!(exact.requests().len(), 1);
    // Each agent has a trace of its own.
    let spans = spans(&typed);
    let roots: Vec<_> = spans
        .iter()
        .filter(|it| it.get("parentSpanId").is_none())
        .collect();
    assert_eq!(roots.len(), 2);
    assert_ne!(roots[0]["traceId"], roots[1]["traceId"]);
}

#[test]
fn run_hands_its_span_on_to_the_command() {
    let collector = accepting();
    let run = "run a --simulate rolling-update --speed 50 --progress none -- /bin/sh -c";
    for (parent, state) in [(None, ""), (Some(PARENT), "vendor=1")] {
        let mut test = Test::new(run)
            .arg("echo \"$TRACEPARENT,$TRACESTATE,\"")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", base(&collector))
            .env("TRACESTATE", "vendor=1")
            .stdout_any();
        if let Some(parent) = parent {
            test = test.env("TRACEPARENT", parent);
        }
        let left = test.run();
        let body = collector.requests().pop().unwrap().json();
        let root = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        let of_root = |key: &str| root[key].as_str().unwrap();
        let handed_on = format!(
            "00-{}-{}-01,{state},",
            of_root("traceId"),
            of_root("spanId")
        );
        assert_eq!(left.stdout.lines().next(), Some(handed_on.as_str()));
        assert!(
            root["attributes"]
                .to_string()
                .contains("pipecat_rollout.command.exit_code")
        );
    }
    // Without a receiver, what the command is handed is left alone.
    Test::new(run)
        .arg("echo \"$TRACEPARENT\"")
        .env("TRACEPARENT", PARENT)
        .stdout_starts(&format!("{PARENT}\n"))
        .run();
}

#[test]
fn unsampled_and_disabled_traces_are_not_sent() {
    let collector = accepting();
    let not_sampled = PARENT.replace("-01", "-00");
    for (name, value) in [
        ("TRACEPARENT", not_sampled.as_str()),
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_TRACES_EXPORTER", "none"),
        // Empty means not set.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
    ] {
        rehearsal("wait a")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", base(&collector))
            .env(name, value)
            .run();
    }
    assert!(collector.requests().is_empty());
}

#[test]
fn a_trace_receiver_that_fails_is_a_warning_and_changes_nothing() {
    let test = |endpoint: String| {
        Test::new("wait a --simulate rolling-update --speed 50 --progress plain")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=5ecret")
            .stdout("a: ready after TIME, deployment ID\n")
            .stderr_any()
    };
    let warning = |left: &crate::support::process::Ended| {
        let last = left.stderr.lines().last().unwrap().to_owned();
        assert_eq!(left.stderr.matches("trace").count(), 1, "{}", left.stderr);
        last
    };
    let refusing = receiver("401 Unauthorized", "5ecret");
    let said = warning(&test(base(&refusing)).run());
    assert!(
        said.contains("the trace was not sent: 127.0.0.1:"),
        "{said}"
    );
    assert!(said.ends_with("answered 401 Unauthorized"), "{said}");
    let partial = receiver(
        "200 OK",
        r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too\nold"}}"#,
    );
    let said = warning(&test(base(&partial)).run());
    assert!(said.ends_with("rejected spans: too old"), "{said}");
    // What a receiver repeats is not shown, as it was given nor as it was sent, and no more than a line of the rest.
    let parrot = Server::answering(|request| {
        let value = request.header("authorization").unwrap();
        let why = format!(
            "{value} / Bearer%20T0Ken_9 / T0Ken_9 / k3y-in-query {}",
            "x".repeat(300)
        );
        let body =
            serde_json::json!({ "partialSuccess": { "rejectedSpans": 1, "errorMessage": why } });
        answer("200 OK", "", &body.to_string())
    });
    let repeating = test(format!("{}?k=k3y-in-query", base(&parrot))).env(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "authorization=Bearer%20T0Ken_9",
    );
    let said = warning(&repeating.run());
    let words = "rejected spans: [...] / [...]%20[...] / [...] / [...] ";
    let (_, rest) = said.split_once(words).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(
        rest,
        format!(
            "{}...",
            "x".repeat(200 + "rejected spans: ".len() - words.len())
        )
    );
    assert_eq!(
        parrot.requests()[0].line(),
        "POST /v1/traces?k=k3y-in-query"
    );
    let said = warning(&test("http://127.0.0.1:1".to_owned()).run());
    assert!(said.contains("cannot reach 127.0.0.1:1: "), "{said}");
    // What hangs is waited for less than a second.
    let hanging = Server::start(|_, _| std::thread::sleep(Duration::from_mins(1)));
    let began = Instant::now();
    let said = warning(&test(base(&hanging)).run());
    assert!(said.contains("no answer from 127.0.0.1:"), "{said}");
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    // So is one whose answer has no end.
    let endless = Server::start(|_, stream| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{");
        std::thread::sleep(Duration::from_mins(1));
    });
    let said = warning(&test(base(&endless)).run());
    assert!(said.contains("no answer from 127.0.0.1:"), "{said}");
}

#[test]
fn a_wrong_address_is_an_error_where_it_is_typed_and_a_warning_elsewhere() {
    Test::new("wait a --simulate rolling-update --otlp-endpoint ftp://5ecret.example")
        .status(2)
        .stderr(
            "error: --otlp-endpoint: it must be an http or https URL, like http://localhost:4318\n",
        )
        .run();
    for (name, value, why) in [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "localhost:4317",
            "it must be an http or https URL, like http://localhost:4318",
        ),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and only http/json is spoken here",
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "5ecret",
            "OTEL_EXPORTER_OTLP_HEADERS must be key=value,key=value",
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "Transfer-Encoding=5ecret",
            "OTEL_EXPORTER_OTLP_HEADERS: \"transfer-encoding\": it is set without you",
        ),
    ] {
        let left = Test::new("wait a --simulate rolling-update --speed 50 --progress plain")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
            .env(name, value)
            .stdout_any()
            .stderr_any()
            .run();
        let expected = format!("no trace is sent: OTEL_EXPORTER_OTLP_ENDPOINT: {why}");
        assert!(left.stderr.contains(&expected), "{}", left.stderr);
    }
}

#[test]
fn an_invalid_otel_setting_is_named_and_ignored() {
    let collector = accepting();
    for (name, value, why) in [
        (
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "abc",
            "it must be a number of milliseconds",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "0",
            "it must be a number of milliseconds",
        ),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "nonsense",
            "it must be http/json, which is what is sent",
        ),
    ] {
        let left = Test::new("wait a --simulate rolling-update --speed 50 --progress plain")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", base(&collector))
            .env(name, value)
            .stdout_any()
            .stderr_any()
            .run();
        let expected = format!("{name} is passed over: {why}");
        assert_eq!(left.stderr.matches(&expected).count(), 1, "{}", left.stderr);
    }
    assert_eq!(collector.requests().len(), 3, "they are sent all the same");
}
