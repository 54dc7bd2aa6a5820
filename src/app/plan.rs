//! What we will do: the command line, the environment and the files that go with it, checked.

mod agents;
mod output;
mod scenario;
mod smoke;
mod target;
mod vendor_command;
mod watch;

use std::io::{self, IsTerminal as _};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::agents::BadAgents;
pub use self::agents::{BadDeployFile, agent_of_deploy_file};
pub(crate) use self::output::{Auto, OutputPlan, is_on_github};
pub(crate) use self::scenario::{ScenarioError, load_scenario};
pub(crate) use self::smoke::{Smoke, SmokeError};
pub(crate) use self::target::TargetError;
pub use self::watch::{FileProblem, check_watch_file};
pub(crate) use self::watch::{WatchPlan, check_files, default_store, watch_plan};
use crate::adapters::api::{ApiUrl, BadApiUrl, Credentials, CredentialsError, PlainHttp};
use crate::adapters::output::ResultFormat;
use crate::adapters::simulator::{Scenario, Speed};
use crate::app::cli::{
    ApiArgs, DEFAULT_API_URL, IfUnchangedArg, LimitArgs, RunArgs, StatusArgs, SubjectArgs,
    UntilArg, WaitArgs,
};
use crate::app::poll_loop::Tempo;
use crate::core::fleet::{BadFilter, BadPattern, Scope};
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{
    Baseline, InvalidPolicy, Limits, NewRevision, Policy, TargetRule, Unchanged, Until,
};
use crate::core::wire::AgentName;

/// How long `status` waits for what it reads from stdin.
const STDIN_LIMIT: Duration = Duration::from_secs(30);

/// Why the command line, the environment or a file asks for what cannot be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    Agents(#[from] BadAgents),
    #[error("{place}: {error}")]
    Url {
        place: &'static str,
        error: BadApiUrl,
    },
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    #[error("--poll-interval must be longer than zero")]
    NoInterval,
    #[error("--watch redraws a table on a terminal, and stdout is none; leave --watch out")]
    NoTerminal,
    #[error(
        "--watch redraws a table on a terminal, and JSON is none; leave out --watch or --output"
    )]
    WatchedJson,
    #[error(
        "{switch} names a deployment of one agent, but {agents} agents are given; run one for each"
    )]
    OneTargetForMany { switch: &'static str, agents: usize },
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Smoke(#[from] SmokeError),
    #[error("{}{}", place(.0, .1), .1.what)]
    File(PathBuf, FileProblem),
    #[error("{0}")]
    CaFile(String),
    #[error("--http-token-file: {0}")]
    HttpToken(String),
    #[error("--store: {} cannot be opened or made", path.display())]
    Store { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    #[error(transparent)]
    Verdict(#[from] BadFilter),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// The place in the file where a problem is, if it is in one.
fn place(path: &Path, problem: &FileProblem) -> String {
    let line = problem.line;
    line.map_or_else(String::new, |line| {
        format!("{}, line {line}: ", path.display())
    })
}

/// Agents to look at, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) agents: Vec<AgentName>,
    pub(crate) source: Source,
    /// What to judge of each agent, in the same order.
    pub(crate) policies: Vec<Policy>,
    pub(crate) pace: Pace,
    /// The most requests a second, over all agents.
    pub(crate) max_rps: NonZeroU32,
    pub(crate) on_failure: OnFailure,
    /// The session to start when an agent is ready.
    pub(crate) smoke: Option<Arc<Smoke>>,
    pub(crate) output: OutputPlan,
}

/// Which agents of the list are checked, how, and how often.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) scope: Scope,
    pub(crate) limits: Limits,
    pub(crate) rounds: Rounds,
}

/// How often the agents are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounds {
    One,
    /// Again and again, until a signal.
    Endless,
}

/// What the end of one agent's watch means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Nothing: each is followed to its own end.
    Continue,
    /// The first that is not ready ends all.
    FailFast,
}

