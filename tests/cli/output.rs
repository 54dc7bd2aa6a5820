//! What a watch shows: progress in every style, the result in both formats, all of it harmless.

use std::fs::File;
use std::io::Read as _;

use serde_json::{Value, json};

use crate::harness::{Test, normal};
use crate::server::{Server, agent, crashing, details, hostile, play, revision};
use crate::support::http::answer;
use crate::support::process::Ended;
use crate::support::{parse_json, validate};

/// The deployments of an eventful rollout.
const OLD: &str = "deployment-old";
const NEW: &str = "deployment-new";

/// A rollout with a little of everything, that comes well in the end.
fn eventful() -> Server {
    let shown = |desired: &str, reconciled: &str, ready: bool, revision: Value| {
        details(&json!({
            "desiredDeploymentId": desired, "reconciledDeploymentId": reconciled,
            "ready": ready, "currentRevision": revision,
        }))
    };
    let before = || shown(OLD, OLD, true, Value::Null);
    let own = |changes: Value| {
        let mut revision = json!({"deploymentID": NEW, "phase": "Validating", "readyReplicas": 0});
        for (key, value) in changes.as_object().unwrap() {
            revision[key] = value.clone();
        }
        shown(NEW, NEW, false, revision)
    };
    let waiting = json!({"state": "waiting", "replicasStarted": 2, "restartCount": 0});
    let mut pulling = waiting.clone();
    pulling["reason"] = json!("ErrImagePull");
    let restarted = json!({
        "state": "running", "replicasStarted": 2, "restartCount": 1,
        "lastExitCode": 137, "lastTerminationReason": "OOMKilled",
    });
    play(vec![
        answer("502 Bad Gateway", "", ""),
        before(),
        shown(NEW, OLD, true, Value::Null),
        before(),
        own(json!({"phase": "Creating"})),
        own(json!({"health": waiting})),
        own(json!({"health": pulling})),
        own(json!({"hasInfrastructureIssue": true})),
        own(json!({"health": restarted, "readyReplicas": 1})),
        shown(
            NEW,
            NEW,
            true,
            json!({"deploymentID": OLD, "phase": "Active"}),
        ),
    ])
}

const EVENTFUL: &str = "wait my-agent --deployment deployment-new --poll-interval 1ms";
const EVENTFUL_RESULT: &str = "my-agent: ready after TIME, deployment deployment-new; the deploy changed no revision: that of deployment deployment-old serves it; the old code may go on serving\n";

#[test]
fn progress_in_plain_lines() {
    Test::against(&eventful().url(), EVENTFUL)
        .stdout(EVENTFUL_RESULT)
        .stderr(
            "[TIME] my-agent: poll failed: the API answered 502 Bad Gateway\n\
             [TIME] my-agent: the API answers again, after 1 failed poll in TIME\n\
             [TIME] my-agent: waiting: deployment deployment-old is the desired one\n\
             [TIME] my-agent: following deployment deployment-new\n\
             [TIME] my-agent: reconciling\n\
             [TIME] my-agent: the API says that deployment deployment-old is the desired one; confirming\n\
             [TIME] my-agent: creating (reconciling took TIME)\n\
             [TIME] my-agent: validating (creating took TIME)\n\
             [TIME] my-agent: its image cannot be pulled: ErrImagePull\n\
             [TIME] my-agent: the platform reports an infrastructure issue of its own\n\
             [TIME] my-agent: the platform's infrastructure issue is over\n\
             [TIME] my-agent: 1 of 2 replicas ready\n\
             [TIME] my-agent: restarted, 1 in all: OOMKilled, exit code 137 (killed (SIGKILL), nearly always out of memory)\n\
             [TIME] my-agent: ErrImagePull is over\n\
             [TIME] my-agent: active (validating took TIME)\n\
             [TIME] my-agent: ready on the revision of deployment deployment-old: the old code may go on serving\n\
             [TIME] my-agent: ready after TIME\n\
             \x20 warning     the deploy changed no revision: that of deployment deployment-old serves it; the old code may go on serving\n",
        )
        .run();
}

/// The log lines of a run, each as the schema has it.
pub(crate) fn log_lines(left: &Ended) -> Vec<Value> {
    let lines: Vec<Value> = left.stderr.lines().map(parse_json).collect();
    for line in &lines {
        validate("log-line.schema.json", line);
    }
    lines
}

