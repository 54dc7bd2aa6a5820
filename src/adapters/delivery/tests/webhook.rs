//! What a webhook's receiver gets, and what its answers mean.

use std::path::Path;

use serde_json::Value;

use super::receiver::{answer, send};
use super::*;
use crate::adapters::delivery::secret::Secrets;
use crate::core::fleet::Failure;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn signed(receiver: &Receiver, secret_file: &Path) -> Sink {
    sink(SinkSettings::Webhook {
        url: receiver.url("/"),
        secret_file: Some(secret_file.to_owned()),
    })
}

#[tokio::test]
async fn a_webhook_is_a_cloud_event_with_its_id_and_the_time() {
    let receiver = Receiver::answering("204 No Content", "", "");
    let url = receiver.url("/hook?a=b").replace("//", "//u:p@");
    let sink = sink(webhook(&url));
    deliver(&sink, &notice()).await.unwrap();
    let request = receiver.request();
    assert_eq!(request.line, "POST /hook?a=b HTTP/1.1");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body, notice().cloud_event(SOURCE));
    let agent = format!("pipecat-rollout/{}", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        (
            "content-type",
            Some("application/cloudevents+json; charset=utf-8"),
        ),
        ("user-agent", Some(agent.as_str())),
        ("authorization", Some("Basic dTpw")),
        ("webhook-id", Some("my-agent/new/finished/failed")),
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
    let notice = Notice {
        id: "mein agent/é".to_owned(),
        ..notice()
    };
    for (secrets, time) in [(SECRET.to_owned(), 7), (format!("{OTHER}\n{SECRET}"), 8)] {
        std::fs::write(&file, secrets).unwrap();
        let now = Timestamp::from_second(time).unwrap();
        sink.deliver_notice(&notice, SOURCE, now).await.unwrap();
        let request = receiver.requests().pop().unwrap();
        let id = request.header("webhook-id").unwrap();
        assert_eq!(id, "mein%20agent/%C3%A9");
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
    let told = why(&sink).await;
    assert!(
        told.ends_with("a secret: line 1 does not begin with whsec_"),
        "{told}"
    );
    std::fs::remove_file(&file).unwrap();
    let told = why(&sink).await;
    assert!(told.contains("a secret: No such file"), "{told}");
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn an_answer_says_whether_it_was_delivered() {
    for status in ["200 OK", "201 Created", "204 No Content", "299 Odd"] {
        let receiver = Receiver::answering(status, "", "");
        let sink = sink(webhook(&receiver.url("/")));
        assert_eq!(deliver(&sink, &notice()).await, Ok(()), "{status}");
    }
    for (status, body, told) in [
        ("500 X", "", "the answer is 500 Internal Server Error"),
        (
            "599 X",
            "out of\u{7} order\nmore",
            "the answer is 599: out of order",
        ),
        (
            "404 X",
            "Cannot POST /hooks/T0Ken_9?key=s3cr3t",
            "the answer is 404 Not Found: Cannot POST [...]?[...]",
        ),
        ("400 X", "<html>\nno", "the answer is 400 Bad Request"),
    ] {
        let receiver = Receiver::answering(status, "", body);
        let sink = sink(webhook(&receiver.url("/hooks/T0Ken_9?key=s3cr3t")));
        assert_eq!(why(&sink).await, told);
        receiver.request();
    }
}

#[tokio::test]
async fn a_receiver_can_ask_for_more_time_or_for_no_more() {
    let retry = |seconds| {
        Then::Retry(Failure::Unavailable {
            retry_after: Some(std::time::Duration::from_secs(seconds)),
        })
    };
    let later = Then::Retry(Failure::Unavailable { retry_after: None });
    let in_half_a_minute = "Date: Mon, 23 Nov 2020 15:00:00 GMT\r\n\
                            Retry-After: Mon, 23 Nov 2020 15:00:30 GMT\r\n";
    for (status, headers, then) in [
        ("404 X", "", Then::Retry(Failure::Refused)),
        ("410 Gone", "Retry-After: 7\r\n", Then::Gone),
        ("429 X", "Retry-After: 7\r\n", retry(7)),
        ("503 X", "Retry-After: 86400\r\n", retry(3600)),
        ("503 X", in_half_a_minute, retry(30)),
        ("503 X", "", later),
        ("500 X", "Retry-After: 7\r\n", later),
    ] {
        let receiver = Receiver::answering(status, headers, "");
        let sink = sink(webhook(&receiver.url("/")));
        let undelivered = deliver(&sink, &notice()).await.unwrap_err();
        assert_eq!(undelivered.then, then, "{status} {headers}");
    }
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
        let told = why(&sink(webhook(&receiver.url("/s3cret")))).await;
        assert!(
            told.starts_with(&format!("the answer is {code} ")),
            "{told}"
        );
        assert!(told.ends_with(", and redirects are not followed"), "{told}");
        assert!(!told.contains("elsewhere") && !told.contains("s3cret"));
        receiver.request();
    }
}
