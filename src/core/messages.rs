//! What happens in a rollout, in words for people: the lines that every readable output shows.
//!
//! All foreign text leaves here harmless and on one line, and never begins a line.

mod block;
mod fleet_event;
mod hint;

mod history;
mod meaning;
mod notification;
mod reason;

use std::iter;
use std::time::Duration;

use jiff::Timestamp;

pub use self::block::failure_block;
pub(crate) use self::block::{
    check_block, ending_block, log_lines, message_lines, warnings, wrap_block,
};
pub use self::fleet_event::event_line;
pub(crate) use self::fleet_event::{event_severity, event_warnings};
pub(crate) use self::hint::{decode_exit_code, next_step};
pub(crate) use self::history::{dead_letter_table, history_table, stats_lines};
pub(crate) use self::meaning::{exit_code_meaning, verdict_meaning};
pub(crate) use self::notification::{Notification, example_values};
pub(crate) use self::reason::{
    Facts, claim, created_before, degraded, not_available, problem_line, reason,
    restarted_and_ready, revision_unchanged,
};
use crate::core::rollout::{AgentReport, Event, Interruption, Phase, Report, Verdict};
use crate::core::text::{exact_duration, line_start, one_line, short_duration};

/// The most of a name that a table shows in a terminal that is not wide.
const MAX_NAME: usize = 40;

/// What a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A watch, up to its verdict.
    Watch,
    /// A watch beside a deploy command, whose output nothing may hide or tear.
    Run,
    /// A single check: what has no verdict yet is no failure.
    Status,
}

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Success,
    /// It goes on.
    Info,
    /// It may go wrong.
    Warning,
    /// It went wrong.
    Error,
}

impl Severity {
    /// Every severity, the gravest last.
    pub(crate) const ALL: [Self; 4] = [Self::Success, Self::Info, Self::Warning, Self::Error];

