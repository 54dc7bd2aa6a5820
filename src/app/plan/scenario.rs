//! Which scenario is meant: a built-in one by its name, or a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::adapters::simulator::{InvalidScenario, Scenario};

/// Why there is no scenario to play.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    /// Neither a built-in scenario nor a file.
    #[error(
        "there is no scenario {name:?}{}; `pipecat-rollout simulate --list` shows them all",
        nearest_words(name)
    )]
    Unknown { name: String },
    /// The file cannot be read.
    #[error("cannot read the scenario {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The file cannot be understood.
    #[error("the scenario {}: {error}", path.display())]
    Bad {
        path: PathBuf,
        error: InvalidScenario,
    },
}

/// The scenario that `name` means. What looks like a path is one.
pub(crate) fn load_scenario(name: &str) -> Result<Scenario, ScenarioError> {
    if let Some(scenario) = Scenario::built_in(name) {
        return Ok(scenario);
    }
    let path = Path::new(name);
    let is_path = path
        .extension()
        .is_some_and(|extension| extension == "toml")
        || name.contains('/');
    if !is_path {
        return Err(ScenarioError::Unknown {
            name: name.to_owned(),
        });
    }
    let text = fs::read_to_string(path).map_err(|source| ScenarioError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Scenario::parse(&text).map_err(|error| ScenarioError::Bad {
        path: path.to_owned(),
        error,
    })
}

fn nearest_words(name: &str) -> String {
    Scenario::nearest(name).map_or(String::new(), |nearest| {
        format!(" (did you mean {nearest}?)")
    })
}
