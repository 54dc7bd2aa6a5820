//! Strikes secrets out of foreign text: as they are, and in every disguise that a reader or another
//! program would see through.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use crate::core::text;
use crate::core::wire::repair_json;

/// The shortest secret that is looked for in disguise; a shorter one would be found in plain words.
const SHORTEST_DISGUISED: usize = 8;

/// Secrets, and what is shown in their place.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redaction {
    /// As they are.
    plain: BTreeSet<String>,
    /// As they are found in texts that have lost their disguises.
    bare: BTreeSet<String>,
    instead: &'static str,
}

impl Redaction {
    /// Secrets that are to be replaced by `instead`.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>, instead: &'static str) -> Self {
        let plain: BTreeSet<String> = secrets.into_iter().filter(|s| !s.is_empty()).collect();
        // One that holds an escape may be shown as it is, or as what that means.
        let bare = plain.iter().flat_map(|secret| {
            let meant = bare(secret, text::readable(secret));
            let visible = secret.chars().filter(char::is_ascii_graphic);
            [meant.map(|(_, char)| char).collect(), visible.collect()]
        });
        let bare: BTreeSet<String> = bare
            .filter(|secret: &String| secret.len() >= SHORTEST_DISGUISED)
            .collect();
        Self {
            plain,
            bare,
            instead,
        }
    }

    /// A text without the secrets.
    ///
    /// They are also found where they are percent-encoded, escaped as in JSON, broken into lines, or
    /// interspersed with what is not seen: escape sequences, characters without width.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.plain.iter().flat_map(|secret| {
            let places = text.match_indices(secret.as_str());
            places.map(|(place, secret)| place..place + secret.len())
        });
        let mut found: Vec<Range<usize>> = found.collect();
        let sought = self.sought(text);
        if !sought.is_empty() {
            found.extend(disguised(&sought, text, || text::readable(text)));
            // What a terminal takes for a control string is told in JSON.
            if text.contains(char::is_control) {
                found.extend(disguised(&sought, text, || text.char_indices()));
            }
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(self.struck(text, found))
    }

    /// A body of JSON without the secrets, in whichever way its strings write them.
    ///
    /// Bytes that are no UTF-8 are replaced. What is no JSON may come back as anything.
    #[must_use]
    pub fn json(&self, body: Vec<u8>) -> String {
        let body = String::from_utf8(body)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        // Nearly every answer holds none: it goes on as it came.
        if !self.is_plain_in(&body) && !self.is_disguised_in(&body) {
            return body;
        }
        let mut struck = String::with_capacity(body.len());
        let mut taken = 0;
        for token in strings(&body) {
            struck.push_str(&self.plainly(&body[taken..token.start]));
            struck.push_str(&self.string(&body[token.clone()]));
            taken = token.end;
        }
        struck.push_str(&self.plainly(&body[taken..]));
        struck
    }

    /// A string of JSON without the secrets.
    fn string<'a>(&self, token: &'a str) -> Cow<'a, str> {
        if !may_disguise(token) && !self.is_plain_in(token) {
            return Cow::Borrowed(token);
        }
        let Ok(text) = serde_json::from_str::<String>(&repair_json(token.as_bytes())) else {
            return self.plainly(token);
        };
        match self.text(&text) {
            Cow::Borrowed(_) => Cow::Borrowed(token),
            Cow::Owned(struck) => serde_json::Value::from(struck).to_string().into(),
        }
    }

    /// What is no string of JSON, without the secrets as they are.
    fn plainly<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.plain.iter().fold(Cow::Borrowed(text), |text, secret| {
            if text.contains(secret.as_str()) {
                text.replace(secret.as_str(), self.instead).into()
            } else {
                text
            }
        })
    }

    /// Whether a secret stands in a text as it is.
    fn is_plain_in(&self, text: &str) -> bool {
        self.plain
            .iter()
            .any(|secret| text.contains(secret.as_str()))
    }

    /// Whether a secret stands in a string of JSON in disguise.
    fn is_disguised_in(&self, json: &str) -> bool {
        let is_suspect = |token: &Range<usize>| may_disguise(&json[token.clone()]);
        let holds = |token| matches!(self.string(&json[token]), Cow::Owned(_));
        may_disguise(json) && strings(json).filter(is_suspect).any(holds)
    }

    /// The secrets that may stand in a text in disguise: their characters do, in their order and
    /// whatever is between them, or there are escapes that could mean them.
    fn sought(&self, text: &str) -> Vec<&str> {
        let bare = self.bare.iter().map(String::as_str);
        if text.bytes().any(begins_escape) {
            return bare.collect();
        }
        let may_hold = |secret: &&str| {
            let mut rest = text.bytes();
            secret.bytes().all(|wanted| rest.any(|byte| byte == wanted))
        };
        bare.filter(may_hold).collect()
    }

    /// The text without what was found; what overlaps goes as one.
    fn struck(&self, text: &str, mut found: Vec<Range<usize>>) -> String {
        found.sort_by_key(|range| (range.start, range.end));
        let mut struck = String::new();
        let mut taken = 0;
        for range in found {
            if taken == 0 || range.start >= taken {
                struck.push_str(&text[taken..range.start]);
                struck.push_str(self.instead);
            }
            taken = taken.max(range.end);
        }
        struck + &text[taken..]
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redaction({})", self.plain.len())
    }
}

