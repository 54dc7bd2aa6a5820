//! `status`: what it shows of an agent that is ready, and of all agents of an organization.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Test, read_json};
use crate::output::terminal;
use crate::server::{Server, details, play};
use crate::support::http::answer;
use crate::support::process::Signal;
use crate::support::{KEY, validate};

#[test]
fn an_agent_that_is_ready_is_shown_with_all_that_is_known() {
    let server = play(vec![details(&json!({
        "ready": true, "region": "us-west", "activeSessionCount": 3,
        "deployment": {
            "id": "new", "createdAt": "2026-11-23T15:00:00Z",
            "manifest": {"spec": {"image": "registry.example.com/bot:1.4"}},
        },
        "currentRevision": {
            "deploymentID": "new", "readyReplicas": 2, "health": {"replicasStarted": 2},
        },
    }))]);
    let left = Test::against(&server.url(), "status my-agent")
        .stdout_starts(
            "my-agent: ready, deployment new\n\
             \x20 image       registry.example.com/bot:1.4\n\
             \x20 region      us-west\n\
             \x20 replicas    2 of 2 ready\n\
             \x20 sessions    3\n\
             \x20 created     MOMENT, ",
        )
        .run();
    assert!(left.stdout.ends_with(" ago\n"), "{}", left.stdout);
    assert_eq!(server.requests().len(), 1);

    // What is not known is left out, and scaling to zero is no fault.
    let server = play(vec![details(&json!({
        "ready": true, "currentRevision": {"deploymentID": "new", "readyReplicas": 0},
    }))]);
    Test::against(&server.url(), "status my-agent")
        .stdout("my-agent: ready, deployment new\n  replicas    none: it scales to zero\n")
        .run();
}

/// An organization of these agents: name, region, and what else their details say.
fn organization(agents: Vec<(&'static str, &'static str, Value)>) -> Server {
    Server::answering(move |request| {
        let path = request.path.as_str();
        let Some((_, name)) = path.split_once("/agents/") else {
            let services = agents.iter().map(|(name, region, details)| {
                json!({"name": name, "region": region, "deletedAt": details["deletedAt"]})
            });
            let list = json!({ "services": services.collect::<Vec<_>>() });
            return answer("200 OK", "", &list.to_string());
        };
        let (name, region, changes) = agents.iter().find(|(one, ..)| *one == name).unwrap();
        let mut changes = changes.clone();
        changes["name"] = json!(name);
        changes["region"] = json!(region);
        details(&changes)
    })
}

fn mixed() -> Server {
    let revision = |phase: &str, ready: u64| json!({"deploymentID": "new", "phase": phase, "readyReplicas": ready});
    organization(vec![
        (
            "prod-b",
            "us-west",
            json!({"ready": true, "activeSessionCount": 4, "currentRevision": revision("Active", 2)}),
        ),
        (
            "prod-a",
            "eu-central",
            json!({"currentRevision": revision("Creating", 0)}),
        ),
        (
            "test",
            "us-west",
            json!({"currentRevision": revision("Failed", 0)}),
        ),
        (
            "gone",
            "us-west",
            json!({"deletedAt": "2026-11-23T15:00:00Z"}),
        ),
    ])
}

#[test]
fn all_agents_are_a_table_and_the_worst_decides() {
    let server = mixed();
    Test::against(&server.url(), "status --all")
        .status(10)
        .stdout(
            "AGENT   VERDICT            REGION      REPLICAS  SESSIONS  AGE  DEPLOYMENT  REASON\n\
             prod-a  still progressing  eu-central  0         -         -    new         creating; the agent still takes sessions\n\
             prod-b  ready              us-west     2         4         -    new\n\
             test    failed             us-west     0         -         -    new         its revision has failed, and the platform gives no reason; the agent still takes sessions\n\
             \n\
             3 agents: 1 failed, 1 still progressing, 1 ready\n",
        )
        .run();
    // The list, and one check each: no logs.
    let mut paths: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.path.clone())
        .collect();
    paths[1..].sort();
    assert_eq!(
        paths,
        [
            "/v1/agents",
            "/v1/agents/prod-a",
            "/v1/agents/prod-b",
            "/v1/agents/test"
        ]
    );
    let left = Test::against(&server.url(), "status --all --output json --progress json")
        .status(10)
        .stdout_any()
        .run();
    let report = left.json();
    validate("report.schema.json", &report);
    let agents = report["agents"].as_array().unwrap();
    let found: Vec<_> = agents
        .iter()
        .map(|one| (&one["agent"], &one["verdict"]))
        .collect();
    assert_eq!(
        json!(found),
        json!([
            ["prod-a", "timeout"],
            ["prod-b", "ready"],
            ["test", "failed"]
        ])
    );
    assert_eq!(agents[1]["activeSessions"], 4);
}

