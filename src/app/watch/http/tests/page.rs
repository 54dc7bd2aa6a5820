//! What the page asks for, and who may ask for what.

use jiff::SignedDuration;

use super::schema::of_answer;
use super::*;
use crate::adapters::store::{Outcome, Settled};
use crate::core::fleet::{AgentState, UnderWay};
use crate::core::rollout::{Phase, PhaseEntry};

const TOKEN: &str = "a-token-of-some-length";
/// What a browser says of a request that the page itself makes.
const OWN: &str = "Sec-Fetch-Site: same-origin\r\n";

fn agents() -> Vec<AgentRecord> {
    let at = Timestamp::from_second(1_000_000).unwrap();
    let mut down = agent("down");
    down.region = Some("eu".to_owned());
    down.state = AgentState::Unready {
        since: at,
        reason: Some(Reason {
            code: "Error".to_owned(),
            summary: "it exits".to_owned(),
            message: None,
        }),
    };
    let mut busy = agent("busy");
    busy.state = AgentState::RollingOut(UnderWay {
        started_at: at,
        phases: vec![PhaseEntry {
            phase: Phase::Creating,
            at_ms: 1500,
        }],
        observed_late: false,
        rolled_back: false,
    });
    let mut ready = agent("a");
    ready.live.ready = Some(true);
    vec![ready, busy, down]
}

/// A sidecar with dead letters of the sink `ops`.
async fn with_dead_letters(address: Ipv4Addr, access: Access) -> Served {
    let served = Served::at(address, access, agents(), Limits::default()).await;
    served
        .store
        .with(|store| {
            let change = Change {
                events: vec![finished("a", 6), finished("b", 7)],
                ..Change::default()
            };
            let now = Timestamp::now();
            let written = store.apply(now, &change, |_| Route::to(&["ops"])).unwrap();
            let dead = written.into_iter().map(|stored| Settled {
                agent: stored.event.data.agent,
                number: stored.number,
                outcome: Outcome::Dead("refused".to_owned()),
            });
            store
                .settle("ops", now, &dead.collect::<Vec<_>>(), None)
                .unwrap();
        })
        .await;
    served.shared.set_sinks(["ops".to_owned()].into_iter());
    served
}

fn access() -> (Access, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let access = Access {
        token: Some(Token::read(file.path()).unwrap()),
        public_url: None,
    };
    (access, file)
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let served = with_dead_letters(Ipv4Addr::LOCALHOST, Access::default()).await;
    for (target, path) in [
        ("/v1/agents", "/v1/agents"),
        ("/v1/overview", "/v1/overview"),
        ("/v1/rollouts", "/v1/rollouts"),
        ("/v1/rollout?agent=a&deployment=D6", "/v1/rollout"),
        ("/v1/rollout?agent=busy&deployment=d1", "/v1/rollout"),
        ("/v1/events", "/v1/events"),
        ("/v1/stats", "/v1/stats"),
        ("/v1/stats?by=week", "/v1/stats"),
        ("/v1/dead-letters", "/v1/dead-letters"),
    ] {
        let answer = served.get(target).await.json();
        let validator = jsonschema::validator_for(&of_answer(path)).unwrap();
        let errors = validator.iter_errors(&answer);
        let errors: Vec<String> = errors.map(|error| format!("{error} {answer}")).collect();
        assert!(errors.is_empty(), "{target}: {errors:?}");
        let wrong = json!({ "serviceId": 1 });
        assert!(!validator.is_valid(&wrong), "{path} takes anything");
    }
}

#[tokio::test]
async fn an_answer_that_is_known_already_comes_without_a_body() {
    let served = Served::with(agents(), Limits::default()).await;
    for target in [
        "/v1/overview",
        "/v1/agents?order=attention",
        "/",
        "/page.js",
    ] {
        let first = served.get(target).await;
        let tag = first.header("etag").unwrap().to_owned();
        let known = format!("If-None-Match: \"x\", W/{tag}\r\n");
        let again = served.ask("GET", target, &known).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{target}");
        assert_eq!(again.header("etag"), Some(tag.as_str()), "{target}");
        let other = "If-None-Match: \"0000000000000000\"\r\n";
        assert_eq!(served.ask("GET", target, other).await.status, 200);
    }
}

