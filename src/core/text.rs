//! Makes foreign text safe to show on terminals and in logs.
//!
//! Crash messages, reasons and names come from elsewhere. Shown, they lose what a terminal or a CI
//! log would obey; in JSON they stay whole, with the same characters escaped.

pub(crate) mod diagnostics;
mod duration;
pub(crate) mod loopback;
pub mod redact;
pub(crate) mod template;
mod wrap;

pub(crate) use self::duration::exact_duration;
pub use self::duration::{parse_duration, short_duration};
pub(crate) use self::wrap::{fit, wrap};

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

use anstream::adapter::strip_str;

/// The most that is shown of an answer that is only part of a message, in characters.
pub(crate) const SHOWN_START: usize = 200;
/// The most that is shown of one foreign text, in bytes.
pub const SHOWN: usize = 8 * 1024;

/// Foreign text as one line: line breaks become spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    let lines = clean(text);
    let words: Vec<&str> = lines
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    cut(&words.join(" "), ' ')
}

/// Foreign text as one line that begins with it: a CI runner obeys `::` there.
#[must_use]
pub fn line_start(text: &str) -> String {
    let line = one_line(text);
    match line.strip_prefix("::") {
        Some(rest) => format!(": :{rest}"),
        None => line,
    }
}

/// A text as one word of a shell's command line.
pub(crate) fn shell_word(text: &str) -> String {
    // Only a NUL cannot be quoted; no name holds one.
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// Foreign text as lines, none of which holds anything but what can be read.
///
/// A text over [`SHOWN`] loses its middle.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    let cleaned = cut(clean(text).trim_end(), '\n');
    cleaned
        .split('\n')
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// JSON with the characters escaped that a terminal or a CI log would obey; it means the same.
///
/// A tab or a carriage return between values becomes a blank.
/// Every other character concerned can only be inside a JSON string, where an escape is allowed.
#[must_use]
pub fn harmless_json(json: &str) -> String {
    let mut harmless = String::with_capacity(json.len());
    // A bracket that opens a list has no word and no `##` before it.
    for char in without_commands(json, "#\\u0023").chars() {
        if matches!(char, '\t' | '\r') {
            // Only between values: within a string they are written as escapes.
            harmless.push(' ');
        } else if char != '\n' && is_control_like(char) {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(harmless, "\\u{unit:04x}");
            }
        } else {
            harmless.push(char);
        }
    }
    harmless
}

/// Takes out escape sequences and the control-like characters.
///
/// Line by line: a sequence that never ends hides no more than its line.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let breaks = [
        '\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}',
    ];
    let lines = text.split(breaks).map(|line| {
        let stripped = strip_str(&seven_bit(line)).to_string();
        let printable = stripped.replace('\t', "    ");
        printable.replace(is_control_like, "")
    });
    without_commands(&lines.collect::<Vec<_>>().join("\n"), "## ")
}

/// A line with control characters of eight bits as escape sequences (ECMA-48), the form that is stripped.
fn seven_bit(line: &str) -> Cow<'_, str> {
    let is_c1 = |char| matches!(char, '\u{80}'..='\u{9f}');
    if !line.contains(is_c1) {
        return line.into();
    }
    let mut escaped = String::with_capacity(line.len());
    for char in line.chars() {
        match u8::try_from(char) {
            Ok(byte @ 0x80..=0x9f) => escaped.extend(['\u{1b}', char::from(byte - 0x40)]),
            _ => escaped.push(char),
        }
    }
    escaped.into()
}

/// Puts `instead` for the `##` of what a CI runner would obey anywhere in a line: GitHub's old
/// `##[group]`, Azure's `##vso[task]`, `TeamCity`'s `##teamcity[message]`.
fn without_commands(text: &str, instead: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = command(rest) {
        harmless.push_str(&rest[..place]);
        harmless.push_str(instead);
        rest = &rest[place + 2..];
    }
    harmless.push_str(rest);
    harmless
}

/// Where the first command of a CI runner begins: `##`, a word or none, `[`.
fn command(text: &str) -> Option<usize> {
    text.match_indices('[').find_map(|(bracket, _)| {
        let before = text[..bracket].trim_end_matches(|char: char| char.is_ascii_alphanumeric());
        before.ends_with("##").then(|| before.len() - 2)
    })
}

