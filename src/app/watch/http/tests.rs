//! The endpoints over real sockets, by a client that writes and reads bytes.

use std::io::Read as _;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::*;
use crate::adapters::api::connection::Hooks;
use crate::adapters::api::{ApiUrl, Client, Credentials, PlainHttp};
use crate::adapters::store::{Route, Store};
use crate::core::fleet::{
    AgentRecord, Change, EventData, EventKind, Fleet, FleetEvent, KnownDeployment, Mode, Rules,
    Scope, Watched,
};
use crate::core::rollout;
use crate::core::rollout::{Reason, Verdict};

mod page;
mod schema;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(30);
/// Long enough for an answer, short enough for a test.
const SHORT: Duration = Duration::from_millis(500);

/// Endpoints that are served until it is dropped.
struct Served {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropped, it ends the service.
    _end: oneshot::Sender<()>,
    store: StoreHandle,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(given, value)| given.eq_ignore_ascii_case(name).then_some(value))
    }
}

fn rules() -> Rules {
    Rules {
        watched: Watched::Listed(Scope::new(&[], &[], Vec::new()).unwrap()),
        interval: Duration::from_secs(15),
        health_interval: Duration::from_mins(5),
        unready_for: Duration::from_secs(30),
        limits: rollout::Limits::default(),
        max_rps: NonZeroU32::MIN,
        mode: Mode::Daemon,
    }
}

fn agent(name: &str) -> AgentRecord {
    AgentRecord {
        service_id: Some("an-id-of-the-platform".to_owned()),
        deployment: Some(KnownDeployment {
            id: "d1".to_owned(),
            created_at: None,
            image: Some("image:1".to_owned()),
            commit: None,
        }),
        ..AgentRecord::new(name, Timestamp::UNIX_EPOCH)
    }
}

/// To an API that is not there.
fn connection() -> Connection {
    let url = ApiUrl::parse("http://127.0.0.1:9", PlainHttp::LoopbackOnly).unwrap();
    let client = Client::new(url, Credentials::of_simulator(), None).unwrap();
    Connection::new(client, NonZeroU32::MIN, Hooks::default())
}

fn finished(agent: &str, number: i64) -> FleetEvent {
    FleetEvent {
        kind: EventKind::RolloutFinished,
        time: Timestamp::from_second(number).unwrap(),
        dedup_key: "key".to_owned(),
        data: EventData {
            agent: agent.to_owned(),
            deployment_id: Some(format!("d{number}")),
            verdict: Some(Verdict::Failed),
            reason: Some(Reason {
                code: "Error".to_owned(),
                summary: "\u{1b}[2Jcleared\u{202e}".to_owned(),
                message: None,
            }),
            elapsed_ms: Some(60_000),
            ..EventData::default()
        },
    }
}

impl Served {
    async fn start(agents: &[&str], limits: Limits) -> Self {
        Self::with(agents.iter().map(|name| agent(name)).collect(), limits).await
    }

    async fn with(agents: Vec<AgentRecord>, limits: Limits) -> Self {
        Self::at(Ipv4Addr::LOCALHOST, Access::default(), agents, limits).await
    }

    async fn at(
        address: Ipv4Addr,
        access: Access,
        agents: Vec<AgentRecord>,
        limits: Limits,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let change = Change {
            events: (1..=5)
                .map(|number| finished(if number == 3 { "b" } else { "a" }, number))
                .collect(),
            ..Change::default()
        };
        store
            .apply(Timestamp::now(), &change, |_| Route::to(&[]))
            .unwrap();
        let store = StoreHandle::new(store);
        let fleet = Fleet::restore(rules(), agents, Some(Timestamp::UNIX_EPOCH));
        let shared = Arc::new(Shared::new(fleet));
        let endpoints = Endpoints {
            shared: Arc::clone(&shared),
            metrics: Arc::new(Metrics::new("0.1.0", Timestamp::UNIX_EPOCH)),
            store: store.clone(),
            connection: connection(),
            origin: Origin {
                source: "https://api.example.com/v1".to_owned(),
                ..Origin::default()
            },
            access: Arc::new(access),
        };
        let address = (address, 0).into();
        let http = Http::bind(address, endpoints, limits).await.unwrap();
        let address = http.local_addr();
        let (end, ended) = oneshot::channel::<()>();
        tokio::spawn(http.serve(async {
            let _ = ended.await;
        }));
        Self {
            address,
            shared,
            _end: end,
            store,
            _folder: folder,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What comes back for these bytes, until the connection is over.
    async fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        read(stream).await
    }

    async fn ask(&self, method: &str, target: &str, headers: &str) -> Reply {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        self.send(request).await
    }

    async fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, "").await
    }
}

