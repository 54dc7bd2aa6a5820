//! The action, run as GitHub would run it, from a release in a folder.

use std::fs;

use serde_json::{Value, json};

use crate::release::{Fault, checked, fetched, ran, target};
use crate::runner::{commands, names};
use crate::server::{Server, crashing, details, play};
use crate::support::http::answer;
use crate::support::{KEY, parse_yaml, project_text};
use crate::workflow::{Ended, Runner, our_action};

const BASELINE: &str = "59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3";

/// Agents of any name that are ready.
fn all_ready() -> Server {
    play(vec![details(&json!({"name": null, "ready": true}))])
}

/// The errors in a log, by their words.
fn errors(ended: &Ended) -> Vec<String> {
    let errors = commands(&ended.log)
        .into_iter()
        .filter(|it| it.name == "error");
    errors.map(|error| error.data).collect()
}

#[test]
fn the_action_runs_and_proves_the_release_of_its_own_version() {
    let server = play(vec![crashing(4, "boom")]);
    let mut runner = Runner::new(&server.url());
    let with = json!({
        "agent": " my-agent\n", "api-key": KEY, "report-file": "r.json", "timeout": "1m", "stable-for": "5",
    });
    let ended = runner.action(&with);
    assert_eq!(ended.code, 10, "{}", ended.log);
    let archive = format!("pipecat-rollout-{}.tar.gz", target());
    let version = env!("CARGO_PKG_VERSION");
    let from = format!(
        "{}/releases/download/v{version}",
        env!("CARGO_PKG_REPOSITORY")
    );
    assert_eq!(
        fetched(runner.folder()),
        [format!("{from}/{archive}"), format!("{from}/SHA256SUMS")]
    );
    let check = checked(runner.folder()).concat();
    assert!(
        check.starts_with("ghs_5ecret attestation verify /"),
        "{check}"
    );
    assert!(
        check.ends_with(&format!("/{archive} --repo {}", our_action())),
        "{check}"
    );
    assert_eq!(
        ran(runner.folder()).unwrap(),
        "wait-for-ready --timeout=1m --stable-for=5 --report-file=r.json -- my-agent"
    );
    assert_eq!(names(&commands(&ended.log)), ["group", "endgroup", "error"]);
    assert!(
        ended.summary.starts_with("### ❌ my-agent failed "),
        "{}",
        ended.summary
    );
    let found = runner.outputs("action");
    assert_eq!(
        (found["verdict"].as_str(), found["exit-code"].as_str()),
        ("failed", "10")
    );
    assert!(found["report-path"].ends_with("/r.json"));
    assert!(found.values().all(|value| !value.is_empty()), "{found:?}");
}

#[test]
fn nothing_that_depends_on_who_uses_the_action_is_asked_of_github() {
    let text = project_text("action.yml");
    // Within a composite action, these are the outer one's.
    for name in [
        "github.action_",
        "github.repository",
        "GITHUB_REPOSITORY",
        "GITHUB_ACTION_REF",
    ] {
        for script in ["action.yml", "config/ci/install.sh", "config/ci/action.sh"] {
            let text = project_text(script);
            assert!(!text.contains(name), "{script}: {name}");
        }
    }
    // Every file that the action needs lies beside it.
    for step in parse_yaml(&project_text("action.yml"))["runs"]["steps"]
        .as_array()
        .unwrap()
    {
        assert_eq!(step["shell"], "bash");
        assert!(
            step["run"]
                .as_str()
                .unwrap()
                .starts_with("exec bash \"$GITHUB_ACTION_PATH/config/ci/")
        );
    }
    assert!(!text.contains("uses:"), "it needs no other action");
}