/// What the verdict of `run` means for its deploy command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandEnd {
    /// It is asked to end when the rollout is not ready.
    WithTheVerdict,
    /// It is waited for.
    ByItself,
}

/// Whom to ask.
#[derive(Debug)]
pub(crate) enum Source {
    /// The API.
    Api {
        url: ApiUrl,
        credentials: Box<Credentials>,
        ca_file: Option<PathBuf>,
    },
    /// A simulator of our own.
    Simulator {
        scenario: Box<Scenario>,
        speed: Speed,
    },
}

impl Plan {
    /// How often to poll, and how fast the clock runs: that of a rehearsal as fast as its scenario.
    pub(crate) fn tempo(&self) -> Tempo {
        let speed = match self.source {
            Source::Api { .. } => Speed::REAL,
            Source::Simulator { speed, .. } => speed,
        };
        let pace = self.pace;
        Tempo { pace, speed }
    }
}

/// What `wait-for-ready` will do.
pub(crate) fn wait_plan(args: WaitArgs, output: OutputPlan) -> Result<Plan, ConfigError> {
    let agents = select(&args.subject)?;
    let max_rps = args.api.max_rps;
    let source = source(args.api)?;
    let limits = limits(&args.limits);
    let mut targets = targets(&args.subject, &agents, &source, limits.timeout)?;
    if let Some(sha) = target::pushed_commit() {
        for target in targets
            .iter_mut()
            .filter(|it| **it == TargetRule::FirstSeen)
        {
            *target = TargetRule::Pushed(sha.clone());
        }
    }
    let pace = pace(args.limits.poll_interval)?;
    let smoke = smoke::smoke(&args.smoke, &source)?.map(Arc::new);
    let policies = targets
        .into_iter()
        .map(|target| Policy::new(target, limits.clone()));
    Ok(Plan {
        policies: policies.collect::<Result<_, _>>()?,
        agents,
        source,
        pace,
        max_rps,
        on_failure: if args.fail_fast {
            OnFailure::FailFast
        } else {
            OnFailure::Continue
        },
        smoke,
        output,
    })
}

/// What `run` will do around its command: which deployment to wait for shows before it.
pub(crate) fn run_plan(args: RunArgs, output: OutputPlan) -> Result<Plan, ConfigError> {
    let (named, file) = (args.agent.as_deref(), args.config_file.as_deref());
    let agents = vec![agents::of_deploy(named, file, &args.command)?];
    let max_rps = args.api.max_rps;
    let source = source(args.api)?;
    Ok(Plan {
        agents,
        max_rps,
        smoke: smoke::smoke(&args.smoke, &source)?.map(Arc::new),
        source,
        policies: vec![Policy::new(TargetRule::Deploy, limits(&args.limits))?],
        pace: pace(args.limits.poll_interval)?,
        on_failure: OnFailure::Continue,
        output,
    })
}

/// What `status` will do.
pub(crate) fn status_plan(args: StatusArgs, output: OutputPlan) -> Result<Plan, ConfigError> {
    let agents = select(&args.subject)?;
    let max_rps = args.api.max_rps;
    let source = source(args.api)?;
    let targets = targets(&args.subject, &agents, &source, STDIN_LIMIT)?;
    let limits = Limits {
        max_restarts: args.max_restarts,
        ..Limits::default()
    };
    Ok(Plan {
        agents,
        source,
        policies: targets
            .into_iter()
            .map(|target| Policy::single_check(target, limits.clone()))
            .collect(),
        pace: Pace::Adaptive,
        max_rps,
        on_failure: OnFailure::Continue,
        smoke: None,
        output,
    })
}

fn select(subject: &SubjectArgs) -> Result<Vec<AgentName>, BadAgents> {
    agents::select(&subject.agents, subject.config_file.as_deref())
}

