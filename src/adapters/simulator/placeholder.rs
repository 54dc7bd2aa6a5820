//! The placeholders in a scenario's texts: `{new}`, `{old}`, `{now-1h}`, `{image}`, `{null}`.

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::fault::duration;
use crate::core::text::diagnostics::nearest;

/// What a text is replaced by that is nothing but this: TOML has no null.
const NULL: &str = "{null}";
/// The image of the newest deploy.
pub(super) const IMAGE: &str = "image";
/// Words that mean something beside the deployments' names.
const WORDS: [&str; 3] = [IMAGE, "now", "null"];

/// Fields in whose texts every placeholder is replaced by its meaning, at any depth; braces around what
/// has none stay as they are.
pub(super) fn fill(
    fields: &Map<String, Value>,
    meaning: &impl Fn(&str) -> Option<String>,
) -> Value {
    let fields = fields.iter();
    fields
        .map(|(key, value)| (key.clone(), fill_value(value, meaning)))
        .collect()
}

fn fill_value(value: &Value, meaning: &impl Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::String(text) if text == NULL => Value::Null,
        Value::String(text) => Value::String(fill_text(text, meaning)),
        Value::Array(values) => values
            .iter()
            .map(|value| fill_value(value, meaning))
            .collect(),
        Value::Object(fields) => fill(fields, meaning),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The same for a single text.
pub(super) fn fill_text(text: &str, meaning: impl Fn(&str) -> Option<String>) -> String {
    let mut pieces = text.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let word = piece.split_once('}');
        let meant = word.and_then(|(word, rest)| Some(meaning(word)? + rest));
        filled.push_str(&meant.unwrap_or_else(|| format!("{{{piece}")));
    }
    filled
}

/// How far from now `now`, `now-1h` or `now+3s` is; `None` where the word is none of them.
pub(super) fn offset(word: &str) -> Option<SignedDuration> {
    let rest = word.strip_prefix("now")?;
    let (sign, size) = match rest.split_at_checked(1) {
        None => return Some(SignedDuration::ZERO),
        Some(("-", size)) => (-1, size),
        Some(("+", size)) => (1, size),
        Some(_) => return None,
    };
    Some(SignedDuration::try_from(duration(size).ok()?).ok()? * sign)
}

/// Finds what is most likely a misspelt placeholder: it, and what to write instead.
pub(super) fn check(text: &str, deployments: &[&str]) -> Result<(), (String, String)> {
    let known = || WORDS.iter().chain(deployments).copied();
    for word in text
        .split('{')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
    {
        if known().any(|known| known == word) || offset(word).is_some() {
            continue;
        }
        let meant = match nearest(word, known()) {
            _ if word.starts_with("now") => "now-1h} or {now+3s",
            Some(near) => near,
            None => continue,
        };
        let what = format!("`{{{word}}}` stands for nothing; did you mean {{{meant}}}?");
        return Err((format!("{{{word}}}"), what));
    }
    Ok(())
}
