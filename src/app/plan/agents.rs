//! Which agents are meant: those that were named, or the one of the vendor CLI's file.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::core::text::diagnostics;
use crate::core::text::one_line;
use crate::core::wire::{AgentName, InvalidAgentName};

/// The vendor CLI's file, in the working directory.
const FILE: &str = "pcc-deploy.toml";

/// Why it is not clear which agents are meant.
#[derive(Debug, thiserror::Error)]
pub enum BadAgents {
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidAgentName),
    /// Neither a name nor a file.
    #[error(
        "no agent is named, and there is no {FILE} here; name one: pipecat-rollout wait-for-ready my-agent"
    )]
    NoneNamed,
    /// The file is there and cannot be read.
    #[error("no agent is named, and {FILE} cannot be read; fix it, or name an agent")]
    Unreadable(#[source] io::Error),
    /// The file is not what it should be.
    #[error("{FILE}: {why}; fix it, or name an agent")]
    BadFile {
        /// What is wrong with it, as one line.
        why: String,
    },
    /// The name in the file cannot be one.
    #[error("{FILE}, agent_name: {0}")]
    NameInFile(#[source] InvalidAgentName),
}

/// The agents to watch, each once, in the order in which they were named.
pub(super) fn select(named: &[String]) -> Result<Vec<AgentName>, BadAgents> {
    if named.is_empty() {
        return Ok(vec![from_file(Path::new(FILE))?]);
    }
    let mut agents: Vec<AgentName> = Vec::new();
    for name in named {
        let name = AgentName::given(name)?;
        if !agents.contains(&name) {
            agents.push(name);
        }
    }
    Ok(agents)
}

/// What we need of the vendor CLI's file.
#[derive(Deserialize)]
struct DeployFile {
    agent_name: Option<String>,
}

fn from_file(path: &Path) -> Result<AgentName, BadAgents> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BadAgents::NoneNamed),
        Err(error) => return Err(BadAgents::Unreadable(error)),
    };
    agent_of_deploy_file(&text)
}

/// The agent that the text of a `pcc-deploy.toml` names.
///
/// # Errors
/// When it is not TOML, names none, or one that cannot be.
pub fn agent_of_deploy_file(text: &str) -> Result<AgentName, BadAgents> {
    let file: DeployFile = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| diagnostics::line(text, &span));
        BadAgents::BadFile {
            why: format!("line {line}: {}", one_line(error.message())),
        }
    })?;
    let name = file.agent_name.ok_or_else(|| BadAgents::BadFile {
        why: "it has no agent_name".to_owned(),
    })?;
    AgentName::given(&name).map_err(BadAgents::NameInFile)
}