async fn read(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the connection ends");
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
    let (head, body) = end.map_or((&[][..], &[][..]), |end| (&bytes[..end], &bytes[end + 4..]));
    let head = String::from_utf8(head.to_vec()).unwrap();
    Reply {
        status: head.get(9..12).map_or(0, |status| status.parse().unwrap()),
        head,
        body: body.to_vec(),
    }
}

fn limits(time: Duration, head: Duration, connections: usize) -> Limits {
    Limits {
        time,
        head,
        connections,
    }
}

#[tokio::test]
async fn every_answer_has_its_type_and_is_kept_by_nobody() {
    let served = Served::start(&["a"], Limits::default()).await;
    let json = "application/json";
    for (target, status, kind) in [
        ("/livez", 200, json),
        ("/readyz", 503, json),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/v1/agents", 200, json),
        ("/v1/rollouts", 200, json),
        ("/v1/events", 200, json),
        ("/v1/stats", 200, json),
        ("/v1/dead-letters", 200, json),
        ("/v1/rollouts?limit=0", 400, json),
        ("/nothing", 404, json),
        ("/livez/", 404, json),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = served.ask(method, target, "").await;
            assert_eq!(reply.status, status, "{method} {target}");
            assert_eq!(reply.header("content-type"), Some(kind), "{target}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{target}");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(reply.header("connection"), Some("close"));
            let length: usize = reply.header("content-length").unwrap().parse().unwrap();
            let shown = if method == "HEAD" { 0 } else { length };
            assert!(length > 0 && reply.body.len() == shown, "{method} {target}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let reply = served.ask(method, "/v1/agents", "").await;
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some("GET,HEAD"));
        assert_eq!(reply.json()["code"], "METHOD_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn what_cannot_be_relied_on_is_named() {
    let served = Served::start(&["a"], Limits::default()).await;
    served.shared.set_store(Err("the disk is full".to_owned()));
    let reply = served.get("/readyz").await;
    assert_eq!(reply.status, 503);
    let faults = json!([
        "the list of agents could not be read yet",
        "the agents' details could not be read yet",
        "the store cannot be written: the disk is full",
    ]);
    assert_eq!(reply.json()["faults"], faults);
    assert_eq!(reply.json()["storeWritable"], false);
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let served = Served::start(&["a"], Limits::default()).await;
    let open = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let reply = served.ask("GET", "/metrics", open).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), Some(kind));
    assert!(reply.text().ends_with("# EOF\n"));
    let plain = served.get("/metrics").await;
    assert!(!plain.text().contains("# EOF") && plain.text().contains("pipecat_rollout_agents 1\n"));
    let packed = served
        .ask("GET", "/metrics", "Accept-Encoding: gzip\r\n")
        .await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 3 < plain.body.len());
    let mut text = String::new();
    let mut decoder = GzDecoder::new(packed.body.as_slice());
    decoder.read_to_string(&mut text).unwrap();
    assert!(text.contains("pipecat_rollout_agents 1\n"), "{text}");
}

