//! Groups, fallbacks and mutes, and what is reported of sinks and of the store.

use super::*;

#[tokio::test]
async fn a_burst_is_sent_as_one_group_once_it_has_been_gathered() {
    let (alone, grouped) = (well().await, well().await);
    let sinks = [("alone", &alone), ("grouped", &grouped)];
    let mut place = Place::with(&sinks).await;
    place
        .change(&sinks, |plan| {
            plan.group_for = (plan.name == "grouped").then_some(Duration::from_mins(10));
        })
        .await;
    place
        .happens(&["a started", "b started", "a finished"])
        .await;
    alone.wait_for_taken("a finished").await;
    assert_eq!(grouped.taken(), [""; 0], "it is gathered");
    // What has waited for longer is sent, all of it at once.
    let age = "UPDATE deliveries SET written_at = written_at - 700000000";
    place.database.execute(age, []).unwrap();
    place.retry_until(|| !grouped.taken().is_empty()).await;
    place
        .wait_until(|| place.backlog("grouped") == (0, 0))
        .await;
    assert_eq!(grouped.taken(), ["group group"]);
}

#[tokio::test]
async fn a_group_that_waits_for_its_next_try_is_looked_for_then() {
    let hook = well().await;
    let place = Place::with(&[]).await;
    let mut plan = plans(&[("grouped", &hook)]).remove(0);
    plan.group_for = Some(Duration::from_secs(30));
    let configured = watch::Sender::new(Some(Arc::new(plan)));
    let change = Change {
        events: vec![event("a started")],
        ..Change::default()
    };
    let retry = Settled {
        agent: "a".to_owned(),
        number: 1,
        outcome: Outcome::Retry(Timestamp::now() + Duration::from_secs(2)),
    };
    let fail = move |store: &mut Store| {
        let now = Timestamp::now();
        store.apply(now, &change, |_| Route::to(&["grouped"]))?;
        store.settle("grouped", now, &[retry], None)
    };
    place.store.with(fail).await.unwrap();
    let mut worker = Worker::new(
        "grouped".to_owned(),
        Arc::clone(&place.dispatch.parts),
        configured.subscribe(),
        place.dispatch.parts.shared.deliveries(),
        place.dispatch.drain.subscribe(),
        Arc::default(),
    );
    let before = Instant::now();
    assert!(worker.turn().await < before + TICK);
}

#[tokio::test]
async fn what_a_sink_refuses_goes_to_its_fallback() {
    let first =
        Receiver::replying(|line| (if line.starts_with("a ") { 400 } else { 200 }, None)).await;
    let second = well().await;
    let sinks = [("first", &first), ("second", &second)];
    let mut place = Place::with(&sinks).await;
    place
        .change(&sinks, |plan| {
            plan.fallback = (plan.name == "first").then(|| "second".to_owned());
            let wanted = Wanted {
                agents: vec![if plan.name == "first" { "*" } else { "!*" }.to_owned()],
                ..Wanted::default()
            };
            plan.filter = Filter::new(&wanted).unwrap();
        })
        .await;
    place.happens(&["a unready", "b unready"]).await;
    place.retry_until(|| !second.taken().is_empty()).await;
    assert_eq!(second.taken(), ["a unready"]);
    assert_eq!(place.backlog("first"), (0, 1));
}

#[tokio::test]
async fn a_sink_that_takes_nothing_is_reported_and_that_it_takes_events_again() {
    let status = Arc::new(std::sync::atomic::AtomicU16::new(503));
    let reply = Arc::clone(&status);
    let hook =
        Receiver::replying(move |_| (reply.load(std::sync::atomic::Ordering::Relaxed), None)).await;
    let mut place =
        Place::patient(&[("hook", &hook)], Duration::ZERO, Duration::from_hours(24)).await;
    place.happens(&["a started"]).await;
    let failing = place.reported.recv().await.unwrap();
    assert_eq!(failing.kind, EventKind::SinkFailing);
    assert_eq!(failing.dedup_key, "sink/hook");
    let why = failing.data.reason.as_ref().unwrap();
    assert_eq!(why.summary, "the receiver answered 503 Service Unavailable");
    // The store keeps no more of it, and it is to be the same when it is over.
    let since = failing.data.started_at.unwrap();
    assert_eq!(since.subsec_nanosecond() % 1_000_000, 0, "{since}");
    // It is not sent that itself.
    assert_eq!(place.dispatch.filters().route(&failing), Route::to(&[]));
    status.store(200, std::sync::atomic::Ordering::Relaxed);
    place.retry_until(|| !hook.taken().is_empty()).await;
    let recovered = place.reported.recv().await.unwrap();
    assert_eq!(recovered.kind, EventKind::SinkRecovered);
    assert_eq!(recovered.data.sink.as_deref(), Some("hook"));
}

