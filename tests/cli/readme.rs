//! What the README and docs/ show is true: our program understands every command line, and the workflows use
//! what the action and the job template have.

use std::fs;
use std::process::Command;

use regex_lite::Regex;
use serde_json::Value;

use crate::harness::Test;
use crate::support::{parse_yaml, project, project_text};

/// Every text in a tree of YAML.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(values) => values.values().flat_map(texts).collect(),
        _ => vec![],
    }
}

/// The shell scripts of the documents: their blocks, their lines of code within the text, and those of
/// jobs.
fn scripts() -> Vec<String> {
    let pages = [
        "README.md",
        "docs/ci.md",
        "docs/configuration.md",
        "docs/sidecar.md",
        "docs/simulator.md",
        "docs/sinks.md",
        "docs/troubleshooting.md",
        "python/README.md",
    ];
    let text = pages.map(project_text).concat();
    let block = Regex::new(r"(?s)```sh\n(.*?)```").unwrap();
    let inline = Regex::new(r"`(pipecat-rollout [^`]+)`").unwrap();
    let found = |pattern: &Regex| {
        let scripts = pattern
            .captures_iter(&text)
            .map(|found| found[1].to_owned());
        scripts.collect::<Vec<_>>()
    };
    let job = Regex::new(r"(?m)^ +- (pipecat-rollout .+)$").unwrap();
    [found(&block), found(&inline), found(&job)].concat()
}