#[test]
fn progress_in_log_lines_as_the_schema_describes_them() {
    let left = Test::against(&eventful().url(), EVENTFUL)
        .arg("--progress=json")
        .stdout(EVENTFUL_RESULT)
        .stderr_any()
        .run();
    let lines = log_lines(&left);
    let events: Vec<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "poll-failed",
            "poll-recovered",
            "waiting-for-target",
            "target-found",
            "phase-changed",
            "unconfirmed",
            "phase-changed",
            "phase-changed",
            "problem-detected",
            "infrastructure-issue",
            "infrastructure-recovered",
            "replicas-changed",
            "restarted",
            "problem-resolved",
            "phase-changed",
            "revision-unchanged",
            "finished",
        ]
    );
    let restarted = lines
        .iter()
        .find(|line| line["event"] == "restarted")
        .unwrap();
    assert_eq!(restarted["level"], "WARN");
    assert_eq!(restarted["agent"], "my-agent");
    assert_eq!(restarted["lastExitCode"], 137);
    let finished = lines.last().unwrap();
    assert_eq!(finished["verdict"], "ready");
}

#[test]
fn log_lines_of_failures_holds_and_debugging() {
    let ready = |ready| details(&json!({"ready": ready}));
    let server = play(vec![ready(true), ready(false), crashing(3, "boom")]);
    let left = Test::against(
        &server.url(),
        "wait my-agent --stable-for 1m --poll-interval 1ms --progress json -v --output json",
    )
    .status(10)
    .stdout_starts("{\"exitCode\":10,")
    .stderr_any()
    .run();
    validate("report.schema.json", &left.json());
    let lines = log_lines(&left);
    let has = |event: &str| lines.iter().any(|line| line["event"] == event);
    assert!(has("holding") && has("ready-lost"), "{}", left.stderr);
    assert!(
        lines
            .iter()
            .any(|line| line["level"] == "DEBUG" && line["status"] == 200)
    );
    let finished = lines.last().unwrap();
    assert_eq!(finished["level"], "ERROR");
    assert_eq!(finished["reason"]["code"], "CrashLoopBackOff");
    assert_eq!(finished["reason"]["message"], "boom");
}

/// That a terminal and a CI log find nothing to obey in a text.
fn assert_harmless(text: &str) {
    for (number, line) in text.lines().enumerate() {
        let obeyed = |char: char| char.is_control() || ('\u{202a}'..='\u{202e}').contains(&char);
        assert!(!line.chars().any(obeyed), "line {number}: {line:?}");
        assert!(
            !line.trim_start().starts_with("::"),
            "line {number}: {line:?}"
        );
        assert!(!line.contains("##["), "line {number}: {line:?}");
    }
}

#[test]
fn a_crash_is_reported_in_a_block_of_harmless_text() {
    let server = play(vec![crashing(4, &hostile())]);
    let left = Test::against(&server.url(), "wait my-agent --report-file report.json")
        .status(10)
        .stdout("my-agent: failed after TIME, deployment new: its code crashes: CrashLoopBackOff, 4 restarts of 1 replica, last exit code 1; the agent still takes sessions\n")
        .stderr_lines(
            "[TIME] my-agent: its code crashes: CrashLoopBackOff\n\
             my-agent: failed after TIME (exit code 10)\n\
             \x20 reason      its code crashes: CrashLoopBackOff, 4 restarts of 1 replica, last exit code 1; the agent still takes sessions\n\
             \x20 phase       validating, for TIME\n\
             \x20 deployment  new\n\
             \x20 last exit   code 1: an error in the application\n\
             \x20 restarts    4 restarts of 1 replica\n\
             \x20 message\n\
             \x20   | ::error::owned\n\
             \x20   | ## [error]owned\n\
             \x20   | ModuleNotFoundError: No module named 'x'\n\
             \x20 next        the image lacks a package or a file: add it to the image and build again",
        )
        .run();
    assert!(left.stderr.len() < 4096, "{} bytes", left.stderr.len());
    assert_harmless(&left.stderr);
    assert_harmless(&left.stdout);
}

