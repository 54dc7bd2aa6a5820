//! What the endpoints say while it runs.

use serde_json::Value;

use crate::api::Api;
use crate::harness::{Place, Sidecar, get};
use crate::support::http::{answer, send};
use crate::support::{http, parse_json, wait_until};

fn json(sidecar: &Sidecar, path: &str) -> (u16, Value) {
    let (status, body) = get(sidecar.endpoints(), path).unwrap();
    (status, parse_json(&body))
}

#[test]
fn the_health_check_sends_the_token_of_its_configuration() {
    const TOKEN: &str = "a-token-0f-some-length";
    let place = Place::at("http://127.0.0.1:9/v1").file("token", TOKEN);
    let path = place.path("token");
    let place = place.config(&format!("http-token-file = \"{}\"\n", path.display()));
    let sidecar = place.start();
    let at = sidecar.endpoints().to_string();
    let config = place.path("watch.toml");
    let health = |arguments: &[&str]| {
        let asked = ["watch", "--health", "--listen", &at];
        let health = place.other(&[&asked, arguments].concat());
        assert_eq!(health.code(), 1, "{health:?}");
        assert!(!health.stderr.contains(TOKEN), "{health:?}");
        health.stderr
    };
    let config = ["--config", config.to_str().unwrap()];
    let words = health(&config);
    let why = "not healthy: the list of agents could not be read yet";
    assert!(words.contains(why), "{words}");
    let words = health(&[]);
    assert!(words.contains("give --http-token-file as well"), "{words}");
    std::fs::write(place.path("other"), "another-token-of-some-length").unwrap();
    let other = place.path("other");
    let words = health(&["--http-token-file", other.to_str().unwrap()]);
    assert!(words.contains("401 Unauthorized"), "{words}");
    sidecar.stop();
}

#[test]
fn another_server_that_answers_is_no_healthy_sidecar() {
    let server = http::serve(|_, stream| send(stream, &answer("200 OK", "", "hello\n")));
    let at = server.to_string();
    let place = Place::at("http://127.0.0.1:9/v1");
    let health = place.other(&["watch", "--health", "--listen", &at]);
    assert_eq!(health.code(), 1, "{health:?}");
    let why = format!("not healthy: what answers at {at} is no sidecar");
    assert!(health.stderr.contains(&why), "{health:?}");
}

#[test]
fn agents_and_rollouts_are_listed_with_what_is_known() {
    let api = Api::with(&["a", "b"]);
    let sidecar = Place::of(&api).start_watching();
    api.deploy("a", "d2");
    sidecar.wait_for_log("a: rollout validating");
    let (status, agents) = json(&sidecar, "/v1/agents");
    assert_eq!(status, 200);
    let agents = agents["agents"].as_array().unwrap().clone();
    assert_eq!(agents.len(), 2);
    assert_eq!(agents[0]["name"], "a");
    assert_eq!(agents[0]["state"], "rolling-out");
    assert_eq!(agents[0]["phase"], "validating");
    assert_eq!(agents[0]["ready"], false);
    api.ready("a");
    sidecar.wait_for_log("a: rollout ready");
    api.deploy("a", "d3");
    sidecar.wait_for_log("rollout of d3 started");
    api.fail("a");
    sidecar.wait_for_log("a: rollout failed after");
    let (_, first) = json(&sidecar, "/v1/rollouts?agent=a&limit=1&since=1h");
    assert_eq!(first["rollouts"][0]["deploymentId"], "d3");
    assert_eq!(first["rollouts"][0]["verdict"], "failed");
    let next = first["next"].as_u64().unwrap();
    let (_, second) = json(&sidecar, &format!("/v1/rollouts?before={next}"));
    assert_eq!(second["rollouts"][0]["deploymentId"], "d2");
    assert_eq!(second["rollouts"].as_array().unwrap().len(), 1);
    assert_eq!(second["next"], Value::Null);
    let (_, none) = json(&sidecar, "/v1/rollouts?agent=b");
    assert_eq!(none["rollouts"].as_array().unwrap().len(), 0);
    let (_, page) = json(&sidecar, "/v1/agents?limit=1");
    assert_eq!(page["next"], "a");
    let (_, page) = json(&sidecar, "/v1/agents?limit=1&after=a");
    assert_eq!(
        (&page["agents"][0]["name"], &page["next"]),
        (&"b".into(), &Value::Null)
    );
    sidecar.stop();
}

#[test]
fn livez_is_ok_during_an_outage_and_readyz_once_the_api_has_answered() {
    let api = Api::with(&["a"]);
    api.outage("500 Internal Server Error", "");
    let sidecar = Place::of(&api).start();
    sidecar.wait_for_log("the list of agents cannot be read");
    assert_eq!(json(&sidecar, "/livez").0, 200);
    let (status, ready) = json(&sidecar, "/readyz");
    assert_eq!(status, 503);
    let fault = ready["faults"][0].as_str().unwrap();
    assert!(
        fault.starts_with("the list of agents could not be read yet: "),
        "{fault}"
    );
    api.recover();
    wait_until("it is ready", || {
        (json(&sidecar, "/readyz").0 == 200).then_some(())
    });
    assert_eq!(json(&sidecar, "/livez").0, 200);
    sidecar.stop();
}

#[test]
fn metrics_count_rollouts_and_deliveries_and_drop_removed_agents() {
    let api = Api::with(&["a", "b"]);
    let hook = crate::receiver::Receiver::start();
    let sidecar = Place::of(&api)
        .webhook("hook", &hook.url())
        .start_watching();
    api.deploy("a", "d2");
    sidecar.wait_for_log("a: rollout validating");
    api.ready("a");
    hook.wait_for_line("a d2 rollout.finished ready");
    let metrics = wait_until("all is measured", || {
        let (_, text) = get(sidecar.endpoints(), "/metrics")?;
        let lines = [
            "pipecat_rollout_rollouts_total{verdict=\"ready\"} 1\n",
            "pipecat_rollout_agents 2\n",
            "pipecat_rollout_agent_ready{agent=\"a\"} 1\n",
            "pipecat_rollout_agent_ready{agent=\"b\"} 1\n",
            "pipecat_rollout_deliveries_total{sink=\"hook\",outcome=\"delivered\"} 4\n",
            "pipecat_rollout_outbox_pending{sink=\"hook\"} 0\n",
        ];
        lines.iter().all(|line| text.contains(line)).then_some(text)
    });
    assert!(
        !metrics.contains("d2"),
        "no deployment ids in labels: {metrics}"
    );
    api.remove("b");
    hook.wait_for_line("b d1 agent.removed");
    let metrics = get(sidecar.endpoints(), "/metrics").unwrap().1;
    assert!(!metrics.contains("agent=\"b\""), "{metrics}");
    let (_, events) = json(&sidecar, "/v1/events?agent=a&kind=rollout.finished");
    let event = &events["events"][0]["event"];
    assert_eq!(event["data"]["verdict"], "ready", "{events}");
    let number = events["events"][0]["number"].as_u64().unwrap();
    let (_, later) = json(&sidecar, &format!("/v1/events?after={number}"));
    assert_eq!(later["events"][0]["event"]["subject"], "b", "{later}");
    let (_, stats) = json(&sidecar, "/v1/stats?agent=a");
    assert_eq!(stats["stats"]["succeeded"], 1, "{stats}");
    sidecar.stop();
}
