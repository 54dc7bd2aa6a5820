//! Bad input of every kind: one clear line that names the thing and the fix, and the exit code.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;

use serde_json::{Value, json};

use crate::harness::Test;
use crate::server::{Server, agent, details, play};
use crate::support::http::answer;
use crate::support::{KEY, make_fifo};

/// An address at which nobody listens: whatever is refused must be refused before any request.
const NOWHERE: &str = "http://127.0.0.1:9/v1";

/// The id of a deployment.
const ID: &str = "59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3";

/// Runs with these arguments, and expects usage to be refused with this line.
fn refused(arguments: &[&str], line: &str) {
    Test::with(arguments.iter().copied())
        .env("PIPECAT_API_URL", NOWHERE)
        .env("PIPECAT_API_KEY", KEY)
        .status(2)
        .stderr(&format!("error: {line}\n"))
        .run();
}

/// The same where clap adds how the command is used.
fn refused_by_clap(arguments: &[&str], lines: &str) {
    Test::with(arguments.iter().copied())
        .env("PIPECAT_API_URL", NOWHERE)
        .env("PIPECAT_API_KEY", KEY)
        .status(2)
        .stderr_lines(&format!("{lines}\nFor more information, try '--help'."))
        .run();
}

#[test]
fn agent_names_are_checked() {
    refused(&["wait", ""], "\"\" cannot be an agent name: it is empty");
    refused(
        &["wait", ".."],
        "\"..\" cannot be an agent name: a URL path would resolve it away",
    );
    refused(
        &["wait", "a\u{1b}[31m\nb"],
        "\"a\\u{1b}[31m\\nb\" cannot be an agent name: it holds control characters",
    );
    let rule = "it may have lower-case letters, digits, hyphens and dots, and begins and ends with a letter or digit";
    for name in ["My Agent!", "my_agent", "my/agent", "-my-agent."] {
        let arguments = ["wait", "--", name];
        refused(
            &arguments,
            &format!("{name:?} cannot be an agent name: {rule}"),
        );
    }
}

#[test]
fn durations_are_checked() {
    refused(
        &["wait", "a", "--timeout", "0"],
        "--timeout must be longer than zero; for a single check use `status`",
    );
    refused_by_clap(
        &["wait", "a", "--timeout", "1M"],
        "error: invalid value '1M' for '--timeout <TIME>': minutes are written with a small letter: 1m",
    );
    refused_by_clap(
        &["wait", "a", "--timeout", "abc"],
        "error: invalid value 'abc' for '--timeout <TIME>': a time is written like 90s, 10m, 1h 30m, or as seconds: 90",
    );
    refused(
        &["wait", "a", "--outage-timeout", "0s"],
        "--outage-timeout must be longer than zero",
    );
    refused_by_clap(
        &["wait", "a", "--poll-interval", "0"],
        "error: invalid value '0' for '--poll-interval <TIME>': it must be longer than zero",
    );
    refused_by_clap(
        &["wait", "a", "--smoke-timeout", "0"],
        "error: invalid value '0' for '--smoke-timeout <TIME>': it must be longer than zero",
    );
    refused_by_clap(
        &["wait", "a", "--timeout", "-5"],
        "error: invalid value '-5' for '--timeout <TIME>': a time is written like 90s, 10m, 1h 30m, or as seconds: 90",
    );
    refused(
        &["wait", "a", "--stable-for", "20m"],
        "--stable-for (20m) must be shorter than --timeout (10m), or the target can never be ready that long",
    );
    refused_by_clap(
        &["wait", "a", "--max-restarts", "0"],
        "error: invalid value '0' for '--max-restarts <N>': it must be a whole number, at least 1",
    );
    refused_by_clap(
        &["wait", "a", "--logs", "many"],
        "error: invalid value 'many' for '--logs <LINES>': it must be a whole number from 0 to 1000; 0 is none",
    );
}

#[test]
fn an_invalid_duration_variable_is_refused_and_an_empty_one_ignored() {
    Test::against(NOWHERE, "wait a")
        .env("PIPECAT_ROLLOUT_TIMEOUT", "soon")
        .status(2)
        .stderr_lines(
            "error: invalid value 'soon' for 'PIPECAT_ROLLOUT_TIMEOUT': a time is written like 90s, 10m, 1h 30m, or as seconds: 90\n\
             For more information, try '--help'.",
        )
        .run();
    let server = play(vec![agent(true)]);
    Test::against(&server.url(), "wait my-agent --progress none")
        .env("PIPECAT_ROLLOUT_TIMEOUT", "")
        .env("PIPECAT_ROLLOUT_DEPLOYMENT", "")
        .env("PIPECAT_ROLLOUT_REQUIRE_NEW_REVISION", "")
        .stdout("my-agent: ready after TIME, deployment new\n")
        .run();
}

