//! The action and the GitLab job, run as the CI would run them, from a release in a folder.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{KEY, Test, project};
use crate::readme::{texts, yaml};
use crate::release::{Fault, fetched, publish, ran};
use crate::runner::{Step, commands, names, outputs};
use crate::server::{Server, agent, crashing, details, play};

/// Agents of any name that are ready.
fn all_ready() -> Server {
    play(vec![details(&json!({"name": null, "ready": true}))])
}

/// A use of the action with these inputs, `with:` in a workflow, against this server.
fn used(server: &Server, with: &Value, fault: Fault) -> (Test, Step) {
    let action = yaml("action.yml");
    let steps = action["runs"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1);
    let step = &steps[0];
    for input in with.as_object().unwrap().keys() {
        assert!(action["inputs"][input].is_object(), "no input {input}");
    }
    // GitHub runs `shell: bash` so.
    let script = step["run"].as_str().unwrap();
    let test = Test::of(
        "bash",
        [
            "--noprofile",
            "--norc",
            "-e",
            "-o",
            "pipefail",
            "-c",
            script,
        ],
    );
    let (mut test, files) = Step::around(publish(test, fault));
    test = test
        .env("GITHUB_REPOSITORY", "acme/voice")
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_ACTION_PATH", project(""))
        .env("PIPECAT_API_URL", server.url());
    for (name, value) in step["env"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let expression = value
            .strip_prefix("${{ ")
            .unwrap()
            .strip_suffix(" }}")
            .unwrap();
        let value = match expression.split_once('.').unwrap() {
            ("inputs", input) => {
                let default = &action["inputs"][input]["default"];
                with.get(input).unwrap_or(default).as_str().unwrap()
            }
            ("github", "action_repository") => "acme/pipecat-rollout",
            ("github", "action_ref") => "v0.1.0",
            other => panic!("{other:?}"),
        };
        test = test.env(name, value);
    }
    (test, files)
}

#[test]
fn the_action_runs_the_release_that_it_is_pinned_to() {
    let server = play(vec![crashing(4, "boom")]);
    let with =
        json!({"agent": " my-agent\n", "api-key": KEY, "report-file": "r.json", "timeout": "1m"});
    let (test, step) = used(&server, &with, Fault::None);
    let left = test
        .afterwards(move || {
            let from = "https://github.com/acme/pipecat-rollout/releases/download/v0.1.0";
            assert_eq!(
                fetched(step.folder()),
                [format!("{from}/ARCHIVE"), format!("{from}/SHA256SUMS")]
            );
            assert_eq!(ran(step.folder()).unwrap(), "wait-for-ready -- my-agent");
            let found = outputs(&step.read("set_output"));
            assert_eq!(found["verdict"], "failed");
            assert!(found["report-path"].ends_with("/r.json"));
            // What is forwarded is there, and all that is there is forwarded.
            let action = yaml("action.yml");
            let forwarded = action["outputs"].as_object().unwrap();
            let mut given: Vec<&str> = forwarded.keys().map(String::as_str).collect();
            given.sort_unstable();
            assert_eq!(given, found.keys().collect::<Vec<_>>());
            for (name, output) in forwarded {
                assert_eq!(
                    output["value"],
                    format!("${{{{ steps.rollout.outputs.{name} }}}}")
                );
            }
        })
        .status(10)
        .stderr_any()
        .run();
    assert_eq!(
        names(&commands(&left.stderr)),
        ["group", "endgroup", "error"]
    );
}

#[test]
fn inputs_become_switches_and_are_no_code() {
    // While the baseline is still the desired one, nothing new has come.
    let baseline = "59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3";
    let before = play(vec![details(
        &json!({"ready": true, "desiredDeploymentId": baseline}),
    )]);
    let with = json!({"agent": "my-agent", "api-key": KEY, "command": "status", "not-deployment": baseline, "version": "v9.9.9"});
    let (test, step) = used(&before, &with, Fault::None);
    test.afterwards(move || {
        assert_eq!(ran(step.folder()).unwrap(), "status -- my-agent");
        assert!(fetched(step.folder())[0].contains("/releases/download/v9.9.9/"));
    })
    .status(13)
    .stdout_starts("my-agent: unchanged")
    .stderr_any()
    .run();

    let server = all_ready();
    let owned = "$(touch owned) `touch owned` ; touch owned * --help";
    let (test, step) = used(
        &server,
        &json!({"agent": owned, "api-key": KEY}),
        Fault::None,
    );
    test.afterwards(move || {
        assert!(!step.folder().join("owned").exists());
        assert_eq!(
            ran(step.folder()).unwrap(),
            format!("wait-for-ready -- {owned}")
        );
    })
    .status(2)
    .stderr_any()
    .run();

    // The job's variables count where no input does, and the vendor's file names the agent.
    let (test, step) = used(&server, &json!({"simulate": "phase-failed"}), Fault::None);
    test.env("PIPECAT_ROLLOUT_SPEED", "50")
        .file("pcc-deploy.toml", "agent_name = 'a'")
        .afterwards(move || assert_eq!(ran(step.folder()).unwrap(), "wait-for-ready --"))
        .status(10)
        .stderr_any()
        .run();
}

