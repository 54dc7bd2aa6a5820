//! The server over real sockets, spoken to byte by byte.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// An agent that is ready from its deploy on, whenever that is looked at.
const READY: &str = r#"
summary = "s"
verdict = "ready"
[deployments]
old = "-1h"
new = "0s"
[before]
desired = "old"
reconciled = "old"
[[state]]
at = "0s"
desired = "new"
reconciled = "new"
ready = true
[[log]]
at = "0s"
line = "up"
"#;

const ABSENT: &str =
    "summary = \"s\"\nverdict = \"not-found\"\n[[state]]\nat = \"0s\"\nabsent = true";

fn with_fault(fault: &str) -> String {
    format!("{READY}\n[[fault]]\nrequests = \"1\"\n{fault}")
}

/// Serves these agents, each with the text of its scenario, from a task of the test's runtime.
async fn serve(agents: &[(&str, &str)]) -> SocketAddr {
    serve_with(agents, |_| ()).await
}

async fn serve_with(agents: &[(&str, &str)], change: impl FnOnce(&mut Settings)) -> SocketAddr {
    let agents = agents.iter().map(|(name, text)| {
        let scenario = Scenario::parse(text).unwrap();
        ((*name).to_owned(), Arc::new(scenario))
    });
    let mut settings = Settings {
        cast: Cast::new(agents),
        key: None,
        speed: Speed::REAL,
        start: Start::AtDeploy,
    };
    change(&mut settings);
    let simulator = Simulator::bind("127.0.0.1:0".parse().unwrap(), settings)
        .await
        .unwrap();
    let address = simulator.local_addr();
    assert_eq!(simulator.base_url(), format!("http://{address}/v1"));
    tokio::spawn(simulator.serve());
    address
}

async fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// A request with a key, after which the connection is to be closed.
fn request(line: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: simulator\r\nAuthorization: Bearer key\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer, taken apart.
#[derive(Debug)]
struct Told {
    status: u16,
    head: String,
    body: String,
}

impl Told {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn ask(address: SocketAddr, line: &str) -> Told {
    ask_with(address, &request(line, "")).await
}

async fn ask_with(address: SocketAddr, request: &str) -> Told {
    let mut bytes = Vec::new();
    let mut stream = send(address, request).await;
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Told {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn a_deploy_starts_what_the_details_then_tell() {
    let address = serve(&[("voice", READY)]).await;
    let id = |alias| Value::from(Scenario::deployment_id("voice", 1, alias));
    let before = ask(address, "GET /v1/agents/voice").await;
    assert_eq!(
        (before.status, before.header("content-type")),
        (200, Some("application/json"))
    );
    assert!(before.header("date").unwrap().ends_with(" GMT"));
    assert_eq!(before.json()["desiredDeploymentId"], id("old"));
    let deployed = ask(address, "POST /v1/agents/voice").await;
    assert_eq!(
        (deployed.status, &deployed.json()["desiredDeploymentId"]),
        (200, &id("new"))
    );
    let after = ask(address, "GET /v1/agents/voice").await;
    assert_eq!(after.json()["reconciledDeploymentId"], id("new"));
    assert_eq!(after.json()["ready"], true);
    let logs = ask(address, "GET /v1/agents/voice/logs?limit=5&order=asc")
        .await
        .json();
    assert_eq!(logs["total"]["value"], 1);
    assert_eq!(logs["logs"][0]["log"], "up");
    assert_eq!(logs["logs"][0]["deploymentId"], id("new"));
}

#[tokio::test]
async fn a_deploy_takes_an_object_or_nothing() {
    let address = serve(&[("voice", READY)]).await;
    for (body, status) in [
        ("", 200),
        (" \n", 200),
        ("{\"image\": \"voice:2\"}", 200),
        ("[]", 400),
        ("{", 400),
    ] {
        let told = ask_with(address, &request("POST /v1/agents/voice", body)).await;
        assert_eq!(told.status, status, "{body:?}");
    }
    let told = ask_with(address, &request("POST /v1/agents/voice", "[]")).await;
    assert_eq!(
        told.json(),
        json!({ "error": "the body is not a JSON object", "code": "BAD_REQUEST" })
    );
    assert_eq!(ask(address, "POST /v1/agents/other").await.status, 404);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_contracts_form() {
    let address = serve(&[("voice", READY), ("gone", ABSENT)]).await;
    for (line, status, error, code) in [
        (
            "GET /v1/agents/other",
            404,
            "agent \"other\" not found",
            "NOT_FOUND",
        ),
        (
            "GET /v1/agents/gone",
            404,
            "agent \"gone\" not found",
            "NOT_FOUND",
        ),
        (
            "GET /v1/agents/other/logs",
            404,
            "agent \"other\" not found",
            "NOT_FOUND",
        ),
        (
            "GET /v1/agents/gone/logs",
            404,
            "agent \"gone\" not found",
            "NOT_FOUND",
        ),
        (
            "GET /v1/agents/voice/sessions",
            404,
            "not found",
            "NOT_FOUND",
        ),
        ("GET /", 404, "not found", "NOT_FOUND"),
        (
            "DELETE /v1/agents/voice",
            405,
            "method not allowed",
            "METHOD_NOT_ALLOWED",
        ),
        (
            "POST /v1/agents/voice/logs",
            405,
            "method not allowed",
            "METHOD_NOT_ALLOWED",
        ),
        (
            "GET /v1/agents/voice/logs?order=up",
            400,
            "order \"up\" is neither asc nor desc",
            "BAD_REQUEST",
        ),
    ] {
        let told = ask(address, line).await;
        assert_eq!(told.status, status, "{line}");
        assert_eq!(
            told.json(),
            json!({ "error": error, "code": code }),
            "{line}"
        );
    }
    let told = ask(address, "DELETE /v1/agents/voice").await;
    assert_eq!(told.header("allow"), Some("GET,HEAD,POST"));
}

#[tokio::test]
async fn names_are_decoded() {
    let address = serve(&[("a/b c", READY)]).await;
    let told = ask(address, "GET /v1/agents/a%2Fb%20c").await;
    assert_eq!(told.json()["name"], "a/b c");
    assert_eq!(ask(address, "GET /v1/agents/%ff").await.status, 404);
}

#[tokio::test]
async fn a_request_without_the_key_is_refused_whatever_it_asks_for() {
    let strict = serve_with(&[("voice", READY)], |settings| {
        settings.key = Some("right".to_owned());
    })
    .await;
    let lenient = serve(&[("voice", READY)]).await;
    for (line, strictly, leniently) in [
        ("Authorization: Bearer right\r\n", 200, 200),
        ("authorization: bearer right\r\n", 200, 200),
        ("Authorization: Bearer wrong\r\n", 401, 200),
        ("Authorization: Bearer \r\n", 401, 401),
        ("Authorization: Basic right\r\n", 401, 401),
        ("Authorization: right\r\n", 401, 401),
        ("", 401, 401),
    ] {
        let request =
            format!("GET /v1/agents/voice HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n");
        assert_eq!(
            ask_with(strict, &request).await.status,
            strictly,
            "{line:?}"
        );
        assert_eq!(
            ask_with(lenient, &request).await.status,
            leniently,
            "{line:?}"
        );
    }
    let told = ask(strict, "GET /nowhere").await;
    assert_eq!(told.status, 401);
    assert_eq!(
        told.json(),
        json!({ "error": "unauthorized", "code": "UNAUTHORIZED" })
    );
}

#[tokio::test]
async fn the_list_holds_all_agents_that_exist() {
    let names: Vec<String> = (0..1000)
        .map(|number| format!("agent-{number:04}"))
        .collect();
    let mut agents: Vec<_> = names.iter().map(|name| (name.as_str(), READY)).collect();
    agents.push(("gone", ABSENT));
    let address = serve(&agents).await;
    let list = ask(address, "GET /v1/agents").await.json();
    let told: Vec<_> = list["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| &agent["name"])
        .collect();
    assert_eq!(told, names.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reset_is_one_and_comes_where_it_is_asked_for() {
    for (after, whole_head) in [("nothing", false), ("half-head", false), ("head", true)] {
        let fault = with_fault(&format!("kind = \"reset\"\nafter = \"{after}\""));
        let address = serve_with(&[("voice", &fault)], |settings| {
            settings.start = Start::AtFirstRead;
        })
        .await;
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
    let address = serve_with(&[("voice", &fault)], |settings| {
        settings.start = Start::AtFirstRead;
    })
    .await;
    let cut = ask(address, "GET /v1/agents/voice").await;
    let whole = ask(address, "GET /v1/agents/voice").await;
    let announced: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert_eq!(cut.body.len(), announced / 2);
    assert_eq!(whole.body.len(), announced);
}

#[tokio::test]
async fn a_hanging_request_hinders_no_other() {
    let fault = with_fault("kind = \"hang\"");
    let address = serve_with(&[("voice", &fault)], |settings| {
        settings.start = Start::AtFirstRead;
    })
    .await;
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
    let address = serve_with(&[("voice", &fault)], |settings| {
        settings.start = Start::AtFirstRead;
    })
    .await;
    let start = tokio::time::Instant::now();
    let slow = ask(address, "GET /v1/agents/voice").await;
    let bytes = u32::try_from(slow.body.len()).unwrap();
    assert_eq!(slow.json()["name"], "voice");
    assert!(start.elapsed() >= std::time::Duration::from_millis(500) * (bytes - 1));
}

#[tokio::test]
async fn a_huge_body_has_no_end_that_is_worth_waiting_for() {
    let fault = with_fault("kind = \"huge-body\"");
    let address = serve_with(&[("voice", &fault)], |settings| {
        settings.start = Start::AtFirstRead;
    })
    .await;
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
    let address = serve_with(&[("plain", &plain), ("page", &page)], |settings| {
        settings.start = Start::AtFirstRead;
    })
    .await;
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

#[tokio::test]
async fn an_address_that_others_can_reach_or_have_is_refused() {
    let settings = || Settings {
        cast: Cast::default(),
        key: None,
        speed: Speed::REAL,
        start: Start::AtDeploy,
    };
    let refused = Simulator::bind("0.0.0.0:0".parse().unwrap(), settings()).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the simulator serves on loopback addresses only, not on 0.0.0.0:0"
    );
    let first = Simulator::bind("127.0.0.1:0".parse().unwrap(), settings())
        .await
        .unwrap();
    let address = first.local_addr();
    let taken = Simulator::bind(address, settings()).await.unwrap_err();
    assert_eq!(taken.to_string(), format!("cannot listen on {address}"));
}
