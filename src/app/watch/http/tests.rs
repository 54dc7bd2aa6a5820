//! The endpoints over real sockets, by a client that writes and reads bytes.

mod bounds;
mod lists;

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(30);

/// Endpoints that are served until it is dropped.
struct Served {
    address: SocketAddr,
    /// Dropped or used, it ends the service.
    end: Option<oneshot::Sender<()>>,
    done: JoinHandle<()>,
}

/// What came back.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(given, value)| given.eq_ignore_ascii_case(name).then_some(value))
    }
}

impl Served {
    async fn start(sources: Sources, limits: Limits) -> Self {
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let http = Http::bind(address, sources, limits).await.unwrap();
        let address = http.local_addr();
        let (end, ended) = oneshot::channel();
        let done = tokio::spawn(http.serve(async {
            let _ = ended.await;
        }));
        let end = Some(end);
        Self { address, end, done }
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

    async fn ask(&self, method: &str, target: &str) -> Reply {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.send(request).await
    }

    async fn get(&self, target: &str) -> Reply {
        self.ask("GET", target).await
    }
}

async fn read(mut stream: TcpStream) -> Reply {
    let mut text = String::new();
    let read = timeout(LONG, stream.read_to_string(&mut text)).await;
    read.expect("the connection ends").unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    Reply {
        status: head.get(9..12).map_or(0, |status| status.parse().unwrap()),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

fn limits(time: Duration, connections: usize) -> Limits {
    Limits {
        time,
        silence: Duration::from_millis(50),
        connections,
    }
}

/// All is well, and there is nothing.
fn sources() -> Sources {
    Sources {
        liveness: Box::new(Liveness::default),
        readiness: Box::new(|| readiness(Some(3), Ok(()))),
        metrics: Box::new(|| "# EOF\n".to_owned()),
        agents: Box::new(|_| Box::pin(async { Ok(no_page()) })),
        rollouts: Box::new(|_| Box::pin(async { Ok(no_page()) })),
    }
}

fn no_page<T, N>() -> Page<T, N> {
    let items = Vec::new();
    Page { items, next: None }
}

fn readiness(age: Option<u64>, store: Result<(), &str>) -> Readiness {
    Readiness {
        last_good_answer_age: age.map(Duration::from_secs),
        limit: Duration::from_mins(1),
        store: store.map_err(str::to_owned),
    }
}

fn beat(name: &'static str, age: u64) -> LoopBeat {
    LoopBeat {
        name,
        age: Duration::from_secs(age),
        limit: Duration::from_secs(30),
    }
}

#[tokio::test]
async fn a_stuck_loop_is_named() {
    for (ages, status, stuck) in [
        ([0, 0], 200, json!([])),
        ([30, 1], 200, json!([])),
        ([31, 1], 503, json!(["polls"])),
        ([31, 99], 503, json!(["polls", "deliveries"])),
    ] {
        let loops = vec![beat("polls", ages[0]), beat("deliveries", ages[1])];
        let liveness = Liveness { loops };
        let sources = Sources {
            liveness: Box::new(move || liveness.clone()),
            ..sources()
        };
        let reply = Served::start(sources, Limits::default())
            .await
            .get("/livez")
            .await;
        assert_eq!((reply.status, &reply.json()["stuck"]), (status, &stuck));
        let first = json!({
            "name": "polls", "stuck": ages[0] > 30, "ageMs": ages[0] * 1000, "limitMs": 30_000,
        });
        assert_eq!(reply.json()["loops"][0], first);
    }
}

#[tokio::test]
async fn ready_takes_a_good_answer_and_a_store() {
    let cases = [
        (readiness(Some(60), Ok(())), 200, json!([])),
        (
            readiness(Some(61), Ok(())),
            503,
            json!(["the last good answer of the API is 61 s old, which is more than 60 s"]),
        ),
        (
            readiness(None, Err("the disk is full")),
            503,
            json!([
                "the API has given no good answer yet",
                "the store cannot be written: the disk is full",
            ]),
        ),
    ];
    for (readiness, status, faults) in cases {
        let expected = json!({
            "status": if status == 200 { "ready" } else { "not-ready" },
            "faults": faults,
            "lastGoodAnswerAgeMs": readiness.last_good_answer_age.map(|age| age.as_secs() * 1000),
            "limitMs": 60_000,
            "storeWritable": readiness.store.is_ok(),
        });
        let sources = Sources {
            readiness: Box::new(move || readiness.clone()),
            ..sources()
        };
        let reply = Served::start(sources, Limits::default())
            .await
            .get("/readyz")
            .await;
        assert_eq!((reply.status, reply.json()), (status, expected));
    }
}

#[tokio::test]
async fn every_answer_has_its_type_and_is_kept_by_nobody() {
    let served = Served::start(sources(), Limits::default()).await;
    let metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (target, status, kind) in [
        ("/livez", 200, "application/json"),
        ("/readyz", 200, "application/json"),
        ("/metrics", 200, metrics),
        ("/v1/agents", 200, "application/json"),
        ("/v1/rollouts", 200, "application/json"),
        ("/v1/rollouts?limit=0", 400, "application/json"),
        ("/nothing", 404, "application/json"),
        ("/", 404, "application/json"),
        ("/livez/", 404, "application/json"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = served.ask(method, target).await;
            assert_eq!(reply.status, status, "{method} {target}");
            assert_eq!(reply.header("content-type"), Some(kind), "{target}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{target}");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(reply.header("connection"), Some("close"));
            let told: usize = reply.header("content-length").unwrap().parse().unwrap();
            let shown = if method == "HEAD" { 0 } else { told };
            assert!(told > 0 && reply.body.len() == shown, "{method} {target}");
            if method == "GET" && kind != metrics {
                reply.json();
            }
        }
    }
    assert_eq!(served.get("/metrics").await.body, "# EOF\n");
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let served = Served::start(sources(), Limits::default()).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for target in [
            "/livez",
            "/readyz",
            "/metrics",
            "/v1/agents",
            "/v1/rollouts",
        ] {
            let reply = served.ask(method, target).await;
            assert_eq!(reply.status, 405, "{method} {target}");
            assert_eq!(reply.header("allow"), Some("GET,HEAD"), "{method} {target}");
            assert_eq!(reply.json()["code"], "METHOD_NOT_ALLOWED");
        }
    }
}

#[tokio::test]
async fn other_hosts_are_turned_away() {
    let served = Served::start(sources(), Limits::default()).await;
    let port = served.address.port();
    for (host, status) in [
        (format!("Host: 127.0.0.1:{port}\r\n"), 200),
        ("Host: evil.example\r\n".to_owned(), 421),
        ("Host: localhost\r\nHost: evil.example\r\n".to_owned(), 400),
        (String::new(), 400),
    ] {
        let reply = served
            .send(format!("GET /livez HTTP/1.1\r\n{host}\r\n"))
            .await;
        assert_eq!(reply.status, status, "{host}");
    }
    assert_eq!(served.send("GET /livez HTTP/1.0\r\n\r\n").await.status, 200);
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_clearly() {
    let served = Served::start(sources(), Limits::default()).await;
    let error = Http::bind(served.address, sources(), Limits::default()).await;
    let expected = format!(
        "cannot listen on {}: another program does, perhaps another sidecar; --listen takes \
         another address",
        served.address
    );
    assert_eq!(error.unwrap_err().to_string(), expected);
    let elsewhere = "192.0.2.1:0".parse().unwrap();
    let error = Http::bind(elsewhere, sources(), Limits::default()).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "cannot listen on 192.0.2.1:0"
    );
}