#[tokio::test]
async fn the_overview_counts_agents_and_shows_what_is_under_way() {
    let served = with_dead_letters(Ipv4Addr::LOCALHOST, Access::default()).await;
    let overview = served.get("/v1/overview").await.json();
    assert_eq!(
        overview["agents"]["byState"],
        json!({ "unready": 1, "degraded": 0, "rolling-out": 1, "unknown": 0, "ready": 1 })
    );
    let busy = &overview["underWay"][0];
    assert_eq!(busy["name"], "busy");
    assert_eq!(
        busy["rollout"]["phases"][0],
        json!({ "phase": "creating", "atMs": 1500 })
    );
    assert_eq!(overview["sinks"][0]["deadLetters"], 2);
    assert_eq!(overview["mayAct"], true);

    let names = async |query: &str| -> String {
        let page = served.get(&format!("/v1/agents?{query}")).await.json();
        let agents = page["agents"].as_array().unwrap().iter();
        let names = agents.map(|agent| agent["name"].as_str().unwrap());
        names.collect::<Vec<_>>().join(" ") + &format!(" of {}", page["total"])
    };
    assert_eq!(names("order=attention").await, "down busy a of 3");
    assert_eq!(names("order=attention&limit=1").await, "down of 3");
    assert_eq!(names("search=BU").await, "busy of 1");
    assert_eq!(names("region=eu").await, "down of 1");
    assert_eq!(names("state=rolling-out&region=").await, "busy of 1");
    let page = served.get("/v1/agents?search=a").await.json();
    let recent = page["agents"][0]["recentRollouts"].as_array().unwrap();
    assert_eq!(recent.len(), 5, "{page}");
    assert_eq!(served.get("/v1/agents?state=fine").await.status, 400);
}

