//! Every event in words, and the block that a failure ends with.

mod events;

use super::*;
use crate::core::rollout::{Outcome, PhaseEntry, Reason, RevisionReport};

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
        result_line(&ready, Occasion::Watch),
        "my-agent: ready after 12.0s, deployment new"
    );
    let old_code = report(Verdict::Ready, |outcome| outcome.revision_unchanged = true);
    assert_eq!(
        result_line(&old_code, Occasion::Watch),
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
        result_line(&missing, Occasion::Watch),
        "my-agent: not-found after 12.0s: there is no ::error::such agent"
    );
    // The name alone is harmless, the line that begins with it would not be.
    let colon = AgentReport {
        agent: text(":"),
        ..missing
    };
    assert_eq!(
        result_line(&colon, Occasion::Look),
        ": : not-found: there is no ::error::such agent"
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
    let block = failure_block(&crashed, Occasion::Watch);
    assert_eq!(
        block[..8],
        [
            "my-agent: failed after 12.0s (exit code 10)",
            "  reason      its code crashes",
            "  phase       validating, for 8.0s",
            "  deployment  new",
            "  last exit   code 1: an error in the application",
            "  restarts    3 restarts over 1 replica",
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
            "  next        the image lacks a package: add it to the requirements and build again",
        ]
    );
    assert_eq!(
        failure_block(&report(Verdict::Ready, |_| ()), Occasion::Watch),
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
            code: text("DeadlineExceeded"),
            summary: text("not ready yet: validating"),
            message: None,
        });
    });
    assert_eq!(
        result_line(&progressing, Occasion::Look),
        "my-agent: still progressing: not ready yet: validating"
    );
    assert_eq!(
        failure_block(&progressing, Occasion::Look)[..3],
        [
            "my-agent: still progressing (exit code 124)",
            "  reason      not ready yet: validating",
            "  phase       validating",
        ]
    );
    let ready = report(Verdict::Ready, |_| ());
    assert_eq!(result_line(&ready, Occasion::Look), "my-agent: ready");
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
        result_table(&[ready, missing], Occasion::Watch),
        [
            "AGENT     VERDICT    AFTER  DEPLOYMENT  REASON",
            "my-agent  ready      12.0s  new",
            "my-agent  not-found  12.0s  -           there is no such agent",
        ]
    );
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
        failure_block(&failed, Occasion::Watch)[3..8],
        [
            "  message",
            "    | boom",
            "  logs",
            "    | one",
            "    | ::error::two"
        ]
    );
}
