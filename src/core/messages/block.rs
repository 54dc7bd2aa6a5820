//! The block that says to a person who was woken at night what is wrong and what to do.

use super::{Mode, count, decode_exit_code, ending_words, next_step, result_line};
use crate::core::rollout::{AgentReport, Interruption, RevisionReport, Verdict, Warning};
use crate::core::text::{lines, one_line, short_duration, wrap};

/// The most lines of a message, or of logs, that are shown; the report has them all.
const SHOWN_LINES: usize = 25;

/// Where the text of a row begins.
const ROW_INDENT: &str = "              ";

/// How a line of a message or of logs begins, and how the rest of a long one does.
const QUOTE: &str = "    | ";
const QUOTE_INDENT: &str = "    |   ";

/// How it ended with an agent, in full: a line and what to mind when it is ready, else
/// [`failure_block`].
pub(crate) fn ending_block(report: &AgentReport, mode: Mode) -> Vec<String> {
    if report.outcome.verdict != Verdict::Ready {
        return failure_block(report, mode);
    }
    let mut bare = report.clone();
    bare.outcome.warnings.clear();
    bare.outcome.revision_unchanged = false;
    let head = [result_line(&bare, mode)];
    head.into_iter().chain(warning_rows(report)).collect()
}

/// How a single check found an agent: a line, and below it what is known of one that is ready.
pub(crate) fn check_block(report: &AgentReport) -> Vec<String> {
    let mut block = vec![result_line(report, Mode::Status)];
    let outcome = &report.outcome;
    if outcome.verdict != Verdict::Ready {
        return block;
    }
    let text = |text: &Option<String>| text.as_deref().map(one_line);
    let sessions = outcome.active_sessions;
    let rows = [
        ("image", text(&outcome.image)),
        ("region", text(&outcome.region)),
        ("replicas", outcome.revision.as_ref().and_then(replicas)),
        ("sessions", sessions.map(|count| count.to_string())),
        ("created", created(report)),
    ];
    let known = rows
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)));
    block.extend(known.map(|(name, text)| row(name, &text)));
    block
}

/// The replicas of an agent that is ready.
fn replicas(revision: &RevisionReport) -> Option<String> {
    Some(
        match (revision.ready_replicas?, revision.replicas_started) {
            (0, _) => "none: it scales to zero".to_owned(),
            (ready, Some(started)) => format!("{ready} of {started} ready"),
            (ready, None) => format!("{ready} ready"),
        },
    )
}

/// What to show about an agent that is not ready: verdict, reason, phase, deployment, exit code,
/// restarts, the tail of the message and what to do next. Of a ready one, what to mind.
#[must_use]
pub fn failure_block(report: &AgentReport, mode: Mode) -> Vec<String> {
    let outcome = &report.outcome;
    if outcome.verdict == Verdict::Ready {
        return warning_rows(report);
    }
    let ending = ending_words(report, mode);
    let head = match outcome.verdict {
        // Nobody pressed Ctrl-C: the code would say so.
        Verdict::Interrupted(Interruption::FailFast) => ending,
        _ => format!("{ending} (exit code {})", report.exit_code),
    };
    let reason = outcome.reason.as_ref();
    let phase = report.last_phase().map(|(phase, lasted)| match mode {
        Mode::Watch | Mode::Run => format!("{phase}, for {}", short_duration(lasted)),
        // Since when, a single check cannot know.
        Mode::Status => phase.to_string(),
    });
    let last_exit = outcome.revision.as_ref().and_then(last_exit);
    let facts = [
        ("reason", reason.map(|reason| one_line(&reason.summary))),
        ("phase", phase),
        ("deployment", deployment(report)),
        ("last exit", last_exit),
        ("restarts", outcome.revision.as_ref().and_then(restarts)),
        ("command", failed_command(report)),
        ("serving", serving(report).map(str::to_owned)),
    ];
    let rows = facts
        .into_iter()
        .filter_map(|(name, words)| Some(row(name, &words?)));
    let mut block: Vec<String> = std::iter::once(head).chain(rows).collect();
    block.extend(warning_rows(report));
    for (name, lines) in [
        ("message", message_lines(report)),
        ("logs", log_lines(report)),
    ] {
        if !lines.is_empty() {
            block.push(format!("  {name}"));
            block.extend(tail(&lines));
        }
    }
    let request_id = outcome.request_id.as_ref();
    block
        .extend(request_id.map(|id| row("request id", &format!("{} (for support)", one_line(id)))));
    block.extend(next_step(report, mode).map(|next| row("next", &one_line(&next))));
    block
}

