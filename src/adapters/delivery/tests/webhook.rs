//! What a webhook's receiver gets, and what its answers mean.

use std::path::Path;

use serde_json::Value;

use super::receiver::{answer, send};
use super::*;
use crate::adapters::delivery::secret::Secrets;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn signed(receiver: &Receiver, secret_file: &Path) -> Sink {
    let url = receiver.url("/");
    sink(
        Kind::Webhook,
        &format!("url = '{url}'\nsecret-file = {secret_file:?}"),
    )
    .unwrap()
}

#[tokio::test]
async fn a_webhook_is_a_cloud_event_with_its_id_and_the_time() {
    let receiver = Receiver::answering("204 No Content", "", "");
    let url = receiver.url("/hook?a=b").replace("//", "//u:p@");
    let sink = webhook(&url);
    deliver(&sink, &event()).await.unwrap();
    let request = receiver.request();
    assert_eq!(request.line, "POST /hook?a=b HTTP/1.1");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body, event().cloud_event(&origin()));
    let agent = format!("pipecat-rollout/{}", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        (
            "content-type",
            Some("application/cloudevents+json; charset=utf-8"),
        ),
        ("user-agent", Some(agent.as_str())),
        ("authorization", Some("Basic dTpw")),
        ("webhook-id", Some("store-17")),
        ("webhook-timestamp", Some("1795446005")),
        ("webhook-signature", None),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn what_is_sent_is_signed_anew_for_every_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let receiver = Receiver::answering("200 OK", "", "");
    std::fs::write(&file, SECRET).unwrap();
    let sink = signed(&receiver, &file);
    let event = event();
    for (secrets, time) in [(SECRET.to_owned(), 7), (format!("{OTHER}\n{SECRET}"), 8)] {
        std::fs::write(&file, secrets).unwrap();
        let now = Timestamp::from_second(time).unwrap();
        deliver_at(&sink, &event, now).await.unwrap();
        let request = receiver.requests().pop().unwrap();
        let id = request.header("webhook-id").unwrap();
        assert_eq!(id, "store-17");
        let timestamp = request.header("webhook-timestamp").unwrap();
        assert_eq!(timestamp, time.to_string());
        let secrets = Secrets::read(&file).unwrap();
        assert_eq!(
            request.header("webhook-signature").unwrap(),
            secrets.sign(id, time, request.body.as_bytes())
        );
    }
}

#[tokio::test]
async fn without_its_secret_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a\nsecret");
    let receiver = Receiver::answering("200 OK", "", "");
    std::fs::write(&file, SECRET).unwrap();
    let sink = signed(&receiver, &file);
    std::fs::write(&file, "s3cret").unwrap();
    let reason = unavailable(&sink).await;
    assert!(
        reason.ends_with("a secret: line 1 does not begin with whsec_"),
        "{reason}"
    );
    std::fs::remove_file(&file).unwrap();
    let reason = unavailable(&sink).await;
    assert!(reason.contains("a secret: No such file"), "{reason}");
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn an_answer_says_whether_it_was_delivered() {
    for status in ["200 OK", "201 Created", "204 No Content", "299 Odd"] {
        let receiver = Receiver::answering(status, "", "");
        let sink = webhook(&receiver.url("/"));
        assert_eq!(deliver(&sink, &event()).await, Ok(()), "{status}");
    }
    for (status, body, reason) in [
        (
            "500 X",
            "",
            "the receiver answered 500 Internal Server Error",
        ),
        (
            "599 X",
            "out of\u{7} order\nmore",
            "the receiver answered 599: out of order",
        ),
    ] {
        let receiver = Receiver::answering(status, "", body);
        assert_eq!(unavailable(&webhook(&receiver.url("/"))).await, reason);
        receiver.request();
    }
    for (status, body, reason) in [
        (
            "404 X",
            "Cannot POST /hooks/T0Ken_9?key=s3cr3t",
            "the receiver answered 404 Not Found: Cannot POST [...]?[...]",
        ),
        (
            "413 X",
            "<html>\nno",
            "the receiver answered 413 Payload Too Large",
        ),
    ] {
        let receiver = Receiver::answering(status, "", body);
        let sink = webhook(&receiver.url("/hooks/T0Ken_9?key=s3cr3t"));
        assert_eq!(refused(&sink).await, reason);
        receiver.request();
    }
    let receiver = Receiver::answering("410 X", "Retry-After: 7\r\n", "");
    let error = deliver(&webhook(&receiver.url("/")), &event())
        .await
        .unwrap_err();
    assert_eq!(error.failure, DeliveryFailure::Gone);
}

#[tokio::test]
async fn a_receiver_can_ask_for_a_pause() {
    let in_half_a_minute = "Date: Mon, 23 Nov 2020 15:00:00 GMT\r\n\
                            Retry-After: Mon, 23 Nov 2020 15:00:30 GMT\r\n";
    for (status, headers, seconds) in [
        ("429 X", "Retry-After: 7\r\n", Some(7)),
        ("503 X", in_half_a_minute, Some(30)),
        ("500 X", "Retry-After: 86400\r\n", Some(3600)),
        ("503 X", "", None),
    ] {
        let receiver = Receiver::answering(status, headers, "");
        let sink = webhook(&receiver.url("/"));
        let error = deliver(&sink, &event()).await.unwrap_err();
        let retry_after = seconds.map(Duration::from_secs);
        assert_eq!(
            error.failure,
            DeliveryFailure::Unavailable { retry_after },
            "{status} {headers}"
        );
    }
}

#[tokio::test]
async fn the_file_of_the_url_is_read_for_every_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let receivers = [(); 2].map(|()| Receiver::answering("200 OK", "", "ok"));
    std::fs::write(&file, receivers[0].url("/one")).unwrap();
    for kind in [Kind::Webhook, Kind::Slack] {
        let sink = sink(kind, &format!("url-file = {file:?}")).unwrap();
        for receiver in &receivers {
            std::fs::write(&file, receiver.url("/T0Ken_9\n")).unwrap();
            deliver(&sink, &event()).await.unwrap();
            assert_eq!(
                receiver.requests().pop().unwrap().line,
                "POST /T0Ken_9 HTTP/1.1"
            );
        }
    }
    let sink = sink(Kind::Webhook, &format!("url-file = {file:?}")).unwrap();
    std::fs::write(&file, "http://example.com/s3cret").unwrap();
    let reason = unavailable(&sink).await;
    assert!(reason.contains("plain http to example.com"), "{reason}");
    assert!(!reason.contains("s3cret"), "{reason}");
    std::fs::remove_file(&file).unwrap();
    let reason = unavailable(&sink).await;
    assert!(reason.contains("No such file"), "{reason}");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for code in [301, 302, 303, 307, 308] {
        let receiver = Receiver::start(move |request, stream| {
            let status = if request.line.starts_with("POST /s3cret ") {
                format!("{code} X")
            } else {
                "200 OK".to_owned()
            };
            send(stream, &answer(&status, "Location: /elsewhere\r\n", ""));
        });
        let reason = refused(&webhook(&receiver.url("/s3cret"))).await;
        assert!(
            reason.starts_with(&format!("the receiver answered {code} ")),
            "{reason}"
        );
        assert!(
            reason.ends_with(", and redirects are not followed"),
            "{reason}"
        );
        assert!(!reason.contains("elsewhere") && !reason.contains("s3cret"));
        receiver.request();
    }
}
