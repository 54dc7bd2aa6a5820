//! What can go wrong with an answer, and when it does.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::answer::Answer;
use super::placeholder;

/// No time in a scenario is longer, so that none can leave the calendar.
const MAX_TIME: Duration = Duration::from_hours(24 * 365);

/// A fault and when it strikes; what is not said does not narrow it.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    when: When,
    pub(super) kind: FaultKind,
}

/// What is done instead of answering, or to the answer.
#[derive(Debug, Clone)]
pub(super) enum FaultKind {
    /// Another answer.
    Status(Answer),
    /// No answer, and the connection stays open.
    Hang,
    /// The connection is reset.
    Reset,
    /// The answer of so long ago.
    Lag(Duration),
}

/// A `[[fault]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultTable {
    from: Option<Moment>,
    until: Option<Moment>,
    #[serde(default)]
    requests: Vec<NonZeroU64>,
    status: Option<u16>,
    headers: Option<BTreeMap<String, String>>,
    body: Option<String>,
    #[serde(default)]
    hang: bool,
    #[serde(default)]
    reset: bool,
    lag: Option<Moment>,
}

/// When a fault strikes, counted from the deploy.
#[derive(Debug, Clone)]
struct When {
    from: Option<Moment>,
    /// The first moment that is free again.
    until: Option<Moment>,
    /// Which requests, the first being 1; empty: all.
    requests: Vec<NonZeroU64>,
}

/// A time of a scenario, counted from the deploy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) Duration);

impl Fault {
    /// Whether it strikes the `request`th request, `at` after the deploy; `None` is before it, where
    /// only what is bound to no time and no number strikes.
    pub(super) fn strikes(&self, at: Option<Duration>, request: u64) -> bool {
        let When {
            from,
            until,
            requests,
        } = &self.when;
        let Some(at) = at else {
            return from.is_none() && until.is_none() && requests.is_empty();
        };
        from.is_none_or(|from| at >= from.0)
            && until.is_none_or(|until| at < until.0)
            && (requests.is_empty() || requests.iter().any(|number| number.get() == request))
    }
}

impl TryFrom<FaultTable> for Fault {
    /// What is wrong, in words.
    type Error = String;

    fn try_from(table: FaultTable) -> Result<Self, String> {
        let FaultTable {
            from,
            until,
            requests,
            status,
            headers,
            body,
            hang,
            reset,
            lag,
        } = table;
        if let (Some(Moment(from)), Some(Moment(until))) = (from, until)
            && until <= from
        {
            return Err(
                "the fault is over before it begins: let `until` be later than `from`".to_owned(),
            );
        }
        let answers = headers.is_some() || body.is_some();
        let kind = match (status, hang, reset, lag) {
            (Some(code), false, false, None) => FaultKind::Status(answer(code, headers, body)?),
            (None, true, false, None) if !answers => FaultKind::Hang,
            (None, false, true, None) if !answers => FaultKind::Reset,
            (None, false, false, Some(Moment(lag))) if !answers => FaultKind::Lag(lag),
            _ => {
                let kinds = "`status` (with `headers` and `body`), `hang`, `reset` or `lag`";
                return Err(format!("a fault is one of {kinds}"));
            }
        };
        let when = When {
            from,
            until,
            requests,
        };
        Ok(Self { when, kind })
    }
}

fn answer(
    code: u16,
    headers: Option<BTreeMap<String, String>>,
    body: Option<String>,
) -> Result<Answer, String> {
    let status = StatusCode::from_u16(code)
        .ok()
        .filter(|_| (200..=599).contains(&code));
    let status = status.ok_or_else(|| format!("{code} is no status from 200 to 599"))?;
    let mut answer = Answer::plain_error(status);
    answer.body = body.unwrap_or(answer.body);
    for (name, value) in headers.unwrap_or_default() {
        let known: HeaderName = name
            .parse()
            .map_err(|_| format!("{name:?} is no name of a header"))?;
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(&known) {
            return Err(format!(
                "the header {name} follows from the body: leave it out"
            ));
        }
        if !value.is_ascii() || value.parse::<HeaderValue>().is_err() {
            return Err(format!(
                "the value of the header {name} is not one line of printable ASCII"
            ));
        }
        placeholder::check(&value, &[]).map_err(|(_, what)| what)?;
        answer.headers.push((known, value));
    }
    Ok(answer)
}

/// The answer as it is given at `now`: in its headers, `{now+3s}` is a date as HTTP writes it.
pub(super) fn answer_at(answer: &Answer, now: Timestamp) -> Answer {
    let date = |word: &str| {
        let at = now.checked_add(placeholder::offset(word)?).ok()?;
        DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
    };
    let mut answer = answer.clone();
    for (_, value) in &mut answer.headers {
        *value = placeholder::fill_text(value, date);
    }
    answer
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Reads a time of a scenario.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a time like \"2s\" or \"1m 30s\": {error}"))?;
    if duration > MAX_TIME {
        return Err(format!("{text:?} is longer than a year"));
    }
    Ok(duration)
}