#[test]
fn the_action_refuses_what_was_not_released() {
    let server = play(vec![agent(true)]);
    let archive = format!(
        "pipecat-rollout-{}-unknown-linux-musl.tar.gz",
        std::env::consts::ARCH
    );
    let with = json!({"agent": "my-agent", "api-key": KEY});
    let other = |name: &str, value: &str| {
        let mut with = with.clone();
        with[name] = value.into();
        with
    };
    for (fault, with, words) in [
        (
            Fault::Archive,
            with.clone(),
            format!("the checksum of {archive} is wrong: it is not what was released"),
        ),
        (
            Fault::List,
            with.clone(),
            format!("SHA256SUMS does not name {archive} once"),
        ),
        (
            Fault::Missing,
            with.clone(),
            format!("cannot download {archive} of the release v0.1.0"),
        ),
        (
            Fault::None,
            other("version", "../../evil"),
            "version is the tag of a release, not ../../evil".to_owned(),
        ),
        (
            Fault::None,
            other("command", "run\n::error::x"),
            "command is wait-for-ready or status, not $'run\\n::error::x'".to_owned(),
        ),
    ] {
        let (test, step) = used(&server, &with, fault);
        test.afterwards(move || assert_eq!(ran(step.folder()), None, "{fault:?}"))
            .status(2)
            .stdout(&format!("::error title=pipecat-rollout::{words}\n"))
            .run();
    }
    assert!(server.requests().is_empty());
}

#[test]
fn no_script_of_the_action_holds_an_expression() {
    let action = yaml("action.yml");
    for step in action["runs"]["steps"].as_array().unwrap() {
        assert!(!step["run"].as_str().unwrap().contains("${{"), "{step}");
        assert_eq!(step["shell"], "bash");
    }
    let script = fs::read_to_string(project("config/ci/action.sh")).unwrap();
    assert!(!script.contains("${{"));
}

/// A job that extends the template's, with its variables and its script over those.
fn extended(server: &Server, job: &Value, fault: Fault) -> Test {
    let template = &yaml("config/ci/gitlab.yml")[".pipecat-rollout"];
    let script = job.get("script").unwrap_or(&template["script"]);
    // One shell, as the runner has it.
    let script = [texts(&template["before_script"]), texts(script)].concat();
    let test = Test::of("sh", ["-e", "-c", &script.join("\n")]);
    let mut test = publish(test, fault)
        .env("CI", "true")
        .env("GITLAB_CI", "true")
        .env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_API_KEY", KEY);
    for (name, value) in template["variables"].as_object().unwrap() {
        let value = job["variables"].get(name).unwrap_or(value);
        test = test.env(name, value.as_str().unwrap());
    }
    test
}

#[test]
fn the_gitlab_job_leaves_the_artifacts_that_it_names() {
    let server = all_ready();
    let job = json!({"variables": {
        "AGENT": "my-agent other", "PIPECAT_ROLLOUT_RELEASE": "https://example.com/v1",
    }});
    let test = extended(&server, &job, Fault::None);
    let folder = test.folder();
    test.afterwards(move || {
        assert_eq!(
            fetched(&folder),
            [
                "https://example.com/v1/ARCHIVE",
                "https://example.com/v1/SHA256SUMS"
            ]
        );
        assert_eq!(ran(&folder).unwrap(), "wait-for-ready -- my-agent other");
        let artifacts = &yaml("config/ci/gitlab.yml")[".pipecat-rollout"]["artifacts"];
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
fn a_gitlab_job_with_a_script_of_its_own_has_the_program_on_its_path() {
    let job = json!({
        "variables": {"PIPECAT_ROLLOUT_RELEASE": "https://example.com/v1"},
        "script": ["touch deployed", "pipecat-rollout wait my-agent"],
    });
    let test = extended(&play(vec![agent(true)]), &job, Fault::None);
    let folder = test.folder();
    let afterwards = move || {
        assert!(folder.join("deployed").exists());
        assert_eq!(ran(&folder).unwrap(), "wait my-agent");
        assert!(folder.join("rollout.env").is_file());
    };
    test.afterwards(afterwards)
        .stdout_starts("pipecat-rollout-")
        .stderr_any()
        .run();
}

#[test]
fn the_gitlab_job_refuses_what_was_not_released() {
    let server = play(vec![agent(true)]);
    let job = json!({
        "variables": {"PIPECAT_ROLLOUT_RELEASE": "https://example.com/v1"},
        "script": ["touch deployed", "pipecat-rollout wait my-agent"],
    });
    for (fault, status) in [(Fault::Archive, 1), (Fault::List, 1), (Fault::Missing, 22)] {
        let test = extended(&server, &job, fault);
        let folder = test.folder();
        let afterwards = move || {
            assert_eq!(ran(&folder), None, "{fault:?}");
            assert!(!folder.join("deployed").exists(), "{fault:?}");
        };
        test.afterwards(afterwards)
            .status(status)
            .stdout_starts("")
            .stderr_any()
            .run();
    }
    assert!(server.requests().is_empty());
}
