//! Programs as sinks: the notice on stdin, the exit code as the answer.

mod secrets;

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::Undelivered;
use crate::core::fleet::Notice;
use crate::core::text::redact::Redaction;
use crate::core::text::{one_line, short_duration};

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a program that was killed may take to be gone.
const DEATH_LIMIT: Duration = Duration::from_secs(5);
/// How much of the end of stderr is told, in bytes.
const TOLD: usize = 1024;
/// The most that is read of stderr after the end of the program, whose children may go on writing.
const MOST_AFTERWARDS: usize = 1024 * 1024;
/// The variables that hold secrets which are none of a sink's business: what the API is asked with, and the
/// address of another sink.
const SECRETS: [&str; 5] = [
    "PIPECAT_API_KEY",
    "PCC_API_KEY",
    "PIPECAT_CLOUD_API_KEY",
    "PIPECAT_TOKEN",
    "PIPECAT_ROLLOUT_WEBHOOK",
];

/// A program that is run for every notice.
pub(super) struct Program {
    name: String,
    arguments: Vec<String>,
    /// What of the arguments may be a secret, and must not be repeated.
    redaction: Redaction,
    /// In bytes.
    longest_secret: usize,
}

/// Why a command cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// There is none, or its name is empty.
    #[error("it names no program")]
    NoProgram,
    /// No program can be given a NUL.
    #[error("it holds a NUL character")]
    Nul,
}

impl Program {
    pub(super) fn new(command: Vec<String>) -> Result<Self, BadCommand> {
        if command.iter().any(|part| part.contains('\0')) {
            return Err(BadCommand::Nul);
        }
        let mut parts = command.into_iter();
        let name = parts
            .next()
            .filter(|name| !name.trim().is_empty())
            .ok_or(BadCommand::NoProgram)?;
        let arguments: Vec<String> = parts.collect();
        let secrets = secrets::of_arguments(&arguments);
        Ok(Self {
            longest_secret: secrets.iter().map(String::len).max().unwrap_or(0),
            redaction: Redaction::new(secrets, "[...]"),
            name,
            arguments,
        })
    }

    /// The program without its arguments, which may be secrets.
    pub(super) fn name(&self) -> String {
        one_line(&self.name)
    }

    pub(super) async fn deliver(&self, notice: &Notice, source: &str) -> Result<(), Undelivered> {
        let event = format!("{}\n", notice.cloud_event(source));
        let mut running = self.start().map_err(|error| {
            let why = format!("cannot start {}: {error}", self.name);
            Undelivered::retry(one_line(&why))
        })?;
        let how = match timeout(LIMIT, running.run(event.as_bytes())).await {
            Ok(Ok(status)) if status.success() => return Ok(()),
            Ok(Ok(status)) => ending(status),
            Ok(Err(error)) => format!("its end is unknown: {error}"),
            Err(_) => {
                running.kill().await;
                format!("did not end within {}", short_duration(LIMIT))
            }
        };
        // Struck out before it is cut: half a secret would not be found.
        let said = String::from_utf8_lossy(tail(&running.said));
        let said = self.redaction.text(&said);
        let said = &said[said.ceil_char_boundary(said.len().saturating_sub(TOLD))..];
        let why = match said.trim() {
            "" => format!("{} {how}", self.name),
            said => format!("{} {how}: {said}", self.name),
        };
        Err(Undelivered::retry(one_line(&why)))
    }

    fn start(&self) -> io::Result<Running> {
        let mut command = Command::new(&self.name);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        let child = command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own, so that all that it starts can be ended with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Running {
            group: child.id().and_then(|id| Pid::from_raw(id.cast_signed())),
            child,
            said: Vec::new(),
            // Room for a secret that ends where that begins which is told.
            most: TOLD + self.longest_secret,
        })
    }
}

/// A program that runs. Dropped, it is killed with all that it started.
struct Running {
    child: Child,
    /// Its process group, until its end was seen: then the number may be another's.
    group: Option<Pid>,
    /// The last of what it wrote to stderr.
    said: Vec<u8>,
    /// How much of it is kept, in bytes.
    most: usize,
}

impl Running {
    /// Feeds the program and hears it out until it ends, however little it cares for its stdin.
    async fn run(&mut self, event: &[u8]) -> io::Result<ExitStatus> {
        let stdin = self.child.stdin.take();
        let mut stderr = self.child.stderr.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // It may have closed its stdin; only how it ends counts.
                let _ = stdin.write_all(event).await;
            }
        };
        tokio::pin!(feed);
        let mut written = false;
        loop {
            let mut chunk = [0; TOLD];
            tokio::select! {
                status = self.child.wait() => {
                    self.group = None;
                    if let Some(stderr) = &stderr {
                        hear_rest(stderr, &mut self.said, self.most);
                    }
                    return status;
                }
                () = &mut feed, if !written => written = true,
                read = hear(&mut stderr, &mut chunk), if stderr.is_some() => match read {
                    Ok(read @ 1..) => keep(&mut self.said, &chunk[..read], self.most),
                    Ok(0) | Err(_) => stderr = None,
                },
            }
        }
    }

    /// Kills the program with all that it started, and sees it gone.
    async fn kill(&mut self) {
        self.kill_group();
        // Even a program that changed its group does not get away.
        let _ = self.child.start_kill();
        // One that the kernel cannot end is left to the runtime, which reaps it some day.
        let _ = timeout(DEATH_LIMIT, self.child.wait()).await;
    }

    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

async fn hear(stderr: &mut Option<ChildStderr>, chunk: &mut [u8]) -> io::Result<usize> {
    match stderr {
        Some(stderr) => stderr.read(chunk).await,
        None => Ok(0),
    }
}

/// Reads what is left in the pipe of a program that has ended, without waiting for the end of it:
/// a child that it left behind may hold it open.
fn hear_rest(stderr: &ChildStderr, said: &mut Vec<u8>, most: usize) {
    let mut chunk = [0; TOLD];
    let mut heard = 0;
    // The pipe never blocks: the runtime has seen to that.
    while let Ok(read @ 1..) = rustix::io::read(stderr, &mut chunk) {
        keep(said, &chunk[..read], most);
        heard += read;
        if heard > MOST_AFTERWARDS {
            return;
        }
    }
}

/// Adds to what was said, and forgets what is too long ago.
fn keep(said: &mut Vec<u8>, more: &[u8], most: usize) {
    said.extend_from_slice(more);
    if said.len() > most {
        said.drain(..said.len() - most);
    }
}

/// What was said, from its first whole character on.
fn tail(said: &[u8]) -> &[u8] {
    let whole = said
        .iter()
        .take(3)
        .take_while(|byte| **byte & 0xc0 == 0x80)
        .count();
    &said[whole..]
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests;
