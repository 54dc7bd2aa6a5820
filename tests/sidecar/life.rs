//! How it begins, changes its key, makes a single pass, and ends.

use std::os::unix::net::UnixDatagram;

use crate::api::Api;
use crate::harness::Place;
use crate::receiver::{Received, Receiver};
use crate::support::process::Signal;
use crate::support::{make_fifo, wait_until};

#[test]
fn sigterm_and_ctrl_c_finish_deliveries_and_end_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let (api, hook) = (Api::with(&["a"]), Receiver::start());
        let sidecar = Place::of(&api)
            .webhook("hook", &hook.url())
            .start_watching();
        api.deploy("a", "d2");
        sidecar.wait_for_log("rollout of d2 started");
        sidecar.signal(signal);
        let ended = sidecar.end();
        assert_eq!(ended.code(), 0, "{ended:?}");
        assert!(
            ended.stderr.contains("stopping: finishing deliveries"),
            "{}",
            ended.stderr
        );
        let lines: Vec<String> = hook.received().iter().map(Received::line).collect();
        assert!(
            lines.contains(&"a d2 rollout.started".to_owned()),
            "{lines:?}"
        );
    }
}

#[test]
fn a_replaced_key_file_is_read_again() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api).file("key", "sk_first_5ecret\n");
    api.rekey("sk_first_5ecret");
    let key = place.path("key");
    let place = place.args(&format!("--api-key-file {}", key.display()));
    let sidecar = place.start_watching();
    api.rekey("sk_second_5ecret");
    sidecar.wait_for_log("the list of agents cannot be read");
    std::fs::write(&key, "sk_second_5ecret\n").unwrap();
    sidecar.wait_for_log("the list of agents can be read again");
    api.deploy("a", "d2");
    api.ready("a");
    sidecar.wait_for_log("a: rollout ready");
    let log = sidecar.stop().stderr;
    assert!(!log.contains("5ecret"), "{log}");
}

#[test]
fn a_key_from_a_pipe_is_read_once_and_blocks_nothing() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let key = place.path("key");
    make_fifo(&key);
    api.rekey("sk_first_5ecret");
    let place = place.args(&format!("--api-key-file {}", key.display()));
    let sidecar = place.start();
    std::fs::write(&key, "sk_first_5ecret\n").unwrap();
    sidecar.wait_for_log("\"message\":\"watching ");
    api.rekey("sk_second_5ecret");
    sidecar.wait_for_log("the list of agents cannot be read");
    // Nobody writes to the pipe again.
    api.rekey("sk_first_5ecret");
    sidecar.wait_for_log("the list of agents can be read again");
    assert_eq!(sidecar.stop().code(), 0);
}

#[test]
fn an_agent_with_an_impossible_name_is_logged_and_not_watched() {
    let api = Api::with(&["a"]);
    api.add("..");
    api.set("..", &serde_json::json!({"desiredDeploymentId": "d2"}));
    let ended = Place::of(&api).args("--once").run();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let words = "an agent of the list is not watched: \\\"..\\\" cannot be an agent name";
    assert_eq!(ended.stderr.matches(words).count(), 1, "{}", ended.stderr);
}

#[test]
fn a_key_replaced_before_it_is_refused_causes_no_warning() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api).file("key", "sk_first_5ecret\n");
    api.rekey("sk_first_5ecret");
    let key = place.path("key");
    let place = place.args(&format!("--api-key-file {}", key.display()));
    let sidecar = place.start_watching();
    api.deploy("a", "d2");
    sidecar.wait_for_log("rollout of d2 started");
    std::fs::write(&key, "sk_second_5ecret\n").unwrap();
    api.rekey("sk_second_5ecret");
    api.ready("a");
    sidecar.wait_for_log("a: rollout ready");
    let log = sidecar.stop().stderr;
    assert!(!log.contains("WARN"), "{log}");
}