/// What `status --all` will do: the agents of the plan are those that the API lists.
pub(crate) fn survey_plan(
    args: StatusArgs,
    mut output: OutputPlan,
) -> Result<(Plan, Survey), ConfigError> {
    let survey = args.survey;
    let rounds = match (survey.watch, output.result) {
        (false, _) => Rounds::One,
        (true, ResultFormat::Json) => return Err(ConfigError::WatchedJson),
        (true, ResultFormat::Text) if !io::stdout().is_terminal() => {
            return Err(ConfigError::NoTerminal);
        }
        (true, ResultFormat::Text) => Rounds::Endless,
    };
    // Neither a block for each that is not ready, nor their logs.
    output.for_table();
    let plan = Plan {
        agents: Vec::new(),
        max_rps: args.api.max_rps,
        source: source(ApiArgs {
            simulate: None,
            ..args.api
        })?,
        policies: Vec::new(),
        pace: Pace::Adaptive,
        on_failure: OnFailure::Continue,
        smoke: None,
        output,
    };
    let survey = Survey {
        scope: Scope::new(&survey.include, &survey.exclude, survey.regions)?,
        limits: Limits {
            max_restarts: args.max_restarts,
            ..Limits::default()
        },
        rounds,
    };
    Ok((plan, survey))
}

/// The target of each agent.
fn targets(
    subject: &SubjectArgs,
    agents: &[AgentName],
    source: &Source,
    limit: Duration,
) -> Result<Vec<TargetRule>, ConfigError> {
    let of_one = |switch| match agents {
        [agent] => Ok(agent),
        several => Err(ConfigError::OneTargetForMany {
            switch,
            agents: several.len(),
        }),
    };
    if let Some(given) = &subject.deployment {
        let agent = of_one("--deployment")?;
        let id = match given.as_str() {
            "-" => target::id_of_stdin(agent, limit)?,
            given => target::id("--deployment", given)?,
        };
        return Ok(vec![TargetRule::Deployment(id)]);
    }
    if let Some(given) = &subject.not_deployment {
        of_one("--not-deployment")?;
        return Ok(vec![not_deployment(target::id("--not-deployment", given)?)]);
    }
    if let Some(path) = &subject.baseline {
        let source = if path.as_os_str() == "-" {
            target::Source::Stdin
        } else {
            target::Source::File(path)
        };
        return Ok(target::baselines(source, agents, limit)?);
    }
    if let Some(given) = &subject.commit {
        let rule = TargetRule::Commit(target::commit("--commit", given)?);
        return Ok(vec![rule; agents.len()]);
    }
    Ok(agents
        .iter()
        .map(|agent| scripted_target(source, agent))
        .collect())
}

/// Of a simulated agent the baseline of its scenario, else what is seen first.
fn scripted_target(source: &Source, agent: &AgentName) -> TargetRule {
    match source {
        Source::Simulator { scenario, .. } => match scenario.baseline() {
            Some(alias) => not_deployment(Scenario::deployment_id(agent.as_str(), 1, alias)),
            None => TargetRule::FirstSeen,
        },
        Source::Api { .. } => TargetRule::FirstSeen,
    }
}

fn not_deployment(id: String) -> TargetRule {
    TargetRule::NewerThan(Baseline {
        deployment_id: Some(id),
        created_at: None,
    })
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
        url: api_url(args.api_url.as_deref(), plain_http)?,
        credentials: Box::new(Credentials::find(args.api_key_file.as_deref())?),
        ca_file: args.ca_file,
    })
}

/// Where the API is: `given`, else where the vendor's CLI is told that it is, else the vendor's.
fn api_url(given: Option<&str>, plain_http: PlainHttp) -> Result<ApiUrl, ConfigError> {
    const HOST: &str = "PIPECAT_API_HOST";
    let host = std::env::var(HOST).ok().filter(|host| !host.is_empty());
    let (place, url) = match (given, &host) {
        (Some(given), _) => ("--api-url (or PIPECAT_API_URL)", given),
        (None, Some(host)) => (HOST, host.as_str()),
        (None, None) => ("--api-url", DEFAULT_API_URL),
    };
    ApiUrl::parse(url, plain_http).map_err(|error| ConfigError::Url { place, error })
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
            UntilArg::Warm => Until::Warm,
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
