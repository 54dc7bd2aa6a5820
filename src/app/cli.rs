//! What can be typed: the commands and their switches. What we make of it is in `config`.

mod duration;
mod help;
mod history;
mod values;
mod watch;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, Resettable};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{
    ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
};
use clap_complete::Shell;

pub use self::duration::parse as parse_duration;
pub(crate) use self::history::{GroupArg, HistoryArgs};
pub(crate) use self::values::{Listen, PositiveTime, Time, list};
pub(crate) use self::watch::{LogArg, WatchArgs, WatchKeys};
use crate::adapters::output::ResultFormat;
use crate::adapters::simulator::Speed;

/// Where the API is unless it is said.
pub(crate) const DEFAULT_API_URL: &str = "https://api.pipecat.daily.co/v1";

/// Tells, honestly and fast, whether a deployment on Pipecat Cloud has rolled out
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

    /// Log more on stderr: -v every request, -vv what the libraries do
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// Print only how it ended, and only if it did not end well
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
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
    /// Print a completion script for your shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the manual page, of the program or of one of its commands
    Man {
        /// The command
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

/// `wait-for-ready`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) smoke: SmokeArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// Give up on all agents as soon as one of them ends and is not ready
    #[arg(long, env = "PIPECAT_ROLLOUT_FAIL_FAST", value_parser = BoolishValueParser::new(), help_heading = "Verdict")]
    pub(crate) fail_fast: bool,
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The agent; without it, the one that COMMAND deploys, if that is the vendor's CLI, else
    /// `agent_name` of ./pcc-deploy.toml
    #[arg(value_name = "AGENT")]
    pub(crate) agent: Option<String>,

    /// The agent is `agent_name` of this file, instead of ./pcc-deploy.toml
    #[arg(long, value_name = "FILE", env = "PIPECAT_DEPLOY_CONFIG_PATH")]
    pub(crate) config_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) api: ApiArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) smoke: SmokeArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// Do not ask the command to end when the rollout has failed; only wait for it
    #[arg(
        long,
        env = "PIPECAT_ROLLOUT_LET_COMMAND_FINISH", value_parser = BoolishValueParser::new(),
        help_heading = "Verdict"
    )]
    pub(crate) let_command_finish: bool,

    /// The command that deploys, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
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

    /// Restarts per started replica at which crashing is a failure
    #[arg(
        long,
        value_name = "N",
        default_value = "3",
        env = "PIPECAT_ROLLOUT_MAX_RESTARTS",
        help_heading = "Verdict"
    )]
    pub(crate) max_restarts: NonZeroU32,
}

/// `status --all`.
#[derive(Debug, Args)]
#[command(next_help_heading = "All agents")]
pub(crate) struct SurveyArgs {
    /// Check every agent of the organization; the worst verdict decides
    #[arg(long)]
    pub(crate) all: bool,

    /// Only agents whose name fits this pattern; may be repeated [default: *]
    #[arg(long, value_name = "GLOB", value_delimiter = ',', requires = "all")]
    pub(crate) include: Vec<String>,

    /// No agents whose name fits this pattern; may be repeated
    #[arg(long, value_name = "GLOB", value_delimiter = ',', requires = "all")]
    pub(crate) exclude: Vec<String>,

    /// Only agents in this region; may be repeated
    #[arg(
        long = "region",
        value_name = "REGION",
        value_delimiter = ',',
        requires = "all"
    )]
    pub(crate) regions: Vec<String>,

    /// Check again and again, and redraw the table, until Ctrl-C
    #[arg(long, requires = "all")]
    pub(crate) watch: bool,
}

