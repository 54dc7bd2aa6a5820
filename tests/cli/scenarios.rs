//! Every built-in scenario ends in the verdict that its name says, and the simulator serves.

use pipecat_rollout::fuzzing::simulator::Scenario;

use crate::harness::Test;
use crate::support::simulator::Simulator;
use crate::support::{KEY, project_text};

/// A scenario at twenty times its speed: limits, in its time, exit code, stdout, and lines that stderr
/// has in this order, the last at its end. All of them follow from how the scenario ends, whenever the
/// polls fall.
const ENDINGS: [(&str, &str, i32, &str, &str); 20] = [
    (
        "rolling-update",
        "",
        0,
        "ready after TIME, deployment ID",
        "",
    ),
    ("first-deploy", "", 0, "ready after TIME, deployment ID", ""),
    (
        "scale-to-zero",
        "",
        0,
        "ready after TIME, deployment ID",
        "",
    ),
    ("bad-gateway", "", 0, "ready after TIME, deployment ID", ""),
    ("rate-limited", "", 0, "ready after TIME, deployment ID", ""),
    (
        "lagging-reads",
        "",
        0,
        "ready after TIME, deployment ID",
        "",
    ),
    ("flapping", "", 0, "ready after TIME, deployment ID", ""),
    (
        "crash-loop",
        "",
        10,
        "failed after TIME, deployment ID: its code crashes: ",
        "  phase       validating, for TIME\n\
         \x20 restarts    3 restarts of 1 replica\n\
         \x20   | ModuleNotFoundError: No module named 'websockets'\n\
         \x20 next        the image lacks a package or a file: add it to the image and build again",
    ),
    (
        "image-pull",
        "",
        10,
        "failed after TIME, deployment ID: its image cannot be pulled: ImagePullBackOff, for TIME",
        "  phase       creating, for TIME\n\
         \x20   | Back-off pulling image \"registry.example.com/acme/voice-starter:1.5.0\"\n\
         \x20 next        check the image's name and tag, and the image pull secret",
    ),
    (
        "out-of-memory",
        "",
        10,
        "failed after TIME, deployment ID: its code crashes: ",
        "  last exit   code 137: killed (SIGKILL), nearly always out of memory\n\
         \x20 next        it needs more memory: choose a larger agent profile, or make the code use less",
    ),
    (
        "phase-failed",
        "",
        10,
        "failed after TIME, deployment ID: its revision has failed, and the platform gives no reason",
        "  deployment  ID, created MOMENT\n\
         \x20 logs\n\
         \x20   | INFO:     Uvicorn running on http://127.0.0.1:PORT (Press CTRL+C to quit)",
    ),
    (
        "stuck",
        "--timeout 40s",
        124,
        "timed out after TIME, deployment ID: not ready after TIME: validating for TIME; the old version still serves",
        "  next        it may still come up: pipecat-rollout wait-for-ready voice-starter --deployment ID",
    ),
    (
        "superseded",
        "",
        12,
        "superseded after TIME, deployment ID: deployment ID took the place of ID",
        "  next        a later deploy or a rollback took over; to follow that one: pipecat-rollout wait-for-ready voice-starter",
    ),
    (
        "rolled-back",
        "",
        12,
        "superseded after TIME, deployment ID: deployment ID took the place of ID",
        "  next        a later deploy or a rollback took over; to follow that one: pipecat-rollout wait-for-ready voice-starter",
    ),
    (
        "unchanged",
        "",
        13,
        "unchanged after TIME: no new deployment came: ID (created at MOMENT) is still the desired one",
        "  next        the deploy made no new deployment; the usual causes: the same image tag, only the scaling changed, or only a secret's value; give the image a new tag, force a redeploy, or take --if-unchanged accept",
    ),
    (
        "infrastructure-issue",
        "",
        14,
        "infrastructure issue after TIME, deployment ID: its revision has failed, and the platform gives no reason; the old version still serves; the platform reports an infrastructure issue of its own",
        "  next        the platform reports a problem of its own: contact Pipecat Cloud's support; the code need not be at fault",
    ),
    (
        "deleted",
        "",
        4,
        "not found after TIME, deployment ID: the agent was deleted during the watch (404)",
        "  next        somebody deleted it meanwhile: deploy it again if that was not meant",
    ),
    (
        "not-found",
        "",
        4,
        "not found after TIME: there is no such agent (404)",
        "    | agent \"voice-starter\" not found (NOT_FOUND)\n\
         \x20 next        check the agent's name, and that the key or login is of the organization it was deployed to",
    ),
    (
        "unauthorized",
        "",
        3,
        "unauthorized after TIME: the API answered 401 Unauthorized: invalid API key (UNAUTHORIZED); asked with the private API key of the simulator (",
        "  next        ask with a private API key of the agent's organization (Dashboard, Settings, API Keys), or with a login that may read it",
    ),
    (
        "outage",
        "--outage-timeout 40s",
        5,
        "unavailable after TIME, deployment ID: the API answered 503 Service Unavailable: service unavailable (SERVICE_UNAVAILABLE)",
        "  next        try again later: pipecat-rollout status voice-starter",
    ),
];