/// The arguments with which a script calls our program: it runs where there is nothing else, and
/// where our program is one that prints its arguments.
fn calls(script: &str) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let stand_ins = r#"
pipecat-rollout() { printf '%s\n' "$@" >>"$LOG"; echo "end of call" >>"$LOG"; echo id; }
cargo() { :; }
curl() { :; }
uv() { :; }
uvx() { "$@"; }
docker() { [ "$1" = run ] || return 0; while [ $# -gt 0 ] && [ "$1" != pipecat-rollout ]; do shift; done; [ $# -lt 2 ] || { shift; pipecat-rollout "$@"; }; }
pipecat() { [ "$1" != rollout ] || { shift; pipecat-rollout "$@"; }; }
jq() { read -r line; echo "$line"; }
"#;
    let done = Command::new("/bin/bash")
        .args(["-e", "-c", &format!("{stand_ins}\n{script}")])
        .env_clear()
        .env("PATH", folder.path())
        .env("LOG", &log)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        done.status.success() && done.stderr.is_empty(),
        "{script}\n{done:?}"
    );
    let text = fs::read_to_string(&log).unwrap_or_default();
    let calls = text.split("end of call\n").filter(|call| !call.is_empty());
    calls
        .map(|call| call.lines().map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_command_line_of_the_documents_is_understood() {
    let mut tried = 0;
    let example = fs::read(project("config/pipecat-rollout.toml")).unwrap();
    for script in scripts() {
        for call in calls(&script) {
            tried += 1;
            let arguments = call.iter().map(String::as_str);
            let simulated = call.iter().any(|argument| argument == "--simulate");
            if call[0] == "simulate" {
                // It would serve for ever: an address that it refuses shows that it has read all.
                let served: Vec<&str> = arguments
                    .map(|argument| {
                        argument
                            .strip_prefix("127.0.0.1:")
                            .map_or(argument, |_| "0.0.0.0:1")
                    })
                    .collect();
                let refuses = served.contains(&"0.0.0.0:1");
                assert!(
                    refuses || served.contains(&"--list") || served == ["simulate"],
                    "{script}"
                );
                if refuses {
                    Test::with(served)
                        .status(2)
                        .stderr("error: the simulator serves on loopback addresses only, not on 0.0.0.0:1\n")
                        .run();
                }
            } else if call.iter().any(|argument| argument == "--demo") {
                // It would run for ever: an address that is none shows that it has read all.
                let left = Test::with(arguments)
                    .env("PIPECAT_ROLLOUT_LISTEN", "nowhere")
                    .status(2)
                    .stderr_any()
                    .run();
                assert!(left.stderr.contains("nowhere"), "{}", left.stderr);
            } else if call.contains(&"--health".to_owned()) {
                let left = Test::with(arguments).env("PIPECAT_ROLLOUT_LISTEN", "127.0.0.1:9");
                let left = left.status(1).stderr_any().run();
                assert!(left.stderr.contains("nobody answers"), "{}", left.stderr);
            } else if call.contains(&"--test-sink".to_owned()) {
                let left = Test::with(arguments).file("pipecat-rollout.toml", &example);
                let left = left.status(2).stderr_any().run();
                assert!(left.stderr.contains("there is no sink"), "{}", left.stderr);
            } else if call[0] == "history" || call.contains(&"--redeliver".to_owned()) {
                let left = Test::with(arguments).file("pipecat-rollout.toml", &example);
                let left = left.status(2).stderr_any().run();
                assert!(left.stderr.contains("there is no store"), "{}", left.stderr);
            } else if call.iter().any(|argument| argument == "--check-config") {
                Test::with(arguments)
                    .file("pipecat-rollout.toml", &example)
                    .stdout_starts("the configuration is in order\n")
                    .run();
            } else if ["completions", "man", "mcp"].contains(&call[0].as_str()) {
                Test::with(arguments).stdout_any().run();
            } else if simulated {
                let status = if call.iter().any(|word| word == "rolling-update") {
                    0
                } else {
                    10
                };
                let speed = (!call.iter().any(|word| word == "--speed")).then_some("--speed=50");
                Test::with(arguments.chain(speed))
                    .status(status)
                    .stdout_starts("voice-starter: ")
                    .stderr_any()
                    .run();
            } else {
                let left = Test::with(arguments)
                    .env("PIPECAT_API_URL", "https://unknown.invalid/v1")
                    .file("pipecat-rollout.toml", &example)
                    .file("webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
                    .status(2)
                    .stderr_any()
                    .run();
                assert!(
                    left.stderr.contains("no API key"),
                    "{call:?}\n{}",
                    left.stderr
                );
            }
        }
    }
    assert!(tried >= 9, "only {tried} command lines were found");
}

#[test]
fn every_switch_that_the_documents_name_is_one() {
    let page = project_text("docs/configuration.md");
    let (_, table) = page.split_once("| switch | default | meaning |").unwrap();
    let help = ["wait-for-ready", "run"].map(|command| {
        let help = Test::new(&format!("{command} --help")).stdout_any().run();
        help.stdout
    });
    let is_switch = |word: &str| {
        let mut words = help.iter().flat_map(|help| help.split_whitespace());
        words.any(|shown| shown == word)
    };
    let row = Regex::new(r"(?m)^\| `(--[a-z-]+)").unwrap();
    let mut rows = 0;
    for found in row.captures_iter(table) {
        assert!(is_switch(&found[1]), "{}", &found[1]);
        rows += 1;
    }
    assert!(rows > 15, "only {rows} switches were found");
}

#[test]
fn the_pages_use_inputs_and_a_job_that_are_there() {
    let readme = project_text("README.md");
    let (_, steps) = readme.split_once("```yaml\n").unwrap();
    let (steps, _) = steps.split_once("```").unwrap();
    let steps = parse_yaml(steps);
    let action = parse_yaml(&project_text("action.yml"));
    let ours = steps.as_array().unwrap().last().unwrap();
    for input in ours["with"].as_object().unwrap().keys() {
        assert!(action["inputs"][input].is_object(), "no input {input}");
    }
    let page = project_text("docs/ci.md");
    let (_, pipeline) = page.split_once("# .gitlab-ci.yml\n").unwrap();
    let pipeline = parse_yaml(pipeline.split_once("```").unwrap().0);
    let template = parse_yaml(&project_text("config/ci/gitlab.yml"));
    let job = &pipeline["deploy"];
    let parent = &template[job["extends"].as_str().unwrap()];
    for variable in job["variables"].as_object().unwrap().keys() {
        let is_ours = parent["variables"][variable].is_string();
        assert!(
            is_ours || variable.starts_with("PIPECAT_ROLLOUT_"),
            "no variable {variable}"
        );
    }
    assert!(texts(&pipeline["include"])[0].ends_with("/config/ci/gitlab.yml"));
    assert!(page.contains("`!reference [.pipecat-rollout-install, script]`"));
    assert!(template[".pipecat-rollout-install"]["script"].is_array());
}