#[test]
fn a_runner_with_macos_gets_its_program() {
    let server = all_ready();
    let uname = "#!/bin/sh\ncase $1 in -s) echo Darwin ;; -m) echo arm64 ;; esac\n";
    let mut runner = Runner::with_release(&server.url(), "aarch64-apple-darwin", Fault::None)
        .program("uname", uname);
    let ended = runner.action(&json!({"agent": "my-agent", "api-key": KEY}));
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert!(fetched(runner.folder())[0].ends_with("/pipecat-rollout-aarch64-apple-darwin.tar.gz"));

    let uname = "#!/bin/sh\necho Windows\n";
    let mut runner = Runner::new(&server.url()).program("uname", uname);
    let ended = runner.action(&json!({"agent": "my-agent", "api-key": KEY}));
    assert_eq!(ended.code, 2);
    assert!(errors(&ended)[0].starts_with("there is no released program for this runner; "));
}

#[test]
fn inputs_are_no_code_and_the_job_s_variables_count_where_none_is_given() {
    let server = all_ready();
    let owned = "$(touch owned) `touch owned` ; touch owned * --help";
    let mut runner = Runner::new(&server.url());
    let ended = runner.action(&json!({"agent": owned, "api-key": KEY}));
    assert_eq!(ended.code, 2, "{}", ended.log);
    assert!(!runner.workspace().join("owned").exists());
    assert_eq!(
        ran(runner.folder()).unwrap(),
        format!("wait-for-ready -- {owned}")
    );

    let mut runner = Runner::new(&server.url())
        .env("PIPECAT_ROLLOUT_SPEED", "50")
        .file("pcc-deploy.toml", "agent_name = 'a'");
    let ended = runner.action(&json!({"simulate": "phase-failed"}));
    assert_eq!(ended.code, 10, "{}", ended.log);
    assert_eq!(
        ran(runner.folder()).unwrap(),
        "wait-for-ready --simulate=phase-failed --"
    );
}

#[test]
fn what_is_wrong_with_the_inputs_is_an_annotation_that_names_them() {
    let server = all_ready();
    for (with, words) in [
        (
            json!({"agent": "my-agent", "api-key": ""}),
            "no key: the inputs api-key and pipecat-token are empty. So is a secret that does not exist, or that",
        ),
        (
            json!({"agent": "my-agent", "api-key": KEY, "timeout": "soon"}),
            "invalid value 'soon' for '--timeout <TIME>': a time is written like 90s, 10m,",
        ),
        (
            json!({"agent": "my-agent", "api-key": "pk_5ecret"}),
            "PIPECAT_API_KEY holds a public key (pk_…), which only starts sessions; ",
        ),
        (
            json!({"agent": "a b", "api-key": KEY, "run": "deploy"}),
            "agent: run deploys one agent, not 2; use a matrix",
        ),
        (
            json!({"agent": "--help", "api-key": KEY, "run": "deploy"}),
            "agent: a name does not begin with -",
        ),
        (
            json!({"agent": "a", "api-key": KEY, "run": "deploy", "baseline-only": true}),
            "baseline-only: run notes the baseline by itself, and needs no step before it",
        ),
    ] {
        let ended = Runner::new(&server.url()).action(&with);
        assert_eq!(ended.code, 2, "{with}");
        let found = errors(&ended);
        assert!(
            found.len() == 1 && found[0].starts_with(words),
            "{with}: {found:?}"
        );
    }
    assert!(server.requests().is_empty());
}

#[test]
fn the_action_refuses_what_was_not_released() {
    let server = all_ready();
    let archive = format!("pipecat-rollout-{}.tar.gz", target());
    let version = env!("CARGO_PKG_VERSION");
    let repository = env!("CARGO_PKG_REPOSITORY");
    for (fault, words) in [
        (
            Fault::Archive,
            format!("the checksum of {archive} is wrong: it is not what was released"),
        ),
        (
            Fault::List,
            format!("SHA256SUMS does not name {archive} once"),
        ),
        (
            Fault::Missing,
            format!("cannot download {archive} of the release v{version} from {repository}"),
        ),
        (
            Fault::Attestation,
            format!("the attestation of {archive} cannot be confirmed: ::error::found"),
        ),
    ] {
        let mut runner = Runner::with_release(&server.url(), &target(), fault);
        let ended = runner.action(&json!({"agent": "my-agent", "api-key": KEY}));
        assert_eq!((ended.code, errors(&ended)), (2, vec![words]), "{fault:?}");
        assert_eq!(ran(runner.folder()), None, "{fault:?}");
    }
    assert!(server.requests().is_empty());
    let mut runner = Runner::with_release(&server.url(), &target(), Fault::Attestation);
    let ended =
        runner.action(&json!({"agent": "my-agent", "api-key": KEY, "check-attestation": false}));
    assert_eq!(ended.code, 0, "{}", ended.log);
}

