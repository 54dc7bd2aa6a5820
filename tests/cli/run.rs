//! `run`: the baseline, the deploy command, and the wait for what it made.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{KEY, Test, finish, normal};
use crate::server::{Server, agent, answer, send};

fn standing(id: &str) -> String {
    let made = match id {
        "old" => "2026-11-23T10:00:00Z",
        _ => "2026-11-23T11:00:00Z",
    };
    let details = json!({
        "name": "my-agent", "ready": true, "available": true,
        "desiredDeploymentId": id, "reconciledDeploymentId": id,
        "deployment": { "id": id, "createdAt": made },
    });
    answer("200 OK", "", &details.to_string())
}

fn absent() -> String {
    answer(
        "404 Not Found",
        "",
        r#"{"error":"Service not found","code":"404"}"#,
    )
}

/// An API that answers in one way before there is a file, and in another way after.
fn deployed_by(file: PathBuf, before: String, after: String) -> Server {
    Server::start_by_head(move |_| {
        if file.exists() {
            after.clone()
        } else {
            before.clone()
        }
    })
}

/// A run whose command is a shell script, against an API that changes once it makes `deployed`.
fn run(switches: &[&str], script: &str, before: String, after: String) -> (Test, Server) {
    let command = ["--", "/bin/sh", "-c", script];
    let arguments = ["run", "my-agent"].iter().chain(switches).chain(&command);
    let test = Test::with(arguments.copied());
    let server = deployed_by(test.folder().join("deployed"), before, after);
    let test = test
        .env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_API_KEY", KEY);
    (test, server)
}

const READY: &str = "my-agent: ready after TIME, deployment new\n";

#[test]
fn it_waits_for_what_the_command_deployed() {
    let script = "read line && echo \"said $line\" && echo told >&2 && touch deployed";
    let (test, server) = run(&[], script, standing("old"), standing("new"));
    test.stdin("hello\n")
        .stdout(&format!("said hello\n{READY}"))
        .stderr(
            "[TIME] my-agent: the baseline is deployment old\n\
             told\n\
             [TIME] my-agent: deployment new is the target\n\
             [TIME] my-agent: active (waiting took TIME)\n\
             [TIME] my-agent: ready\n",
        )
        .run();
    assert_eq!(
        server.requests().len(),
        4,
        "three for the baseline, one for the verdict"
    );
}

#[test]
fn a_first_deploy_has_no_baseline() {
    let (test, _server) = run(&[], "touch deployed", absent(), standing("new"));
    test.stdout(READY)
        .stderr_lines("[TIME] my-agent: there is no deployment yet: this is the first\n[TIME] my-agent: ready")
        .run();
}

#[test]
fn an_unsettled_baseline_is_no_first_deploy() {
    let test = Test::with([
        "run",
        "my-agent",
        "--outage-timeout",
        "1s",
        "--",
        "touch",
        "deployed",
    ]);
    let server = Server::start(|number, stream| {
        let id = if number % 2 == 0 { "old" } else { "other" };
        send(stream, &standing(id).replace("createdAt", "wasMadeAt"));
    });
    let deployed = test.folder().join("deployed");
    let left = test
        .env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_API_KEY", KEY)
        .status(5)
        .stdout_starts("my-agent: unavailable after TIME, deployment ")
        .stderr_any()
        .run();
    let refusal = "error: the baseline cannot be read; the command was not run\n";
    assert!(left.stderr.contains(refusal), "{}", left.stderr);
    assert!(
        left.stdout.contains("no 3 answers in a row agreed"),
        "{}",
        left.stdout
    );
    assert!(!deployed.exists());
}

#[test]
fn what_was_desired_before_the_agent_was_gone_is_not_what_is_deployed() {
    let test = Test::with(["run", "my-agent", "--appear-timeout", "1s", "--", "true"]);
    let server = Server::start(|number, stream| {
        let gone = (1..=3).contains(&number);
        send(stream, &if gone { absent() } else { standing("old") });
    });
    test.env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_API_KEY", KEY)
        .status(13)
        .stdout_starts("my-agent: unchanged after TIME")
        .stderr_any()
        .run();
}

