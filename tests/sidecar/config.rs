//! The configuration: where it comes from, and what is wrong with it.

use crate::api::Api;
use crate::harness::Place;
use crate::support::project_text;

fn place() -> Place {
    Place::of(&Api::with(&["a"]))
}

#[test]
fn a_configuration_is_checked_without_being_run() {
    let api = Api::with(&["a"]);
    let place = Place::of(&api).webhook("ops", "https://example.com/secret-path");
    let ended = place.args("--check-config").run();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(
        ended.stdout.starts_with("the configuration is in order\n"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("sinks    ops\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("secret-path"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
    assert!(api.requests().is_empty());
}

#[test]
fn a_check_shows_every_problem_on_a_line_and_exits_with_2() {
    let text = "api-key-file = \"/no/such/key\"\n";
    let switches = "--check-config --store watch.toml/store.db";
    let ended = place().config(text).args(switches).run();
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert_eq!(ended.stdout, "");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0]
            .contains("watch.toml, line 6: api-key-file: cannot read /no/such/key: No such file")
    );
    assert!(lines[1].contains("--store: watch.toml/store.db cannot be opened or made: "));
    let text = "interval = 15s\n";
    let ended = place().config(text).run();
    assert_eq!(ended.code(), 2, "{ended:?}");
    let what = "watch.toml, line 6: interval: a text needs quotes, like interval = ";
    assert!(ended.stderr.contains(what), "{}", ended.stderr);
    let text = "max-rsp = 3\n[[sink]]\nname = \"x\"\nkind = \"exec\"\n\
                [[sink]]\nname = \"y\"\nkind = \"slack\"\ncommand = [\"page\"]\n";
    // With the check and without.
    for arguments in ["", "--check-config"] {
        let ended = place().config(text).args(arguments).run();
        assert_eq!(ended.code(), 2, "{ended:?}");
        // The log is JSON: quotes are escaped there.
        let log = ended.stderr.replace("\\\"", "\"");
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 3, "{log}");
        for (line, what) in lines.iter().zip([
            "watch.toml, line 6: unknown key `max-rsp`; did you mean `max-rps`?",
            "watch.toml, line 7: sink \"x\": missing key `command`",
            "watch.toml, line 13: sink \"y\": unknown key `command`; known here: ",
        ]) {
            assert!(line.contains(what), "{line}");
            assert!(line.contains("\"level\":\"ERROR\""), "{line}");
        }
    }
}

#[test]
fn a_listener_beyond_loopback_is_a_warning() {
    let warning = "anyone who can reach 0.0.0.0:";
    let open = place().args("--listen :0").start_watching();
    open.wait_for_log(warning);
    assert!(open.stop().stderr.contains("\"level\":\"WARN\""));
    let own = place().args("--listen localhost:0").start_watching();
    let address = own.endpoints();
    assert!(address.ip().is_loopback(), "{address}");
    assert!(!own.stop().stderr.contains(warning));
}

#[test]
fn switches_come_before_variables_and_those_before_the_file() {
    let place = place().config("delivery-timeout = \"1h\"\nstore = \"/from/the/file\"\n");
    let mut command = place.sidecar();
    command
        .arg("--check-config")
        .env_remove("PIPECAT_ROLLOUT_STORE");
    let store = |ended: crate::support::process::Ended| {
        let line = ended
            .stdout
            .lines()
            .find(|line| line.starts_with("  store"))
            .map(str::to_owned);
        line.unwrap()
            .trim_start_matches("  store")
            .trim()
            .to_owned()
    };
    assert_eq!(store(place.start_command(command).end()), "/from/the/file");
    let variable = || {
        let mut command = place.sidecar();
        command
            .arg("--check-config")
            .env("PIPECAT_ROLLOUT_STORE", "/from/a/variable");
        command
    };
    assert_eq!(
        store(place.start_command(variable()).end()),
        "/from/a/variable"
    );
    let mut command = variable();
    command.args(["--store", "/from/a/switch"]);
    assert_eq!(store(place.start_command(command).end()), "/from/a/switch");
}

#[test]
fn every_key_of_the_example_is_a_variable_and_a_switch() {
    let example = project_text("config/pipecat-rollout.toml");
    let help = place().other(&["watch", "--help"]).stdout;
    let (own, _sinks) = example.split_once("# [[sink]]").unwrap();
    let mut keys = 0;
    for line in own.lines() {
        let Some((key, _)) = line
            .strip_prefix("# ")
            .and_then(|line| line.split_once(" = "))
        else {
            continue;
        };
        if ["agents", "muted"].contains(&key) {
            // The ones are the arguments, the other is a list of tables.
            continue;
        }
        let switch = if key == "regions" {
            "--region <"
        } else {
            &format!("--{key}")
        };
        assert!(help.contains(switch), "{switch}");
        let variable = match key {
            "api-url" => "PIPECAT_API_URL".to_owned(),
            key => format!("PIPECAT_ROLLOUT_{}", key.to_uppercase().replace('-', "_")),
        };
        assert!(help.contains(&variable), "{variable}");
        keys += 1;
    }
    assert!(keys >= 14, "{keys} keys were found");
}

#[test]
fn the_schema_takes_the_example_and_no_unknown_key() {
    let text = project_text("config/schema/config.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let example = project_text("config/pipecat-rollout.toml");
    let keys = example.lines().map(|line| match line.strip_prefix("# ") {
        Some(key) if key.contains(" = ") || key.starts_with("[[") => key,
        _ => line,
    });
    let whole: toml::Value = toml::from_str(&keys.collect::<Vec<_>>().join("\n")).unwrap();
    let whole = serde_json::to_value(whole).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&whole)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    // All that the schema knows is in the example, and the other way round.
    let known: std::collections::BTreeSet<&String> =
        schema["properties"].as_object().unwrap().keys().collect();
    let shown: std::collections::BTreeSet<&String> = whole.as_object().unwrap().keys().collect();
    assert_eq!(known, shown);
    for wrong in [
        serde_json::json!({ "intervall": "15s" }),
        serde_json::json!({ "max-rps": 0 }),
        serde_json::json!({ "sink": [{ "name": "x", "kind": "carrier-pigeon" }] }),
        serde_json::json!({ "sink": [{ "name": "x", "kind": "webhook" }] }),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}
