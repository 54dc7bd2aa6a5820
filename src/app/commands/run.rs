//! `run`: notes the baseline, runs the deploy command, then waits for what it deployed.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::judge::Prepared;
use crate::adapters::api::connection::Urgency;
use crate::adapters::output::{Progress, Style, print, print_error};
use crate::adapters::simulator::Start;
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan::{ConfigError, Plan};
use crate::app::poll_loop::follow;
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{
    AgentReport, Event, Limits, Machine, Observation, Outcome, Policy, TargetRule, Until, Verdict,
};
use crate::core::wire::AgentDetails;

/// How far apart the reads of the baseline are. They only have to meet other replicas.
const BETWEEN_READS: Duration = Duration::from_millis(200);

/// Runs a deploy command between the baseline and the wait.
pub(super) async fn run(plan: Plan, command: Vec<OsString>) -> Result<Ending, Error> {
    let mut prepared = Prepared::of(plan, Start::AtDeploy).await?;
    let style = prepared.plan.output.style;
    let started_at = Timestamp::now();
    let (outcome, baseline) = read_baseline(&mut prepared).await;
    let limits = prepared.plan.policy.limits().clone();
    let machine = match (outcome.verdict, baseline) {
        // Also where the agent is gone since: what was desired then is not what will be deployed.
        (Verdict::Ready | Verdict::NotFound | Verdict::Unchanged, Some((id, details))) => {
            let policy = Policy::new(TargetRule::AnyBut(id), limits);
            Machine::after(policy.map_err(ConfigError::Policy)?, details)
        }
        // A first deploy: whatever will be desired is new.
        (Verdict::NotFound | Verdict::Unchanged, None) => {
            Machine::new(prepared.plan.policy.clone())
        }
        _ => {
            let agent = prepared.plan.agents[0].as_str().to_owned();
            let line = "the baseline cannot be read; the command was not run";
            print_error(style, line, outcome.verdict.exit_code());
            return Ok(prepared.give_up(AgentReport::new(agent, started_at, outcome)));
        }
    };
    let status = perform(&command).await?;
    if let Some(code) = failure_code(status) {
        let line = format!("the command failed ({status}); nothing is waited for");
        print_error(style, &line, code);
        return Ok(Ending::CommandFailed { code });
    }
    if let Some(deployer) = &prepared.deployer {
        // Where a simulator takes the API's place: the deploy that the command made elsewhere.
        deployer.deploy(prepared.plan.agents[0].as_str());
    }
    prepared.signals.exit_on_second_signal();
    prepared.judge(&machine).await
}

/// A deployment that was desired before the command, and what the agent's details said then.
type Baseline = (String, Box<AgentDetails>);

/// Reads which deployment is desired until it is certain; also gives the last one that was desired.
async fn read_baseline(prepared: &mut Prepared) -> (Outcome, Option<Baseline>) {
    let plan = &prepared.plan;
    let agent = &plan.agents[0];
    // A living line, or an open group, would be in the command's way.
    let style = match plan.output.style {
        Style::Tty | Style::Github | Style::Gitlab => Style::Plain,
        other @ (Style::Plain | Style::Json | Style::None) => other,
    };
    let names = vec![agent.as_str().to_owned()];
    let mut progress = Progress::begin(style, plan.output.manner, Timestamp::now(), names);
    let outage_timeout = plan.policy.limits().outage_timeout;
    let limits = Limits {
        timeout: outage_timeout,
        outage_timeout,
        until: Until::Desired,
        ..Limits::default()
    };
    let policy = Policy::new(TargetRule::FirstSeen, limits)
        .expect("a time limit that the user's own policy has passed with");
    let newest = RefCell::new(None);
    let (connection, last) = (&prepared.connection, &newest);
    let turn = || connection.turn(Urgency::Urgent);
    let fetch = |limit| async move {
        let observation = connection.observe(agent, limit).await;
        if let Observation::Details { details, .. } = &observation
            && let Some(id) = details.desired()
        {
            last.replace(Some((id.to_owned(), details.clone())));
        }
        observation
    };
    let emit = |at, event: Event| {
        let of_reading = matches!(
            event,
            Event::BaselineNoted { .. } | Event::PollFailed { .. } | Event::PollRecovered { .. }
        );
        if of_reading {
            progress.tell(0, at, &event);
        }
    };
    let interruption = prepared.signals.interruption();
    let pace = Pace::Fixed(BETWEEN_READS);
    let outcome = follow(Machine::new(policy), pace, turn, fetch, emit, interruption).await;
    // Where it is certain, the last answer is one of those that confirmed it.
    (outcome, newest.into_inner())
}

/// Runs the command to its end; signals go on to it.
async fn perform(command: &[OsString]) -> Result<ExitStatus, Error> {
    let (program, arguments) = command.split_first().expect("clap asks for a command");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Setup)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Setup)?;
    // What was said before the command stands before what it says.
    print::flush_err();
    let mut child = Command::new(program)
        .args(arguments)
        .spawn()
        .map_err(|source| not_started(program, source))?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let id = id.and_then(Pid::from_raw);
    loop {
        let number = tokio::select! {
            status = child.wait() => return status.map_err(Error::Setup),
            _ = interrupt.recv() => Signal::INT,
            _ = terminate.recv() => Signal::TERM,
        };
        // Ctrl-C on a terminal has reached the command as well.
        let had_it = number == Signal::INT && is_in_foreground();
        if let Some(id) = id.filter(|_| !had_it) {
            // If it has ended meanwhile there is nobody to tell.
            let _ = kill_process(id, number);
        }
    }
}

/// Whether a terminal sends its signals to our process group, and so to the command.
fn is_in_foreground() -> bool {
    [tcgetpgrp(io::stdin()), tcgetpgrp(io::stderr())]
        .into_iter()
        .flatten()
        .any(|group| group == getpgrp())
}

fn not_started(program: &OsStr, source: io::Error) -> Error {
    Error::NotStarted {
        program: program.to_string_lossy().into_owned(),
        source,
    }
}

/// The exit code of a command that failed, as a shell would say it.
fn failure_code(status: ExitStatus) -> Option<u8> {
    if status.success() {
        return None;
    }
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    Some(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
