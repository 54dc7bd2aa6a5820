//! `run` around a deploy command that waits by itself, as the vendor's CLI does, in every scenario.

use std::env;
use std::fs;
use std::process;
use std::thread;
use std::time::Duration;

use pipecat_rollout::fuzzing::simulator::Scenario;
use serde_json::Value;

use crate::rehearsal::{AGENT, Rehearsal, Rehearsed, epoch_ms, id};
use crate::support::{http, number, project_text};

/// How a rehearsal of a built-in scenario ends.
struct Ending {
    scenario: &'static str,
    switches: &'static str,
    verdict: &'static str,
    /// The exit code of `run`; `None` where it is the command's.
    code: Option<i32>,
    /// The command's exit code; `None` where it depends on when its polls fall.
    command: Option<i32>,
}

const fn ending(
    scenario: &'static str,
    switches: &'static str,
    verdict: &'static str,
    code: Option<i32>,
    command: Option<i32>,
) -> Ending {
    Ending {
        scenario,
        switches,
        verdict,
        code,
        command,
    }
}

/// 128 and SIGTERM's 15: the command was asked to end.
const ASKED_TO_END: Option<i32> = Some(143);

const ENDINGS: [Ending; 20] = [
    ending("rolling-update", "", "ready", Some(0), Some(0)),
    ending("first-deploy", "", "ready", Some(0), Some(0)),
    ending("scale-to-zero", "", "ready", Some(0), Some(0)),
    ending("bad-gateway", "", "ready", Some(0), Some(0)),
    ending("lagging-reads", "", "ready", Some(0), Some(0)),
    // The command gives up on the first 429, if it meets one.
    ending("rate-limited", "", "ready", None, None),
    ending("flapping", "", "ready", None, None),
    ending("crash-loop", "", "failed", Some(10), ASKED_TO_END),
    ending(
        "image-pull",
        "--pull-grace 1s",
        "failed",
        Some(10),
        ASKED_TO_END,
    ),
    ending("out-of-memory", "", "failed", Some(10), ASKED_TO_END),
    ending("phase-failed", "", "failed", Some(10), ASKED_TO_END),
    ending("stuck", "--timeout 3s", "timeout", Some(124), ASKED_TO_END),
    // The command would follow the colleague's deployment and report its success.
    ending("superseded", "", "superseded", Some(12), ASKED_TO_END),
    // The command takes the old deployment for its own.
    ending("rolled-back", "", "superseded", Some(12), Some(0)),
    ending(
        "unchanged",
        "--appear-timeout 1s",
        "unchanged",
        Some(13),
        Some(0),
    ),
    ending(
        "infrastructure-issue",
        "",
        "infrastructure",
        Some(14),
        ASKED_TO_END,
    ),
    ending("deleted", "", "not-found", Some(4), None),
    // Its deploy is refused: there is no such agent.
    ending(
        "not-found",
        "--appear-timeout 1s",
        "command-failed",
        Some(1),
        Some(1),
    ),
    // Without a baseline the command does not run.
    ending("unauthorized", "", "unauthorized", Some(3), None),
    ending(
        "outage",
        "--outage-timeout 3s",
        "unavailable",
        Some(5),
        Some(1),
    ),
];

/// How long the command of the scenarios builds before it deploys, in milliseconds.
const BUILD: u64 = 1_500;

#[test]
fn run_is_right_about_its_own_deployment_in_every_scenario() {
    thread::scope(|scope| {
        for ending in &ENDINGS {
            scope.spawn(move || rehearse(ending));
        }
    });
    let names: Vec<&str> = ENDINGS.iter().map(|ending| ending.scenario).collect();
    for name in Scenario::built_in_names() {
        let place = names.iter().position(|known| *known == name);
        let ending = &ENDINGS[place.unwrap_or_else(|| panic!("{name} is not rehearsed"))];
        if ending.verdict != "command-failed" {
            let verdict = Scenario::built_in(name).unwrap().verdict;
            assert_eq!(verdict.as_str(), ending.verdict, "{name}");
        }
    }
}

