//! What can be typed: the commands and their options. What we make of it is in `plan`.
//!
//! An option is described once, here: its variable is `PIPECAT_ROLLOUT_` and its name where it has `env`.

mod help;
mod history;
mod read;
mod values;
mod watch;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::history::{GroupArg, HistoryArgs, HistoryFormat};
pub(crate) use self::read::Variables;
use self::values::{
    AnyScenario, StyleOrAuto, at_least_one, local_address, log_lines, positive_duration,
    style_or_auto, words,
};
pub(crate) use self::values::{Listen, PositiveTime, Time, list};
pub(crate) use self::watch::{LogArg, WatchArgs, WatchKeys};
use crate::adapters::output::ResultFormat;
use crate::adapters::simulator::Speed;
use crate::core::rollout::{Unchanged, Until};
use crate::core::text::parse_duration;

/// Where the API is unless it is said.
pub(crate) const DEFAULT_API_URL: &str = "https://api.pipecat.daily.co/v1";

/// Waits for a Pipecat Cloud deployment and tells you whether it really rolled out
#[derive(Debug, Parser)]
#[command(
    version = env!("PIPECAT_ROLLOUT_VERSION"),
    max_term_width = 100,
    after_help = help::EXIT_CODES,
    after_long_help = help::OVERVIEW
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Log more on stderr: -v requests, -vv libraries
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// Print only how it ended, and only on failure
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// What was not typed, and where it is from.
    #[arg(skip)]
    pub(crate) variables: Variables,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Wait until the rollout has ended, and exit with its verdict
    #[command(visible_alias = "wait", after_help = help::EXIT_CODES, after_long_help = help::WAIT)]
    WaitForReady(Box<WaitArgs>),
    /// Run a deploy command, and follow what it deploys
    #[command(after_help = help::EXIT_CODES, after_long_help = help::RUN)]
    Run(Box<RunArgs>),
    /// Check once: exit 0 if ready, 124 if still progressing
    #[command(after_help = help::EXIT_CODES, after_long_help = help::STATUS)]
    Status(Box<StatusArgs>),
    /// Follow the rollouts of a whole organization, as a sidecar
    #[command(after_long_help = help::WATCH)]
    Watch(Box<WatchArgs>),
    /// Show the rollouts that `watch` has seen, and what they add up to
    #[command(after_long_help = help::HISTORY)]
    History(HistoryArgs),
    /// Serve an agents API on loopback that plays scripted rollouts
    #[command(after_long_help = help::SIMULATE)]
    Simulate(SimulateArgs),
    /// Serve read-only tools to coding agents on stdin and stdout (MCP)
    #[command(after_long_help = help::MCP)]
    Mcp(McpArgs),
    /// Print a completion script for your shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, of the program or of one of its commands
    Man {
        /// The command
        command: Option<String>,
    },
}

/// `wait-for-ready`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) follow: FollowArgs,

    /// End as soon as one agent is not ready
    #[arg(long, env, help_heading = "Verdict")]
    pub(crate) fail_fast: bool,
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The agent; by default the one that COMMAND deploys
    ///
    /// That is known where COMMAND is the vendor's CLI. Otherwise it is `agent_name` of ./pcc-deploy.toml.
    pub(crate) agent: Option<String>,

    #[arg(long, value_name = "FILE", conflicts_with = "agent", help = help::CONFIG_FILE, long_help = help::CONFIG_FILE_LONG)]
    pub(crate) config_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) follow: FollowArgs,

    /// When the rollout fails, do not ask the command to end; only wait for it
    #[arg(long, env, help_heading = "Verdict")]
    pub(crate) let_command_finish: bool,

    /// The command that deploys, and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) survey: SurveyArgs,
    #[command(flatten)]
    pub(crate) restarts: RestartArgs,
}

/// What the commands share that follow a rollout to its end.
#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    #[command(flatten)]
    pub(crate) api: ApiArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) smoke: SmokeArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
}

/// `status --all`.
#[derive(Debug, Args)]
#[command(next_help_heading = "All agents")]
pub(crate) struct SurveyArgs {
    /// Check every agent of the organization
    ///
    /// The worst verdict decides the exit code.
    #[arg(long, conflicts_with_all = help::OF_SOME_AGENTS)]
    pub(crate) all: bool,

    /// Only agents whose name fits this pattern; repeatable
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub(crate) include: Vec<String>,

    /// No agents whose name fits this pattern; repeatable
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub(crate) exclude: Vec<String>,

    /// Only agents in this region; repeatable
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',')]
    pub(crate) regions: Vec<String>,

    /// Check again and again, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
}

