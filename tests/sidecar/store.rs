//! Stores that cannot be used: each a clear error, and nothing is lost.

use std::fs;

use crate::api::Api;
use crate::harness::{Place, get};
use crate::receiver::Receiver;
use crate::support::process::{Ended, Signal};
use crate::support::wait_until;

fn refused(ended: &Ended, code: i32, words: &str) {
    assert_eq!(ended.code(), code, "{ended:?}");
    assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_second_sidecar_on_the_same_store_is_refused() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let sidecar = place.start_watching();
    // A supervisor may try again: it goes well once the other one has ended.
    std::os::unix::fs::symlink(place.path("store.db"), place.path("link.db")).unwrap();
    std::fs::hard_link(place.path("store.db"), place.path("hard.db")).unwrap();
    for name in ["store.db", "link.db", "hard.db"] {
        let mut command = place.sidecar();
        command.env("PIPECAT_ROLLOUT_STORE", place.path(name));
        let ended = place.start_command(command).end();
        refused(&ended, 1, "another sidecar uses the store ");
    }
    api.deploy("a", "d2");
    sidecar.wait_for_log("rollout of d2 started");
    sidecar.stop();
    place.start_watching().stop();
}

#[test]
fn a_store_folder_that_cannot_be_made_exits_1_or_2() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api).file("file", "");
    let file = place.path("file").join("deep/er");
    for (path, code) in [("/proc/not/here/store.db", 1), (file.to_str().unwrap(), 2)] {
        let mut command = place.sidecar();
        command.env("PIPECAT_ROLLOUT_STORE", path);
        let ended = place.start_command(command).end();
        refused(&ended, code, "cannot make the folder");
    }
}

#[test]
fn a_foreign_newer_or_damaged_store_is_refused_and_not_changed() {
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
    for (content, words) in [
        (newer, "is of another version (schema 99"),
        (damaged, "is damaged ("),
        (
            b"my own notes, no store".repeat(100),
            "is not of this program",
        ),
    ] {
        fs::write(&path, &content).unwrap();
        refused(&place.run(), 2, words);
        assert_eq!(fs::read(&path).unwrap(), content, "{words}: it was changed");
    }
    fs::write(&path, good).unwrap();
    place.start_watching().stop();
}

#[test]
fn exits_1_when_events_could_not_be_stored() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let sidecar = place.start_watching();
    let store = rusqlite::Connection::open(place.path("store.db")).unwrap();
    let refusing = "CREATE TRIGGER refusing BEFORE INSERT ON events
                    BEGIN SELECT RAISE(ABORT, 'no events today'); END";
    store.execute_batch(refusing).unwrap();
    api.deploy("a", "d2");
    sidecar.wait_for_log("the store cannot be written");
    sidecar.signal(Signal::TERM);
    let ended = sidecar.end();
    assert_eq!(ended.code(), 1, "{ended:?}");
    let words = "what happened last could not be written down, and is lost: ";
    let line = ended.stderr.lines().last().unwrap();
    assert!(line.contains(words), "{line}");
    assert!(
        line.contains(" events and the state of a: ") && line.contains("no events today"),
        "{line}"
    );
}

#[test]
fn a_store_deleted_while_in_use_is_created_again() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    let roll_out = |deployment| {
        api.deploy("a", deployment);
        api.ready("a");
        hook.wait_for_line(&format!("a {deployment} rollout.finished ready"));
    };
    roll_out("d2");
    fs::remove_file(place.path("store.db")).unwrap();
    roll_out("d3");
    sidecar.wait_for_log("was deleted while it was in use, and has been made again");
    // Also at the end, where nothing is left to write.
    fs::remove_file(place.path("store.db")).unwrap();
    sidecar.stop();
    let history = place.other(&["history"]).stdout;
    assert!(history.contains("2 rollouts: 2 ready"), "{history}");
}

#[test]
fn a_store_replaced_while_in_use_is_not_written_and_makes_it_not_ready() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let sidecar = place.start_watching();
    fs::write(place.path("other"), "somebody's").unwrap();
    fs::rename(place.path("other"), place.path("store.db")).unwrap();
    api.deploy("a", "d2");
    sidecar.wait_for_log("was replaced while it was in use");
    let body = wait_until("not ready", || {
        let (status, body) = get(sidecar.endpoints(), "/readyz")?;
        (status == 503).then_some(body)
    });
    assert!(body.contains("start the sidecar again"), "{body}");
    assert_eq!(fs::read(place.path("store.db")).unwrap(), b"somebody's");
    sidecar.kill();
}

#[test]
fn a_store_locked_by_another_program_stops_no_endpoint_and_loses_nothing() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    api.deploy("a", "d2");
    api.ready("a");
    hook.wait_for_line("a d2 rollout.finished ready");
    let other = rusqlite::Connection::open(place.path("store.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    api.deploy("a", "d3");
    sidecar.wait_for_log("the store cannot be written");
    for path in ["/livez", "/metrics", "/v1/agents", "/v1/rollouts"] {
        let (status, body) = get(sidecar.endpoints(), path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
    }
    api.ready("a");
    other.execute_batch("ROLLBACK").unwrap();
    hook.wait_for_line("a d3 rollout.finished ready");
    sidecar.stop();
}