#[test]
fn each_ends_in_the_verdict_that_its_name_says() {
    let play = |(scenario, limits, status, stdout, stderr): (&str, &str, i32, &str, &str)| {
        let arguments =
            format!("wait-for-ready voice-starter --simulate {scenario} --speed 20 {limits}");
        let stderr = if stderr.is_empty() {
            "[TIME] voice-starter: ready after TIME"
        } else {
            stderr
        };
        Test::new(&arguments)
            .status(status)
            .stdout_starts(&format!("voice-starter: {stdout}"))
            .stderr_lines(stderr)
            .run();
    };
    std::thread::scope(|scope| {
        for ending in ENDINGS {
            scope.spawn(move || play(ending));
        }
    });
    let played: Vec<&str> = ENDINGS.iter().map(|(scenario, ..)| *scenario).collect();
    for name in Scenario::built_in_names() {
        assert!(played.contains(&name), "{name} is not tried");
        let (_, _, status, ..) = ENDINGS[played.iter().position(|played| *played == name).unwrap()];
        assert_eq!(
            i32::from(Scenario::built_in(name).unwrap().verdict.exit_code()),
            status
        );
    }
}

#[test]
fn an_agent_that_is_never_ready_for_long_fails_where_ready_must_hold() {
    Test::new("wait voice-starter --simulate flapping --speed 20 --stable-for 10s")
        .status(10)
        .stdout_starts("voice-starter: failed after TIME, deployment ID: its code crashes: ")
        .stderr_lines("    | KeyError: 'access_token'\n  next        fix the error shown above, and deploy again")
        .run();
}

/// The clock of the watch runs with the scenario's: the limits are in its time, and so is what is reported.
#[test]
fn a_rehearsal_takes_the_same_course_at_any_speed() {
    let began = std::time::Instant::now();
    let left = Test::new("wait voice-starter --simulate unchanged --speed 5 --output json")
        .status(13)
        .stdout_any()
        .stderr_any()
        .run();
    let took = began.elapsed().as_secs();
    let report = left.json();
    let elapsed = report["agents"][0]["elapsedMs"].as_u64().unwrap();
    assert!(elapsed >= 30_000, "{elapsed}");
    assert!((6..30).contains(&took), "{took}");
    let left = Test::new("wait voice-starter --simulate bad-gateway --speed 5")
        .stdout_any()
        .stderr_any()
        .run();
    for fault in ["502 Bad Gateway", "the API answers again"] {
        assert!(left.stderr.contains(fault), "{}", left.stderr);
    }
}

#[test]
fn a_status_of_a_simulated_agent_is_its_first_state() {
    Test::new("status voice-starter --simulate rolling-update")
        .status(124)
        .stdout("voice-starter: still progressing, deployment ID: reconciling; the old version still serves\n")
        .stderr_lines("  next        it may still come up: pipecat-rollout wait-for-ready voice-starter --deployment ID")
        .run();
}