#[test]
fn an_agent_that_cannot_be_asked_for_is_named() {
    let ready =
        || json!({"ready": true, "currentRevision": {"deploymentID": "new", "phase": "Active"}});
    let server = organization(vec![
        ("a", "us-west", ready()),
        ("b\u{1b}[31m", "us-west", ready()),
    ]);
    Test::against(&server.url(), "status --all")
        .stdout_starts("a: ready, deployment new\n")
        .stderr(
            "MOMENT  WARN an agent of the list is not checked: \"b\\u{1b}[31m\" cannot be an agent name: it holds control characters\n",
        )
        .run();
}

#[test]
fn patterns_and_regions_choose_among_all() {
    for (switches, status, agents) in [
        ("--include prod-*", 124, "prod-a prod-b"),
        ("--include prod-*,test --exclude *-a", 10, "prod-b test"),
        ("--region us-west --exclude test", 0, "prod-b"),
        (
            "--region us-west --region eu-central",
            10,
            "prod-a prod-b test",
        ),
    ] {
        let left = Test::against(&mixed().url(), &format!("status --all {switches}"))
            .status(status)
            .stdout_any()
            .stderr_any()
            .run();
        let rows = left.stdout.lines().take_while(|line| !line.is_empty());
        let names = rows.map(|row| row.split(' ').next().unwrap());
        let names: Vec<&str> = names.collect();
        let expected = match agents.split_once(' ') {
            Some(_) => format!("AGENT {agents}"),
            None => format!("{agents}: "),
        };
        assert_eq!(
            names.join(" ").trim_end(),
            expected.trim_end(),
            "{switches}"
        );
    }
}

#[test]
fn no_agents_to_check_is_an_error_of_its_own() {
    Test::against(&organization(vec![]).url(), "status --all")
        .status(2)
        .stderr("error: no agent of the organization is selected: it has none\n")
        .run();
    Test::against(&mixed().url(), "status --all --include x*")
        .status(2)
        .stderr("error: no agent of the organization is selected: it has 3 agents, and none fits --include, --exclude and --region\n")
        .run();
    for (status, body, code, words) in [
        (
            "401 Unauthorized",
            "",
            3,
            "the API answered 401 Unauthorized; asked with the private API key in PIPECAT_API_KEY",
        ),
        ("502 Bad Gateway", "", 5, "the API answered 502 Bad Gateway"),
        (
            "200 OK",
            "{}",
            5,
            "the body is not the JSON of a list of agents: it starts with {}",
        ),
    ] {
        let server = play(vec![answer(status, "", body)]);
        let test = Test::against(&server.url(), "status --all --report-file report.json");
        let report = test.folder().join("report.json");
        test.status(code)
            .stderr(&format!(
                "error: the list of agents cannot be read: {words}\n"
            ))
            .afterwards(move || {
                let report = read_json(&report);
                assert_eq!(report, json!({"exitCode": code, "agents": []}));
                validate("report.schema.json", &report);
            })
            .run();
    }
}