/// Whether a text holds anything by which a secret could be disguised.
fn may_disguise(text: &str) -> bool {
    text.bytes()
        .any(|byte| !byte.is_ascii_graphic() || begins_escape(byte))
}

fn begins_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\')
}

/// Where the strings of a JSON text stand, with their quotes.
fn strings(json: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = json.as_bytes();
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + bytes[from..].iter().position(|byte| *byte == b'"')?;
        let mut end = start + 1;
        while *bytes.get(end)? != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        from = end + 1;
        Some(start..from)
    })
}

/// Where these secrets stand in a text that is read so.
fn disguised<Chars>(secrets: &[&str], text: &str, read: impl Fn() -> Chars) -> Vec<Range<usize>>
where
    Chars: Iterator<Item = (usize, char)>,
{
    let undisguised: String = bare(text, read()).map(|(_, char)| char).collect();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for secret in secrets {
        let places = undisguised.match_indices(secret);
        found.extend(places.map(|(place, secret)| (place, place + secret.len() - 1)));
    }
    if found.is_empty() {
        return Vec::new();
    }
    // Each character of what was searched is one byte: its place is its number.
    let places: Vec<Range<usize>> = bare(text, read()).map(|(place, _)| place).collect();
    let whole = |(first, last): (usize, usize)| places[first].start..places[last].end;
    found.into_iter().map(whole).collect()
}

/// What a text means without its disguises: visible ASCII alone, decoded, and where each of it
/// stands. `chars` are those of the text that are to be read.
fn bare(
    text: &str,
    chars: impl Iterator<Item = (usize, char)>,
) -> impl Iterator<Item = (Range<usize>, char)> {
    let mut taken = 0;
    chars.filter_map(move |(place, char)| {
        if place < taken || !char.is_ascii_graphic() {
            return None;
        }
        let (char, length) = decoded(&text[place..]).unwrap_or((char, 1));
        taken = place + length;
        char.is_ascii_graphic().then_some((place..taken, char))
    })
}

