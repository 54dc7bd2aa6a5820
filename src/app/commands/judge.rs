//! `wait-for-ready` and `status`: agents judged side by side, under one deadline.

use std::io;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::connect::connect;
use super::signals::Signals;
use super::watch::{Tidings, Watch};
use crate::adapters::api::connection::Connection;
use crate::adapters::output::{FileError, Files, Progress, print_error, print_report};
use crate::adapters::simulator::{Deployer, Start};
use crate::app::error::{self, Error};
use crate::app::exit::{self, Ending};
use crate::app::plan::{Plan, Together};
use crate::core::messages;
use crate::core::rollout::{AgentReport, Interruption, Machine, Report, Verdict};

/// Judges the agents of a plan, tells the story and reports.
pub(super) async fn judge(plan: Plan) -> Result<Ending, Error> {
    let prepared = Prepared::of(plan, Start::AtFirstRead).await?;
    prepared.signals.exit_on_second_signal();
    let policy = prepared.plan.policy.clone();
    prepared.judge(&Machine::new(policy)).await
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
        let files = Files::prepare(&plan.output.files)?;
        let signals = Signals::listen().map_err(Error::Setup)?;
        let (connection, deployer) = connect(&plan, start).await?;
        Ok(Self {
            plan,
            connection,
            signals,
            deployer,
            files,
        })
    }

    /// Follows the agents, each with a machine like this one, and reports.
    pub(super) async fn judge(self, machine: &Machine) -> Result<Ending, Error> {
        let Self {
            ref plan,
            ref connection,
            ref signals,
            ..
        } = self;
        let occasion = plan.output.manner.occasion;
        let names = plan.agents.iter().map(|name| name.as_str().to_owned());
        let (style, began) = (plan.output.style, Timestamp::now());
        let mut progress = Progress::begin(style, plan.output.manner, began, names.collect());
        let (teller, mut tidings) = mpsc::unbounded_channel();
        for (index, agent) in plan.agents.iter().enumerate() {
            let watch = Watch {
                index,
                agent: agent.clone(),
                pace: plan.pace,
                logs: plan.output.logs,
                connection: connection.clone(),
                signals: signals.clone(),
                teller: teller.clone(),
            };
            tokio::spawn(watch.run(machine.clone(), occasion));
        }
        drop(teller);
        let mut reports: Vec<Option<AgentReport>> = plan.agents.iter().map(|_| None).collect();
        let mut stopped_by = None;
        while let Some((index, tidings)) = tidings.recv().await {
            match tidings {
                Tidings::Happened(at, event) => progress.tell(index, at, &event),
                Tidings::Ended(mut report) => {
                    if let Some(failed) = &stopped_by {
                        messages::name_who_stopped(&mut report, failed);
                    }
                    progress.end(index, &report);
                    if plan.together == Together::FailFast
                        && report.outcome.verdict != Verdict::Ready
                    {
                        signals.end(Interruption::FailFast);
                        stopped_by.get_or_insert_with(|| AgentReport::clone(&report));
                    }
                    reports[index] = Some(*report);
                }
            }
        }
        let reports: Option<Vec<AgentReport>> = reports.into_iter().collect();
        let report = Report::new(reports.ok_or(Error::Lost)?);
        Ok(self.report(report))
    }

    /// Reports on an agent whose watch ended before it began.
    pub(super) fn give_up(self, report: AgentReport) -> Ending {
        let names = vec![report.agent.clone()];
        let output = &self.plan.output;
        let mut progress = Progress::begin(output.style, output.manner, Timestamp::now(), names);
        progress.end(0, &report);
        self.report(Report::new(vec![report]))
    }

    /// Hands the report over.
    fn report(self, report: Report) -> Ending {
        let output = &self.plan.output;
        // First the files: nobody who does not read stdout keeps them back.
        let written = self.files.write(&report, || fastrand::u64(..));
        let printed = print_report(&report, output.result, output.style, output.manner);
        let printed = printed.err().map(Untold::Stdout).into_iter();
        let failures = printed.chain(written.into_iter().map(Untold::File));
        let mut ending = Ending::Judged(report);
        for failure in failures {
            if let Ending::Judged(report) = ending {
                ending = Ending::Untold(report);
            }
            print_error(output.style, &error::chain(&failure), exit::code(&ending));
        }
        ending
    }
}

/// The report could not be handed over.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("cannot write the result to stdout")]
    Stdout(#[source] io::Error),
    #[error(transparent)]
    File(FileError),
}
