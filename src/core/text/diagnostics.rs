//! What is wrong with what people write: the line of a parse error, and the known word that was meant.

use std::ops::Range;

use super::one_line;

/// The longest text that is taken for a word, in bytes.
const MAX_WORD: usize = 32;

/// Something in a file that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", line.map_or(String::new(), |line| format!("line {line}: ")))]
pub struct Problem {
    /// The line that is at fault, the first being 1; `None` where it is no single one.
    pub line: Option<usize>,
    /// What is wrong and what to write instead, as one line.
    pub what: String,
}

impl Problem {
    /// What is wrong in this place of a text.
    pub(crate) fn new(text: &str, span: Option<Range<usize>>, what: &str) -> Self {
        Self {
            line: span.map(|span| line(text, &span)),
            what: one_line(what),
        }
    }

    /// The same of a part of the file that has a name.
    pub(crate) fn of(self, name: &str) -> Self {
        Self {
            what: format!("{name}: {}", self.what),
            ..self
        }
    }
}

/// The number of the line on which `span` begins.
pub(crate) fn line(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().iter().take(span.start);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// The TOML reader's message, with the nearest known word where it names the known ones.
///
/// It says "unknown field `x`, expected one of `a`, `b`"; of a file's author we speak of keys.
pub(crate) fn with_suggestion(message: &str) -> String {
    let message = message.trim().replace('\n', ": ");
    let message = without_value(&message.replace("missing field", "missing key"));
    let unknown = ["unknown field", "unknown variant"];
    let Some(what) = unknown.into_iter().find(|what| message.starts_with(what)) else {
        return message;
    };
    let noun = if what == "unknown field" {
        "key"
    } else {
        "word"
    };
    let mut words = message.split('`').skip(1).step_by(2);
    let Some(word) = words.next() else {
        return message;
    };
    // No word of ours is so long; a secret in the wrong place may be.
    let word = if word.len() > MAX_WORD { "..." } else { word };
    let known: Vec<&str> = words.collect();
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("unknown {noun} `{word}`; did you mean `{near}`?"),
        None => format!("unknown {noun} `{word}`; known here: {}", known.join(", ")),
    }
}

/// The message without the text that it blames, which may be a secret in the wrong place: the line of
/// the error is shown.
fn without_value(message: &str) -> String {
    const BLAMED: &str = "string \"";
    let Some(from) = message.find(BLAMED) else {
        return message.to_owned();
    };
    match message.rfind("\", expected ") {
        Some(to) if to >= from + BLAMED.len() => {
            format!("{}text{}", &message[..from], &message[to + 1..])
        }
        _ => message.to_owned(),
    }
}

/// The candidate closest to `word`, if it is close enough to be meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let (distance, candidate) = candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // A third of the word may be wrong, and one letter always.
    let most = (candidate.chars().count() / 3).max(1);
    (distance <= most).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_with_the_word_that_was_meant() {
        for (message, shown) in [
            (
                "unknown field `intervall`, expected one of `interval`, `listen`",
                "unknown key `intervall`; did you mean `interval`?",
            ),
            (
                "unknown variant `xyz`, expected `ready` or `failed`",
                "unknown word `xyz`; known here: ready, failed",
            ),
            ("missing field `url`", "missing key `url`"),
            ("invalid type: a\nb", "invalid type: a: b"),
            (
                "invalid type: string \"https://x/s3cr\\\", expected t\", expected a boolean",
                "invalid type: text, expected a boolean",
            ),
            (
                "unknown variant `https://example.com/hooks/s3cr3t_path`, expected `a` or `b`",
                "unknown word `...`; known here: a, b",
            ),
        ] {
            assert_eq!(with_suggestion(message), shown);
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!((line("a\nb\nc", &(0..1)), line("a\nb\nc", &(4..5))), (1, 3));
    }
}
