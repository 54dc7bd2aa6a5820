//! `run` around deploy commands that misbehave, fail, or are interrupted.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::Test;
use crate::rehearsal::{AGENT, Rehearsal, id};
use crate::server::Server;
use crate::support::KEY;
use crate::support::http::{answer, send};
use crate::support::process::Signal;

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn a_command_that_ignores_sigterm_is_killed_after_ten_seconds() {
    // What it starts ignores the signal as well.
    let rehearsed = Rehearsal::of("phase-failed")
        .speed(20)
        .around_a_script("trap '' TERM; sh deploy; while :; do sleep 1; done")
        .end();
    rehearsed.expect("failed", 10, 137);
    assert!(
        rehearsed.command_elapsed() >= rehearsed.elapsed() + 10_000,
        "{rehearsed}"
    );
    rehearsed.expect_no_process_left();
}

#[test]
fn what_the_command_started_ends_with_it() {
    let background = "sh -c 'while :; do sleep 1; done' & sh deploy; wait";
    let rehearsed = Rehearsal::of("phase-failed")
        .speed(20)
        .around_a_script(background)
        .end();
    rehearsed.expect("failed", 10, 143);
    rehearsed.expect_no_process_left();
}

#[test]
fn a_child_has_ten_seconds_to_clean_up_as_well() {
    let cleans_up = "sh -c 'trap \"sleep 3; touch cleaned; exit\" TERM; while :; do sleep 0.1; done' & sh deploy; wait";
    let rehearsed = Rehearsal::of("phase-failed")
        .speed(20)
        .around_a_script(cleans_up)
        .end();
    rehearsed.expect("failed", 10, 143);
    rehearsed.expect_no_process_left();
    assert!(rehearsed.path("cleaned").exists(), "{rehearsed}");
}

#[test]
fn a_child_that_outlives_the_asked_command_is_killed() {
    let stubborn = "sh -c 'trap \"\" TERM; while :; do sleep 1; done' & sh deploy; wait";
    let rehearsed = Rehearsal::of("phase-failed")
        .speed(20)
        .around_a_script(stubborn)
        .end();
    rehearsed.expect("failed", 10, 143);
    rehearsed.expect_no_process_left();
}

#[test]
fn a_child_that_holds_the_command_s_stdout_delays_nothing() {
    let script = "sh -c 'touch holds; while [ ! -e release ]; do sleep 0.1; done' & sh deploy; \
                  while [ ! -e holds ]; do sleep 0.1; done";
    let rehearsed = Rehearsal::of("rolling-update")
        .around_a_script(script)
        .end();
    rehearsed.expect("ready", 0, 0);
    assert_eq!(rehearsed.deployment(), Some(&*id("new")));
    fs::write(rehearsed.path("release"), "").unwrap();
    rehearsed.expect_no_process_left();
}

#[test]
fn a_deployment_that_shows_after_the_command_has_ended_is_judged() {
    // Three seconds pass between the answer to the deploy and the first read that shows it.
    let text = include_str!("../../config/scenarios/rolling-update.toml");
    let late = ["0s", "2s", "4s", "7s", "12s", "16s", "20s"]
        .iter()
        .rev()
        .fold(text.to_owned(), |text, at| {
            let seconds: u64 = at.trim_end_matches('s').parse().unwrap();
            let state = |at: &str| format!("[[state]]\nat = \"{at}\"\n");
            text.replace(&state(at), &state(&format!("{}s", seconds + 15)))
        });
    let rehearsed = Rehearsal::scripted(&late)
        .around_a_script("sh deploy")
        .end();
    rehearsed.expect("ready", 0, 0);
    assert_eq!(rehearsed.deployment(), Some(&*id("new")));
    let (_, sent) = rehearsed.deployed().unwrap();
    let written = fs::metadata(rehearsed.path("report.json")).unwrap();
    let written = written
        .modified()
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH);
    let written = u64::try_from(written.unwrap().as_millis()).unwrap();
    assert!(
        rehearsed.elapsed() + 3_000 <= written - sent,
        "the clock of the rollout ran before it showed\n{rehearsed}"
    );
    rehearsed.expect_no_process_left();
}

