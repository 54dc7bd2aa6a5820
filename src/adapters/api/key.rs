//! The API key, which never leaves its header.

use std::fmt;

use reqwest::header::HeaderValue;

use crate::core::text::redact::Redaction;

/// What is before the key in its header.
const SCHEME: &str = "Bearer ";
/// The shortest key that is searched for in answers; a shorter one may be a word of its own.
const SHORTEST_SECRET: usize = 8;

/// A private API key, checked to fit a header.
///
/// It has no way to be shown: its `Debug` names only the type.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey {
    header: HeaderValue,
    redaction: Redaction,
}

/// Why a text cannot be an API key. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadApiKey {
    /// Nothing but blanks.
    #[error("is empty")]
    Empty,
    /// A line break, most often at the end.
    #[error("holds a line break; give the key alone, on one line")]
    LineBreak,
    /// A blank, a control character or a character outside ASCII.
    #[error("holds a character that no API key has; copy the key again, without quotes or blanks")]
    Character,
}

impl ApiKey {
    /// Checks a key.
    ///
    /// # Errors
    /// When it is empty or holds what a header cannot carry.
    pub(crate) fn parse(text: &str) -> Result<Self, BadApiKey> {
        if text.trim().is_empty() {
            return Err(BadApiKey::Empty);
        }
        if text.contains(['\n', '\r']) {
            return Err(BadApiKey::LineBreak);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadApiKey::Character);
        }
        let mut value =
            HeaderValue::try_from(format!("{SCHEME}{text}")).map_err(|_| BadApiKey::Character)?;
        value.set_sensitive(true);
        let secret = (text.len() >= SHORTEST_SECRET).then(|| text.to_owned());
        Ok(Self {
            header: value,
            redaction: Redaction::new(secret, "[the API key]"),
        })
    }

    /// Strikes the key out of what a server says: an error that repeats it, a crash message that
    /// lists the environment.
    pub(super) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_no_header_carries_are_refused() {
        assert!(ApiKey::parse("sk_abc-123.DEF").is_ok());
        for (text, error) in [
            ("", BadApiKey::Empty),
            (" \n", BadApiKey::Empty),
            ("abc\n", BadApiKey::LineBreak),
            ("abc\r\nX-Evil: 1", BadApiKey::LineBreak),
            ("ab c", BadApiKey::Character),
            ("ab\u{1b}c", BadApiKey::Character),
            ("schlüssel", BadApiKey::Character),
        ] {
            assert_eq!(ApiKey::parse(text).err(), Some(error), "{text:?}");
        }
    }

    #[test]
    fn a_key_cannot_be_shown() {
        let key = ApiKey::parse("sk_secret").unwrap();
        assert!(!format!("{key:?} {:?}", key.header()).contains("secret"));
    }

    #[test]
    fn a_key_is_struck_out_of_what_is_said() {
        let key = ApiKey::parse("sk_secret").unwrap();
        let struck = key.redaction().text("sk_secret sk_secre");
        assert_eq!(struck, "[the API key] sk_secre");
        let word = ApiKey::parse("my-name").unwrap();
        assert_eq!(word.redaction().text("my-name"), "my-name");
    }
}
