//! The block that tells a person who was woken at night what is wrong and what to do.

use super::{Occasion, ending_words, replicas, restarts};
use crate::core::rollout::{AgentReport, Verdict, decode_exit_code, next_step};
use crate::core::text::{lines, one_line, short_duration};

/// The most lines of a message, or of logs, that are shown; the report has them all.
const SHOWN_LINES: usize = 25;

/// What to show about an agent that is not ready: verdict, phase, reason, exit code, restarts, the
/// tail of the message and what to do next. Nothing when it is ready.
#[must_use]
pub fn failure_block(report: &AgentReport, occasion: Occasion) -> Vec<String> {
    let Some(next) = next_step(report) else {
        return Vec::new();
    };
    let ending = ending_words(report, occasion);
    let mut block = vec![format!("{ending} (exit code {})", report.exit_code)];
    let mut row = |name: &str, text: String| block.push(format!("  {name:<11} {text}"));
    if let Some(reason) = &report.outcome.reason {
        row("reason", one_line(&reason.summary));
    }
    if let Some((phase, lasted)) = report.last_phase() {
        row(
            "phase",
            match occasion {
                Occasion::Watch => format!("{phase}, for {}", short_duration(lasted)),
                // Since when, a single look cannot know.
                Occasion::Look => phase.to_string(),
            },
        );
    }
    if let Some(id) = &report.outcome.deployment_id {
        row("deployment", one_line(id));
    }
    if let Some(revision) = &report.outcome.revision {
        if let Some(code) = revision.last_exit_code {
            let meaning = decode_exit_code(code).map_or(String::new(), |told| format!(": {told}"));
            row("last exit", format!("code {code}{meaning}"));
        }
        if let Some(count @ 1..) = revision.restart_count {
            let started = revision.replicas_started.unwrap_or(1);
            row(
                "restarts",
                format!("{} over {}", restarts(count), replicas(started)),
            );
        }
    }
    if let Some(serving) = serving(report) {
        row("serving", serving.to_owned());
    }
    let message = report
        .outcome
        .reason
        .as_ref()
        .and_then(|r| r.message.as_deref());
    if let Some(message) = message {
        row("message", String::new());
        block.extend(tail(&lines(message)));
    }
    if !report.logs.is_empty() {
        block.push("  logs".to_owned());
        block.extend(tail(&lines(&report.logs.join("\n"))));
    }
    block.push(format!("  {:<11} {}", "next", one_line(&next)));
    for line in &mut block {
        line.truncate(line.trim_end().len());
    }
    block
}

/// Whether the agent takes sessions, where the reason does not already say so.
fn serving(report: &AgentReport) -> Option<&'static str> {
    match report.outcome.verdict {
        // What is gone serves nobody, whatever was seen before.
        Verdict::NotFound
        | Verdict::Failed
        | Verdict::Stalled
        | Verdict::Infrastructure
        | Verdict::Timeout => None,
        Verdict::Unavailable | Verdict::Unauthorized => report
            .outcome
            .available?
            .then_some("yes, when it was seen last"),
        Verdict::Ready
        | Verdict::Superseded
        | Verdict::Unchanged
        | Verdict::CommandFailed(_)
        | Verdict::Interrupted(_) => Some(if report.outcome.available? {
            "yes: the agent still takes sessions"
        } else {
            "no: the agent takes no sessions"
        }),
    }
}

/// The last of these lines.
fn tail(all: &[String]) -> Vec<String> {
    let left_out = all.len().saturating_sub(SHOWN_LINES);
    let note = (left_out > 0)
        .then(|| format!("    | ({left_out} lines above these are in the JSON report)"));
    let shown = all[left_out..].iter().map(|line| format!("    | {line}"));
    note.into_iter().chain(shown).collect()
}
