//! The server over real sockets, spoken to byte by byte.

mod faults;

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