#[tokio::test]
async fn lists_have_pages_and_show_nothing_of_the_stores_insides() {
    let served = Served::start(&["a", "b", "c"], Limits::default()).await;
    let page = served.get("/v1/agents?limit=2").await.json();
    let names = |page: &Value| -> Vec<String> {
        let agents = page["agents"].as_array().unwrap().iter();
        agents
            .map(|agent| agent["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (names(&page), &page["next"]),
        (vec!["a".into(), "b".into()], &json!("b"))
    );
    let page = served.get("/v1/agents?limit=2&after=b").await.json();
    assert_eq!(
        (names(&page), &page["next"]),
        (vec!["c".into()], &Value::Null)
    );
    assert_eq!(page["agents"][0]["image"], "image:1");
    assert!(page["agents"][0].get("serviceId").is_none());
    let page = served.get("/v1/rollouts?limit=2").await;
    // Nothing in it acts on a terminal, and it is still the same text.
    assert!(!page.text().contains(['\u{1b}', '\u{202e}']), "{page:?}");
    let page = page.json();
    assert_eq!(page["rollouts"][0]["deploymentId"], "d5");
    assert_eq!(
        page["rollouts"][0]["reason"]["summary"],
        "\u{1b}[2Jcleared\u{202e}"
    );
    assert_eq!(page["next"], 4);
    let page = served.get("/v1/rollouts?before=4&agent=a").await.json();
    let ids: Vec<&str> = page["rollouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rollout| rollout["deploymentId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["d2", "d1"]);
    let page = served.get("/v1/events?after=2&limit=1").await.json();
    assert_eq!(
        (&page["events"][0]["number"], &page["next"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(page["events"][0]["event"]["subject"], "b");
    let stats = served.get("/v1/stats").await.json();
    assert_eq!(
        (&stats["stats"]["count"], &stats["agents"][1]["agent"]),
        (&json!(5), &json!("b"))
    );
    let bad = served.get("/v1/rollouts?since=yesterday").await;
    assert_eq!(bad.status, 400);
    let why = bad.json()["error"].as_str().unwrap().to_owned();
    assert!(why.starts_with("since: a time is written like"), "{why}");
}

#[tokio::test]
async fn other_hosts_are_turned_away() {
    let served = Served::start(&[], Limits::default()).await;
    let port = served.address.port();
    for (host, status) in [
        (format!("Host: 127.0.0.1:{port}\r\n"), 200),
        ("Host: evil.example\r\n".to_owned(), 421),
        ("Host: localhost\r\nHost: evil.example\r\n".to_owned(), 400),
        (String::new(), 400),
    ] {
        let request = format!("GET /livez HTTP/1.1\r\n{host}\r\n");
        assert_eq!(served.send(request).await.status, status, "{host}");
    }
    assert_eq!(served.send("GET /livez HTTP/1.0\r\n\r\n").await.status, 200);
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named() {
    let served = Served::start(&[], Limits::default()).await;
    for (address, expected) in [
        (
            served.address,
            "another program does, perhaps another sidecar",
        ),
        (
            "192.0.2.1:0".parse().unwrap(),
            "cannot listen on 192.0.2.1:0",
        ),
    ] {
        let endpoints = Endpoints {
            shared: Arc::clone(&served.shared),
            metrics: Arc::new(Metrics::new("0", Timestamp::UNIX_EPOCH)),
            store: served.store.clone(),
            connection: connection(),
            origin: Origin::default(),
            access: Arc::default(),
        };
        let error = Http::bind(address, endpoints, Limits::default()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_and_frees_its_place() {
    let served = Served::start(&[], limits(LONG, SHORT, 1)).await;
    for part in [
        "",
        "GET",
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    ] {
        let mut slow = served.connect().await;
        slow.write_all(part.as_bytes()).await.unwrap();
        // The only place is taken until then.
        assert_eq!(served.get("/livez").await.status, 200, "{part:?}");
        assert_eq!(read(slow).await.status, 0, "{part:?}");
    }
}

#[tokio::test]
async fn whoever_does_not_read_is_cut_and_frees_the_place() {
    let agents = (0..20_000).map(|number| agent(&format!("agent-{number:05}")));
    let served = Served::with(agents.collect(), limits(2 * SHORT, SHORT, 8)).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = served.connect().await;
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).await.unwrap();
        idle.push(stream);
    }
    // Scrapes have two places; probes need none of them.
    assert_eq!(served.get("/livez").await.status, 200);
    drop(idle);
    assert_eq!(served.get("/livez").await.status, 200);
}

#[tokio::test]
async fn large_heads_bodies_and_nonsense_are_refused() {
    let served = Served::start(&[], Limits::default()).await;
    let head = |length| {
        let filler = "x".repeat(length);
        format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Filler: {filler}\r\n\r\n")
    };
    assert_eq!(served.send(head(8 * 1024)).await.status, 200);
    assert_eq!(served.send(head(17 * 1024)).await.status, 431);
    for body in [
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{body}");
        assert_eq!(served.send(request).await.status, 413, "{body:?}");
    }
    for nonsense in [
        "\r\n\r\n\0",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let reply = served.send(nonsense).await;
        assert!(matches!(reply.status, 0 | 400), "{nonsense:?}: {reply:?}");
    }
}
