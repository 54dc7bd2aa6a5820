//! Deserializers that let a field of the wrong type pass as absent.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What was found where a `T` was expected.
#[derive(Deserialize)]
#[serde(untagged)]
enum Maybe<T> {
    Expected(T),
    Other(IgnoredAny),
}

impl<T> Maybe<T> {
    fn expected(self) -> Option<T> {
        match self {
            Maybe::Expected(value) => Some(value),
            Maybe::Other(_) => None,
        }
    }
}

/// Reads a `T`; null and anything that is no `T` are `None`.
pub(super) fn option<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Maybe::<T>::deserialize(deserializer)?.expected())
}

/// Reads a boolean of which only a true `true` counts.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(option(deserializer)?.unwrap_or(false))
}

/// Reads an identifier; the empty string identifies nothing.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(option(deserializer)?.filter(|id: &String| !id.is_empty()))
}

/// Reads a list, leaving out the items that are no `T`.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let items: Option<Vec<Maybe<T>>> = option(deserializer)?;
    Ok(items
        .unwrap_or_default()
        .into_iter()
        .filter_map(Maybe::expected)
        .collect())
}
