//! What is taken out of the store in time, and what becomes of that where the clock cannot be believed.

use rusqlite::Connection;

use crate::api::Api;
use crate::harness::Place;

/// How many rollouts the history has.
fn history(place: &Place) -> usize {
    let ended = place.other(&["history", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    told["rollouts"].as_array().unwrap().len()
}

#[test]
fn a_clock_that_is_far_ahead_does_not_erase_the_history_at_once() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api).args("--once");
    assert_eq!(place.run().code(), 0);
    api.deploy("a", "d2");
    api.ready("a");
    assert_eq!(place.run().code(), 0);
    assert_eq!(history(&place), 1);
    // As if all of it had been a year ago, by a clock that has jumped since.
    let store = Connection::open(place.path("store.db")).unwrap();
    let year = "UPDATE rollouts SET finished_at = finished_at - 365 * 86400000000;
                UPDATE facts SET value = value - 365 * 86400000000 WHERE key = 'alive_at';";
    store.execute_batch(year).unwrap();
    drop(store);
    assert_eq!(place.run().code(), 0);
    assert_eq!(history(&place), 1, "the clock may be wrong");
    assert_eq!(place.run().code(), 0);
    assert_eq!(history(&place), 0, "it is still the same");
}
