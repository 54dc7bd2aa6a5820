//! `wait-for-ready` and `status`: agents judged side by side, under one deadline.

use std::future::pending;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::warn;

use super::agent_task::{AgentTask, TaskMessage};
use super::connect::connect;
use super::run::Deploy;
use super::signals::{Hangup, Signals};
use crate::adapters::api::connection::Connection;
use crate::adapters::output::{
    Files, OnEvent, Progress, Style, print_error, print_report, terminal,
};
use crate::adapters::simulator::{Deployer, Start};
use crate::app::error::{self, Error};
use crate::app::exit::{self, Ending};
use crate::app::plan::{Plan, Source};
use crate::app::poll_loop::Signal;
use crate::core::messages::{self, Mode};
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{
    AgentReport, CommandReport, Event, Interruption, Machine, Report, Verdict,
};
use crate::core::text::short_duration;

/// The longest that polls of one agent are apart by themselves.
const SLOW_ROUND: Duration = Duration::from_secs(5);

/// Judges the agents of a plan, shows the progress and reports.
pub(super) async fn judge(plan: Plan) -> Result<Ending, Error> {
    let prepared = Prepared::of(plan, Start::AtFirstRead).await?;
    prepared.signals.exit_on_second_signal();
    if let Some(words) = slow_polls(&prepared.plan) {
        warn!("{words}");
    }
    prepared.judge(None).await
}

/// Judges the agents of a plan for somebody who takes the report: nothing is printed or written, and only
/// these signals end it.
pub(super) async fn judge_quietly(
    plan: Plan,
    listener: Option<OnEvent>,
    signals: Signals,
) -> Result<Report, Error> {
    let progress = Progress::handed(plan.output.display, &plan.agents, listener);
    let prepared = Prepared::with(plan, signals, Start::AtFirstRead).await?;
    prepared.follow(progress, None).await
}

/// A plan for which everything is in order that has to be before a wait.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    pub(super) connection: Connection,
    pub(super) signals: Signals,
    /// Deploys to the simulator that takes the API's place, if one does.
    pub(super) deployer: Option<Deployer>,
    files: Files,
}

impl Prepared {
    /// Opens what the plan needs, a simulator that begins at `start` included; what would spoil its end has to show now.
    pub(super) async fn of(plan: Plan, start: Start) -> Result<Self, Error> {
        let signals = Signals::listen(Hangup::Ends).map_err(Error::Setup)?;
        Self::with(plan, signals, start).await
    }

    /// The same for somebody whose signals these are.
    async fn with(plan: Plan, signals: Signals, start: Start) -> Result<Self, Error> {
        let files = Files::prepare(&plan.output.files)?;
        let (connection, deployer) = connect(&plan, start).await?;
        Ok(Self {
            plan,
            connection,
            signals,
            deployer,
            files,
        })
    }

    /// Follows the agents, `run` with its deploy command, and reports.
    pub(super) async fn judge(self, deploy: Option<Deploy>) -> Result<Ending, Error> {
        let output = &self.plan.output;
        let began = Timestamp::now();
        terminal::begin(output.extras);
        let progress = Progress::begin(output.style, output.display, began, &self.plan.agents);
        let of_run = deploy.is_some().then_some(began);
        let report = self.follow(progress, deploy).await?;
        let (line, took) = messages::note(&report, output.display.mode);
        terminal::end(&line, took);
        let telemetry = self.plan.telemetry.clone();
        let ending = self.report(report);
        // Last, so that nobody who waits for the result waits for it.
        if let (Some(telemetry), Some(report)) = (telemetry, ending.verdicts()) {
            telemetry.export(report, of_run).await;
        }
        Ok(ending)
    }

    /// Follows the agents, `run` with its deploy command, to their verdicts.
    pub(super) async fn follow(
        &self,
        mut progress: Progress,
        mut deploy: Option<Deploy>,
    ) -> Result<Report, Error> {
        let (plan, style) = (&self.plan, self.plan.output.style);
        let (sender, mut messages) = mpsc::unbounded_channel();
        let (command, of_command) = mpsc::unbounded_channel();
        let mut of_command = deploy.is_some().then_some(of_command);
        for (index, (agent, policy)) in plan.agents.iter().zip(&plan.policies).enumerate() {
            let task = AgentTask {
                index,
                agent: agent.clone(),
                tempo: plan.tempo(),
                logs: plan.output.logs,
                connection: self.connection.clone(),
                smoke: plan.smoke.clone(),
                signals: self.signals.clone(),
                command: of_command.take(),
                sender: sender.clone(),
            };
            let mode = plan.output.display.mode;
            tokio::spawn(task.run(Machine::new(policy.clone()), mode));
        }
        drop(sender);
        let mut reports: Vec<Option<AgentReport>> = plan.agents.iter().map(|_| None).collect();
        let mut stopped_by = None;
        loop {
            let (index, message) = tokio::select! {
                biased;
                received = messages.recv() => match received {
                    Some(message) => message,
                    None => break,
                },
                ended = ended(&mut deploy) => {
                    if let (0, Some(deployer)) = (ended.exit_code, &self.deployer) {
                        // Where a simulator takes the API's place: the deploy that the command made elsewhere.
                        deployer.deploy(plan.agents[0].as_str());
                    }
                    // Once the watch has ended nobody listens.
                    let _ = command.send(Signal::CommandEnded(ended.exit_code));
                    continue;
                }
            };
            match message {
                TaskMessage::Happened(at, event) => {
                    progress.on_event(index, at, &event);
                    if let (Event::BaselineNoted { .. }, Some(deploy)) = (&event, &mut deploy) {
                        let _ = command.send(start(deploy, style));
                    }
                }
                TaskMessage::Ended(mut report) => {
                    if let Some(failed) = &stopped_by {
                        messages::name_who_stopped(&mut report, failed);
                    }
                    progress.end(index, &report);
                    if plan.fail_fast && report.outcome.verdict != Verdict::Ready {
                        self.signals.end(Interruption::FailFast);
                        stopped_by.get_or_insert_with(|| AgentReport::clone(&report));
                    }
                    reports[index] = Some(*report);
                }
            }
        }
        let reports: Option<Vec<AgentReport>> = reports.into_iter().collect();
        let mut report = Report::new(reports.ok_or(Error::Lost)?);
        if let Some(deploy) = &mut deploy {
            self.finish_command(deploy, &mut report).await;
        }
        Ok(report)
    }

