//! What is deleted from the store in time.

use rusqlite::Connection;

use crate::api::Api;
use crate::harness::Place;

/// The deployments of the history, the latest first.
fn history(place: &Place) -> Vec<String> {
    let ended = place.other(&["history", "--output", "json"]);
    let shown = ended.json();
    let rollouts = shown["rollouts"].as_array().unwrap().iter();
    rollouts
        .map(|rollout| rollout["deploymentId"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn history_retention_deletes_old_rollouts_unless_the_clock_jumped() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api).args("--once");
    assert_eq!(place.run().code(), 0);
    let roll_out = |deployment| {
        api.deploy("a", deployment);
        api.ready("a");
        assert_eq!(place.run().code(), 0);
    };
    roll_out("d2");
    // As if it had been a year ago, or the clock had jumped since.
    let store = Connection::open(place.path("store.db")).unwrap();
    let year = "UPDATE events SET at = at - 365 * 86400000000";
    store.execute(year, []).unwrap();
    drop(store);
    assert_eq!(place.run().code(), 0);
    assert_eq!(history(&place), ["d2"], "nothing has happened since");
    roll_out("d3");
    assert_eq!(place.run().code(), 0);
    assert_eq!(history(&place), ["d3"]);
}
