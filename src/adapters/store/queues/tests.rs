//! The order in which events are due, and what becomes of those that cannot be delivered.

use super::*;
use crate::adapters::store::Route;
use crate::adapters::store::tests::{Place, at, due, event, started};
use crate::core::fleet::{Backlog, Change, EventData, EventKind, FleetEvent};

/// Settles the event of an agent that is first in turn.
fn settle(store: &mut Store, sink: &str, agent: &str, now: i64, outcome: Outcome) {
    let first = store.due(sink, at(1_000_000), 100).unwrap().deliveries;
    let mut first = first.into_iter().map(|due| due.event);
    let first = first.find(|event| event.event.data.agent == agent).unwrap();
    let settled = Settled {
        agent: agent.to_owned(),
        number: first.number,
        outcome,
    };
    store.settle(sink, at(now), &[settled], None).unwrap();
}

fn dead() -> Outcome {
    Outcome::Dead("refused".to_owned())
}

#[test]
fn events_of_an_agent_go_in_order_and_agents_and_sinks_do_not_hold_each_other_up() {
    let place = Place::new();
    let mut store = place.open();
    let change = started(&[("a", "1"), ("a", "2"), ("b", "1"), ("a", "3")]);
    store
        .apply(at(0), &change, |_| Route::to(&["one", "two"]))
        .unwrap();
    assert_eq!(due(&mut store, "one", at(0)), ["a 1", "b 1"]);

    settle(&mut store, "one", "a", 0, Outcome::Retry(at(60)));
    assert_eq!(due(&mut store, "one", at(59)), ["b 1"], "a 2 waits for a 1");
    assert_eq!(due(&mut store, "two", at(59)), ["a 1", "b 1"]);
    assert_eq!(due(&mut store, "one", at(60)), ["b 1", "a 1"]);
    assert_eq!(
        store.due("one", at(60), 9).unwrap().deliveries[1].attempts,
        1
    );

    settle(&mut store, "one", "a", 60, Outcome::Delivered);
    assert_eq!(due(&mut store, "one", at(60)), ["b 1", "a 2"]);
    settle(&mut store, "one", "a", 61, dead());
    assert_eq!(due(&mut store, "one", at(61)), ["b 1", "a 3"]);
    assert_eq!(
        store.due("one", at(61), 9).unwrap().deliveries[1].attempts,
        0
    );
    // What comes later waits its turn as well.
    store
        .apply(at(62), &started(&[("a", "4")]), |_| Route::to(&["one"]))
        .unwrap();
    assert_eq!(due(&mut store, "one", at(62)), ["b 1", "a 3"]);

    let backlogs = store.reader().backlogs().unwrap();
    let one = Backlog {
        pending: 3,
        oldest: Some(at(0)),
        dead_letters: 1,
    };
    let two = Backlog {
        pending: 4,
        oldest: Some(at(0)),
        dead_letters: 0,
    };
    assert_eq!(
        backlogs,
        [("one".to_owned(), one), ("two".to_owned(), two)].into()
    );
}

#[test]
fn what_is_urgent_comes_first_and_first_tries_before_retries() {
    let place = Place::new();
    let mut store = place.open();
    let mut change = started(&[
        ("tried", "1"),
        ("chatter", "1"),
        ("late", "1"),
        ("late", "2"),
    ]);
    let urgent = [
        (EventKind::RolloutFinished, "late"),
        (EventKind::AgentUnready, "down"),
        (EventKind::RolloutFinished, "tried"),
    ];
    let urgent = urgent.map(|(kind, agent)| event(kind, agent, "urgent"));
    change.events.extend(urgent);
    store
        .apply(at(0), &change, |_| Route::to(&["one"]))
        .unwrap();
    settle(&mut store, "one", "tried", 1, Outcome::Retry(at(2)));
    // What an agent has to say before its verdict is as urgent as that.
    assert_eq!(
        due(&mut store, "one", at(2)),
        ["down urgent", "late 1", "chatter 1", "tried 1"]
    );
    assert_eq!(store.due("one", at(2), 2).unwrap().deliveries.len(), 2);
    settle(&mut store, "one", "late", 3, Outcome::Delivered);
    assert_eq!(
        due(&mut store, "one", at(3)),
        ["down urgent", "late 2", "chatter 1", "tried 1"]
    );
    settle(&mut store, "one", "late", 4, Outcome::Delivered);
    assert_eq!(due(&mut store, "one", at(4))[1], "late urgent");
    // With its verdict the agent's urgency is over.
    store
        .apply(at(5), &started(&[("late", "3")]), |_| Route::to(&["one"]))
        .unwrap();
    settle(&mut store, "one", "late", 6, Outcome::Delivered);
    assert_eq!(
        due(&mut store, "one", at(6)),
        ["down urgent", "chatter 1", "late 3", "tried 1"]
    );
}

