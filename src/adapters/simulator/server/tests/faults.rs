//! What goes wrong on purpose, as a client meets it.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;

/// An agent whose first request for details meets this fault.
fn with_fault(fault: &str) -> String {
    format!("{READY}\n[[fault]]\nrequests = \"1\"\n{fault}")
}

/// Serves agents whose timelines begin with the first look at them.
async fn serve_at_once(agents: &[(&str, &str)]) -> SocketAddr {
    serve_with(agents, |settings| settings.start = Start::AtFirstRead).await
}

#[tokio::test]
async fn a_reset_is_one_and_comes_where_it_is_asked_for() {
    for (after, whole_head) in [("nothing", false), ("half-head", false), ("head", true)] {
        let fault = with_fault(&format!("kind = \"reset\"\nafter = \"{after}\""));
        let address = serve_at_once(&[("voice", &fault)]).await;
        let mut stream = send(address, &request("GET /v1/agents/voice", "")).await;
        let mut bytes = Vec::new();
        let error = stream.read_to_end(&mut bytes).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{after}");
        let text = String::from_utf8(bytes).unwrap();
        let head_ended = text.find("\r\n\r\n").map(|end| end + 4);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 200 OK\r\n"),
            "{text}"
        );
        assert!(
            head_ended.is_none() || whole_head && head_ended == Some(text.len()),
            "{text}"
        );
        // The next request has a connection of its own, and is answered.
        assert_eq!(ask(address, "GET /v1/agents/voice").await.status, 200);
    }
}

#[tokio::test]
async fn a_cut_body_ends_in_good_order_and_too_soon() {
    let fault = with_fault("kind = \"cut-body\"");
    let address = serve_at_once(&[("voice", &fault)]).await;
    let cut = ask(address, "GET /v1/agents/voice").await;
    let whole = ask(address, "GET /v1/agents/voice").await;
    let announced: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert_eq!(cut.body.len(), announced / 2);
    assert_eq!(whole.body.len(), announced);
}

#[tokio::test]
async fn a_hanging_request_hinders_no_other() {
    let fault = with_fault("kind = \"hang\"");
    let address = serve_at_once(&[("voice", &fault)]).await;
    let hanging = send(address, &request("GET /v1/agents/voice", "")).await;
    // Of the requests on other connections at most the first can overtake it.
    let _ = ask(address, "GET /v1/agents").await;
    assert_eq!(ask(address, "GET /v1/agents/voice").await.status, 200);
    let nothing = hanging.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

/// On a paused clock: nothing but the slow body waits for time here.
#[tokio::test(start_paused = true)]
async fn a_slow_body_comes_a_byte_every_half_second() {
    let fault = with_fault("kind = \"slow-body\"");
    let address = serve_at_once(&[("voice", &fault)]).await;
    let start = tokio::time::Instant::now();
    let slow = ask(address, "GET /v1/agents/voice").await;
    let bytes = u32::try_from(slow.body.len()).unwrap();
    assert_eq!(slow.json()["name"], "voice");
    assert!(start.elapsed() >= Duration::from_millis(500) * (bytes - 1));
}

#[tokio::test]
async fn a_huge_body_has_no_end_that_is_worth_waiting_for() {
    let fault = with_fault("kind = \"huge-body\"");
    let address = serve_at_once(&[("voice", &fault)]).await;
    let mut stream = send(address, &request("GET /v1/agents/voice", "")).await;
    let mut bytes = vec![0; 1024 * 1024];
    stream.read_exact(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 12884901888"), "{head}");
    assert!(body.bytes().all(|byte| byte == b'['));
    drop(stream);
    assert_eq!(ask(address, "GET /v1/agents/voice").await.status, 200);
}

#[tokio::test]
async fn a_status_comes_with_its_headers_and_words() {
    let plain = with_fault("kind = \"status\"\nstatus = 429\nheaders = { Retry-After = \"2\" }");
    let page = with_fault(
        "kind = \"status\"\nstatus = 502\nheaders = { Content-Type = \"text/html\" }\nbody = \"<p>\"",
    );
    let address = serve_at_once(&[("plain", &plain), ("page", &page)]).await;
    let told = ask(address, "GET /v1/agents/plain").await;
    assert_eq!((told.status, told.header("retry-after")), (429, Some("2")));
    assert_eq!(
        told.json(),
        json!({ "error": "too many requests", "code": "TOO_MANY_REQUESTS" })
    );
    let told = ask(address, "GET /v1/agents/page").await;
    assert_eq!(
        (told.status, told.header("content-type")),
        (502, Some("text/html"))
    );
    assert_eq!(told.body, "<p>");
}
