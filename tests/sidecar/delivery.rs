//! What sinks receive, and how long it is tried.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::api::Api;
use crate::harness::Place;
use crate::receiver::{Received, Receiver, Reply};
use crate::support::tls::TlsServer;
use crate::support::wait_until;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn roll_out(api: &Api, agent: &str, deployment: &str) {
    api.deploy(agent, deployment);
    api.ready(agent);
}

#[test]
fn events_are_signed_as_standard_webhooks_has_it() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let place = Place::of(&api).file("secret", SECRET);
    let secret = place.path("secret");
    let place = place.args(&format!(
        "--webhook {} --webhook-secret-file {}",
        hook.url(),
        secret.display()
    ));
    let sidecar = place.start_watching();
    roll_out(&api, "a", "d2");
    hook.wait_for_line("a d2 rollout.finished ready");
    sidecar.stop();
    for one in hook.received() {
        let request = &one.request;
        let header = |name| request.header(name).unwrap();
        assert_eq!(
            header("content-type"),
            "application/cloudevents+json; charset=utf-8"
        );
        assert_eq!(header("webhook-id"), one.id());
        let signed = format!(
            "{}.{}.{}",
            one.id(),
            header("webhook-timestamp"),
            request.body
        );
        let key = STANDARD
            .decode(SECRET.strip_prefix("whsec_").unwrap())
            .unwrap();
        let tag = header("webhook-signature").strip_prefix("v1,").unwrap();
        let tag = STANDARD.decode(tag).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
        assert_eq!(one.event["specversion"], "1.0");
        assert_eq!(one.event["source"], api.url());
    }
}

#[test]
fn failed_deliveries_are_retried_in_order_and_block_no_other_agent() {
    let api = Api::with(&["a", "b"]);
    // The first of a's fails in every way that there is before it is taken.
    let hook = Receiver::replying(|number, event| match number {
        _ if event["data"]["agent"] == "b" => Reply::Take,
        0 => Reply::Status("500 Internal Server Error", String::new()),
        1 => Reply::HangUp,
        2 => Reply::Status("429 Too Many Requests", "retry-after: 1\r\n".to_owned()),
        3 => Reply::Status("302 Found", "location: http://127.0.0.1:1/\r\n".to_owned()),
        _ => Reply::Take,
    });
    let sidecar = Place::of(&api)
        .webhook("hook", &hook.url())
        .start_watching();
    roll_out(&api, "a", "d2");
    hook.wait_for(|received| !received.is_empty());
    roll_out(&api, "b", "d2");
    hook.wait_for_line("b d2 rollout.finished ready");
    let lines = hook.wait_for_line("a d2 rollout.finished ready");
    let of_a: Vec<&String> = lines.iter().filter(|line| line.starts_with("a ")).collect();
    assert_eq!(of_a[0], "a d2 rollout.started");
    assert_eq!(of_a.last().unwrap().as_str(), "a d2 rollout.finished ready");
    sidecar.stop();
    let received = hook.received();
    let first: Vec<&Received> = received
        .iter()
        .filter(|one| one.line() == "a d2 rollout.started")
        .collect();
    assert!(first.len() >= 2, "it was tried again");
    let ids: BTreeSet<&str> = first.iter().map(|one| one.id()).collect();
    assert_eq!(ids.len(), 1, "the same each time: {ids:?}");
    let attempts: Vec<bool> = first.iter().map(|one| one.taken).collect();
    assert!(attempts.ends_with(&[false, true]), "{attempts:?}");
}

#[test]
fn a_sink_that_hangs_blocks_no_other() {
    let api = Api::with(&["a"]);
    let (stuck, well) = (Receiver::replying(|_, _| Reply::Hang), Receiver::start());
    let place = Place::of(&api)
        .webhook("stuck", &stuck.url())
        .webhook("well", &well.url());
    let sidecar = place.start_watching();
    roll_out(&api, "a", "d2");
    well.wait_for_line("a d2 rollout.finished ready");
    stuck.wait_for(|received| !received.is_empty());
    // What hangs has a moment at the end, and is not waited for longer.
    sidecar.stop();
    // All of it waits for the next start.
    let sidecar = place.start();
    stuck.wait_for(|received| received.len() > 1);
    let received = stuck.received();
    assert_eq!(received[0].id(), received[1].id());
    sidecar.kill();
    assert_eq!(
        well.received()
            .iter()
            .filter(|one| one.line().ends_with("ready"))
            .count(),
        1
    );
}

#[test]
fn a_sink_that_answers_410_gets_no_more_until_the_next_start() {
    let api = Api::with(&["a"]);
    let hook = Receiver::replying(|number, _| match number {
        0 => Reply::Status("410 Gone", String::new()),
        _ => Reply::Take,
    });
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    roll_out(&api, "a", "d2");
    sidecar.wait_for_log("the receiver wants no more");
    sidecar.wait_for_log("a: rollout ready");
    sidecar.stop();
    assert_eq!(hook.received().len(), 1, "nothing was sent after that");
    let redelivered = place.other(&["watch", "--redeliver"]);
    assert_eq!(redelivered.code(), 0, "{}", redelivered.stderr);
    let sidecar = place.start();
    let lines = hook.wait_for_line("a d2 rollout.finished ready");
    assert_eq!(lines[0], "a d2 rollout.started", "nothing was lost");
    sidecar.stop();
}

