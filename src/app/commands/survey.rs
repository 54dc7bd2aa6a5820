//! `status --all`: every agent of the organization, from the list and one check each.

use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use tokio::time::sleep;
use tracing::warn;

use super::judge::Prepared;
use crate::adapters::output::{Progress, Style, columns, print_error, redraw};
use crate::adapters::simulator::Start;
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan::{Plan, Survey};
use crate::app::poll_loop::MAX_REQUEST;
use crate::core::messages;
use crate::core::rollout::{AgentReport, Policy, Report, Route, TargetRule, Verdict};
use crate::core::text::one_line;
use crate::core::wire::{AgentName, Service};

/// How long a table is shown before the agents are checked again.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(5);

/// Checks the agents that the API lists, once or until a signal.
pub(super) async fn survey(plan: Plan, survey: Survey) -> Result<Ending, Error> {
    let prepared = Prepared::of(plan, Start::AtFirstRead).await?;
    prepared.signals.exit_on_second_signal();
    if survey.repeats {
        until_a_signal(prepared, &survey).await
    } else {
        once(prepared, &survey).await
    }
}

async fn once(mut prepared: Prepared, survey: &Survey) -> Result<Ending, Error> {
    let report = match list(&mut prepared, survey).await {
        Ok(()) => {
            prepared
                .follow(counting(prepared.plan.output.style, &prepared), None)
                .await?
        }
        Err(NoAgents::NoneSelected(why)) => {
            return Err(anyhow!("no agent of the organization is selected: {why}").into());
        }
        Err(NoAgents::NoList(verdict, why)) => {
            print_error(prepared.plan.output.style, &why, verdict.exit_code());
            Report {
                exit_code: verdict.exit_code(),
                agents: Vec::new(),
            }
        }
    };
    Ok(prepared.report(report))
}

async fn until_a_signal(mut prepared: Prepared, survey: &Survey) -> Result<Ending, Error> {
    let mut signals = prepared.signals.clone();
    let mut report = Report::new(Vec::new());
    let interruption = loop {
        let listed = list(&mut prepared, survey).await;
        if listed.is_ok() {
            let style = if report.agents.is_empty() {
                prepared.plan.output.style
            } else {
                Style::None
            };
            report = prepared.follow(counting(style, &prepared), None).await?;
        }
        if let Some(interruption) = signals.interrupted() {
            break interruption;
        }
        let last = match listed {
            Ok(()) => messages::tally(&report.agents),
            Err(NoAgents::NoneSelected(why) | NoAgents::NoList(_, why)) => why,
        };
        let mut worst_first: Vec<&AgentReport> = report.agents.iter().collect();
        worst_first.sort_by_key(|agent| agent.outcome.verdict.rank());
        let table = messages::check_table(worst_first, columns());
        let last = format!("{:.0}  {last}", Timestamp::now());
        redraw(&table, &last).map_err(Error::Print)?;
        tokio::select! {
            biased;
            interruption = signals.interruption() => break interruption,
            () = sleep(BETWEEN_ROUNDS) => {}
        }
    };
    report.exit_code = Verdict::Interrupted(interruption).exit_code();
    Ok(prepared.write(report))
}

/// Why there are no agents to check.
enum NoAgents {
    /// The list could not be read: how that is judged, and why.
    NoList(Verdict, String),
    /// None of the list is meant.
    NoneSelected(String),
}

/// Makes the agents that the API lists those of the plan.
async fn list(prepared: &mut Prepared, survey: &Survey) -> Result<(), NoAgents> {
    let mut signals = prepared.signals.clone();
    let listed = tokio::select! {
        biased;
        interruption = signals.interruption() => {
            let verdict = Verdict::Interrupted(interruption);
            return Err(NoAgents::NoList(verdict, "interrupted".to_owned()));
        }
        listed = prepared.connection.list(MAX_REQUEST, Route::Pooled) => listed,
    };
    let listed = listed.map_err(|error| {
        NoAgents::NoList(
            error.class.verdict(),
            format!("the list of agents cannot be read: {error}"),
        )
    })?;
    let there = listed.iter().filter(|service| service.deleted_at.is_none());
    let there: Vec<&Service> = there.collect();
    if there.is_empty() {
        return Err(NoAgents::NoneSelected("it has none".to_owned()));
    }
    let is_first = prepared.plan.agents.is_empty();
    let mut names: Vec<AgentName> = Vec::new();
    for service in &there {
        if !survey.scope.holds(&service.name, service.region.as_deref()) {
            continue;
        }
        match service.name.parse() {
            Ok(name) => names.push(name),
            Err(error) if is_first => {
                let why = one_line(&format!("{error}"));
                warn!("an agent of the list is not checked: {why}");
            }
            Err(_) => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        let all = messages::agents(there.len());
        let why = format!("it has {all}, and none fits --include, --exclude and --region");
        return Err(NoAgents::NoneSelected(why));
    }
    let policy = Policy::single_check(TargetRule::FirstSeen, survey.limits.clone());
    prepared.plan.policies = vec![policy; names.len()];
    prepared.plan.agents = names;
    Ok(())
}

fn counting(style: Style, prepared: &Prepared) -> Progress {
    let plan = &prepared.plan;
    Progress::counting(style, plan.output.display, &plan.agents)
}
