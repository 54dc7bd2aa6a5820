//! Attempts at real receivers: what is sent, and what an answer means.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::fleet::{NoticeData, NoticeKind};

/// A receiver that gives one answer, and hands on what it was sent.
fn receiver(
    answer: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/secret-path?token=secret",
        listener.local_addr().unwrap()
    );
    let (sender, received) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = sender.send(read_request(&mut stream));
        answer(&mut stream);
    });
    (url, received)
}

/// A whole request, by its content-length.
fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.split("content-length: ").nth(1).unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            if body.len() >= length {
                return text;
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..count]);
    }
}

fn tls() -> ClientConfig {
    let provider = rustls::crypto::ring::default_provider();
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

fn notice() -> Notice {
    Notice {
        id: "a/old..new/started".to_owned(),
        kind: NoticeKind::RolloutStarted,
        time: Timestamp::UNIX_EPOCH,
        data: NoticeData {
            agent: "a".to_owned(),
            ..NoticeData::default()
        },
    }
}

async fn deliver(settings: SinkSettings) -> Result<(), Undelivered> {
    let sink = Sink::new(settings, &tls(), PlainText::LoopbackOnly).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    sink.deliver(&notice(), "https://source", now).await
}

fn webhook(url: &str) -> SinkSettings {
    SinkSettings::Webhook {
        url: url.to_owned(),
        secret_file: None,
    }
}

/// What a webhook makes of this answer.
async fn answered(answer: &str) -> Result<(), Undelivered> {
    let answer = answer.to_owned();
    let (url, _received) = receiver(move |stream| stream.write_all(answer.as_bytes()).unwrap());
    deliver(webhook(&url)).await
}

const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

#[tokio::test]
async fn a_webhook_is_sent_a_signed_cloud_event() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let (url, received) = receiver(|stream| stream.write_all(OK).unwrap());
    let settings = SinkSettings::Webhook {
        url,
        secret_file: Some(secret),
    };
    deliver(settings).await.unwrap();
    let request = received.recv().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(
        head.starts_with("post /secret-path?token=secret http/1.1\r\n"),
        "{head}"
    );
    for line in [
        "webhook-id: a/old..new/started",
        "webhook-timestamp: 1800000000",
        "content-type: application/cloudevents+json; charset=utf-8",
    ] {
        assert!(
            head.split("\r\n").any(|told| told == line),
            "{line} in {head}"
        );
    }
    assert!(head.contains("\r\nwebhook-signature: v1,"), "{head}");
    assert_eq!(body, notice().cloud_event("https://source").to_string());
}

#[tokio::test]
async fn slack_is_sent_a_text() {
    let (url, received) = receiver(|stream| stream.write_all(OK).unwrap());
    deliver(SinkSettings::Slack { url }).await.unwrap();
    let request = received.recv().unwrap();
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["text"], ":rocket: `a`: rollout of - started");
}

#[tokio::test]
async fn an_answer_means_what_its_status_says() {
    let retry = |after: Option<u64>| Then::Retry {
        after: after.map(Duration::from_secs),
    };
    for (head, then) in [
        ("301 Moved\r\nlocation: http://127.0.0.1:1/", retry(None)),
        ("400 Bad Request", retry(None)),
        ("401 Unauthorized", retry(None)),
        ("404 Not Found", retry(None)),
        ("410 Gone", Then::Gone),
        ("429 Too Many Requests\r\nretry-after: 77", retry(Some(77))),
        ("429 Too Many Requests", retry(None)),
        ("500 Internal Server Error\r\nretry-after: 77", retry(None)),
        (
            "503 Service Unavailable\r\ndate: Mon, 23 Nov 2026 15:00:00 GMT\r\n\
             retry-after: Mon, 23 Nov 2026 15:00:30 GMT",
            retry(Some(30)),
        ),
    ] {
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        let undelivered = answered(&answer).await.unwrap_err();
        assert_eq!(undelivered.then, then, "{head}");
        let status = head.split("\r\n").next().unwrap();
        let code = status.split(' ').next().unwrap();
        assert!(
            undelivered.why.starts_with("the receiver answered "),
            "{undelivered:?}"
        );
        assert!(undelivered.why.contains(code), "{undelivered:?}");
    }
    for status in ["200 OK", "202 Accepted", "204 No Content"] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        answered(&answer).await.unwrap();
    }
}

#[tokio::test]
async fn what_an_answer_says_is_told_in_a_harmless_line() {
    let body = format!("\u{1b}[31mno such hook\nsecond {}", "x".repeat(90_000));
    let length = body.len();
    let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {length}\r\n\r\n{body}");
    let why = answered(&answer).await.unwrap_err().why;
    assert_eq!(why, "the receiver answered 404 Not Found: no such hook");
    let page = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>";
    let why = answered(page).await.unwrap_err().why;
    assert_eq!(why, "the receiver answered 502 Bad Gateway");
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_told_without_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = deliver(webhook(&format!(
        "http://{address}/secret-path?token=secret"
    )))
    .await;
    let why = refused.unwrap_err().why;
    assert!(why.starts_with("cannot connect: "), "{why}");
    let (url, _received) = receiver(|_| ());
    let closed = deliver(webhook(&url)).await.unwrap_err();
    assert!(
        closed.why.starts_with("the connection broke"),
        "{}",
        closed.why
    );
    for why in [why, closed.why] {
        assert!(
            !why.contains("secret") && !why.contains("127.0.0.1"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_any_more_is_a_failed_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let settings = SinkSettings::Webhook {
        url: "http://127.0.0.1:1/".to_owned(),
        secret_file: Some(path.clone()),
    };
    let sink = Sink::new(settings, &tls(), PlainText::LoopbackOnly).unwrap();
    std::fs::remove_file(&path).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let undelivered = sink
        .deliver(&notice(), "https://source", now)
        .await
        .unwrap_err();
    assert!(
        undelivered.why.starts_with("secret-file: cannot read "),
        "{}",
        undelivered.why
    );
}

#[test]
fn addresses_are_checked_and_not_repeated() {
    let made = |url: &str, plain_text| {
        Sink::new(webhook(url), &tls(), plain_text).map_err(|error| error.to_string())
    };
    for url in [
        "https://example.com/x",
        "http://localhost:1/x",
        "http://[::1]/x",
    ] {
        made(url, PlainText::LoopbackOnly).unwrap();
    }
    for url in ["http://secret.example.com/", "ftp://secret/", "secret", ""] {
        let error = made(url, PlainText::LoopbackOnly).unwrap_err();
        assert!(
            error.starts_with("the url is ") && !error.contains("secret"),
            "{error}"
        );
    }
    made("http://example.com/", PlainText::Anywhere).unwrap();
    let sink = made(
        "https://user:secret@example.com/secret",
        PlainText::LoopbackOnly,
    );
    let shown = format!(
        "{:?} {:?}",
        sink.unwrap(),
        webhook("https://example.com/secret")
    );
    assert!(!shown.contains("secret"), "{shown}");
}
