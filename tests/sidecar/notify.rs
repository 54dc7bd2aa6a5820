//! What an operator does with sinks: try them, see and resend what was not taken, mute, and hear of the
//! sidecar itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::api::Api;
use crate::harness::{Place, get, get_json};
use crate::receiver::{Receiver, Reply};
use crate::support::http::{answer, send};
use crate::support::process::Signal;
use crate::support::{http, wait_until};

#[test]
fn test_sink_shows_the_answer_of_the_sink() {
    let api = Api::with(&[]);
    let hook = Receiver::replying(|number, _| match number {
        0 => Reply::Take,
        _ => Reply::Status("405 Method Not Allowed", "allow: PUT\r\n".to_owned()),
    });
    let place = Place::of(&api).webhook("ops", &hook.url());
    let ended = place.args("--test-sink ops").run();
    assert_eq!(ended.code(), 1, "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(
        lines[0].starts_with("ops (webhook to 127.0.0.1:"),
        "{lines:?}"
    );
    assert!(lines[0].ends_with("): taken"), "{lines:?}");
    assert!(
        lines[1].starts_with("  pipecat-rollout-test: rollout failed after "),
        "{lines:?}"
    );
    let refused = "): not taken: the receiver answered 405 Method Not Allowed; it takes PUT";
    assert!(lines[2].ends_with(refused), "{lines:?}");
    assert!(
        ended
            .stderr
            .contains("the sink \\\"ops\\\" did not take all of it"),
        "{ended:?}"
    );
    assert!(api.requests().is_empty());
    let ended = Place::of(&api)
        .webhook("ops", "https://example.com/")
        .args("--test-sink pos")
        .run();
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("there is no sink \\\"pos\\\"; there are ops"),
        "{ended:?}"
    );
}

#[test]
fn a_program_that_repeats_the_key_does_not_show_it() {
    let api = Api::with(&[]);
    let command = r#"["/bin/sh", "-c", "echo \"no $(cat key)\" >&2; exit 1"]"#;
    let sink = format!("[[sink]]\nname = \"run\"\nkind = \"exec\"\ncommand = {command}\n");
    let place = Place::of(&api).config(&sink);
    std::fs::write(place.path("key"), "sk_0f-a-file\n").unwrap();
    let ended = place.args("--test-sink run --api-key-file key").run();
    assert!(
        ended
            .stdout
            .contains("/bin/sh: exit status: 1: no [the API key]\n"),
        "{ended:?}"
    );
}

#[test]
fn dead_letters_are_listed_and_redelivered_on_request() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let down = Receiver::replying(|_, _| Reply::HangUp);
    let place = Place::of(&api).webhook("ops", &down.url());
    let nothing = place.other(&["history", "--undelivered"]);
    assert_eq!(nothing.code(), 2, "there is no store: {nothing:?}");
    let sidecar = place.start_watching();
    api.deploy("a", "d2");
    api.fail("a");
    sidecar.wait_for_log("a: rollout failed");
    sidecar.stop();
    let shown = place.other(&["history", "--undelivered"]).stdout;
    assert!(
        shown.starts_with("ops: ") && shown.contains(" wait, 0 were not taken"),
        "{shown}"
    );
    // Without its sink, what waits is given up once it is too old.
    let sidecar = place.start_command(place.command(&[
        "watch",
        "--progress",
        "json",
        "--listen",
        "off",
        "--delivery-timeout",
        "0s",
    ]));
    sidecar.wait_for_log("events were given up, and are kept");
    sidecar.stop();
    let shown = place.other(&["history", "--undelivered"]).stdout;
    assert!(shown.contains("ops: 0 wait, "), "{shown}");
    assert!(
        shown.contains("  rollout.finished ") && shown.contains("  its sink was down for too long"),
        "{shown}"
    );
    let json = place
        .other(&["history", "--undelivered", "--output", "json"])
        .json();
    let letters = json["deadLetters"].as_array().unwrap();
    assert!(
        letters
            .iter()
            .any(|letter| letter["kind"] == "rollout.finished"),
        "{json}"
    );
    let csv = place
        .other(&["history", "--undelivered", "--output", "csv"])
        .stdout;
    assert_eq!(csv.lines().count(), letters.len() + 1, "{csv}");
    // While a sidecar runs, which sends it.
    let text = std::fs::read_to_string(place.path("watch.toml")).unwrap();
    std::fs::write(
        place.path("other.toml"),
        text.replace(&down.url(), &hook.url()),
    )
    .unwrap();
    let config = ["--config", "other.toml"];
    let command = [&["watch", "--progress", "json"], &config[..]].concat();
    let sidecar = place.start_command(place.command(&command));
    sidecar.wait_for_log("\"message\":\"watching ");
    let again = place.other(&[&["watch", "--redeliver", "ops"], &config[..]].concat());
    assert_eq!(again.code(), 0, "{again:?}");
    let line = format!("{} events wait for the sink ops again\n", letters.len());
    assert_eq!(again.stdout, line);
    hook.wait_for_line("a d2 rollout.finished failed");
    sidecar.stop();
    let again = place.other(&[&["watch", "--redeliver"], &config[..]].concat());
    assert_eq!(again.stdout, "there are no dead letters\n");
    let again = place.other(&[&["watch", "--redeliver", "opps"], &config[..]].concat());
    assert_eq!(again.code(), 2, "{again:?}");
    let why = r#"--redeliver: there is no sink \"opps\"; there are ops"#;
    assert!(again.stderr.contains(why), "{again:?}");
}