/// What is watched.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// The agents; without any, `agent_name` of ./pcc-deploy.toml
    #[arg(value_name = "AGENT")]
    pub(crate) agents: Vec<String>,

    /// The agent is `agent_name` of this file, instead of ./pcc-deploy.toml
    #[arg(long, value_name = "FILE", env = "PIPECAT_DEPLOY_CONFIG_PATH")]
    pub(crate) config_file: Option<PathBuf>,

    /// Judge this deployment, also while reads lag and still show another; - reads stdin: the id, or
    /// the JSON that `pipecat cloud deploy` prints
    #[arg(
        long,
        value_name = "ID",
        env = "PIPECAT_ROLLOUT_DEPLOYMENT",
        help_heading = "Target"
    )]
    pub(crate) deployment: Option<String>,

    /// Judge the first deployment that is newer than the one in this file: the JSON report of `status`
    /// from before the deploy; - reads stdin
    #[arg(
        long,
        value_name = "FILE",
        env = "PIPECAT_ROLLOUT_BASELINE",
        help_heading = "Target"
    )]
    pub(crate) baseline: Option<PathBuf>,

    /// Judge the first deployment that is not this one, the one from before the deploy
    #[arg(
        long,
        value_name = "ID",
        env = "PIPECAT_ROLLOUT_NOT_DEPLOYMENT",
        help_heading = "Target"
    )]
    pub(crate) not_deployment: Option<String>,

    /// Judge the deployment of this commit, of an agent that deploys on a push to GitHub
    #[arg(
        long,
        value_name = "SHA",
        env = "PIPECAT_ROLLOUT_COMMIT",
        help_heading = "Target"
    )]
    pub(crate) commit: Option<String>,
}

impl Command {
    /// Where the API is, of the commands that can simulate it.
    fn api(&mut self) -> Option<&mut ApiArgs> {
        match self {
            Command::WaitForReady(args) => Some(&mut args.api),
            Command::Run(args) => Some(&mut args.api),
            Command::Status(args) => Some(&mut args.api),
            _ => None,
        }
    }
}

impl ApiArgs {
    /// An address that was typed wins over a simulator of the environment.
    fn prefer_typed(&mut self, matches: &ArgMatches) {
        let from = |id| matches.value_source(id);
        let typed = from("api_url") == Some(ValueSource::CommandLine);
        if typed && from("simulate") == Some(ValueSource::EnvVariable) {
            self.simulate = None;
        }
    }
}

impl SubjectArgs {
    /// At most one switch can name the target; one that was typed wins over the environment.
    fn choose_target(
        &mut self,
        command: &mut clap::Command,
        matches: &ArgMatches,
    ) -> Result<(), clap::Error> {
        const SWITCHES: [(&str, &str, &str); 4] = [
            ("deployment", "--deployment", "PIPECAT_ROLLOUT_DEPLOYMENT"),
            ("baseline", "--baseline", "PIPECAT_ROLLOUT_BASELINE"),
            (
                "not_deployment",
                "--not-deployment",
                "PIPECAT_ROLLOUT_NOT_DEPLOYMENT",
            ),
            ("commit", "--commit", "PIPECAT_ROLLOUT_COMMIT"),
        ];
        let from = |source| {
            SWITCHES
                .into_iter()
                .filter(move |(id, ..)| matches.value_source(id) == Some(source))
        };
        let typed: Vec<_> = from(ValueSource::CommandLine).collect();
        let set: Vec<_> = from(ValueSource::EnvVariable).collect();
        let (given, names): (_, Vec<&str>) = if typed.is_empty() {
            (&set, set.iter().map(|(_, _, variable)| *variable).collect())
        } else {
            (&typed, typed.iter().map(|(_, switch, _)| *switch).collect())
        };
        if given.len() > 1 {
            let message = format!(
                "{} name one target each: give only one",
                names.join(" and ")
            );
            return Err(command.error(ErrorKind::ArgumentConflict, message));
        }
        let is = |name: &str| given.first().is_none_or(|(id, ..)| *id == name);
        self.deployment.take_if(|_| !is("deployment"));
        self.baseline.take_if(|_| !is("baseline"));
        self.not_deployment.take_if(|_| !is("not_deployment"));
        self.commit.take_if(|_| !is("commit"));
        Ok(())
    }
}

