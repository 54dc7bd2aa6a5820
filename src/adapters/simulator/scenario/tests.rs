//! What is no scenario, and how that is said.

use super::*;

/// A scenario that is well; each case below spoils it.
const GOOD: &str = r#"summary = "s"
verdict = "ready"
[before]
desiredDeploymentId = "{old}"
[[state]]
at = "1s"
desiredDeploymentId = "{new}"
currentRevision = { deploymentID = "{new}", phase = "Creating" }
[[state]]
at = "2s"
currentRevision.health.message = "{name}: {image} of {now-1h}"
errors = [{ code = "PCC_IMAGE_NOT_FOUND", message = "{newer}" }]
somethingNew = true
[[state]]
at = "3s"
desiredDeploymentId = "{newer}"
[[fault]]
from = "2s"
until = "3s"
requests = [3, 5]
status = 429
headers = { Retry-After = "{now+2s}" }
[[log]]
at = "1s"
line = "l"
"#;

#[test]
fn the_scenario_that_the_cases_spoil_is_valid() {
    let scenario = Scenario::parse(GOOD).unwrap();
    assert_eq!(scenario.summary, "s");
    assert_eq!(scenario.verdict, Verdict::Ready);
    assert_eq!(scenario.baseline(), None);
    let made: Vec<_> = scenario.made.into_iter().collect();
    let after = |seconds| Duration::from_secs(seconds);
    assert_eq!(
        made,
        [("new".to_owned(), after(0)), ("newer".to_owned(), after(3))]
    );
}

/// What is replaced in it, by what, and what is said then.
const CASES: &[(&str, &str, &str)] = &[
    (
        r#"summary = "s""#,
        r#"sumary = "s""#,
        "line 1: unknown key `sumary`; did you mean `summary`?",
    ),
    ("summary = \"s\"\n", "\n", "line 1: missing key `summary`"),
    (
        r#"summary = "s""#,
        r#"summary = """#,
        "line 1: the summary is one line",
    ),
    (
        r#""ready""#,
        r#""redy""#,
        "line 2: unknown verdict \"redy\"; known here: failed, stalled, infrastructure, not-found, superseded, unchanged, unauthorized, unavailable, timeout, ready",
    ),
    (
        r#""ready""#,
        "ready",
        "line 2: string values must be quoted, expected literal string",
    ),
    (
        "[before]",
        "surprise = 1\n[before]",
        "line 3: unknown key `surprise`; known here: summary, verdict, before, state, fault, log, session-log",
    ),
    (
        "desiredDeploymentId = \"{old}\"",
        "desireDeploymentId = \"{old}\"",
        "line 4: the API has no field `desireDeploymentId`; did you mean `desiredDeploymentId`?",
    ),
    (
        "\"{old}\"",
        "\"{odl}\"",
        "line 4: `{odl}` stands for nothing; did you mean {old}?",
    ),
    (
        "at = \"1s\"\ndesired",
        "desired",
        "line 5: missing key `at`",
    ),
    (
        r#"at = "1s""#,
        r#"at = "soon""#,
        r#"line 6: "soon": a time is written like 90s, 10m, 1h 30m, or as seconds: 90"#,
    ),
    (
        r#"at = "1s""#,
        r#"at = "400days""#,
        r#"line 6: "400days" is longer than a year"#,
    ),
    (
        r#"at = "1s""#,
        "at = \"1s\"\nabsent = true",
        "line 7: where the agent is `absent` there is no answer to change: leave out all else",
    ),
    (
        "desiredDeploymentId = \"{new}\"",
        "desiredDeploymentId = \"{nwe}\"",
        "line 7: `{nwe}` stands for nothing; did you mean {new}?",
    ),
    (
        "phase = \"Creating\"",
        "phaseStartedAt = 2026-11-28T10:00:00Z",
        "line 8: a time is a text: write \"2026-11-28T10:00:00Z\"",
    ),
    (
        "phase = \"Creating\"",
        "readyReplica = 0",
        "line 8: the API has no field `readyReplica`; did you mean `readyReplicas`?",
    ),
    (
        r#"at = "2s""#,
        r#"at = "1s""#,
        "line 10: `at` must be later than that of the state before",
    ),
    (
        "{now-1h}",
        "{now-soon}",
        "line 11: `{now-soon}` stands for nothing; did you mean {now-1h} or {now+3s}?",
    ),
    (
        "{newer}\" }]",
        "{never}\" }]",
        "line 12: `{never}` stands for nothing; did you mean {newer}?",
    ),
    (
        r#"until = "3s""#,
        r#"until = "2s""#,
        "line 17: the fault is over before it begins: let `until` be later than `from`",
    ),
    (
        "requests = [3, 5]",
        "requests = [0]",
        "line 20: invalid value: integer `0`, expected a nonzero u64",
    ),
    (
        "requests = [3, 5]",
        "every = 2",
        "line 20: unknown key `every`; known here: from, until, requests, status, headers, body, hang, reset, lag",
    ),
    (
        "status = 429\n",
        "",
        "line 17: a fault is one of `status` (with `headers` and `body`), `hang`, `reset` or `lag`",
    ),
    (
        "status = 429\n",
        "hang = true\n",
        "line 17: a fault is one of `status` (with `headers` and `body`), `hang`, `reset` or `lag`",
    ),
    (
        "status = 429",
        "status = 42",
        "line 17: 42 is no status from 200 to 599",
    ),
    (
        "Retry-After =",
        r#""Retry After" ="#,
        r#"line 17: "Retry After" is no header that an answer can be given"#,
    ),
    (
        "Retry-After =",
        "Content-Length =",
        r#"line 17: "Content-Length" is no header that an answer can be given"#,
    ),
    (
        "{now+2s}",
        "{nwo}",
        "line 17: `{nwo}` stands for nothing; did you mean {now}?",
    ),
    (
        "{now+2s}",
        "ü",
        "line 17: the value of the header Retry-After is not one line of printable ASCII",
    ),
    (
        r#"line = "l""#,
        r#"lines = "l""#,
        "line 25: unknown key `lines`; did you mean `line`?",
    ),
    (
        r#"line = "l""#,
        "line = \"l\"\ndeployment = \"newest\"",
        "line 26: no deployment is called `newest`; known here: old, new, newer",
    ),
    (
        "[[log]]",
        "[log]",
        "line 23: invalid type: map, expected a sequence",
    ),
];

