//! The secret that the API is asked with, which never leaves its header.

use reqwest::header::HeaderValue;

use crate::core::text::redact::Redaction;

/// What is before the secret in its header.
const SCHEME: &str = "Bearer ";
/// The shortest secret that is searched for in answers; a shorter one may be a word of its own.
const MIN_SOUGHT: usize = 8;

/// A key or a token, checked to fit a header.
///
/// It has no way to be shown: neither has what it consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    header: HeaderValue,
    redaction: Redaction,
}

impl Secret {
    /// Checks a key or a token. `renewal` renews it, and must be shown as little.
    ///
    /// # Errors
    /// When it is empty or holds what a header cannot carry; the text itself is not repeated.
    pub(super) fn parse(text: &str, renewal: Option<String>) -> Result<Self, &'static str> {
        const NO_CHARACTER: &str =
            "holds a character that none has; copy it again, without quotes or blanks";
        if text.trim().is_empty() {
            return Err("is empty");
        }
        if text.contains(['\n', '\r']) {
            return Err("holds a line break; give it alone, on one line");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NO_CHARACTER);
        }
        if text.starts_with(is_quote) || text.ends_with(is_quote) {
            return Err("has quotes around it, which are part of its value; leave them out");
        }
        let header = HeaderValue::try_from(format!("{SCHEME}{text}"));
        let mut header = header.map_err(|_| NO_CHARACTER)?;
        header.set_sensitive(true);
        let sought = [Some(text.to_owned()), renewal].into_iter().flatten();
        let sought = sought.filter(|secret| secret.len() >= MIN_SOUGHT);
        Ok(Self {
            header,
            redaction: Redaction::new(sought, "[the API key]"),
        })
    }

    /// Replaces the secret in what a server says: an error that repeats it, a crash message that lists
    /// the environment.
    pub(in crate::adapters::api) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    pub(in crate::adapters::api) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// Whether this is a quote, as files of variables have them around values.
pub(super) fn is_quote(char: char) -> bool {
    matches!(char, '"' | '\'' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Secret, &'static str> {
        Secret::parse(text, None)
    }

    #[test]
    fn secrets_that_no_header_carries_are_refused() {
        assert!(parse("sk_abc-123.DEF").is_ok());
        for (text, error) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("abc\n", "holds a line break"),
            ("abc\r\nX-Evil: 1", "holds a line break"),
            ("ab c", "holds a character that none has"),
            ("ab\u{1b}c", "holds a character that none has"),
            ("schlüssel", "holds a character that none has"),
            ("\"sk_abc\"", "has quotes around it"),
            ("'sk_abc'", "has quotes around it"),
            ("sk_abc\"", "has quotes around it"),
        ] {
            let words = parse(text).unwrap_err();
            assert!(words.starts_with(error), "{text:?}: {words}");
        }
    }

    #[test]
    fn a_secret_cannot_be_shown() {
        let secret = parse("sk_secret").unwrap();
        assert!(!format!("{secret:?} {:?}", secret.header()).contains("secret"));
    }

    #[test]
    fn redacts_a_secret_and_what_renews_it() {
        let secret = Secret::parse("sk_secret", Some("rt_renewal".to_owned())).unwrap();
        let redacted = secret.redaction().text("sk_secret sk_secre rt_renewal");
        assert_eq!(redacted, "[the API key] sk_secre [the API key]");
        let word = parse("my-name").unwrap();
        assert_eq!(word.redaction().text("my-name"), "my-name");
    }
}
