//! Stores that cannot be used: each a clear error, and nothing is lost.

use std::fs;

use crate::api::Api;
use crate::harness::{Ended, Place};

fn refused(ended: &Ended, code: i32, told: &str) {
    assert_eq!(ended.code(), code, "{ended:?}");
    assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_second_sidecar_on_the_same_store_is_refused() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let sidecar = place.start_watching();
    // A supervisor may try again: it goes well once the other one has ended.
    refused(&place.run(), 1, "another sidecar uses the store ");
    api.deploy("a", "d2");
    sidecar.wait_for_log("rollout of d2 started");
    sidecar.stop();
    place.start_watching().stop();
}

#[test]
fn a_place_that_may_come_to_be_and_one_that_will_not_are_told_apart() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api).file("file", "");
    let file = place.path("file").join("deep/er");
    for (path, code) in [("/proc/not/here/store.db", 1), (file.to_str().unwrap(), 2)] {
        let mut command = place.sidecar();
        command.env("PIPECAT_ROLLOUT_STORE", path);
        let ended = place.start_command(command).end();
        refused(&ended, code, "cannot make the store's folder");
    }
}

#[test]
fn a_file_that_is_no_store_a_newer_one_and_a_damaged_one_are_left_as_they_are() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    place.start_watching().stop();
    let path = place.path("store.db");
    let good = fs::read(&path).unwrap();
    let mut newer = good.clone();
    // The schema's version, as the format of SQLite has it: byte 60 on.
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let mut damaged = good.clone();
    damaged[5000..9000].fill(0xa5);
    for (content, told) in [
        (newer, "is of a newer version (schema 99"),
        (damaged, "is damaged ("),
        (
            b"my own notes, no store".repeat(100),
            "is not a store of this program",
        ),
    ] {
        fs::write(&path, &content).unwrap();
        refused(&place.run(), 2, told);
        assert_eq!(fs::read(&path).unwrap(), content, "{told}: it was changed");
    }
    fs::write(&path, good).unwrap();
    place.start_watching().stop();
}

#[test]
fn what_could_not_be_written_until_the_end_is_said_and_no_success() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let sidecar = place.start_watching();
    let store = rusqlite::Connection::open(place.path("store.db")).unwrap();
    let refusing = "CREATE TRIGGER refusing BEFORE INSERT ON events
                    BEGIN SELECT RAISE(ABORT, 'no events today'); END";
    store.execute_batch(refusing).unwrap();
    api.deploy("a", "d2");
    sidecar.wait_for_log("what has happened cannot be written down");
    sidecar.signal("TERM");
    let ended = sidecar.end();
    assert_eq!(ended.code(), 1, "{ended:?}");
    let told = "what happened last could not be written down, and is lost: ";
    let line = ended.stderr.lines().last().unwrap();
    assert!(line.contains(told), "{line}");
    assert!(
        line.contains(" events and 0 rollouts of a: ") && line.contains("no events today"),
        "{line}"
    );
}
