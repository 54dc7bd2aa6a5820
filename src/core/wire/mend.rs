//! Reads JSON, and mends it first where its texts were cut within a character, as crash messages are.

use serde::de::DeserializeOwned;

/// The replacement for half a character (U+FFFD).
const REPLACEMENT: &str = "\\ufffd";

/// Reads a body. A message that was cut within a character must not hide all else.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(body).or_else(|error| {
        let mended = mended(body).ok_or(error)?;
        serde_json::from_str(&mended)
    })
}

/// The text of a body with half characters replaced: bytes that are no UTF-8, and escapes of half a
/// surrogate pair; without a byte order mark. None where there is nothing to mend.
fn mended(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}');
    let mended = without_halves(text);
    (mended.as_bytes() != body).then_some(mended)
}

fn without_halves(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        mended.push_str(&rest[..place]);
        rest = &rest[place..];
        let (taken, kept) = match (surrogate(rest), rest.get(6..).and_then(surrogate)) {
            (Some(Half::High), Some(Half::Low)) => (12, true),
            (Some(_), _) => (6, false),
            // Another escape: the character after the backslash belongs to it.
            (None, _) => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), true),
        };
        mended.push_str(if kept { &rest[..taken] } else { REPLACEMENT });
        rest = &rest[taken..];
    }
    mended.push_str(rest);
    mended
}

/// Half of a surrogate pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    High,
    Low,
}

/// The half of a surrogate pair that a text begins with, as an escape.
fn surrogate(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_characters_are_replaced_and_whole_ones_kept() {
        for (text, expected) in [
            (r#"{"a": "\ud83d"}"#, Some(r#"{"a": "\ufffd"}"#)),
            (
                r#""\ud83d\ude00 \ude00\ud83d x""#,
                Some(r#""\ud83d\ude00 \ufffd\ufffd x""#),
            ),
            (r#""\ud83d\u0041""#, Some(r#""\ufffd\u0041""#)),
            (r#""\\ud83d""#, None),
            (r#""\\\ud83d""#, Some(r#""\\\ufffd""#)),
            ("\u{feff}{}", Some("{}")),
            ("{}", None),
            ("\\", None),
            (r"\ud8", None),
            (r"\u日本語", None),
        ] {
            assert_eq!(mended(text.as_bytes()).as_deref(), expected, "{text}");
        }
        assert_eq!(mended(b"\"a\xff\"").as_deref(), Some("\"a\u{fffd}\""));
    }
}
