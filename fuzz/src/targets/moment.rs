//! Moments as people type them: what is read is a time, and a way back is never a way forward.
//!
//! The first line is the present time in seconds since 1970; the rest is what was typed.

use jiff::Timestamp;
use pipecat_rollout::fuzzing::fleet::parse_moment;

use crate::input::{steered, text};

pub(super) fn run(data: &[u8]) {
    let (clock, rest) = steered(data);
    let now = text(clock.0).parse().ok();
    let now = now
        .and_then(|s| Timestamp::from_second(s).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let typed = text(rest[0]);
    match parse_moment(&typed, now) {
        Ok(moment) => {
            let by_calendar = typed.trim().parse::<Timestamp>();
            match by_calendar {
                Ok(meant) => assert_eq!(moment, meant),
                Err(_) => assert!(moment <= now, "{typed:?} is a way forward"),
            }
            assert_eq!(parse_moment(&moment.to_string(), now), Ok(moment));
        }
        Err(words) => assert!(!words.is_empty() && !words.contains('\n')),
    }
}
