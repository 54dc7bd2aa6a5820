//! Time: when something happened here, and what the server's clock said then.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A moment, on both of our clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock, since the program started: durations are measured on it.
    pub at: Duration,
    /// On the wall clock, which may jump: it is only shown.
    pub wall: Timestamp,
}

impl Moment {
    /// The wall clock so long before, in whole milliseconds: it is only shown.
    pub(super) fn ago(self, passed: Duration) -> Timestamp {
        let passed = i64::try_from(passed.as_millis()).ok();
        let passed = passed.map(SignedDuration::from_millis);
        let then = passed.and_then(|passed| self.wall.checked_sub(passed).ok());
        then.unwrap_or(self.wall)
    }
}

/// How long readings of the server's clock are held together before they start anew: by then the two
/// clocks may have drifted apart.
const MAX_AGE: Duration = Duration::from_mins(10);

/// The server's clock, as the Date headers of its answers show it.
///
/// A Date is whole seconds, rounded down, written some time between the request and its answer. So each
/// one says that the server's clock is ahead of ours by at least, and by at most, so much; several of
/// them narrow that down to a fraction of a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerClock {
    offset: Option<Offset>,
}

/// What the server's clock says, at the start of our monotonic one.
#[derive(Debug, Clone, Copy)]
struct Offset {
    at_least: Timestamp,
    at_most: Timestamp,
    since: Duration,
}

impl ServerClock {
    /// Takes in the Date of an answer to a request that was sent and answered at these times.
    pub fn note(&mut self, sent: Duration, received: Duration, date: Timestamp) {
        let Some(reading) = Offset::of(sent, received, date) else {
            return;
        };
        self.offset = Some(match self.offset {
            Some(known) if received.saturating_sub(known.since) < MAX_AGE => {
                known.narrowed_by(reading)
            }
            _ => reading,
        });
    }

    /// What the server's clock says at a time on our monotonic clock; none before its first answer.
    #[must_use]
    pub fn at(&self, at: Duration) -> Option<Timestamp> {
        let offset = self.offset?;
        let width = offset.at_most.duration_since(offset.at_least);
        let middle = offset.at_least.checked_add(width / 2).ok()?;
        middle.checked_add(at).ok()
    }

    /// How long before a time on our monotonic clock the server's clock said this; zero where that is
    /// still to come.
    #[must_use]
    pub fn since(&self, at: Duration, date: Timestamp) -> Option<Duration> {
        let passed: SignedDuration = self.at(at)?.duration_since(date);
        Some(Duration::try_from(passed).unwrap_or_default())
    }
}

impl Offset {
    fn of(sent: Duration, received: Duration, date: Timestamp) -> Option<Self> {
        Some(Self {
            at_least: date.checked_sub(received).ok()?,
            at_most: date
                .checked_add(SignedDuration::from_secs(1))
                .and_then(|end| end.checked_sub(sent))
                .ok()?,
            since: received,
        })
    }

    /// Both readings together or, where they contradict each other because a clock was set, the later one.
    fn narrowed_by(self, later: Self) -> Self {
        let both = Self {
            at_least: self.at_least.max(later.at_least),
            at_most: self.at_most.min(later.at_most),
            since: self.since,
        };
        if both.at_least <= both.at_most {
            both
        } else {
            later
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The Date header that a server writes whose clock says `millis`.
    fn date(millis: i64) -> Timestamp {
        Timestamp::from_second(millis.div_euclid(1000)).unwrap()
    }

    fn error(clock: &ServerClock, at: Duration, truth: i64) -> i128 {
        let shown = clock.at(at).unwrap().as_millisecond();
        i128::from(shown - truth).abs()
    }

    #[test]
    fn several_dates_narrow_the_servers_clock_down_to_less_than_a_second() {
        let mut clock = ServerClock::default();
        assert_eq!(clock.at(millis(5)), None);
        // The server's clock is 1,000,300 ms ahead; each answer takes 20 ms.
        let ahead = 1_000_300;
        for (count, sent) in (0..40).map(|step| step * 530).enumerate() {
            let written = ahead + i64::try_from(sent).unwrap() + 10;
            clock.note(millis(sent), millis(sent + 20), date(written));
            let now = i64::try_from(sent).unwrap() + 20;
            let limit = if count < 8 { 510 } else { 60 };
            let off = error(&clock, millis(sent + 20), ahead + now);
            assert!(off <= limit, "{off} ms after {count} answers");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_anew() {
        let mut clock = ServerClock::default();
        clock.note(millis(0), millis(10), date(50_000));
        for hour in [3_600_000, -3_600_000] {
            clock.note(millis(1000), millis(1010), date(50_000 + hour));
            assert!(error(&clock, millis(1010), 50_510 + hour) <= 510);
        }
    }

    #[test]
    fn old_readings_do_not_hold_for_ever() {
        let mut clock = ServerClock::default();
        clock.note(millis(0), millis(0), date(0));
        let later = MAX_AGE + millis(1);
        // Ours was slow by a quarter of a second.
        let truth = i64::try_from(later.as_millis()).unwrap() + 250;
        clock.note(later, later, date(truth));
        assert!(error(&clock, later, truth) <= 750);
        assert_eq!(
            clock.since(later, date(truth + 90_000)),
            Some(Duration::ZERO)
        );
    }
}