#[test]
fn what_names_one_agent_contradicts_all_where_it_is_typed() {
    for (switches, name) in [
        ("my-agent --all", "AGENT"),
        ("--all --deployment 59c8ceba-6c7e", "--deployment"),
        ("--all --baseline before.json", "--baseline"),
        ("--all --simulate stuck", "--simulate"),
        ("--all --config-file f.toml", "--config-file"),
    ] {
        let left = Test::against("http://127.0.0.1:9/v1", &format!("status {switches}"))
            .status(2)
            .stderr_any()
            .run();
        let conflict = [
            format!("error: {name} and --all exclude each other: give only one"),
            format!("error: --all and {name} exclude each other: give only one"),
        ];
        let line = left.stderr.lines().next().unwrap_or_default();
        assert!(conflict.contains(&line.to_owned()), "{}", left.stderr);
    }
    Test::against(&mixed().url(), "status --all --region eu-central")
        .env("PIPECAT_ROLLOUT_DEPLOYMENT", "59c8ceba-6c7e")
        .env("PIPECAT_DEPLOY_CONFIG_PATH", "missing.toml")
        .status(124)
        .stdout_any()
        .stderr_any()
        .run();
    let refused = |switches: &str, line: &str| {
        Test::against(
            "http://127.0.0.1:9/v1",
            &format!("status --all --watch {switches}"),
        )
        .status(2)
        .stderr(&format!("error: {line}\n"))
        .run();
    };
    refused(
        "",
        "--watch redraws a table on a terminal, and stdout is none; leave --watch out",
    );
    refused(
        "--output json",
        "--watch redraws a table on a terminal, and JSON is none; leave out --watch or --output",
    );
}

#[test]
fn all_agents_keep_to_the_limit_on_requests_and_are_counted() {
    let names: Vec<&'static str> = (0..40).map(|n| &*format!("a{n:02}").leak()).collect();
    let agents = names
        .iter()
        .map(|name| (*name, "us-west", json!({"ready": true})));
    let server = organization(agents.collect());
    let (slave, reader) = terminal();
    let began = Instant::now();
    Test::against(&server.url(), "status --all --max-rps 20")
        .env("TERM", "xterm-256color")
        .stderr_to(slave)
        .stdout_any()
        .run();
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(server.requests().len(), 41);
    let drawn = reader.join().unwrap();
    assert!(drawn.contains(" of 40 agents checked"), "{drawn:?}");
    // Nothing of it stays.
    assert!(drawn.ends_with("\r\u{1b}[2K"), "{drawn:?}");
}

#[test]
fn on_a_terminal_no_long_name_hides_a_verdict() {
    let long: &'static str = "a".repeat(304).leak();
    let agent = |name| (name, "us-west", json!({"ready": true}));
    let server = organization(vec![agent(long), agent("short")]);
    let (slave, reader) = terminal();
    Test::against(&server.url(), "status --all --progress none")
        .stdio_to(slave)
        .run();
    let drawn = reader.join().unwrap();
    let row = format!("{}…  ready    us-west ", "a".repeat(39));
    assert!(drawn.contains(&row), "{drawn:?}");
    let piped = Test::against(&server.url(), "status --all --progress none");
    let piped = piped.stdout_any().run().stdout;
    assert!(
        piped.contains(&format!("{long}  ready    us-west ")),
        "{piped}"
    );
}

#[test]
fn a_watched_table_is_redrawn_until_a_signal() {
    let server = mixed();
    let (slave, reader) = terminal();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let (process, _folder) = Test::new("status --all --watch --report-file")
        .arg(&report)
        .env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_API_KEY", KEY)
        .env("TERM", "xterm-256color")
        .stdio_to(slave)
        .start();
    server.wait_for_requests(8);
    process.signal(Signal::INT);
    assert_eq!(process.end().code(), 130);
    let drawn = reader.join().unwrap();
    let frames: Vec<&str> = drawn.split("\u{1b}[H\u{1b}[2J").collect();
    assert!(frames.len() >= 2, "{drawn:?}");
    let rows: Vec<&str> = frames[1].lines().map(str::trim_end).collect();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row.split(' ').next().unwrap())
        .collect();
    assert_eq!(names[..4], ["AGENT", "test", "prod-a", "prod-b"]);
    assert!(
        rows[5].ends_with("3 agents: 1 failed, 1 still progressing, 1 ready"),
        "{rows:#?}"
    );
    let report = read_json(&report);
    assert_eq!(report["exitCode"], 130);
}
