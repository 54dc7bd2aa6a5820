//! The sidecar's rollouts as traces, and a receiver that is down.

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::api::Api;
use crate::harness::Place;
use crate::support::http;
use crate::support::http::{answer, send};

/// A receiver of traces: its address, and the bodies that come.
fn receiver() -> (String, mpsc::Receiver<Value>) {
    let (sender, bodies) = mpsc::channel();
    let address = http::serve(move |request, stream| {
        send(stream, &answer("200 OK", "", "{}"));
        let _ = sender.send(request.json());
    });
    (format!("http://{address}"), bodies)
}

#[test]
fn each_rollout_that_has_ended_is_sent_as_a_trace() {
    let api = Api::with(&["a"]);
    let (address, bodies) = receiver();
    let place = Place::of(&api);
    let mut command = place.sidecar();
    // Whose child the sidecar is does not matter to the rollouts of others.
    command.args(["--otlp-endpoint", &address]).env(
        "TRACEPARENT",
        format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16)),
    );
    let sidecar = place.start_command(command);
    sidecar.wait_for_log("\"message\":\"watching ");
    for deployment in ["d2", "d3"] {
        api.deploy("a", deployment);
        api.ready("a");
        let body = bodies.recv_timeout(Duration::from_secs(90)).unwrap();
        let root = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(root["name"], "rollout a");
        assert!(root.get("parentSpanId").is_none(), "{root}");
        let attributes = root["attributes"].to_string();
        assert!(attributes.contains(&format!("{deployment:?}")), "{root}");
    }
    assert_eq!(sidecar.stop().code(), 0);
}

#[test]
fn a_trace_receiver_that_is_down_is_one_warning() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let mut command = place.sidecar();
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let sidecar = place.start_command(command);
    sidecar.wait_for_log("\"message\":\"watching ");
    for deployment in ["d2", "d3"] {
        api.deploy("a", deployment);
        api.ready("a");
        sidecar.wait_for_log(&format!("\"deploymentId\":\"{deployment}\",\"elapsedMs\""));
    }
    let ended = sidecar.stop();
    assert_eq!(ended.code(), 0);
    let warned = ended
        .stderr
        .matches("traces are not sent: cannot reach 127.0.0.1:1");
    assert_eq!(warned.count(), 1);
}

#[test]
fn unsent_traces_are_counted_at_the_end() {
    let api = Api::with(&["a"]);
    // Nobody accepts.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::of(&api);
    let mut command = place.sidecar();
    let address = format!("http://{}", listener.local_addr().unwrap());
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "600000");
    let sidecar = place.start_command(command);
    sidecar.wait_for_log("\"message\":\"watching ");
    for deployment in ["d2", "d3"] {
        api.deploy("a", deployment);
        api.ready("a");
        sidecar.wait_for_log(&format!("\"deploymentId\":\"{deployment}\",\"elapsedMs\""));
    }
    let ended = sidecar.stop();
    assert_eq!(ended.code(), 0);
    let warned = ended
        .stderr
        .matches("2 rollouts were not sent as traces; the history has them");
    assert_eq!(warned.count(), 1, "{}", ended.stderr);
}
