//! What is no scenario, and how that is said.

use super::*;

/// A scenario that is well; each case below spoils it.
const GOOD: &str = r#"summary = "s"
verdict = "ready"
baseline = "old"
[deployments]
old = "-1h"
new = { made = "0s", image = "i" }
[before]
desired = "old"
[[state]]
at = "1s"
desired = "new"
current = { deployment = "new", phase = "Creating", health = { state = "waiting" } }
[[state]]
at = "2s"
current.phase = "Active"
previous = "none"
[[fault]]
from = "2s"
until = "3s"
requests = "3..5"
every = 2
kind = "status"
status = 429
headers = { Retry-After = "{date+2s}" }
[[log]]
at = "1s"
line = "l"
"#;

#[test]
fn the_scenario_that_the_cases_spoil_is_well() {
    let scenario = Scenario::parse(GOOD).unwrap();
    assert_eq!(scenario.summary(), "s");
    assert_eq!(scenario.verdict(), Verdict::Ready);
    assert_eq!(scenario.baseline(), Some("old"));
}

/// What is replaced in it, by what, and what is said then.
const SLIPS: &[(&str, &str, &str)] = &[
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
        "line 2: unknown word `redy`; did you mean `ready`?",
    ),
    (
        r#""ready""#,
        r#""interrupted""#,
        "line 2: unknown word `interrupted`; known here: ready, failed, stalled, superseded, unchanged, infrastructure, timeout, not-found, unauthorized, unavailable",
    ),
    (
        r#""ready""#,
        "ready",
        "line 2: string values must be quoted, expected literal string",
    ),
    (
        r#""ready""#,
        "1",
        "line 2: invalid type: integer `1`, expected a string",
    ),
    (
        r#"baseline = "old""#,
        r#"baseline = "o\nl\u001b[1md""#,
        "line 3: deployment `o ld` is not declared in [deployments]",
    ),
    (
        r#"baseline = "old""#,
        r#"baseline = "odl""#,
        "line 3: deployment `odl` is not declared in [deployments]; did you mean `old`?",
    ),
    (
        r#"baseline = "old""#,
        "surprise = 1",
        "line 3: unknown key `surprise`; known here: summary, verdict, baseline, agent, deployments, before, state, fault, log",
    ),
    (
        r#""-1h""#,
        r#""-1hour and a bit""#,
        r#"line 5: "1hour and a bit" is not a time like "2s" or "1m 30s": expected number at 6"#,
    ),
    (
        r#""-1h""#,
        r#""-3years""#,
        r#"line 5: "3years" is longer than a year"#,
    ),
    (
        r#""-1h""#,
        "3",
        r#"line 5: invalid type: integer `3`, expected a time like "-1h", or a table with `made` and `image`"#,
    ),
    (
        r#"image = "i""#,
        r#"imagine = "i""#,
        "line 6: unknown key `imagine`; known here: made, image",
    ),
    (r#"made = "0s", "#, "", "line 6: missing key `made`"),
    (
        r#"desired = "old""#,
        r#"desired = "older""#,
        "line 8: deployment `older` is not declared in [deployments]",
    ),
    (
        r#"desired = "old""#,
        "desired = \"old\"\nat = \"1s\"",
        "line 9: [before] has no `at`: it lasts until the deploy",
    ),
    (
        r#"desired = "old""#,
        "absent = true\ndesired = \"old\"",
        "line 7: an absent agent has nothing else",
    ),
    (
        "at = \"1s\"\ndesired",
        "desired",
        "line 9: a [[state]] needs `at`",
    ),
    (
        r#"at = "1s""#,
        r#"at = "soon""#,
        r#"line 10: "soon" is not a time like "2s" or "1m 30s": expected number at 0"#,
    ),
    (
        r#"at = "1s""#,
        r#"at = "-1s""#,
        r#"line 10: "-1s" is not a time like "2s" or "1m 30s": expected number at 0"#,
    ),
    (
        r#"at = "2s""#,
        r#"at = "1s""#,
        "line 14: `at` must be later than 1s, that of the state before",
    ),
    (
        r#"desired = "new""#,
        r#"desire = "new""#,
        "line 11: unknown key `desire`; did you mean `desired`?",
    ),
    (
        r#"desired = "new""#,
        r#"desired = "nwe""#,
        "line 11: deployment `nwe` is not declared in [deployments]; did you mean `new`?",
    ),
    (
        r#"desired = "new""#,
        r#"ready = "yes""#,
        "line 11: invalid type: text, expected a boolean",
    ),
    (
        r#"{ deployment = "new", phase = "Creating""#,
        r#"{ deployment = "neu", phase = "Creating""#,
        "line 12: deployment `neu` is not declared in [deployments]; did you mean `new`?",
    ),
    (
        r#"{ deployment = "new", phase"#,
        "{ phase",
        "line 9: a new `current` revision needs `deployment`",
    ),
    (
        r#"phase = "Creating", "#,
        "",
        "line 9: a new `current` revision needs `phase`",
    ),
    (
        r#"phase = "Creating""#,
        r#"phase = "creating""#,
        "line 12: unknown word `creating`; did you mean `Creating`?",
    ),
    (
        r#"phase = "Creating""#,
        r#"phase = "Levitating""#,
        "line 12: unknown word `Levitating`; known here: Creating, Validating, Active, Draining, Failed",
    ),
    (
        r#"phase = "Creating""#,
        r#"phase = "Creating", ready-replica = 1"#,
        "line 12: unknown key `ready-replica`; did you mean `ready-replicas`?",
    ),
    (
        r#"state = "waiting""#,
        r#"state = "wating""#,
        "line 12: unknown word `wating`; did you mean `waiting`?",
    ),
    (
        r#"state = "waiting""#,
        "ready = true",
        "line 9: the health of `current` needs `state`",
    ),
    (
        r#"state = "waiting""#,
        r#"state = "waiting", restarts = 3"#,
        "line 12: unknown key `restarts`; known here: ready, state, restart-count, replicas-started, reason, last-exit-code, last-termination-reason, message",
    ),
    (
        r#""none""#,
        r#""nothing""#,
        r#"line 16: expected a table or "none", not "nothing""#,
    ),
    (
        r#"previous = "none""#,
        r#"previous.phase = "Draining""#,
        "line 13: a new `previous` revision needs `deployment`",
    ),
    (
        r#"until = "3s""#,
        r#"until = "2s""#,
        "line 17: the fault is over (`until` 2s) before it begins (`from` 2s)",
    ),
    (
        r#"requests = "3..5""#,
        r#"requests = "5..3""#,
        r#"line 20: "5..3" names no requests; write "3", "3..5" or "3..", the first being 1"#,
    ),
    (
        r#"requests = "3..5""#,
        r#"requests = "some""#,
        r#"line 20: "some" names no requests; write "3", "3..5" or "3..", the first being 1"#,
    ),
    (
        "every = 2",
        "every = 0",
        "line 21: invalid value: integer `0`, expected a nonzero u64",
    ),
    (
        r#"kind = "status""#,
        r#"kind = "stat""#,
        "line 22: unknown word `stat`; did you mean `status`?",
    ),
    (
        r#"kind = "status""#,
        r#"kind = "reset""#,
        "line 17: a fault of this kind has no `status`",
    ),
    (
        r#"kind = "status""#,
        "kind = \"status\"\nafter = \"head\"",
        "line 17: a fault of this kind has no `after`",
    ),
    (
        "status = 429\n",
        "",
        "line 17: a status fault needs `status`",
    ),
    (
        "status = 429",
        "status = 42",
        "line 17: 42 is no status from 200 to 599",
    ),
    (
        "status = 429",
        "status = 99999",
        "line 23: invalid value: integer `99999`, expected u16",
    ),
    (
        "Retry-After =",
        r#""Retry After" ="#,
        r#"line 17: "Retry After" is no name of a header"#,
    ),
    (
        "Retry-After =",
        "Content-Length =",
        "line 17: the header Content-Length follows from the body",
    ),
    (
        "{date+2s}",
        "{date-2s}",
        "line 24: `{date-2s}` is unknown in a header; write `{date}` or `{date+2s}`",
    ),
    ("{date+2s}", "{date", "line 24: a header's `{` has no `}`"),
    (
        "{date+2s}",
        "ü",
        "line 24: the value of a header is one line of printable ASCII",
    ),
    (
        r#"line = "l""#,
        r#"lines = "l""#,
        "line 27: unknown key `lines`; did you mean `line`?",
    ),
    (
        r#"line = "l""#,
        "line = \"l\"\ndeployment = \"newest\"",
        "line 28: deployment `newest` is not declared in [deployments]",
    ),
    ("at = \"1s\"\nline", "line", "line 25: missing key `at`"),
    (
        "[[log]]",
        "[log]",
        "line 25: invalid type: map, expected a sequence",
    ),
    (
        "[[log]]",
        "[agent]\nmin-replicas = 3\nmax-replicas = 2\n[[log]]",
        "line 25: min-replicas (3) is more than max-replicas (2)",
    ),
    (
        "[[log]]",
        "[agent]\nregin = \"x\"\n[[log]]",
        "line 26: unknown key `regin`; did you mean `region`?",
    ),
];

