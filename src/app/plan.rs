//! What we will do: the command line, the environment and the files that go with it, checked.

mod agents;
mod key;
mod output;
mod scenario;
mod stdin;
mod watch;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

pub use self::agents::{BadAgents, agent_of_deploy_file};
pub(crate) use self::key::KeyError;
pub(crate) use self::output::{Auto, OutputPlan};
pub(crate) use self::scenario::{ScenarioError, load_scenario};
pub(crate) use self::stdin::BadStdin;
pub(crate) use self::watch::{BadFile, BadSink, WatchPlan, default_store, watch_plan};
pub use self::watch::{Slip, check_watch_file};
use crate::adapters::api::{ApiKey, ApiUrl, BadApiUrl, PlainHttp};
use crate::adapters::simulator::{Scenario, Speed};
use crate::app::cli::{
    ApiArgs, IfUnchangedArg, LimitArgs, RunArgs, StatusArgs, SubjectArgs, UntilArg, WaitArgs,
};
use crate::core::fleet::{BadFilter, BadPattern};
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{BadPolicy, Limits, NewRevision, Policy, TargetRule, Unchanged, Until};
use crate::core::wire::AgentName;

/// Why the command line, the environment or a file asks for what cannot be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    Agents(#[from] BadAgents),
    #[error("--api-url (or PIPECAT_API_URL): {0}")]
    Url(#[from] BadApiUrl),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Policy(#[from] BadPolicy),
    #[error("--poll-interval must be longer than zero")]
    NoInterval,
    #[error(
        "{switch} names a deployment of one agent, but {agents} agents are given; run one for each"
    )]
    OneTargetForMany { switch: &'static str, agents: usize },
    #[error("{0} is empty; leave it out, or give the id of a deployment")]
    EmptyId(&'static str),
    #[error(transparent)]
    Stdin(#[from] BadStdin),
    #[error(transparent)]
    File(#[from] BadFile),
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    #[error(transparent)]
    Verdict(#[from] BadFilter),
    #[error("{0} must be longer than zero")]
    ZeroTime(&'static str),
    #[error(transparent)]
    Sink(#[from] BadSink),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// Agents to look at, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) agents: Vec<AgentName>,
    pub(crate) source: Source,
    pub(crate) policy: Policy,
    pub(crate) pace: Pace,
    /// The most requests a second, over all agents.
    pub(crate) max_rps: NonZeroU32,
    pub(crate) together: Together,
    pub(crate) output: OutputPlan,
}

/// What the end of one agent's watch means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Together {
    /// Nothing: each is followed to its own end.
    EachToItsEnd,
    /// The first that is not ready ends all.
    FailFast,
}

/// Whom to ask.
#[derive(Debug)]
pub(crate) enum Source {
    /// The API.
    Api {
        url: ApiUrl,
        key: ApiKey,
        ca_file: Option<PathBuf>,
    },
    /// A simulator of our own.
    Simulator {
        scenario: Box<Scenario>,
        speed: Speed,
    },
}

/// What `wait-for-ready` will do.
pub(crate) fn wait_plan(args: WaitArgs, output: OutputPlan) -> Result<Plan, ConfigError> {
    let agents = agents::select(&args.subject.agents)?;
    let max_rps = args.api.max_rps;
    let source = source(args.api)?;
    let target = target(args.subject, &agents, &source)?;
    let pace = pace(args.limits.poll_interval)?;
    let policy = Policy::new(target, limits(&args.limits))?;
    Ok(Plan {
        agents,
        source,
        policy,
        pace,
        max_rps,
        together: if args.fail_fast {
            Together::FailFast
        } else {
            Together::EachToItsEnd
        },
        output,
    })
}

/// What `run` will do around its command: which deployment to wait for shows before it.
pub(crate) fn run_plan(args: RunArgs, output: OutputPlan) -> Result<Plan, ConfigError> {
    let agents = agents::select(args.agent.as_slice())?;
    Ok(Plan {
        agents,
        max_rps: args.api.max_rps,
        source: source(args.api)?,
        policy: Policy::new(TargetRule::FirstSeen, limits(&args.limits))?,
        pace: pace(args.limits.poll_interval)?,
        together: Together::EachToItsEnd,
        output,
    })
}

/// What `status` will do.
pub(crate) fn status_plan(args: StatusArgs, output: OutputPlan) -> Result<Plan, ConfigError> {
    let agents = agents::select(&args.subject.agents)?;
    let max_rps = args.api.max_rps;
    let source = source(args.api)?;
    let target = target(args.subject, &agents, &source)?;
    let limits = Limits {
        max_restarts: args.max_restarts,
        ..Limits::default()
    };
    Ok(Plan {
        agents,
        source,
        policy: Policy::one_look(target, limits),
        pace: Pace::Adaptive,
        max_rps,
        together: Together::EachToItsEnd,
        output,
    })
}

fn target(
    subject: SubjectArgs,
    agents: &[AgentName],
    source: &Source,
) -> Result<TargetRule, ConfigError> {
    let given = [
        ("--deployment", &subject.deployment),
        ("--not-deployment", &subject.not_deployment),
    ];
    for (switch, id) in given {
        let Some(id) = id else { continue };
        if id.trim().is_empty() {
            return Err(ConfigError::EmptyId(switch));
        }
        if agents.len() > 1 {
            return Err(ConfigError::OneTargetForMany {
                switch,
                agents: agents.len(),
            });
        }
    }
    let scripted = match source {
        Source::Simulator { scenario, .. } => agents
            .first()
            .zip(scenario.baseline())
            .map(|(agent, alias)| Scenario::deployment_id(agent.as_str(), 1, alias)),
        Source::Api { .. } => None,
    };
    Ok(
        match (subject.deployment, subject.not_deployment, scripted) {
            (Some(id), ..) if id == "-" => TargetRule::Deployment(stdin::deployment_id()?),
            (Some(id), ..) => TargetRule::Deployment(id.trim().to_owned()),
            (None, Some(id), _) => TargetRule::AnyBut(id.trim().to_owned()),
            (None, None, Some(baseline)) => TargetRule::AnyBut(baseline),
            (None, None, None) => TargetRule::FirstSeen,
        },
    )
}

fn source(args: ApiArgs) -> Result<Source, ConfigError> {
    if let Some(name) = args.simulate {
        return Ok(Source::Simulator {
            scenario: Box::new(load_scenario(&name)?),
            speed: args.speed,
        });
    }
    let plain_http = if args.allow_insecure_http {
        PlainHttp::Anywhere
    } else {
        PlainHttp::LoopbackOnly
    };
    Ok(Source::Api {
        url: ApiUrl::parse(&args.api_url, plain_http)?,
        key: key::find(args.api_key_file.as_deref())?,
        ca_file: args.ca_file,
    })
}

fn pace(interval: Option<Duration>) -> Result<Pace, ConfigError> {
    match interval {
        None => Ok(Pace::Adaptive),
        Some(interval) if interval.is_zero() => Err(ConfigError::NoInterval),
        Some(interval) => Ok(Pace::Fixed(interval)),
    }
}

fn limits(args: &LimitArgs) -> Limits {
    Limits {
        timeout: args.timeout,
        stall_timeout: Some(args.stall_timeout).filter(|limit| !limit.is_zero()),
        appear_timeout: args.appear_timeout,
        outage_timeout: args.outage_timeout,
        stable_for: args.stable_for,
        max_restarts: args.max_restarts,
        pull_grace: args.pull_grace,
        until: match args.until {
            UntilArg::Ready => Until::Ready,
            UntilArg::Drained => Until::Drained,
        },
        new_revision: if args.require_new_revision {
            NewRevision::Required
        } else {
            NewRevision::Optional
        },
        unchanged: match args.if_unchanged {
            IfUnchangedArg::Fail => Unchanged::Fail,
            IfUnchangedArg::Accept => Unchanged::Accept,
        },
    }
}
