//! Durations as people type them: humantime's form, or a bare number of seconds.

use std::time::Duration;

use crate::text::one_line;

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
        if humantime::parse_duration(&minutes).is_ok() {
            return Err(format!(
                "a capital M is a month; for minutes write {minutes}, for months days"
            ));
        }
    }
    match humantime::parse_duration(text) {
        Ok(duration) => Ok(duration.min(LONGEST)),
        // More than fits is more than is meant.
        Err(humantime::DurationError::NumberOverflow) => Ok(LONGEST),
        Err(_) => Err("a time is written like 90s, 10m, 1h 30m, or as seconds: 90".to_owned()),
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
        ] {
            assert_eq!(parse(text), Ok(LONGEST), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", "abc", "-1", "-1s", "1.5.2", "1x", "1e3", "inf", "NaN", ".", "5 5",
        ] {
            assert!(parse(text).is_err(), "{text:?}: {:?}", parse(text));
        }
        assert_eq!(
            parse("1M"),
            Err("a capital M is a month; for minutes write 1m, for months days".to_owned())
        );
        assert!(parse("2h 1M").is_err());
        let odd = parse("1M\n::error::x").unwrap_err();
        assert!(odd.starts_with("a time is written like"), "{odd}");
    }
}
