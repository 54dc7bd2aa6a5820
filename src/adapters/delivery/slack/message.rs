//! An event in words for people, in Slack's mark-up, with nothing foreign that Slack would obey.

use serde_json::{Value, json};

use crate::core::fleet::{EventData, EventKind, StoredEvent};
use crate::core::messages::{Notification, Severity, decode_exit_code, event_warnings};
use crate::core::rollout::{RevisionReport, Verdict};
use crate::core::text::{lines, one_line, shown_start};

/// The most that is shown of a crash message, in characters; its tail, where tracebacks end.
const MAX_MESSAGE: usize = 2000;
/// The most that is shown of a name, a reason or a warning, in characters.
const MAX_WORDS: usize = 300;
/// The most warnings that are shown.
const MAX_WARNINGS: usize = 5;
/// An invisible blank that takes two characters apart.
const APART: char = '\u{200b}';

/// The message: a bold line that says what happened, and beside a bar of its colour what there is to know.
pub(super) fn body(what: Notification<'_>) -> Value {
    let (sign, colour) = match what.severity() {
        Severity::Success => (":white_check_mark:", "#2eb67d"),
        Severity::Info => (":information_source:", "#439fe0"),
        Severity::Warning => (":warning:", "#ecb22e"),
        Severity::Error => (":x:", "#e01e5a"),
    };
    let headline = format!("{sign} *{}*", words(&what.title()));
    let mut details = match what.single() {
        Some(stored) => details(stored),
        None => code_block(&what.lines().join("\n")).into_iter().collect(),
    };
    details.extend(
        what.link()
            .map(|link| format!("<{}|Show more>", escaped(&link))),
    );
    if details.is_empty() {
        return json!({ "text": headline });
    }
    let details = json!({ "color": colour, "text": details.join("\n"), "mrkdwn_in": ["text"] });
    json!({ "text": headline, "attachments": [details] })
}

/// What there is to know of an event, beside what happened.
fn details(stored: &StoredEvent) -> Vec<String> {
    let (kind, data) = (stored.event.kind, &stored.event.data);
    let mut details = Vec::new();
    if let Some(reason) = &data.reason {
        details.push(format!(
            "{} ({})",
            words(&reason.summary),
            words(&reason.code)
        ));
    }
    let warnings = event_warnings(data).into_iter().take(MAX_WARNINGS);
    details.extend(warnings.map(|warning| format!("Warning: {}", words(&warning))));
    details.extend(deployment(data));
    for (name, value) in [
        ("Image", &data.image),
        ("Commit", &data.commit),
        ("Region", &data.region),
    ] {
        details.extend(
            value
                .as_deref()
                .map(|value| format!("{name}: {}", words(value))),
        );
    }
    details.extend(data.revision.as_ref().and_then(crash));
    details.extend(serving(kind, data));
    let crash_message = data.reason.as_ref();
    let crash_message = crash_message.and_then(|reason| reason.message.as_deref());
    details.extend(crash_message.and_then(code_block));
    details
}

fn deployment(data: &EventData) -> Option<String> {
    let id = words(data.deployment_id.as_deref()?);
    let created = data
        .deployment_created_at
        .map(|at| format!(", created {at:.0}"));
    let previous = data.previous_deployment_id.as_deref();
    let previous = previous.map(|previous| format!(" (before: {})", words(previous)));
    let (created, previous) = (created.unwrap_or_default(), previous.unwrap_or_default());
    Some(format!("Deployment: {id}{created}{previous}"))
}

/// How often the code crashed, and how it ended last.
fn crash(revision: &RevisionReport) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(count @ 1..) = revision.restart_count {
        parts.push(format!("Restarts: {count}"));
    }
    if let Some(code) = revision.last_exit_code {
        let meaning = decode_exit_code(code).map_or(String::new(), |words| format!(" ({words})"));
        parts.push(format!("Last exit code: {code}{meaning}"));
    }
    if let Some(reason) = &revision.last_termination_reason {
        parts.push(format!("Last exit: {}", words(reason)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Whether the agent takes sessions, where that is not plain.
fn serving(kind: EventKind, data: &EventData) -> Option<String> {
    let well = match kind {
        EventKind::RolloutFinished => data.verdict == Some(Verdict::Ready),
        EventKind::AgentUnready => false,
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
    escaped(&shown_start(&one_line(text), MAX_WORDS))
}

/// The tail of a foreign text, in a block that it cannot end.
fn code_block(text: &str) -> Option<String> {
    let text = lines(text).join("\n");
    let count = text.chars().count();
    let tail: String = text
        .chars()
        .skip(count.saturating_sub(MAX_MESSAGE))
        .collect();
    if tail.trim().is_empty() {
        return None;
    }
    let cut = if count > MAX_MESSAGE { "[...] " } else { "" };
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