#[tokio::test]
async fn what_is_muted_is_for_nobody() {
    let hook = well().await;
    let sinks = [("pager", &hook), ("chat", &hook)];
    let mut place = Place::with(&sinks).await;
    place
        .change(&sinks, |plan| {
            let wanted = Wanted {
                incidents: plan.name == "pager",
                ..Wanted::default()
            };
            plan.filter = Filter::new(&wanted).unwrap();
        })
        .await;
    let until = "2026-12-01T08:00:00Z".parse().unwrap();
    let mute = crate::core::fleet::Mute::new(vec!["a*".to_owned()], until, "load test".to_owned());
    let shared = Arc::clone(&place.dispatch.parts.shared);
    shared.set_mutes(vec![mute.unwrap()]);
    let filters = place.dispatch.filters();
    let sinks = |kind, agent: &str, time: &str| {
        let event = FleetEvent {
            kind,
            time: time.parse().unwrap(),
            dedup_key: String::new(),
            data: EventData {
                agent: agent.to_owned(),
                ..EventData::default()
            },
        };
        assert_eq!(shared.count_muted(&event), shared.is_muted(&event));
        let Route::To(targets) = filters.route(&event) else {
            return "muted".to_owned();
        };
        let follows = |target: Target| target.follows_incidents == (target.sink == "pager");
        assert!(targets.iter().copied().all(follows), "{targets:?}");
        let names: Vec<&str> = targets.iter().map(|target| target.sink).collect();
        names.join(" ")
    };
    let (muted, after) = ("2026-12-01T07:59:59Z", "2026-12-01T08:00:00Z");
    assert_eq!(sinks(EventKind::AgentUnready, "a1", muted), "muted");
    assert_eq!(sinks(EventKind::AgentRecovered, "a1", muted), "muted");
    assert_eq!(sinks(EventKind::AgentUnready, "b", muted), "pager chat");
    assert_eq!(sinks(EventKind::AgentUnready, "a1", after), "pager chat");
    // About the sidecar itself.
    assert_eq!(sinks(EventKind::WatcherBlind, "", muted), "pager chat");
    assert_eq!(shared.mutes()[0].events, 2);
    assert!(shared.take_ended_mutes(muted.parse().unwrap()).is_empty());
    let over = shared.take_ended_mutes(until);
    assert_eq!(
        over[0].mute.to_string(),
        "a* until 2026-12-01T08:00:00Z: load test"
    );
    assert!(shared.mutes().is_empty());
}

#[tokio::test]
async fn at_the_end_a_store_that_is_not_in_its_place_is_lost_even_where_nothing_is_left_to_write() {
    let place = Place::with(&[]).await;
    let shared = Arc::clone(&place.dispatch.parts.shared);
    let mut unsaved = Unsaved::new(place.store.clone(), shared, Duration::MAX);
    let until = Instant::now() + Duration::from_mins(2);
    assert_eq!(unsaved.finish(&place.dispatch, until).await, None);
    let path = place.folder.path().join("store.db");
    std::fs::rename(&path, place.folder.path().join("aside")).unwrap();
    std::fs::write(&path, "somebody's").unwrap();
    let lost = unsaved.finish(&place.dispatch, until).await.unwrap();
    let start = "the history and the state of all agents: the store ";
    assert!(lost.starts_with(start), "{lost}");
    assert!(lost.contains(" was replaced while it was in use"), "{lost}");
}