#[test]
fn install_only_puts_the_program_on_the_path() {
    let server = all_ready();
    let mut runner = Runner::new(&server.url());
    let ended = runner.action(&json!({"install-only": true}));
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert_eq!(ran(runner.folder()), None);
    let run = json!({"run": "pipecat-rollout wait my-agent", "env": {"PIPECAT_API_KEY": KEY}});
    let ended = runner.step(&run);
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert!(
        ended.summary.starts_with("### ✅ my-agent ready "),
        "{}",
        ended.summary
    );
}

#[test]
fn run_takes_a_command_or_a_script() {
    let server = all_ready();
    let script = "set -u\ntouch \"$PWD/deployed now\"\nexit 7 # as if it failed\n";
    let shell = "bash --noprofile --norc -eo pipefail -c";
    let tried = |run: &str, words: &str, code: i32| {
        let mut runner = Runner::new(&server.url()).program("deploy", "#!/bin/sh\nexit 6\n");
        let ended = runner.action(&json!({"agent": "my-agent", "api-key": KEY, "run": run}));
        assert_eq!(ended.code, code, "{run}: {}", ended.log);
        assert!(
            ran(runner.folder())
                .unwrap()
                .starts_with(&format!("run my-agent -- {words}"))
        );
        assert_eq!(runner.outputs("action")["verdict"], "command-failed");
        runner
    };
    // A command that fails is believed after seconds.
    std::thread::scope(|scope| {
        scope.spawn(|| tried("deploy --yes --to x.toml\n", "deploy --yes --to x.toml", 6));
        scope.spawn(|| tried("LEVEL=3 deploy", &format!("{shell} LEVEL=3 deploy"), 6));
        scope.spawn(|| tried("nothing-there", &format!("{shell} nothing-there"), 127));
        let runner = scope.spawn(|| tried(script, &format!("{shell} set -u"), 7));
        let runner = runner.join().unwrap();
        assert!(runner.workspace().join("deployed now").exists());
    });
}

#[test]
fn a_baseline_is_noted_where_it_is_known_what_is_deployed() {
    let not_there = answer(
        "404 Not Found",
        "content-type: application/json\r\n",
        r#"{"error":"not found"}"#,
    );
    let refused = answer("401 Unauthorized", "", "{}");
    let current = details(&json!({"ready": false, "desiredDeploymentId": BASELINE}));
    for (body, code, known) in [
        (current, 0, true),
        (not_there, 0, true),
        (refused, 3, false),
    ] {
        let server = play(vec![body]);
        let mut runner = Runner::new(&server.url());
        let ended =
            runner.action(&json!({"agent": "my-agent", "api-key": KEY, "baseline-only": true}));
        assert_eq!(ended.code, code, "{}", ended.log);
        let report = fs::read(&runner.outputs("action")["report-path"]).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["agents"][0]["agent"], "my-agent");
        let words = "what is deployed now is unknown, so that a deploy could not be judged";
        assert_eq!(errors(&ended).iter().any(|error| error == words), !known);
        if !known {
            continue;
        }
        // While the baseline is still the desired one, nothing new has come.
        let baseline = runner.outputs("action")["report-path"].clone();
        let with = json!({"agent": "my-agent", "api-key": KEY, "baseline": baseline});
        let mut runner = runner.env("PIPECAT_ROLLOUT_APPEAR_TIMEOUT", "1");
        assert_ne!(runner.action(&with).code, 0);
    }
}
