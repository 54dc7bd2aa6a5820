//! `run`: notes the baseline, runs the deploy command, and follows what it deploys side by side.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, getpgrp, kill_process, kill_process_group, test_kill_process_group,
    waitpgid,
};
use rustix::termios::tcgetpgrp;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::judge::Prepared;
use super::signals::Signals;
use crate::adapters::output::{ResultFormat, print};
use crate::adapters::simulator::Start;
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan::Plan;
use crate::core::rollout::{CommandReport, Interruption, Verdict};
use crate::core::trace::Root;

/// How long the command has to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);
/// How often to check whether what the command has started has ended.
const BETWEEN_CHECKS: Duration = Duration::from_millis(50);

/// Runs a deploy command, and judges what it deploys. A command that `finishes` is only waited for, whatever
/// the verdict.
pub(super) async fn run(
    plan: Plan,
    command: Vec<OsString>,
    finishes: bool,
) -> Result<Ending, Error> {
    let prepared = Prepared::of(plan, Start::AtDeploy).await?;
    prepared.signals.exit_on_second_signal();
    let root = prepared.plan.telemetry.as_ref().map(|it| it.root.clone());
    let stdout_is_ours = prepared.plan.output.result == ResultFormat::Json;
    let deploy = Deploy {
        command,
        finishes,
        stdout_is_ours,
        root,
        state: State::Waiting,
    };
    prepared.judge(Some(deploy)).await
}

/// The deploy command.
pub(super) struct Deploy {
    command: Vec<OsString>,
    /// Whether it is waited for with every verdict, and never asked to end.
    finishes: bool,
    /// Whether stdout is for our JSON alone, so that what the command prints goes to stderr.
    stdout_is_ours: bool,
    /// What makes its spans children of ours.
    root: Option<Root>,
    state: State,
}

/// How far the command is.
enum State {
    /// It waits for the baseline.
    Waiting,
    Running {
        child: Child,
        id: Option<Pid>,
        began: Instant,
        group: Group,
    },
    Ended(CommandReport),
}

/// Whom a signal for the command goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// To the command and all that it has started: a process group of its own.
    Own,
    /// To the command alone: it shares our group, so that it can read from the terminal, and the
    /// terminal sends its signals to both.
    Shared,
}

impl Deploy {
    /// Starts the command.
    ///
    /// # Errors
    /// When it cannot be started; it has ended then, with the code that a shell gives this.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let (program, arguments) = self.command.split_first().expect("clap asks for a command");
        let group = if is_in_foreground() {
            Group::Shared
        } else {
            Group::Own
        };
        let mut command = Command::new(program);
        command.args(arguments);
        if let Some(root) = &self.root {
            command.env("TRACEPARENT", root.traceparent());
            if !root.has_parent() {
                // It belongs to a parent that there is not.
                command.env_remove("TRACESTATE");
            }
        }
        if group == Group::Own {
            command.process_group(0);
        }
        if self.stdout_is_ours {
            command.stdout(io::stderr());
        }
        // What was printed before the command comes before what it prints.
        print::flush_err();
        let began = Instant::now();
        match command.spawn() {
            Ok(child) => {
                let id = child.id().and_then(|id| i32::try_from(id).ok());
                self.state = State::Running {
                    child,
                    id: id.and_then(Pid::from_raw),
                    began,
                    group,
                };
                Ok(())
            }
            Err(source) => {
                let exit_code = if source.kind() == io::ErrorKind::NotFound {
                    127
                } else {
                    126
                };
                self.state = State::Ended(CommandReport {
                    exit_code,
                    elapsed: Duration::ZERO,
                });
                let words = format!("cannot run {}", program.display());
                Err(anyhow::Error::from(source).context(words))
            }
        }
    }

    /// Waits until the command ends; forever where it does not run. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> CommandReport {
        let State::Running { child, began, .. } = &mut self.state else {
            return std::future::pending().await;
        };
        let status = child.wait().await;
        let report = CommandReport {
            exit_code: status.map_or(1, exit_code),
            elapsed: began.elapsed(),
        };
        self.state = State::Ended(report);
        report
    }

    /// How the command ended; none where it was never started.
    pub(super) fn report(&self) -> Option<CommandReport> {
        match self.state {
            State::Ended(report) => Some(report),
            State::Waiting | State::Running { .. } => None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether the command is asked to end with this verdict: a rollout that is not ready needs it no
    /// longer.
    pub(super) fn ends_early_with(&self, verdict: Verdict) -> bool {
        let decides = !matches!(verdict, Verdict::Ready | Verdict::Interrupted(_));
        decides && !self.finishes
    }

    /// Waits for the end of the command, or brings it about.
    pub(super) async fn end_with(&mut self, verdict: Verdict, signals: &mut Signals) {
        if let Verdict::Interrupted(interruption) = verdict {
            self.interrupt(interruption).await;
        } else if self.ends_early_with(verdict) {
            self.terminate(Signal::TERM).await;
        } else {
            let interrupted = tokio::select! {
                biased;
                interruption = signals.interruption() => interruption,
                _ = self.ended() => return,
            };
            self.interrupt(interrupted).await;
        }
    }

    /// Asks the command, and all that it has started, to end, and ends them when they do not within
    /// ten seconds.
    pub(super) async fn terminate(&mut self, signal: Signal) {
        let State::Running {
            id: Some(id),
            group,
            ..
        } = self.state
        else {
            return;
        };
        send(group, id, signal);
        let over = Instant::now() + GRACE;
        let ended = async {
            self.ended().await;
            while group == Group::Own && test_kill_process_group(id).is_ok() {
                // In a container this may be the process that orphans come to: they live on until it reaps them.
                let _ = waitpgid(id, WaitOptions::NOHANG);
                sleep(BETWEEN_CHECKS).await;
            }
        };
        if timeout_at(over, ended).await.is_err() {
            send(group, id, Signal::KILL);
            if self.is_running() {
                self.ended().await;
            }
        }
    }

    /// Ends the command, and all that it has started, at once.
    pub(super) async fn kill(&mut self) {
        if let State::Running {
            id: Some(id),
            group,
            ..
        } = self.state
        {
            send(group, id, Signal::KILL);
            self.ended().await;
        }
    }

    /// Hands on the signal that has ended the watch.
    pub(super) async fn interrupt(&mut self, interruption: Interruption) {
        let shared = matches!(
            self.state,
            State::Running {
                group: Group::Shared,
                ..
            }
        );
        match interruption {
            // A terminal has sent it to the command as well, which may take its time to end.
            Interruption::Interrupt if shared => {
                if timeout(GRACE, self.ended()).await.is_err() {
                    self.terminate(Signal::TERM).await;
                }
            }
            Interruption::Interrupt => self.terminate(Signal::INT).await,
            Interruption::Hangup => self.terminate(Signal::HUP).await,
            Interruption::Terminate | Interruption::FailFast => self.terminate(Signal::TERM).await,
        }
    }
}

/// Sends a signal. If the command has ended meanwhile there is nobody to send it to.
fn send(group: Group, id: Pid, signal: Signal) {
    let _ = match group {
        Group::Own => kill_process_group(id, signal),
        Group::Shared => kill_process(id, signal),
    };
}

/// Whether a terminal sends its signals to our process group.
fn is_in_foreground() -> bool {
    let terminal = File::open("/dev/tty").ok();
    terminal.is_some_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}

/// An exit code as a shell would say it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