#[tokio::test]
async fn a_rollout_has_its_events_and_what_became_of_them() {
    let served = with_dead_letters(Ipv4Addr::LOCALHOST, Access::default()).await;
    let rollout = served.get("/v1/rollout?agent=a&deployment=d6").await.json();
    assert_eq!(rollout["finished"]["reason"]["code"], "Error");
    let event = &rollout["events"][0];
    assert_eq!(event["kind"], "rollout.finished");
    assert_eq!(event["deliveries"][0]["sink"], "ops");
    assert_eq!(event["deliveries"][0]["state"], "dead");
    let unknown = served.get("/v1/rollout?agent=a&deployment=x").await.json();
    assert_eq!(
        (&unknown["finished"], &unknown["events"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(served.get("/v1/rollout?agent=a").await.status, 400);
}

#[tokio::test]
async fn the_page_may_do_nothing_but_ask_its_own_endpoints() {
    let served = Served::start(&["a"], Limits::default()).await;
    for (target, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/v1/agents", "application/json"),
        ("/nothing", "application/json"),
    ] {
        let reply = served.get(target).await;
        assert_eq!(reply.header("content-type"), Some(kind), "{target}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        let resource = reply.header("cross-origin-resource-policy");
        assert_eq!(resource, Some("same-origin"), "{target}");
    }
}

#[tokio::test]
async fn only_the_page_itself_sends_dead_letters_again_and_asks_for_logs() {
    let served = with_dead_letters(Ipv4Addr::LOCALHOST, Access::default()).await;
    let mut woken = served.shared.deliveries();
    let redeliver = async |query: &str, headers: &str| {
        let target = format!("/v1/dead-letters/redeliver?{query}");
        let reply = served.ask("POST", &target, headers).await;
        (reply.status, reply.json())
    };
    for headers in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.example\r\n",
    ] {
        assert_eq!(
            redeliver("sink=ops&event=6", headers).await.0,
            403,
            "{headers}"
        );
    }
    let logs = "/v1/rollout/logs?agent=a&deployment=d1";
    let evil = "Origin: https://evil.example\r\n";
    assert_eq!(served.ask("GET", logs, evil).await.status, 403);
    assert_eq!(redeliver("sink=other&event=6", OWN).await.0, 409);
    assert_eq!(redeliver("sink=ops&event=1", OWN).await.0, 404);
    assert_eq!(redeliver("event=6", OWN).await.0, 400);
    let body = "Content-Length: 2\r\n";
    assert_eq!(redeliver("sink=ops&event=6", body).await.0, 413);
    let target = "/v1/dead-letters/redeliver?sink=ops&event=6";
    assert_eq!(served.get(target).await.status, 405);
    assert!(!woken.has_changed().unwrap(), "nothing was sent");

    let (status, answer) = redeliver("sink=ops&event=6", OWN).await;
    assert_eq!((status, &answer["queued"]), (200, &json!(1)));
    assert!(woken.has_changed().unwrap());
    woken.borrow_and_update();
    assert_eq!(redeliver("sink=ops", "").await.1["queued"], 1);
    let left = served.get("/v1/dead-letters").await.json();
    assert_eq!(left["deadLetters"], json!([]));
    let overview = served.get("/v1/overview").await.json();
    assert_eq!(overview["sinks"][0]["pending"], 2);
}

#[tokio::test]
async fn beyond_this_machine_nothing_but_reading_is_allowed_without_a_token() {
    let open = with_dead_letters(Ipv4Addr::UNSPECIFIED, Access::default()).await;
    assert_eq!(open.get("/v1/overview").await.json()["mayAct"], false);
    let redeliver = "/v1/dead-letters/redeliver?sink=ops";
    let logs = "/v1/rollout/logs?agent=a&deployment=d1";
    assert_eq!(open.ask("POST", redeliver, OWN).await.status, 403);
    assert_eq!(open.get(logs).await.status, 403);

    let (access, _file) = access();
    let guarded = with_dead_letters(Ipv4Addr::UNSPECIFIED, access).await;
    for target in [
        "/",
        "/livez/",
        "/metrics",
        "/v1/overview",
        "/badge/a.svg",
        "/nothing",
    ] {
        let reply = guarded.get(target).await;
        assert_eq!(reply.status, 401, "{target}");
        let asked = reply.header("www-authenticate").unwrap();
        assert!(asked.starts_with("Basic "), "{asked}");
        assert!(!reply.text().contains(TOKEN));
    }
    assert_eq!(guarded.ask("POST", redeliver, OWN).await.status, 401);
    // Probes cannot read a token from a file: they learn whether it is well, and not why.
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let wrong = format!("Authorization: Bearer {TOKEN}x\r\n");
    for (target, status, word) in [("/livez", 200, "alive"), ("/readyz", 503, "not-ready")] {
        let bare = guarded.get(target).await;
        let whole = guarded.ask("GET", target, &bearer).await;
        assert_eq!((bare.status, whole.status), (status, status));
        assert_eq!(bare.json(), json!({ "status": word }));
        assert!(whole.json().as_object().unwrap().len() > 1, "{whole:?}");
        assert_eq!(guarded.ask("GET", target, &wrong).await.status, 401);
    }
    let overview = guarded.ask("GET", "/v1/overview", &bearer).await;
    assert_eq!(overview.json()["mayAct"], true);
    let own = bearer + OWN;
    assert_eq!(guarded.ask("POST", redeliver, &own).await.status, 200);
}

#[tokio::test]
async fn a_public_name_on_loopback_reads_and_does_nothing_else() {
    let access = Access {
        token: None,
        public_url: Some("https://rollouts.example.com".parse().unwrap()),
    };
    let served = with_dead_letters(Ipv4Addr::LOCALHOST, access).await;
    let as_public = async |method: &str, target: &str| {
        let host = "Host: rollouts.example.com\r\n";
        let request = format!("{method} {target} HTTP/1.1\r\n{host}{OWN}\r\n");
        served.send(request).await
    };
    let overview = as_public("GET", "/v1/overview").await;
    assert_eq!(overview.json()["mayAct"], false);
    let redeliver = "/v1/dead-letters/redeliver?sink=ops";
    assert_eq!(as_public("POST", redeliver).await.status, 403);
    let other = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(served.send(other).await.status, 421);
}

#[tokio::test]
async fn badges_can_be_shown_by_other_sites_where_they_are_public() {
    let local = Served::with(agents(), Limits::default()).await;
    let open = Access::default();
    let served = Served::at(Ipv4Addr::UNSPECIFIED, open, agents(), Limits::default()).await;
    for (target, status, word) in [
        ("/badge/down.svg", 200, "down: down"),
        ("/badge/busy.svg", 200, "busy: rolling out"),
        ("/badge/a.svg", 200, "a: ready"),
        (
            "/badge/x%3Cscript%3E.svg",
            404,
            "x&#60;script&#62;: not found",
        ),
    ] {
        let reply = served.get(target).await;
        assert_eq!(reply.status, status, "{target}");
        assert_eq!(reply.header("content-type"), Some("image/svg+xml"));
        assert!(reply.text().contains(word), "{}", reply.text());
        let resource = |reply: &Reply| {
            let policy = reply.header("cross-origin-resource-policy");
            policy.map(str::to_owned)
        };
        assert_eq!(resource(&reply).as_deref(), Some("cross-origin"));
        let reply = local.get(target).await;
        assert_eq!(resource(&reply).as_deref(), Some("same-origin"), "{target}");
    }
    let reply = local.get("/badge/%FF.svg").await;
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (400, &json!("BAD_REQUEST"))
    );
}

#[tokio::test]
async fn the_servers_clock_counts_where_it_is_another_one() {
    let served = Served::with(agents(), Limits::default()).await;
    let ahead = async || served.get("/v1/overview").await.json()["serverClockAheadS"].clone();
    assert_eq!(ahead().await, 0, "it is not known yet");
    let date = Timestamp::now() + SignedDuration::from_secs(90);
    let now = served.shared.now();
    let input = crate::core::fleet::Input::ServerDate {
        sent: now.at,
        received: now.at,
        date,
    };
    let _ = served.shared.fleet_mut().handle(now, input);
    let ahead = ahead().await.as_i64().unwrap();
    assert!((88..=92).contains(&ahead), "{ahead}");
}