#[test]
fn a_command_that_deploys_nothing_leaves_the_agent_unchanged() {
    let rehearse = |switches: &str| {
        Rehearsal::of("rolling-update")
            .switches("--appear-timeout 1s")
            .switches(switches)
            .around_a_script("true")
            .end()
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let unchanged = rehearse("");
            unchanged.expect("unchanged", 13, 0);
            assert_eq!(unchanged.deployment(), None, "{unchanged}");
            assert_eq!(unchanged.agent()["baselineDeploymentId"], id("old"));
        });
        let accepted = rehearse("--if-unchanged accept");
        accepted.expect("ready", 0, 0);
        assert_eq!(accepted.deployment(), Some(&*id("old")), "{accepted}");
    });
}

#[test]
fn a_baseline_that_lagged_is_not_replaced_by_what_was_there_before_the_command() {
    // The first answers come from a replica that lags; nothing is deployed while it runs.
    let server = Server::start(|number, stream| {
        let (deployment, age) = if number < 3 {
            ("older", 48 * HOUR)
        } else {
            ("old", HOUR)
        };
        let (now, made) = (SystemTime::now(), SystemTime::now() - age);
        let made = jiff::Timestamp::try_from(made).unwrap().to_string();
        let details = json!({
            "name": AGENT, "ready": true, "available": true, "updatedAt": made,
            "desiredDeploymentId": deployment, "reconciledDeploymentId": deployment,
            "deployment": {"id": deployment, "createdAt": made, "updatedAt": made},
        });
        let date = format!("Date: {}\r\n", httpdate::fmt_http_date(now));
        send(stream, &answer("200 OK", &date, &details.to_string()));
    });
    let arguments = ["run", AGENT, "--appear-timeout", "2s", "--output", "json"];
    let left = Test::with(arguments.into_iter().chain(["--", "true"]))
        .env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_API_KEY", KEY)
        .status(13)
        .stdout_any()
        .stderr_any()
        .run();
    let report = left.json();
    assert_eq!(report["agents"][0]["verdict"], "unchanged");
    assert_eq!(report["agents"][0]["deploymentId"], Value::Null);
}

#[test]
fn a_command_that_fails_before_it_deploys_gives_its_own_code() {
    let rehearse = |(script, code): (&str, i32)| {
        let rehearsed = Rehearsal::of("rolling-update")
            .switches("--appear-timeout 1s")
            .around_a_script(script)
            .end();
        rehearsed.expect("command-failed", code, code);
        assert_eq!(rehearsed.deployment(), None, "{rehearsed}");
        assert_eq!(rehearsed.agent()["exitCode"], code, "{rehearsed}");
        assert_eq!(rehearsed.agent()["baselineDeploymentId"], id("old"));
        rehearsed.expect_no_process_left();
    };
    thread::scope(|scope| {
        for failure in [
            ("exit 3", 3),
            // A verdict's code is passed on as well; the report says whose it is.
            ("exit 10", 10),
            ("exit 255", 255),
            ("kill -9 $$", 137),
            ("kill -15 $$", 143),
        ] {
            scope.spawn(move || rehearse(failure));
        }
    });
}

#[test]
fn a_command_that_fails_after_its_deploy_has_the_deployment_judged() {
    let rehearse = |scenario: &str| {
        let rehearsed = Rehearsal::of(scenario)
            .speed(20)
            .around_a_script("sh deploy; exit 3")
            .end();
        assert_eq!(rehearsed.deployment(), Some(&*id("new")), "{rehearsed}");
        rehearsed
    };
    rehearse("phase-failed").expect("failed", 10, 3);
    let ready = rehearse("rolling-update");
    ready.expect("ready", 3, 3);
    // The agent's own code is its verdict's.
    assert_eq!(ready.agent()["exitCode"], 0, "{ready}");
}

#[test]
fn sigint_goes_on_to_all_processes_of_the_command() {
    signal_goes_on("INT", Signal::INT);
}

#[test]
fn sigterm_goes_on_to_all_processes_of_the_command() {
    signal_goes_on("TERM", Signal::TERM);
}

#[test]
fn sighup_goes_on_to_all_processes_of_the_command() {
    signal_goes_on("HUP", Signal::HUP);
}

