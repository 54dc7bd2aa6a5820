//! The queries of the lists, read strictly: what is not understood is said, not passed over.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::core::fleet::parse_moment;
use crate::core::text::one_line;

/// How many entries a page has, unless asked for otherwise.
const USUAL_LIMIT: usize = 100;
/// The most entries that a page has.
const MOST_LIMIT: usize = 1000;

/// Which agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentsQuery {
    /// Those whose name comes after this one.
    pub after: Option<String>,
    /// So many at most.
    pub limit: usize,
}

/// Which rollouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RolloutsQuery {
    /// Those of one agent.
    pub agent: Option<String>,
    /// Those that ended then or later.
    pub since: Option<Timestamp>,
    /// Those that ended before.
    pub until: Option<Timestamp>,
    /// Those with a smaller number.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: usize,
}

/// A parameter that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadQuery {
    /// Its name.
    pub(super) parameter: String,
    /// What is wrong with it.
    pub(super) told: String,
}

impl AgentsQuery {
    /// Reads `after=NAME&limit=N`.
    pub(super) fn parse(query: &str) -> Result<Self, BadQuery> {
        let mut given = Given::parse(query, &["after", "limit"])?;
        Ok(Self {
            after: given.take("after", |name| Ok(name.to_owned()))?,
            limit: given.limit()?,
        })
    }
}

impl RolloutsQuery {
    /// Reads `agent=NAME&since=TIME&until=TIME&before=NUMBER&limit=N`.
    pub(super) fn parse(query: &str, now: Timestamp) -> Result<Self, BadQuery> {
        let known = ["agent", "since", "until", "before", "limit"];
        let mut given = Given::parse(query, &known)?;
        let moment = |text: &str| {
            // The plus of an offset that was not escaped arrives as a blank.
            parse_moment(text, now)
                .or_else(|told| parse_moment(&text.replace(' ', "+"), now).map_err(|_| told))
        };
        let parsed = Self {
            agent: given.take("agent", |name| Ok(name.to_owned()))?,
            since: given.take("since", moment)?,
            until: given.take("until", moment)?,
            before: given.take("before", |number| {
                let told = |_| "it is the number that the last page gave as next".to_owned();
                number.parse().map_err(told)
            })?,
            limit: given.limit()?,
        };
        match (parsed.since, parsed.until) {
            (Some(since), Some(until)) if since > until => {
                Err(BadQuery::new("since", "it is later than until"))
            }
            _ => Ok(parsed),
        }
    }
}

impl BadQuery {
    fn new(parameter: &str, told: impl Into<String>) -> Self {
        Self {
            parameter: one_line(parameter),
            told: told.into(),
        }
    }
}

/// The parameters as they were given, each at most once.
struct Given(BTreeMap<String, String>);

impl Given {
    fn parse(query: &str, known: &[&str]) -> Result<Self, BadQuery> {
        let mut given = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                let told = format!("there is no such parameter; there are {}", known.join(", "));
                return Err(BadQuery::new(&name, told));
            }
            if given.contains_key(&*name) {
                return Err(BadQuery::new(&name, "it is given twice"));
            }
            given.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(given))
    }

    fn take<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, BadQuery> {
        let Some(value) = self.0.remove(name) else {
            return Ok(None);
        };
        let wrong = |told| BadQuery::new(name, told);
        if value.is_empty() {
            return Err(wrong("it is empty".to_owned()));
        }
        read(&value).map(Some).map_err(wrong)
    }

    fn limit(&mut self) -> Result<usize, BadQuery> {
        let limit = self.take("limit", |number| {
            let number: Option<usize> = number.parse().ok();
            number
                .filter(|number| (1..=MOST_LIMIT).contains(number))
                .ok_or_else(|| format!("it is a number from 1 to {MOST_LIMIT}"))
        })?;
        Ok(limit.unwrap_or(USUAL_LIMIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T15:00:00Z".parse().unwrap()
    }

    #[test]
    fn queries_are_read() {
        let usual = RolloutsQuery {
            agent: None,
            since: None,
            until: None,
            before: None,
            limit: 100,
        };
        assert_eq!(RolloutsQuery::parse("", now()), Ok(usual));
        let query =
            "agent=my%2Dagent&since=24h&until=2026-11-23T14:00:00+01:00&before=7&limit=1000";
        let expected = RolloutsQuery {
            agent: Some("my-agent".to_owned()),
            since: Some("2026-11-22T15:00:00Z".parse().unwrap()),
            until: Some("2026-11-23T13:00:00Z".parse().unwrap()),
            before: Some(7),
            limit: 1000,
        };
        assert_eq!(RolloutsQuery::parse(query, now()), Ok(expected));
        let spaced = RolloutsQuery::parse("since=1h+30m", now()).unwrap();
        assert_eq!(spaced.since, Some("2026-11-23T13:30:00Z".parse().unwrap()));
        let agents = AgentsQuery::parse("limit=1&after=b").unwrap();
        assert_eq!((agents.after.as_deref(), agents.limit), (Some("b"), 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, parameter) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=99999999999999999999999", "limit"),
            ("before=x", "before"),
            ("since=yesterday", "since"),
            ("until=5", "until"),
            ("agent=", "agent"),
            ("agent", "agent"),
            ("agnet=a", "agnet"),
            ("after=a", "after"),
            ("since=1h&until=2h", "since"),
            ("a%1b%5b31m=1", "a"),
        ] {
            let bad = RolloutsQuery::parse(query, now()).unwrap_err();
            assert_eq!(bad.parameter, parameter, "{query}");
            assert!(!bad.told.is_empty());
        }
        assert_eq!(
            AgentsQuery::parse("before=1").unwrap_err().parameter,
            "before"
        );
    }
}
