//! Requests to a real server: which connection they take, and what their answers mean.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::connection::{Connection, Hooks, Priority};
use super::*;
use crate::core::rollout::{Failure, FailureClass};
use crate::core::wire::RequestOutcome;

const KEY: &str = "sk_test_5ecret";
const LIMIT: Duration = Duration::from_secs(10);
const AGENT: &str = r#"{"name":"my-agent","desiredDeploymentId":"new"}"#;

/// A server that keeps its connections, and hands the head of each request to `answer`.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, answer.clone()));
            }
        });
        Self { url, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn client(&self) -> Client {
        let url = ApiUrl::parse(&self.url, PlainHttp::LoopbackOnly).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        Client::new(url, keyed(&file, KEY), None).unwrap()
    }

    fn connection(&self, hooks: Hooks) -> Connection {
        Connection::new(self.client(), NonZeroU32::new(10).unwrap(), hooks)
    }
}

/// What there is to ask with when `file` holds this key.
fn keyed(file: &Path, key: &str) -> Credentials {
    std::fs::write(file, key).unwrap();
    Credentials::find(Some(file)).unwrap()
}

async fn serve(mut stream: TcpStream, answer: impl Fn(&str) -> String) {
    let (from, mut into) = stream.split();
    let mut from = BufReader::new(from);
    let mut head = String::new();
    while from.read_line(&mut head).await.is_ok_and(|read| read > 0) {
        if head.ends_with("\r\n\r\n") {
            let _ = into.write_all(answer(&head).as_bytes()).await;
            head.clear();
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

fn name() -> AgentName {
    "my-agent".parse().unwrap()
}

/// What one poll of a server with this answer teaches.
async fn observe(status: &str, headers: &str, body: &str) -> Observation {
    let answer = answer(status, headers, body);
    let server = Server::start(move |_| answer.clone()).await;
    let connection = server.connection(Hooks::default());
    connection.observe(&name(), LIMIT, Route::Pooled).await
}

async fn failure(status: &str, headers: &str, body: &str) -> Failure {
    match observe(status, headers, body).await {
        Observation::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn fresh_polls_have_connections_of_their_own() {
    let server = Server::start(|_| answer("200 OK", "", AGENT)).await;
    let connection = server.connection(Hooks::default());
    for (route, connections) in [
        (Route::Pooled, 1),
        (Route::Pooled, 1),
        (Route::Fresh, 2),
        (Route::Fresh, 3),
        (Route::Pooled, 3),
        (Route::Fresh, 4),
    ] {
        let observation = connection.observe(&name(), LIMIT, route).await;
        assert!(matches!(observation, Observation::Details { .. }));
        assert_eq!(server.connections(), connections, "{route:?}");
    }
}

#[tokio::test]
async fn a_404_counts_only_in_the_api_s_json() {
    for (body, words) in [
        (
            r#"{"error":"Service not found","code":"404"}"#,
            Some("Service not found (404)"),
        ),
        (r#"{"code":"NOT_FOUND"}"#, Some("(NOT_FOUND)")),
        (r#"{"error":""}"#, None),
    ] {
        let absent = Observation::Absent(words.map(str::to_owned));
        assert_eq!(observe("404 Not Found", "", body).await, absent, "{body}");
    }
    let large = "x".repeat(MAX_ERROR_BODY + 1);
    for (body, why) in [
        ("", "the body is empty"),
        (
            "<html><title>404</title></html>",
            "the body is a web page, \"404\"",
        ),
        (
            "default backend - 404",
            "the body starts with default backend - 404 ",
        ),
        (
            r#"{"detail":"Not Found"}"#,
            r#"the body starts with {"detail":"Not Found"}"#,
        ),
        (
            r#"{"error":{"message":"no"},"code":404}"#,
            "the body starts with {",
        ),
        (r#"["error"]"#, r#"the body starts with ["error"]"#),
        (
            r#"{"error":"Service not fo"#,
            "the body breaks off after 24 bytes",
        ),
        (&large, "the answer is larger than 65536 bytes"),
    ] {
        let failure = failure("404 Not Found", "", body).await;
        assert!(failure.summary.contains(why), "{}", failure.summary);
        assert_eq!(failure.class, FailureClass::Transient { retry_after: None });
        let is_large = failure.code == "BodyTooLarge";
        assert_eq!(is_large, body.len() > MAX_ERROR_BODY);
        if !is_large {
            assert_eq!(failure.code, "NotTheApi");
            assert!(
                failure
                    .summary
                    .contains("/v1/agents/my-agent answered 404 Not Found")
            );
            assert!(
                failure
                    .summary
                    .contains("check --api-url: does it end in /v1?")
            );
        }
    }
    // What would have followed is unknown.
    let cut = "HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{\"error\":\"x\"}";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server {
        url: format!("http://{}/v1", listener.local_addr().unwrap()),
        connections: Arc::default(),
    };
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(&mut stream);
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).await.unwrap();
        }
        stream.write_all(cut.as_bytes()).await.unwrap();
    });
    let connection = server.connection(Hooks::default());
    match connection.observe(&name(), LIMIT, Route::Pooled).await {
        Observation::Failed(failure) => assert_eq!(failure.code, "BodyCut"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn says_what_a_body_is_that_is_no_agent() {
    for (body, why) in [
        ("", "it is empty"),
        (
            "<html><title>Sign in</title>",
            "it is a web page, \"Sign in\"",
        ),
        (r#"{"name":"my-agent","#, "it breaks off after 19 bytes"),
        (r#"{"message":"ok"}"#, r#"it starts with {"message":"ok"}"#),
        (r#"{"name":"other"}"#, "it names another, \"other\""),
        ("\u{1b}[31m::error::x", "it starts with ::error::x "),
    ] {
        let failure = failure("200 OK", "", body).await;
        let start = format!("the body is not the JSON of this agent: {why}");
        assert!(failure.summary.starts_with(&start), "{}", failure.summary);
        assert_eq!(failure.code, "NotAnAgent");
    }
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(1 << 20));
    let summary = failure("200 OK", "", &long).await.summary;
    assert!(summary.len() < 200, "{summary}");
    let encoded = format!("key={}", KEY.replace('_', "%5F"));
    let summary = failure("200 OK", "", &encoded).await.summary;
    assert!(
        summary.contains("it starts with key=[the API key] ("),
        "{summary}"
    );
    // The key is redacted before the text is cut, so that no part of it is left.
    let echoed = format!("{} {KEY}", "x".repeat(50));
    let summary = failure("200 OK", "", &echoed).await.summary;
    assert!(summary.contains("[the API"), "{summary}");
    assert!(!summary.contains("sk_"), "{summary}");
}

#[tokio::test]
async fn request_id_of_a_failed_answer_is_kept_and_cleaned() {
    let long = "x".repeat(300);
    let echoed = format!("a {} b", KEY.replace('_', "_ "));
    for (id, expected) in [
        ("req-1/Z=", Some("req-1/Z=")),
        ("a b\tc é", Some("abc")),
        ("##[error]x", Some("## [error]x")),
        (&echoed, Some("a[the API key]b")),
        (&long, Some(&long[..128])),
        ("", None),
        (" é ", None),
    ] {
        let headers = format!("X-Request-Id: {id}\r\n");
        for (status, body) in [("502 Bad Gateway", ""), ("200 OK", "{}"), ("404 X", "")] {
            let failure = failure(status, &headers, body).await;
            assert_eq!(failure.request_id.as_deref(), expected, "{status} {id:?}");
        }
    }
    assert_eq!(failure("502 Bad Gateway", "", "").await.request_id, None);
}

#[tokio::test]
async fn forbidden_with_retry_after_is_a_limit_on_requests() {
    let limited = failure("403 Forbidden", "Retry-After: 7\r\n", "").await;
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(limited.class, FailureClass::Transient { retry_after });
    for headers in ["", "Retry-After: soon\r\n"] {
        let refused = failure("403 Forbidden", headers, "").await;
        assert_eq!(refused.class, FailureClass::Unauthorized, "{headers}");
    }
}

#[tokio::test]
async fn a_limit_of_the_server_slows_everybody_down() {
    for (status, headers, slows_down) in [
        ("429 Too Many Requests", "", true),
        ("403 Forbidden", "Retry-After: 1\r\n", true),
        ("503 Service Unavailable", "Retry-After: 1\r\n", false),
        ("403 Forbidden", "", false),
    ] {
        let answer = answer(status, headers, "");
        let server = Server::start(move |_| answer.clone()).await;
        let connection = server.connection(Hooks::default());
        let _ = connection.observe(&name(), LIMIT, Route::Pooled).await;
        // A free permit comes at once, at the first poll of the future.
        let is_free = tokio::select! {
            biased;
            () = connection.acquire(Priority::Normal) => true,
            () = std::future::ready(()) => false,
        };
        assert_eq!(is_free, !slows_down, "{status} {headers}");
    }
}

#[tokio::test]
async fn a_replaced_key_is_used_at_once_and_only_that_acquires_a_permit() {
    let new_key = "sk_test_n3w_key";
    let server = Server::start(move |head| {
        if head.contains(new_key) {
            answer("200 OK", "", AGENT)
        } else {
            answer("401 Unauthorized", "", "")
        }
    })
    .await;
    let (waits, requests) = (
        Arc::<AtomicUsize>::default(),
        Arc::<Mutex<Vec<_>>>::default(),
    );
    let (counted, noted) = (Arc::clone(&waits), Arc::clone(&requests));
    let hooks = Hooks {
        on_request: Some(Box::new(move |outcome, _| {
            noted.lock().unwrap().push(outcome);
        })),
        on_wait: Some(Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        })),
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let url = ApiUrl::parse(&server.url, PlainHttp::LoopbackOnly).unwrap();
    let client = Client::new(url, keyed(&file, KEY), None).unwrap();
    let connection = Connection::new(client, NonZeroU32::new(10).unwrap(), hooks);
    let name = name();
    let observe = || connection.observe(&name, LIMIT, Route::Pooled);
    // The same key again is no reason to ask again.
    assert!(matches!(observe().await, Observation::Failed(_)));
    std::fs::write(&file, new_key).unwrap();
    for _ in 0..2 {
        assert!(matches!(observe().await, Observation::Details { .. }));
        assert_eq!(waits.load(Ordering::Relaxed), 1);
    }
    let expected = [
        RequestOutcome::Unauthorized,
        RequestOutcome::Unauthorized,
        RequestOutcome::Ok,
        RequestOutcome::Ok,
    ];
    assert_eq!(*requests.lock().unwrap(), expected);
}

#[test]
fn what_a_cache_has_kept_does_not_show_the_servers_clock() {
    let mut headers = HeaderMap::new();
    assert_eq!(date(&headers), None);
    headers.insert(DATE, "Thu, 01 Jan 1970 00:16:40 GMT".parse().unwrap());
    let expected = Timestamp::from_second(1000).ok();
    assert_eq!(date(&headers), expected);
    for (age, shown) in [("0", expected), ("1200", None), ("old", None)] {
        headers.insert(AGE, age.parse().unwrap());
        assert_eq!(date(&headers), shown, "{age}");
    }
}
