//! Webhooks of one's own shape, and heartbeats.

use serde_json::{Value, json};

use super::*;
use crate::core::fleet::test_events;

/// Why a sink of these keys cannot be had.
fn problem(kind: Kind, keys: &str) -> String {
    match sink(kind, keys) {
        Ok(sink) => panic!("{sink} can be had with {keys}"),
        Err(error) => error.to_string(),
    }
}

fn hostile() -> StoredEvent {
    let mut event = event_of("Traceback");
    event.event.data.agent = "a/b?c#\"}\r\nX-Evil: 1".to_owned();
    event
}

#[tokio::test]
async fn a_webhook_can_have_a_method_headers_an_address_and_a_body_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "t0ken-1\n").unwrap();
    let receiver = Receiver::answering("200 OK", "", "");
    let keys = format!(
        "url = '{}'\nmethod = 'PUT'\n\
         headers = {{ Authorization = 'Bearer {{{{secret.token}}}}', X-Agent = '{{{{agent}}}}', \
         X-None = '{{{{region}}}}' }}\n\
         secrets = {{ token = {token:?} }}\n\
         [body]\nwhy = '{{{{reason.summary}}}}: {{{{agent}}}}'\nkey = '{{{{secret.token}}}}'\n\
         count = 3\nregion = '{{{{region}}}}'\n",
        receiver.url("/hooks/{{agent}}/{{dedupkey}}?e={{event}}")
    );
    let sink = sink(Kind::Webhook, &keys).unwrap();
    deliver(&sink, &hostile()).await.unwrap();
    // What is rotated is read again.
    std::fs::write(&token, "t0ken-2").unwrap();
    deliver(&sink, &hostile()).await.unwrap();
    let requests = receiver.requests();
    for (request, token) in requests.iter().zip(["t0ken-1", "t0ken-2"]) {
        assert_eq!(
            request.line,
            "PUT /hooks/a%2Fb%3Fc%23%22%7D%0D%0AX-Evil%3A%201/my-agent%2Fnew?e=rollout.finished HTTP/1.1"
        );
        let bearer = format!("Bearer {token}");
        assert_eq!(request.header("authorization"), Some(bearer.as_str()));
        assert_eq!(request.header("x-agent"), Some("a/b?c#\"} X-Evil: 1"));
        assert_eq!(request.header("x-evil"), None);
        assert_eq!(request.header("x-none"), None, "it is missing");
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("webhook-id"), Some("store-17"));
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let why = "the code ends again and again: a/b?c#\"}\r\nX-Evil: 1";
        assert_eq!(body, json!({ "why": why, "key": token, "count": 3 }));
    }
}

#[tokio::test]
async fn what_closes_an_incident_can_be_sent_in_another_way() {
    let receiver = Receiver::answering("200 OK", "", "");
    let keys = format!(
        "url = '{}'\nbody = {{ open = '{{{{dedupkey}}}}' }}\n[on-close]\nurl = '{}'\nmethod = 'DELETE'\n\
         body = {{ closed = true }}\n",
        receiver.url("/open"),
        receiver.url("/close/{{dedupkey}}")
    );
    let sink = sink(Kind::Webhook, &keys).unwrap();
    for event in test_events(NOW.parse().unwrap()) {
        deliver(&sink, &event).await.unwrap();
    }
    let requests = receiver.requests();
    let lines: Vec<&str> = requests
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(
        lines,
        [
            "POST /open HTTP/1.1",
            "DELETE /close/pipecat-rollout-test%2Ftest HTTP/1.1"
        ]
    );
    assert_eq!(requests[0].body, r#"{"open":"pipecat-rollout-test/test"}"#);
    assert_eq!(requests[1].body, r#"{"closed":true}"#);
}

#[tokio::test]
async fn what_cannot_be_sent_or_taken_is_said_in_a_line_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "t0ken-1\n").unwrap();
    // An event that does not have what the address needs.
    let receiver = Receiver::answering("200 OK", "", "");
    let keys = format!("url = '{}'", receiver.url("/statuses/{{commit}}"));
    let error = deliver(&sink(Kind::Webhook, &keys).unwrap(), &event()).await;
    let error = error.unwrap_err();
    assert_eq!(error.failure, DeliveryFailure::Unsendable);
    assert_eq!(
        error.reason,
        "the address needs {{commit}}, which this event does not have"
    );
    assert!(receiver.requests().is_empty());
    // A value that would lead to another path.
    for path in ["/a/{{agent}}/b", "/a/.{{agent}}", "/{{agent}}?x"] {
        for agent in [".", ".."] {
            let keys = format!("url = '{}'", receiver.url(path));
            let mut event = event();
            event.event.data.agent = agent.to_owned();
            let error = deliver(&sink(Kind::Webhook, &keys).unwrap(), &event).await;
            let Err(error) = error else {
                assert_eq!(
                    (path, agent),
                    ("/a/.{{agent}}", ".."),
                    "three dots are a name"
                );
                continue;
            };
            assert_eq!(error.failure, DeliveryFailure::Unsendable);
            let why = "a part of the address's path is . or .., which would lead elsewhere";
            assert_eq!(error.reason, why, "{path} {agent}");
        }
    }
    // A receiver that wants another method.
    let receiver = Receiver::answering("405 X", "allow: PUT\r\n", "use t0ken-1 with PUT");
    let keys = format!(
        "url = '{}'\nsecrets = {{ token = {token:?} }}",
        receiver.url("/")
    );
    let sink = sink(Kind::Webhook, &keys).unwrap();
    assert_eq!(
        refused(&sink).await,
        "the receiver answered 405 Method Not Allowed; it takes PUT: use [...] with PUT"
    );
    // A secret that is not there any more.
    std::fs::write(&token, " \n").unwrap();
    let reason = unavailable(&sink).await;
    assert_eq!(reason, format!("{} is empty", token.display()));
}