#[test]
fn each_slip_is_named_with_its_line_and_the_word_that_was_meant() {
    for (good, bad, said) in SLIPS {
        assert_eq!(spoilt(good, bad), *said, "{bad}");
    }
}

fn spoilt(good: &str, bad: &str) -> String {
    assert!(GOOD.contains(good), "{good}");
    Scenario::parse(&GOOD.replacen(good, bad, 1))
        .map(|_| "it is read")
        .map_err(|bad| bad.to_string())
        .map_or_else(|bad| bad, str::to_owned)
}

#[test]
fn a_text_that_is_no_scenario_at_all_says_so() {
    for (text, said) in [
        (
            "summary = \"s\"\nverdict = \"ready\"",
            "a scenario needs a [[state]]",
        ),
        (
            "= 1",
            "line 1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`",
        ),
    ] {
        assert_eq!(Scenario::parse(text).unwrap_err().to_string(), said);
    }
}

#[test]
fn the_example_in_the_readme_is_a_scenario() {
    let readme = include_str!("../../../../../config/scenarios/README.md");
    let blocks = readme.split("```toml\n").skip(1);
    let example: String = blocks
        .map(|block| block.split("```").next().unwrap())
        .collect();
    let scenario = Scenario::parse(&example).unwrap();
    assert_eq!((scenario.faults.len(), scenario.log.len()), (1, 1));
}
