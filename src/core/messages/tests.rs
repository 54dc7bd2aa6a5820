//! Every event in words, and the block that a failure ends with.

mod events;

use super::*;
use crate::core::rollout::{
    CommandReport, Interruption, Outcome, PhaseEntry, Reason, RevisionReport, Warning,
};

const SECOND: Duration = Duration::from_secs(1);

fn text(text: &str) -> String {
    text.to_owned()
}

fn report(verdict: Verdict, change: impl FnOnce(&mut Outcome)) -> AgentReport {
    let mut outcome = Outcome {
        elapsed: 12 * SECOND,
        phases: vec![PhaseEntry {
            phase: Phase::Waiting,
            at_ms: 0,
        }],
        polls: 5,
        ..Outcome::new(verdict)
    };
    change(&mut outcome);
    AgentReport::new(
        text("my-agent"),
        "2026-11-23T15:00:00Z".parse().unwrap(),
        outcome,
    )
}

#[test]
fn the_result_is_one_line() {
    let ready = report(Verdict::Ready, |outcome| {
        outcome.deployment_id = Some(text("new"));
    });
    assert_eq!(
        result_line(&ready, Mode::Watch),
        "my-agent: ready after 12.0s, deployment new"
    );
    let old_code = report(Verdict::Ready, |outcome| outcome.revision_unchanged = true);
    assert_eq!(
        result_line(&old_code, Mode::Watch),
        "my-agent: ready after 12.0s; the old revision goes on serving, with the old code"
    );
    let missing = report(Verdict::NotFound, |outcome| {
        outcome.reason = Some(Reason {
            code: text("NotFound"),
            summary: text("there is no\n::error::such agent"),
            message: None,
        });
    });
    assert_eq!(
        result_line(&missing, Mode::Watch),
        "my-agent: not found after 12.0s: there is no ::error::such agent"
    );
    // The name alone is harmless, the line that begins with it would not be.
    let colon = AgentReport {
        agent: text(":"),
        ..missing
    };
    assert_eq!(
        result_line(&colon, Mode::Status),
        ": : not found: there is no ::error::such agent"
    );
}

#[test]
fn a_failure_ends_with_all_that_is_known_and_what_to_do() {
    let crashed = report(Verdict::Failed, |outcome| {
        let traceback: Vec<String> = (1..=30).map(|line| format!("line {line}")).collect();
        outcome.deployment_id = Some(text("new"));
        outcome.available = Some(true);
        outcome.phases.push(PhaseEntry {
            phase: Phase::Validating,
            at_ms: 4_000,
        });
        outcome.reason = Some(Reason {
            code: text("CrashLoopBackOff"),
            summary: text("its code crashes"),
            message: Some(format!(
                "{}\n\u{1b}[2J::error::\n##[error]ModuleNotFoundError: x\n",
                traceback.join("\n")
            )),
        });
        outcome.revision = Some(RevisionReport {
            restart_count: Some(3),
            replicas_started: Some(1),
            last_exit_code: Some(1),
            ..RevisionReport::default()
        });
    });
    let block = failure_block(&crashed, Mode::Watch);
    assert_eq!(
        block[..8],
        [
            "my-agent: failed after 12.0s (exit code 10)",
            "  reason      its code crashes",
            "  phase       validating, for 8.0s",
            "  deployment  new",
            "  last exit   code 1: an error in the application",
            "  restarts    3 restarts of 1 replica",
            "  message",
            "    | (7 lines above these are in the JSON report)",
        ]
    );
    assert_eq!(
        block[block.len() - 4..],
        [
            "    | line 30",
            "    | ::error::",
            "    | ## [error]ModuleNotFoundError: x",
            "  next        the image lacks a package or a file: add it to the image and build again",
        ]
    );
    assert_eq!(
        failure_block(&report(Verdict::Ready, |_| ()), Mode::Watch),
        Vec::<String>::new()
    );
}

