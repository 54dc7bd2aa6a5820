//! Which scenario is meant: a built-in one by its name, or a file.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::adapters::simulator::Scenario;

/// The scenario that `name` means. What looks like a path is one.
pub(crate) fn load_scenario(name: &str) -> Result<Scenario> {
    if let Some(scenario) = Scenario::built_in(name) {
        return Ok(scenario);
    }
    let path = Path::new(name);
    if !name.contains('/') && path.extension().is_none_or(|extension| extension != "toml") {
        let nearest = Scenario::nearest(name);
        let nearest = nearest.map_or(String::new(), |it| format!(" (did you mean {it}?)"));
        bail!(
            "there is no scenario {name:?}{nearest}; `pipecat-rollout simulate --list` shows them all"
        );
    }
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read the scenario {name}"))?;
    Scenario::parse(&text).map_err(|error| anyhow!("the scenario {name}: {error}"))
}
