//! The words and values of scenario files, each read strictly: a slip of the pen is an error.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use jiff::SignedDuration;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::core::rollout::Verdict;

/// No time in a scenario is longer, so that none can leave the calendar.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// A time from the deploy on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) Duration);

/// A time from the deploy on, negative when before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offset(pub(super) SignedDuration);

/// A deployment: when it was made, and perhaps from which image.
pub(super) struct Deployment {
    pub(super) made: Offset,
    pub(super) image: Option<String>,
}

/// A table, or the word "none" to take away what was there.
pub(super) enum OrNone<T> {
    None,
    Some(T),
}

/// Reads a verdict that a watch can end with by itself.
pub(super) fn verdict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verdict, D::Error> {
    const WORDS: &[&str] = &[
        "ready",
        "failed",
        "stalled",
        "superseded",
        "unchanged",
        "infrastructure",
        "timeout",
        "not-found",
        "unauthorized",
        "unavailable",
    ];
    let word = String::deserialize(deserializer)?;
    Verdict::WORST_FIRST
        .into_iter()
        .find(|verdict| verdict.as_str() == word && WORDS.contains(&word.as_str()))
        .ok_or_else(|| D::Error::unknown_variant(&word, WORDS))
}

/// Reads the phase of a revision.
pub(super) fn phase<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    const WORDS: &[&str] = &["Creating", "Validating", "Active", "Draining", "Failed"];
    one_of(WORDS, deserializer)
}

/// Reads the state of a revision's container.
pub(super) fn container_state<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    one_of(&["running", "waiting", "terminated"], deserializer)
}

fn one_of<'de, D: Deserializer<'de>>(
    words: &'static [&'static str],
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let word = String::deserialize(deserializer)?;
    if !words.contains(&word.as_str()) {
        return Err(D::Error::unknown_variant(&word, words));
    }
    Ok(Some(word))
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration(&text).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        offset(&text).map_err(D::Error::custom)
    }
}

fn offset(text: &str) -> Result<Offset, String> {
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1, size),
        None => (1, text),
    };
    let size = SignedDuration::try_from(duration(size)?).map_err(|error| error.to_string())?;
    Ok(Offset(size * sign))
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a time like \"2s\" or \"1m 30s\": {error}"))?;
    if duration > LONGEST {
        return Err(format!("{text:?} is longer than a year"));
    }
    Ok(duration)
}

impl<'de> Deserialize<'de> for Deployment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DeploymentVisitor)
    }
}

/// A deployment in its long form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DeploymentTable {
    made: Offset,
    image: Option<String>,
}

struct DeploymentVisitor;

impl<'de> Visitor<'de> for DeploymentVisitor {
    type Value = Deployment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time like \"-1h\", or a table with `made` and `image`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let made = offset(text).map_err(E::custom)?;
        Ok(Deployment { made, image: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let DeploymentTable { made, image } =
            DeploymentTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Deployment { made, image })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrNone<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrNoneVisitor(PhantomData))
    }
}

struct OrNoneVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrNoneVisitor<T> {
    type Value = OrNone<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table, or \"none\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            "none" => Ok(OrNone::None),
            other => Err(E::custom(format!(
                "expected a table or \"none\", not {other:?}"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OrNone::Some)
    }
}
