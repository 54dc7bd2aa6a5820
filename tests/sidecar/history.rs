//! The history of the store, as a table and as JSON.

use crate::api::Api;
use crate::harness::Place;
use crate::receiver::Receiver;

#[test]
fn the_history_is_shown_while_the_sidecar_runs_and_after() {
    let (api, hook) = (Api::with(&["a", "b"]), Receiver::start());
    let place = Place::of(&api).webhook("hook", &hook.url());
    let sidecar = place.start_watching();
    for (agent, deployment, good) in [("a", "d2", true), ("b", "d2", false), ("b", "d3", true)] {
        api.deploy(agent, deployment);
        sidecar.wait_for_log(&format!("{agent}: rollout of {deployment} started"));
        let verdict = if good {
            api.ready(agent);
            "ready"
        } else {
            api.fail(agent);
            "failed"
        };
        hook.wait_for_line(&format!("{agent} {deployment} rollout.finished {verdict}"));
    }
    let running = place.other(&["history"]);
    sidecar.stop();
    for ended in [running, place.other(&["history"])] {
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
        let text = ended.stdout;
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("FINISHED "), "{text}");
        for (line, start) in [
            (1, " b      ready    "),
            (2, " b      failed   "),
            (3, " a      ready    "),
        ] {
            assert!(lines[line].contains(start), "{text}");
        }
        for line in [
            "3 rollouts: 1 failed, 2 ready",
            "success rate 67 % (2 of 3 judged)",
        ] {
            assert!(lines.contains(&line), "{line}:\n{text}");
        }
        assert!(
            text.contains("time to restore after a failure: median "),
            "{text}"
        );
    }
    let json = place.other(&[
        "history", "b", "--output", "json", "--by", "agent", "--limit", "1",
    ]);
    let json = json.json();
    assert_eq!(json["stats"]["count"], 2);
    assert_eq!(json["stats"]["restores"], 1);
    assert_eq!(json["groups"][0]["name"], "b");
    assert_eq!(json["groups"][0]["stats"]["count"], 2);
    let rollouts = json["rollouts"].as_array().unwrap();
    assert_eq!(rollouts.len(), 1);
    assert_eq!(rollouts[0]["deploymentId"], "d3");
    let received = hook.received();
    let last = received
        .iter()
        .find(|one| one.line() == "b d3 rollout.finished ready")
        .unwrap();
    assert_eq!(rollouts[0]["id"], last.id());
    assert_eq!(rollouts[0]["finishedAt"], last.event["time"]);
    assert_eq!(rollouts[0]["verdict"], last.event["data"]["verdict"]);
    let failed = place.other(&["history", "--verdict", "failed", "--since", "1h"]);
    assert!(
        failed.stdout.contains("1 rollout: 1 failed"),
        "{}",
        failed.stdout
    );
    let none = place.other(&["history", "--until", "1h"]);
    assert_eq!(none.stdout, "no rollouts\n");
}

#[test]
fn a_name_that_a_ci_runner_would_obey_begins_no_line() {
    let api = Api::with(&["::error::a", "##vso[b]"]);
    let place = Place::of(&api);
    let sidecar = place.start_watching();
    for (agent, written) in [("::error::a", "::error::a"), ("##vso[b]", "#\\u0023vso[b]")] {
        api.deploy(agent, "d2");
        sidecar.wait_for_log(&format!("\"agent\":\"{written}\""));
        api.ready(agent);
        sidecar.wait_for_log("rollout ready");
    }
    sidecar.stop();
    for by in ["agent", "day"] {
        let shown = place.other(&["history", "--by", by]).stdout;
        assert!(
            !shown
                .lines()
                .any(|line| line.trim_start().starts_with("::")),
            "{shown}"
        );
        assert!(!shown.contains("##vso["), "{shown}");
    }
}

#[test]
fn a_wrong_history_option_is_named() {
    let place = Place::of(&Api::with(&[]));
    for (arguments, shown) in [
        (vec!["history"], "there is no store at "),
        (
            vec!["history", "--since", "yesterday"],
            "a time is written like ",
        ),
        (
            vec!["history", "--verdict", "fialed"],
            "a similar value exists: 'failed'",
        ),
        (
            vec!["history", "--by", "day", "--output", "csv"],
            "--by adds statistics, for which CSV has no place",
        ),
        (vec!["history", "--store", "."], "--store: . is no file"),
    ] {
        let ended = place.other(&arguments);
        assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
        assert!(
            ended.stderr.contains(shown),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}
