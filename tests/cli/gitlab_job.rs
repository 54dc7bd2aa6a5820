//! The job for GitLab CI, run as its runner would run it, from a release in a folder.

use serde_json::{Value, json};

use crate::harness::Test;
use crate::readme::texts;
use crate::release::{Fault, executable, fetched, publish, ran, target};
use crate::server::{Server, agent, details, play};
use crate::support::{KEY, parse_yaml, project_text};

/// The lines of a script, with what they refer to.
fn lines(template: &Value, script: &Value) -> String {
    let lines = script
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|line| match line {
            // GitLab's `!reference [job, key]`.
            Value::Array(path) => {
                texts(&template[path[0].as_str().unwrap()][path[1].as_str().unwrap()])
            }
            line => texts(line),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// A job that extends the template's: its keys take the place of those.
fn extended(server: &Server, job: &Value, fault: Fault) -> Test {
    let template = parse_yaml(&project_text("config/ci/gitlab.yml"));
    let base = &template[".pipecat-rollout"];
    let before = job.get("before_script").cloned().unwrap_or(json!([]));
    // One shell, as the runner has it.
    let script = [
        lines(&template, &before),
        lines(&template, job.get("script").unwrap_or(&base["script"])),
    ];
    let test = Test::of("sh", ["-e", "-c", &script.join("\n")]);
    let mut test = test
        .env("CI", "true")
        .env("GITLAB_CI", "true")
        .env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_API_KEY", KEY);
    for (name, value) in publish(&test.folder(), &target(), fault) {
        test = test.env(name, value);
    }
    let variables = [&base["variables"], &job["variables"]];
    for (name, value) in variables.iter().filter_map(|it| it.as_object()).flatten() {
        test = test.env(name, value.as_str().unwrap());
    }
    test
}

#[test]
fn it_survives_a_before_script_and_leaves_the_artifacts_that_it_names() {
    let server = play(vec![details(&json!({"name": null, "ready": true}))]);
    let job = json!({
        "variables": {"AGENT": "my-agent other"},
        "before_script": ["touch prepared"],
    });
    let test = extended(&server, &job, Fault::None);
    let folder = test.folder();
    test.afterwards(move || {
        assert!(folder.join("prepared").exists());
        let version = env!("CARGO_PKG_VERSION");
        let from = format!(
            "{}/releases/download/v{version}",
            env!("CARGO_PKG_REPOSITORY")
        );
        let archive = format!("{from}/pipecat-rollout-{}.tar.gz", target());
        assert_eq!(fetched(&folder), [archive, format!("{from}/SHA256SUMS")]);
        assert_eq!(ran(&folder).unwrap(), "wait-for-ready -- my-agent other");
        let artifacts =
            &parse_yaml(&project_text("config/ci/gitlab.yml"))[".pipecat-rollout"]["artifacts"];
        assert_eq!(artifacts["when"], "always");
        let named = [texts(&artifacts["paths"]), texts(&artifacts["reports"])].concat();
        assert_eq!(named.len(), 3);
        for file in named {
            assert!(folder.join(file).is_file(), "{file}");
        }
    })
    .stdout_starts("pipecat-rollout-")
    .stderr_any()
    .run();
}

#[test]
fn it_runs_a_command_or_a_script_that_deploys() {
    let server = play(vec![agent(true)]);
    for (run, words) in [
        ("deploy --yes *", "sh -ec deploy --yes *"),
        ("deploy --file x.toml --yes", "deploy --file x.toml --yes"),
    ] {
        let job = json!({"variables": {"AGENT": "my-agent", "RUN": run}});
        let test = extended(&server, &job, Fault::None);
        let folder = test.folder();
        executable(&folder.join("bin/deploy"), "#!/bin/sh\nexit 9\n");
        test.afterwards(move || {
            assert_eq!(ran(&folder).unwrap(), format!("run my-agent -- {words}"));
        })
        .status(9)
        .stdout_starts("pipecat-rollout-")
        .stderr_any()
        .run();
    }
}

#[test]
fn a_script_of_ones_own_refers_to_the_one_that_brings_the_program() {
    let job = json!({"script": [
        [".pipecat-rollout-install", "script"], "touch deployed", "pipecat-rollout wait my-agent",
    ]});
    let test = extended(&play(vec![agent(true)]), &job, Fault::None);
    let folder = test.folder();
    test.afterwards(move || {
        assert!(folder.join("deployed").exists());
        assert_eq!(ran(&folder).unwrap(), "wait my-agent");
        assert!(folder.join("rollout.env").is_file());
    })
    .stdout_starts("pipecat-rollout-")
    .stderr_any()
    .run();
}

#[test]
fn it_says_what_failed_and_which_variable_to_set() {
    let server = play(vec![agent(true)]);
    let archive = format!("pipecat-rollout-{}.tar.gz", target());
    let release = json!({"AGENT": "my-agent", "PIPECAT_ROLLOUT_RELEASE": "https://example.com/v1"});
    let no_key = json!({"AGENT": "my-agent", "PIPECAT_API_KEY": ""});
    for (fault, variables, words) in [
        (Fault::Archive, &release, format!("the checksum of {archive} is wrong: it is not what was released")),
        (Fault::List, &release, format!("SHA256SUMS does not name {archive} once")),
        (
            Fault::Missing,
            &release,
            format!("cannot download https://example.com/v1/{archive}; set PIPECAT_ROLLOUT_RELEASE to where the files of a release lie"),
        ),
        (
            Fault::None,
            &no_key,
            "no key; set PIPECAT_API_KEY (Settings, CI/CD, Variables). A protected variable is there only on protected branches and tags".to_owned(),
        ),
    ] {
        let test = extended(&server, &json!({"variables": variables}), fault);
        let folder = test.folder();
        let left = test
            .afterwards(move || assert_eq!(ran(&folder), None, "{fault:?}"))
            .status(2)
            .stdout_any()
            .stderr_any()
            .run();
        assert!(left.stderr.ends_with(&format!("pipecat-rollout: {words}\n")), "{}", left.stderr);
    }
    assert!(server.requests().is_empty());
}