#[test]
fn what_cannot_be_meant_is_named_with_its_key() {
    let url = "url = 'https://example.com/'\n";
    for (keys, why) in [
        (
            "headers = { 'X Y' = 'a' }",
            "headers: \"X Y\": no header can have this name",
        ),
        (
            "headers = { X = \"a\\nY: b\" }",
            "headers: \"X\": no header can hold a line break, or what is not ASCII",
        ),
        (
            "headers = { Host = 'a' }",
            "headers: \"Host\": it is set without you",
        ),
        (
            "headers = { X = 'a', x = 'b' }",
            "headers: \"x\": it is there twice",
        ),
        (
            "headers = { X = '{{agnet}}' }",
            "headers: \"X\": {{agnet}} is no value of an event; did you mean {{agent}}?",
        ),
        (
            "body = { a = ['{{data.reason.sumary}}'] }",
            "body: {{data.reason.sumary}} is no value of an event; did you mean {{data.reason.summary}}?",
        ),
        (
            "body = { a = '{{secret.token}}' }",
            "body: {{secret.token}} needs a file: secrets = { token = \"/run/secrets/token\" }",
        ),
        (
            "body = { '{{agent}}' = 1 }",
            "body: the key \"{{agent}}\" has a place; only values can",
        ),
        (
            "body = { a = '{{agent' }",
            "body: a place that begins with {{ has to end with }}",
        ),
        (
            "body = '{\"text\": {{title}}}'",
            "body: it has to be a table, which becomes JSON that no value can break: \
             body = { text = \"{{title}}\" }",
        ),
        (
            "body = { a = 2026-11-23 }",
            "body: JSON has no dates: one needs quotes",
        ),
        ("body = { a = [inf] }", "body: JSON has no inf and no nan"),
        (
            "method = 'FETCH'",
            "method: \"FETCH\" is none of GET, POST, PUT, PATCH, DELETE",
        ),
        (
            "method = 'GET'\nbody = { a = 1 }",
            "method: a GET has no body",
        ),
        (
            "on-close = { method = 'GET', body = { a = 1 } }",
            "on-close: method: a GET has no body",
        ),
        (
            "on-close = { url = 'ftp://example.com/' }",
            "on-close: url: it is neither https nor http",
        ),
        (
            "secrets = { a = '/no/such' }",
            "secrets: cannot read /no/such: No such file",
        ),
    ] {
        let problem = problem(Kind::Webhook, &format!("{url}{keys}"));
        assert!(problem.starts_with(why), "{keys}: {problem}");
    }
    for (url, why) in [
        ("gopher://example.com/", "url: it is neither https nor http"),
        (
            "https://{{agent}}.example.com/",
            "url: places can only stand behind the host",
        ),
        (
            "https:///{{region}}/x",
            "url: places can only stand behind the host",
        ),
        (
            "https:///x{{region}}/x",
            "url: places can only stand behind the host",
        ),
        (
            "https://example.com/{{data.x}}",
            "url: {{data.x}} is no value of an event",
        ),
    ] {
        let problem = problem(Kind::Webhook, &format!("url = '{url}'"));
        assert!(problem.starts_with(why), "{url}: {problem}");
    }
}

#[tokio::test]
async fn a_heartbeat_is_a_request_without_a_body() {
    let receiver = Receiver::answering("200 OK", "", "");
    for (keys, line) in [
        ("", "GET /ping HTTP/1.1"),
        ("method = 'POST'", "POST /ping HTTP/1.1"),
    ] {
        let keys = format!("url = '{}'\n{keys}", receiver.url("/ping"));
        deliver(&sink(Kind::Heartbeat, &keys).unwrap(), &event())
            .await
            .unwrap();
        let request = receiver.requests().pop().unwrap();
        assert_eq!((request.line.as_str(), request.body.as_str()), (line, ""));
    }
    let url = "url = 'https://example.com/'\n";
    let every = |text: &str| problem(Kind::Heartbeat, &format!("{url}every = '{text}'"));
    assert_eq!(every("500ms"), "every: it has to be from 1s to 24h");
    assert_eq!(every("25h"), "every: it has to be from 1s to 24h");
}
