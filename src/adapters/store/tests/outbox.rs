//! Queues that were left alone: by a sink that was taken out, by an older version.

use super::*;

#[test]
fn what_waits_for_a_sink_that_is_no_more_is_given_up_on_in_time() {
    let folder = folder();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    store
        .apply(at(0), &told(&[("a", "1")]), |_| vec!["kept", "gone"])
        .unwrap();
    assert_eq!(store.give_up_orphans(&["kept"], at(0), at(9)).unwrap(), 0);
    assert_eq!(store.give_up_orphans(&["kept"], at(1), at(9)).unwrap(), 1);
    assert!(due(&store, "gone", at(9)).is_empty());
    assert_eq!(due(&store, "kept", at(9)), ["a/1"]);
}

#[test]
fn what_comes_after_what_an_absent_sink_was_to_be_told_has_its_turn() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let tell = |store: &mut Store, second, id| {
        let change = told(&[("a", id), ("b", id)]);
        let sinks = |_: &Notice| vec!["gone", "kept"];
        store.apply(at(second), &change, sinks).unwrap();
    };
    for (second, id) in [(0, "1"), (1, "2"), (50, "3"), (51, "4")] {
        tell(&mut store, second, id);
    }
    assert_eq!(store.give_up_orphans(&["kept"], at(50), at(99)).unwrap(), 4);
    // It is there again: in order, and nothing more often than once.
    assert_eq!(due(&store, "gone", at(99)), ["a/3", "b/3"]);
    assert_eq!(due(&store, "kept", at(99)), ["a/1", "b/1"]);
    for _ in 0..2 {
        let event = first(&store, "gone");
        store.delivered("gone", event, at(99)).unwrap();
    }
    assert_eq!(due(&store, "gone", at(99)), ["a/4", "b/4"]);
    assert_eq!(store.give_up_orphans(&["kept"], at(99), at(99)).unwrap(), 2);
    tell(&mut store, 100, "5");
    assert_eq!(due(&store, "gone", at(100)), ["a/5", "b/5"]);
}

#[test]
fn a_queue_that_an_older_version_left_without_a_first_goes_on() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let change = told(&[("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("b", "2")]);
    store.apply(at(0), &change, |_| vec!["one", "two"]).unwrap();
    let event = store.due("one", at(0), 9).unwrap()[1].event;
    store.postpone("one", event, at(60), "it hung").unwrap();
    let forgotten = "UPDATE outbox SET given_up_at = 1, next_at = NULL
                     WHERE sink = 'one' AND agent = 'a' AND next_at IS NOT NULL";
    store.connection.execute_batch(forgotten).unwrap();
    assert!(due(&store, "one", at(59)).is_empty());
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(due(&store, "one", at(59)), ["a/2"]);
    assert_eq!(due(&store, "one", at(60)), ["a/2", "b/1"], "its wait stays");
    assert_eq!(due(&store, "two", at(59)), ["a/1", "b/1"]);
}

#[test]
fn a_clock_that_was_set_back_silences_nobody() {
    const HOUR: i64 = 3600;
    let folder = folder();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    let change = told(&[("a", "1"), ("b", "1"), ("c", "1")]);
    store.apply(at(0), &change, |_| vec!["one"]).unwrap();
    let waiting = store.due("one", at(0), 9).unwrap();
    for (waiting, until) in waiting.iter().zip([2 * HOUR, 2 * HOUR + 1, 20]) {
        let event = waiting.event;
        store.postpone("one", event, at(until), "it hung").unwrap();
    }
    assert_eq!(due(&store, "one", at(19)), ["a/1", "b/1"]);
    assert_eq!(due(&store, "one", at(20)), ["c/1", "a/1", "b/1"]);
    assert_eq!(store.due("one", at(20), 2).unwrap().len(), 2);
    // The longest wait that there can be is an hour.
    assert_eq!(due(&store, "one", at(HOUR)), ["c/1", "b/1"]);
    assert_eq!(due(&store, "one", at(HOUR + 1)), ["c/1"]);
}