#[test]
fn events_of_a_removed_sink_are_kept_until_there_is_one_of_its_name() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let hung = Receiver::replying(|_, _| Reply::HangUp);
    let former = Place::of(&api).webhook("former", &hung.url());
    let sidecar = former.start_watching();
    roll_out(&api, "a", "d2");
    sidecar.wait_for_log("a: rollout ready");
    sidecar.stop();
    let with = |name: &str| {
        let text = std::fs::read_to_string(former.path("watch.toml")).unwrap();
        let head = text.split("[[sink]]").next().unwrap();
        let config = former.path("other.toml");
        let sink = format!(
            "[[sink]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{}\"\n",
            hook.url()
        );
        std::fs::write(&config, format!("{head}{sink}")).unwrap();
        let mut command = former.command(&["watch", "--progress", "json", "--config"]);
        command.arg(config);
        former.start_command(command)
    };
    let sidecar = with("renamed");
    let line = sidecar.wait_for_log("which is not configured");
    assert!(
        line.contains(" events wait for the sink \\\"former\\\""),
        "{line}"
    );
    sidecar.stop();
    assert!(hook.received().is_empty());
    let sidecar = with("former");
    hook.wait_for_line("a d2 rollout.finished ready");
    sidecar.stop();
}

#[test]
fn each_sink_gets_only_its_events_and_agents() {
    let api = Api::with(&["prod-a", "dev-a"]);
    let (all, failures) = (Receiver::start(), Receiver::start());
    let place = Place::of(&api)
        .webhook("failures", &failures.url())
        .config("events = [\"rollout.finished\"]\nverdicts = [\"failed\"]\nagents = [\"prod-*\"]\n")
        .webhook("all", &all.url());
    let sidecar = place.start_watching();
    roll_out(&api, "prod-a", "d2");
    all.wait_for_line("prod-a d2 rollout.finished ready");
    for agent in ["dev-a", "prod-a"] {
        api.deploy(agent, "d3");
        api.fail(agent);
        all.wait_for_line(&format!("{agent} d3 rollout.finished failed"));
    }
    failures.wait_for(|received| !received.is_empty());
    sidecar.stop();
    let lines: Vec<String> = failures.received().iter().map(Received::line).collect();
    assert_eq!(lines, ["prod-a d3 rollout.finished failed"]);
}

#[test]
fn exec_and_slack_sinks_get_events() {
    let (api, slack) = (Api::with(&["a"]), crate::receiver::Receiver::start());
    let place = Place::of(&api);
    let (received, url) = (place.path("received"), place.path("url"));
    let place = place.file("url", &slack.url()).config(&format!(
        "[[sink]]\nname = \"pager\"\nkind = \"exec\"\n\
             command = [\"/bin/sh\", \"-c\", \"cat >> $0\", \"{}\"]\n\
             events = [\"rollout.finished\"]\n\
             [[sink]]\nname = \"chat\"\nkind = \"slack\"\nurl-file = \"{}\"\n\
             events = [\"rollout.finished\"]\n",
        received.display(),
        url.display()
    ));
    let sidecar = place.start_watching();
    roll_out(&api, "a", "d2");
    let message = slack.wait_for(|received| !received.is_empty()).remove(0);
    let text = message.event["text"].as_str().unwrap();
    assert!(
        text.starts_with(":white_check_mark: *a: rollout ready after "),
        "{text}"
    );
    let line = wait_until("the program was run", || {
        std::fs::read_to_string(&received)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    sidecar.stop();
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["type"], "dev.pipecat-rollout.rollout.finished");
    assert_eq!(event["data"]["verdict"], "ready");
}

#[test]
fn each_sink_has_a_timeout_of_its_own() {
    let api = Api::with(&["a"]);
    let quick = Receiver::start();
    let place = Place::of(&api).webhook("quick", &quick.url()).config(
        "[[sink]]\nname = \"slow\"\nkind = \"exec\"\ncommand = [\"sleep\", \"600\"]\n\
         timeout = \"200ms\"\n",
    );
    let sidecar = place.start_watching();
    roll_out(&api, "a", "d2");
    sidecar.wait_for_log("slow: a delivery failed: it took longer than 0.2s");
    quick.wait_for_line("a d2 rollout.finished ready");
    sidecar.stop();
}

#[test]
fn the_ca_file_is_reloaded_when_it_changes() {
    let api = Api::with(&["a"]);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    let server = TlsServer::start(&[], move |request| {
        seen.lock().unwrap().push(request.line());
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
    });
    let other = TlsServer::start(&[], |_| String::new());
    let place = Place::of(&api)
        .file("ca.pem", &other.authority)
        .config("ca-file = \"ca.pem\"\n")
        .webhook("hook", &server.url());
    let sidecar = place.start_watching();
    roll_out(&api, "a", "d2");
    sidecar.wait_for_log("hook: a delivery failed: cannot connect to localhost:");
    std::fs::write(place.path("ca.pem"), &server.authority).unwrap();
    wait_until("an event was sent", || {
        let lines = lines.lock().unwrap();
        lines.contains(&"POST /v1".to_owned()).then_some(())
    });
    sidecar.stop();
}
