//! What can go wrong with an answer, and when it does.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::answer::Answer;
use super::placeholder;
use crate::core::text::parse_duration;

/// No time in a scenario is longer, so that none can leave the calendar.
const MAX_TIME: Duration = Duration::from_hours(24 * 365);

/// A `[[fault]]`: when it applies, and what it does. What is not said does not narrow it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    from: Option<Moment>,
    /// The first moment that is free again.
    until: Option<Moment>,
    /// Which requests since the deploy, the first being 1; empty: all.
    #[serde(default)]
    requests: Vec<NonZeroU64>,
    /// Another answer, with `headers` and `body`.
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    /// No answer, and the connection stays open.
    #[serde(default)]
    pub(super) hang: bool,
    /// The connection is reset.
    #[serde(default)]
    pub(super) reset: bool,
    /// The answer of so long ago.
    pub(super) lag: Option<Moment>,
}

/// A time of a scenario, counted from the deploy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) Duration);

impl Fault {
    /// Whether it applies to the `request`th request, `at` after the deploy; `None` is before it, where
    /// only what is bound to no time and no number applies.
    pub(super) fn applies(&self, at: Option<Duration>, request: u64) -> bool {
        let Some(at) = at else {
            return self.from.is_none() && self.until.is_none() && self.requests.is_empty();
        };
        let counts = |number: &NonZeroU64| number.get() == request;
        self.from.is_none_or(|from| at >= from.0)
            && self.until.is_none_or(|until| at < until.0)
            && (self.requests.is_empty() || self.requests.iter().any(counts))
    }

    /// The answer that it gives at `now`: in its headers, `{now+3s}` is a date as HTTP writes it.
    pub(super) fn answer(&self, now: Timestamp) -> Option<Answer> {
        let date = |word: &str| {
            let at = now.checked_add(placeholder::offset(word)?).ok()?;
            DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
        };
        let mut answer = Answer::plain_error(StatusCode::from_u16(self.status?).ok()?);
        for (name, value) in &self.headers {
            let value = placeholder::fill_text(value, date).parse().ok()?;
            answer.headers.push((name.parse().ok()?, value));
        }
        answer.body = self.body.clone().unwrap_or(answer.body);
        Some(answer)
    }

    /// What is wrong with it, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let answers = !self.headers.is_empty() || self.body.is_some();
        let kinds = [
            self.status.is_some(),
            self.hang,
            self.reset,
            self.lag.is_some(),
        ];
        if kinds.iter().filter(|said| **said).count() != 1 || answers && self.status.is_none() {
            let kinds = "`status` (with `headers` and `body`), `hang`, `reset` or `lag`";
            return Err(format!("a fault is one of {kinds}"));
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && until.0 <= from.0
        {
            return Err(
                "the fault is over before it begins: let `until` be later than `from`".to_owned(),
            );
        }
        if let Some(status) = self.status.filter(|status| !(200..=599).contains(status)) {
            return Err(format!("{status} is no status from 200 to 599"));
        }
        for (name, value) in &self.headers {
            let parsed = name.parse::<HeaderName>();
            if parsed.is_err()
                || ["content-length", "transfer-encoding"].contains(&&*name.to_lowercase())
            {
                return Err(format!("{name:?} is no header that an answer can be given"));
            }
            placeholder::check(value, &[]).map_err(|(_, what)| what)?;
            if !value.is_ascii() || value.parse::<HeaderValue>().is_err() {
                return Err(format!(
                    "the value of the header {name} is not one line of printable ASCII"
                ));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Reads a time of a scenario.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| format!("{text:?}: {error}"))?;
    if duration > MAX_TIME {
        return Err(format!("{text:?} is longer than a year"));
    }
    Ok(duration)
}
