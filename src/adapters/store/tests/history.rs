//! The rollouts that are asked for: which, in what order, how many, and at what cost.

use super::*;
use crate::adapters::store::history::select;

#[test]
fn rollouts_are_asked_for_by_agent_and_time_and_in_pages() {
    let folder = folder();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    let change = Change {
        rollouts: (1..=6)
            .map(|number| rollout(if number % 2 == 0 { "even" } else { "odd" }, number * 100))
            .collect(),
        ..Change::default()
    };
    store.apply(at(0), &change, |_| vec![]).unwrap();
    let numbers = |query: RolloutQuery| -> Vec<u64> {
        let rollouts = store.rollouts(&query).unwrap().found;
        rollouts.into_iter().map(|(number, _)| number).collect()
    };
    let all = RolloutQuery::default;
    assert_eq!(numbers(all()), [6, 5, 4, 3, 2, 1]);
    let agent = Some("even".to_owned());
    assert_eq!(numbers(RolloutQuery { agent, ..all() }), [6, 4, 2]);
    let (since, until) = (Some(at(200)), Some(at(400)));
    assert_eq!(numbers(RolloutQuery { since, ..all() }), [6, 5, 4, 3, 2]);
    assert_eq!(numbers(RolloutQuery { until, ..all() }), [3, 2, 1]);
    let (before, most) = (Some(5), Some(2));
    assert_eq!(
        numbers(RolloutQuery {
            before,
            most,
            ..all()
        }),
        [4, 3]
    );
    let before = Some(u64::MAX);
    assert_eq!(numbers(RolloutQuery { before, ..all() }).len(), 6);
    let agent = Some("even".to_owned());
    let (since, until, before) = (Some(at(300)), Some(at(700)), Some(6));
    let query = RolloutQuery {
        agent,
        since,
        until,
        before,
        ..all()
    };
    assert_eq!(numbers(query), [4]);
}

#[test]
fn rollouts_are_read_in_their_order_without_a_look_at_others() {
    let folder = folder();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let plan = |query: RolloutQuery| -> String {
        let (sql, values) = select(&query);
        let mut statement = store
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3));
        let steps = rows.unwrap().collect::<rusqlite::Result<Vec<String>>>();
        steps.unwrap().join("; ")
    };
    let agent = Some("a".to_owned());
    let (since, until, before) = (Some(at(0)), Some(at(9)), Some(7));
    let all = RolloutQuery::default;
    let by_agent = "SEARCH rollouts USING INDEX rollouts_by_agent (agent=?)";
    let by_agent_on = "SEARCH rollouts USING INDEX rollouts_by_agent (agent=? AND rowid<?)";
    let on = "SEARCH rollouts USING INTEGER PRIMARY KEY (rowid<?)";
    assert_eq!(plan(all()), "SCAN rollouts");
    assert_eq!(plan(RolloutQuery { before, ..all() }), on);
    let timed = RolloutQuery {
        since,
        until,
        ..all()
    };
    assert_eq!(plan(timed.clone()), "SCAN rollouts");
    let agents = RolloutQuery { agent, ..all() };
    assert_eq!(plan(agents.clone()), by_agent);
    let before_that = RolloutQuery { before, ..agents };
    assert_eq!(plan(before_that.clone()), by_agent_on);
    let timed = RolloutQuery {
        since,
        until,
        ..before_that
    };
    assert_eq!(plan(timed), by_agent_on);
}

#[test]
fn a_page_has_bounds_in_number_and_bytes_and_says_whether_there_is_more() {
    let folder = folder();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    let long = |number: i64| {
        let mut long = rollout("a", number);
        long.deployment_id = "x".repeat(1000) + &number.to_string();
        long
    };
    let change = Change {
        rollouts: (1..=5).map(long).collect(),
        ..Change::default()
    };
    store.apply(at(0), &change, |_| vec![]).unwrap();
    let page = |most, most_bytes| {
        let query = RolloutQuery {
            most,
            most_bytes,
            ..RolloutQuery::default()
        };
        let Rollouts { found, more } = store.rollouts(&query).unwrap();
        (found.len(), more)
    };
    for (most, most_bytes, expected) in [
        (None, None, (5, false)),
        (Some(5), None, (5, false)),
        (Some(4), None, (4, true)),
        (None, Some(1_000_000), (5, false)),
        (None, Some(3900), (3, true)),
        (Some(2), Some(3900), (2, true)),
        (None, Some(1), (1, true)),
    ] {
        assert_eq!(page(most, most_bytes), expected, "{most:?} {most_bytes:?}");
    }
}
