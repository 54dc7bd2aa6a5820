//! `run` beside its command: what goes through to the command, what is shown, and what ends both.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{Test, read_json};
use crate::output::log_lines;
use crate::server::{Server, details, play};
use crate::support::http::answer;
use crate::support::process::Signal;
use crate::support::{KEY, validate, wait_until};

/// A run on the simulator, around a shell script.
fn simulated(scenario: &str, switches: &str, script: &str) -> Test {
    let arguments = format!("run a --simulate {scenario} --speed 20 {switches} -- /bin/sh -c");
    Test::new(&arguments).arg(script)
}

#[test]
fn the_command_has_the_stdin_stdout_and_stderr_of_run() {
    simulated(
        "rolling-update",
        "",
        "read line && echo \"read $line\" && echo complaint >&2",
    )
    .stdin("hello\n")
    .stdout("read hello\na: ready after TIME, deployment ID\n")
    .stderr_lines(
        "[TIME] a: before the deploy: deployment ID, created at MOMENT\n\
         complaint\n\
         [TIME] a: the deploy command has ended, after TIME\n\
         [TIME] a: following deployment ID, created at MOMENT\n\
         [TIME] a: ready after TIME",
    )
    .run();
}

#[test]
fn a_first_deploy_has_no_baseline() {
    simulated("first-deploy", "", "echo deployed")
        .stdout("deployed\na: ready after TIME, deployment ID\n")
        .stderr_lines("[TIME] a: nothing is deployed yet\n[TIME] a: ready after TIME")
        .run();
}

#[test]
fn a_rollout_that_fails_under_run_ends_with_its_block() {
    simulated("crash-loop", "", "echo deployed")
        .status(10)
        .stdout_starts("deployed\na: failed after TIME, deployment ID: its code crashes")
        .stderr_lines(
            "a: failed after TIME (exit code 10)\n\
             \x20 next        the image lacks a package or a file: add it to the image and build again",
        )
        .run();
}

#[test]
fn a_ci_log_does_not_fold_the_output_of_the_command() {
    for (style, mark) in [("github", "::group::"), ("gitlab", "section_start")] {
        let switches = format!("--progress {style}");
        let left = simulated("rolling-update", &switches, "echo deployed")
            .stdout_starts("deployed\n")
            .stderr_any()
            .run();
        assert!(!left.stderr.contains(mark), "{}", left.stderr);
        assert!(
            left.stderr.contains("following deployment"),
            "{}",
            left.stderr
        );
    }
}

#[test]
fn log_lines_of_run_match_the_schema() {
    let left = simulated("rolling-update", "--progress json", "true")
        .stdout_starts("a: ready after TIME")
        .stderr_any()
        .run();
    let lines = log_lines(&left);
    let first = &lines[0];
    assert_eq!(first["event"], "baseline-noted");
    assert!(first["deploymentId"].is_string() && first["createdAt"].is_string());
    let ended = lines.iter().find(|line| line["event"] == "command-ended");
    assert_eq!(ended.unwrap()["exitCode"], 0);
}

#[test]
fn a_command_that_cannot_be_started_is_127_or_126() {
    let start = |command: &str, code: i32, why: &str| {
        let test = Test::new("run a --simulate rolling-update --report-file report.json --");
        let report = test.folder().join("report.json");
        test.file("plain", "text")
            .arg(command)
            .status(code)
            .stdout(&format!(
                "a: the deploy command failed after TIME: the deploy command failed with exit code {code}, \
                 and no new deployment came\n"
            ))
            .stderr_lines(&format!(
                "error: cannot run {command}: {why}\n\
                 a: the deploy command failed after TIME (exit code {code})\n\
                 \x20 next        read what the deploy command printed"
            ))
            .afterwards(move || {
                let report = read_json(&report);
                validate("report.schema.json", &report);
                let agent = &report["agents"][0];
                assert_eq!(agent["verdict"], "command-failed");
                assert_eq!(agent["command"]["exitCode"], code);
                assert_eq!(agent["deploymentId"], Value::Null);
            })
            .run();
    };
    for missing in ["./missing", "./folder/command"] {
        start(missing, 127, "No such file or directory (os error 2)");
    }
    start("./plain", 126, "Permission denied (os error 13)");
}

#[test]
fn run_without_a_command_is_wrong_usage() {
    for arguments in ["run a --timeout 5m", "run a --timeout 5m --"] {
        Test::new(arguments)
            .env("PIPECAT_API_URL", "http://127.0.0.1:9/v1")
            .status(2)
            .stderr(
                "error: put the command that deploys after --: pipecat-rollout run a --timeout TIME -- ./deploy.sh\n\
                 \n\
                 Usage: pipecat-rollout run [OPTIONS] [AGENT] -- <COMMAND>...\n\
                 \n\
                 For more information, try '--help'.\n",
            )
            .run();
    }
}

#[test]
fn the_command_does_not_run_without_a_baseline() {
    let unauthorized = answer("401 Unauthorized", "", r#"{"error":"Unauthorized"}"#);
    let down = answer("503 Service Unavailable", "", "");
    thread::scope(|scope| {
        for (response, code, verdict) in
            [(unauthorized, 3, "unauthorized"), (down, 5, "unavailable")]
        {
            scope.spawn(move || {
                let server = play(vec![response]);
                let arguments = "run my-agent --outage-timeout 2s -- touch deployed";
                let test = Test::against(&server.url(), arguments);
                let file = test.folder().join("deployed");
                test.status(code)
                    .stdout_starts(&format!("my-agent: {verdict} after TIME"))
                    .stderr_lines("error: the deploy command was not run")
                    .afterwards(move || assert!(!file.exists()))
                    .run();
            });
        }
    });
}

#[test]
fn a_signal_ends_run_with_its_own_code_whatever_the_command_exits_with() {
    for code in [0, 7] {
        let made = "2026-11-23T10:00:00Z";
        let before = details(&json!({
            "ready": true, "desiredDeploymentId": "old", "reconciledDeploymentId": "old",
            "deployment": {"id": "old", "createdAt": made},
        }));
        let server = Server::answering(move |_| before.clone());
        let script = format!(
            "trap 'echo caught; exit {code}' TERM; touch started; while :; do sleep 0.1; done"
        );
        let test = Test::with(["run", "my-agent", "--output", "json", "--", "/bin/sh", "-c"])
            .arg(script)
            .env("PIPECAT_API_URL", server.url())
            .env("PIPECAT_API_KEY", KEY);
        let started = test.folder().join("started");
        let (process, _folder) = test.start();
        wait_until("the command has started", || started.exists().then_some(()));
        process.signal(Signal::TERM);
        let left = process.end();
        assert_eq!(left.code(), 143, "{left:?}");
        // What the command prints leaves stdout to the report.
        assert!(left.stderr.contains("\ncaught\n"), "{}", left.stderr);
        let report = left.json();
        assert_eq!(report["agents"][0]["verdict"], "interrupted");
        assert_eq!(report["agents"][0]["command"]["exitCode"], code);
    }
}
