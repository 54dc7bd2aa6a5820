//! Which agents are meant: those that were named, or the one of the vendor's file.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;
use toml::{Spanned, Value};

use super::path_in;
use super::vendor_command::{FILE_VARIABLE, VendorCommand};
use crate::core::text::{diagnostics, one_line};
use crate::core::wire::AgentName;

/// The vendor's file, in the working directory.
const FILE: &str = "pcc-deploy.toml";

const NONE_NAMED: &str =
    "no agent is named, and there is no pcc-deploy.toml here; give the agent's name: my-agent";

/// The agents that are named, each once, in the order in which they are; without any, the one of `file`,
/// which is the vendor's own unless it is said.
pub(super) fn select(named: &[String], file: Option<PathBuf>) -> Result<Vec<AgentName>> {
    if named.is_empty() {
        let file = file.or_else(|| path_in(FILE_VARIABLE));
        return Ok(vec![of_file(&file.unwrap_or_else(|| FILE.into()))?]);
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
    file: Option<PathBuf>,
    command: &[OsString],
) -> Result<AgentName> {
    let ours = match (named, file.or_else(|| path_in(FILE_VARIABLE))) {
        (Some(name), _) => Some((name.parse()?, "AGENT".to_owned())),
        (None, Some(file)) => Some((of_file(&file)?, file.display().to_string())),
        (None, None) => None,
    };
    let theirs = VendorCommand::read(command).map(of_command);
    match (ours, theirs) {
        (Some((ours, our_place)), Some(Ok((theirs, their_place)))) if ours != theirs => bail!(
            "the command deploys agent {:?} ({their_place}), but {:?} is to be judged ({our_place}); \
             name the same one in both, or leave ours out",
            theirs.as_str(),
            ours.as_str()
        ),
        // What the vendor's CLI cannot read it says itself.
        (Some((ours, _)), _) => Ok(ours),
        (None, Some(theirs)) => theirs.map(|(agent, _)| agent),
        (None, None) => of_file(Path::new(FILE)),
    }
}

/// The agent that the vendor's CLI deploys, and where it is named.
fn of_command(command: VendorCommand) -> Result<(AgentName, String)> {
    if let Some(name) = &command.agent {
        return Ok((name.parse()?, "named by the command".to_owned()));
    }
    if command.is_elsewhere {
        bail!(NONE_NAMED);
    }
    let file = command.config_file.or_else(|| path_in(FILE_VARIABLE));
    let file = file.unwrap_or_else(|| FILE.into());
    Ok((of_file(&file)?, file.display().to_string()))
}

fn of_file(path: &Path) -> Result<AgentName> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Err(error) if path == Path::new(FILE) && error.kind() == ErrorKind::NotFound => {
            bail!(NONE_NAMED)
        }
        text => text.with_context(|| {
            format!("no agent is named, and {shown} cannot be read; fix it, or name an agent")
        })?,
    };
    agent_of_deploy_file(&text).map_err(|why| anyhow!("{shown}: {why}"))
}

/// The agent that the text of a `pcc-deploy.toml` names.
///
/// # Errors
/// When it is not TOML, names none, or one that cannot be.
pub fn agent_of_deploy_file(text: &str) -> Result<AgentName> {
    #[derive(Deserialize)]
    struct DeployFile {
        agent_name: Option<Spanned<Value>>,
    }
    let line = |span| diagnostics::line(text, &span);
    let file: DeployFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, line);
        let why = one_line(error.message());
        anyhow!("line {line}: {why}; fix it, or name an agent")
    })?;
    let name = file.agent_name;
    let name = name.ok_or_else(|| anyhow!("it has no agent_name; fix it, or name an agent"))?;
    let line = line(name.span());
    let Value::String(name) = name.get_ref() else {
        bail!(
            "line {line}: agent_name has to be a text in quotes, like \"my-agent\"; fix it, or name an agent"
        );
    };
    AgentName::given(name).map_err(|why| anyhow!("line {line}: agent_name: {why}"))
}
