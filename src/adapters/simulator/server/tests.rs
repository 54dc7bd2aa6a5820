//! The server over real sockets, spoken to byte by byte.

mod faults;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// An agent that is ready from its deploy on, whenever that is polled.
const READY: &str = r#"
summary = "s"
verdict = "ready"
[before]
desiredDeploymentId = "{old}"
reconciledDeploymentId = "{old}"
[[state]]
at = "0s"
desiredDeploymentId = "{new}"
reconciledDeploymentId = "{new}"
ready = true
available = true
currentRevision = { deploymentID = "{new}", phase = "Active" }
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
        agents: agents.collect(),
        key: None,
        speed: Speed::REAL,
        start: Start::AtDeploy,
    };
    change(&mut settings);
    let simulator = Simulator::bind("127.0.0.1:0".parse().unwrap(), settings)
        .await
        .unwrap();
    let address = simulator.address;
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
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
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

async fn ask(address: SocketAddr, line: &str) -> Answered {
    ask_with(address, &request(line, "")).await
}

async fn ask_with(address: SocketAddr, request: &str) -> Answered {
    let mut bytes = Vec::new();
    let mut stream = send(address, request).await;
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answered {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn a_deploy_starts_the_timeline() {
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
async fn a_deploy_can_have_the_agent_play_another_scenario() {
    let address = serve(&[("voice", READY)]).await;
    ask(address, "POST /v1/agents/voice").await;
    let other = ask(address, "POST /v1/agents/voice?scenario=crash-loop").await;
    let id = Scenario::deployment_id("voice", 2, "new");
    assert_eq!(other.json()["desiredDeploymentId"], id);
    let after = ask(address, "GET /v1/agents/voice").await;
    assert_ne!(after.json()["reconciledDeploymentId"], id, "it takes time");
    let unknown = ask(address, "POST /v1/agents/voice?scenario=crashloop").await;
    assert_eq!(unknown.status, 400);
    let why = "scenario \"crashloop\": no scenario that is built in has this name";
    assert_eq!(unknown.json()["error"], why);
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
        let answer = ask_with(address, &request("POST /v1/agents/voice", body)).await;
        assert_eq!(answer.status, status, "{body:?}");
    }
    let answer = ask_with(address, &request("POST /v1/agents/voice", "[]")).await;
    assert_eq!(
        answer.json(),
        json!({ "error": "the body is not a JSON object", "code": "BAD_REQUEST" })
    );
    assert_eq!(ask(address, "POST /v1/agents/other").await.status, 404);
}

#[tokio::test]
async fn errors_are_in_the_contracts_form() {
    let address = serve(&[("voice", READY), ("gone", ABSENT)]).await;
    for (line, status, error, code) in [
        (
            "GET /v1/agents/other",
            404,
            "agent \"other\" not found: the simulator plays for the agents of its --agent only",
            "NOT_FOUND",
        ),
        (
            "GET /v1/agents/gone",
            404,
            "agent \"gone\" not found",
            "NOT_FOUND",
        ),
        (
            "GET /v1/organizations/any/services/other/logs",
            404,
            "agent \"other\" not found: the simulator plays for the agents of its --agent only",
            "NOT_FOUND",
        ),
        (
            "GET /v1/agents/gone/logs",
            404,
            "agent \"gone\" not found",
            "NOT_FOUND",
        ),
        (
            "GET /v1/agents/voice/recordings",
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
            "order \"up\" is none of desc, asc",
            "BAD_REQUEST",
        ),
    ] {
        let answer = ask(address, line).await;
        assert_eq!(answer.status, status, "{line}");
        assert_eq!(
            answer.json(),
            json!({ "error": error, "code": code }),
            "{line}"
        );
    }
    let answer = ask(address, "DELETE /v1/agents/voice").await;
    assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
}

#[tokio::test]
async fn names_are_decoded() {
    let address = serve(&[("a/b c", READY)]).await;
    let answer = ask(address, "GET /v1/agents/a%2Fb%20c").await;
    assert_eq!(answer.json()["name"], "a/b c");
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
    let answer = ask(strict, "GET /nowhere").await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.json(),
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
    let listed: Vec<_> = list["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| &agent["name"])
        .collect();
    assert_eq!(listed, names.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_address_that_others_can_reach_or_have_is_refused() {
    let settings = || Settings {
        agents: BTreeMap::new(),
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
    let address = first.address;
    let taken = Simulator::bind(address, settings()).await.unwrap_err();
    assert_eq!(taken.to_string(), format!("cannot listen on {address}"));
}

#[tokio::test]
async fn an_organization_shows_the_same_as_the_vendors_cli_reads_it() {
    let address = serve(&[("voice", READY), ("gone", ABSENT)]).await;
    let organizations = ask(address, "GET /v1/organizations").await.json();
    let name = organizations["organizations"][0]["name"].as_str().unwrap();
    assert_eq!(name, ORGANIZATION);
    let ask_for = async |line: &str| {
        let (method, path) = line.split_once(' ').unwrap();
        let line = format!("{method} /v1/organizations/{name}{path}");
        ask(address, &line).await
    };
    let manifest = r#"{"serviceName":"voice","image":"acme/voice:2","region":"eu-central"}"#;
    let line = format!("PUT /v1/organizations/{name}/services");
    let deployed = ask_with(address, &request(&line, manifest)).await;
    assert_eq!(deployed.status, 200, "{}", deployed.body);
    let wrapped = ask_for("GET /services/voice").await.json();
    let plain = ask(address, "GET /v1/agents/voice").await.json();
    assert_eq!(wrapped, json!({ "body": plain }));
    assert_eq!(
        plain["deployment"]["manifest"]["spec"]["image"],
        "acme/voice:2"
    );
    let refused = ask_for("GET /services/gone").await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (404, &json!("NOT_FOUND"))
    );
    for (region, count) in [("", 1), ("?region=eu-central", 1), ("?region=us-west", 0)] {
        let list = ask_for(&format!("GET /services{region}")).await.json();
        assert_eq!(
            list["services"].as_array().unwrap().len(),
            count,
            "{region}"
        );
    }
    let again = ask_with(address, &request(&line.replace("PUT", "POST"), manifest)).await;
    assert!(again.json()["warning"].is_string());
    let properties = ask_for("GET /properties").await.json();
    let regions = ask_for("GET /regions").await.json();
    assert_eq!(
        properties["properties"]["defaultRegion"],
        regions["regions"][0]["code"]
    );
    assert_eq!(
        ask_for("GET /secrets").await.json()["sets"][0]["type"],
        "imagePullSecret"
    );
    assert_eq!(ask_for("GET /secrets/any").await.json()["status"], "ready");
    assert_eq!(
        ask_for("GET /services/voice/logs").await.json()["logs"][0]["log"],
        "up"
    );
}

#[tokio::test]
async fn a_build_is_found_by_its_context() {
    let address = serve(&[]).await;
    for root in ["/v1", "/v1/organizations/any"] {
        let none = ask(address, &format!("GET {root}/builds")).await.json();
        assert_eq!(none["total"], 0);
        let line =
            format!("GET {root}/builds?contextHash=abc&region=us-east&status=success&limit=1");
        let found = ask(address, &line).await.json();
        let build = &found["builds"][0];
        assert_eq!(
            (&build["status"], &build["region"]),
            (&json!("success"), &json!("us-east"))
        );
        let id = build["id"].as_str().unwrap();
        let one = ask(address, &format!("GET {root}/builds/{id}"))
            .await
            .json();
        assert_eq!(one["build"]["id"], id);
    }
}

#[tokio::test]
async fn a_session_is_started_with_the_public_key_and_ended_with_the_private_one() {
    let address = serve_with(&[("voice", READY)], |settings| {
        settings.key = Some("sk_right".to_owned());
        settings.start = Start::AtFirstRead;
    })
    .await;
    let with = async |line: &str, key: &str| {
        let request = request(line, "{}").replace("Bearer key", &format!("Bearer {key}"));
        ask_with(address, &request).await
    };
    assert_eq!(with("GET /v1/agents/voice", "sk_right").await.status, 200);
    let start = "POST /v1/public/voice/start";
    assert_eq!(with(start, "sk_right").await.status, 401);
    let started = with(start, "pk_any").await.json();
    let session = started["sessionId"].as_str().unwrap();
    let line = |method: &str| format!("{method} /v1/agents/voice/sessions/{session}");
    assert_eq!(with(&line("GET"), "pk_any").await.status, 401);
    let details = with(&line("GET"), "sk_right").await.json();
    assert_eq!(
        details["deploymentId"],
        Scenario::deployment_id("voice", 1, "new")
    );
    let active = "GET /v1/agents/voice/sessions?status=active&limit=5";
    assert_eq!(with(active, "sk_right").await.json()["total_count"], 1);
    assert_eq!(with(&line("DELETE"), "sk_right").await.status, 200);
    assert_eq!(with(active, "sk_right").await.json()["total_count"], 0);
}

#[tokio::test]
async fn the_exports_point_this_program_and_the_vendors_at_it() {
    let settings = |key: Option<&str>| Settings {
        agents: BTreeMap::new(),
        key: key.map(str::to_owned),
        speed: Speed::REAL,
        start: Start::AtDeploy,
    };
    for (key, ours, theirs) in [
        (
            None,
            " PIPECAT_API_KEY=sk_simulated",
            " PIPECAT_TOKEN=pcc_pat_simulated",
        ),
        (Some("a-secret"), "", ""),
    ] {
        let simulator = Simulator::bind("127.0.0.1:0".parse().unwrap(), settings(key));
        let simulator = simulator.await.unwrap();
        let address = simulator.address;
        assert_eq!(
            simulator.exports(),
            format!(
                "export PIPECAT_API_URL=http://{address}/v1{ours}\n\
                 export PIPECAT_API_HOST=http://{address} PIPECAT_ORG=simulated-organization{theirs}\n"
            )
        );
    }
}
