//! Repairs JSON whose texts were cut within a character, as crash messages are.

use std::borrow::Cow;

/// The replacement for half a character (U+FFFD).
const REPLACEMENT: &str = "\\ufffd";

/// The text of a body with half characters replaced: bytes that are no UTF-8, and escapes of half a
/// surrogate pair; without a byte order mark. A text that was cut must not hide all else.
pub(crate) fn repair_json(body: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(body) {
        Ok(text) => replace_halves(text.trim_start_matches('\u{feff}')),
        Err(_) => Cow::Owned(repair_json(String::from_utf8_lossy(body).as_bytes()).into_owned()),
    }
}

fn replace_halves(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        repaired.push_str(&rest[..place]);
        rest = &rest[place..];
        let (taken, kept) = match (surrogate(rest), rest.get(6..).and_then(surrogate)) {
            (Some(Half::High), Some(Half::Low)) => (12, true),
            (Some(_), _) => (6, false),
            // Another escape: the character after the backslash belongs to it.
            (None, _) => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), true),
        };
        repaired.push_str(if kept { &rest[..taken] } else { REPLACEMENT });
        rest = &rest[taken..];
    }
    repaired.push_str(rest);
    Cow::Owned(repaired)
}

/// Half of a surrogate pair.
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
    fn replaces_half_characters_and_keeps_whole_ones() {
        for (text, expected) in [
            (r#"{"a": "\ud83d"}"#, r#"{"a": "\ufffd"}"#),
            (
                r#""\ud83d\ude00 \uDE00\uD83D x""#,
                r#""\ud83d\ude00 \ufffd\ufffd x""#,
            ),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            ("\u{feff}{}", "{}"),
            ("{}", "{}"),
            ("\\", "\\"),
            (r"\ud8", r"\ud8"),
            (r"\ud日本語", r"\ud日本語"),
            (r"\日\ud83d", r"\日\ufffd"),
        ] {
            assert_eq!(repair_json(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(repair_json(b"\"a\xff\""), "\"a\u{fffd}\"");
        assert_eq!(
            repair_json(b"\xef\xbb\xbf\"\xff\\ud83d\""),
            "\"\u{fffd}\\ufffd\""
        );
    }
}
