//! The log and the history: which events, in what order, how many, and at what cost.

use super::*;
use crate::adapters::store::tests::{Place, at, event};
use crate::adapters::store::{Route, Store};
use crate::core::fleet::{Change, EventData};

fn rollout(agent: &str, verdict: Verdict, finished: i64) -> FleetEvent {
    FleetEvent {
        kind: EventKind::RolloutFinished,
        time: at(finished),
        dedup_key: String::new(),
        data: EventData {
            agent: agent.to_owned(),
            verdict: Some(verdict),
            started_at: Some(at(finished - 10)),
            elapsed_ms: Some(10_000),
            ..EventData::default()
        },
    }
}

/// Twelve events: six rollouts of two agents, with chatter in between.
fn store(place: &Place) -> Store {
    let mut store = place.open();
    let mut change = Change::default();
    for number in 1..=6 {
        let (agent, verdict) = match number % 2 {
            0 => ("even", Verdict::Ready),
            _ => ("odd", Verdict::Failed),
        };
        change
            .events
            .push(event(EventKind::RolloutStarted, agent, "x"));
        change.events.push(rollout(agent, verdict, number * 100));
    }
    store.apply(at(0), &change, |_| Route::to(&[])).unwrap();
    store
}

fn numbers(events: &Events) -> Vec<u64> {
    events.found.iter().map(|event| event.number).collect()
}

fn even() -> Vec<String> {
    vec!["even".to_owned()]
}

#[test]
fn the_log_is_read_on_from_a_number() {
    let place = Place::new();
    let reader = store(&place).reader();
    let found = |after, agent: Option<&str>, kind| {
        let agent = agent.map(str::to_owned);
        let query = EventQuery { after, agent, kind };
        numbers(&reader.events(&query, 100, usize::MAX).unwrap())
    };
    assert_eq!(found(0, None, None), (1..=12).collect::<Vec<_>>());
    assert_eq!(found(9, None, None), [10, 11, 12]);
    assert_eq!(found(0, Some("odd"), None), [1, 2, 5, 6, 9, 10]);
    let kind = Some(EventKind::RolloutFinished);
    assert_eq!(found(4, None, kind), [6, 8, 10, 12]);
    assert_eq!(found(4, Some("even"), kind), [8, 12]);
    assert!(found(u64::MAX, None, None).is_empty());
}

#[test]
fn rollouts_are_asked_for_by_agent_verdict_and_time_and_in_pages() {
    let place = Place::new();
    let reader = store(&place).reader();
    let all = RolloutQuery::default;
    let found = |query: RolloutQuery| {
        let page = reader.rollouts(&query, 100, usize::MAX).unwrap();
        let counted = reader.summaries(&query).unwrap();
        let times = |at: &FleetEvent| at.time;
        let listed: Vec<Timestamp> = page.found.iter().map(|event| times(&event.event)).collect();
        let same: Vec<Timestamp> = counted.iter().map(|one| one.finished_at).collect();
        assert_eq!(listed, same, "{query:?}");
        numbers(&page)
    };
    assert_eq!(found(all()), [12, 10, 8, 6, 4, 2]);
    let agents = even();
    assert_eq!(found(RolloutQuery { agents, ..all() }), [12, 8, 4]);
    let agents = ["even", "odd", "none"].map(str::to_owned).into();
    assert_eq!(found(RolloutQuery { agents, ..all() }).len(), 6);
    let verdicts = vec![Verdict::Failed, Verdict::Stalled];
    assert_eq!(found(RolloutQuery { verdicts, ..all() }), [10, 6, 2]);
    let since = Some(at(200));
    assert_eq!(found(RolloutQuery { since, ..all() }), [12, 10, 8, 6, 4]);
    let until = Some(at(400));
    assert_eq!(found(RolloutQuery { until, ..all() }), [6, 4, 2]);
    let before = Some(u64::MAX);
    assert_eq!(found(RolloutQuery { before, ..all() }).len(), 6);
    let query = RolloutQuery {
        agents: even(),
        verdicts: vec![Verdict::Ready],
        since: Some(at(300)),
        until: Some(at(700)),
        before: Some(12),
    };
    assert_eq!(found(query), [8]);
    let one = reader.summaries(&all()).unwrap().pop().unwrap();
    let expected = RolloutSummary {
        agent: "odd".to_owned(),
        verdict: Verdict::Failed,
        started_at: Some(at(90)),
        finished_at: at(100),
        elapsed_ms: Some(10_000),
        observed_late: false,
    };
    assert_eq!(one, expected);
}

#[test]
fn what_is_counted_of_rollouts_is_read_from_an_index() {
    let place = Place::new();
    let _store = place.open();
    let connection = place.database();
    let plan = |query: &RolloutQuery| -> String {
        let sql = format!("EXPLAIN QUERY PLAN {}", rollouts_sql(query));
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map(rollouts_values(query, 9), |row| row.get(3));
        let steps = rows.unwrap().collect::<rusqlite::Result<Vec<String>>>();
        steps.unwrap().join("; ")
    };
    let all = plan(&RolloutQuery::default());
    let index = "SEARCH events USING COVERING INDEX rollouts (number<?)";
    assert!(all.starts_with(index) && !all.contains("ORDER BY"), "{all}");
    let agents = even();
    let one = plan(&RolloutQuery {
        agents,
        ..RolloutQuery::default()
    });
    let index = "SEARCH events USING COVERING INDEX rollouts_by_agent (agent=? AND number<?)";
    assert!(one.starts_with(index), "{one}");
}

#[test]
fn a_page_has_bounds_in_number_and_bytes_and_says_whether_there_is_more() {
    let place = Place::new();
    let mut store = place.open();
    let long = |number: i64| {
        let mut long = rollout("a", Verdict::Ready, number);
        long.data.deployment_id = Some("x".repeat(1000));
        long
    };
    let change = Change {
        events: (1..=5).map(long).collect(),
        ..Change::default()
    };
    store.apply(at(0), &change, |_| Route::to(&[])).unwrap();
    let reader = store.reader();
    for (limit, bytes, expected) in [
        (9, usize::MAX, (5, false)),
        (5, usize::MAX, (5, false)),
        (4, usize::MAX, (4, true)),
        (9, 1_000_000, (5, false)),
        (9, 4000, (3, true)),
        (2, 4000, (2, true)),
        (9, 1, (1, true)),
        (0, usize::MAX, (0, true)),
    ] {
        let pages = [
            reader
                .rollouts(&RolloutQuery::default(), limit, bytes)
                .unwrap(),
            reader.events(&EventQuery::default(), limit, bytes).unwrap(),
        ];
        for page in pages {
            assert_eq!((page.found.len(), page.more), expected, "{limit} {bytes}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_left_out_and_counted() {
    let place = Place::new();
    let reader = store(&place).reader();
    let spoiled = "UPDATE events SET data = '{' WHERE number = 4;
                   UPDATE events SET verdict = 'excellent' WHERE number = 6;
                   UPDATE events SET kind = 'agent.danced' WHERE number = 7;
                   UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE number = 8;";
    place.database().execute_batch(spoiled).unwrap();
    let log = reader
        .events(&EventQuery::default(), 100, usize::MAX)
        .unwrap();
    assert_eq!((log.found.len(), log.unreadable), (9, 3));
    let rollouts = reader
        .rollouts(&RolloutQuery::default(), 100, usize::MAX)
        .unwrap();
    assert_eq!(
        (numbers(&rollouts), rollouts.unreadable),
        (vec![12, 10, 6, 2], 2)
    );
    assert_eq!(reader.summaries(&RolloutQuery::default()).unwrap().len(), 5);
}