    /// Waits for the end of the deploy command, or brings it about: a rollout that is not ready needs
    /// it no longer.
    async fn finish_command(&self, deploy: &mut Deploy, report: &mut Report) {
        let Some(agent) = report.agents.first_mut() else {
            return;
        };
        let style = self.plan.output.style;
        let mut signals = self.signals.clone();
        let verdict = agent.outcome.verdict;
        if deploy.is_running() {
            if deploy.ends_early_with(verdict) {
                let line = "the deploy command still runs, and is asked to end";
                print_error(style, line, agent.exit_code);
            }
            let killed = tokio::select! {
                biased;
                () = self.signals.second() => true,
                () = deploy.end_with(verdict, &mut signals) => false,
            };
            self.signals.command_is_gone();
            if killed {
                deploy.kill().await;
            }
        }
        agent.command = deploy.report();
        match agent.command {
            None => print_error(style, "the deploy command was not run", agent.exit_code),
            Some(command) if agent.outcome.verdict == Verdict::Ready && command.exit_code != 0 => {
                report.exit_code = command.exit_code;
                let line = format!(
                    "the deployment is ready, but the deploy command failed (exit code {})",
                    command.exit_code
                );
                print_error(style, &line, command.exit_code);
            }
            Some(_) => {}
        }
    }

    /// Hands the report over.
    pub(super) fn report(self, report: Report) -> Ending {
        let output = &self.plan.output;
        // First the files: nobody who does not read stdout keeps them back.
        let written = self.files.write(&report, || fastrand::u64(..));
        let printed = print_report(&report, output.result, output.style, output.display);
        let printed = printed.context("cannot write the result to stdout").err();
        ended_with(report, printed.into_iter().chain(written), output.style)
    }

    /// Writes the report into the files that were asked for, and nothing to stdout.
    pub(super) fn write(self, report: Report) -> Ending {
        let written = self.files.write(&report, || fastrand::u64(..));
        ended_with(report, written, self.plan.output.style)
    }
}

/// The ending of a report that could not be handed over where there are failures.
fn ended_with(
    report: Report,
    failures: impl IntoIterator<Item = anyhow::Error>,
    style: Style,
) -> Ending {
    let mut ending = Ending::Judged(report);
    for failure in failures {
        if let Ending::Judged(report) = ending {
            ending = Ending::Unreported(report);
        }
        print_error(style, &error::chain(failure.as_ref()), exit::code(&ending));
    }
    ending
}

/// That the limit on requests is too low for so many agents, if it is.
fn slow_polls(plan: &Plan) -> Option<String> {
    let count = plan.agents.len();
    if count < 2 || matches!(plan.source, Source::Simulator { .. }) {
        return None;
    }
    let agents = u32::try_from(count).unwrap_or(u32::MAX);
    let round = Duration::from_secs(1) * agents / plan.max_rps.get();
    let timeout = plan.policies.first()?.limits().timeout;
    let usual = match plan.pace {
        Pace::Adaptive => SLOW_ROUND,
        Pace::Fixed(interval) => interval.max(SLOW_ROUND),
    };
    let (agents, took) = (messages::agents(count), short_duration(round));
    let consequence = match plan.output.display.mode {
        Mode::Status if round > SLOW_ROUND => format!("to check them all takes {took}; raise"),
        Mode::Watch | Mode::Run if round > timeout => {
            let timeout = short_duration(timeout);
            format!("not all of them can be polled within {timeout}; raise --timeout or")
        }
        Mode::Watch | Mode::Run if round > usual => {
            format!("each is polled only every {took}; raise")
        }
        Mode::Watch | Mode::Run | Mode::Status => return None,
    };
    let rate = messages::count(plan.max_rps.get().into(), "request");
    Some(format!(
        "{agents} at {rate} a second: {consequence} --max-rps"
    ))
}

/// Waits for the end of the deploy command, if there is one.
async fn ended(deploy: &mut Option<Deploy>) -> CommandReport {
    match deploy {
        Some(deploy) => deploy.ended().await,
        None => pending().await,
    }
}

/// Starts the deploy command. One that cannot be started has ended.
fn start(deploy: &mut Deploy, style: Style) -> Signal {
    match deploy.start() {
        Ok(()) => Signal::CommandStarted,
        Err(error) => {
            let exit_code = deploy.report().map_or(1, |report| report.exit_code);
            print_error(style, &error::chain(error.as_ref()), exit_code);
            Signal::CommandEnded(exit_code)
        }
    }
}
