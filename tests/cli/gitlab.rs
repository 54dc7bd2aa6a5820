//! GitLab CI: sections in the job's log, and the dotenv artifact.

use std::fs;

use crate::harness::{Test, normal};
use crate::server::{agent, crashing, details, hostile, play};

/// Has a run take place in a job of a pipeline.
fn in_a_job(test: Test) -> Test {
    let folder = test.folder();
    test.env("CI", "true")
        .env("GITLAB_CI", "true")
        .env("CI_JOB_NAME", "rollout")
        .env("CI_PIPELINE_SOURCE", "push")
        .env("CI_SERVER", "yes")
        .env("CI_PROJECT_DIR", folder)
}

/// Section marks with their times and names by name, after it was seen that they belong together.
fn sections(log: &str) -> String {
    let mark = regex_lite::Regex::new(
        "\u{1b}\\[0Ksection_(start|end):([0-9]+):(pipecat_rollout_[0-9]+)\r\u{1b}\\[0K",
    )
    .unwrap();
    let found: Vec<_> = mark.captures_iter(log).collect();
    assert_eq!(found.len(), 2, "{log:?}");
    assert_eq!((&found[0][1], &found[1][1]), ("start", "end"));
    assert_eq!(found[0][3], found[1][3], "the names differ");
    let second = |at: usize| found[at][2].parse::<u64>().unwrap();
    assert!(second(0) <= second(1) && second(0) > 1_700_000_000);
    let marked = mark.replace_all(log, "<$1>");
    assert!(!marked.contains(['\u{1b}', '\r']), "{marked:?}");
    marked.into_owned()
}

#[test]
fn a_failure_in_a_job() {
    let server = play(vec![crashing(4, "boom")]);
    let test = Test::against(&server.url(), "wait my-agent --dotenv rollout.env");
    let path = test.folder().join("rollout.env");
    let left = in_a_job(test)
        .file("rollout.env", "replaced")
        .afterwards(move || {
            let written = fs::read_to_string(path).unwrap();
            let lines: Vec<&str> = written.lines().collect();
            assert_eq!(
                lines[..3],
                [
                    "PIPECAT_ROLLOUT_VERDICT=failed",
                    "PIPECAT_ROLLOUT_EXIT_CODE=10",
                    "PIPECAT_ROLLOUT_DEPLOYMENT_ID=new",
                ]
            );
            let elapsed = lines[3].strip_prefix("PIPECAT_ROLLOUT_ELAPSED_MS=").unwrap();
            assert!(elapsed.parse::<u64>().is_ok() && lines.len() == 4, "{written}");
        })
        .status(10)
        .stdout("my-agent: failed after TIME, deployment new: its code crashes: CrashLoopBackOff, 4 restarts of 1 replica, last exit code 1; the agent still takes sessions\n")
        .stderr_any()
        .run();
    assert_eq!(
        normal(&sections(&left.stderr)),
        "<start>Rollout of my-agent\n\
         [TIME] my-agent: following deployment new\n\
         [TIME] my-agent: validating\n\
         [TIME] my-agent: restarted, 4 in all: exit code 1 (an error in the application)\n\
         [TIME] my-agent: its code crashes: CrashLoopBackOff\n\
         <end>\n\
         my-agent: failed after TIME (exit code 10)\n\
         \x20 reason      its code crashes: CrashLoopBackOff, 4 restarts of 1 replica, last exit code 1; the agent still takes sessions\n\
         \x20 phase       validating, for TIME\n\
         \x20 deployment  new\n\
         \x20 last exit   code 1: an error in the application\n\
         \x20 restarts    4 restarts of 1 replica\n\
         \x20 message\n\
         \x20   | boom\n\
         \x20 next        fix the error shown above, and deploy again\n"
    );
}

#[test]
fn a_hostile_crash_makes_no_section() {
    let marks = "\u{1b}[0Ksection_start:1:x[collapsed=true]\r\u{1b}[0Kowned\u{1b}[0Ksection_end:1:x\r\u{1b}[0K";
    let message = format!("{}\n{marks}\n", hostile());
    let server = play(vec![crashing(4, &message)]);
    let left = in_a_job(Test::against(&server.url(), "wait my-agent -v"))
        .status(10)
        .stdout_starts("my-agent: failed")
        .stderr_any()
        .run();
    sections(&left.stderr);
}

#[test]
fn progress_can_be_chosen_and_a_single_check_has_no_section() {
    let ready = || play(vec![agent(true)]);
    let left = Test::against(&ready().url(), "wait my-agent --progress gitlab")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .stderr_any()
        .run();
    assert!(normal(&sections(&left.stderr)).ends_with("[TIME] my-agent: ready\n<end>\n"));
    in_a_job(Test::against(
        &ready().url(),
        "wait my-agent --progress plain",
    ))
    .stdout("my-agent: ready after TIME, deployment new\n")
    .stderr_lines("[TIME] my-agent: ready after TIME")
    .run();
    in_a_job(Test::against(&ready().url(), "status my-agent"))
        .stdout("my-agent: ready, deployment new\n  replicas    1 ready\n")
        .run();
    in_a_job(Test::against(&ready().url(), "wait my-agent -q"))
        .stdout("my-agent: ready after TIME, deployment new\n")
        .run();
}

#[test]
fn an_id_that_is_none_makes_no_variable_of_its_own() {
    let id = "x\nLD_PRELOAD=/tmp/x.so";
    let odd = details(&serde_json::json!({
        "ready": true, "desiredDeploymentId": id, "reconciledDeploymentId": id,
    }));
    let test = Test::against(&play(vec![odd]).url(), "wait my-agent -q --dotenv d.env");
    let path = test.folder().join("d.env");
    test.afterwards(move || {
        let written = fs::read_to_string(path).unwrap();
        assert_eq!(written.lines().count(), 4, "{written}");
        assert!(
            written.contains("\nPIPECAT_ROLLOUT_DEPLOYMENT_ID=\n"),
            "{written}"
        );
    })
    .stdout("my-agent: ready after TIME, deployment x ld_preload=/tmp/x.so\n")
    .run();
}
