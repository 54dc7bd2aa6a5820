//! The verdicts as test results, read by an XML parser.

use std::fs;
use std::thread;

use roxmltree::Document;
use serde_json::json;

use crate::harness::{Test, normal};
use crate::runner::{Step, commands, names, outputs};
use crate::server::{Server, agent, details, play};
use crate::support::http::answer;

/// Judges three agents, of which one is ready.
fn three() -> Server {
    Server::answering(|request| match request.path.as_str() {
        "/v1/agents/good" => details(&json!({"name": "good", "ready": true})),
        "/v1/agents/bad" => details(
            &json!({"name": "bad", "currentRevision": {"deploymentID": "new", "phase": "Failed"}}),
        ),
        _ => answer("401 Unauthorized", "", ""),
    })
}

#[test]
fn a_suite_with_a_case_an_agent() {
    let server = three();
    let test = Test::against(
        &server.url(),
        "wait good bad shut --poll-interval 1ms --progress none --junit rollout.xml",
    );
    let path = test.folder().join("rollout.xml");
    test.afterwards(move || {
        let xml = normal(&fs::read_to_string(path).unwrap());
        let times = regex_lite::Regex::new(r#"time(stamp)?="[^"]*""#).unwrap();
        let xml = times.replace_all(&xml, "time$1=\"\"");
        let polls = regex_lite::Regex::new(r"\(\d+ failed").unwrap();
        assert_eq!(
            polls.replace_all(&xml, "(N failed"),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
<testsuite name="pipecat-rollout" tests="3" failures="1" errors="1" skipped="0" time="" timestamp="">
<testcase classname="pipecat-rollout" name="good" time="">
</testcase>
<testcase classname="pipecat-rollout" name="bad" time="">
<failure type="PhaseFailed" message="bad: failed after TIME, deployment new: its revision has failed, and the platform gives no reason; the agent still takes sessions">bad: failed after TIME (exit code 10)
  reason      its revision has failed, and the platform gives no reason; the agent still takes sessions
  phase       failed, for TIME
  deployment  new</failure>
</testcase>
<testcase classname="pipecat-rollout" name="shut" time="">
<error type="Http401" message="shut: unauthorized after TIME: the API answered 401 Unauthorized; asked with the private API key in PIPECAT_API_KEY (N failed polls in a row, over TIME)">shut: unauthorized after TIME (exit code 3)
  reason      the API answered 401 Unauthorized; asked with the private API key in PIPECAT_API_KEY (N failed polls in a row, over TIME)
  phase       waiting, for TIME
  next        ask with a private API key of the agent&apos;s organization (Dashboard, Settings, API Keys), or with a login that may read it</error>
</testcase>
</testsuite>
</testsuites>
"#
        );
    })
    .status(10)
    .stdout_starts("AGENT  VERDICT       AFTER  DEPLOYMENT  REASON\ngood   ready         TIME   new\n")
    .run();
}

#[test]
fn simulated_rollouts_in_a_step_leave_all_their_files() {
    let play = |scenario: &str, status: i32, verdict: &str, element: &str| {
        let arguments = format!(
            "wait voice-starter --simulate {scenario} --speed 50 --junit rollout.xml --dotenv rollout.env"
        );
        let (test, step) = Step::around(Test::new(&arguments));
        let (expected, element) = (verdict.to_owned(), element.to_owned());
        let result = match status {
            0 => "voice-starter: ready",
            _ => "",
        };
        let left = test
            .afterwards(move || {
                let found = outputs(&step.read("set_output"));
                assert_eq!(found["verdict"], expected);
                assert_eq!(found["exit-code"], status.to_string());
                let variables = step.read("rollout.env");
                let start = format!("PIPECAT_ROLLOUT_VERDICT={expected}\n");
                assert!(variables.starts_with(&start), "{variables}");
                let row = format!("| voice-starter | **{expected}** | {status} |");
                assert!(step.read("step_summary").contains(&row));
                let xml = step.read("rollout.xml");
                let results = Document::parse(&xml).unwrap();
                let cases = results
                    .descendants()
                    .filter(|node| node.has_tag_name("testcase"));
                let first = cases
                    .flat_map(|case| case.children())
                    .find(roxmltree::Node::is_element);
                assert_eq!(first.map_or("", |node| node.tag_name().name()), element);
            })
            .status(status)
            .stdout_starts(result)
            .stderr_any()
            .run();
        let ours: &[&str] = match status {
            0 => &["group", "endgroup"],
            _ => &["group", "endgroup", "error"],
        };
        assert_eq!(names(&commands(&left.stderr)), ours, "{}", left.stderr);
    };
    thread::scope(|scope| {
        for (scenario, status, verdict, element) in [
            ("rolling-update", 0, "ready", ""),
            ("crash-loop", 10, "failed", "failure"),
            ("superseded", 12, "superseded", "failure"),
            ("not-found", 4, "not-found", "error"),
        ] {
            scope.spawn(move || play(scenario, status, verdict, element));
        }
    });
}

#[test]
fn what_cannot_be_written_is_found_out_before_the_wait() {
    let server = play(vec![agent(true)]);
    for switch in ["--junit", "--dotenv"] {
        Test::against(&server.url(), "wait my-agent")
            .arg(switch)
            .arg("missing/file")
            .status(2)
            .stderr(&format!(
                "error: {switch}: the folder missing does not exist\n"
            ))
            .run();
        Test::against(&server.url(), "wait my-agent -q")
            .arg(switch)
            .arg("/dev/full")
            .status(1)
            .stdout("my-agent: ready after TIME, deployment new\n")
            .stderr(&format!(
                "error: {switch}: cannot write /dev/full: No space left on device (os error 28)\n"
            ))
            .run();
    }
    assert_eq!(server.requests().len(), 2);
}
