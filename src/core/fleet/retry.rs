//! When a delivery is tried again, when it is given up, and how much a sink is sent at once.

use std::time::Duration;

use jiff::Timestamp;

/// The wait after the first failure; it doubles with every other.
const FIRST: Duration = Duration::from_secs(1);
/// The same where the receiver refused what it was sent: all attempts fall within a minute.
const FIRST_REFUSED: Duration = Duration::from_secs(4);
/// The longest wait, unless the receiver asks for more.
const LONGEST: Duration = Duration::from_mins(5);
/// The longest that a receiver can ask for, and so the longest wait that there is.
pub const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// How often an event is tried before it is given up: a clock that jumps, or a machine that was off, makes
/// it old but says nothing of the receiver.
const TRIES: u32 = 5;
/// How often it is tried where the receiver does not answer in time; that takes a quarter of an hour.
const TRIES_IN_TIME: u32 = 10;
/// How many deliveries to one sink are under way at once, about different agents.
const PLACES: usize = 8;
/// After so many failures in a row the sink itself is taken to be down.
const DOWN_AFTER: u32 = 8;

/// How much there is for a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events that wait.
    pub pending: u64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
    /// Events that were given up, and are kept.
    pub dead_letters: u64,
}

/// Why an event was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryFailure {
    /// The receiver does not want this event.
    Refused,
    /// There is no way to send it this event.
    Unsendable,
    /// It did not answer in time: it may be slow with this event, or down.
    TimedOut,
    /// It cannot be reached, or takes nothing at the moment.
    Unavailable {
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It wants no more events.
    Gone,
}

/// What follows from an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Retry {
    /// It is tried again after this wait.
    After(Duration),
    /// It has been tried often enough.
    GiveUp,
}

impl DeliveryFailure {
    /// What follows when the attempt with this number, the first being 1, has failed.
    ///
    /// `age` is how long ago the event was written; older than `delivery_timeout` it is given up. `random`
    /// within 0..1 spreads the waits over their second half.
    pub fn after(
        self,
        attempt: u32,
        age: Duration,
        delivery_timeout: Duration,
        random: f64,
    ) -> Retry {
        let (tries, first) = match self {
            Self::Unsendable => (0, FIRST),
            Self::Refused => (TRIES, FIRST_REFUSED),
            Self::TimedOut => (TRIES_IN_TIME, FIRST),
            Self::Unavailable { .. } | Self::Gone => (u32::MAX, FIRST),
        };
        if attempt >= tries || (attempt >= TRIES && age >= delivery_timeout) {
            return Retry::GiveUp;
        }
        let wait = doubled(first, attempt, random);
        Retry::After(wait.max(self.retry_after().unwrap_or_default()))
    }

    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after } => retry_after.map(|asked| asked.min(LONGEST_WAIT)),
            Self::Refused | Self::Unsendable | Self::TimedOut | Self::Gone => None,
        }
    }
}

/// How a sink as a whole takes what it is sent: one that is down is tried now and then, with one event, not
/// with all that wait for it. Times are since an arbitrary moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkHealth {
    failures_in_a_row: u32,
    failing_since: Option<Duration>,
    /// The end of its last pause. Until something that was sent after that has arrived, one place is enough.
    pause: Option<Duration>,
}

impl SinkHealth {
    /// How many deliveries may be under way at once.
    #[must_use]
    pub const fn places(&self) -> usize {
        if self.pause.is_some() { 1 } else { PLACES }
    }

    /// Until when the sink is left alone, if it is.
    #[must_use]
    pub fn paused_until(&self, now: Duration) -> Option<Duration> {
        self.pause.filter(|until| *until > now)
    }

    /// How many deliveries have failed since the last that arrived.
    #[must_use]
    pub const fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row
    }

    /// For how long it has taken nothing, if it does not.
    #[must_use]
    pub fn failing_for(&self, now: Duration) -> Duration {
        let since = self.failing_since;
        since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// A delivery that was sent at `sent` has arrived, or was read and refused: the sink works. What was
    /// sent before the end of a pause does not end that.
    pub fn works(&mut self, sent: Duration) {
        if self.pause.is_none_or(|until| sent >= until) {
            *self = Self::default();
        }
    }

    /// A delivery that was sent at `sent` has failed at `now`, and that is about the sink.
    pub fn failed(&mut self, sent: Duration, now: Duration, failure: DeliveryFailure, random: f64) {
        self.failing_since.get_or_insert(now);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let asked = failure.retry_after().map(|asked| now + asked);
        // What was under way when a pause began says nothing that is not known.
        let is_news = self.pause.is_none_or(|until| sent >= until);
        let down = (is_news && self.failures_in_a_row >= DOWN_AFTER)
            .then(|| now + doubled(FIRST, self.failures_in_a_row - DOWN_AFTER + 1, random));
        self.pause = self.pause.max(asked).max(down);
    }
}

