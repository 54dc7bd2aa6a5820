//! Lines broken at words, for a terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Breaks a line at words into lines no wider than `width` columns; each after the first begins with
/// `indent`. A word that fits into no line stays where it is, and whole: a link has to.
pub(crate) fn wrap(line: &str, width: usize, indent: &str) -> Vec<String> {
    if line.width() <= width {
        return vec![line.to_owned()];
    }
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_inclusive(' ') {
        let own = word.trim_end().width();
        let fits_below = own > 0 && indent.width() + own <= width;
        // What is no longer than the indent is the head of the line, and stays with its text.
        let is_head = current.trim_end().width() <= indent.width();
        if current.width() + own > width && fits_below && !is_head {
            lines.push(current.trim_end().to_owned());
            indent.clone_into(&mut current);
        }
        current.push_str(word);
    }
    lines.push(current.trim_end().to_owned());
    lines
}

/// As much of a line as fits into `width` columns.
pub(crate) fn fit(line: &str, width: usize) -> String {
    let mut room = width;
    let fitting = line.chars().take_while(|char| {
        let left = room.checked_sub(char.width().unwrap_or(0));
        room = left.unwrap_or(room);
        left.is_some()
    });
    fitting.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_words_and_indents_the_rest() {
        for (line, expected) in [
            ("short", vec!["short"]),
            ("exactly ten", vec!["exactly", "  ten"]),
            ("a b c d e f", vec!["a b c d e", "  f"]),
            (
                "  x a link:http://x.y/z-12345 b",
                vec!["  x a link:http://x.y/z-12345", "  b"],
            ),
            ("日本語 日本語", vec!["日本語", "  日本語"]),
            ("", vec![""]),
        ] {
            assert_eq!(wrap(line, 10, "  "), expected, "{line:?}");
        }
    }

    #[test]
    fn fits_into_the_columns() {
        for (line, expected) in [
            ("abc", "abc"),
            ("abcdef", "abcd"),
            ("a日本", "a日"),
            ("", ""),
        ] {
            assert_eq!(fit(line, 4), expected);
        }
    }

    #[test]
    fn leaves_no_line_wider_than_the_terminal() {
        let line = "  reason      one two three four five six seven eight nine ten eleven twelve";
        for width in 20..90 {
            let wrapped = wrap(line, width, "              ");
            assert!(
                wrapped.iter().all(|line| line.width() <= width),
                "{wrapped:#?}"
            );
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(words(&wrapped.join(" ")), words(line));
        }
    }
}