/// What to mind about an agent although it decided nothing, a line each.
pub(crate) fn warnings(report: &AgentReport) -> Vec<String> {
    let outcome = &report.outcome;
    warning_lines(&outcome.warnings, outcome.revision_unchanged)
}

/// Warnings in harmless lines; that the revision is unchanged is one of them.
pub(super) fn warning_lines(warnings: &[Warning], revision_unchanged: bool) -> Vec<String> {
    let of_revision = "RevisionUnchanged";
    let said = warnings.iter().any(|warning| warning.code == of_revision);
    let unchanged = (revision_unchanged && !said)
        .then(|| "the old revision goes on serving, with the old code".to_owned());
    let known = warnings.iter().map(|warning| one_line(&warning.summary));
    known.chain(unchanged).collect()
}

/// The lines of a block, broken at words where they are wider than a terminal of so many columns.
pub(crate) fn wrap_block(block: &[String], width: usize) -> Vec<String> {
    let wrapped = block.iter().flat_map(|line| {
        let indent = match line {
            line if line.starts_with(QUOTE) => QUOTE_INDENT,
            line if line.starts_with("  ") => ROW_INDENT,
            _ => "  ",
        };
        wrap(line, width, indent)
    });
    wrapped.collect()
}

/// The harmless lines of the logs that the reason's message has not: a platform's message is often their end.
pub(crate) fn log_lines(report: &AgentReport) -> Vec<String> {
    let message = message_lines(report);
    let said = |line: &str| message.iter().any(|said| said.trim() == line.trim());
    let mut logs = lines(&report.logs.join("\n"));
    logs.retain(|line| !line.trim().is_empty() && !said(line));
    logs
}

/// The lines of the reason's message, the empty ones at its ends left out.
pub(crate) fn message_lines(report: &AgentReport) -> Vec<String> {
    let reason = report.outcome.reason.as_ref();
    let message = reason.and_then(|reason| reason.message.as_deref());
    message
        .filter(|message| !message.trim().is_empty())
        .map_or(Vec::new(), lines)
}

fn row(name: &str, text: &str) -> String {
    format!("  {name:<11} {text}")
}

fn warning_rows(report: &AgentReport) -> Vec<String> {
    let warnings = warnings(report).into_iter();
    warnings.map(|words| row("warning", &words)).collect()
}

fn last_exit(revision: &RevisionReport) -> Option<String> {
    let code = revision.last_exit_code?;
    let meaning = decode_exit_code(code).map_or(String::new(), |words| format!(": {words}"));
    Some(format!("code {code}{meaning}"))
}

fn restarts(revision: &RevisionReport) -> Option<String> {
    let restarts = count(
        revision.restart_count.filter(|count| *count > 0)?,
        "restart",
    );
    let started = count(revision.replicas_started.unwrap_or(1), "replica");
    Some(format!("{restarts} of {started}"))
}

fn failed_command(report: &AgentReport) -> Option<String> {
    let command = report.command.filter(|command| command.exit_code != 0)?;
    let lasted = short_duration(command.elapsed);
    Some(format!(
        "ended with exit code {} after {lasted}",
        command.exit_code
    ))
}

/// The target, when it was created, and how old it was at the end of the watch.
fn deployment(report: &AgentReport) -> Option<String> {
    let id = one_line(report.outcome.deployment_id.as_deref()?);
    Some(match created(report) {
        Some(created) => format!("{id}, created {created}"),
        None => id,
    })
}

/// When the target was created, and how old it was at the end of the watch.
fn created(report: &AgentReport) -> Option<String> {
    let created = report.outcome.deployment_created_at?;
    Some(match report.deployment_age() {
        Some(age) if !age.is_zero() => format!("{created:.0}, {} ago", short_duration(age)),
        _ => format!("{created:.0}"),
    })
}

/// Whether the agent takes sessions, where the reason does not already say so.
fn serving(report: &AgentReport) -> Option<&'static str> {
    match report.outcome.verdict {
        // A deleted agent serves nobody, whatever was seen before.
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
    let shown = all[left_out..]
        .iter()
        .map(|line| format!("{QUOTE}{line}").trim_end().to_owned());
    note.into_iter().chain(shown).collect()
}