/// The character that an escape at the beginning of a text stands for, and the escape's length.
///
/// What follows a backslash stands for itself, but for the blanks of JSON and of most languages: where
/// it is one more backslash, for what that stands for, so that what was escaped twice is found too.
fn decoded(text: &str) -> Option<(char, usize)> {
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        all.then(|| u32::from_str_radix(digits, 16).ok())?
            .map(|code| (char::from_u32(code).unwrap_or(' '), to))
    };
    let mut chars = text.chars();
    match (chars.next()?, chars.next()?) {
        ('%', _) => hex(1, 3),
        ('\\', 'u') => hex(2, 6),
        ('\\', 'x') => hex(2, 4),
        ('\\', 'n' | 'r' | 't' | 'b' | 'f') => Some((' ', 2)),
        ('\\', _) => Some((' ', 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk_Ab3/d=f%9";

    fn key() -> Redaction {
        Redaction::new([KEY.to_owned()], "[KEY]")
    }

    #[test]
    fn a_secret_is_struck_out_as_it_is_and_in_disguise() {
        for (said, struck) in [
            ("", ""),
            (
                "no key in it: 100% sure \\ \\u12 %4",
                "no key in it: 100% sure \\ \\u12 %4",
            ),
            (KEY, "[KEY]"),
            (
                "a sk_Ab3/d=f%9 b sk_Ab3/d=f%9sk_Ab3/d=f%9.",
                "a [KEY] b [KEY][KEY].",
            ),
            ("x%20sk_Ab3%2Fd%3df%259%20y", "x%20[KEY]%20y"),
            (r#"{"k":"sk_Ab3\/d\u003df%9"}"#, r#"{"k":"[KEY]"}"#),
            (r"'sk_Ab\x33/d=f\x259'", "'[KEY]'"),
            (r"'sk\\u005fAb3\\\\\/d=f%9'", "'[KEY]'"),
            ("on sk_Ab3\n    /d=f%9 lines", "on [KEY] lines"),
            (r"on sk_Ab3\n/d=f%9 lines", "on [KEY] lines"),
            ("sk_\u{1b}[31mAb3\u{1b}[0m/d=f%9\u{1b}[m", "[KEY]\u{1b}[m"),
            ("s\u{200b}k_\u{200d}Ab3\u{fe0f}/d=f%9", "[KEY]"),
            ("日本 sk_ Ab3/d=f%9 語", "日本 [KEY] 語"),
            ("\u{1b}]sk%5fAb3/d=f%9\u{7}.", "\u{1b}][KEY]\u{7}."),
            ("sk_Ab3/d=f%", "sk_Ab3/d=f%"),
        ] {
            assert_eq!(key().text(said), struck, "{said:?}");
        }
    }

    #[test]
    fn secrets_that_hold_or_overlap_each_other_leave_nothing() {
        let secrets = ["abcdefgh", "efghijkl", "abcdefghi"].map(str::to_owned);
        let several = Redaction::new(secrets, "*");
        assert_eq!(
            several.text("abcdefghi efgh ijkl abcd efgh ijkl."),
            "* * *."
        );
        let short = Redaction::new(["abc".to_owned(), String::new()], "*");
        assert_eq!(short.text("abc, a b c"), "*, a b c");
        assert_eq!(Redaction::default().text("any % \\ text"), "any % \\ text");
    }

    #[test]
    fn a_secret_is_struck_out_of_json_however_it_is_written() {
        for (body, struck) in [
            (r#"{"a": ["none", 1, "x\ny", "1 %"]}"#, None),
            (r#"{"a": "sk_Ab3/d=f%9"}"#, Some(r#"{"a": "[KEY]"}"#)),
            (
                r#"{"sk_Ab3\/d\u003Df\u00259": "\"sk_Ab3/d=f%9\" \\", "b": "\ud83d sk_Ab3/d=f%9"}"#,
                Some("{\"[KEY]\": \"\\\"[KEY]\\\" \\\\\", \"b\": \"\u{fffd} [KEY]\"}"),
            ),
            (
                r#"["sk_\u001b[1mAb3\u001b[0m/d=f%9", "{\"k\": \"sk_Ab3\\/d=f%9\"}"]"#,
                Some(r#"["[KEY]", "{\"k\": \"[KEY]\"}"]"#),
            ),
            (
                r#"["sk_Ab3/d=f%9", "never ended"#,
                Some(r#"["[KEY]", "never ended"#),
            ),
            ("", None),
            ("\"", None),
        ] {
            assert_eq!(key().json(body.into()), struck.unwrap_or(body), "{body}");
        }
        assert_eq!(
            key().json(b"\"a\xffsk_Ab3/d=f%9\"".to_vec()),
            "\"a\u{fffd}[KEY]\""
        );
    }

    #[test]
    fn a_secret_without_escapes_is_struck_out_of_json_without_blanks_or_escapes() {
        let key = Redaction::new(["pk-abcdefgh".to_owned()], "[KEY]");
        for (body, struck) in [
            (r#"{"a":"pk-abcdefgh"}"#, r#"{"a":"[KEY]"}"#),
            (
                r#"{"pk-abcdefgh":["x-pk-abcdefgh-y",1]}"#,
                r#"{"[KEY]":["x-[KEY]-y",1]}"#,
            ),
            ("[pk-abcdefgh]", "[[KEY]]"),
            (r#"{"a":"pk-abcdefg"}"#, r#"{"a":"pk-abcdefg"}"#),
        ] {
            assert_eq!(key.json(body.into()), struck);
        }
        let broken = "on p\u{200b}k-abcd\n  efgh, pk-abcd efg";
        assert_eq!(key.text(broken), "on [KEY], pk-abcd efg");
        assert_eq!(key.text("pk-ab\\\n  cdefgh"), "[KEY]");
        assert_eq!(key.text("p k-abcdefgh"), "[KEY]");
    }

    #[test]
    fn an_escape_before_a_secret_is_not_cut() {
        let key = Redaction::new(["n_Ab3/d=f".to_owned()], "[KEY]");
        let struck = key.json(br#"["x\n_Ab3/d=f", "x\nn_Ab3/d=f"]"#.to_vec());
        assert_eq!(struck, r#"["x\n_Ab3/d=f", "x\n[KEY]"]"#);
    }

    #[test]
    fn secrets_cannot_be_shown() {
        assert_eq!(format!("{:?}", key()), "Redaction(1)");
    }
}
