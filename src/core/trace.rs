//! A rollout as a trace: its spans as OTLP/HTTP writes them in JSON, and the ids that are handed on.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::core::fleet::FleetEvent;
use crate::core::rollout::{AgentReport, CommandReport, Outcome, PhaseEntry, Verdict};
use crate::core::text::one_line;

/// The name of what makes the spans.
const SCOPE: &str = "pipecat-rollout";
/// OTLP's number for a span of work within one process.
const INTERNAL: u8 = 1;
/// OTLP's number for the status of a span that failed.
const ERROR: u8 = 2;

/// The root span of a rollout: known before it begins, so that it can be handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    trace_id: u128,
    span_id: u64,
    parent_id: Option<u64>,
    /// Whether the parent, if there is one, is recorded: if not, neither is this.
    pub(crate) is_sampled: bool,
}

/// A rollout that has ended, as a trace shows it.
#[derive(Debug, Clone)]
pub(crate) struct Rollout<'a> {
    agent: &'a str,
    /// How it ended.
    outcome: Cow<'a, Outcome>,
    command: Option<CommandReport>,
    /// Whether nobody watched when it began or ended.
    observed_late: bool,
    began: Timestamp,
    /// What of the root span lies outside of the rollout: a deploy command before it, for example.
    around: Option<(Timestamp, Timestamp)>,
}

impl Root {
    /// A root span below the one that `traceparent` (W3C Trace Context) names, else of a trace of its own.
    pub(crate) fn below(traceparent: Option<&str>, mut random: impl FnMut() -> u64) -> Self {
        let mut id = || random().max(1);
        let own = (u128::from(id()) << 64 | u128::from(id()), None::<u64>, true);
        let parent = traceparent.and_then(parse_traceparent);
        let (trace_id, parent_id, is_sampled) = parent.map_or(own, |(trace, parent, sampled)| {
            (trace, Some(parent), sampled)
        });
        Self {
            trace_id,
            span_id: id(),
            parent_id,
            is_sampled,
        }
    }

    /// Whether it is part of somebody else's trace.
    pub(crate) fn has_parent(&self) -> bool {
        self.parent_id.is_some()
    }

    /// The root span of another rollout: below the same parent, else of a trace of its own.
    pub(crate) fn sibling(&self, mut random: impl FnMut() -> u64) -> Self {
        match self.parent_id {
            None => Self::below(None, random),
            Some(_) => Self {
                span_id: random().max(1),
                ..self.clone()
            },
        }
    }

