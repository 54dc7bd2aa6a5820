//! Deliveries from a real store to a real receiver. The waits between attempts are cut short in the store.

mod routes;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::adapters::api;
use crate::adapters::delivery::{Config, Network, Sink};
use crate::adapters::metrics::{Format, Snapshot};
use crate::adapters::store::{Outcome, Settled};
use crate::app::watch::save::Unsaved;
use crate::core::fleet::{
    Change, EventData, EventKind, Fleet, Mode, Rules, Scope, Wanted, Watched,
};
use crate::core::rollout::Limits;
use crate::core::text::loopback::PlainHttp;

/// How a receiver answers an event: with a status, and how long it wants to be left alone.
type Reply = (u16, Option<u32>);

/// A receiver of webhooks that remembers what it was sent.
#[derive(Clone)]
struct Receiver {
    url: String,
    desk: Arc<Desk>,
}

struct Desk {
    reply: Box<dyn Fn(&str) -> Reply + Send + Sync>,
    /// Each as `agent kind`, with the status that it was answered.
    seen: Mutex<Vec<(String, u16)>>,
    more: Notify,
}

impl Receiver {
    async fn replying(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let desk = Arc::new(Desk {
            reply: Box::new(reply),
            seen: Mutex::default(),
            more: Notify::new(),
        });
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(Arc::clone(&desk));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, desk }
    }

    fn seen(&self) -> Vec<(String, u16)> {
        self.desk.seen.lock().unwrap().clone()
    }

    /// What it has taken.
    fn taken(&self) -> Vec<String> {
        let seen = self.seen().into_iter();
        seen.filter(|(_, status)| *status == 200)
            .map(|(line, _)| line)
            .collect()
    }

    /// Waits until what was sent is enough.
    async fn wait_for(&self, enough: impl Fn(&[(String, u16)]) -> bool) {
        loop {
            let more = self.desk.more.notified();
            if enough(&self.seen()) {
                return;
            }
            let came = tokio::time::timeout(Duration::from_mins(2), more).await;
            assert!(came.is_ok(), "that never came: {:?}", self.seen());
        }
    }

    async fn wait_for_taken(&self, line: &str) {
        let is_taken = |seen: &[(String, u16)]| seen.contains(&(line.to_owned(), 200));
        self.wait_for(is_taken).await;
    }
}

async fn take(State(desk): State<Arc<Desk>>, body: String) -> (StatusCode, HeaderMap) {
    let event: Value = serde_json::from_str(&body).unwrap();
    let kind = event["type"].as_str().unwrap().rsplit('.').next().unwrap();
    let line = format!("{} {kind}", event["subject"].as_str().unwrap());
    let (status, retry_after) = (desk.reply)(&line);
    desk.seen.lock().unwrap().push((line, status));
    desk.more.notify_waiters();
    desk.more.notify_one();
    let headers = retry_after.map(|after| (axum::http::header::RETRY_AFTER, after.into()));
    let status = StatusCode::from_u16(status).unwrap();
    (status, headers.into_iter().collect())
}

/// A store, and the deliveries from it.
struct Place {
    store: StoreHandle,
    database: Connection,
    metrics: Arc<Metrics>,
    dispatch: Dispatch,
    reported: mpsc::UnboundedReceiver<FleetEvent>,
    folder: TempDir,
}

impl Place {
    async fn with(sinks: &[(&str, &Receiver)]) -> Self {
        Self::patient(sinks, Duration::from_mins(5), Duration::from_hours(24)).await
    }

    async fn patient(
        sinks: &[(&str, &Receiver)],
        sink_patience: Duration,
        delivery_timeout: Duration,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = StoreHandle::new(Store::open(&path).unwrap());
        let metrics = Arc::new(Metrics::new("test", Timestamp::UNIX_EPOCH));
        let (reports, reported) = mpsc::unbounded_channel();
        let parts = Parts {
            origin: Origin::default(),
            delivery_timeout,
            sink_patience,
            incidents: BTreeMap::new(),
            reports,
            store: store.clone(),
            shared: Arc::new(nobody()),
            metrics: Arc::clone(&metrics),
        };
        Self {
            store,
            database: Connection::open(&path).unwrap(),
            metrics,
            dispatch: Dispatch::start(plans(sinks), parts).await,
            reported,
            folder,
        }
    }