#[test]
fn in_json_foreign_text_is_whole_and_still_harmless() {
    let server = play(vec![crashing(4, &hostile())]);
    let left = Test::against(&server.url(), "wait my-agent --output json --progress json")
        .status(10)
        .stdout_starts("{\"exitCode\":10,")
        .stderr_any()
        .run();
    assert_harmless(&left.stdout);
    assert_harmless(&left.stderr);
    let report = left.json();
    validate("report.schema.json", &report);
    assert_eq!(report["agents"][0]["reason"]["message"], hostile());
    assert_eq!(
        log_lines(&left).last().unwrap()["reason"]["message"],
        hostile()
    );
}

#[test]
fn the_report_holds_all_that_is_known() {
    let left = Test::against(&eventful().url(), EVENTFUL)
        .arg("--output=json")
        .arg("--progress=none")
        .stdout_starts("{")
        .run();
    let mut report = left.json();
    validate("report.schema.json", &report);
    let agent = &mut report["agents"][0];
    for phase in agent["phases"].as_array_mut().unwrap() {
        *phase = phase["phase"].take();
    }
    agent["startedAt"] = Value::Null;
    agent["elapsedMs"] = Value::Null;
    assert_eq!(
        report,
        json!({"exitCode": 0, "agents": [{
            "agent": "my-agent", "verdict": "ready", "exitCode": 0,
            "deploymentId": NEW, "baselineDeploymentId": null, "reason": null,
            "available": true, "revisionUnchanged": true, "revision": null,
            "startedAt": null, "elapsedMs": null, "serverTime": null,
            "phases": ["waiting", "reconciling", "creating", "validating", "active"],
            "polls": 10, "failedPolls": 1, "logs": [], "requestId": null,
            "deploymentCreatedAt": null, "image": null, "region": null, "activeSessions": null,
            "warnings": [{
                "code": "RevisionUnchanged",
                "summary": "the deploy changed no revision: that of deployment deployment-old serves it; the old code may go on serving",
            }],
        }]})
    );
}

#[test]
fn quiet_shows_failures_and_progress_none_shows_nothing() {
    let ready = || play(vec![agent(true)]);
    let failed = || play(vec![revision("Failed", &Value::Null)]);
    let said = "my-agent: failed after TIME, deployment new: its revision has failed, and the platform gives no reason; the agent still takes sessions\n";
    Test::against(&ready().url(), "wait my-agent -q")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .run();
    Test::against(&failed().url(), "wait my-agent -q")
        .status(10)
        .stdout(said)
        .stderr(
            "my-agent: failed after TIME (exit code 10)\n\
             \x20 reason      its revision has failed, and the platform gives no reason; the agent still takes sessions\n\
             \x20 phase       failed, for TIME\n\
             \x20 deployment  new\n",
        )
        .run();
    Test::against(&failed().url(), "wait my-agent --progress none")
        .status(10)
        .stdout(said)
        .run();
}

#[test]
fn verbose_logs_every_request_and_rust_log_decides_for_itself() {
    let left = Test::against(&play(vec![agent(true)]).url(), "wait my-agent -v")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr_any()
        .run();
    assert!(
        left.stderr.contains(
            "DEBUG pipecat_rollout::adapters::api::connection: answer agent=my-agent status=200"
        ),
        "{}",
        left.stderr
    );
    let left = Test::against(&play(vec![agent(true)]).url(), "wait my-agent -v")
        .env("RUST_LOG", "pipecat_rollout=info")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr_any()
        .run();
    assert!(!left.stderr.contains("DEBUG"), "{}", left.stderr);
}

