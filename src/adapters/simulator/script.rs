//! Scenarios: what an agent answers at which time of a rollout, read from TOML.
//!
//! Pure: no clock, no randomness, no I/O. Time arrives as an argument, counted from the deploy.

mod built_in;
mod details;
mod fault;
mod file;
mod ids;
mod logs;
mod play;
mod read;
mod speed;
mod standing;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

pub use self::fault::CutAfter;
pub use self::logs::LogQuery;
pub use self::play::{Answer, Now, Play, Reply, Start};
pub use self::read::BadScenario;
pub use self::speed::{BadSpeed, Speed};

use self::fault::Fault;
use self::standing::{Standing, Timeline};
use crate::core::rollout::Verdict;
use crate::core::text::diagnostics::nearest;

/// A scripted rollout: what an agent answers, from before the deploy until for ever after.
#[derive(Debug, Clone)]
pub struct Scenario {
    summary: String,
    verdict: Verdict,
    baseline: Option<String>,
    traits: Traits,
    deployments: BTreeMap<String, Deployment>,
    timeline: Timeline,
    faults: Vec<Fault>,
    /// What the deployments write, in the order of their times.
    log: Vec<LogLine>,
}

/// What is true of the agent throughout.
#[derive(Debug, Clone)]
struct Traits {
    region: String,
    profile: Option<String>,
    min_replicas: u64,
    max_replicas: u64,
}

/// A deployment that the scenario names by an alias.
#[derive(Debug, Clone)]
struct Deployment {
    /// When it was made, from the deploy on; negative when before it.
    made: SignedDuration,
    image: String,
}

/// A line that a deployment's code writes.
#[derive(Debug, Clone)]
struct LogLine {
    at: Duration,
    line: String,
    deployment: String,
}

impl Scenario {
    /// Reads a scenario from the text of its file.
    ///
    /// # Errors
    /// When the text is not TOML, has a key or a word that no scenario has, or contradicts itself.
    pub fn parse(text: &str) -> Result<Scenario, BadScenario> {
        read::scenario(text)
    }

    /// The built-in scenario of this name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Scenario> {
        let text = built_in::text(name)?;
        Some(Self::parse(text).expect("a test reads every built-in scenario"))
    }

    /// The names of the built-in scenarios: the good endings first, then the bad, then the odd.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        built_in::names()
    }

    /// The built-in name that `name` is most likely a misspelling of.
    #[must_use]
    pub fn nearest(name: &str) -> Option<&'static str> {
        nearest(name, built_in::names())
    }

    /// What happens, in one line.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// What an honest watcher with the default limits ends with.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The alias of the deployment that a watcher has to be given as its baseline
    /// (`--not-deployment`) to end with [`Scenario::verdict`], where it needs one.
    #[must_use]
    pub fn baseline(&self) -> Option<&str> {
        self.baseline.as_deref()
    }

    /// The id of the deployment that a scenario calls `alias`, during the `deploys`th deploy of
    /// `agent`; the first counts as 1, also while it is still to come.
    ///
    /// What is "old" in one deploy is what was "new" in the deploy before.
    #[must_use]
    pub fn deployment_id(agent: &str, deploys: u64, alias: &str) -> String {
        ids::deployment(agent, deploys, alias)
    }

    /// How the agent stands at `at`, or before the deploy; `None` where it does not exist.
    fn standing(&self, at: Option<Duration>) -> Option<&Standing> {
        self.timeline.at(at)
    }
}

#[cfg(test)]
mod tests;