/// Where the API is, and who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "API")]
pub(crate) struct ApiArgs {
    /// Address of the API; without it, `PIPECAT_API_HOST` [default: <https://api.pipecat.daily.co/v1>]
    #[arg(
        long,
        value_name = "URL",
        env = "PIPECAT_API_URL",
        hide_env_values = true
    )]
    pub(crate) api_url: Option<String>,

    /// File with the private API key; without it, `PIPECAT_API_KEY`, `PCC_API_KEY` or
    /// `PIPECAT_CLOUD_API_KEY`, else what the vendor's CLI uses: `PIPECAT_TOKEN`, or its login
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_API_KEY_FILE")]
    pub(crate) api_key_file: Option<PathBuf>,

    /// File of further certificate authorities to trust (PEM)
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Allow plain http to other machines, with the key in the open
    #[arg(long, env = "PIPECAT_ROLLOUT_ALLOW_INSECURE_HTTP", value_parser = BoolishValueParser::new())]
    pub(crate) allow_insecure_http: bool,

    /// Send at most this many requests a second, over all agents
    #[arg(
        long,
        value_name = "N",
        default_value = "10",
        env = "PIPECAT_ROLLOUT_MAX_RPS"
    )]
    pub(crate) max_rps: NonZeroU32,

    /// Instead of the API: play a scripted rollout, by name or from a file
    #[arg(long, value_name = "SCENARIO", env = "PIPECAT_ROLLOUT_SIMULATE")]
    pub(crate) simulate: Option<String>,

    /// Run the scenario, and the clock of the watch, this many times as fast
    #[arg(
        long,
        value_name = "FACTOR",
        env = "PIPECAT_ROLLOUT_SPEED",
        default_value = "1"
    )]
    pub(crate) speed: Speed,
}

/// When to stop waiting, and what counts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Verdict")]
pub(crate) struct LimitArgs {
    /// Give up after this long (30, 90s, 10m, 1h 30m)
    #[arg(long, value_name = "TIME", default_value = "10m", env = "PIPECAT_ROLLOUT_TIMEOUT", value_parser = duration::parse)]
    pub(crate) timeout: Duration,

    /// Give up when nothing has moved for this long; 0 is never
    #[arg(long, value_name = "TIME", default_value = "0s", env = "PIPECAT_ROLLOUT_STALL_TIMEOUT", value_parser = duration::parse)]
    pub(crate) stall_timeout: Duration,

    /// How long the agent or the new deployment may take to appear
    #[arg(long, value_name = "TIME", default_value = "30s", env = "PIPECAT_ROLLOUT_APPEAR_TIMEOUT", value_parser = duration::parse)]
    pub(crate) appear_timeout: Duration,

    /// Give up when every poll has failed for this long
    #[arg(long, value_name = "TIME", default_value = "2m", env = "PIPECAT_ROLLOUT_OUTAGE_TIMEOUT", value_parser = duration::parse)]
    pub(crate) outage_timeout: Duration,

    /// How long the deployment must stay ready
    #[arg(long, value_name = "TIME", default_value = "0s", env = "PIPECAT_ROLLOUT_STABLE_FOR", value_parser = duration::parse)]
    pub(crate) stable_for: Duration,

    /// Restarts per started replica at which crashing is a failure
    #[arg(
        long,
        value_name = "N",
        default_value = "3",
        env = "PIPECAT_ROLLOUT_MAX_RESTARTS"
    )]
    pub(crate) max_restarts: NonZeroU32,

    /// How long an image may fail to be pulled, or a container to be created
    #[arg(long, value_name = "TIME", default_value = "20s", env = "PIPECAT_ROLLOUT_PULL_GRACE", value_parser = duration::parse)]
    pub(crate) pull_grace: Duration,

    /// What counts as complete
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "ready",
        env = "PIPECAT_ROLLOUT_UNTIL"
    )]
    pub(crate) until: UntilArg,

    /// Fail if the deployment runs on another deployment's revision, that is the old code; it is ready
    /// only when a revision of its own shows
    #[arg(long, env = "PIPECAT_ROLLOUT_REQUIRE_NEW_REVISION", value_parser = BoolishValueParser::new())]
    pub(crate) require_new_revision: bool,

    /// What to make of it when no new deployment appears
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "fail",
        env = "PIPECAT_ROLLOUT_IF_UNCHANGED"
    )]
    pub(crate) if_unchanged: IfUnchangedArg,

    /// Poll at this interval instead of adaptive polling
    #[arg(long, value_name = "TIME", env = "PIPECAT_ROLLOUT_POLL_INTERVAL", value_parser = duration::parse)]
    pub(crate) poll_interval: Option<Duration>,
}

