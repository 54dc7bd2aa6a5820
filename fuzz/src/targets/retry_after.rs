//! Retry-After, as seconds or as a date: no more than a day, and exact where it is a plain number.
//!
//! The first line is the server's clock, in RFC 3339 or as seconds since 1970; the rest is the value.

use std::time::Duration;

use jiff::Timestamp;
use pipecat_rollout::fuzzing::wire::retry_after;

use crate::input::{steered, text};

const DAY: u64 = 86_400;

pub(super) fn run(data: &[u8]) {
    let (clock, rest) = steered(data);
    let now = clock_of(&text(clock.0));
    let value = text(rest[0]);
    let wait = retry_after(&value, now);
    assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(DAY)));
    let bare = value.trim();
    if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) {
        let zeros = bare.trim_start_matches('0');
        let seconds = if zeros.len() > 9 {
            DAY
        } else {
            zeros.parse().unwrap_or(0)
        };
        assert_eq!(
            wait,
            Some(Duration::from_secs(seconds.min(DAY))),
            "{bare:?}"
        );
    }
    if bare.is_empty() || bare.starts_with('-') {
        assert_eq!(wait, None, "{bare:?}");
    }
}

fn clock_of(text: &str) -> Timestamp {
    let seconds = text
        .parse()
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok());
    let moment = seconds.or_else(|| text.parse().ok());
    moment.unwrap_or(Timestamp::UNIX_EPOCH)
}