#[test]
fn a_single_look_tells_of_no_time() {
    let progressing = report(Verdict::Timeout, |outcome| {
        outcome.phases.push(PhaseEntry {
            phase: Phase::Validating,
            at_ms: 4,
        });
        outcome.reason = Some(Reason {
            code: text("NotReady"),
            summary: text("validating"),
            message: None,
        });
    });
    assert_eq!(
        result_line(&progressing, Mode::Status),
        "my-agent: still progressing: validating"
    );
    assert_eq!(
        failure_block(&progressing, Mode::Status)[..3],
        [
            "my-agent: still progressing (exit code 124)",
            "  reason      validating",
            "  phase       validating",
        ]
    );
    let ready = report(Verdict::Ready, |_| ());
    assert_eq!(result_line(&ready, Mode::Status), "my-agent: ready");
}

#[test]
fn several_results_are_a_table() {
    let ready = report(Verdict::Ready, |outcome| {
        outcome.deployment_id = Some(text("new"));
    });
    let missing = report(Verdict::NotFound, |outcome| {
        outcome.reason = Some(Reason {
            code: text("NotFound"),
            summary: text("there is no\nsuch agent"),
            message: None,
        });
    });
    assert_eq!(
        result_table(&[ready, missing]),
        [
            "AGENT     VERDICT    AFTER  DEPLOYMENT  REASON",
            "my-agent  ready      12.0s  new",
            "my-agent  not-found  12.0s  -           there is no such agent",
        ]
    );
}

#[test]
fn no_name_hides_a_verdict() {
    let mut long = report(Verdict::Infrastructure, |_| {});
    long.agent = "a".repeat(304);
    let short = report(Verdict::Ready, |_| {});
    let reports = [long, short];
    for columns in [30, 80, 200] {
        let table = check_table(&reports, Some(columns));
        for (line, verdict) in table.iter().skip(1).zip(["infrastructure issue", "ready"]) {
            let shown: String = line.chars().take(columns).collect();
            assert!(shown.contains(verdict), "{columns}: {shown}");
        }
    }
    let cut = format!("{}…  infrastructure issue", "a".repeat(39));
    let table = check_table(&reports, Some(80));
    assert!(table[1].starts_with(&cut), "{table:#?}");
    let whole = check_table(&reports, None);
    assert!(whole[1].starts_with(&"a".repeat(304)));
}

#[test]
fn logs_come_after_the_message() {
    let mut failed = report(Verdict::Failed, |outcome| {
        outcome.reason = Some(Reason {
            code: text("Error"),
            summary: text("its code crashes"),
            message: Some(text("boom")),
        });
    });
    failed.logs = vec![text("one\u{1b}[2J"), text("::error::two")];
    assert_eq!(
        failure_block(&failed, Mode::Watch)[3..8],
        [
            "  message",
            "    | boom",
            "  logs",
            "    | one",
            "    | ::error::two"
        ]
    );
}

#[test]
fn logs_leave_out_what_the_message_says() {
    let mut failed = report(Verdict::Failed, |outcome| {
        outcome.reason = Some(Reason {
            code: text("Error"),
            summary: text("its code crashes"),
            message: Some(text("Traceback:\n  File x\nKeyError\n")),
        });
    });
    let logs = ["starting", "Traceback:", "  File x", "KeyError", ""];
    failed.logs = logs.repeat(4).into_iter().map(text).collect();
    let block = failure_block(&failed, Mode::Watch);
    let shown: Vec<&str> = block.iter().map(String::as_str).skip(3).collect();
    assert_eq!(
        shown,
        [
            "  message",
            "    | Traceback:",
            "    |   File x",
            "    | KeyError",
            "  logs",
            "    | starting",
            "    | starting",
            "    | starting",
            "    | starting",
        ]
    );
    failed.logs = vec![text("KeyError")];
    let block = failure_block(&failed, Mode::Watch);
    assert!(!block.contains(&text("  logs")), "{block:#?}");
}