/// `--until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UntilArg {
    /// The new deployment is ready
    Ready,
    /// And it has as many ready replicas as the agent keeps at least
    Warm,
    /// And nothing of the old one is left, nor any call on it
    Drained,
}

/// `--if-unchanged`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IfUnchangedArg {
    /// Exit 13: the deploy did nothing
    Fail,
    /// Judge the current deployment
    Accept,
}

/// Whether a session has to run as well.
#[derive(Debug, Args)]
#[command(next_help_heading = "Smoke session")]
pub(crate) struct SmokeArgs {
    /// When it is ready, start a session on it, check that it runs there and logs no exception, and end
    /// it. It costs what a session of up to a quarter of a minute costs, takes an instance meanwhile, and
    /// runs your bot with all that it does
    #[arg(long, env = "PIPECAT_ROLLOUT_SMOKE", value_parser = BoolishValueParser::new())]
    pub(crate) smoke: bool,

    /// File with the public API key that starts it; without it, `PIPECAT_PUBLIC_API_KEY`
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_SMOKE_KEY_FILE")]
    pub(crate) smoke_key_file: Option<PathBuf>,

    /// File with the JSON that the bot is started with
    #[arg(long, value_name = "FILE", env = "PIPECAT_ROLLOUT_SMOKE_BODY")]
    pub(crate) smoke_body: Option<PathBuf>,

    /// How long it may take, a wait for a free instance included
    #[arg(long, value_name = "TIME", default_value = "2m", env = "PIPECAT_ROLLOUT_SMOKE_TIMEOUT", value_parser = duration::parse)]
    pub(crate) smoke_timeout: Duration,
}

/// What is shown, and where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The result on stdout
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "text",
        env = "PIPECAT_ROLLOUT_OUTPUT"
    )]
    pub(crate) output: ResultFormat,

    /// The progress on stderr; json is structured logs
    #[arg(
        long,
        value_name = "STYLE",
        default_value = "auto",
        env = "PIPECAT_ROLLOUT_PROGRESS"
    )]
    pub(crate) progress: ProgressArg,

    /// On failure, show the last lines that the deployment logged; 0 is none
    #[arg(
        long,
        value_name = "LINES",
        default_value = "25",
        env = "PIPECAT_ROLLOUT_LOGS",
        value_parser = clap::value_parser!(u16).range(0..=1000)
    )]
    pub(crate) logs: u16,

    /// Write the JSON report to this file as well
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_REPORT_FILE")]
    pub(crate) report_file: Option<PathBuf>,

    /// Write the verdicts to this file as test results (JUnit XML), for any CI to show
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_JUNIT")]
    pub(crate) junit: Option<PathBuf>,

    /// Write the verdict to this file as variables for later jobs (a dotenv artifact of GitLab's)
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_DOTENV")]
    pub(crate) dotenv: Option<PathBuf>,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressArg {
    /// github or gitlab where it runs there, tty on a terminal, else plain
    Auto,
    /// A status line for each agent
    Tty,
    /// A line for each change
    Plain,
    /// Plain lines in a group, and annotations
    Github,
    /// Plain lines in a section that can be collapsed
    Gitlab,
    /// Structured logs, one JSON object a line
    Json,
    /// Nothing
    None,
}