#[test]
fn what_a_variable_gives_wrongly_is_named_by_it() {
    let given = |variable: &str, value: &str| {
        Test::against(NOWHERE, "wait a")
            .env(variable, value)
            .status(2)
    };
    let help = "\nFor more information, try '--help'.";
    for (variable, value, lines) in [
        (
            "PIPECAT_ROLLOUT_OUTPUT",
            "x",
            "error: invalid value 'x' for 'PIPECAT_ROLLOUT_OUTPUT'\n  [possible values: text, json]",
        ),
        (
            "PIPECAT_ROLLOUT_SMOKE",
            "x",
            "error: invalid value 'x' for 'PIPECAT_ROLLOUT_SMOKE': it must be true or false",
        ),
    ] {
        given(variable, value)
            .stderr_lines(&(lines.to_owned() + help))
            .run();
    }
    let mistyped =
        "error: invalid value 'x' for '--output <FORMAT>'\n  [possible values: text, json]";
    given("PIPECAT_ROLLOUT_OUTPUT", "json")
        .arg("-ox")
        .stderr_lines(&(mistyped.to_owned() + help))
        .run();
    for (variable, value, line) in [
        (
            "PIPECAT_ROLLOUT_TIMEOUT",
            "0",
            "PIPECAT_ROLLOUT_TIMEOUT must be longer than zero; for a single check use `status`",
        ),
        (
            "PIPECAT_ROLLOUT_STABLE_FOR",
            "20m",
            "PIPECAT_ROLLOUT_STABLE_FOR (20m) must be shorter than --timeout (10m), or the target can never be ready that long",
        ),
        (
            "PIPECAT_ROLLOUT_REPORT_FILE",
            "missing/report.json",
            "PIPECAT_ROLLOUT_REPORT_FILE: the folder missing does not exist",
        ),
        (
            "PIPECAT_API_URL",
            "example.com",
            "PIPECAT_API_URL: it is not a URL; one looks like https://api.pipecat.daily.co/v1",
        ),
        (
            "PIPECAT_ROLLOUT_API_KEY_FILE",
            "missing",
            "PIPECAT_ROLLOUT_API_KEY_FILE: cannot read missing: No such file or directory (os error 2)",
        ),
    ] {
        given(variable, value)
            .stderr(&format!("error: {line}\n"))
            .run();
    }
}

#[test]
fn switches_that_contradict_each_other_are_refused() {
    refused_by_clap(
        &["wait", "a", "--deployment", ID, "--not-deployment", ID],
        "error: --not-deployment and --deployment exclude each other: give only one",
    );
    Test::against(NOWHERE, "wait a")
        .env("PIPECAT_ROLLOUT_COMMIT", "59c8ceba")
        .env("PIPECAT_ROLLOUT_BASELINE", "before.json")
        .status(2)
        .stderr_lines(
            "error: PIPECAT_ROLLOUT_COMMIT and PIPECAT_ROLLOUT_BASELINE exclude each other: give only one\n\
             For more information, try '--help'.",
        )
        .run();
    refused_by_clap(
        &["run", "a", "echo", "hi"],
        "error: put -- before the command: pipecat-rollout run a -- echo hi",
    );
    refused_by_clap(
        &["wait", "a", "-v", "-q"],
        "error: --quiet and --verbose exclude each other: give only one",
    );
    refused_by_clap(
        &[
            "wait",
            "a",
            "--simulate",
            "crash-loop",
            "--api-url",
            NOWHERE,
        ],
        "error: --simulate and --api-url exclude each other: give only one",
    );
    refused(
        &["wait", "a", "b", "--deployment", ID],
        "--deployment names a deployment of one agent, but 2 agents are given; run one for each",
    );
}

