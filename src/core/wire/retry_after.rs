//! The Retry-After header (RFC 9110, section 10.2.3): seconds, or a date.

use std::time::Duration;

use jiff::Timestamp;

/// The longest wait that is taken seriously.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// How long a server asks us to wait, by what its Retry-After says.
///
/// A date is compared with `now`: the server's clock, so that a wrong clock on either side does not
/// matter, or ours where the answer has no Date.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_WAIT));
    }
    let until = http_date(value)?;
    let wait = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(MAX_WAIT))
}

/// A date as the headers of HTTP write it.
#[must_use]
pub fn http_date(value: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        let now = "2026-11-23T15:00:00Z".parse().unwrap();
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(86_400)),
            ("Mon, 23 Nov 2026 15:00:30 GMT", Some(30)),
            ("Monday, 23-Nov-26 15:00:30 GMT", Some(30)),
            ("Mon, 23 Nov 2026 14:00:00 GMT", Some(0)),
            ("Tue, 23 Nov 2027 15:00:00 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(
                retry_after(value, now),
                seconds.map(Duration::from_secs),
                "{value:?}"
            );
        }
    }
}
