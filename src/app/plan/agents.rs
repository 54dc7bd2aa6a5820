//! Which agents are meant: those that were named, or the one of the vendor's file.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::vendor_command::{FILE_VARIABLE, VendorCommand};
use crate::core::text::diagnostics;
use crate::core::text::one_line;
use crate::core::wire::{AgentName, InvalidAgentName};

/// The vendor's file, in the working directory.
const FILE: &str = "pcc-deploy.toml";

/// Why it is not clear which agents are meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadAgents {
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidAgentName),
    /// Neither a name nor a file.
    #[error(
        "no agent is named, and there is no {FILE} here; name one: pipecat-rollout wait-for-ready my-agent"
    )]
    NoneNamed,
    /// A file cannot be read.
    #[error("no agent is named, and {} cannot be read; fix it, or name an agent", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as one line.
        why: BadDeployFile,
    },
    /// The agent to judge is not the one that is deployed.
    #[error(
        "the command deploys agent {theirs:?} ({their_place}), but {ours:?} is to be judged ({our_place}); \
         name the same one in both, or leave ours out"
    )]
    Another {
        /// The agent to judge.
        ours: String,
        /// Where it is named.
        our_place: String,
        /// The one that is deployed.
        theirs: String,
        /// Where that is named.
        their_place: String,
    },
}

/// Why the text of a `pcc-deploy.toml` names no agent.
#[derive(Debug, thiserror::Error)]
pub enum BadDeployFile {
    /// It is not TOML, or has a name of another type.
    #[error("line {line}: {why}; fix it, or name an agent")]
    NotToml {
        /// Where.
        line: usize,
        /// What the parser says.
        why: String,
    },
    /// It names none.
    #[error("it has no agent_name; fix it, or name an agent")]
    NoName,
    /// The name in it cannot be one.
    #[error("agent_name: {0}")]
    Name(#[from] InvalidAgentName),
}

/// The agents that are named, each once, in the order in which they are; without any, the one of `file`,
/// which is the vendor's own unless it is said.
pub(super) fn select(named: &[String], file: Option<&Path>) -> Result<Vec<AgentName>, BadAgents> {
    if named.is_empty() {
        return Ok(vec![of_file(file.unwrap_or(Path::new(FILE)))?]);
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

/// The agent that `command` deploys: the one that is named, or that of `file`. Where the command line is
/// the vendor's CLI, both have to mean the same one, and that one is meant where nothing else names any.
pub(super) fn of_deploy(
    named: Option<&str>,
    file: Option<&Path>,
    command: &[OsString],
) -> Result<AgentName, BadAgents> {
    let ours = match (named, file) {
        (Some(name), _) => Some((name.parse()?, "AGENT".to_owned())),
        (None, Some(file)) => Some((of_file(file)?, file.display().to_string())),
        (None, None) => None,
    };
    let theirs = VendorCommand::read(command).map(|command| of_command(&command));
    match (ours, theirs) {
        (Some((ours, our_place)), Some(Ok((theirs, their_place)))) if ours != theirs => {
            Err(BadAgents::Another {
                ours: ours.to_string(),
                our_place,
                theirs: theirs.to_string(),
                their_place,
            })
        }
        // What the vendor's CLI cannot read it says itself.
        (Some((ours, _)), _) => Ok(ours),
        (None, Some(theirs)) => theirs.map(|(agent, _)| agent),
        (None, None) => of_file(Path::new(FILE)),
    }
}

/// The agent that the vendor's CLI deploys, and where it is named.
fn of_command(command: &VendorCommand) -> Result<(AgentName, String), BadAgents> {
    if let Some(name) = &command.agent {
        return Ok((name.parse()?, "named by the command".to_owned()));
    }
    if command.is_elsewhere {
        return Err(BadAgents::NoneNamed);
    }
    let set = env::var_os(FILE_VARIABLE).filter(|file| !file.is_empty());
    let file = command.config_file.clone().or(set.map(PathBuf::from));
    let file = file.unwrap_or_else(|| PathBuf::from(FILE));
    Ok((of_file(&file)?, file.display().to_string()))
}

/// What we need of the vendor's file.
#[derive(Deserialize)]
struct DeployFile {
    agent_name: Option<String>,
}

fn of_file(path: &Path) -> Result<AgentName, BadAgents> {
    let text = fs::read_to_string(path).map_err(|source| {
        if path == Path::new(FILE) && source.kind() == io::ErrorKind::NotFound {
            return BadAgents::NoneNamed;
        }
        let path = path.to_owned();
        BadAgents::Unreadable { path, source }
    })?;
    agent_of_deploy_file(&text).map_err(|why| BadAgents::BadFile {
        path: path.to_owned(),
        why,
    })
}

/// The agent that the text of a `pcc-deploy.toml` names.
///
/// # Errors
/// When it is not TOML, names none, or one that cannot be.
pub fn agent_of_deploy_file(text: &str) -> Result<AgentName, BadDeployFile> {
    let file: DeployFile = toml::from_str(text).map_err(|error| BadDeployFile::NotToml {
        line: error
            .span()
            .map_or(1, |span| diagnostics::line(text, &span)),
        why: one_line(error.message()),
    })?;
    Ok(AgentName::given(
        &file.agent_name.ok_or(BadDeployFile::NoName)?,
    )?)
}