#[test]
fn an_option_without_effect_is_refused_where_it_is_typed() {
    for (command, idle, base) in [
        ("status my-agent", "--include x", "--all"),
        ("status my-agent", "--exclude x", "--all"),
        ("status my-agent", "--region x", "--all"),
        ("status my-agent", "--watch", "--all"),
        ("status --simulate crash-loop", "--watch", "--all"),
        ("wait a", "--speed 3", "--simulate"),
        ("status --all", "--speed 3", "--simulate"),
        ("wait a", "--smoke-body missing.json", "--smoke"),
        ("run a", "--smoke-key-file missing", "--smoke"),
        ("wait a", "--smoke-timeout 3s", "--smoke"),
        ("watch", "--webhook-secret-file missing", "--webhook"),
    ] {
        let line = format!("{command} {idle}");
        let command = if command == "run a" { " -- true" } else { "" };
        let arguments = line + command;
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let idle = idle.split(' ').next().unwrap();
        refused_by_clap(
            &arguments,
            &format!("error: {idle} has no effect without {base}; add {base}, or leave {idle} out"),
        );
    }
    // Variables may be there for other commands of a pipeline, and so may be those of one that is turned off.
    Test::new("wait a --progress none --simulate rolling-update --speed 1000 --stable-for 0")
        .env("PIPECAT_API_URL", NOWHERE)
        .env("PIPECAT_ROLLOUT_SMOKE", "false")
        .env("PIPECAT_ROLLOUT_SMOKE_BODY", "missing.json")
        .env("PIPECAT_ROLLOUT_SMOKE_TIMEOUT", "3s")
        .stdout_any()
        .run();
    Test::against(NOWHERE, "wait a --smoke-timeout 3s")
        .env("PIPECAT_ROLLOUT_SMOKE", "false")
        .status(2)
        .stderr_any()
        .run();
}

#[test]
fn api_urls_are_checked() {
    for (url, words) in [
        (
            "http://example.com/v1",
            "--api-url: plain http to example.com would send the key in the open; use https, or --allow-insecure-http",
        ),
        (
            "api.pipecat.daily.co/v1",
            "--api-url: it is not a URL; one looks like https://api.pipecat.daily.co/v1",
        ),
        (
            "ftp://example.com/v1",
            "--api-url: it begins with ftp:, and only https: will do, or http: to this machine",
        ),
        (
            "https://user:pass@example.com/v1",
            "--api-url: the URL must not hold a user name or password; the key goes to PIPECAT_API_KEY",
        ),
    ] {
        refused(&["wait", "a", "--api-url", url], words);
    }
}

#[test]
fn the_vendor_s_address_is_a_host() {
    let paths = |url: &dyn Fn(&Server) -> String, variable: &str| {
        let server = play(vec![agent(true)]);
        Test::new("status my-agent --progress none")
            .env("PIPECAT_API_KEY", KEY)
            .env(variable, url(&server))
            .stdout_any()
            .run();
        server.requests().remove(0).path
    };
    let host = |server: &Server| server.url().replace("/v1", "");
    for variable in ["PIPECAT_API_URL", "PIPECAT_API_HOST"] {
        assert_eq!(paths(&host, variable), "/v1/agents/my-agent");
        assert_eq!(
            paths(&|server| server.url(), variable),
            "/v1/agents/my-agent"
        );
        let below = |server: &Server| format!("{}/api/", host(server));
        assert_eq!(paths(&below, variable), "/api/agents/my-agent");
    }
    let server = play(vec![agent(true)]);
    Test::against(&server.url(), "status my-agent --progress none")
        .env("PIPECAT_API_HOST", "http://127.0.0.1:9")
        .stdout_any()
        .run();
    Test::new("status my-agent")
        .env("PIPECAT_API_HOST", "api.pipecat.daily.co")
        .status(2)
        .stderr("error: PIPECAT_API_HOST: it is not a URL; one looks like https://api.pipecat.daily.co/v1\n")
        .run();
}

#[test]
fn an_id_may_come_with_its_line_break_and_in_upper_case() {
    let server = play(vec![ready_on(ID, "2026-11-23T15:00:00Z")]);
    for (switch, code) in [("--deployment", 0), ("--not-deployment", 13)] {
        for id in [format!("{ID}\n"), ID.to_uppercase()] {
            Test::against(&server.url(), "status my-agent")
                .arg(switch)
                .arg(id)
                .status(code)
                .stdout_any()
                .stderr_any()
                .run();
        }
    }
}