#[test]
fn the_next_retry_is_known() {
    let place = Place::new();
    let mut store = place.open();
    let next = |store: &mut Store, now| store.due("one", at(now), 9).unwrap().next_at;
    assert_eq!(store.due("one", at(0), 9).unwrap(), Due::default());
    let change = started(&[("a", "1"), ("b", "1")]);
    store
        .apply(at(5), &change, |_| Route::to(&["one"]))
        .unwrap();
    assert_eq!(next(&mut store, 5), None);
    settle(&mut store, "one", "a", 5, Outcome::Retry(at(60)));
    settle(&mut store, "one", "b", 5, Outcome::Retry(at(50)));
    assert_eq!(next(&mut store, 5), Some(at(50)));
    assert_eq!(next(&mut store, 50), Some(at(60)));
}

#[test]
fn settling_twice_changes_nothing() {
    let place = Place::new();
    let mut store = place.open();
    let change = started(&[("a", "1"), ("a", "2")]);
    store
        .apply(at(5), &change, |_| Route::to(&["one"]))
        .unwrap();
    let delivered = [Settled {
        agent: "a".to_owned(),
        number: 1,
        outcome: Outcome::Delivered,
    }];
    for now in [6, 7] {
        store.settle("one", at(now), &delivered, None).unwrap();
        assert_eq!(due(&mut store, "one", at(now)), ["a 2"]);
    }
}

#[test]
fn what_cannot_be_read_becomes_a_dead_letter_and_holds_up_nobody() {
    let place = Place::new();
    let mut store = place.open();
    let bad = ["kind", "json", "text", "gone"];
    let mut events: Vec<(&str, &str)> = bad
        .into_iter()
        .flat_map(|agent| [(agent, "1"), (agent, "2")])
        .collect();
    events.push(("well", "1"));
    store
        .apply(at(0), &started(&events), |_| Route::to(&["one", "two"]))
        .unwrap();
    let spoiled = "UPDATE events SET kind = 'agent.danced' WHERE number = 1;
                   UPDATE events SET data = '{\"agent\":' WHERE number = 3;
                   UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE number = 5;
                   DELETE FROM events WHERE number = 7;
                   INSERT INTO queues VALUES ('one', 'empty', 0, 0, 0, 0);";
    place.database().execute_batch(spoiled).unwrap();
    let first = store.due("one", at(0), 100).unwrap();
    let mut unreadable = first.unreadable;
    unreadable.sort_by_key(|one| one.number);
    let numbers: Vec<i64> = unreadable.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [0, 1, 3, 5, 7], "{unreadable:?}");
    let why = &unreadable[1].why;
    assert!(
        why.contains("\"agent.danced\" is no kind of event"),
        "{why}"
    );
    let sent = ["gone 2", "json 2", "kind 2", "text 2", "well 1"];
    let mut found = due(&mut store, "one", at(1));
    found.sort();
    assert_eq!(found, sent);
    assert!(
        store.due("one", at(1), 9).unwrap().unreadable.is_empty(),
        "said once"
    );
    // Even one place at a time.
    assert_eq!(store.due("two", at(1), 1).unwrap().deliveries.len(), 1);
    let dead = store.reader().dead_letters(100).unwrap();
    let of_one = dead.iter().filter(|letter| letter.sink == "one");
    let mut kinds: Vec<_> = of_one
        .map(|letter| (letter.event, letter.kind.as_deref()))
        .collect();
    kinds.sort_unstable();
    let started = Some("rollout.started");
    assert_eq!(
        kinds,
        [
            (1, Some("agent.danced")),
            (3, started),
            (5, started),
            (7, None)
        ]
    );
}

