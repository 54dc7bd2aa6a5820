//! Durations as people type them: humantime's form, or a bare number of seconds.

use std::time::Duration;

use crate::core::text::one_line;

/// The longest that is meant: beyond it a duration means "for ever".
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// Reads a duration: `90s`, `10m`, `1h 30m`, or a bare number of seconds.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Some(seconds) = bare_seconds(text) {
        return Ok(seconds.min(LONGEST));
    }
    if says_months(text) {
        let minutes = one_line(&text.replace('M', "m"));
        // What is no duration either way is not repeated.
        if sum(&minutes).is_some() {
            return Err(format!(
                "a capital M is a month; for minutes write {minutes}, for months days"
            ));
        }
    }
    sum(text)
        .map(|duration| duration.min(LONGEST))
        .ok_or_else(|| "a time is written like 90s, 10m, 1h 30m, or as seconds: 90".to_owned())
}

/// What the terms of a sum add up to, if all of them are times.
fn sum(text: &str) -> Option<Duration> {
    let mut terms = terms(text).into_iter();
    terms.try_fold(Duration::ZERO, |sum, one| {
        Some(sum.saturating_add(term(one)?))
    })
}

/// The terms of a sum, `1h` and `30m` for example: each begins with a digit after a unit.
///
/// They are added here, because humantime 2.4 panics at sums that just do not fit.
fn terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut in_unit) = (0, false);
    for (at, char) in text.char_indices() {
        if char.is_ascii_digit() && in_unit {
            terms.push(&text[start..at]);
            start = at;
        }
        in_unit = char.is_alphabetic() || in_unit && char.is_whitespace();
    }
    terms.push(&text[start..]);
    terms
}

/// A number with its unit.
fn term(text: &str) -> Option<Duration> {
    let (number, _) = text.split_at(text.find(char::is_alphabetic)?);
    // humantime reads 5 1h as 51h.
    if number.trim().contains(char::is_whitespace) {
        return None;
    }
    match humantime::parse_duration(text) {
        Ok(duration) => Some(duration),
        // More than fits is more than is meant; of a fraction it may also mean that it is too fine.
        Err(humantime::DurationError::NumberOverflow) if !text.contains('.') => Some(LONGEST),
        Err(_) => None,
    }
}

/// A number without a unit.
fn bare_seconds(text: &str) -> Option<Duration> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| plain)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST))
}

/// Whether a unit is `M`, humantime's month, which is hardly ever meant.
fn says_months(text: &str) -> bool {
    let mut before = ' ';
    text.chars().any(|char| {
        let months = char == 'M' && (before.is_ascii_digit() || before == ' ');
        before = char;
        months
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_meant() {
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
            ("0.5h 0.25s", 1_800_250),
            ("1s500ms500us500us", 1_501),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text:?}");
        }
    }

    #[test]
    fn huge_values_are_clamped() {
        for text in [
            "99999999999999999999",
            "9999years",
            "18446744073709551615s",
            "99999999999999999999999h",
            "18446744073709551615s 1000ms",
            "18446744073709551615.5s 0.5s",
            "1h 99999999999999999999999h",
        ] {
            assert_eq!(parse(text), Ok(LONGEST), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "abc",
            "-1",
            "-1s",
            "1.5.2",
            "1x",
            "1e3",
            "inf",
            "NaN",
            ".",
            "5 5",
            "1h 5",
            "1h 0",
            "5 1h",
            "1h 30",
            "1h, 5m",
            "h",
            "1h h",
            // Finer than a nanosecond, which is no reason to wait for a year.
            "0.3333333333s",
            "1.5ns",
            "99999999999999999999.5h",
        ] {
            assert!(parse(text).is_err(), "{text:?}: {:?}", parse(text));
        }
        assert_eq!(
            parse("1M"),
            Err("a capital M is a month; for minutes write 1m, for months days".to_owned())
        );
        assert!(parse("2h 1M").is_err());
        // Nor does what it might have meant panic.
        assert!(parse("18446744073709551615.5s 0.5s 0M").is_err());
        let odd = parse("1M\n::error::x").unwrap_err();
        assert!(odd.starts_with("a time is written like"), "{odd}");
    }
}