    /// The severity in a word.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How grave an event is.
pub(crate) fn severity(event: &Event) -> Severity {
    match event {
        Event::PhaseChanged {
            phase: Phase::Failed,
            ..
        } => Severity::Error,
        Event::Finished { verdict, .. } => verdict_severity(*verdict),
        Event::CommandEnded { exit_code: 1.., .. }
        | Event::ProblemDetected { .. }
        | Event::Restarted { .. }
        | Event::InfrastructureIssue
        | Event::Unconfirmed { .. }
        | Event::PollFailed { .. }
        | Event::ReadyLost { .. }
        | Event::RevisionUnchanged { .. } => Severity::Warning,
        _ => Severity::Info,
    }
}

/// How a verdict is meant.
pub(crate) fn verdict_severity(verdict: Verdict) -> Severity {
    match verdict {
        Verdict::Ready => Severity::Success,
        Verdict::Interrupted(_) => Severity::Warning,
        _ => Severity::Error,
    }
}

/// An event as one line, without the agent's name and the time.
#[must_use]
pub fn line(event: &Event) -> String {
    match event {
        Event::BaselineNoted {
            deployment_id,
            created_at,
        } => match deployment_id {
            None => "nothing is deployed yet".to_owned(),
            Some(id) => {
                let (id, created) = (one_line(id), created(*created_at));
                format!("before the deploy: deployment {id}{created}")
            }
        },
        Event::WaitingForTarget { desired } => match desired {
            None => "waiting: there is no such agent yet, or it has no deployment".to_owned(),
            Some(id) => format!("waiting: deployment {} is the desired one", one_line(id)),
        },
        Event::TargetFound {
            deployment_id,
            created_at,
        } => {
            let (id, created) = (one_line(deployment_id), created(*created_at));
            format!("following deployment {id}{created}")
        }
        // When the watch began is no news.
        Event::PhaseChanged {
            phase,
            previous: Phase::Waiting,
            ..
        } => phase.to_string(),
        Event::PhaseChanged {
            phase,
            previous,
            lasted,
        } => format!("{phase} ({previous} took {})", short_duration(*lasted)),
        Event::ReplicasChanged {
            ready_replicas,
            replicas_started,
        } => replicas_ready(*ready_replicas, *replicas_started),
        Event::Restarted {
            restart_count,
            last_exit_code,
            last_termination_reason,
        } => {
            let how = exit_words(*last_exit_code, last_termination_reason.as_deref());
            format!("restarted, {restart_count} in all{how}")
        }
        Event::ProblemDetected { code, class, .. } => problem_line(*class, &one_line(code)),
        Event::ProblemResolved { code } => format!("{} is over", one_line(code)),
        Event::InfrastructureIssue => {
            "the platform reports an infrastructure issue of its own".to_owned()
        }
        Event::InfrastructureRecovered => "the platform's infrastructure issue is over".to_owned(),
        Event::Unconfirmed { claim } => format!("{}; confirming", one_line(claim)),
        Event::StaleAnswer => {
            "ignoring answers that are older than what was seen, by their own dates".to_owned()
        }
        Event::PollFailed { summary, .. } => format!("poll failed: {}", one_line(summary)),
        Event::WaitingForCommand => "ready; waiting for the deploy command to end".to_owned(),
        Event::CommandEnded { exit_code, lasted } => {
            let how = match exit_code {
                0 => "has ended".to_owned(),
                code => format!("failed with exit code {code}"),
            };
            let lasted = short_duration(*lasted);
            format!("the deploy command {how}, after {lasted}")
        }
        Event::PollRecovered { failed, after } => {
            let (failed, after) = (count(*failed, "failed poll"), short_duration(*after));
            format!("the API answers again, after {failed} in {after}")
        }
        Event::Holding { stable_for } => {
            let stable_for = exact_duration(*stable_for);
            format!("ready; must stay ready for {stable_for}")
        }
        Event::ReadyLost { after } => format!("no longer ready, after {}", short_duration(*after)),
        Event::RevisionUnchanged { running } => format!(
            "ready on the revision of deployment {}: the old code may go on serving",
            one_line(running)
        ),
        Event::Heartbeat {
            phase,
            in_phase,
            ready_replicas,
            restart_count,
            failing,
            ..
        } => heartbeat_line(*phase, *in_phase, *ready_replicas, *restart_count, *failing),
        Event::Finished {
            verdict,
            reason,
            elapsed,
        } => {
            let why = reason.as_ref().map(|reason| one_line(&reason.summary));
            let why = why.map_or(String::new(), |why| format!(": {why}"));
            format!("{verdict} after {}{why}", short_duration(*elapsed))
        }
    }
}

/// How it ended with an agent, as one line.
#[must_use]
pub fn result_line(report: &AgentReport, mode: Mode) -> String {
    let ending = ending_words(report, mode);
    let id = report.outcome.deployment_id.as_deref();
    let deployment = id.map_or(String::new(), |id| format!(", deployment {}", one_line(id)));
    let mark = report.outcome.reason.as_ref().map_or(';', |_| ':');
    let rest = why(report).map_or(String::new(), |why| format!("{mark} {why}"));
    format!("{ending}{deployment}{rest}")
}

/// How it ended with several agents, as a table.
#[must_use]
pub fn result_table(reports: &[AgentReport]) -> Vec<String> {
    let rows = reports.iter().map(|report| {
        let outcome = &report.outcome;
        [
            line_start(&report.agent),
            outcome.verdict.to_string(),
            short_duration(outcome.elapsed),
            known(outcome.deployment_id.as_deref().map(one_line)),
            why(report).unwrap_or_default(),
        ]
    });
    table("AGENT VERDICT AFTER DEPLOYMENT REASON", rows)
}

/// How a single check found several agents, as a table. Where it is shown in so many columns, long names are cut,
/// so that none hides the verdicts.
#[must_use]
pub fn check_table<'a>(
    reports: impl IntoIterator<Item = &'a AgentReport>,
    columns: Option<usize>,
) -> Vec<String> {
    let reports: Vec<&AgentReport> = reports.into_iter().collect();
    let verdicts = reports.iter().map(|report| {
        let words = verdict_words(report.outcome.verdict, Mode::Status);
        words.chars().count()
    });
    let verdict = verdicts.max().unwrap_or(0);
    let name = columns.map(|columns| {
        let room = columns.saturating_sub(verdict + 2);
        room.min((columns / 3).max(MAX_NAME))
    });
    let rows = reports.into_iter().map(|report| {
        let outcome = &report.outcome;
        let revision = outcome.revision.as_ref();
        [
            shortened(line_start(&report.agent), name),
            verdict_words(outcome.verdict, Mode::Status).to_owned(),
            known(outcome.region.as_deref().map(one_line)),
            known(revision.and_then(|revision| revision.ready_replicas)),
            known(outcome.active_sessions),
            known(report.deployment_age().map(short_duration)),
            known(outcome.deployment_id.as_deref().map(one_line)),
            why(report).unwrap_or_default(),
        ]
    });
    table(
        "AGENT VERDICT REGION REPLICAS SESSIONS AGE DEPLOYMENT REASON",
        rows,
    )
}

/// How many agents there are of each verdict, the worst first, in words.
pub(crate) fn tally(reports: &[AgentReport]) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    let mut worst_first: Vec<Verdict> = reports.iter().map(|it| it.outcome.verdict).collect();
    worst_first.sort_by_key(|verdict| verdict.rank());
    for verdict in worst_first {
        let words = verdict_words(verdict, Mode::Status);
        match counts.last_mut() {
            Some((last, count)) if *last == words => *count += 1,
            _ => counts.push((words, 1)),
        }
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(words, count)| format!("{count} {words}"))
        .collect();
    let all = agents(reports.len());
    format!("{all}: {}", parts.join(", "))
}

/// How it ended, for somebody who looks elsewhere: one line, and how long it took.
#[must_use]
pub(crate) fn note(report: &Report, mode: Mode) -> (String, Duration) {
    let line = match report.agents.as_slice() {
        [one] => ending_words(one, mode),
        several => tally(several),
    };
    let took = report.agents.iter().map(|it| it.outcome.elapsed).max();
    (line, took.unwrap_or_default())
}

