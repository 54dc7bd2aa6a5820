//! What a call of an MCP tool will do: one agent, checked or waited for, and nothing written anywhere.

use std::time::Duration;

use super::{
    ConfigError, OnFailure, OutputPlan, Plan, agents, not_deployment, scripted_target, source,
    target,
};
use crate::app::cli::ApiArgs;
use crate::core::messages::Mode;
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{Limits, Policy, TargetRule};

/// What a call asks about an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// How it is now.
    Now,
    /// How the rollout of its target ends, within this time.
    Ending { within: Duration, target: Named },
}

/// How a call names the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// By its id.
    Deployment(String),
    /// As the first that is not this one.
    After(String),
    /// Not: it is what is desired.
    Current,
}

/// What a call will do; without an agent it is about that of `pcc-deploy.toml`.
pub(crate) fn mcp_plan(
    api: ApiArgs,
    agent: Option<&str>,
    question: Question,
) -> Result<Plan, ConfigError> {
    let named: Vec<String> = agent.map(str::to_owned).into_iter().collect();
    let agents = agents::select(&named, None)?;
    let max_rps = api.max_rps;
    let source = source(api)?;
    let current = || scripted_target(&source, &agents[0]);
    let (policy, mode) = match question {
        Question::Now => {
            let policy = Policy::single_check(current(), Limits::default());
            (policy, Mode::Status)
        }
        Question::Ending { within, target } => {
            let rule = match target {
                Named::Deployment(id) => TargetRule::Deployment(target::id("deployment_id", &id)?),
                Named::After(id) => not_deployment(target::id("previous_deployment_id", &id)?),
                Named::Current => current(),
            };
            let limits = Limits {
                timeout: within,
                ..Limits::default()
            };
            (Policy::new(rule, limits)?, Mode::Watch)
        }
    };
    Ok(Plan {
        agents,
        source,
        policies: vec![policy],
        pace: Pace::Adaptive,
        max_rps,
        on_failure: OnFailure::Continue,
        smoke: None,
        output: OutputPlan::silent(mode),
        telemetry: None,
    })
}