/// Whether a character steers the terminal, the direction or the line instead of being read.
fn is_control_like(char: char) -> bool {
    // Most are letters and blanks.
    if char.is_ascii() {
        return char.is_ascii_control();
    }
    char.is_control()
        || matches!(char,
            // Bidirectional marks, embeddings, overrides and isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Annotations.
            | '\u{fff9}'..='\u{fffb}'
            // Invisible, by Unicode's Default_Ignorable_Code_Point: soft hyphen, fillers, zero width,
            // byte order mark, tags and the like, also those that are only reserved. What scripts and
            // emoji need stays: joiners and variation selectors.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// The innermost of a chain of errors, which names the cause.
pub(crate) fn cause(error: &dyn Error) -> String {
    let cause = std::iter::successors(error.source(), |error| (*error).source()).last();
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

/// The first `max` characters of a text, and whether that is not all of it.
pub(crate) fn shown_start(text: &str, max: usize) -> String {
    let mut shown: String = text.chars().take(max).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

/// Keeps head and tail of a text that is too long; the tail, where tracebacks end, keeps more.
///
/// `gap` is on both sides of the note that says so.
fn cut(text: &str, gap: char) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(SHOWN / 4);
    let tail = text.ceil_char_boundary(text.len() - (SHOWN - SHOWN / 4));
    format!(
        "{}{gap}[... {} bytes left out ...]{gap}{}",
        &text[..head],
        tail - head,
        &text[tail..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_gone() {
        for (text, expected) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{9b}31mred", "red"),
            ("\u{1b}]0;title\u{7}shown", "shown"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}P1$r\u{9c}a", "a"),
            ("\u{1b}(Ba\u{1b}7b\u{1b}cc", "abc"),
            ("\u{1b}]never ended\nnext", " next"),
            ("a\u{1b}", "a"),
            ("bell\u{7}back\u{8}null\u{0}del\u{7f}", "bellbacknulldel"),
            ("\u{202e}gnp.exe\u{202c}", "gnp.exe"),
            ("ze\u{200b}ro", "zero"),
            ("s\u{ad}o\u{180e}f\u{2062}t\u{206f}", "soft"),
            ("tags\u{e0041}", "tags"),
            ("n\u{2065}e\u{3164}w\u{1160}e\u{1d173}r\u{e0fff}", "newer"),
            (
                "👩\u{200d}💻 ❤\u{fe0f} می\u{200c}خواهم 葛\u{e0100}",
                "👩\u{200d}💻 ❤\u{fe0f} می\u{200c}خواهم 葛\u{e0100}",
            ),
            ("a\r\nb\rc\u{2028}d\u{85}e", "a b c d e"),
            ("naïve 日本語 👋", "naïve 日本語 👋"),
            ("##[error]x", "## [error]x"),
            ("###[group]x", "### [group]x"),
            ("#\u{200b}#\u{1b}[0m[error]x", "## [error]x"),
            (
                "x ##vso[task.setvariable variable=a]b",
                "x ## vso[task.setvariable variable=a]b",
            ),
            (
                "##teamcity[x] ##[x] ####a1[[",
                "## teamcity[x] ## [x] #### a1[[",
            ),
            ("# a[1] ##a b[2] #a[3] ##", "# a[1] ##a b[2] #a[3] ##"),
        ] {
            assert_eq!(one_line(text), expected.trim_start(), "{text:?}");
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\r\n\tb  \n\nc\n"), ["a", "    b", "", "c"]);
    }

    #[test]
    fn long_texts_keep_head_and_tail() {
        assert_eq!(SHOWN, 8192, "the contract's 8 KiB");
        let text = format!("head{}tail", "é".repeat(SHOWN));
        let shown = lines(&text).join("\n");
        assert!(shown.starts_with("headé") && shown.ends_with("étail"));
        assert!(shown.contains("bytes left out"), "{}", shown.len());
        assert!(shown.len() < SHOWN + 64);
        let line = one_line(&text);
        assert!(line.starts_with("headé") && line.ends_with("étail"));
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_line_begins_with_nothing_that_a_ci_runner_obeys() {
        for (text, expected) in [
            ("my-agent", "my-agent"),
            (":a::b", ":a::b"),
            ("::error::x", ": :error::x"),
            (" \u{a0}\u{200b}::error::x", ": :error::x"),
            ("::::x", ": :::x"),
        ] {
            assert_eq!(line_start(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_word_is_one_word_for_a_shell() {
        for (text, word) in [
            ("my-agent", "my-agent"),
            ("a/b.c:d_e+f", "a/b.c:d_e+f"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(rm)", "'$(rm)'"),
            ("it's", "\"it's\""),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }

    #[test]
    fn json_is_harmless_and_means_the_same() {
        let text = "##[error]##vso[x]##[\u{1b}[31m\u{9b}\u{202e}\u{e0041}\u{2028}\n::error::日本";
        let json = serde_json::to_string_pretty(&serde_json::json!({ "text": text })).unwrap();
        let harmless = harmless_json(&json);
        assert!(!harmless.contains("##") && !harmless.contains('\u{9b}'));
        assert!(!harmless.contains('\u{202e}') && !harmless.contains('\u{e0041}'));
        assert_eq!(harmless.lines().count(), 3);
        let read: serde_json::Value = serde_json::from_str(&harmless).unwrap();
        assert_eq!(read["text"], text);
    }

    #[test]
    fn blanks_between_values_stay_blanks() {
        let harmless = harmless_json("{\t\"a\":\r\n\t1}");
        assert_eq!(harmless, "{ \"a\": \n 1}");
    }
}