/// A text of at most so many characters.
fn shortened(text: String, most: Option<usize>) -> String {
    match most {
        Some(most) if text.chars().count() > most => {
            let kept = text.chars().take(most.saturating_sub(1));
            kept.chain(['…']).collect()
        }
        _ => text,
    }
}

/// What is known, or a dash.
fn known<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Rows below a head of one word each, their columns aligned.
fn table<const COLUMNS: usize>(
    head: &str,
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> Vec<String> {
    let mut words = head.split(' ').map(str::to_owned);
    let head = std::array::from_fn(|_| words.next().unwrap_or_default());
    let rows: Vec<[String; COLUMNS]> = iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A verdict as a sentence says it: `it ... after 12.3s`.
fn verdict_words(verdict: Verdict, mode: Mode) -> &'static str {
    match verdict {
        Verdict::Timeout if mode == Mode::Status => "still progressing",
        Verdict::Timeout => "timed out",
        Verdict::Infrastructure => "infrastructure issue",
        Verdict::NotFound => "not found",
        Verdict::CommandFailed(_) => "the deploy command failed",
        Verdict::Interrupted(Interruption::FailFast) => "stopped",
        _ => verdict.as_str(),
    }
}

/// Why it ended so, or what to mind although it is ready; on one line.
fn why(report: &AgentReport) -> Option<String> {
    let reason = report.outcome.reason.iter();
    let reason = reason.map(|reason| one_line(&reason.summary));
    let parts: Vec<String> = reason.chain(warnings(report)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// `my-agent: failed after 12.3s`
pub(crate) fn ending_words(report: &AgentReport, mode: Mode) -> String {
    let (agent, verdict) = ending_parts(report, mode);
    // As a whole: a name may end in the middle of what a CI runner obeys.
    line_start(&format!("{agent}: {verdict}"))
}

/// An agent's name on one line, and `failed after 12.3s`.
pub(crate) fn ending_parts(report: &AgentReport, mode: Mode) -> (String, String) {
    let verdict = verdict_words(report.outcome.verdict, mode);
    let words = match mode {
        Mode::Status => verdict.to_owned(),
        Mode::Watch | Mode::Run => {
            let elapsed = short_duration(report.outcome.elapsed);
            format!("{verdict} after {elapsed}")
        }
    };
    (one_line(&report.agent), words)
}

/// Says in the report on an agent whose watch was stopped because of another one which that was, and
/// how that one ended.
pub(crate) fn name_who_stopped(report: &mut AgentReport, other: &AgentReport) {
    let stopped = report.outcome.verdict == Verdict::Interrupted(Interruption::FailFast);
    let Some(reason) = report.outcome.reason.as_mut().filter(|_| stopped) else {
        return;
    };
    let did = match other.outcome.verdict {
        Verdict::Failed => "failed".to_owned(),
        Verdict::Stalled => "stalled".to_owned(),
        Verdict::Timeout => "timed out".to_owned(),
        verdict => format!("is not ready, {verdict}"),
    };
    reason.summary = format!("{} {did} (--fail-fast)", one_line(&other.agent));
}

/// How many replicas of those that were started are ready, in words.
pub(crate) fn replicas_ready(ready: u64, started: u64) -> String {
    format!("{ready} of {started} replicas ready")
}

/// A count of agents, in words.
pub(crate) fn agents(count: usize) -> String {
    self::count(u64::try_from(count).unwrap_or(u64::MAX), "agent")
}

/// Failed polls in a row, in words.
pub(crate) fn failing_words(count: u64) -> Option<String> {
    match count {
        0 => None,
        1 => Some("the last poll failed".to_owned()),
        _ => Some(format!("{count} polls failed in a row")),
    }
}

/// So many of these, in words.
pub(crate) fn count(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn created(at: Option<Timestamp>) -> String {
    at.map_or(String::new(), |at| format!(", created at {at:.0}"))
}

fn exit_words(exit_code: Option<i64>, reason: Option<&str>) -> String {
    let code = exit_code.map(|code| match decode_exit_code(code) {
        Some(meaning) => format!("exit code {code} ({meaning})"),
        None => format!("exit code {code}"),
    });
    let reason = reason.map(one_line).filter(|reason| reason != "Error");
    match (reason, code) {
        (None, None) => String::new(),
        (Some(one), None) | (None, Some(one)) => format!(": {one}"),
        (Some(reason), Some(code)) => format!(": {reason}, {code}"),
    }
}

fn heartbeat_line(
    phase: Phase,
    in_phase: Duration,
    ready_replicas: Option<u64>,
    restart_count: Option<u64>,
    failing: u64,
) -> String {
    let parts = [
        Some(format!("still {phase}, for {}", short_duration(in_phase))),
        ready_replicas.map(|ready| format!("{} ready", count(ready, "replica"))),
        restart_count
            .filter(|restarts| *restarts > 0)
            .map(|restarts| count(restarts, "restart")),
        failing_words(failing),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