    /// What makes the spans of another program children of this one.
    pub(crate) fn traceparent(&self) -> String {
        let flags = u8::from(self.is_sampled);
        format!(
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

impl<'a> Rollout<'a> {
    /// The rollout of a report; `around` is when `run` began and ended.
    pub(crate) fn of_report(
        report: &'a AgentReport,
        around: Option<(Timestamp, Timestamp)>,
    ) -> Self {
        Self {
            agent: &report.agent,
            outcome: Cow::Borrowed(&report.outcome),
            command: report.command,
            observed_late: false,
            began: report.started_at,
            around,
        }
    }

    /// The rollout that a sidecar has seen to its end.
    pub(crate) fn of_event(event: &'a FleetEvent) -> Self {
        let data = &event.data;
        // Of one that nobody timed only its end is known.
        let timed = data.started_at.zip(data.elapsed_ms);
        let (began, elapsed_ms) = timed.unwrap_or((event.time, 0));
        let phases = timed.map_or(&[][..], |_| data.phases.as_slice());
        let outcome = Outcome {
            deployment_id: data.deployment_id.clone(),
            region: data.region.clone(),
            image: data.image.clone(),
            reason: data.reason.clone(),
            elapsed: Duration::from_millis(elapsed_ms),
            phases: phases.to_vec(),
            ..Outcome::new(data.verdict.unwrap_or_default())
        };
        Self {
            agent: &data.agent,
            outcome: Cow::Owned(outcome),
            command: None,
            observed_late: data.observed_late,
            began,
            around: None,
        }
    }

    /// Its spans: the root, and one for each phase.
    pub(crate) fn spans(&self, root: &Root, mut random: impl FnMut() -> u64) -> Vec<Value> {
        let after = |time: Duration| self.began.checked_add(time).unwrap_or(self.began);
        let ended = after(self.outcome.elapsed);
        let (first, last) = self.around.unwrap_or((self.began, ended));
        let trace_id = format!("{:032x}", root.trace_id);
        let span =
            |id: u64, name: String, parent: Option<u64>, (from, to): (Timestamp, Timestamp)| {
                let mut span = json!({
                    "traceId": trace_id,
                    "spanId": format!("{id:016x}"),
                    "name": name,
                    "kind": INTERNAL,
                    "startTimeUnixNano": from.as_nanosecond().to_string(),
                    "endTimeUnixNano": to.as_nanosecond().to_string(),
                });
                if let Some(parent) = parent {
                    span["parentSpanId"] = format!("{parent:016x}").into();
                }
                span
            };
        let name = format!("rollout {}", one_line(self.agent));
        let bounds = (first.min(self.began), last.max(ended));
        let mut whole = span(root.span_id, name, root.parent_id, bounds);
        whole["attributes"] = self.attributes();
        whole["status"] = self.status();
        let mut spans = vec![whole];
        let phases = &self.outcome.phases;
        for (place, entry) in phases.iter().enumerate() {
            let next = phases.get(place + 1);
            let at = |entry: &PhaseEntry| after(Duration::from_millis(entry.at_ms)).min(ended);
            let bounds = (at(entry), next.map_or(ended, at));
            let name = entry.phase.as_str().to_owned();
            let mut phase = span(random().max(1), name, Some(root.span_id), bounds);
            if next.is_none() {
                // What went wrong went wrong in the last one.
                phase["status"] = self.status();
            }
            spans.push(phase);
        }
        spans
    }

    fn attributes(&self) -> Value {
        let outcome = &self.outcome;
        // The semantic conventions know these two; of what is not proven they say nothing.
        let status = match outcome.verdict {
            Verdict::Ready => Some("succeeded"),
            Verdict::Failed | Verdict::Stalled | Verdict::Infrastructure => Some("failed"),
            _ => None,
        };
        let error = self.error();
        let texts = [
            ("deployment.name", Some(self.agent)),
            ("deployment.id", outcome.deployment_id.as_deref()),
            ("deployment.status", status),
            ("cloud.region", outcome.region.as_deref()),
            ("error.type", error.as_ref().map(|(kind, _)| kind.as_str())),
            ("pipecat_rollout.verdict", Some(outcome.verdict.as_str())),
            ("pipecat_rollout.image", outcome.image.as_deref()),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(key, text)| Some(attribute(key, text?)));
        let code = self.command.map(|command| command.exit_code.to_string());
        let code = code.map(
            |code| json!({"key": "pipecat_rollout.command.exit_code", "value": {"intValue": code}}),
        );
        let late = self
            .observed_late
            .then(|| json!({"key": "pipecat_rollout.observed_late", "value": {"boolValue": true}}));
        texts.chain(code).chain(late).collect()
    }

    fn status(&self) -> Value {
        match self.error() {
            Some((_, message)) => json!({"code": ERROR, "message": message}),
            None => json!({}),
        }
    }

    /// What went wrong: its kind in a word, and in a line.
    fn error(&self) -> Option<(String, String)> {
        let command = self.command.map_or(0, |command| command.exit_code);
        match (self.outcome.verdict, &self.outcome.reason) {
            (Verdict::Ready, _) if command == 0 => None,
            (Verdict::Ready, _) => Some((
                Verdict::CommandFailed(command).as_str().to_owned(),
                format!("the deploy command failed (exit code {command})"),
            )),
            (_, Some(reason)) => Some((one_line(&reason.code), one_line(&reason.summary))),
            (verdict, None) => Some((verdict.as_str().to_owned(), verdict.as_str().to_owned())),
        }
    }
}

/// The body of a request to export these spans; `resource` says who sends them.
pub(crate) fn export_request(
    resource: &[(String, String)],
    version: &str,
    spans: &[Value],
) -> Value {
    let resource = resource.iter().map(|(key, text)| attribute(key, text));
    json!({"resourceSpans": [{
        "resource": {"attributes": resource.collect::<Vec<_>>()},
        "scopeSpans": [{"scope": {"name": SCOPE, "version": version}, "spans": spans}],
    }]})
}

/// A list of OpenTelemetry's environment variables: `key=value,key=value`, the values percent-encoded.
pub(crate) fn parse_list(text: &str) -> Option<Vec<(String, String)>> {
    let entries = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    let parse = |entry: &str| {
        let (key, value) = entry.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let key = key.trim();
        (!key.is_empty()).then(|| (key.to_owned(), value.into_owned()))
    };
    entries.map(parse).collect()
}

/// The trace, the span and whether it is recorded, of a `traceparent`. Later versions may add to it.
fn parse_traceparent(text: &str) -> Option<(u128, u64, bool)> {
    let hex = |text: &str, length: usize| {
        let digits = text
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let is_hex = text.len() == length && digits;
        u128::from_str_radix(text, 16).ok().filter(|_| is_hex)
    };
    let mut parts = text.trim().split('-');
    let version = hex(parts.next()?, 2).filter(|version| *version != 0xff)?;
    let trace = hex(parts.next()?, 32).filter(|trace| *trace != 0)?;
    let span = hex(parts.next()?, 16).filter(|span| *span != 0)?;
    let flags = hex(parts.next()?, 2)?;
    if version == 0 && parts.next().is_some() {
        return None;
    }
    Some((trace, u64::try_from(span).ok()?, flags & 1 == 1))
}

fn attribute(key: &str, text: &str) -> Value {
    json!({"key": key, "value": {"stringValue": one_line(text)}})
}

#[cfg(test)]
mod tests;