fn rehearse(ending: &Ending) {
    let rehearsed = Rehearsal::of(ending.scenario)
        .switches(ending.switches)
        .env("DEPLOY_BUILD_MS", BUILD.to_string())
        .around_the_vendor_cli()
        .end();
    let context = format!("{}: {rehearsed}", ending.scenario);
    assert_eq!(rehearsed.verdict(), ending.verdict, "{context}");
    match ending.verdict {
        "unchanged" | "command-failed" => assert_eq!(rehearsed.deployment(), None, "{context}"),
        "unauthorized" => {
            assert_eq!(rehearsed.command_code(), None, "{context}");
            assert_eq!(rehearsed.deployed(), None, "{context}");
        }
        _ => expect_own_deployment(&rehearsed, &context),
    }
    if ending.verdict != "unauthorized" {
        assert!(rehearsed.command_code().is_some(), "{context}");
        assert!(rehearsed.command_elapsed() >= BUILD, "{context}");
    }
    let code = ending.code.or(rehearsed.command_code());
    assert_eq!(Some(rehearsed.code), code, "{context}");
    if let Some(command) = ending.command {
        assert_eq!(rehearsed.command_code(), Some(command), "{context}");
    }
    rehearsed.expect_no_process_left();
}

/// The report is about what the command deployed, and saw it on its way.
fn expect_own_deployment(rehearsed: &Rehearsed, context: &str) {
    let (deployed, _) = rehearsed.deployed().expect(context);
    assert_eq!(deployed, id("new"), "{context}");
    assert_eq!(rehearsed.deployment(), Some(&*deployed), "{context}");
    let phases = rehearsed.agent()["phases"].as_array().unwrap();
    let on_its_way = phases.iter().any(|phase| {
        ["reconciling", "creating", "validating"].contains(&phase["phase"].as_str().unwrap())
    });
    assert!(on_its_way, "{context}");
    assert!(rehearsed.elapsed() >= 100, "{context}");
}

/// The head of a scenario that replaces an old deployment.
const REPLACES_OLD: &str = r#"
summary = "a scenario of a test"
verdict = "failed"

[before]
desiredDeploymentId = "{old}"
reconciledDeploymentId = "{old}"
ready = true
available = true
currentRevision = { deploymentID = "{old}", phase = "Active", readyReplicas = 1 }

[[state]]
at = "0s"
desiredDeploymentId = "{new}"
"#;

#[test]
fn an_error_before_reconciliation_fails_the_deployment_and_not_only_the_command() {
    let scenario = format!(
        r#"{REPLACES_OLD}
[[state]]
at = "2s"
errors = [{{ code = "PCC_IMAGE_NOT_FOUND", message = "image not found" }}]
"#
    );
    let rehearsed = Rehearsal::scripted(&scenario).around_the_vendor_cli().end();
    assert_eq!(
        (rehearsed.verdict(), rehearsed.code),
        ("failed", 10),
        "{rehearsed}"
    );
    assert_eq!(
        rehearsed.deployment(),
        Some(&*rehearsed.deployed().unwrap().0)
    );
    assert_eq!(rehearsed.agent()["reason"]["code"], "PCC_IMAGE_NOT_FOUND");
    rehearsed.expect_no_process_left();
}

#[test]
fn a_first_deploy_that_crashes_fails_while_the_command_waits() {
    let text = project_text("config/scenarios/crash-loop.toml");
    let (head, rest) = text.split_once("[before]").unwrap();
    let (_, states) = rest.split_once("[[state]]").unwrap();
    let (before, rest) = states.split_once("[state.previousRevision]").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let scenario = format!("{head}[[state]]\n{before}{after}");
    let rehearsed = Rehearsal::scripted(&scenario).around_the_vendor_cli().end();
    rehearsed.expect("failed", 10, 143);
    assert_eq!(rehearsed.deployment(), Some(&*id("new")));
    assert_eq!(
        rehearsed.agent()["baselineDeploymentId"],
        Value::Null,
        "{rehearsed}"
    );
    rehearsed.expect_no_process_left();
}

#[test]
fn a_command_that_gives_up_in_an_outage_does_not_end_the_judging() {
    // The pages of a gateway have no code of the API's, so that the command tries five more times.
    let scenario = format!(
        r#"{REPLACES_OLD}
[[state]]
at = "2s"
reconciledDeploymentId = "{{new}}"
ready = false
currentRevision = {{ deploymentID = "{{new}}", phase = "Creating", readyReplicas = 0 }}

[[state]]
at = "44s"
ready = true
currentRevision = {{ phase = "Active", readyReplicas = 1 }}

[[fault]]
from = "4s"
until = "44s"
status = 503
headers = {{ Content-Type = "text/html" }}
body = "<html><body>503 Service Unavailable</body></html>"
"#
    )
    .replace("\"failed\"", "\"ready\"");
    let rehearsed = Rehearsal::scripted(&scenario)
        .speed(20)
        .around_the_vendor_cli()
        .end();
    rehearsed.expect("ready", 1, 1);
    assert_eq!(rehearsed.deployment(), Some(&*id("new")));
    rehearsed.expect_no_process_left();
}