#[test]
fn the_block_has_creation_time_command_warnings_and_request_id() {
    let mut late = report(Verdict::Timeout, |outcome| {
        outcome.deployment_id = Some(text("new"));
        outcome.deployment_created_at = Some("2026-11-23T14:58:00.5Z".parse().unwrap());
        outcome.request_id = Some(text("req-1\u{1b}[2J"));
        outcome.warnings = vec![Warning {
            code: text("Old"),
            summary: text("made before\nthe watch"),
        }];
    });
    late.command = Some(CommandReport {
        exit_code: 7,
        elapsed: 3 * SECOND,
    });
    assert_eq!(
        failure_block(&late, Mode::Watch),
        [
            "my-agent: timed out after 12.0s (exit code 124)",
            "  phase       waiting, for 12.0s",
            "  deployment  new, created 2026-11-23T14:58:00Z, 2m 11s ago",
            "  command     ended with exit code 7 after 3.0s",
            "  warning     made before the watch",
            "  request id  req-1 (for support)",
            "  next        it may still come up: pipecat-rollout wait-for-ready my-agent --deployment new",
        ]
    );
    // By another clock it lies ahead.
    late.outcome.deployment_created_at = Some("2026-11-23T15:00:09Z".parse().unwrap());
    let block = failure_block(&late, Mode::Watch);
    assert_eq!(block[2], "  deployment  new, created 2026-11-23T15:00:09Z");
}

#[test]
fn warnings_are_shown_of_a_ready_agent_too() {
    let ready = report(Verdict::Ready, |outcome| {
        outcome.deployment_id = Some(text("new"));
        outcome.revision_unchanged = true;
        outcome.warnings = vec![Warning {
            code: text("Unavailable"),
            summary: text("it takes no sessions"),
        }];
    });
    let old_code = "the old revision goes on serving, with the old code";
    assert_eq!(
        result_line(&ready, Mode::Watch),
        format!("my-agent: ready after 12.0s, deployment new; it takes no sessions; {old_code}")
    );
    assert_eq!(
        ending_block(&ready, Mode::Watch),
        [
            text("my-agent: ready after 12.0s, deployment new"),
            text("  warning     it takes no sessions"),
            format!("  warning     {old_code}"),
        ]
    );
    // A warning of its own says it once.
    let warned = report(Verdict::Ready, |outcome| {
        outcome.revision_unchanged = true;
        outcome.warnings = vec![Warning {
            code: text("RevisionUnchanged"),
            summary: text("old code"),
        }];
    });
    assert_eq!(warnings(&warned), ["old code"]);
}

#[test]
fn every_ending_is_a_sentence() {
    let sentences = Verdict::WORST_FIRST.map(|verdict| {
        let words = ending_words(&report(verdict, |_| ()), Mode::Watch);
        words.replace("my-agent: ", "").replace(" after 12.0s", "")
    });
    assert_eq!(
        sentences,
        [
            "interrupted",
            "interrupted",
            "interrupted",
            "the deploy command failed",
            "failed",
            "stalled",
            "infrastructure issue",
            "not found",
            "superseded",
            "unchanged",
            "unauthorized",
            "unavailable",
            "timed out",
            "stopped",
            "ready",
        ]
    );
}

#[test]
fn an_agent_that_fail_fast_stops_names_the_other() {
    let reason = || Reason {
        code: text("Interrupted"),
        summary: text("given up"),
        message: None,
    };
    for (verdict, words) in [
        (Verdict::Failed, "other failed (--fail-fast)"),
        (Verdict::Timeout, "other timed out (--fail-fast)"),
        (
            Verdict::NotFound,
            "other is not ready, not-found (--fail-fast)",
        ),
    ] {
        let mut other = report(verdict, |_| ());
        other.agent = text("other\n");
        let stopped = Verdict::Interrupted(Interruption::FailFast);
        let mut stopped = report(stopped, |outcome| outcome.reason = Some(reason()));
        name_who_stopped(&mut stopped, &other);
        assert_eq!(
            failure_block(&stopped, Mode::Watch)[..2],
            [
                text("my-agent: stopped after 12.0s"),
                format!("  reason      {words}")
            ]
        );
    }
    let mut failed = report(Verdict::Failed, |outcome| outcome.reason = Some(reason()));
    let before = failed.clone();
    name_who_stopped(&mut failed, &before);
    assert_eq!(failed, before);
}

#[test]
fn a_block_is_wrapped_with_its_rows_and_quotes_aligned() {
    let block = [
        "my-agent: failed after 12.0s (exit code 10)",
        "  reason      its code crashes over and over",
        "    | one two three four five six seven",
    ];
    assert_eq!(
        wrap_block(&block.map(text), 30),
        [
            "my-agent: failed after 12.0s",
            "  (exit code 10)",
            "  reason      its code crashes",
            "              over and over",
            "    | one two three four five",
            "    |   six seven",
        ]
    );
}