    /// Lets happen what these lines say, each `agent kind`.
    async fn happens(&self, lines: &[&str]) {
        let change = Change {
            events: lines.iter().map(|line| event(line)).collect(),
            ..Change::default()
        };
        let filters = self.dispatch.filters();
        let apply = move |store: &mut Store| {
            store.apply(Timestamp::now(), &change, |event| filters.route(event))
        };
        self.store.with(apply).await.unwrap();
        self.dispatch.parts.shared.wake_deliveries();
    }

    /// Makes every retry due, until there is enough.
    async fn retry_until(&self, enough: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while !enough() {
            assert!(Instant::now() < deadline, "it never came to this");
            self.database
                .execute("UPDATE queues SET next_at = 0", [])
                .unwrap();
            self.dispatch.parts.shared.wake_deliveries();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn wait_until(&self, enough: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while !enough() {
            assert!(Instant::now() < deadline, "it never came to this");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many events wait for a sink, and how many were given up.
    fn backlog(&self, sink: &str) -> (u64, u64) {
        let backlogs = self.store.reader().backlogs().unwrap();
        let backlog = backlogs.get(sink).copied().unwrap_or_default();
        (backlog.pending, backlog.dead_letters)
    }

    /// Goes on with other sinks, changed as the test wants.
    async fn change(&mut self, sinks: &[(&str, &Receiver)], change: impl Fn(&mut SinkPlan)) {
        let mut plans = plans(sinks);
        plans.iter_mut().for_each(change);
        self.dispatch.reload(plans).await;
    }
}

/// What happens to an agent, as `agent kind` says it.
fn event(line: &str) -> FleetEvent {
    let (agent, kind) = line.split_once(' ').unwrap();
    let mut kinds = EventKind::ALL.into_iter();
    let kind = kinds.find(|one| one.as_str().ends_with(kind));
    FleetEvent {
        kind: kind.unwrap(),
        time: Timestamp::now(),
        dedup_key: String::new(),
        data: EventData {
            agent: agent.to_owned(),
            ..EventData::default()
        },
    }
}

/// What the loops share, where there are no agents.
fn nobody() -> Shared {
    let rules = Rules {
        watched: Watched::Listed(Scope::new(&[], &[], Vec::new()).unwrap()),
        interval: Duration::from_secs(15),
        health_interval: Duration::from_mins(5),
        unready_for: Duration::from_secs(30),
        limits: Limits::default(),
        max_rps: std::num::NonZeroU32::MIN,
        mode: Mode::Daemon,
    };
    Shared::new(Fleet::restore(rules, Vec::new(), None))
}

fn plans(sinks: &[(&str, &Receiver)]) -> Vec<SinkPlan> {
    let http_client = |is_direct| Ok(api::http_client(api::tls_config(None).unwrap(), is_direct));
    let network = Network::new(
        PlainHttp::LoopbackOnly,
        None,
        Box::new(http_client),
        Box::new(str::to_owned),
    );
    let plans = sinks.iter().map(|(name, receiver)| {
        let config = Config::webhook(receiver.url.clone(), None);
        SinkPlan {
            name: (*name).to_owned(),
            sink: Sink::new(config, None, &network).unwrap(),
            filter: Filter::new(&Wanted::default()).unwrap(),
            group_for: None,
            fallback: None,
        }
    });
    plans.collect()
}

async fn well() -> Receiver {
    Receiver::replying(|_| (200, None)).await
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up_after_a_few_tries_and_the_queue_goes_on() {
    for status in [400, 404, 413, 422, 301] {
        let hook = Receiver::replying(move |line| match line {
            "a phase-changed" => (status, None),
            _ => (200, None),
        });
        let hook = hook.await;
        let place = Place::with(&[("hook", &hook)]).await;
        place
            .happens(&["a started", "a phase-changed", "a finished"])
            .await;
        place
            .retry_until(|| hook.taken().contains(&"a finished".to_owned()))
            .await;
        let refused = hook
            .seen()
            .iter()
            .filter(|(_, seen)| *seen == status)
            .count();
        assert_eq!(refused, 5, "{status}");
        assert_eq!(hook.taken(), ["a started", "a finished"]);
        place.wait_until(|| place.backlog("hook") == (0, 1)).await;
        let letter = place.store.reader().dead_letters(9).unwrap().remove(0);
        assert_eq!(letter.kind.as_deref(), Some("rollout.phase-changed"));
        let metrics = place
            .metrics
            .encode(Snapshot::default(), Format::Prometheus);
        let given_up = "deliveries_total{sink=\"hook\",outcome=\"given-up\"} 1";
        assert!(metrics.contains(given_up), "{metrics}");
    }
}

#[tokio::test]
async fn agents_whose_events_are_refused_slow_no_other() {
    let hook = Receiver::replying(|line| match line {
        "well started" => (200, None),
        _ => (400, None),
    });
    let hook = hook.await;
    let place = Place::with(&[("hook", &hook)]).await;
    // More than fill all places several times over.
    let bad = (0..40).map(|number| format!("bad-{number} started"));
    let lines: Vec<String> = bad.chain(["well started".to_owned()]).collect();
    place
        .happens(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    hook.wait_for_taken("well started").await;
    assert_eq!(
        place.backlog("hook").1,
        0,
        "while the others are tried again"
    );
}

#[tokio::test]
async fn what_is_about_the_receiver_loses_nothing_however_often_it_fails() {
    for status in [401, 403, 429, 500, 503] {
        let down = Arc::new(Mutex::new(true));
        let is_down = Arc::clone(&down);
        let hook = Receiver::replying(move |_| {
            let is_down = *is_down.lock().unwrap();
            (if is_down { status } else { 200 }, None)
        });
        let hook = hook.await;
        let place = Place::with(&[("hook", &hook)]).await;
        place.happens(&["a started", "a finished"]).await;
        place.retry_until(|| hook.seen().len() >= 7).await;
        *down.lock().unwrap() = false;
        place.retry_until(|| hook.taken().len() == 2).await;
        assert_eq!(hook.taken(), ["a started", "a finished"], "{status}");
        place.wait_until(|| place.backlog("hook") == (0, 0)).await;
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_an_hour_is_left_alone_whatever_else_it_takes_meanwhile() {
    let first = Mutex::new(true);
    let hook = Receiver::replying(move |line| match line {
        "busy started" if std::mem::take(&mut *first.lock().unwrap()) => (429, Some(3600)),
        _ => (200, None),
    });
    let (hook, other) = (hook.await, well().await);
    let place = Place::with(&[("hook", &hook), ("other", &other)]).await;
    place
        .happens(&["busy started", "a started", "b started"])
        .await;
    hook.wait_for(|seen| seen.len() == 3).await;
    place.wait_until(|| place.backlog("hook").0 == 1).await;
    place
        .database
        .execute("UPDATE queues SET next_at = 0", [])
        .unwrap();
    for agent in ["c", "d", "e"] {
        place.happens(&[&format!("{agent} started")]).await;
        other.wait_for_taken(&format!("{agent} started")).await;
    }
    assert_eq!(hook.seen().len(), 3);
    assert_eq!(place.backlog("hook"), (4, 0));
}

#[tokio::test]
async fn what_waits_for_a_receiver_that_wants_no_more_goes_to_the_fallback_at_once() {
    let gone = Receiver::replying(|_| (410, None)).await;
    let (new, fallback) = (well().await, well().await);
    let mut place = Place::with(&[]).await;
    let with_fallback = |plan: &mut SinkPlan| {
        if plan.name == "hook" {
            plan.fallback = Some("fallback".to_owned());
        } else {
            let wanted = Wanted {
                agents: vec!["!*".to_owned()],
                ..Wanted::default()
            };
            plan.filter = Filter::new(&wanted).unwrap();
        }
    };
    let sinks = [("hook", &gone), ("fallback", &fallback)];
    place.change(&sinks, with_fallback).await;
    place.happens(&["a started"]).await;
    fallback.wait_for_taken("a started").await;
    // Later events as well, without another try.
    place.happens(&["a unready"]).await;
    fallback.wait_for_taken("a unready").await;
    assert_eq!(gone.seen().len(), 1);
    assert_eq!(place.backlog("hook"), (0, 2));
    // The next configuration is tried, perhaps set right at the other end.
    place.change(&sinks, with_fallback).await;
    place.happens(&["a finished"]).await;
    gone.wait_for(|seen| seen.len() == 2).await;
    fallback.wait_for_taken("a finished").await;
    let sinks = [("hook", &new), ("fallback", &fallback)];
    place.change(&sinks, with_fallback).await;
    place.happens(&["b started"]).await;
    new.wait_for_taken("b started").await;
    assert_eq!(new.taken(), ["b started"]);
}

#[tokio::test]
async fn sinks_are_woken_when_there_may_be_something_for_a_fallback() {
    let gone = Receiver::replying(|_| (410, None)).await;
    let mut place = Place::with(&[]).await;
    let change = Change {
        events: vec![event("a started")],
        ..Change::default()
    };
    let apply = move |store: &mut Store| {
        let route = |_: &_| Route::to(&["hook"]);
        store.apply(Timestamp::now(), &change, route)
    };
    place.store.with(apply).await.unwrap();
    let mut woken = place.dispatch.parts.shared.deliveries();
    place
        .change(&[("hook", &gone)], |plan| {
            plan.fallback = Some("fallback".to_owned());
        })
        .await;
    let woken = tokio::time::timeout(Duration::from_mins(2), woken.changed()).await;
    woken.expect("nobody was woken").unwrap();
    assert_eq!(place.backlog("fallback"), (1, 0));
}

#[tokio::test]
async fn a_reload_starts_what_is_new_stops_what_is_gone_and_leaves_alone_what_stays() {
    let down = Receiver::replying(|_| (503, Some(3600))).await;
    let (old, new) = (well().await, well().await);
    let mut place = Place::with(&[("stays", &down), ("goes", &old)]).await;
    place.happens(&["a started"]).await;
    old.wait_for_taken("a started").await;
    down.wait_for(|seen| seen.len() == 1).await;
    place.wait_until(|| place.backlog("goes").0 == 0).await;
    place
        .dispatch
        .reload(plans(&[("stays", &down), ("comes", &new)]))
        .await;
    place.happens(&["a finished"]).await;
    new.wait_for_taken("a finished").await;
    assert_eq!(new.taken(), ["a finished"]);
    assert_eq!(old.taken(), ["a started"]);
    // Its pause goes on, and so does its queue.
    assert_eq!(down.seen().len(), 1);
    assert_eq!(place.backlog("stays"), (2, 0));
    assert_eq!(
        place.backlog("goes"),
        (0, 0),
        "nothing is kept for it any more"
    );
}

#[tokio::test]
async fn what_waits_for_a_sink_that_is_not_configured_is_kept_until_it_is_too_old() {
    let down = Receiver::replying(|_| (503, Some(3600))).await;
    let hook = well().await;
    let mut place = Place::with(&[("renamed", &down), ("stays", &down)]).await;
    place.happens(&["a started"]).await;
    down.wait_for(|seen| seen.len() == 2).await;
    let configured = plans(&[("new-name", &hook), ("stays", &down)]);
    place.dispatch.reload(configured).await;
    place.store.with(place.dispatch.expiry()).await.unwrap();
    assert_eq!(place.backlog("renamed"), (1, 0));
    let old = "UPDATE deliveries SET written_at = written_at - 86400 * 1000000";
    place.database.execute(old, []).unwrap();
    place.store.with(place.dispatch.expiry()).await.unwrap();
    assert_eq!(place.backlog("renamed"), (0, 1));
    // One that has not been down for as long is still tried.
    assert_eq!(place.backlog("stays"), (1, 0));
}

#[tokio::test]
async fn what_waits_for_a_sink_that_is_down_for_too_long_is_given_up() {
    let (down, well) = (
        Receiver::replying(|_| (503, Some(3600))).await,
        well().await,
    );
    let sinks = [("down", &down), ("well", &well)];
    let place = Place::patient(&sinks, Duration::from_mins(5), Duration::ZERO).await;
    place.happens(&["a started"]).await;
    well.wait_for_taken("a started").await;
    place
        .wait_until(|| !lock(&place.dispatch.working).contains("down"))
        .await;
    assert!(lock(&place.dispatch.working).contains("well"));
    place.store.with(place.dispatch.expiry()).await.unwrap();
    assert_eq!(place.backlog("down"), (0, 1));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_holds_up_no_other() {
    let down = Receiver::replying(|_| (503, Some(3600))).await;
    let hook = well().await;
    let mut place = Place::with(&[("hook", &down)]).await;
    place.happens(&["first started"]).await;
    down.wait_for(|seen| seen.len() == 1).await;
    place
        .happens(&["a started", "a finished", "b started"])
        .await;
    let spoiled = "UPDATE events SET kind = 'agent.danced' WHERE number = 2";
    place.database.execute(spoiled, []).unwrap();
    place.dispatch.reload(plans(&[("hook", &hook)])).await;
    hook.wait_for(|seen| seen.len() >= 2).await;
    place.retry_until(|| hook.taken().len() == 3).await;
    assert_eq!(place.backlog("hook").1, 1);
    assert!(!hook.taken().contains(&"a started".to_owned()));
}