/// What is watched.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// The agents; by default `agent_name` of ./pcc-deploy.toml
    #[arg(value_name = "AGENT")]
    pub(crate) agents: Vec<String>,

    #[arg(long, value_name = "FILE", conflicts_with = "agents", help = help::CONFIG_FILE, long_help = help::CONFIG_FILE_LONG)]
    pub(crate) config_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Which deployment the verdict is about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
#[group(multiple = false)]
pub(crate) struct TargetArgs {
    /// Judge this deployment; - reads it from stdin
    ///
    /// It is waited for while the API still shows another one. Stdin may hold the id, or the JSON that
    /// `pipecat cloud deploy` prints.
    #[arg(long, value_name = "ID", env)]
    pub(crate) deployment: Option<String>,

    /// Judge the first that is newer than in this report
    ///
    /// The file is the JSON report of `status` from before the deploy; - reads it from stdin.
    #[arg(long, value_name = "FILE", env)]
    pub(crate) baseline: Option<PathBuf>,

    /// Judge the first deployment that is not this one, the one from before the deploy
    #[arg(long, value_name = "ID", env)]
    pub(crate) not_deployment: Option<String>,

    /// Judge the deployment of this commit, of an agent that deploys on a push to GitHub
    #[arg(long, value_name = "SHA", env)]
    pub(crate) commit: Option<String>,
}

/// Where rollouts go as traces.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct TraceArgs {
    /// Send each rollout as a trace to this OpenTelemetry receiver
    ///
    /// It speaks OTLP over HTTP. Without it, `OTEL_EXPORTER_OTLP_ENDPOINT` and its like are read.
    #[arg(long, value_name = "URL", env, hide_env_values = true)]
    pub(crate) otlp_endpoint: Option<String>,
}

/// Where the API is, and who asks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "API")]
pub(crate) struct ApiArgs {
    #[arg(long, value_name = "URL", env = "PIPECAT_API_URL", help = help::API_URL)]
    pub(crate) api_url: Option<String>,

    #[arg(long, value_name = "PATH", env, help = help::KEY_FILE, long_help = help::KEY_FILE_LONG)]
    pub(crate) api_key_file: Option<PathBuf>,

    #[arg(long, value_name = "PATH", env, help = help::CA_FILE)]
    pub(crate) ca_file: Option<PathBuf>,

    #[arg(long, env, help = help::INSECURE_HTTP)]
    pub(crate) allow_insecure_http: bool,

    /// Send at most this many requests a second, over all agents
    #[arg(long, value_name = "N", env, default_value = "10", value_parser = at_least_one)]
    pub(crate) max_rps: NonZeroU32,

    /// Play a scripted rollout instead
    ///
    /// That is a scenario, by name or from a file; it takes the place of the API.
    #[arg(long, value_name = "SCENARIO", env, value_parser = AnyScenario, hide_possible_values = true)]
    pub(crate) simulate: Option<String>,

    /// Run the scenario, and the clock of the watch, this many times as fast
    #[arg(long, value_name = "FACTOR", env, default_value = "1")]
    pub(crate) speed: Speed,
}

/// When crashing is a failure.
#[derive(Debug, Args)]
#[command(next_help_heading = "Verdict")]
pub(crate) struct RestartArgs {
    /// Restarts per started replica at which crashing is a failure
    #[arg(long, value_name = "N", env, default_value = "3", value_parser = at_least_one)]
    pub(crate) max_restarts: NonZeroU32,
}

/// When to stop waiting, and what counts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Verdict")]
pub(crate) struct LimitArgs {
    /// Give up after this long (90s, 10m, 1h 30m)
    #[arg(long, value_name = "TIME", env, default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,

    /// Give up when nothing has moved for this long; 0 is never
    #[arg(long, value_name = "TIME", env, default_value = "0s", value_parser = parse_duration)]
    pub(crate) stall_timeout: Duration,

    /// How long the agent or the new deployment may take to appear
    #[arg(long, value_name = "TIME", env, default_value = "30s", value_parser = parse_duration)]
    pub(crate) appear_timeout: Duration,

    /// Give up when every poll has failed for this long
    #[arg(long, value_name = "TIME", env, default_value = "2m", value_parser = parse_duration)]
    pub(crate) outage_timeout: Duration,

    /// How long it must stay ready
    #[arg(long, value_name = "TIME", env, default_value = "0s", value_parser = parse_duration)]
    pub(crate) stable_for: Duration,

    #[command(flatten)]
    pub(crate) restarts: RestartArgs,

    /// How long an image may fail to be pulled, or a container to be created
    #[arg(long, value_name = "TIME", env, default_value = "20s", value_parser = parse_duration)]
    pub(crate) pull_grace: Duration,