#[test]
fn each_mistake_is_named_with_its_line_and_the_fix() {
    for (good, bad, message) in CASES {
        assert!(GOOD.contains(good), "{good}");
        let spoilt = Scenario::parse(&GOOD.replacen(good, bad, 1));
        let error = spoilt.map(|_| "it is read").unwrap_err().to_string();
        assert_eq!(error, *message, "{bad}");
    }
}

#[test]
fn a_text_that_is_no_scenario_at_all_says_so() {
    for (text, message) in [
        (
            "summary = \"s\"\nverdict = \"ready\"",
            "line 1: missing key `state`",
        ),
        (
            "= 1",
            "line 1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`",
        ),
    ] {
        assert_eq!(Scenario::parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_example_in_the_documents_is_a_scenario() {
    let page = include_str!("../../../../docs/simulator.md");
    let blocks = page.split("```toml\n").skip(1);
    let example: String = blocks
        .map(|block| block.split("```").next().unwrap())
        .collect();
    let scenario = Scenario::parse(&example).unwrap();
    assert_eq!((scenario.faults.len(), scenario.log.len()), (4, 1));
}

#[test]
fn a_misspelt_name_finds_its_scenario() {
    for (name, nearest) in [
        ("rolling-updates", Some("rolling-update")),
        ("Crash-Loop", Some("crash-loop")),
        ("crashloop", Some("crash-loop")),
        ("suprseded", Some("superseded")),
        ("teapot", None),
        ("", None),
    ] {
        assert_eq!(Scenario::nearest(name), nearest, "{name:?}");
    }
    assert!(Scenario::built_in("teapot").is_none());
}

#[test]
fn ids_look_like_version_4_and_follow_from_agent_deploy_and_name() {
    let id = Scenario::deployment_id("voice-starter", 1, "new");
    assert_eq!(id, "5f7c0a4b-3385-4490-8c5b-45b494f35ade");
    let of = Scenario::deployment_id;
    assert_eq!(of("a", 2, "old"), of("a", 1, "new"));
    let different = [
        of("a", 1, "old"),
        of("a", 1, "new"),
        of("a", 2, "new"),
        of("a", 1, "newer"),
        of("b", 1, "new"),
        of("a1", 1, "new"),
    ];
    let set: std::collections::BTreeSet<_> = different.iter().collect();
    assert_eq!(set.len(), different.len());
}
