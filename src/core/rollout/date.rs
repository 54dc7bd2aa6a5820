//! What the dates in an answer prove, by the clock of the server that wrote them.

use jiff::{SignedDuration, Timestamp};

/// How far a date may lie ahead of the server's clock, which counts whole seconds, before it proves nothing.
const MAX_AHEAD: SignedDuration = SignedDuration::from_secs(3);

/// The date, if it proves anything at this time of the server's: one that lies in the future is none, nor
/// is a zero date.
pub(crate) fn past(date: Option<Timestamp>, server_now: Option<Timestamp>) -> Option<Timestamp> {
    let limit = server_now.and_then(|now| now.checked_add(MAX_AHEAD).ok());
    date.filter(|date| *date > Timestamp::UNIX_EPOCH && limit.is_none_or(|limit| *date <= limit))
}

/// Whether `one` is known to be before `other`. Below a millisecond, servers write the same date differently.
pub(crate) fn is_before(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one.as_millisecond() < other.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_a_millisecond_dates_are_the_same() {
        let micros = |micros| Some(Timestamp::from_microsecond(micros).unwrap());
        assert!(!is_before(micros(123_000), micros(123_456)));
        assert!(is_before(micros(122_999), micros(123_000)));
    }
}
