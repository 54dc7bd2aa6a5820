//! The queries of the lists, read strictly: what is not understood is an error that names it.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::answer::error;
use crate::core::fleet::{AgentFilter, EventKind, Order, Period, Status, parse_moment};
use crate::core::rollout::Verdict;
use crate::core::text::one_line;

const MAX_LIMIT: usize = 1000;

/// A query, or a 400 that says what is wrong with it.
pub(super) struct Strict<T>(pub(super) T);

/// An endpoint that is asked for nothing in particular.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// `/v1/agents`
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawAgentsQuery")]
pub(super) struct AgentsQuery {
    /// Those whose names come after this one.
    pub(super) after: Option<String>,
    pub(super) order: Order,
    pub(super) filter: AgentFilter,
    pub(super) limit: Limit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAgentsQuery {
    after: Option<String>,
    #[serde(default)]
    order: Order,
    search: Option<String>,
    region: Option<String>,
    state: Option<Status>,
    #[serde(default)]
    limit: Limit,
}

impl TryFrom<RawAgentsQuery> for AgentsQuery {
    type Error = &'static str;

    fn try_from(raw: RawAgentsQuery) -> Result<Self, Self::Error> {
        if raw.after.is_some() && raw.order != Order::Name {
            return Err("after: only a list in the order of names has pages");
        }
        Ok(Self {
            after: raw.after,
            order: raw.order,
            filter: AgentFilter {
                search: raw.search.filter(|search| !search.is_empty()),
                region: raw.region.filter(|region| !region.is_empty()),
                status: raw.state,
            },
            limit: raw.limit,
        })
    }
}

/// `/v1/rollout`
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RolloutQuery {
    pub(super) agent: String,
    pub(super) deployment: String,
}

/// `/v1/rollout/logs`
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    pub(super) agent: String,
    pub(super) deployment: String,
    #[serde(default)]
    pub(super) limit: Limit,
}

/// `/v1/dead-letters/redeliver`
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RedeliverQuery {
    pub(super) sink: String,
    /// The event's number; all of the sink's where there is none.
    pub(super) event: Option<u64>,
}

/// `/v1/rollouts`
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RolloutsQuery {
    pub(super) agent: Option<String>,
    /// Those that ended then or later.
    pub(super) since: Option<Moment>,
    /// Those that ended before.
    pub(super) until: Option<Moment>,
    /// Those that ended so.
    pub(super) verdict: Option<Verdict>,
    /// Those with a smaller number.
    pub(super) before: Option<u64>,
    #[serde(default)]
    pub(super) limit: Limit,
}

/// `/v1/events`
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Those with a greater number.
    #[serde(default)]
    pub(super) after: u64,
    pub(super) agent: Option<String>,
    pub(super) kind: Option<EventKind>,
    #[serde(default)]
    pub(super) limit: Limit,
}

/// `/v1/stats`
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatsQuery {
    pub(super) agent: Option<String>,
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
    /// By day or by week, instead of by agent.
    pub(super) by: Option<Period>,
}

/// `/v1/dead-letters`
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLettersQuery {
    #[serde(default)]
    pub(super) limit: Limit,
}

/// How many entries a page has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(pub(super) usize);

/// A moment: a time in RFC 3339, or how far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = String::deserialize(deserializer)?.parse().ok();
        limit
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("it must be a number from 1 to {MAX_LIMIT}")))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let now = Timestamp::now();
        // The plus of an offset that was not escaped arrives as a blank.
        parse_moment(&text, now)
            .or_else(|why| parse_moment(&text.replace(' ', "+"), now).map_err(|_| why))
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Strict<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let why = rejection.body_text();
                let why = why
                    .rsplit_once("query string: ")
                    .map_or(&*why, |(_, why)| why);
                Err(error(StatusCode::BAD_REQUEST, &one_line(why)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: DeserializeOwned>(query: &str) -> Result<T, String> {
        let uri = format!("http://localhost/?{query}").parse().unwrap();
        let query = Query::try_from_uri(&uri);
        query
            .map(|Query(query)| query)
            .map_err(|error| error.body_text())
    }

    #[test]
    fn queries_are_read() {
        let query: RolloutsQuery =
            read("agent=my%2Dagent&since=2026-11-22T15:00:00Z&until=2026-11-23T14:00:00+01:00&before=7&limit=1000")
                .unwrap();
        assert_eq!(
            query,
            RolloutsQuery {
                agent: Some("my-agent".to_owned()),
                since: Some(Moment("2026-11-22T15:00:00Z".parse().unwrap())),
                until: Some(Moment("2026-11-23T13:00:00Z".parse().unwrap())),
                verdict: None,
                before: Some(7),
                limit: Limit(1000),
            }
        );
        let query: AgentsQuery = read("after=b").unwrap();
        assert_eq!(
            (query.after.as_deref(), query.limit),
            (Some("b"), Limit(100))
        );
        let query: EventsQuery = read("after=5&kind=rollout.finished").unwrap();
        assert_eq!(
            (query.after, query.kind),
            (5, Some(EventKind::RolloutFinished))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, words) in [
            ("limit=0", "from 1 to 1000"),
            ("limit=1001", "from 1 to 1000"),
            ("limit=-1", "from 1 to 1000"),
            ("limit=", "from 1 to 1000"),
            ("limit=1&limit=2", "duplicate field `limit`"),
            ("before=x", "before"),
            ("since=yesterday", "a time is written like"),
            ("agnet=a", "unknown field `agnet`, expected one of `agent`"),
        ] {
            let error = read::<RolloutsQuery>(query).unwrap_err();
            assert!(error.contains(words), "{query}: {error}");
        }
        let error = read::<EventsQuery>("kind=rollout.finish").unwrap_err();
        assert!(error.contains("rollout.finished"), "{error}");
        let error = read::<AgentsQuery>("after=a&order=attention").unwrap_err();
        assert!(error.contains("has pages"), "{error}");
    }
}
