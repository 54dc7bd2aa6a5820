//! How fast script time runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// How many seconds of script time pass in one second: a number from 0.001 to 1000000.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(f64);

/// Why something is not a speed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a speed is a number from 0.001 to 1000000, not {0}")]
pub struct BadSpeed(String);

impl Speed {
    /// As written in the scenario.
    pub const REAL: Speed = Speed(1.0);

    /// Checks the factor.
    ///
    /// # Errors
    /// When the factor is no number, or so small or large that times would lose their meaning.
    pub fn new(factor: f64) -> Result<Speed, BadSpeed> {
        if (0.001..=1_000_000.0).contains(&factor) {
            Ok(Speed(factor))
        } else {
            Err(BadSpeed(factor.to_string()))
        }
    }

    /// How much script time passes in `real` time.
    pub(super) fn script(self, real: Duration) -> Duration {
        real.mul_f64(self.0)
    }

    /// How long `script` time takes.
    pub(super) fn real(self, script: SignedDuration) -> SignedDuration {
        script.div_f64(self.0)
    }
}

impl FromStr for Speed {
    type Err = BadSpeed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(factor) => Self::new(factor),
            Err(_) => Err(BadSpeed(format!("{text:?}"))),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