fn signal_goes_on(name: &str, signal: Signal) {
    let code = 128 + signal.as_raw();
    // The shell's own trap runs once its child has ended, so each must have had the signal.
    let script = "trap 'touch parent; trap - NAME; kill -NAME $$' NAME; \
                  sh -c 'trap \"touch child; exit\" NAME; touch started; while :; do sleep 0.1; done'; \
                  while :; do sleep 0.1; done";
    let mut running = Rehearsal::of("stuck").around_a_script(&script.replace("NAME", name));
    running.wait_for_file("started");
    running.signal(signal);
    let rehearsed = running.end();
    rehearsed.expect("interrupted", code, code);
    for process in ["parent", "child"] {
        assert!(
            rehearsed.path(process).exists(),
            "SIG{name} did not reach the {process}\n{rehearsed}"
        );
    }
    rehearsed.expect_no_process_left();
}

#[test]
fn a_second_signal_ends_a_stubborn_command_at_once_and_the_report_is_written() {
    // It does not end with the first signal; more than two seconds later the second one is due.
    let script = "trap '' TERM; trap 'sleep 2.5; touch due' INT; touch started; \
                  while :; do sleep 0.1; done";
    let mut running = Rehearsal::of("stuck").around_a_script(script);
    running.wait_for_file("started");
    running.signal(Signal::INT);
    running.wait_for_file("due");
    running.signal(Signal::TERM);
    let rehearsed = running.end();
    rehearsed.expect("interrupted", 130, 137);
    rehearsed.expect_no_process_left();
}

#[test]
fn a_signal_while_the_vendor_cli_waits_still_reports_the_deployment() {
    let mut running = Rehearsal::of("stuck").around_the_vendor_cli();
    running.wait_for_output(&id("new"));
    running.signal(Signal::TERM);
    let rehearsed = running.end();
    rehearsed.expect("interrupted", 143, 143);
    assert_eq!(rehearsed.deployment(), Some(&*id("new")), "{rehearsed}");
    rehearsed.expect_no_process_left();
}

#[test]
fn a_ready_rollout_waits_for_the_command_s_own_end() {
    let script = "sh deploy; while [ ! -e release ]; do sleep 0.1; done; touch ended; exit CODE";
    for (code, report_code) in [(0, 0), (7, 7)] {
        let mut running = Rehearsal::of("rolling-update")
            .speed(20)
            .around_a_script(&script.replace("CODE", &code.to_string()));
        running.wait_for_output(&format!("{AGENT}: ready"));
        running.touch("release");
        let rehearsed = running.end();
        rehearsed.expect("ready", report_code, code);
        assert!(rehearsed.path("ended").exists(), "{rehearsed}");
    }
}

#[test]
fn a_ready_deployment_that_is_replaced_before_the_command_ends_is_no_success() {
    // A colleague deploys while the command builds; what it deploys itself comes last.
    let script = "sh deploy; mv deployed colleague; while [ ! -e built ]; do sleep 0.1; done; \
                  sh deploy; mv colleague deployed";
    let mut running = Rehearsal::of("rolling-update")
        .speed(20)
        .around_a_script(script);
    running.wait_for_output(&format!("{AGENT}: ready"));
    running.touch("built");
    let rehearsed = running.end();
    rehearsed.expect("superseded", 12, 0);
    assert_eq!(rehearsed.deployment(), Some(&*id("new")), "{rehearsed}");
    rehearsed.expect_no_process_left();
}

#[test]
fn a_command_may_be_let_finish_after_the_verdict_is_shown() {
    let script = "sh deploy; while [ ! -e release ]; do sleep 0.1; done; touch ended";
    let mut running = Rehearsal::of("phase-failed")
        .speed(20)
        .switches("--let-command-finish")
        .around_a_script(script);
    // The verdict is shown at once, while the command still runs.
    running.wait_for_output("failed");
    running.touch("release");
    let rehearsed = running.end();
    rehearsed.expect("failed", 10, 0);
    assert!(rehearsed.path("ended").exists(), "{rehearsed}");
    rehearsed.expect_no_process_left();
}