#[test]
fn ids_that_cannot_be_a_deployment_are_refused() {
    for (id, why) in [
        ("\"59c8ceba-6c7e\"", "it holds quotes; with jq, use -r"),
        ("null", "there was no id to take"),
        ("59c8ceb", "it is too short"),
        (
            "",
            "it is empty; leave the option out, or give the id of a deployment",
        ),
        ("59c8ceba 6c7e4ccd", "it holds characters that no id has"),
    ] {
        for switch in ["--deployment", "--not-deployment"] {
            let line = format!("{switch}: {id:?} cannot be the id of a deployment: {why}");
            refused(&["wait", "a", switch, id], &line);
        }
    }
    let line = "--deployment: \"59c8ceba6c7e4ccd\" cannot be the id of a deployment: it holds characters that no id has";
    refused(
        &["wait", "a", "--deployment", "59c8ceba\u{200b}6c7e4ccd"],
        line,
    );
    refused(
        &["wait", "a", "--deployment", "\u{7}\u{200b}\u{7}"],
        "--deployment: what is given cannot be the id of a deployment: it holds only characters that cannot be shown",
    );
}

/// The report of `status` about this answer, which ends with this exit code.
fn status_report(answered: String, code: i32) -> String {
    let server = play(vec![answered]);
    Test::against(
        &server.url(),
        "status my-agent --output json --progress none",
    )
    .status(code)
    .stdout_any()
    .run()
    .stdout
}

/// The answer of an agent that is ready on this deployment.
fn ready_on(id: &str, created: &str) -> String {
    details(&json!({
        "ready": true, "desiredDeploymentId": id, "reconciledDeploymentId": id,
        "deployment": {"id": id, "createdAt": created},
    }))
}

