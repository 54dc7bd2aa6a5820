//! What can go wrong with an answer, and when it does.

use std::num::NonZeroU64;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A fault and when it strikes.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) window: Window,
    pub(super) act: Act,
}

/// When a fault strikes; what is not said does not narrow it.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// The first moment.
    pub(super) from: Option<Duration>,
    /// The first moment that is free again.
    pub(super) until: Option<Duration>,
    /// Which requests since the deploy.
    pub(super) requests: Option<Requests>,
    /// Only every nth request, counted from the first of `requests`.
    pub(super) every: Option<NonZeroU64>,
}

/// Requests by their number, the first since the deploy being 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Requests {
    first: u64,
    last: u64,
}

/// What is done instead of answering, or to the answer.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Another status than 200.
    Status {
        status: u16,
        headers: Vec<(String, Template)>,
        body: Option<String>,
    },
    /// A 200 that is a web page.
    Html { body: Option<String> },
    /// The connection is reset.
    Reset(CutAfter),
    /// No answer, and the connection stays open.
    Hang,
    /// The connection ends in the middle of the body.
    CutBody,
    /// The body comes a byte every half second.
    SlowBody,
    /// A body of 12 GiB.
    HugeBody,
    /// The answer of so long ago.
    Lag(Duration),
    /// An answer about an agent that was not asked for.
    AnotherAgent,
}

/// How much of an answer is sent before the connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutAfter {
    /// Not a byte.
    Nothing,
    /// Half of the head.
    HalfHead,
    /// The whole head and nothing of the body.
    Head,
    /// The head and half of the body.
    #[serde(skip)]
    HalfBody,
}

impl Window {
    /// Whether the fault strikes the `request`th request, `at` after the deploy.
    ///
    /// What is bound to a time, or to the number of a request, waits for the deploy.
    pub(super) fn strikes(&self, at: Option<Duration>, request: u64) -> bool {
        let Some(at) = at else {
            let bound = self.from.is_some() || self.until.is_some() || self.requests.is_some();
            return !bound && self.counts(request);
        };
        self.from.is_none_or(|from| at >= from)
            && self.until.is_none_or(|until| at < until)
            && self.counts(request)
    }

    fn counts(&self, request: u64) -> bool {
        let first = self.requests.map(|requests| requests.first);
        let among = self
            .requests
            .is_none_or(|requests| (requests.first..=requests.last).contains(&request));
        among
            && self.every.is_none_or(|every| match first {
                Some(first) => request.saturating_sub(first).is_multiple_of(every.get()),
                None => request.is_multiple_of(every.get()),
            })
    }
}

impl<'de> Deserialize<'de> for Requests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let form = || {
            D::Error::custom(format!(
                "{text:?} names no requests; write \"3\", \"3..5\" or \"3..\", the first being 1"
            ))
        };
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| form());
        let (first, last) = match text.split_once("..") {
            None => (number(&text)?, number(&text)?),
            Some((first, "")) => (number(first)?, u64::MAX),
            Some((first, last)) => (number(first)?, number(last)?),
        };
        if first == 0 || last < first {
            return Err(form());
        }
        Ok(Requests { first, last })
    }
}

/// The value of a header, in which `{date}` and `{date+2s}` stand for the time of the answer and
/// a time after it, as HTTP writes dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Date(Duration),
}

impl Template {
    /// The value of an answer that is given at `wall`.
    pub(super) fn render(&self, wall: Timestamp) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Date(later) => wall
                .checked_add(*later)
                .and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at))
                .unwrap_or_default(),
        });
        pieces.collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (date, after) = after
                .split_once('}')
                .ok_or("a header's `{` has no `}`".to_owned())?;
            let later = match date.strip_prefix("date") {
                Some("") => Some(Duration::ZERO),
                Some(later) => later
                    .strip_prefix('+')
                    .and_then(|later| humantime::parse_duration(later).ok()),
                None => None,
            };
            let later = later.ok_or(format!(
                "`{{{date}}}` is unknown in a header; write `{{date}}` or `{{date+2s}}`"
            ))?;
            pieces.extend([Piece::Text(before.to_owned()), Piece::Date(later)]);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(D::Error::custom(
                "the value of a header is one line of printable ASCII",
            ));
        }
        Self::parse(&text).map_err(D::Error::custom)
    }
}
