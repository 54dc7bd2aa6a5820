//! Durations as people type and read them.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// The longest duration that can be typed.
const MAX: Duration = Duration::from_hours(24 * 3650);

/// Reads a duration: `90s`, `10m`, `1h 30m`, `7days`, or a number of seconds.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let is_number = |char: char| char.is_ascii_digit() || char == '.';
    let duration = if text.chars().all(is_number) {
        with_units(&format!("{text}s"))
    } else {
        with_units(text)
    };
    let minutes = text.replace('M', "m");
    match duration {
        Some(duration) if duration <= MAX => Ok(duration),
        Some(_) => Err("a time can be 3650 days at most".to_owned()),
        None if with_units(&minutes).is_some() => Err(format!(
            "minutes are written with a small letter: {minutes}"
        )),
        None if text
            .parse()
            .is_ok_and(|span: Span| span.get_years() != 0 || span.get_months() != 0) =>
        {
            Err("months and years differ in length: write days".to_owned())
        }
        None => Err("a time is written like 90s, 10m, 1h 30m, or as seconds: 90".to_owned()),
    }
}

/// A duration in words that [`parse_duration`] reads: `20m`, `1h 30m`.
#[must_use]
pub(crate) fn exact_duration(duration: Duration) -> String {
    format!(
        "{:#}",
        SignedDuration::try_from(duration).unwrap_or_default()
    )
}

/// A duration as a person says it: `0.4s`, `12.3s`, `2m 5s`, `1h 3m`.
#[must_use]
pub fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        return format!("{}.{}s", seconds, duration.subsec_millis() / 100);
    }
    let (value, rest) = match seconds {
        60..3600 => ((seconds / 60, "m"), (seconds % 60, "s")),
        3600..86_400 => ((seconds / 3600, "h"), (seconds / 60 % 60, "m")),
        _ => ((seconds / 86_400, "d"), (seconds / 3600 % 24, "h")),
    };
    match rest {
        (0, _) => format!("{}{}", value.0, value.1),
        _ => format!("{}{} {}{}", value.0, value.1, rest.0, rest.1),
    }
}

/// None where the text is no duration; one that is too long to be counted is the longest.
fn with_units(text: &str) -> Option<Duration> {
    let span = match text.parse::<Span>() {
        Ok(span) => span,
        Err(_) if has_long_number(text) => return Some(Duration::MAX),
        Err(_) => return None,
    };
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours());
    duration.ok()?.try_into().ok()
}

/// Whether a whole number is longer than any that a duration has.
fn has_long_number(text: &str) -> bool {
    let mut numbers = text.split(|char: char| !char.is_ascii_digit());
    !text.contains('.') && numbers.any(|number| number.len() > 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        for (text, millis) in [
            ("30", 30_000),
            ("0", 0),
            ("0.5", 500),
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            (" 2m ", 120_000),
            ("30days", 30 * 86_400_000),
            ("1 h 30 min", 5_400_000),
        ] {
            let expected = Duration::from_millis(millis);
            assert_eq!(parse_duration(text), Ok(expected), "{text:?}");
            assert_eq!(parse_duration(&exact_duration(expected)), Ok(expected));
        }
    }

    #[test]
    fn refuses_anything_else() {
        for text in [
            "", "abc", "-1", "-1s", "5s ago", "1.5.2", "1x", "1e3", "inf", "NaN", ".", "5 5",
            "1h 5", "5 1h", "h", "1h h",
        ] {
            let words = "a time is written like 90s, 10m, 1h 30m, or as seconds: 90";
            assert_eq!(parse_duration(text), Err(words.to_owned()), "{text:?}");
        }
        for text in [
            "9999days",
            "315360001",
            "99999999999999999999",
            "18446744073709551615s",
        ] {
            let words = "a time can be 3650 days at most";
            assert_eq!(parse_duration(text), Err(words.to_owned()), "{text}");
        }
        let words = "months and years differ in length: write days";
        assert_eq!(parse_duration("250years"), Err(words.to_owned()));
        let words = "minutes are written with a small letter: 1m";
        assert_eq!(parse_duration("1M"), Err(words.to_owned()));
    }

    #[test]
    fn short_durations_read_like_a_person_says_them() {
        for (millis, expected) in [
            (0, "0.0s"),
            (999, "0.9s"),
            (12_345, "12.3s"),
            (59_999, "59.9s"),
            (60_000, "1m"),
            (125_000, "2m 5s"),
            (3_600_000, "1h"),
            (3_780_000, "1h 3m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(short_duration(Duration::from_millis(millis)), expected);
        }
    }
}
