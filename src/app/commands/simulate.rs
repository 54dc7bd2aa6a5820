//! `simulate`: an agents API on loopback, to rehearse pipelines and alerts on.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::signals::{Hangup, Signals};
use crate::adapters::output::{Level, Style};
use crate::adapters::simulator::{Scenario, Settings, Simulator, Start};
use crate::app::cli::SimulateArgs;
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan::load_scenario;
use crate::core::wire::AgentName;

/// Serves until SIGINT or SIGTERM.
pub(super) async fn simulate(args: SimulateArgs, level: Level) -> Result<Ending, Error> {
    super::install(Style::Plain, level)?;
    if args.list {
        return super::print(&scenario_list());
    }
    let settings = Settings {
        agents: agents(&args)?,
        key: args.accept_key,
        speed: args.speed,
        start: if args.autoplay {
            Start::AtFirstRead
        } else {
            Start::AtDeploy
        },
    };
    let mut signals = Signals::listen(Hangup::Ends).map_err(Error::Setup)?;
    let simulator = Simulator::bind(args.listen, settings).await?;
    let listening = format!("listening on {}\n", simulator.base_url());
    super::out(&(listening + &simulator.exports()))?;
    tokio::select! {
        _ = signals.interruption() => Ok(Ending::Done),
        () = simulator.serve() => Ok(Ending::Done),
    }
}

/// The agents and what each plays.
fn agents(args: &SimulateArgs) -> Result<BTreeMap<String, Arc<Scenario>>> {
    let agents = args.agents.iter().map(|agent| {
        let (name, scenario) = agent.split_once('=').unwrap_or((agent, &args.scenario));
        let name: AgentName = name.parse().map_err(|why| anyhow!("--agent: {why}"))?;
        Ok((name.to_string(), Arc::new(load_scenario(scenario)?)))
    });
    agents.collect()
}

/// Every built-in scenario with its verdict, a line each.
fn scenario_list() -> String {
    let scenarios = Scenario::built_in_names()
        .filter_map(|name| Some((name, Scenario::built_in(name)?)))
        .map(|(name, scenario)| {
            let verdict = scenario.verdict.as_str();
            format!("{name:<22}{verdict:<16}{}", scenario.summary)
        });
    scenarios.collect::<Vec<_>>().join("\n") + "\n"
}