#[test]
fn the_report_names_the_baseline() {
    let switches = ["--output", "json", "--progress", "json"];
    let (test, _server) = run(
        &switches,
        "touch deployed",
        standing("old"),
        standing("new"),
    );
    let left = test.stdout_starts("{").stderr_any().run();
    let report: serde_json::Value = serde_json::from_str(&left.stdout).unwrap();
    assert_eq!(report["agents"][0]["baselineDeploymentId"], "old");
    assert_eq!(report["agents"][0]["deploymentId"], "new");
    let first: serde_json::Value =
        serde_json::from_str(left.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["event"], &first["deploymentId"]),
        (&json!("baseline-noted"), &json!("old"))
    );
}

#[test]
fn the_command_s_failure_passes_through_and_nothing_is_waited_for() {
    for (script, status, words) in [
        ("touch deployed; exit 3", 3, "exit status: 3"),
        ("exit 255", 255, "exit status: 255"),
        ("kill -9 $$", 137, "signal: 9 (SIGKILL)"),
        ("kill -15 $$", 143, "signal: 15 (SIGTERM)"),
    ] {
        let (test, server) = run(&[], script, standing("old"), standing("new"));
        test.status(status)
            .stderr(&format!(
                "[TIME] my-agent: the baseline is deployment old\n\
                 error: the command failed ({words}); nothing is waited for\n"
            ))
            .run();
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn a_command_that_cannot_be_started_is_127_or_126() {
    let server = Server::start(|_, stream| send(stream, &standing("old")));
    let start = |command: &str, status: i32, words: &str| {
        Test::against(&server.url(), "run my-agent --")
            .file("plain", "text")
            .arg(command)
            .status(status)
            .stderr_lines(&format!("error: cannot run {command}: {words}"))
            .run();
    };
    start("./missing", 127, "No such file or directory (os error 2)");
    start("./plain", 126, "Permission denied (os error 13)");
    Test::against(&server.url(), "run my-agent")
        .status(2)
        .stderr_lines("error: the following required arguments were not provided:\n  <COMMAND>...\nFor more information, try '--help'.")
        .run();
}

#[test]
fn a_deploy_that_changes_nothing_is_told_apart_and_may_be_accepted() {
    let limits = ["--appear-timeout", "1s"];
    let (test, _server) = run(&limits, "true", standing("old"), absent());
    test.status(13)
        .stdout("my-agent: unchanged after TIME: no new deployment: old, the one from before, is still the desired one\n")
        .stderr_lines("  next        the deploy made no new deployment; the usual causes: the same image tag, only the scaling changed, or only a secret's value; give the image a new tag, force a redeploy, or take --if-unchanged accept")
        .run();
    let limits = [
        "--appear-timeout",
        "1s",
        "--if-unchanged",
        "accept",
        "--progress",
        "none",
    ];
    let (test, _server) = run(&limits, "true", standing("old"), absent());
    test.stdout("my-agent: ready after TIME, deployment old\n")
        .run();
}

#[test]
fn without_a_baseline_the_command_is_not_run() {
    let refused = answer("401 Unauthorized", "", r#"{"error":"Unauthorized"}"#);
    let down = answer("503 Service Unavailable", "", "");
    for (answered, status, verdict) in [(refused, 3, "unauthorized"), (down, 5, "unavailable")] {
        let switches = ["--outage-timeout", "3s"];
        let (test, _server) = run(&switches, "touch deployed", answered, standing("new"));
        let file = test.folder().join("deployed");
        let left = test
            .status(status)
            .stdout_starts(&format!("my-agent: {verdict} after TIME"))
            .stderr_any()
            .afterwards(move || assert!(!file.exists()))
            .run();
        let told = "error: the baseline cannot be read; the command was not run\n";
        assert!(left.stderr.contains(told), "{}", left.stderr);
    }
}

/// Waits until a file is there.
fn wait_for(file: &Path) {
    while !file.exists() {
        std::thread::yield_now();
    }
}

fn terminate(child: &std::process::Child) {
    let status = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn signals_go_on_to_the_command() {
    let script = "trap 'echo caught; exit 7' TERM; touch started; while :; do sleep 0.1; done";
    let (test, _server) = run(&[], script, standing("old"), standing("new"));
    let started = test.folder().join("started");
    let (child, _folder) = test.start();
    wait_for(&started);
    terminate(&child);
    let (status, left) = finish(child);
    assert_eq!(status.code(), Some(7), "{left:?}");
    assert_eq!(left.stdout, "caught\n");
}

#[test]
fn a_command_that_survives_a_signal_is_not_waited_for() {
    let script = "trap 'touch deployed; exit 0' TERM; touch started; while :; do sleep 0.1; done";
    let (test, _server) = run(&[], script, standing("old"), standing("new"));
    let started = test.folder().join("started");
    let (child, _folder) = test.start();
    wait_for(&started);
    terminate(&child);
    let (status, left) = finish(child);
    assert_eq!(status.code(), Some(143), "{left:?}");
    assert!(
        normal(&left.stdout).starts_with("my-agent: interrupted after TIME"),
        "{left:?}"
    );
}

#[test]
fn a_deployment_s_id_comes_through_a_pipe() {
    let server = Server::start(|_, stream| send(stream, &agent(true)));
    let piped = |text: &str| {
        Test::against(
            &server.url(),
            "wait my-agent --progress none --deployment -",
        )
        .stdin(text)
    };
    piped("new\n").stdout(READY).run();
    for (text, words) in [
        (
            "\n",
            "stdin holds no id; did the command before the pipe fail?",
        ),
        (
            "deployed new\n",
            "stdin has to hold an id and nothing else, but has 2 words",
        ),
    ] {
        piped(text)
            .status(2)
            .stderr(&format!("error: --deployment -: {words}\n"))
            .run();
    }
}

#[test]
fn the_first_that_is_not_ready_ends_all_where_that_is_asked() {
    let server = Server::start_by_head(|head| {
        let failed = head.starts_with("GET /v1/agents/bad ");
        let details = json!({
            "ready": false, "desiredDeploymentId": "new", "reconciledDeploymentId": "new",
            "currentRevision": {"deploymentID": "new", "phase": if failed { "Failed" } else { "Creating" }},
        });
        answer("200 OK", "", &details.to_string())
    });
    let left = Test::against(&server.url(), "wait slow bad --fail-fast --progress none")
        .status(10)
        .stdout_starts("AGENT")
        .run();
    let table: Vec<Vec<&str>> = left
        .stdout
        .lines()
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    assert_eq!(
        table[1..],
        [vec!["slow", "interrupted"], vec!["bad", "failed"]]
    );
    assert!(
        left.stdout.contains("stopped because bad failed"),
        "{}",
        left.stdout
    );
}

#[test]
fn all_agents_share_one_limit_on_requests() {
    let server = Server::start(|number, stream| {
        let details = json!({
            "ready": number >= 8, "desiredDeploymentId": "new", "reconciledDeploymentId": "new",
        });
        send(stream, &answer("200 OK", "", &details.to_string()));
    });
    Test::against(
        &server.url(),
        "wait a b c --poll-interval 1ms --max-rps 4 --progress none --output json",
    )
    .stdout_starts("{\"exitCode\":0,")
    .run();
    let at: Vec<_> = server.requests().iter().map(|request| request.at).collect();
    // Four at once, then four a second.
    let spread = at[8] - at[0];
    assert!(
        spread >= std::time::Duration::from_millis(1200),
        "{spread:?}"
    );
}

#[test]
fn a_run_is_rehearsed_on_the_simulator() {
    let rehearse = |scenario: &str| {
        Test::with([
            "run",
            "a",
            "--simulate",
            scenario,
            "--speed",
            "20",
            "--",
            "/bin/sh",
            "-c",
            "echo deployed",
        ])
    };
    rehearse("rolling-update")
        .stdout("deployed\na: ready after TIME, deployment ID\n")
        .stderr_lines("[TIME] a: the baseline is deployment ID\n[TIME] a: ready")
        .run();
    rehearse("first-deploy")
        .stdout("deployed\na: ready after TIME, deployment ID\n")
        .stderr_lines("[TIME] a: there is no deployment yet: this is the first\n[TIME] a: ready")
        .run();
    rehearse("crash-loop")
        .status(10)
        .stdout_starts("deployed\na: failed after TIME, deployment ID: its code crashes")
        .stderr_lines(
            "  next        the image lacks a package or a file: add it to the image and build again",
        )
        .run();
}