/// `simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The scenario, by name or from a file
    #[arg(value_name = "SCENARIO", default_value = "rolling-update")]
    pub(crate) scenario: String,

    /// An agent that plays it, or NAME=SCENARIO for another one; may be repeated
    #[arg(
        long = "agent",
        value_name = "NAME[=SCENARIO]",
        default_value = "voice-starter"
    )]
    pub(crate) agents: Vec<String>,

    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Accept only this API key (it is a toy's key, not yours); else any
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

impl Cli {
    /// Reads a command line and the environment variables that go with it.
    ///
    /// # Errors
    /// What clap has to say, help and version included.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command().mut_subcommands(|sub| sub.mut_args(pass_over_empty));
        let matches = command.try_get_matches_from_mut(arguments)?;
        check_simulation(&mut command, &matches)?;
        check_agents(&mut command, &matches)?;
        check_all(&mut command, &matches)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        if let (Some((_, matches)), Some(api)) = (matches.subcommand(), cli.command.api()) {
            api.prefer_typed(matches);
        }
        let subject = match &mut cli.command {
            Command::WaitForReady(args) => Some(&mut args.subject),
            Command::Status(args) => Some(&mut args.subject),
            _ => None,
        };
        if let Some(((_, matches), subject)) = matches.subcommand().zip(subject) {
            subject.choose_target(&mut command, matches)?;
        }
        Ok(cli)
    }
}

/// An environment variable that is set but empty counts as not set: pipelines leave such behind.
fn pass_over_empty(arg: clap::Arg) -> clap::Arg {
    let value = arg.get_env().and_then(std::env::var_os);
    if value.is_some_and(|value| value.is_empty()) {
        arg.env(Resettable::<clap::builder::OsStr>::Reset)
    } else {
        arg
    }
}

/// `--all` is about every agent: what names one of them is a mistake where it is typed, and is passed over
/// where it is a variable.
fn check_all(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    const OF_ONE: [(&str, &str); 7] = [
        ("agents", "AGENT"),
        ("config_file", "--config-file"),
        ("deployment", "--deployment"),
        ("baseline", "--baseline"),
        ("not_deployment", "--not-deployment"),
        ("commit", "--commit"),
        ("simulate", "--simulate"),
    ];
    let Some(("status", matches)) = matches.subcommand() else {
        return Ok(());
    };
    let typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    let of_one = OF_ONE.into_iter().find(|(id, _)| typed(id));
    match of_one.filter(|_| matches.get_flag("all")) {
        Some((_, name)) => {
            let message =
                format!("--all is about every agent of the organization: leave out {name}");
            Err(command.error(ErrorKind::ArgumentConflict, message))
        }
        None => Ok(()),
    }
}

/// An agent that is typed is not the one of a file that is typed as well; that of a variable is passed
/// over.
fn check_agents(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let named = match matches.subcommand() {
        Some(("run", matches)) => (matches, "agent"),
        Some(("wait-for-ready" | "status", matches)) => (matches, "agents"),
        _ => return Ok(()),
    };
    let typed = |id| named.0.value_source(id) == Some(ValueSource::CommandLine);
    if typed(named.1) && typed("config_file") {
        let message = "AGENT and --config-file both name the agent: give only one";
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    Ok(())
}

/// `--simulate` takes the API's place: a typed address beside it is a mistake, one from the
/// environment is not. `--speed` is the simulator's.
fn check_simulation(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    // Only the commands that can simulate it have the switch. (The matches know of that in debug
    // builds only.)
    let has_switch = command.find_subcommand(name).is_some_and(|subcommand| {
        let mut arguments = subcommand.get_arguments();
        arguments.any(|argument| argument.get_id() == "simulate")
    });
    if !has_switch {
        return Ok(());
    }
    let typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    let simulated = matches.value_source("simulate").is_some();
    let message = match (
        simulated,
        typed("simulate"),
        typed("api_url"),
        typed("speed"),
    ) {
        (true, true, true, _) => {
            "--simulate takes the API's place: leave out --simulate or --api-url"
        }
        (false, _, _, true) => {
            "--speed is the simulator's: add --simulate SCENARIO, or leave it out"
        }
        _ => return Ok(()),
    };
    Err(command.error(ErrorKind::ArgumentConflict, message))
}