#[test]
fn a_scenario_of_one_s_own_is_played_from_a_path() {
    let text = project_text("config/scenarios/phase-failed.toml");
    Test::new("wait a --progress none --speed 50 --simulate own.toml")
        .file("own.toml", &text)
        .status(10)
        .stdout("a: failed after TIME, deployment ID: its revision has failed, and the platform gives no reason; the old version still serves\n")
        .run();
    let left = Test::new("wait a --simulate own.toml")
        .file("own.toml", text.replace("verdict = ", "verdikt = "))
        .status(2)
        .stderr_any()
        .run();
    assert!(
        left.stderr
            .starts_with("error: the scenario own.toml: line ")
            && left.stderr.contains("did you mean"),
        "{}",
        left.stderr
    );
}

#[test]
fn the_scenarios_are_listed_with_their_verdicts() {
    let left = Test::new("simulate --list")
        .stdout_starts("rolling-update        ready           ")
        .run();
    assert_eq!(left.stdout.lines().count(), ENDINGS.len());
}

#[test]
fn the_simulator_serves_until_a_signal_ends_it() {
    let arguments = "rolling-update --agent a --agent b=crash-loop --speed 50";
    let simulator = Simulator::start(arguments.split(' '));
    let url = simulator.url.as_str();
    let host = url.strip_suffix("/v1").unwrap();
    for variable in ["PIPECAT_API_URL", "PIPECAT_API_HOST"] {
        let line = format!("export {variable}={host}");
        simulator.process.stdout.wait_for(&line);
    }
    let (status, details) = simulator.ask("GET", "/agents/a");
    assert_eq!((status, details["ready"].as_bool()), (200, Some(true)));
    Test::against(url, "status a --progress none")
        .stdout_starts("a: ready, deployment ID\n  image ")
        .run();
    for agent in ["a", "b"] {
        simulator.deploy(agent);
    }
    let left = Test::against(url, "wait a b --progress none")
        .status(10)
        .stdout_starts("AGENT  VERDICT  AFTER  DEPLOYMENT")
        .run();
    let rows = left.stdout.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split_whitespace().take(2).collect();
        cells.join(" ")
    });
    assert_eq!(rows.collect::<Vec<_>>(), ["a ready", "b failed"]);
    assert!(left.stdout.contains("its code crashes: CrashLoopBackOff"));
    let (status, body) = simulator.ask("GET", "/agents/missing");
    assert!(status == 404 && body["error"].is_string(), "{body}");

    let ended = simulator.stop();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
}

#[test]
fn a_simulator_takes_only_the_key_that_it_is_given() {
    let simulator = Simulator::start(["--agent", "a", "--accept-key", KEY]);
    let check = || Test::against(&simulator.url, "status a --progress none").stdout_any();
    check().run();
    let other = check().env("PIPECAT_API_KEY", "sk_other").status(3).run();
    let words = "a: unauthorized: the API answered 401 Unauthorized";
    assert!(other.stdout.starts_with(words), "{}", other.stdout);
    let any = Simulator::start(["--agent", "a"]);
    Test::against(&any.url, "status a --progress none")
        .env("PIPECAT_API_KEY", "sk_other")
        .stdout_any()
        .run();
}

#[test]
fn a_simulator_that_cannot_be_had_says_why() {
    let refused = |arguments: &str, line: &str| {
        Test::new(arguments)
            .status(2)
            .stderr(&format!("error: {line}\n"))
            .run();
    };
    refused(
        "simulate --listen 0.0.0.0:8080",
        "the simulator serves on loopback addresses only, not on 0.0.0.0:8080",
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    refused(
        &format!("simulate --listen {address}"),
        &format!("cannot listen on {address}: Address already in use (os error 98)"),
    );
    refused(
        "simulate --agent ..",
        "--agent: \"..\" cannot be an agent name: a URL path would resolve it away",
    );
    refused(
        "simulate --agent a=rolling",
        "there is no scenario \"rolling\"; `pipecat-rollout simulate --list` shows them all",
    );
}
