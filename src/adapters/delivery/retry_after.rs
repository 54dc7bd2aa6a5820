//! How long a receiver asks us to wait: the Retry-After header (RFC 9110, section 10.2.3).

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use crate::core::wire;

/// The longest wait that a receiver is believed to mean.
const LONGEST: Duration = Duration::from_hours(1);

/// The wait that an answer's headers ask for.
///
/// A date is held against the receiver's own clock, so that a wrong one on either side does not
/// matter; where the answer has no Date, against ours, `now`.
pub(super) fn delay(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let now = text(headers, DATE).and_then(date).unwrap_or(now);
    let wait = wire::retry_after(text(headers, RETRY_AFTER)?, now)?;
    Some(wait.min(LONGEST))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn date(text: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(retry_after: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        let now = "2026-11-23T15:00:00Z".parse().unwrap();
        delay(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_understood_and_an_hour_is_the_most() {
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("3601", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("Mon, 23 Nov 2026 15:00:30 GMT", Some(30)),
            ("Mon, 23 Nov 2026 14:00:00 GMT", Some(0)),
            ("Tue, 23 Nov 2027 15:00:00 GMT", Some(3600)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(asked(value, None), seconds, "{value:?}");
        }
        let now = "2026-11-23T15:00:00Z".parse().unwrap();
        assert_eq!(delay(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_date_is_held_against_the_receivers_clock() {
        let its = Some("Mon, 23 Nov 2020 15:00:00 GMT");
        assert_eq!(asked("Mon, 23 Nov 2020 15:00:30 GMT", its), Some(30));
        assert_eq!(asked("Mon, 23 Nov 2020 15:00:30 GMT", Some("now")), Some(0));
    }
}
