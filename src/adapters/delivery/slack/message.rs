//! A notice in words for people, in Slack's mark-up, with nothing foreign that Slack would obey.

use std::time::Duration;

use crate::core::fleet::{Notice, NoticeData, NoticeKind};
use crate::core::messages::decode_exit_code;
use crate::core::rollout::{Phase, RevisionReport, Verdict};
use crate::core::text::{lines, one_line, short_duration};

/// The most that is shown of a crash message, in characters; its tail, where tracebacks end.
const MOST_MESSAGE: usize = 2000;
/// The most that is shown of a name or a reason, in characters.
const MOST_WORDS: usize = 300;
/// An invisible blank that takes two characters apart.
const APART: char = '\u{200b}';

/// The message: a bold line that says what happened, then what there is to know.
pub(super) fn text(notice: &Notice) -> String {
    let data = &notice.data;
    let (sign, headline) = headline(notice.kind, data);
    let agent = words(&data.agent);
    let mut message = vec![format!("{sign} *{agent}: {headline}*")];
    if let Some(reason) = &data.reason {
        message.push(format!(
            "{} ({})",
            words(&reason.summary),
            words(&reason.code)
        ));
    }
    message.extend(deployment(data));
    message.extend(
        data.region
            .as_deref()
            .map(|region| format!("Region: {}", words(region))),
    );
    message.extend(data.revision.as_ref().and_then(crash));
    message.extend(serving(notice.kind, data));
    if data.observed_late {
        message.push("It happened, or began, while nobody watched.".to_owned());
    }
    let crash_message = data
        .reason
        .as_ref()
        .and_then(|reason| reason.message.as_deref());
    message.extend(crash_message.and_then(code_block));
    message.join("\n")
}

fn headline(kind: NoticeKind, data: &NoticeData) -> (&'static str, String) {
    let after = data.elapsed_ms.map_or(String::new(), |ms| {
        format!(" after {}", short_duration(Duration::from_millis(ms)))
    });
    match kind {
        NoticeKind::RolloutStarted => (":rocket:", "rollout started".to_owned()),
        NoticeKind::RolloutPhaseChanged => match data.phase {
            Some(Phase::Failed) => (":warning:", "rollout is failed".to_owned()),
            Some(phase) => (":hourglass:", format!("rollout is {phase}")),
            None => (":hourglass:", "rollout goes on".to_owned()),
        },
        NoticeKind::RolloutFinished => match data.verdict {
            Some(verdict) => (sign(verdict), format!("rollout {verdict}{after}")),
            None => (":grey_question:", format!("rollout ended{after}")),
        },
        NoticeKind::AgentUnready => (":warning:", "no longer ready".to_owned()),
        NoticeKind::AgentRecovered => (":white_check_mark:", format!("ready again{after}")),
        NoticeKind::AgentAdded => (":heavy_plus_sign:", "agent added".to_owned()),
        NoticeKind::AgentRemoved => (":heavy_minus_sign:", "agent removed".to_owned()),
    }
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ready => ":white_check_mark:",
        Verdict::Superseded
        | Verdict::Unchanged
        | Verdict::CommandFailed(_)
        | Verdict::Interrupted(_) => ":warning:",
        Verdict::Unauthorized
        | Verdict::NotFound
        | Verdict::Unavailable
        | Verdict::Failed
        | Verdict::Stalled
        | Verdict::Infrastructure
        | Verdict::Timeout => ":x:",
    }
}

fn deployment(data: &NoticeData) -> Option<String> {
    let id = words(data.deployment_id.as_deref()?);
    Some(match data.previous_deployment_id.as_deref() {
        Some(previous) => format!("Deployment: {id} (before: {})", words(previous)),
        None => format!("Deployment: {id}"),
    })
}

/// How often the code crashed, and how it ended last.
fn crash(revision: &RevisionReport) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(count @ 1..) = revision.restart_count {
        parts.push(format!("Restarts: {count}"));
    }
    if let Some(code) = revision.last_exit_code {
        let meaning = decode_exit_code(code).map_or(String::new(), |told| format!(" ({told})"));
        parts.push(format!("Last exit code: {code}{meaning}"));
    }
    if let Some(reason) = &revision.last_termination_reason {
        parts.push(format!("Last exit: {}", words(reason)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Whether the agent takes sessions, where that is not plain.
fn serving(kind: NoticeKind, data: &NoticeData) -> Option<String> {
    let well = match kind {
        NoticeKind::RolloutFinished => data.verdict == Some(Verdict::Ready),
        NoticeKind::AgentUnready => false,
        _ => true,
    };
    match (well, data.available?) {
        (true, true) => None,
        (false, true) => Some("The agent takes sessions all the same.".to_owned()),
        (_, false) => Some("The agent takes no sessions.".to_owned()),
    }
}

/// Foreign text as words within a line.
fn words(text: &str) -> String {
    let line = one_line(text);
    let mut shown: String = line.chars().take(MOST_WORDS).collect();
    if shown.len() < line.len() {
        shown.push_str("...");
    }
    escaped(&shown)
}

/// The tail of a foreign text, in a block that it cannot end.
fn code_block(text: &str) -> Option<String> {
    let text = lines(text).join("\n");
    let count = text.chars().count();
    let tail: String = text
        .chars()
        .skip(count.saturating_sub(MOST_MESSAGE))
        .collect();
    if tail.trim().is_empty() {
        return None;
    }
    let cut = if count > MOST_MESSAGE { "[...] " } else { "" };
    Some(format!("```\n{cut}{}\n```", escaped(&tail)))
}

/// Foreign text with nothing that Slack, or what takes the same, would obey: no mark-up, no
/// mention, no end of a code block.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '`' if before == '`' => escaped.extend([APART, '`']),
            // Not the @ of an address or of an image's digest, which nobody takes for a mention.
            '@' if !before.is_ascii_alphanumeric()
                && chars.peek().is_some_and(|next| next.is_alphanumeric()) =>
            {
                escaped.extend(['@', APART]);
            }
            char => escaped.push(char),
        }
        before = char;
    }
    escaped
}

#[cfg(test)]
mod tests;