/// Twice as long after every failure, up to a bound.
fn doubled(first: Duration, failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = (first * (1 << doublings)).min(LONGEST);
    whole.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_hours(24);
    const DOWN: DeliveryFailure = DeliveryFailure::Unavailable { retry_after: None };

    fn asks(seconds: u64) -> DeliveryFailure {
        let retry_after = Some(Duration::from_secs(seconds));
        DeliveryFailure::Unavailable { retry_after }
    }

    /// The waits of an event that always fails so, until it is given up or `most` have gone by.
    fn waits(failure: DeliveryFailure, most: u32, random: f64) -> Vec<u64> {
        let waits =
            (1..=most).map_while(
                |attempt| match failure.after(attempt, SECOND, DAY, random) {
                    Retry::After(wait) => Some(wait.as_millis().try_into().unwrap()),
                    Retry::GiveUp => None,
                },
            );
        waits.collect()
    }

    #[test]
    fn what_is_refused_is_given_up_within_a_minute_and_what_times_out_within_a_quarter_of_an_hour()
    {
        assert_eq!(
            waits(DeliveryFailure::Refused, 99, 1.0),
            [4000, 8000, 16_000, 32_000]
        );
        assert_eq!(
            waits(DeliveryFailure::Refused, 99, 0.0),
            [2000, 4000, 8000, 16_000]
        );
        assert!(waits(DeliveryFailure::Unsendable, 99, 1.0).is_empty());
        let slow = waits(DeliveryFailure::TimedOut, 99, 1.0);
        assert_eq!(
            slow,
            [1, 2, 4, 8, 16, 32, 64, 128, 256].map(|wait| wait * 1000)
        );
        let down = waits(DOWN, 99, 1.0);
        assert_eq!((down.len(), down[8], down[9]), (99, 256_000, 300_000));
    }

    #[test]
    fn a_receiver_can_ask_for_more_up_to_an_hour() {
        for (asked, waited) in [(0, 1), (77, 77), (3600, 3600), (u64::MAX, 3600)] {
            assert_eq!(waits(asks(asked), 1, 1.0), [waited * 1000], "{asked}");
        }
    }

    #[test]
    fn what_is_older_than_the_timeout_and_was_tried_a_few_times_is_given_up() {
        for (attempt, age, given_up) in [
            (5, DAY, true),
            (99, DAY.saturating_sub(SECOND), false),
            // The clock has jumped, or the machine was off.
            (4, 1000 * DAY, false),
        ] {
            let next = DOWN.after(attempt, age, DAY, 0.5);
            assert_eq!(next == Retry::GiveUp, given_up, "{attempt}, {age:?}");
        }
    }

    #[test]
    fn a_sink_that_is_down_is_tried_with_one_event_now_and_then() {
        let mut health = SinkHealth::default();
        for _ in 0..7 {
            health.failed(SECOND, SECOND, DOWN, 1.0);
            assert_eq!((health.places(), health.paused_until(SECOND)), (8, None));
        }
        health.failed(SECOND, SECOND, DOWN, 1.0);
        assert_eq!(
            (health.places(), health.paused_until(SECOND)),
            (1, Some(2 * SECOND))
        );
        // What was under way makes it no longer.
        health.failed(SECOND, SECOND, DOWN, 1.0);
        assert_eq!(health.paused_until(SECOND), Some(2 * SECOND));
        assert_eq!(health.failing_for(5 * SECOND), 4 * SECOND);
        health.works(2 * SECOND);
        assert_eq!(health, SinkHealth::default());
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept_whatever_arrives_that_was_sent_before_its_end() {
        let mut health = SinkHealth::default();
        health.failed(SECOND, 2 * SECOND, asks(15), 1.0);
        let paused = health;
        for sent in [1, 2, 16] {
            health.works(sent * SECOND);
            assert_eq!(health, paused, "sent at {sent} s");
        }
        health.failed(SECOND, 3 * SECOND, asks(5), 1.0);
        assert_eq!(health.paused_until(3 * SECOND), Some(17 * SECOND));
        // When it is over, one event shows whether the sink takes them again.
        assert_eq!(
            (health.paused_until(17 * SECOND), health.places()),
            (None, 1)
        );
        health.works(17 * SECOND);
        assert_eq!(health.places(), 8);
    }
}