#[test]
fn a_report_of_status_is_a_baseline() {
    let newer = "0b6e2a3c-5a5e-4c5b-9d0f-0e6a2f9b7c11";
    let (before, after) = ("2026-11-23T15:00:00Z", "2026-11-23T15:05:00Z");
    let nothing = answer("404 Not Found", "", r#"{"error":"none","code":"404"}"#);
    let now = jiff::Timestamp::now().to_string();
    for (baseline, answered, code) in [
        (
            status_report(ready_on(ID, before), 0),
            ready_on(newer, after),
            0,
        ),
        (
            status_report(ready_on(ID, before), 0),
            ready_on(ID, before),
            13,
        ),
        // What an older replica shows.
        (
            status_report(ready_on(ID, after), 0),
            ready_on(newer, before),
            13,
        ),
        // Nothing was shown, and what is there now is much older than that; or it has come since.
        (status_report(nothing.clone(), 4), ready_on(ID, before), 13),
        (status_report(nothing, 4), ready_on(ID, &now), 0),
    ] {
        let check = || Test::against(&play(vec![answered.clone()]).url(), "status my-agent");
        let given = [
            check()
                .file("before.json", &baseline)
                .arg("--baseline=before.json"),
            check().stdin(&baseline).arg("--baseline=-"),
        ];
        for test in given {
            test.status(code).stdout_any().stderr_any().run();
        }
    }
}

#[test]
fn a_baseline_that_is_no_report_of_this_agent_is_refused() {
    let report = status_report(ready_on(ID, "2026-11-23T15:00:00Z"), 0);
    let unavailable = status_report(answer("502 Bad Gateway", "", ""), 5);
    let other = |verdict: &str, named: Value, baseline: Value| {
        let mut report: Value = serde_json::from_str(&report).unwrap();
        let agent = &mut report["agents"][0];
        agent["verdict"] = json!(verdict);
        agent["deploymentId"] = named;
        agent["baselineDeploymentId"] = baseline;
        report.to_string()
    };
    for (agent, baseline, line) in [
        (
            "my-agent",
            &report[..report.len() / 2],
            "this is not the JSON report of `status`: EOF while parsing",
        ),
        ("my-agent", ID, "this is not the JSON report of `status`: "),
        (
            "my-agent",
            "{}",
            "this is not the JSON report of `status`: it has no agents; write it before the deploy, with `status --output json`",
        ),
        (
            "other",
            &report,
            "the report is not about agent \"other\", only about my-agent",
        ),
        (
            "my-agent",
            &unavailable,
            "the report does not say which deployment agent \"my-agent\" had: its verdict is unavailable; run `status` \
             again before the deploy",
        ),
        // Another deployment than this one was desired.
        (
            "my-agent",
            &other("unchanged", json!(ID), Value::Null),
            "the report does not say which deployment agent \"my-agent\" had: its verdict is unchanged;",
        ),
        (
            "my-agent",
            &other("superseded", json!(ID), Value::Null),
            "the report does not say which deployment agent \"my-agent\" had: its verdict is superseded;",
        ),
        (
            "my-agent",
            &other("unchanged", Value::Null, json!(ID)),
            "the report does not say which deployment agent \"my-agent\" had: its verdict is unchanged;",
        ),
    ] {
        let left = Test::against(NOWHERE, "wait --baseline before.json")
            .arg(agent)
            .file("before.json", baseline)
            .status(2)
            .stderr_any()
            .run();
        let line = format!("error: --baseline before.json: {line}");
        assert!(left.stderr.starts_with(&line), "{}", left.stderr);
        assert_eq!(left.stderr.lines().count(), 1, "{}", left.stderr);
    }
    refused(
        &["wait", "a", "--baseline", "missing.json"],
        "--baseline: cannot read missing.json: No such file or directory (os error 2)",
    );
}

#[test]
fn the_vendor_s_file_names_the_agent() {
    let server = play(vec![agent(true)]);
    Test::against(&server.url(), "wait --progress none")
        .file(
            "pcc-deploy.toml",
            "agent_name = \"my-agent\"\nimage = \"x:1\"\n[scaling]\nmin_agents = 1\n",
        )
        .stdout("my-agent: ready after TIME, deployment new\n")
        .run();

    let bad = |content: &[u8]| {
        Test::against(NOWHERE, "wait")
            .file("pcc-deploy.toml", content)
            .status(2)
    };
    bad(b"agent_name = \"x\"\nimage")
        .stderr("error: pcc-deploy.toml: line 2: key with no value, expected `=`; fix it, or name an agent\n")
        .run();
    bad(b"image = 1\n")
        .stderr("error: pcc-deploy.toml: it has no agent_name; fix it, or name an agent\n")
        .run();
    bad(b"agent_name = 1\n")
        .stderr("error: pcc-deploy.toml: line 1: agent_name has to be a text in quotes, like \"my-agent\"; fix it, or name an agent\n")
        .run();
    bad(b"image = 'x'\nagent_name = ['a']\n")
        .stderr("error: pcc-deploy.toml: line 2: agent_name has to be a text in quotes, like \"my-agent\"; fix it, or name an agent\n")
        .run();
    bad(b"agent_name = '..'\n")
        .stderr("error: pcc-deploy.toml: line 1: agent_name: \"..\" cannot be an agent name: a URL path would resolve it away\n")
        .run();
    bad(b"\xff")
        .stderr("error: no agent is named, and pcc-deploy.toml cannot be read; fix it, or name an agent: stream did not contain valid UTF-8\n")
        .run();
    Test::against(NOWHERE, "wait")
        .status(2)
        .stderr("error: no agent is named, and there is no pcc-deploy.toml here; give the agent's name: my-agent\n")
        .run();
}

#[test]
fn another_file_names_the_agent() {
    let ready = || play(vec![agent(true)]);
    let staging = "agent_name = \"my-agent\"\n";
    let check = |server: &Server| {
        Test::against(&server.url(), "status --progress none")
            .file("pcc-deploy.toml", "agent_name = \"production\"\n")
            .file("pcc-deploy.staging.toml", staging)
            .stdout_starts("my-agent: ready, deployment new\n")
    };
    check(&ready())
        .arg("--config-file=pcc-deploy.staging.toml")
        .env("PIPECAT_DEPLOY_CONFIG_PATH", "missing.toml")
        .run();
    let of_variable =
        |test: Test| test.env("PIPECAT_DEPLOY_CONFIG_PATH", "pcc-deploy.staging.toml");
    of_variable(check(&ready())).run();
    // An agent that is typed wins over the variable.
    of_variable(check(&ready()).file("pcc-deploy.staging.toml", ""))
        .arg("my-agent")
        .run();

    refused(
        &["wait", "--config-file", "missing.toml"],
        "no agent is named, and missing.toml cannot be read; fix it, or name an agent: No such file or directory (os error 2)",
    );
    refused_by_clap(
        &["wait", "a", "--config-file", "f.toml"],
        "error: --config-file and AGENT exclude each other: give only one",
    );
    refused_by_clap(
        &["run", "a", "--config-file", "f.toml", "--", "true"],
        "error: --config-file and AGENT exclude each other: give only one",
    );
}

/// Where no script of the vendor's CLI is, nothing may be run.
fn run_of_the_vendor_s_cli(switches: &str, command: &str) -> Test {
    let line = format!("run --progress none {switches} -- {command}");
    Test::against(NOWHERE, &line)
        .file("pcc-deploy.toml", "agent_name = \"production\"\n")
        .file("staging.toml", "agent_name = \"staging\"\n")
        .file("torn.toml", "agent_name = ")
        .status(2)
}

#[test]
fn a_deploy_command_that_deploys_another_agent_is_refused() {
    for (switches, command, theirs, their_place, ours, our_place) in [
        (
            "staging",
            "pipecat cloud deploy --yes",
            "production",
            "pcc-deploy.toml",
            "staging",
            "AGENT",
        ),
        (
            "a",
            "pcc deploy b",
            "b",
            "named by the command",
            "a",
            "AGENT",
        ),
        (
            "--config-file staging.toml",
            "uv run pipecat cloud deploy",
            "production",
            "pcc-deploy.toml",
            "staging",
            "staging.toml",
        ),
        (
            "production",
            "pipecat cloud deploy --config-file staging.toml",
            "staging",
            "staging.toml",
            "production",
            "AGENT",
        ),
        (
            "--config-file pcc-deploy.toml",
            "pipecat cloud deploy --config-file staging.toml",
            "staging",
            "staging.toml",
            "production",
            "pcc-deploy.toml",
        ),
    ] {
        run_of_the_vendor_s_cli(switches, command)
            .stderr(&format!(
                "error: the command deploys agent \"{theirs}\" ({their_place}), but \"{ours}\" is to be judged \
                 ({our_place}); name the same one in both, or leave ours out\n"
            ))
            .run();
    }
    run_of_the_vendor_s_cli("staging", "pcc deploy")
        .env("PIPECAT_DEPLOY_CONFIG_PATH", "pcc-deploy.toml")
        .stderr_any()
        .run();
    run_of_the_vendor_s_cli("", "pcc deploy --config-file torn.toml")
        .stderr_any()
        .run();
    run_of_the_vendor_s_cli("", "pcc deploy ..")
        .stderr_any()
        .run();
}

#[test]
fn the_agent_of_the_vendor_s_command_line_is_the_one_that_is_judged() {
    let nothing = || {
        play(vec![answer(
            "404 Not Found",
            "",
            r#"{"error":"none","code":"404"}"#,
        )])
    };
    let judged = |(switches, command, agent): (&str, &str, &str)| {
        let server = nothing();
        let line = format!("run --progress none {switches} -- {command}");
        let test = Test::against(&server.url(), &line)
            .file("pcc-deploy.toml", "agent_name = \"production\"\n")
            .file("staging.toml", "agent_name = \"staging\"\n")
            .file("torn.toml", "agent_name = ")
            .file("pcc", "#!/bin/sh\nexit 7\n")
            .file("uv", "#!/bin/sh\nexit 7\n")
            .status(7)
            .stderr_any()
            .stdout_any();
        let folder = test.folder();
        for name in ["pcc", "uv"] {
            fs::set_permissions(folder.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        test.env("PATH", &folder).run();
        let asked = format!("GET /v1/agents/{agent}");
        assert_eq!(server.requests()[0].line(), asked);
    };
    let lines = [
        ("", "pcc deploy b", "b"),
        ("b", "pcc deploy b", "b"),
        ("", "pcc deploy", "production"),
        ("", "pcc deploy --config-file staging.toml", "staging"),
        (
            "staging",
            "pcc deploy --config-file staging.toml",
            "staging",
        ),
        (
            "--config-file staging.toml",
            "pcc deploy staging",
            "staging",
        ),
        // What it cannot read it says itself.
        ("b", "pcc deploy --config-file torn.toml", "b"),
        ("b", "uv run --directory elsewhere pcc deploy", "b"),
    ];
    // Each waits until it is sure that nothing has come.
    let judged = &judged;
    thread::scope(|scope| {
        for line in lines {
            scope.spawn(move || judged(line));
        }
    });
}

#[test]
fn a_report_file_that_cannot_be_written_is_found_out_before_the_wait() {
    let long = "x".repeat(256);
    let server = play(vec![agent(false)]);
    for (path, words) in [
        (
            "missing/report.json",
            "the folder missing does not exist".to_owned(),
        ),
        ("/", "/ is a folder, not a file".to_owned()),
        ("file/report.json", "file is not a folder".to_owned()),
        (
            "report.json/",
            "report.json/ is a folder, not a file".to_owned(),
        ),
        (
            &long,
            format!("cannot write {long}: File name too long (os error 36)"),
        ),
    ] {
        let left = Test::against(&server.url(), "wait my-agent --report-file")
            .arg(path)
            .file("file", "")
            .status(2)
            .stderr_lines(&format!("error: --report-file: {words}"))
            .run();
        assert_eq!(left.stderr.lines().count(), 1);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_report_replaces_a_file_in_one_piece_and_keeps_a_link() {
    let server = play(vec![agent(true)]);
    let run = Test::against(
        &server.url(),
        "wait my-agent --progress none --report-file link.json",
    )
    .file("report.json", "old");
    let folder = run.folder();
    std::os::unix::fs::symlink("report.json", folder.join("link.json")).unwrap();
    let before = File::open(folder.join("report.json")).unwrap();
    let copy = folder.clone();
    run.afterwards(move || {
        let text = fs::read_to_string(copy.join("report.json")).unwrap();
        assert!(text.starts_with("{\"exitCode\":0,"), "{text}");
        assert!(
            fs::symlink_metadata(copy.join("link.json"))
                .unwrap()
                .is_symlink()
        );
        // The old file was replaced, not written over.
        assert_eq!(std::io::read_to_string(&before).unwrap(), "old");
        assert_eq!(
            fs::read_dir(&copy).unwrap().count(),
            2,
            "nothing else is left behind"
        );
    })
    .stdout("my-agent: ready after TIME, deployment new\n")
    .run();
}

#[test]
fn a_link_to_nothing_is_followed_and_not_replaced() {
    let server = play(vec![agent(true)]);
    let run = Test::against(
        &server.url(),
        "wait my-agent --progress none --report-file link.json",
    );
    let folder = run.folder();
    for (target, link) in [("other.json", "link.json"), ("report.json", "other.json")] {
        std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
    }
    run.afterwards(move || {
        let report = fs::symlink_metadata(folder.join("report.json")).unwrap();
        assert!(report.is_file());
        for link in ["link.json", "other.json"] {
            assert!(
                fs::symlink_metadata(folder.join(link))
                    .unwrap()
                    .is_symlink()
            );
        }
    })
    .stdout("my-agent: ready after TIME, deployment new\n")
    .run();
    for (target, words) in [
        ("missing/report.json", "the folder missing does not exist"),
        (
            "link.json",
            "cannot write link.json: Too many levels of symbolic links (os error 40)",
        ),
    ] {
        let test = Test::against(NOWHERE, "wait my-agent --report-file link.json");
        std::os::unix::fs::symlink(target, test.folder().join("link.json")).unwrap();
        test.status(2)
            .stderr(&format!("error: --report-file: {words}\n"))
            .run();
    }
}

#[test]
fn a_pipe_is_written_to_where_somebody_reads_it() {
    let server = play(vec![agent(true)]);
    let pipe = |test: &Test| {
        let path = test.folder().join("pipe");
        make_fifo(&path);
        path
    };
    let arguments = "wait my-agent --progress none --report-file pipe";
    let unread = Test::against(NOWHERE, arguments);
    pipe(&unread);
    unread
        .status(2)
        .stderr("error: --report-file: nobody reads pipe; start what reads the pipe first\n")
        .run();
    let test = Test::against(&server.url(), arguments);
    // One that is open for reading and writing needs no other end to be opened.
    let path = pipe(&test);
    let mut reader = File::options().read(true).write(true).open(path).unwrap();
    test.stdout("my-agent: ready after TIME, deployment new\n")
        .run();
    let mut report = [0; 14];
    std::io::Read::read_exact(&mut reader, &mut report).unwrap();
    assert_eq!(&report, b"{\"exitCode\":0,");
}

#[test]
fn a_dash_is_no_report_file() {
    Test::against(NOWHERE, "wait my-agent --report-file -")
        .status(2)
        .stderr("error: --report-file: - is no file; the JSON report on stdout is --output json (-o json)\n")
        .run();
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let server = play(vec![agent(true)]);
    Test::against(
        &server.url(),
        "wait my-agent --progress none --report-file /dev/stdout",
    )
    .stdout_starts("{\"exitCode\":0,")
    .run();
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
}

#[test]
fn a_closed_stdout_is_no_error_and_a_full_one_is() {
    let server = play(vec![agent(true)]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Test::against(&server.url(), "wait my-agent --progress none")
        .stdout_to(writer)
        .run();
    Test::against(&server.url(), "wait my-agent --progress none")
        .stdout_to(File::create("/dev/full").unwrap())
        .status(1)
        .stderr("error: cannot write the result to stdout: No space left on device (os error 28)\n")
        .run();
}

#[test]
fn a_read_only_report_file_is_refused() {
    let test = Test::against(NOWHERE, "wait my-agent --report-file report.json")
        .file("report.json", "old");
    fs::set_permissions(
        test.folder().join("report.json"),
        Permissions::from_mode(0o444),
    )
    .unwrap();
    test.status(2)
        .stderr("error: --report-file: no permission to write report.json\n")
        .run();
}

#[test]
fn log_filters_and_scenario_names_are_checked() {
    Test::against(NOWHERE, "wait a")
        .env("RUST_LOG", "pipecat_rollout=loud")
        .status(2)
        .stderr("error: RUST_LOG: cannot understand \"pipecat_rollout=loud\"; write `debug`, or `pipecat_rollout=debug,hyper=info`: error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5\n")
        .run();
    refused(
        &["wait", "a", "--simulate", "crashloop"],
        "there is no scenario \"crashloop\" (did you mean crash-loop?); `pipecat-rollout simulate --list` shows them all",
    );
    refused(
        &["wait", "a", "--simulate", "./missing.toml"],
        "cannot read the scenario ./missing.toml: No such file or directory (os error 2)",
    );
}

#[test]
fn a_usage_error_is_a_log_line_where_logs_are_json() {
    let left = Test::new("wait a --progress json")
        .env("PIPECAT_API_URL", NOWHERE)
        .status(2)
        .stderr_any()
        .run();
    let line: serde_json::Value = serde_json::from_str(&left.stderr).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["event"], "error");
    assert_eq!(line["exitCode"], 2);
    assert!(line["message"].as_str().unwrap().starts_with("no API key"));
}

#[test]
fn help_shows_no_value_that_may_be_a_secret() {
    for command in ["watch", "wait", "status", "run"] {
        let left = Test::new(&format!("{command} --help"))
            .env("PIPECAT_API_URL", "https://user:s3cret@example.com")
            .env("PIPECAT_ROLLOUT_WEBHOOK", "https://example.com/s3cret")
            .env("PIPECAT_API_KEY", "s3cret_key")
            .status(0)
            .stdout_any()
            .run();
        assert!(
            left.stdout.contains("[env: PIPECAT_API_URL]"),
            "{}",
            left.stdout
        );
        assert!(!left.stdout.contains("s3cret"), "{}", left.stdout);
    }
}

#[test]
fn files_of_one_name_are_refused_and_not_written_over() {
    for (switches, first, second) in [
        (
            "--report-file both --junit both",
            "--report-file",
            "--junit",
        ),
        (
            "--report-file both --dotenv ./both",
            "--report-file",
            "--dotenv",
        ),
        ("--junit link --dotenv old", "--junit", "--dotenv"),
        ("--junit link --progress github", "--junit", "GITHUB_OUTPUT"),
    ] {
        let test = Test::against(NOWHERE, &format!("wait a {switches}"))
            .file("old", "")
            .env("GITHUB_OUTPUT", "old");
        symlink("old", test.folder().join("link")).unwrap();
        let left = test.status(2).stderr_any().run();
        let line = format!("{first} and {second} name the same file; give each a file of its own");
        assert!(left.stderr.contains(&line), "{}", left.stderr);
    }
    let server = play(vec![agent(true)]);
    let switches = "--report-file /dev/null --junit /dev/null --progress none";
    Test::against(&server.url(), &format!("wait my-agent {switches}"))
        .stdout_any()
        .run();
}

#[test]
fn help_and_version_that_cannot_be_written_are_errors() {
    for arguments in ["--version", "--help", "run --help", "man"] {
        Test::new(arguments)
            .stdout_to(File::create("/dev/full").unwrap())
            .status(1)
            .stderr("error: cannot write to stdout: No space left on device (os error 28)\n")
            .run();
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Test::new("--help").stdout_to(writer).run();
}

#[test]
fn an_address_to_listen_at_is_checked() {
    refused_by_clap(
        &["simulate", "--listen", "nonsense"],
        "error: invalid value 'nonsense' for '--listen <ADDRESS>': it is an address of this machine and a port, like 127.0.0.1:8080 or localhost:8080; port 0 picks a free one",
    );
}