#[test]
fn a_heartbeat_is_sent_only_while_agents_can_be_read() {
    let pinged = Arc::new(AtomicBool::new(false));
    let ping = Arc::clone(&pinged);
    let switch = http::serve(move |request, stream| {
        assert_eq!(
            (request.line(), request.body.as_str()),
            ("POST /".to_owned(), "")
        );
        let status = if ping.swap(true, Ordering::SeqCst) {
            "200 OK"
        } else {
            "404 Not Found"
        };
        send(stream, &answer(status, "", ""));
    });
    let sink = format!(
        "[[sink]]\nname = \"alive\"\nkind = \"heartbeat\"\nurl = \"http://{switch}/\"\nevery = \"1s\"\n\
         method = \"POST\"\n"
    );
    let blind = Place::at("http://127.0.0.1:9/v1").config(&sink).start();
    blind.wait_for_log("alive: no heartbeat is sent: the list of agents could not be read yet");
    let at = blind.endpoints().to_string();
    let place = Place::at("http://127.0.0.1:9/v1");
    let health = place.other(&["watch", "--health", "--listen", &at]);
    assert_eq!(health.code(), 1, "{health:?}");
    let why = "not healthy: the list of agents could not be read yet";
    assert!(health.stderr.contains(why), "{health:?}");
    blind.stop();
    assert!(!pinged.load(Ordering::SeqCst));
    let health = place.other(&["watch", "--health", "--listen", &at]);
    assert!(
        health.stderr.contains("not healthy: nobody answers at "),
        "{health:?}"
    );

    let api = Api::with(&["a"]);
    let place = Place::of(&api).config(&sink);
    let sidecar = place.start_watching();
    sidecar.wait_for_log("alive: a heartbeat failed: the receiver answered 404 Not Found");
    sidecar.wait_for_log("alive: heartbeats arrive again");
    let at = sidecar.endpoints().to_string();
    let healthy = || {
        let health = place.other(&["watch", "--health", "--listen", &at]);
        (health.code() == 0 && health.stdout == "healthy\n").then_some(())
    };
    wait_until("it is healthy", healthy);
    sidecar.stop();
}

#[test]
fn muted_events_are_logged_and_counted_but_not_sent() {
    let (api, hook) = (Api::with(&["loud", "quiet"]), Receiver::start());
    let place = Place::of(&api)
        .config(
            "muted = [\n\
             { agents = [\"quiet\"], until = \"2999-01-01T00:00:00Z\", reason = \"load test\" },\n\
             { agents = [\"loud\"], until = \"2020-01-01T00:00:00Z\", reason = \"last year\" },\n\
             ]\n",
        )
        .webhook("hook", &hook.url());
    let muted = "quiet until 2999-01-01T00:00:00Z: load test";
    let sidecar = place.start_watching();
    sidecar.wait_for_log(&format!("muted: {muted}"));
    let over = "loud until 2020-01-01T00:00:00Z: last year";
    let line = sidecar.wait_for_log(over);
    assert!(
        line.contains(&format!("not muted any more: {over}")),
        "{line}"
    );
    for agent in ["quiet", "loud"] {
        api.deploy(agent, "d2");
        sidecar.wait_for_log(&format!("{agent}: rollout of d2 started"));
        api.ready(agent);
        sidecar.wait_for_log(&format!("{agent}: rollout ready"));
    }
    let line = sidecar.wait_for_log("quiet: rollout ready");
    assert!(line.contains(" (muted)\""), "{line}");
    hook.wait_for_line("loud d2 rollout.finished ready");
    let readyz = get_json(sidecar.endpoints(), "/readyz").unwrap();
    assert_eq!(readyz["muted"][0]["what"], muted);
    assert!(readyz["muted"][0]["events"].as_u64() >= Some(2), "{readyz}");
    let (_, metrics) = get(sidecar.endpoints(), "/metrics").unwrap();
    assert!(metrics.contains("\npipecat_rollout_mutes 1\n"), "{metrics}");
    sidecar.stop();
    assert!(
        hook.received()
            .iter()
            .all(|one| one.line().starts_with("loud "))
    );
    let history = place.other(&["history", "quiet"]).stdout;
    assert!(history.contains("1 rollout: 1 ready"), "{history}");
    let checked = place.args("--check-config").run().stdout;
    assert!(
        checked.contains(&format!("  muted    {muted}\n")),
        "{checked}"
    );
}