    /// What counts as complete
    ///
    /// ready: the new deployment is ready. warm: it also has as many ready replicas as the agent keeps at least.
    /// drained: also nothing of the old deployment is left, nor any call on it.
    #[arg(long, value_name = "WHEN", env, default_value = "ready", value_parser = words::<Until>())]
    pub(crate) until: Until,

    /// Fail if the old code goes on serving
    ///
    /// That is so where the deployment runs on another deployment's revision; it is ready only when a
    /// revision of its own shows.
    #[arg(long, env)]
    pub(crate) require_new_revision: bool,

    /// What to make of it when no new deployment appears
    ///
    /// fail: exit 13, the deploy did nothing. accept: judge the current deployment.
    #[arg(long, value_name = "WHAT", env, default_value = "fail", value_parser = words::<Unchanged>())]
    pub(crate) if_unchanged: Unchanged,

    /// Poll at this interval instead of adaptive polling
    #[arg(long, value_name = "TIME", env, value_parser = positive_duration)]
    pub(crate) poll_interval: Option<Duration>,
}

/// Whether a session has to run as well.
#[derive(Debug, Args)]
#[command(next_help_heading = "Smoke session")]
pub(crate) struct SmokeArgs {
    /// When it is ready, check a session of it
    ///
    /// The session is started, must run on the new deployment and log no exception, and is ended. It costs
    /// what a session of up to a quarter of a minute costs, takes an instance meanwhile, and runs your bot
    /// with all that it does.
    #[arg(long, env)]
    pub(crate) smoke: bool,

    /// File with the public API key that starts it; without it, `PIPECAT_PUBLIC_API_KEY`
    #[arg(long, value_name = "PATH", env)]
    pub(crate) smoke_key_file: Option<PathBuf>,

    /// File with the JSON that the bot is started with
    #[arg(long, value_name = "FILE", env)]
    pub(crate) smoke_body: Option<PathBuf>,

    /// How long it may take, a wait for a free instance included
    #[arg(long, value_name = "TIME", env, default_value = "2m", value_parser = positive_duration)]
    pub(crate) smoke_timeout: Duration,
}

/// What is shown, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The result on stdout
    #[arg(short, long, value_name = "FORMAT", env, default_value = "text")]
    pub(crate) output: ResultFormat,

    /// The progress on stderr
    ///
    /// tty: a status line for each agent. plain: a line for each change. github: plain lines in a group, and
    /// annotations. gitlab: plain lines in a section that can be collapsed. json: structured logs, one JSON
    /// object a line. auto: github or gitlab where it runs there, tty on a terminal, else plain.
    #[arg(long, value_name = "STYLE", env, default_value = "auto", value_parser = style_or_auto())]
    pub(crate) progress: StyleOrAuto,

    /// Do not notify through the terminal
    ///
    /// Otherwise it notifies, and rings its bell, when a rollout of more than 30 seconds has ended.
    #[arg(long, env)]
    pub(crate) no_notify: bool,

    /// On failure, show this many of the last lines that the deployment logged, up to 1000
    #[arg(long, value_name = "LINES", env, default_value = "25", value_parser = log_lines)]
    pub(crate) logs: usize,

    /// Write the JSON report to this file as well
    #[arg(long, value_name = "PATH", env)]
    pub(crate) report_file: Option<PathBuf>,

    /// Write the verdicts to this file as JUnit XML
    #[arg(long, value_name = "PATH", env)]
    pub(crate) junit: Option<PathBuf>,

    /// Write the verdict to this file as variables for later jobs (a dotenv artifact of GitLab's)
    #[arg(long, value_name = "PATH", env)]
    pub(crate) dotenv: Option<PathBuf>,
}

/// `mcp`.
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    #[command(flatten)]
    pub(crate) api: ApiArgs,

    #[arg(long, value_name = "PATH", env, help = help::STORE, long_help = help::STORE_LONG)]
    pub(crate) store: Option<PathBuf>,
}

/// `simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The scenario, by name or from a file
    #[arg(default_value = "rolling-update", value_parser = AnyScenario, hide_possible_values = true)]
    pub(crate) scenario: String,

    /// An agent that plays it, or NAME=SCENARIO; repeatable
    #[arg(
        long = "agent",
        value_name = "NAME[=SCENARIO]",
        default_value = "voice-starter"
    )]
    pub(crate) agents: Vec<String>,

    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = local_address)]
    pub(crate) listen: SocketAddr,

    /// Accept only this API key, a toy's and not yours; by default any
    #[arg(long, value_name = "TEXT")]
    pub(crate) accept_key: Option<String>,

    /// Run the scenarios this many times as fast
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    pub(crate) speed: Speed,

    /// Begin with the first read of an agent instead of a deploy (POST)
    #[arg(long)]
    pub(crate) autoplay: bool,

    /// List the scenarios that are built in
    #[arg(long)]
    pub(crate) list: bool,
}
