//! Programs: the event on stdin, the exit code as the answer.
//!
//! Stdin and stderr are temporary files, so that no program can make us wait by not reading the one, or
//! by a child that keeps the other open.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use jiff::Timestamp;
use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

use super::http::Network;
use super::{DeliveryError, SinkError};
use crate::core::messages::Notification;
use crate::core::text::one_line;
use crate::core::text::redact::{REDACTED, Redaction, argument_secrets};

/// The exit code of a program that could not deliver and may later, as sendmail and its kin use it
/// (`EX_TEMPFAIL` of sysexits.h).
const TRY_LATER: i32 = 75;
/// How much is shown of the end of stderr, in bytes, and how much is read: what is redacted is whole.
const MAX_SHOWN: usize = 1024;
const MAX_READ: u64 = 64 * 1024;
/// The variables that hold secrets which are none of a program's business: what the API is asked with,
/// and the address of another sink.
const SECRETS: [&str; 5] = [
    "PIPECAT_API_KEY",
    "PCC_API_KEY",
    "PIPECAT_CLOUD_API_KEY",
    "PIPECAT_TOKEN",
    "PIPECAT_ROLLOUT_WEBHOOK",
];

/// The keys of a program.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// The program and its arguments. No shell sees them.
    command: Vec<String>,
}

/// A program that is run for every event. Its arguments, which may be secrets, are shown nowhere.
pub(super) struct Sink {
    program: String,
    arguments: Vec<String>,
    /// What its stderr must not show: its arguments, and what is kept from it.
    redaction: Redaction,
    network: Network,
}

/// A program that runs. Dropped, it is killed with all that it has started.
struct Running {
    child: Child,
    /// Its process group, until its end was seen: then the number may be another's.
    group: Option<Pid>,
}

impl Sink {
    pub(super) fn new(config: Config, network: &Network) -> Result<Self, SinkError> {
        let invalid = |reason: &str| SinkError::new("command", reason);
        let mut parts = config.command.into_iter();
        let program = parts.next().filter(|program| !program.trim().is_empty());
        let program = program.ok_or_else(|| invalid("it names no program"))?;
        let arguments: Vec<String> = parts.collect();
        if [&program]
            .into_iter()
            .chain(&arguments)
            .any(|part| part.contains('\0'))
        {
            return Err(invalid("it holds a NUL character"));
        }
        find(&program).map_err(|reason| invalid(&format!("{program}: {reason}")))?;
        let kept_from_it = SECRETS.iter().filter_map(|name| std::env::var(name).ok());
        let secrets = arguments.iter().cloned().chain(kept_from_it);
        let secrets = secrets.flat_map(|secret| argument_secrets(&secret));
        Ok(Self {
            redaction: Redaction::new(secrets, REDACTED),
            network: network.clone(),
            program,
            arguments,
        })
    }

    pub(super) async fn deliver(
        &self,
        what: Notification<'_>,
        _: Timestamp,
    ) -> Result<(), DeliveryError> {
        let program = &self.program;
        let event = format!("{}\n", what.cloud_event());
        let unavailable = |what: &'static str| {
            move |error: io::Error| {
                DeliveryError::unavailable(&format!("cannot {what} {program}: {error}"))
            }
        };
        let files = spawn_blocking(move || Ok((file_of(&event)?, tempfile::tempfile()?))).await;
        let files = files.unwrap_or_else(|error| Err(error.into()));
        let (stdin, stderr) = files.map_err(unavailable("make temporary files for"))?;
        let mut running = self.start(stdin, &stderr).map_err(unavailable("start"))?;
        let status = running.end().await.map_err(unavailable("wait for"))?;
        if status.success() {
            return Ok(());
        }
        let network = self.network.clone();
        let read = move || tail(stderr).map(|end| network.without_key(&end));
        let last_words = spawn_blocking(read).await;
        let last_words = last_words.ok().and_then(Result::ok).unwrap_or_default();
        let last_words = self.redaction.text(&last_words);
        let last_words = &last_words
            [last_words.ceil_char_boundary(last_words.len().saturating_sub(MAX_SHOWN))..];
        let reason = match last_words.trim() {
            "" => format!("{program}: {status}"),
            words => format!("{program}: {status}: {words}"),
        };
        Err(match status.code() {
            Some(TRY_LATER) => DeliveryError::unavailable(&reason),
            _ => DeliveryError::refused(&reason),
        })
    }

    fn start(&self, stdin: File, stderr: &File) -> io::Result<Running> {
        let mut command = Command::new(&self.program);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        let child = command
            .args(&self.arguments)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(stderr.try_clone()?)
            // A group of its own, so that all that it starts can be ended with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Running {
            group: child.id().and_then(|id| Pid::from_raw(id.cast_signed())),
            child,
        })
    }
}

impl Running {
    async fn end(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.group = None;
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {}", one_line(&self.program))
    }
}

/// Finds the program as it will be found when it is run.
///
/// # Errors
/// Why it cannot be run.
fn find(program: &str) -> Result<(), String> {
    let is_program = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if program.contains('/') {
        let path = Path::new(program);
        let metadata = path.metadata().map_err(|error| error.to_string())?;
        return match (metadata.is_file(), is_program(path)) {
            (false, _) => Err("it is not a file".to_owned()),
            (true, false) => Err("it may not be executed".to_owned()),
            (true, true) => Ok(()),
        };
    }
    // What the C library takes in its stead.
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut folders = std::env::split_paths(&path);
    let found = folders.any(|folder| is_program(&folder.join(program)));
    found
        .then_some(())
        .ok_or_else(|| "there is no such program in PATH".to_owned())
}

/// A temporary file that holds this text, to be read from its start.
fn file_of(text: &str) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// The end of a file.
fn tail(mut file: File) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_READ)))?;
    let mut end = Vec::new();
    // A child that was left behind may go on writing.
    file.take(MAX_READ).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

#[cfg(test)]
mod tests;
