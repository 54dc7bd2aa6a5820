//! What we will do: the command line, the environment and the files that go with it, checked.

mod agents;
mod mcp;
mod output;
mod scenario;
mod smoke;
mod target;
mod telemetry;
mod vendor_command;
mod watch;

use std::fs;
use std::io::{self, IsTerminal as _};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

pub use self::agents::agent_of_deploy_file;
pub(crate) use self::mcp::{Question, mcp_plan};
pub(crate) use self::output::{OutputPlan, is_on_github};
pub(crate) use self::scenario::load_scenario;
pub(crate) use self::smoke::Smoke;
pub use self::watch::check_watch_file;
pub(crate) use self::watch::{WatchPlan, check_files, default_store, watch_plan};
use crate::adapters::api::{ApiUrl, Credentials, PlainHttp};
use crate::adapters::output::ResultFormat;
use crate::adapters::simulator::{Scenario, Speed};
use crate::app::cli::{
    ApiArgs, DEFAULT_API_URL, FollowArgs, LimitArgs, RestartArgs, RunArgs, StatusArgs, SubjectArgs,
    WaitArgs,
};
use crate::app::poll_loop::Tempo;
use crate::app::telemetry::Telemetry;
use crate::core::fleet::Scope;
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{Baseline, Limits, NewRevision, Policy, TargetRule};
use crate::core::wire::AgentName;

/// How long `status` waits for what it reads from stdin.
const STDIN_LIMIT: Duration = Duration::from_secs(30);

/// Agents to check or to follow, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) agents: Vec<AgentName>,
    pub(crate) source: Source,
    /// What to judge of each agent, in the same order.
    pub(crate) policies: Vec<Policy>,
    pub(crate) pace: Pace,
    /// The most requests a second, over all agents.
    pub(crate) max_rps: NonZeroU32,
    /// Whether the first agent that is not ready ends all; otherwise each is followed to its own end.
    pub(crate) fail_fast: bool,
    /// The session to start when an agent is ready.
    pub(crate) smoke: Option<Arc<Smoke>>,
    pub(crate) output: OutputPlan,
    /// Where the rollouts go as traces.
    pub(crate) telemetry: Option<Telemetry>,
}

/// Which agents of the list are checked, how, and how often.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) scope: Scope,
    pub(crate) limits: Limits,
    /// Whether they are checked again and again, until a signal.
    pub(crate) repeats: bool,
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
pub(crate) fn wait_plan(args: WaitArgs, output: OutputPlan) -> Result<Plan> {
    let limits = limits(&args.follow.limits);
    let agents = select(&args.subject)?;
    let mut plan = plan_to_follow(args.follow, agents, output)?;
    let mut targets = targets(&args.subject, &plan, limits.timeout)?;
    if let Some(sha) = target::pushed_commit() {
        for target in targets
            .iter_mut()
            .filter(|target| **target == TargetRule::FirstSeen)
        {
            *target = TargetRule::Pushed(sha.clone());
        }
    }
    let policies = targets
        .into_iter()
        .map(|target| Policy::new(target, limits.clone()));
    plan.policies = policies.collect::<Result<_, _>>()?;
    plan.fail_fast = args.fail_fast;
    Ok(plan)
}

/// What `run` will do around its command: which deployment to wait for shows before it.
pub(crate) fn run_plan(args: RunArgs, output: OutputPlan) -> Result<Plan> {
    let (named, file) = (args.agent.as_deref(), args.config_file);
    let agent = agents::of_deploy(named, file, &args.command)?;
    let policy = Policy::new(TargetRule::Deploy, limits(&args.follow.limits))?;
    let mut plan = plan_to_follow(args.follow, vec![agent], output)?;
    plan.policies = vec![policy];
    Ok(plan)
}

/// What `status` will do.
pub(crate) fn status_plan(args: StatusArgs, output: OutputPlan) -> Result<Plan> {
    let mut plan = plan_to_check(args.api, select(&args.subject)?, output)?;
    let targets = targets(&args.subject, &plan, STDIN_LIMIT)?;
    let limits = limits_of_a_check(&args.restarts);
    let policies = targets
        .into_iter()
        .map(|target| Policy::single_check(target, limits.clone()));
    plan.policies = policies.collect();
    Ok(plan)
}

fn select(subject: &SubjectArgs) -> Result<Vec<AgentName>> {
    agents::select(&subject.agents, subject.config_file.clone())
}

fn plan_to_follow(args: FollowArgs, agents: Vec<AgentName>, output: OutputPlan) -> Result<Plan> {
    let telemetry = telemetry::telemetry(&args.trace, args.api.ca_file.as_deref())?;
    let mut plan = plan_to_check(args.api, agents, output)?;
    plan.telemetry = telemetry;
    plan.pace = args
        .limits
        .poll_interval
        .map_or(Pace::Adaptive, Pace::Fixed);
    plan.smoke = smoke::smoke(&args.smoke, &plan.source)?.map(Arc::new);
    Ok(plan)
}