#[test]
fn what_waits_for_too_long_is_given_up_at_once_and_the_rest_goes_on() {
    let place = Place::new();
    let mut store = place.open();
    for second in [0, 10] {
        let change = started(&[("a", "1"), ("b", "1")]);
        store
            .apply(at(second), &change, |_| Route::to(&["kept", "gone"]))
            .unwrap();
    }
    let change = started(&[("c", "1")]);
    store
        .apply(at(0), &change, |_| Route::to(&["gone"]))
        .unwrap();
    settle(&mut store, "gone", "a", 0, Outcome::Retry(at(20)));
    let working = ["kept".to_owned()].into();
    let expire = |store: &mut Store, before| {
        store
            .expire(
                &working,
                &BTreeMap::new(),
                at(before),
                at(30),
                "it was down",
            )
            .unwrap()
    };
    assert_eq!(expire(&mut store, 0), [].into());
    assert_eq!(expire(&mut store, 10), [("gone".to_owned(), 3)].into());
    let rest = store.due("gone", at(30), 9).unwrap().deliveries;
    let rest: Vec<_> = rest
        .iter()
        .map(|due| (due.event.number, due.attempts))
        .collect();
    assert_eq!(rest, [(3, 0), (4, 0)]);
    assert_eq!(store.due("kept", at(30), 9).unwrap().deliveries.len(), 2);
    let dead = store.reader().dead_letters(2).unwrap();
    assert_eq!(
        dead.iter().map(|letter| letter.event).collect::<Vec<_>>(),
        [5, 2]
    );
    assert_eq!((dead[0].at, dead[0].why.as_str()), (at(30), "it was down"));
}

#[test]
fn a_clock_that_was_set_back_silences_nobody() {
    const HOUR: i64 = 3600;
    let place = Place::new();
    let mut store = place.open();
    let change = started(&[("a", "1"), ("b", "1"), ("c", "1")]);
    store
        .apply(at(2 * HOUR), &change, |_| Route::to(&["one"]))
        .unwrap();
    for (agent, until) in [("a", 2 * HOUR), ("b", HOUR)] {
        settle(
            &mut store,
            "one",
            agent,
            2 * HOUR,
            Outcome::Retry(at(until)),
        );
    }
    assert_eq!(
        due(&mut store, "one", at(0)),
        ["c 1"],
        "a first try is always due"
    );
    // The longest wait that there can be is an hour.
    store.touch(at(0)).unwrap();
    assert_eq!(due(&mut store, "one", at(0)), ["c 1", "a 1"]);
}

#[test]
fn a_long_queue_and_many_queues_cost_no_more() {
    let place = Place::new();
    let store = place.open();
    let plan = |sql: &str| -> String {
        let query = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = store.connection.prepare(&query).unwrap();
        let parameters = statement.parameter_count();
        let rows = statement.query_map(rusqlite::params_from_iter(vec![1; parameters]), |row| {
            row.get(3)
        });
        rows.unwrap()
            .collect::<rusqlite::Result<Vec<String>>>()
            .unwrap()
            .join("\n")
    };
    let heads = plan(HEADS);
    for step in [
        "SEARCH queues USING INDEX queues_in_turn (sink=? AND rank=? AND next_at<?)",
        "SEARCH deliveries USING PRIMARY KEY (sink=? AND agent=?)",
        "SEARCH deliveries USING PRIMARY KEY (sink=? AND agent=? AND event=?) LEFT-JOIN",
        "SEARCH events USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN",
    ] {
        assert!(heads.contains(step), "{step}:\n{heads}");
    }
    assert!(
        !heads.contains("SCAN deliveries") && !heads.contains("SCAN events"),
        "{heads}"
    );
}

