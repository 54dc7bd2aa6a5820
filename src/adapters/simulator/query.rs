//! The query of a request, read leniently: keys that nobody asks for pass.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::Answer;

/// The pairs of a URL's query; empty ones are as if missing.
#[derive(Debug, Clone, Default)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads what is behind the `?`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether this field of `object` is the one that is asked for, if one is.
    pub(super) fn selects(&self, key: &str, object: &Value) -> bool {
        self.get(key).is_none_or(|wanted| object[key] == wanted)
    }

    /// A number, or `otherwise` where none is asked for.
    pub(super) fn count(&self, key: &str, otherwise: usize) -> Result<usize, Answer> {
        let Some(text) = self.get(key) else {
            return Ok(otherwise);
        };
        let count = text.parse();
        count.map_err(|_| Answer::bad_request(format!("{key} {text:?} is no number")))
    }

    /// One of these words, the first where none is asked for.
    pub(super) fn one_of(&self, key: &str, words: &[&'static str]) -> Result<&'static str, Answer> {
        let text = self.get(key).unwrap_or(words[0]);
        let refusal =
            || Answer::bad_request(format!("{key} {text:?} is none of {}", words.join(", ")));
        words
            .iter()
            .copied()
            .find(|word| *word == text)
            .ok_or_else(refusal)
    }
}
