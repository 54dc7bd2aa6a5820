//! What a call of an MCP tool will do: one agent, checked or waited for, and nothing written anywhere.

use std::time::Duration;

use anyhow::Result;

use super::{OutputPlan, Plan, agents, not_deployment, plan_to_check, scripted_target, target};
use crate::app::cli::ApiArgs;
use crate::core::messages::Mode;
use crate::core::rollout::{Limits, Policy, TargetRule};

/// What a call asks about an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// How it is now.
    Now,
    /// How the rollout of its target ends, within this time.
    Ending {
        within: Duration,
        /// The id of the target.
        deployment: Option<String>,
        /// Without it, the deployment that the target comes after; without either, it is what is desired.
        previous: Option<String>,
    },
}

/// What a call will do; without an agent it is about that of `pcc-deploy.toml`.
pub(crate) fn mcp_plan(api: ApiArgs, agent: Option<&str>, question: Question) -> Result<Plan> {
    let named: Vec<String> = agent.map(str::to_owned).into_iter().collect();
    let agents = agents::select(&named, None)?;
    let mode = match question {
        Question::Now => Mode::Status,
        Question::Ending { .. } => Mode::Watch,
    };
    let mut plan = plan_to_check(api, agents, OutputPlan::silent(mode))?;
    let current = || scripted_target(&plan.source, &plan.agents[0]);
    let policy = match question {
        Question::Now => Policy::single_check(current(), Limits::default()),
        Question::Ending {
            within,
            deployment,
            previous,
        } => {
            let rule = match (deployment, previous) {
                (Some(id), _) => TargetRule::Deployment(target::id("deployment_id", &id)?),
                (None, Some(id)) => not_deployment(target::id("previous_deployment_id", &id)?),
                (None, None) => current(),
            };
            let limits = Limits {
                timeout: within,
                ..Limits::default()
            };
            Policy::new(rule, limits)?
        }
    };
    plan.policies = vec![policy];
    Ok(plan)
}