#[test]
fn a_group_is_what_waits_of_all_agents_in_the_order_in_which_it_happened() {
    let place = Place::new();
    let mut store = place.open();
    let change = started(&[("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("b", "2")]);
    store
        .apply(at(0), &change, |_| Route::to(&["one"]))
        .unwrap();
    settle(&mut store, "one", "c", 0, Outcome::Retry(at(60)));
    let group = |store: &mut Store, now, limit| {
        let due = store
            .due_together("one", at(now), limit)
            .unwrap()
            .deliveries;
        let names = due.into_iter().map(|due| due.event.event.dedup_key);
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        group(&mut store, 0, 9),
        ["a 1", "b 1", "a 2", "b 2"],
        "c has failed"
    );
    assert_eq!(
        group(&mut store, 60, 9),
        ["a 1", "b 1", "a 2", "c 1", "b 2"]
    );
    // Nothing of an agent is left out before what is taken.
    assert_eq!(group(&mut store, 60, 3), ["a 1", "b 1", "a 2"]);
}

#[test]
fn what_is_given_up_goes_to_the_fallback_and_waits_again_when_that_is_asked_for() {
    let place = Place::new();
    let mut store = place.open();
    let change = started(&[("a", "1"), ("b", "1"), ("a", "2")]);
    store
        .apply(at(0), &change, |_| Route::to(&["one"]))
        .unwrap();
    let first = store.due("one", at(0), 1).unwrap().deliveries.remove(0);
    let settled = Settled {
        agent: "a".to_owned(),
        number: first.event.number,
        outcome: dead(),
    };
    store.settle("one", at(1), &[settled], Some("two")).unwrap();
    assert_eq!(due(&mut store, "two", at(1)), ["a 1"]);
    assert_eq!(due(&mut store, "one", at(1)), ["b 1", "a 2"]);
    let fallbacks = BTreeMap::from([("one".to_owned(), "two".to_owned())]);
    let working = BTreeSet::from(["two".to_owned()]);
    store
        .expire(&working, &fallbacks, at(50), at(60), "down")
        .unwrap();
    assert_eq!(due(&mut store, "two", at(60)), ["a 1", "b 1"]);
    assert!(due(&mut store, "one", at(60)).is_empty());
    let letters = |store: &Store| store.reader().backlogs().unwrap()["one"].dead_letters;
    assert_eq!(letters(&store), 3, "they are kept all the same");

    let path = place.path.clone();
    let none = Store::redeliver(&path, at(70), Some("three")).unwrap();
    assert!(none.is_empty());
    // Also while a sidecar has the store.
    let counts = Store::redeliver(&path, at(70), Some("one")).unwrap();
    assert_eq!(counts, BTreeMap::from([("one".to_owned(), 3)]));
    assert_eq!(letters(&store), 0);
    assert_eq!(due(&mut store, "one", at(70)), ["a 1", "b 1"]);
    settle(&mut store, "one", "a", 70, dead());
    let all = Store::redeliver(&path, at(80), None).unwrap();
    assert_eq!(all.values().sum::<usize>(), 1);
}

#[test]
fn what_is_wrong_with_the_sidecar_itself_is_known_after_a_restart_until_it_is_over() {
    let place = Place::new();
    let own = |kind: EventKind, key: &str| {
        let event = FleetEvent {
            kind,
            time: at(5),
            dedup_key: key.to_owned(),
            data: EventData {
                started_at: Some(at(2)),
                ..EventData::default()
            },
        };
        Change {
            events: vec![event],
            ..Change::default()
        }
    };
    let mut store = place.open();
    for change in [
        own(EventKind::WatcherBlind, "watcher/list"),
        own(EventKind::SinkFailing, "sink/ops"),
        own(EventKind::WatcherRecovered, "watcher/list"),
    ] {
        store.apply(at(5), &change, |_| Route::to(&[])).unwrap();
    }
    store.mark_failing(at(3)).unwrap();
    drop(store);
    let mut store = place.open();
    let sink = ("sink/ops".to_owned(), at(2));
    let failing = ("store".to_owned(), at(3));
    let incidents = store.own_incidents().unwrap();
    assert_eq!(incidents, BTreeMap::from([sink.clone(), failing]));
    let recovered = own(EventKind::StoreRecovered, "store");
    store.apply(at(5), &recovered, |_| Route::to(&[])).unwrap();
    assert_eq!(store.own_incidents().unwrap(), BTreeMap::from([sink]));
}

/// What happened to an agent, all of it about one incident.
fn incident(store: &mut Store, now: i64, kinds: &[EventKind], sinks: &[&str]) {
    let events = kinds.iter().map(|kind| event(*kind, "a", "1"));
    let change = Change {
        events: events.collect(),
        ..Change::default()
    };
    store.apply(at(now), &change, |_| Route::to(sinks)).unwrap();
}

/// Settles what is first in turn for a sink; what is given up goes to `second`.
fn settle_first(store: &mut Store, sink: &str, now: i64, outcome: Outcome) {
    let first = store.due(sink, at(now), 1).unwrap().deliveries.remove(0);
    let settled = Settled {
        agent: "a".to_owned(),
        number: first.event.number,
        outcome,
    };
    store
        .settle(sink, at(now), &[settled], Some("second"))
        .unwrap();
}

/// The kinds of the events that a sink takes from now on, in their order.
fn taken(store: &mut Store, sink: &str, now: i64) -> Vec<EventKind> {
    let mut taken = Vec::new();
    while let Some(first) = store.due(sink, at(now), 1).unwrap().deliveries.pop() {
        taken.push(first.event.event.kind);
        settle_first(store, sink, now, Outcome::Delivered);
    }
    taken
}

#[test]
fn what_is_sent_again_leaves_no_incident_as_it_is_not() {
    use EventKind::{AgentRecovered, AgentUnready};
    let place = Place::new();
    let mut store = place.open();
    incident(&mut store, 0, &[AgentUnready, AgentRecovered], &["one"]);
    settle_first(&mut store, "one", 1, dead());
    assert_eq!(taken(&mut store, "one", 2), [AgentRecovered]);
    assert_eq!(store.redeliver_to("one", Some(1), at(3)).unwrap(), 2);
    assert_eq!(taken(&mut store, "one", 4), [AgentUnready, AgentRecovered]);

    // What closes it was not taken either.
    incident(&mut store, 5, &[AgentUnready, AgentRecovered], &["one"]);
    settle_first(&mut store, "one", 6, dead());
    settle_first(&mut store, "one", 6, dead());
    assert_eq!(store.redeliver_to("one", Some(3), at(7)).unwrap(), 2);
    assert_eq!(taken(&mut store, "one", 8), [AgentUnready, AgentRecovered]);
    assert!(store.reader().dead_letters(9).unwrap().is_empty());

    // It was opened anew since.
    let kinds = [AgentUnready, AgentRecovered, AgentUnready];
    incident(&mut store, 9, &kinds, &["one"]);
    settle_first(&mut store, "one", 10, dead());
    settle_first(&mut store, "one", 10, dead());
    assert_eq!(taken(&mut store, "one", 11), [AgentUnready]);
    assert_eq!(store.redeliver_to("one", None, at(12)).unwrap(), 3);
    let all = [AgentUnready, AgentRecovered, AgentUnready];
    assert_eq!(taken(&mut store, "one", 13), all);

    // One that does not want what closes incidents is not sent it.
    incident(&mut store, 14, &[AgentUnready], &["two"]);
    incident(&mut store, 14, &[AgentRecovered], &[]);
    settle_first(&mut store, "two", 15, dead());
    assert_eq!(store.redeliver_to("two", None, at(16)).unwrap(), 1);
}

#[test]
fn whoever_has_an_incident_by_fallback_is_sent_what_closes_it() {
    use EventKind::{AgentRecovered, AgentUnready, RolloutStarted};
    let place = Place::new();
    let mut store = place.open();
    // It is open when it falls back.
    incident(&mut store, 0, &[AgentUnready], &["first"]);
    settle_first(&mut store, "first", 1, dead());
    assert_eq!(taken(&mut store, "second", 2), [AgentUnready]);
    incident(&mut store, 3, &[AgentRecovered], &["first"]);
    assert_eq!(taken(&mut store, "first", 4), [AgentRecovered]);
    assert_eq!(taken(&mut store, "second", 4), [AgentRecovered]);
    // The next one is none of its business.
    incident(&mut store, 5, &[AgentUnready, AgentRecovered], &["first"]);
    assert_eq!(taken(&mut store, "second", 6), []);
    assert_eq!(taken(&mut store, "first", 6).len(), 2);
    // It is over when it falls back.
    incident(&mut store, 7, &[AgentUnready, AgentRecovered], &["first"]);
    settle_first(&mut store, "first", 8, dead());
    assert_eq!(
        taken(&mut store, "second", 9),
        [AgentUnready, AgentRecovered]
    );
    assert_eq!(taken(&mut store, "first", 9), [AgentRecovered]);
    // What opens nothing is followed by nothing.
    incident(
        &mut store,
        10,
        &[RolloutStarted, AgentRecovered],
        &["first"],
    );
    settle_first(&mut store, "first", 11, dead());
    assert_eq!(taken(&mut store, "second", 12), [RolloutStarted]);
}

#[test]
fn a_fallback_is_not_sent_what_it_was_sent_before() {
    use EventKind::RolloutStarted;
    let place = Place::new();
    let mut store = place.open();
    let both = &["first", "second"];
    incident(&mut store, 0, &[RolloutStarted], both);
    assert_eq!(taken(&mut store, "second", 1), [RolloutStarted]);
    settle_first(&mut store, "first", 2, dead());
    assert_eq!(taken(&mut store, "second", 3), [], "it has it");
    incident(&mut store, 4, &[RolloutStarted], both);
    settle_first(&mut store, "second", 5, dead());
    settle_first(&mut store, "first", 5, dead());
    assert_eq!(taken(&mut store, "second", 6), [], "it refused it");
}
