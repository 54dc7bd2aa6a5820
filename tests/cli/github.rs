//! GitHub Actions: what the runner makes of the log, and the files that a step leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::harness::{Test, normal, read_json};
use crate::runner::{Step, commands, names, outputs};
use crate::server::{Server, agent, crashing, details, play, revision};
use crate::support::make_fifo;
use crate::support::process::Signal;

/// A rollout that crashes after it was seen to create.
fn failing(message: &str) -> Server {
    play(vec![
        revision("Creating", &Value::Null),
        crashing(4, message),
    ])
}

#[test]
fn a_failure_in_a_step() {
    let server = failing("Traceback:\n  File \"bot.py\", line 1\nKeyError: 'access_token'\n");
    let test = Test::against(
        &server.url(),
        "wait my-agent --poll-interval 1ms --report-file report.json",
    );
    let (test, step) = Step::around(test);
    let left = test
        .file("step_summary", "from another command")
        .afterwards(move || {
            let summary = normal(&step.read("step_summary"));
            assert_eq!(
                summary,
                "from another command
### ❌ my-agent failed after TIME: its code crashes: CrashLoopBackOff, 4 restarts of 1 replica, last exit code 1; the agent still takes sessions

```text
Traceback:
  File \"bot.py\", line 1
KeyError: 'access_token'
```

**Next:** fix the error shown above, and deploy again


| agent | verdict | exit code | deployment | image | region | after |
|---|---|---|---|---|---|---|
| my-agent | **failed** | 10 | new |  |  | TIME |

#### my-agent

| phase | began after | lasted |
|---|---|---|
| waiting | TIME | TIME |
| creating | TIME | TIME |
| validating | TIME | TIME |
"
            );
            let mut found = outputs(&step.read("set_output"));
            let elapsed = found.remove("elapsed-ms").unwrap();
            assert!(elapsed.parse::<u64>().is_ok(), "{elapsed}");
            let path = step.folder().join("report.json");
            let report = read_json(&path);
            assert_eq!(report["agents"][0]["elapsedMs"].to_string(), elapsed);
            let expected = [
                ("deployment-id", "new"),
                ("exit-code", "10"),
                ("report-path", path.to_str().unwrap()),
                ("verdict", "failed"),
                ("verdicts", r#"{"my-agent":"failed"}"#),
            ];
            let found: Vec<_> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(found, expected);
            for file in ["set_env", "add_path", "save_state"] {
                assert_eq!(step.read(file), "", "{file}");
            }
        })
        .status(10)
        .stderr(
            "::group::Rollout of my-agent\n\
             [TIME] my-agent: following deployment new\n\
             [TIME] my-agent: creating\n\
             [TIME] my-agent: validating (creating took TIME)\n\
             [TIME] my-agent: restarted, 4 in all: exit code 1 (an error in the application)\n\
             [TIME] my-agent: its code crashes: CrashLoopBackOff\n\
             ::endgroup::\n\
             my-agent: failed after TIME (exit code 10)\n\
             \x20 reason      its code crashes: CrashLoopBackOff, 4 restarts of 1 replica, last exit code 1; the agent still takes sessions\n\
             \x20 phase       validating, for TIME\n\
             \x20 deployment  new\n\
             \x20 last exit   code 1: an error in the application\n\
             \x20 restarts    4 restarts of 1 replica\n\
             \x20 message\n\
             \x20   | Traceback:\n\
             \x20   |   File \"bot.py\", line 1\n\
             \x20   | KeyError: 'access_token'\n\
             \x20 next        fix the error shown above, and deploy again\n\
             ::error title=my-agent%3A failed after TIME::its code crashes: CrashLoopBackOff, 4 restarts of 1 replica, last exit code 1; the agent still takes sessions%0AKeyError: 'access_token'%0Anext: fix the error shown above, and deploy again\n",
        )
        .run();
    let found = commands(&left.stderr);
    assert_eq!(names(&found), ["group", "endgroup", "error"]);
    assert!(found[2].properties["title"].starts_with("my-agent: failed after "));
    assert_eq!(found[2].data.lines().count(), 3);
}

#[test]
fn a_success_is_annotated_only_where_the_old_code_goes_on_serving() {
    let (test, step) = Step::around(Test::against(
        &play(vec![agent(true)]).url(),
        "wait my-agent",
    ));
    test.file("set_output", "other=1")
        .afterwards(move || {
            let written = step.read("set_output");
            assert!(
                written.starts_with("other=1\nverdict=ready\nexit-code=0\n"),
                "{written}"
            );
            assert!(
                step.read("step_summary")
                    .contains("| my-agent | **ready** | 0 |")
            );
        })
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr(
            "::group::Rollout of my-agent\n\
             [TIME] my-agent: following deployment new\n\
             [TIME] my-agent: active\n\
             [TIME] my-agent: ready\n\
             ::endgroup::\n",
        )
        .run();
    let old = details(
        &json!({"ready": true, "currentRevision": {"deploymentID": "old", "phase": "Active"}}),
    );
    // Quiet shows only what did not end well.
    let said = "my-agent: ready after TIME, deployment new; the deploy changed no revision: that of deployment old serves it; the old code may go on serving\n";
    let server = play(vec![old.clone()]);
    let (test, _) = Step::around(Test::against(&server.url(), "wait my-agent -q"));
    test.stdout(said).run();
    let (test, _) = Step::around(Test::against(&play(vec![old]).url(), "wait my-agent"));
    test.stdout(said)
        .stderr_lines("::endgroup::\n::warning title=my-agent%3A ready after TIME::my-agent: ready after TIME, deployment new; the deploy changed no revision: that of deployment old serves it; the old code may go on serving")
        .run();
}

#[test]
fn several_agents_share_a_group_and_have_an_annotation_each() {
    let mixed = Server::answering(|request| match request.path.as_str() {
        "/v1/agents/good" => details(&json!({"name": "good", "ready": true})),
        "/v1/agents/slow" => details(&json!({"name": "slow", "ready": false})),
        _ => details(
            &json!({"name": "bad", "currentRevision": {"deploymentID": "new", "phase": "Failed"}}),
        ),
    });
    let (test, step) = Step::around(Test::against(
        &mixed.url(),
        "wait good slow bad --timeout 500ms --poll-interval 10ms",
    ));
    let left = test
        .afterwards(move || {
            let found = outputs(&step.read("set_output"));
            assert_eq!(found["verdict"], "failed");
            assert_eq!(found["exit-code"], "10");
            assert_eq!(
                found["verdicts"],
                r#"{"bad":"failed","good":"ready","slow":"timeout"}"#
            );
            let page = step.read("step_summary");
            assert_eq!(
                page.lines().filter(|line| line.starts_with("### ")).count(),
                3
            );
        })
        .status(10)
        .stdout_starts("AGENT  VERDICT  AFTER  DEPLOYMENT  REASON\ngood   ready    TIME   new\n")
        .stderr_any()
        .run();
    let found = commands(&left.stderr);
    assert_eq!(names(&found), ["group", "endgroup", "error", "error"]);
    assert_eq!(found[0].data, "Rollout of good, slow, bad");
    assert!(found[2].properties["title"].starts_with("slow: timed out"));
    assert!(found[3].properties["title"].starts_with("bad: failed"));
}

#[test]
fn an_interruption_is_a_warning_and_leaves_its_files() {
    let server = play(vec![agent(false)]);
    let (test, step) = Step::around(Test::against(&server.url(), "wait my-agent"));
    let (process, folder) = test.start();
    // Its first request shows that it watches.
    server.wait_for_requests(1);
    process.signal(Signal::TERM);
    let left = process.end();
    assert_eq!(left.code(), 143);
    assert_eq!(
        names(&commands(&left.stderr)),
        ["group", "endgroup", "warning"]
    );
    assert_eq!(outputs(&step.read("set_output"))["verdict"], "interrupted");
    assert!(
        step.read("step_summary")
            .contains("**interrupted** | 143 |")
    );
    drop(folder);
}

#[test]
fn a_single_check_gives_outputs_but_neither_page_nor_annotation() {
    let server = play(vec![agent(false)]);
    let (test, step) = Step::around(Test::against(&server.url(), "status my-agent"));
    let left = test
        .afterwards(move || {
            let found = outputs(&step.read("set_output"));
            assert_eq!(
                (found["deployment-id"].as_str(), found["exit-code"].as_str()),
                ("new", "124")
            );
            assert_eq!(step.read("step_summary"), "");
        })
        .status(124)
        .stdout("my-agent: still progressing, deployment new: validating; the agent still takes sessions\n")
        .stderr_any()
        .run();
    assert_eq!(commands(&left.stderr), []);
}

#[test]
fn progress_can_be_chosen_whatever_the_environment_is() {
    let ready = || play(vec![agent(true)]);
    Test::against(&ready().url(), "wait my-agent --progress github")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr_lines("::group::Rollout of my-agent\n::endgroup::")
        .run();
    // Empty variables count as not set.
    Test::against(&ready().url(), "wait my-agent")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_OUTPUT", "")
        .env("GITHUB_STEP_SUMMARY", "")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr_lines("::endgroup::")
        .run();
    Test::against(&ready().url(), "wait my-agent")
        .env("GITHUB_ACTIONS", "false")
        .env("GITHUB_OUTPUT", "/nowhere/at/all")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr_lines("[TIME] my-agent: ready after TIME")
        .run();
    // The outputs are the step's, however progress is shown.
    let (test, step) = Step::around(Test::against(
        &ready().url(),
        "wait my-agent --progress none",
    ));
    test.afterwards(move || {
        assert_eq!(outputs(&step.read("set_output"))["verdict"], "ready");
    })
    .stdout("my-agent: ready after TIME, deployment new\n")
    .run();
    // Quiet shows failures only.
    let (test, _) = Step::around(Test::against(&ready().url(), "wait my-agent -q"));
    test.stdout("my-agent: ready after TIME, deployment new\n")
        .run();
    let (test, _) = Step::around(Test::against(&failing("boom").url(), "wait my-agent -q"));
    let left = test.status(10).stderr_any().run();
    assert_eq!(names(&commands(&left.stderr)), ["error"]);
}

#[test]
fn an_error_before_the_wait_is_an_annotation() {
    let (test, _) = Step::around(Test::new("wait my-agent"));
    let left = test.status(2).stderr_any().run();
    let found = commands(&left.stderr);
    assert_eq!(names(&found), ["error"]);
    assert_eq!(found[0].properties["title"], "pipecat-rollout");
    assert!(found[0].data.starts_with("no API key"), "{}", found[0].data);
}

#[test]
fn files_of_the_step_that_are_not_mounted_are_left_out_with_a_warning() {
    for (name, other) in [
        ("GITHUB_OUTPUT", "step_summary"),
        ("GITHUB_STEP_SUMMARY", "set_output"),
    ] {
        let server = play(vec![agent(true)]);
        let (test, step) = Step::around(Test::against(&server.url(), "wait my-agent"));
        let left = test
            .env(name, "/nowhere/file")
            .afterwards(move || assert!(step.read(other).contains("ready"), "{other}"))
            .stdout("my-agent: ready after TIME, deployment new\n")
            .stderr_any()
            .run();
        let warning = format!(" WARN {name}: the folder /nowhere does not exist; it is left out\n");
        assert!(left.stderr.contains(&warning), "{}", left.stderr);
    }
}

#[test]
fn files_of_the_step_may_be_pipes_and_devices() {
    let server = || play(vec![agent(true)]);
    let step = |server: &Server| {
        let (test, _) = Step::around(Test::against(&server.url(), "wait my-agent"));
        test.env("GITHUB_OUTPUT", "/dev/stdout")
            .env("GITHUB_STEP_SUMMARY", "/dev/stderr")
            .stdout_any()
            .stderr_any()
    };
    let left = step(&server()).run();
    assert!(left.stdout.contains("verdict=ready\n"), "{}", left.stdout);
    let (summary, row) = (
        "### ✅ my-agent ready after ",
        "| my-agent | **ready** | 0 |",
    );
    assert!(left.stderr.contains(summary), "{}", left.stderr);
    assert!(left.stderr.contains(row), "{}", left.stderr);

    let piped = |server: &Server| {
        let test = step(server).env("GITHUB_OUTPUT", "pipe");
        let path = test.folder().join("pipe");
        make_fifo(&path);
        (test, path)
    };
    let server_of_the_pipe = server();
    let (test, path) = piped(&server_of_the_pipe);
    // One that is open for reading and writing needs no other end to be opened.
    let mut reader = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    test.run();
    let mut verdict = [0; 14];
    std::io::Read::read_exact(&mut reader, &mut verdict).unwrap();
    assert_eq!(&verdict, b"verdict=ready\n");

    let server_of_the_pipe = server();
    let (unread, _) = piped(&server_of_the_pipe);
    let left = unread.run();
    let warning =
        " WARN GITHUB_OUTPUT: nobody reads pipe; start what reads the pipe first; it is left out\n";
    assert!(left.stderr.contains(warning), "{}", left.stderr);
}

#[test]
fn a_file_that_cannot_be_written_at_the_end_takes_a_success_away_and_no_failure() {
    let full = |server: Server, status, stdout: &str| {
        let (test, step) = Step::around(Test::against(&server.url(), "wait my-agent -q"));
        let left = test
            .env("GITHUB_STEP_SUMMARY", "/dev/full")
            .afterwards(move || {
                // One that fails keeps no other back.
                assert!(step.read("set_output").starts_with("verdict="));
            })
            .status(status)
            .stdout(stdout)
            .stderr_any()
            .run();
        assert!(
            left.stderr.ends_with("::error title=pipecat-rollout::GITHUB_STEP_SUMMARY: cannot write /dev/full: No space left on device (os error 28)\n"),
            "{}",
            left.stderr
        );
    };
    full(
        play(vec![agent(true)]),
        1,
        "my-agent: ready after TIME, deployment new\n",
    );
    full(failing("boom"), 10, "");
}

#[test]
fn files_that_the_runner_did_not_make_are_nobody_elses() {
    let server = play(vec![agent(true)]);
    let (test, step) = Step::around(Test::against(
        &server.url(),
        "wait my-agent --report-file r.json --junit j.xml --dotenv d.env",
    ));
    let folder = test.folder();
    for file in ["step_summary", "set_output"] {
        let _ = fs::remove_file(folder.join(file));
    }
    test.afterwards(move || {
        for file in ["step_summary", "set_output", "r.json", "j.xml", "d.env"] {
            assert_ne!(step.read(file), "", "{file}");
            let mode = fs::metadata(folder.join(file)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
        }
    })
    .status(0)
    .stdout_any()
    .stderr_any()
    .run();
}
