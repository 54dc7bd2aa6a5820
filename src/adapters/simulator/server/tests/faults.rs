//! What goes wrong on purpose, as a client meets it.

use std::io::ErrorKind;

use super::*;

/// An agent whose first request for details meets this fault.
fn with_fault(fault: &str) -> String {
    format!("{READY}\n[[fault]]\nrequests = [1]\n{fault}")
}

/// Serves agents whose timelines begin with the first poll of them.
async fn serve_at_once(agents: &[(&str, &str)]) -> SocketAddr {
    serve_with(agents, |settings| settings.start = Start::AtFirstRead).await
}

#[tokio::test]
async fn a_reset_comes_before_a_byte_of_the_answer() {
    let fault = with_fault("reset = true");
    let address = serve_at_once(&[("voice", &fault)]).await;
    let mut stream = send(address, &request("GET /v1/agents/voice", "")).await;
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).await.unwrap_err();
    assert_eq!((error.kind(), bytes.len()), (ErrorKind::ConnectionReset, 0));
    // The next request has a connection of its own, and is answered.
    assert_eq!(ask(address, "GET /v1/agents/voice").await.status, 200);
}

#[tokio::test]
async fn a_hanging_request_hinders_no_other() {
    let fault = with_fault("hang = true");
    let address = serve_at_once(&[("voice", &fault)]).await;
    let hanging = send(address, &request("GET /v1/agents/voice", "")).await;
    // Of the requests on other connections at most the first can overtake it.
    let _ = ask(address, "GET /v1/agents").await;
    assert_eq!(ask(address, "GET /v1/agents/voice").await.status, 200);
    let nothing = hanging.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_status_comes_with_its_headers_and_words() {
    let plain = with_fault("status = 429\nheaders = { Retry-After = \"2\" }");
    let page =
        with_fault("status = 502\nheaders = { Content-Type = \"text/html\" }\nbody = \"<p>\"");
    let address = serve_at_once(&[("plain", &plain), ("page", &page)]).await;
    let answer = ask(address, "GET /v1/agents/plain").await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("2"))
    );
    assert_eq!(
        answer.json(),
        json!({ "error": "too many requests", "code": "TOO_MANY_REQUESTS" })
    );
    let answer = ask(address, "GET /v1/agents/page").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (502, Some("text/html"))
    );
    assert_eq!(answer.body, "<p>");
}
