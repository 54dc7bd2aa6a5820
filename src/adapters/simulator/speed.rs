//! How fast the time of a scenario runs, and the clocks of a watcher with it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How many seconds of a scenario pass in one second: a number from 0.001 to 1000000.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(f64);

impl Speed {
    /// As written in the scenario.
    pub(crate) const REAL: Speed = Speed(1.0);

    /// Checks the factor.
    ///
    /// # Errors
    /// When the factor is no number, or so small or large that times would lose their meaning.
    pub(crate) fn new(factor: f64) -> Result<Speed, String> {
        let known = (0.001..=1_000_000.0).contains(&factor);
        known.then_some(Speed(factor)).ok_or_else(|| wrong(factor))
    }

    /// How much of the scenario's time passes in `real` time.
    pub(crate) fn scripted(self, real: Duration) -> Duration {
        self.times(real, self.0)
    }

    /// How long `scripted` time of the scenario takes.
    pub(crate) fn real(self, scripted: Duration) -> Duration {
        self.times(scripted, self.0.recip())
    }

    /// What is not scaled stays exact.
    fn times(self, time: Duration, factor: f64) -> Duration {
        if self == Self::REAL {
            return time;
        }
        Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
    }
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let factor = text.parse().map_err(|_| wrong(format!("{text:?}")));
        factor.and_then(Self::new)
    }
}

fn wrong(given: impl fmt::Display) -> String {
    format!("a speed is a number from 0.001 to 1000000, not {given}")
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_that_makes_no_sense_cannot_be_constructed() {
        for factor in ["0.001", "1", "2.5", "1000000"] {
            assert_eq!(factor.parse::<Speed>().unwrap().to_string(), factor);
        }
        for (factor, message) in [
            ("0", "a speed is a number from 0.001 to 1000000, not 0"),
            ("-1", "a speed is a number from 0.001 to 1000000, not -1"),
            ("NaN", "a speed is a number from 0.001 to 1000000, not NaN"),
            ("inf", "a speed is a number from 0.001 to 1000000, not inf"),
            (
                "fast",
                "a speed is a number from 0.001 to 1000000, not \"fast\"",
            ),
        ] {
            assert_eq!(factor.parse::<Speed>().unwrap_err(), message);
        }
    }

    #[test]
    fn times_are_scaled_both_ways_and_never_overflow() {
        let speed = Speed::new(20.0).unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(speed.scripted(second), 20 * second);
        assert_eq!(speed.real(20 * second), second);
        assert_eq!(speed.scripted(Duration::MAX), Duration::MAX);
        assert_eq!(Speed::REAL.real(Duration::MAX), Duration::MAX);
    }
}