#[test]
fn a_single_pass_follows_what_is_under_way_to_its_end() {
    let (api, hook) = (Api::with(&["a", "b"]), Receiver::start());
    // Looks that a long-running sidecar would make later do not hold a pass up.
    let place = Place::of(&api)
        .webhook("hook", &hook.url())
        .args("--once --health-interval 1h");
    let first = place.run();
    assert_eq!(first.code(), 0, "{first:?}");
    assert!(
        hook.received().is_empty(),
        "the first pass takes what is as it is"
    );
    api.deploy("a", "d2");
    let pass = place.start();
    hook.wait_for_line("a d2 rollout.started");
    api.ready("a");
    let ended = pass.end();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let lines: Vec<String> = hook.received().iter().map(Received::line).collect();
    assert_eq!(lines.last().unwrap(), "a d2 rollout.finished ready");
    // An agent that was removed and one that is not ready are reported in a single pass as well.
    api.remove("b");
    api.set("a", &serde_json::json!({ "ready": false }));
    assert_eq!(place.run().code(), 0);
    let lines: Vec<String> = hook.received().iter().map(Received::line).collect();
    assert!(
        lines.contains(&"b d1 agent.removed".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"a d2 agent.unready".to_owned()),
        "{lines:?}"
    );
}

/// The others were forgotten, and the next full run reported them all again.
#[test]
fn a_run_for_one_agent_leaves_the_others_as_they_are() {
    let (api, hook) = (Api::with(&["a", "b"]), Receiver::start());
    let place = Place::of(&api)
        .webhook("hook", &hook.url())
        .args("--once --health-interval 1h");
    assert_eq!(place.run().code(), 0);
    let mut one = place.sidecar();
    one.arg("a");
    assert_eq!(place.start_command(one).end().code(), 0);
    api.deploy("b", "d2");
    api.ready("b");
    assert_eq!(place.run().code(), 0);
    let received = hook.received();
    let lines: Vec<String> = received.iter().map(Received::line).collect();
    assert!(
        lines.iter().all(|line| line.starts_with("b d2 rollout.")),
        "{lines:?}"
    );
    assert_eq!(received[0].event["data"]["previousDeploymentId"], "d1");
}

#[test]
fn a_single_pass_that_fails_reports_why() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api).args("--once");
    api.outage("500 Internal Server Error", "");
    let ended = place.run();
    assert_eq!(ended.code(), 5, "{ended:?}");
    assert!(
        ended.stderr.contains("500 Internal Server Error"),
        "{}",
        ended.stderr
    );
    api.recover();
    // An organization without agents, or another one than was meant.
    api.remove("a");
    let ended = place.run();
    assert_eq!(ended.code(), 4, "{ended:?}");
    let why = "the organization has no agents: its list is empty";
    assert!(ended.stderr.contains(why), "{ended:?}");
    api.rekey("another-key");
    let ended = place.run();
    assert_eq!(ended.code(), 3, "{ended:?}");
}

#[test]
fn systemd_is_notified_when_it_is_ready_alive_and_stopping() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(std::time::Duration::from_mins(1)))
        .unwrap();
    let mut command = place.sidecar();
    // The watchdog wants a sign of life every second, that is every half a second.
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000000");
    let sidecar = place.start_command(command);
    let next = || {
        let mut buffer = [0; 4096];
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    };
    let wait_for = |wanted: &str| while !next().lines().any(|line| line == wanted) {};
    wait_for("READY=1");
    wait_for("STATUS=watching 1 agent");
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    sidecar.signal(Signal::TERM);
    wait_for("STOPPING=1");
    assert_eq!(sidecar.end().code(), 0);
}

#[test]
fn retry_after_pauses_the_requests_of_all_agents() {
    let api = Api::with(&["a", "b", "c"]);
    let sidecar = Place::of(&api).start_watching();
    api.outage("429 Too Many Requests", "retry-after: 3\r\n");
    sidecar.wait_for_log("the list of agents cannot be read");
    // Those that were under way already may have been refused as well; after that there is silence.
    let before = wait_until("silence", || {
        let first = api.requests().len();
        std::thread::sleep(std::time::Duration::from_millis(500));
        (api.requests().len() == first).then_some(first)
    });
    assert!(before > 0);
    api.recover();
    sidecar.wait_for_log("the list of agents can be read again");
    sidecar.stop();
}

#[test]
fn a_listen_address_in_use_is_an_error() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api);
    let sidecar = place.start_watching();
    let address = sidecar.endpoints();
    let other = Place::of(&api).args(&format!("--listen {address}"));
    let ended = other.run();
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains(&format!("cannot listen on {address}")),
        "{}",
        ended.stderr
    );
    sidecar.stop();
    let other = Place::of(&api).args("--listen off").start_watching();
    let ended = other.stop();
    assert!(!ended.stderr.contains("endpoints on"), "{}", ended.stderr);
}