#[test]
fn status_polls_once() {
    let server = play(vec![agent(true)]);
    Test::against(&server.url(), "status my-agent")
        .stdout("my-agent: ready, deployment new\n  replicas    1 ready\n")
        .run();
    assert_eq!(server.requests().len(), 1);
    Test::against(&play(vec![revision("Creating", &Value::Null)]).url(), "status my-agent")
        .status(124)
        .stdout("my-agent: still progressing, deployment new: creating; the agent still takes sessions\n")
        .stderr(
            "my-agent: still progressing (exit code 124)\n\
             \x20 reason      creating; the agent still takes sessions\n\
             \x20 phase       creating\n\
             \x20 deployment  new\n\
             \x20 next        it may still come up: pipecat-rollout wait-for-ready my-agent --deployment new\n",
        )
        .run();
    Test::against(&play(vec![crashing(3, "boom")]).url(), "status my-agent --progress none")
        .status(10)
        .stdout("my-agent: failed, deployment new: its code crashes: CrashLoopBackOff, 3 restarts of 1 replica, last exit code 1; the agent still takes sessions\n")
        .run();
    Test::against(
        &play(vec![answer("404 Not Found", "", r#"{"error":"none"}"#)]).url(),
        "status my-agent --progress none",
    )
    .status(4)
    .stdout("my-agent: not found: there is no such agent (404)\n")
    .run();
    Test::against(
        &play(vec![answer("503 Service Unavailable", "", "")]).url(),
        "status my-agent --progress none",
    )
    .status(5)
    .stdout("my-agent: unavailable: the API answered 503 Service Unavailable\n")
    .run();
}

/// Runs on a terminal of its own, of 80 columns, and gives all that is drawn on it.
fn on_a_terminal(test: Test, status: i32) -> String {
    let (slave, reader) = terminal();
    let left = test.status(status).stdio_to(slave).run();
    assert_eq!((left.stdout.as_str(), left.stderr.as_str()), ("", ""));
    reader.join().unwrap()
}

/// A terminal of 80 columns, and what reads all that is drawn on it.
pub(crate) fn terminal() -> (File, std::thread::JoinHandle<String>) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = rustix::termios::Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let reader = std::thread::spawn(move || {
        let (mut master, mut drawn, mut bytes) = (File::from(master), Vec::new(), [0; 4096]);
        // The end of a terminal is an error, EIO.
        while let Ok(count @ 1..) = master.read(&mut bytes) {
            drawn.extend_from_slice(&bytes[..count]);
        }
        String::from_utf8_lossy(&drawn).into_owned()
    });
    (slave, reader)
}

/// What stays on a terminal that obeys what our status lines use: erase a line, go up one, colours.
fn screen(drawn: &str) -> Vec<String> {
    let colour = regex_lite::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    let plain = colour.replace_all(drawn, "");
    let (mut lines, mut row) = (vec![String::new()], 0);
    let mut rest = plain.as_ref();
    while let Some(char) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\u{1b}[2K") {
            lines[row].clear();
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("\u{1b}[1A") {
            row -= 1;
            rest = after;
            continue;
        }
        match char {
            '\n' => {
                row += 1;
                if row == lines.len() {
                    lines.push(String::new());
                }
            }
            // All that follows one here is an erasure, or a line break.
            '\r' => {}
            char => lines[row].push(char),
        }
        rest = &rest[char.len_utf8()..];
    }
    assert_eq!(lines.pop().as_deref(), Some(""), "a line is left open");
    lines
}

#[test]
fn a_terminal_shows_status_lines_and_progress_above_them() {
    let server = eventful();
    let test = Test::against(&server.url(), EVENTFUL).env("TERM", "xterm-256color");
    let drawn = on_a_terminal(test, 0);
    // The end of a colour looks like a time.
    let shown = normal(&drawn.replace("\u{1b}[0m", "<plain>"));
    assert!(shown.contains("my-agent: waiting"), "{shown:?}");
    assert!(
        shown.contains("\u{1b}[33mready on the revision of deployment deployment-old"),
        "{shown:?}"
    );
    assert!(
        shown.contains("\u{1b}[32mmy-agent: ready after TIME, deployment deployment-new<plain>"),
        "{shown:?}"
    );
    let lines = screen(&drawn);
    let lines: Vec<String> = lines.iter().map(|line| normal(line)).collect();
    let creating = "[TIME] my-agent: creating (reconciling took TIME)".to_owned();
    assert!(lines.contains(&creating), "{lines:#?}");
    // The ending is shown once, and nothing is drawn after it.
    assert_eq!(
        lines[lines.len() - 3..],
        [
            "my-agent: ready after TIME, deployment deployment-new",
            "  warning     the deploy changed no revision: that of deployment deployment-old",
            "              serves it; the old code may go on serving",
        ]
    );
    let ready = lines.iter().filter(|line| line.contains("ready after"));
    assert_eq!(ready.count(), 1, "{lines:#?}");
}

#[test]
fn a_failure_on_a_terminal_is_shown_once_wrapped_to_its_width() {
    let message = "one two three four five six seven eight nine ten ".repeat(4);
    let server = play(vec![crashing(4, &message)]);
    let test = Test::against(&server.url(), "wait my-agent").env("TERM", "xterm-256color");
    let lines = screen(&on_a_terminal(test, 10));
    for line in &lines {
        assert!(
            line.chars().count() <= 80 && !line.ends_with(' '),
            "{line:?}"
        );
    }
    let block = lines.iter().position(|line| line.contains("failed after"));
    let block: Vec<String> = lines[block.unwrap()..]
        .iter()
        .map(|line| normal(line))
        .collect();
    assert_eq!(
        block[..3],
        [
            "my-agent: failed after TIME (exit code 10)",
            "  reason      its code crashes: CrashLoopBackOff, 4 restarts of 1 replica, last",
            "              exit code 1; the agent still takes sessions",
        ]
    );
    let last = block.last().unwrap();
    assert_eq!(
        last,
        "  next        fix the error shown above, and deploy again"
    );
    let words = block.join(" ").replace("    |   ", "");
    assert!(words.contains(message.trim_end()), "{block:#?}");
}

#[test]
fn the_result_goes_to_stdout_where_that_is_not_the_terminal() {
    let server = play(vec![crashing(4, "boom")]);
    let (slave, reader) = terminal();
    Test::against(&server.url(), "wait my-agent")
        .env("TERM", "xterm-256color")
        .stderr_to(slave)
        .status(10)
        .stdout_starts("my-agent: failed after TIME, deployment new: its code crashes")
        .run();
    assert!(reader.join().unwrap().contains("failed after"));
    let server = play(vec![crashing(4, "boom")]);
    let test =
        Test::against(&server.url(), "wait my-agent --output json").env("TERM", "xterm-256color");
    let lines = screen(&on_a_terminal(test, 10));
    assert!(
        lines.last().unwrap().contains("\"exitCode\":10"),
        "{lines:#?}"
    );
}

#[test]
fn status_on_a_terminal_shows_its_result_once() {
    for (details, status, words) in [
        (agent(true), 0, "my-agent: ready, deployment new"),
        (crashing(4, "boom"), 10, "my-agent: failed (exit code 10)"),
    ] {
        let server = play(vec![details]);
        let test = Test::against(&server.url(), "status my-agent").env("TERM", "xterm-256color");
        let lines = screen(&on_a_terminal(test, status));
        assert_eq!(lines[0], words);
        let named = lines.iter().filter(|line| line.starts_with("my-agent:"));
        assert_eq!(named.count(), 1, "{lines:#?}");
    }
}

#[test]
fn no_color_is_obeyed() {
    let server = play(vec![crashing(4, "boom")]);
    let test = Test::against(&server.url(), "wait my-agent")
        .env("TERM", "xterm-256color")
        .env("NO_COLOR", "1");
    let drawn = on_a_terminal(test, 10);
    assert!(
        !drawn.contains("\u{1b}[3") && !drawn.contains("\u{1b}[1m"),
        "{drawn:?}"
    );
    assert!(drawn.contains("my-agent: failed after"), "{drawn:?}");
}

#[test]
fn a_terminal_that_is_dumb_unknown_or_a_ci_gets_plain_lines() {
    for variable in [
        Some(("TERM", "dumb")),
        Some(("TERM", "")),
        None,
        Some(("CI", "true")),
    ] {
        let server = play(vec![crashing(4, "boom")]);
        let mut test = Test::against(&server.url(), "wait my-agent");
        if variable.is_some_and(|(name, _)| name == "CI") {
            test = test.env("TERM", "xterm-256color");
        }
        if let Some((name, value)) = variable {
            test = test.env(name, value);
        }
        let drawn = on_a_terminal(test, 10);
        assert!(!drawn.contains('\u{1b}'), "{variable:?}: {drawn:?}");
        let failed = drawn.lines().filter(|line| line.contains("failed after"));
        assert_eq!(failed.count(), 1, "{variable:?}: {drawn:?}");
        let target = drawn.contains("my-agent: following deployment new");
        assert!(target, "{variable:?}: {drawn:?}");
    }
    let server = play(vec![agent(true)]);
    let test = Test::against(&server.url(), "wait my-agent --progress plain");
    let drawn = on_a_terminal(test.env("TERM", "xterm-256color"), 0);
    assert!(!drawn.contains('\u{1b}'), "{drawn:?}");
}

#[test]
fn tty_without_a_terminal_is_plain() {
    Test::against(
        &play(vec![agent(true)]).url(),
        "wait my-agent --progress tty",
    )
    .stdout("my-agent: ready after TIME, deployment new\n")
    .stderr_lines("[TIME] my-agent: ready after TIME")
    .run();
}