#[test]
fn a_command_that_succeeds_at_the_end_of_its_time_is_not_believed() {
    let rehearsed = Rehearsal::of("stuck")
        .switches("--timeout 4s")
        .env("DEPLOY_POLLS", "2")
        .around_the_vendor_cli()
        .end();
    rehearsed.expect("timeout", 124, 0);
    assert_eq!(rehearsed.deployment(), Some(&*id("new")));
    rehearsed.expect_no_process_left();
}

/// No test: the deploy command of the others, which run this file as a program.
#[test]
#[expect(clippy::exit, reason = "a command ends with a code of its own")]
fn deploys_and_waits() {
    // Only where it was asked for by name: the environment alone must never end the tests.
    let is_asked_for = env::args().any(|arg| arg == "vendor_cli::deploys_and_waits");
    if let Ok(api) = env::var("PIPECAT_API_URL")
        && is_asked_for
        && env::var_os("DEPLOY_INTERVAL_MS").is_some()
    {
        let succeeded = deploy_and_wait(&api);
        process::exit(i32::from(!succeeded));
    }
}

/// How many polls in a row may fail before the vendor's CLI gives up.
const MAX_FAILED_POLLS: u32 = 5;

/// Deploys, then waits as the vendor's CLI 1.4.0 does; whether it takes the rollout for a success.
///
/// It has no idea which deployment it made: it follows the one that is desired at each poll.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it speaks to whoever runs it"
)]
fn deploy_and_wait(api: &str) -> bool {
    thread::sleep(Duration::from_millis(number("DEPLOY_BUILD_MS", 0)));
    let sent = epoch_ms();
    let Some(details) = request(api, "POST").and_then(|answer| answer.details()) else {
        eprintln!("the deploy was refused");
        return false;
    };
    let id = details["desiredDeploymentId"].as_str().unwrap_or_default();
    fs::write("deployed", format!("{sent} {id}")).unwrap();
    let polls = number("DEPLOY_POLLS", 120);
    let mut failed = 0;
    let mut available = polls == 0;
    for _ in 0..polls {
        let answer = request(api, "GET");
        if let Some(details) = answer.as_ref().and_then(Answer::details) {
            failed = 0;
            if details["errors"].as_array().is_some_and(|e| !e.is_empty()) {
                eprintln!("Agent deployment failed: {}", details["errors"][0]);
                return false;
            }
            let reconciled = details["desiredDeploymentId"] == details["reconciledDeploymentId"];
            let is = |key: &str| details[key] == true;
            available = reconciled && is("available");
            if available && (is("ready") || is("activeDeploymentReady")) {
                println!("Agent deployment is ready");
                return true;
            }
        } else {
            failed += 1;
            let lasting = answer.is_some_and(|answer| !answer.is_transient());
            if lasting || failed > MAX_FAILED_POLLS {
                eprintln!("Error checking deployment status");
                return false;
            }
        }
        thread::sleep(Duration::from_millis(number("DEPLOY_INTERVAL_MS", 5_000)));
    }
    // The old version serves: "a warning, no hard error".
    available
}

/// An answer of the API.
struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    /// The agent's details, where it is them.
    fn details(&self) -> Option<Value> {
        let details: Value = serde_json::from_str(&self.body).ok()?;
        (self.status == 200 && details.is_object()).then_some(details)
    }

    /// Whether the vendor's CLI asks again: the agent is not there yet, or the server failed. Of an
    /// error in JSON it goes by the code in it, which need not be a number.
    fn is_transient(&self) -> bool {
        if self.status == 404 {
            return true;
        }
        let error: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let code = match &error["code"] {
            Value::String(code) => code.clone(),
            _ => self.status.to_string(),
        };
        code.parse()
            .is_ok_and(|code: u16| (500..600).contains(&code))
    }
}

/// One request for the agent; `None` where no whole answer came.
fn request(api: &str, method: &str) -> Option<Answer> {
    let key = env::var("PIPECAT_API_KEY").unwrap();
    let address = api.strip_prefix("http://")?.strip_suffix("/v1")?;
    let path = format!("/v1/agents/{AGENT}");
    let key = format!("authorization: Bearer {key}\r\n");
    let (status, body) = http::ask(address, method, &path, &key)?;
    Some(Answer { status, body })
}
