//! Replaces secrets in foreign text by a placeholder.
//!
//! A secret is found as it is, and where some of its characters are percent-encoded or escaped as in a
//! string of JSON. JSON stays JSON: only whole escapes are replaced. Nothing else that could spell a
//! secret is looked for.

use std::borrow::Cow;
use std::fmt;

/// What stands where a secret of what is sent somewhere was.
pub(crate) const REDACTED: &str = "[...]";
/// The shortest part of an address that is searched for in what a receiver says; shorter ones are words.
const MIN_PART: usize = 6;

/// Secrets, and what is shown in their place.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redaction {
    secrets: Vec<String>,
    placeholder: &'static str,
}

impl Redaction {
    /// Secrets that are to be replaced by `placeholder`.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>, placeholder: &'static str) -> Self {
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
        // One that is encoded itself, as in a URL, may be shown as what it means.
        let mut secrets: Vec<String> = secrets.flat_map(|it| [meaning(&it), it]).collect();
        // One that holds another has to be replaced first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self {
            secrets,
            placeholder,
        }
    }

    /// A text without the secrets.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::from(text);
        for secret in &self.secrets {
            if text.contains(secret) {
                text = text.replace(secret, self.placeholder).into();
            }
        }
        if text.contains('%') || text.contains('\\') {
            self.unescaped(text)
        } else {
            text
        }
    }

    /// A text without the secrets that are spelled with escapes.
    fn unescaped<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        let mut redacted = String::new();
        let (mut taken, mut at) = (0, 0);
        while let Some((_, next)) = unit(&text[at..]) {
            let rest = &text[at..];
            let lengths = self
                .secrets
                .iter()
                .filter_map(|secret| spelled(rest, secret));
            if let Some(length) = lengths.max() {
                redacted.push_str(&text[taken..at]);
                redacted.push_str(self.placeholder);
                (taken, at) = (at + length, at + length);
            } else {
                at += if rest.starts_with('%') { 1 } else { next };
            }
        }
        if taken == 0 {
            return text;
        }
        redacted.push_str(&text[taken..]);
        redacted.into()
    }
}

/// What may be a secret of a URL: its path and its query, whole and in parts, and its credentials.
pub(crate) fn url_secrets(
    path: &str,
    query: Option<&str>,
    username: &str,
    password: Option<&str>,
) -> Vec<String> {
    let (query, password) = (query.unwrap_or_default(), password.unwrap_or_default());
    // A path of one letter is recognised by its slash.
    let whole = [path, query].into_iter().filter(|part| part.len() > 1);
    let parts = path.split('/').chain(query.split(['&', '=']));
    let parts = parts.chain([username, password]);
    whole
        .chain(parts.filter(|part| is_searched(part)))
        .map(str::to_owned)
        .collect()
}

/// A value, and the words that it consists of: `Bearer TOKEN` may be repeated without its scheme.
pub(crate) fn value_secrets(value: &str) -> impl Iterator<Item = String> {
    let words = value.split_whitespace().filter(|word| is_searched(word));
    words.chain([value]).map(str::to_owned)
}

/// An argument of a program, and its words, like the value of `--token=VALUE`; short ones are words of the language.
pub(crate) fn argument_secrets(argument: &str) -> Vec<String> {
    let words = argument.split(|char: char| char.is_whitespace() || "='\"".contains(char));
    let all = words.chain([argument]).filter(|part| is_searched(part));
    all.map(str::to_owned).collect()
}

fn is_searched(part: &str) -> bool {
    part.len() >= MIN_PART
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redaction")
    }
}

/// A text with its escapes resolved.
fn meaning(text: &str) -> String {
    let mut rest = text;
    let units = std::iter::from_fn(|| {
        let (char, length) = unit(rest)?;
        rest = &rest[length..];
        Some(char)
    });
    units.collect()
}

/// How much of the beginning of a text spells this secret.
fn spelled(text: &str, secret: &str) -> Option<usize> {
    let mut rest = text;
    for wanted in secret.chars() {
        let length = match unit(rest)? {
            (char, length) if char == wanted => length,
            _ if rest.starts_with(wanted) => wanted.len_utf8(),
            _ => return None,
        };
        rest = &rest[length..];
    }
    Some(text.len() - rest.len())
}

/// The character that a text begins with, or that the escape there stands for, and its length.
fn unit(text: &str) -> Option<(char, usize)> {
    let hex = |digits: &str| char::from_u32(u32::from_str_radix(digits, 16).ok()?);
    let escape = || match (text.as_bytes().first()?, text.as_bytes().get(1)?) {
        (b'%', _) => Some((hex(text.get(1..3)?)?, 3)),
        (b'\\', b'u') => Some((hex(text.get(2..6)?).unwrap_or(' '), 6)),
        (b'\\', char @ (b'"' | b'\\' | b'/')) => Some((char::from(*char), 2)),
        (b'\\', b'b' | b'f' | b'n' | b'r' | b't') => Some((' ', 2)),
        _ => None,
    };
    escape().or_else(|| text.chars().next().map(|char| (char, char.len_utf8())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk_Ab3/d=f%9";

    #[test]
    fn replaces_a_secret_as_it_is_percent_encoded_and_escaped() {
        let key = Redaction::new([KEY.to_owned()], "[KEY]");
        for (text, redacted) in [
            ("", ""),
            (
                "none: 100% sure \\ \\u12 %4 \\",
                "none: 100% sure \\ \\u12 %4 \\",
            ),
            (
                "a sk_Ab3/d=f%9 b sk_Ab3/d=f%9sk_Ab3/d=f%9.",
                "a [KEY] b [KEY][KEY].",
            ),
            ("x%20sk_Ab3%2Fd%3df%259%20y", "x%20[KEY]%20y"),
            (r#"{"k":"sk_Ab3\/d\u003Df\u00259"}"#, r#"{"k":"[KEY]"}"#),
            (
                r#"["\\sk_Ab3\/d=f%9", "\nsk_Ab3%2fd=f%9"]"#,
                r#"["\\[KEY]", "\n[KEY]"]"#,
            ),
            ("日本 sk_Ab3/d%3Df%9 語", "日本 [KEY] 語"),
            ("sk_Ab3/d%3Df%", "sk_Ab3/d%3Df%"),
            (r"\\u0073k_Ab3/d=f%9", r"\\u0073k_Ab3/d=f%9"),
        ] {
            assert_eq!(key.text(text), redacted, "{text:?}");
        }
        assert_eq!(format!("{key:?}"), "Redaction", "it cannot be shown");
    }

    #[test]
    fn replaces_the_longest_of_several_secrets() {
        let secrets = ["abcdefgh", "abcdefghi", ""].map(str::to_owned);
        let several = Redaction::new(secrets, "*");
        assert_eq!(several.text("abcdefghi abcdefgh %61bcdefghi"), "* * *");
        assert_eq!(Redaction::default().text("any % \\ text"), "any % \\ text");
    }
}