#[test]
fn what_opened_while_muted_is_sent_when_it_is_muted_no_more() {
    let (api, hook) = (Api::with(&["quiet"]), Receiver::start());
    let muted =
        "muted = [{ agents = [\"quiet\"], until = \"2999-01-01T00:00:00Z\", reason = \"x\" }]\n";
    let place = Place::of(&api).config(muted).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    api.deploy("quiet", "d2");
    api.fail("quiet");
    sidecar.wait_for_log("quiet: rollout failed after");
    let config = std::fs::read_to_string(place.path("watch.toml")).unwrap();
    std::fs::write(place.path("watch.toml"), config.replace(muted, "")).unwrap();
    sidecar.signal(Signal::HUP);
    let lines = hook.wait_for_line("quiet d2 rollout.finished failed");
    assert_eq!(lines.len(), 1, "{lines:?}");
    sidecar.stop();
}

#[test]
fn a_store_that_cannot_be_written_is_announced_to_sinks() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    let (store, aside) = (place.path("store.db"), place.path("aside"));
    // At no moment is there no file: it would be made again.
    std::fs::hard_link(&store, &aside).unwrap();
    std::fs::write(place.path("other"), "somebody's").unwrap();
    std::fs::rename(place.path("other"), &store).unwrap();
    api.deploy("a", "d2");
    let of_kind = |kind: &str| {
        let kind = format!("dev.pipecat-rollout.{kind}");
        let received = hook.wait_for(|all| all.iter().any(|one| one.event["type"] == kind));
        received
            .into_iter()
            .find(|one| one.event["type"] == kind)
            .unwrap()
    };
    let failing = of_kind("store.failing");
    let why = failing.event["data"]["reason"]["summary"].as_str().unwrap();
    assert!(why.contains(" was replaced while it was in use"), "{why}");
    // Also after a restart it is known to have been said.
    wait_until("it is noted", || {
        place.path("store.db-failing").exists().then_some(())
    });
    sidecar.kill();
    std::fs::rename(&aside, &store).unwrap();
    let sidecar = place.start();
    let recovered = of_kind("store.recovered");
    for key in ["/dedupkey", "/data/startedAt"] {
        let [closed, opened] = [&recovered, &failing].map(|one| one.event.pointer(key).unwrap());
        assert_eq!(closed, opened, "{key}");
    }
    hook.wait_for(|all| all.iter().any(|one| one.event["data"]["agent"] == "a"));
    sidecar.stop();
}

#[test]
fn the_history_can_be_had_whole_as_json_and_csv() {
    let (api, hook) = (Api::with(&["a"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    for number in 2..25 {
        let deployment = format!("d{number}");
        api.deploy("a", &deployment);
        sidecar.wait_for_log(&format!("rollout of {deployment} started"));
        api.ready("a");
        hook.wait_for_line(&format!("a {deployment} rollout.finished ready"));
    }
    sidecar.stop();
    let text = place.other(&["history"]).stdout;
    assert!(text.contains("(20 of 23; --limit shows more)"), "{text}");
    let json = place.other(&["history", "-o", "json"]).json();
    assert_eq!(json["rollouts"].as_array().unwrap().len(), 23);
    assert_eq!(json["stats"]["count"], 23);
    let csv = place.other(&["history", "-o", "csv"]).stdout;
    let rows: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(rows.len(), 25, "{csv}");
    assert!(
        rows[0].starts_with("finishedAt,agent,region,verdict,"),
        "{csv}"
    );
    assert!(
        rows[1].contains(",a,") && rows[1].contains(",ready,"),
        "{csv}"
    );
    let csv = place
        .other(&["history", "-o", "csv", "--limit", "2"])
        .stdout;
    assert_eq!(csv.split("\r\n").count(), 4, "{csv}");
}
