//! The configuration is read anew on SIGHUP.

use std::fs;

use crate::api::Api;
use crate::harness::{Place, get};
use crate::receiver::Receiver;
use crate::support::process::Signal;

#[test]
fn sighup_replaces_sinks_without_a_restart() {
    let (api, first, second) = (Api::with(&["a"]), Receiver::start(), Receiver::start());
    let place = Place::of(&api).webhook("first", &first.url());
    let sidecar = place.start_watching();
    api.deploy("a", "d2");
    api.ready("a");
    first.wait_for_line("a d2 rollout.finished ready");
    let config = fs::read_to_string(place.path("watch.toml")).unwrap();
    fs::write(
        place.path("watch.toml"),
        config
            .replace("\"first\"", "\"second\"")
            .replace(&first.url(), &second.url()),
    )
    .unwrap();
    sidecar.signal(Signal::HUP);
    sidecar.wait_for_log("the configuration was reloaded");
    let before = first.received().len();
    api.deploy("a", "d3");
    api.ready("a");
    second.wait_for_line("a d3 rollout.finished ready");
    assert_eq!(first.received().len(), before);
    let metrics = get(sidecar.endpoints(), "/metrics").unwrap().1;
    let line = "pipecat_rollout_outbox_pending{sink=\"second\"} ";
    assert!(metrics.contains(line), "{metrics}");
    sidecar.stop();
}

#[test]
fn sighup_names_the_keys_that_count_after_a_restart() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    let path = place.path("watch.toml");
    let config = fs::read_to_string(&path).unwrap();
    let keys = "rollout-timeout = \"4m\"\nexclude = \"b\"\ndelivery-timeout = \"2h\"\n";
    fs::write(&path, format!("{keys}{config}")).unwrap();
    sidecar.signal(Signal::HUP);
    let line = sidecar.wait_for_log("changed: ");
    let due = "delivery-timeout, exclude changed: they count after a restart";
    assert!(line.contains(due), "{line}");
    sidecar.wait_for_log("the configuration was reloaded");
    sidecar.stop();
}

#[test]
fn sighup_with_a_wrong_file_keeps_the_configuration() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    let config = fs::read_to_string(place.path("watch.toml")).unwrap();
    fs::write(
        place.path("watch.toml"),
        format!("{config}\nintervall = 3\n"),
    )
    .unwrap();
    sidecar.signal(Signal::HUP);
    let line = sidecar.wait_for_log("the configuration cannot be reloaded, and stays as it was: ");
    assert!(
        line.contains("line ") && line.contains("intervall"),
        "{line}"
    );
    let metrics = get(sidecar.endpoints(), "/metrics").unwrap().1;
    let line = "pipecat_rollout_config_reload_successful 0\n";
    assert!(metrics.contains(line), "{metrics}");
    api.deploy("a", "d2");
    api.ready("a");
    hook.wait_for_line("a d2 rollout.finished ready");
    fs::write(place.path("watch.toml"), config).unwrap();
    sidecar.signal(Signal::HUP);
    sidecar.wait_for_log("the configuration was reloaded");
    sidecar.stop();
}