fn plan_to_check(args: ApiArgs, agents: Vec<AgentName>, output: OutputPlan) -> Result<Plan> {
    Ok(Plan {
        agents,
        max_rps: args.max_rps,
        source: source(args)?,
        policies: Vec::new(),
        pace: Pace::Adaptive,
        fail_fast: false,
        smoke: None,
        output,
        telemetry: None,
    })
}

/// What `status --all` will do: the agents of the plan are those that the API lists.
pub(crate) fn survey_plan(args: StatusArgs, mut output: OutputPlan) -> Result<(Plan, Survey)> {
    let survey = args.survey;
    ensure!(
        !survey.watch || output.result == ResultFormat::Text,
        "--watch redraws a table on a terminal, and JSON is none; leave out --watch or --output"
    );
    ensure!(
        !survey.watch || io::stdout().is_terminal(),
        "--watch redraws a table on a terminal, and stdout is none; leave --watch out"
    );
    // Neither a block for each that is not ready, nor their logs.
    output.for_table();
    let survey = Survey {
        scope: Scope::new(&survey.include, &survey.exclude, survey.regions)?,
        limits: limits_of_a_check(&args.restarts),
        repeats: survey.watch,
    };
    Ok((plan_to_check(args.api, Vec::new(), output)?, survey))
}

fn limits_of_a_check(args: &RestartArgs) -> Limits {
    Limits {
        max_restarts: args.max_restarts,
        ..Limits::default()
    }
}

/// The target of each agent.
fn targets(subject: &SubjectArgs, plan: &Plan, limit: Duration) -> Result<Vec<TargetRule>> {
    let agents = &plan.agents;
    let of_one = |option| match agents.as_slice() {
        [agent] => Ok(agent),
        several => Err(anyhow!(
            "{option} names a deployment of one agent, but {} agents are given; run one for each",
            several.len()
        )),
    };
    let given = &subject.target;
    if let Some(given) = &given.deployment {
        let agent = of_one("--deployment")?;
        let id = match given.as_str() {
            "-" => target::id_of_stdin(agent, limit)?,
            given => target::id("--deployment", given)?,
        };
        return Ok(vec![TargetRule::Deployment(id)]);
    }
    if let Some(given) = &given.not_deployment {
        of_one("--not-deployment")?;
        return Ok(vec![not_deployment(target::id("--not-deployment", given)?)]);
    }
    if let Some(path) = &given.baseline {
        return target::baselines(path, agents, limit);
    }
    let rule = |agent| match &given.commit {
        Some(given) => Ok(TargetRule::Commit(target::commit("--commit", given)?)),
        None => Ok(scripted_target(&plan.source, agent)),
    };
    agents.iter().map(rule).collect()
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
        noted_at: None,
        deployment_id: Some(id),
        created_at: None,
    })
}

fn source(args: ApiArgs) -> Result<Source> {
    if let Some(name) = args.simulate {
        return Ok(Source::Simulator {
            scenario: Box::new(load_scenario(&name)?),
            speed: args.speed,
        });
    }
    let plain_http = PlainHttp::new(args.allow_insecure_http);
    Ok(Source::Api {
        url: api_url(args.api_url.as_deref(), "--api-url", plain_http)?,
        credentials: Box::new(Credentials::find(args.api_key_file.as_deref())?),
        ca_file: args.ca_file,
    })
}

/// Where the API is: what is `given` there, else what the vendor's CLI is given, else the vendor's.
fn api_url(given: Option<&str>, given_by: &str, plain_http: PlainHttp) -> Result<ApiUrl> {
    const HOST: &str = "PIPECAT_API_HOST";
    let host = std::env::var(HOST).ok().filter(|host| !host.is_empty());
    let (place, url) = match (given, &host) {
        (Some(given), _) => (given_by, given),
        (None, Some(host)) => (HOST, host.as_str()),
        (None, None) => ("--api-url", DEFAULT_API_URL),
    };
    ApiUrl::parse(url, plain_http).map_err(|error| anyhow!("{place}: {error}"))
}

/// The path that a variable holds; one that is empty counts as not set.
fn path_in(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

/// The text of a file that an option names.
fn text_of(option: &str, path: &Path) -> Result<String> {
    let text = fs::read_to_string(path);
    text.with_context(|| format!("{option}: cannot read {}", path.display()))
}

fn limits(args: &LimitArgs) -> Limits {
    Limits {
        timeout: args.timeout,
        stall_timeout: Some(args.stall_timeout).filter(|limit| !limit.is_zero()),
        appear_timeout: args.appear_timeout,
        outage_timeout: args.outage_timeout,
        stable_for: args.stable_for,
        max_restarts: args.restarts.max_restarts,
        pull_grace: args.pull_grace,
        until: args.until,
        new_revision: if args.require_new_revision {
            NewRevision::Required
        } else {
            NewRevision::Optional
        },
        unchanged: args.if_unchanged,
    }
}
