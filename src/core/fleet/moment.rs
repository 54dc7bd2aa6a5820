//! Moments as people type them: a time in RFC 3339, or how far back from now.

use jiff::Timestamp;

use crate::core::text::parse_duration;

/// Reads `2026-11-23T15:00:00Z`, or a duration back from `now`: `24h`, `7days`, `1h 30m`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let has_unit = text.ends_with(char::is_alphabetic);
    let back = parse_duration(text).ok().filter(|_| has_unit);
    back.and_then(|back| now.checked_sub(back).ok())
        .ok_or_else(|| {
            "a time is written like 2026-11-23T15:00:00Z, or how far back: 24h, 7days".to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ways_back_are_read() {
        let now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-23T15:00:00Z", "2026-11-23T15:00:00Z"),
            ("2026-11-23T16:00:00.5+01:00", "2026-11-23T15:00:00.5Z"),
            ("24h", "2026-11-22T15:00:00Z"),
            (" 7days ", "2026-11-16T15:00:00Z"),
            ("1h 30m", "2026-11-23T13:30:00Z"),
        ] {
            assert_eq!(parse_moment(text, now), Ok(expected.parse().unwrap()));
        }
        for text in [
            "",
            "yesterday",
            "24",
            "99999years",
            "-1h",
            "2026-11-23",
            "2026-11-23T15:00:00",
        ] {
            assert!(parse_moment(text, now).is_err(), "{text:?}");
        }
    }
}
