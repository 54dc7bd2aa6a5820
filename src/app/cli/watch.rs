//! What can be typed for `watch`. Every switch under a heading is also a key of the configuration
//! file, but the two of `--webhook`, which stand for a sink.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::duration;

/// `watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Watch these agents only, without the list; without any, the whole organization
    #[arg(value_name = "AGENT")]
    pub(crate) agents: Vec<String>,

    /// Configuration file (TOML); switches and environment variables come before it
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Only check the configuration, asking nobody; a missing key is shown, and no error
    #[arg(long)]
    pub(crate) check_config: bool,

    /// Make one pass: follow what is under way to its end, deliver, and exit
    #[arg(long)]
    pub(crate) once: bool,

    /// How the logs on stderr are written
    #[arg(
        long,
        value_name = "STYLE",
        default_value = "auto",
        env = "PIPECAT_ROLLOUT_PROGRESS"
    )]
    pub(crate) progress: LogArg,

    #[command(flatten)]
    pub(crate) keys: WatchKeys,
}

/// `--progress` of `watch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogArg {
    /// plain on a terminal, else json
    Auto,
    /// A line for each event
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing but warnings
    None,
}

/// `--listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// At this address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address = text.parse().map(Self::At);
        address.map_err(|_| "it is an address and a port, like 127.0.0.1:9464, or off")
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What the configuration file can say as well.
#[derive(Debug, Args)]
pub(crate) struct WatchKeys {
    /// Address of the API
    #[arg(
        long,
        value_name = "URL",
        env = "PIPECAT_API_URL",
        hide_env_values = true,
        help_heading = "API"
    )]
    pub(crate) api_url: Option<String>,

    /// File with the private API key; without it, `PIPECAT_API_KEY` or `PCC_API_KEY` holds it
    #[arg(
        long,
        value_name = "PATH",
        env = "PIPECAT_ROLLOUT_API_KEY_FILE",
        help_heading = "API"
    )]
    pub(crate) api_key_file: Option<PathBuf>,

    /// File of further certificate authorities to trust (PEM)
    #[arg(
        long,
        value_name = "PATH",
        env = "PIPECAT_ROLLOUT_CA_FILE",
        help_heading = "API"
    )]
    pub(crate) ca_file: Option<PathBuf>,

    /// Allow plain http to other machines, with the key in the open
    #[arg(
        long,
        env = "PIPECAT_ROLLOUT_ALLOW_INSECURE_HTTP",
        help_heading = "API"
    )]
    pub(crate) allow_insecure_http: bool,

    /// Send at most this many requests a second [default: 10]
    #[arg(
        long,
        value_name = "N",
        env = "PIPECAT_ROLLOUT_MAX_RPS",
        help_heading = "API"
    )]
    pub(crate) max_rps: Option<NonZeroU32>,

    /// Watch agents whose name fits this pattern; may be repeated [default: *]
    #[arg(
        long,
        value_name = "GLOB",
        env = "PIPECAT_ROLLOUT_INCLUDE",
        value_delimiter = ',',
        help_heading = "Agents"
    )]
    pub(crate) include: Vec<String>,

    /// Do not watch agents whose name fits this pattern; may be repeated
    #[arg(
        long,
        value_name = "GLOB",
        env = "PIPECAT_ROLLOUT_EXCLUDE",
        value_delimiter = ',',
        help_heading = "Agents"
    )]
    pub(crate) exclude: Vec<String>,

    /// Watch agents in this region only; may be repeated
    #[arg(
        long = "region",
        value_name = "REGION",
        env = "PIPECAT_ROLLOUT_REGIONS",
        value_delimiter = ',',
        help_heading = "Agents"
    )]
    pub(crate) regions: Vec<String>,

    /// How often the list of agents is read [default: 15s]
    #[arg(long, value_name = "TIME", env = "PIPECAT_ROLLOUT_INTERVAL", value_parser = duration::parse, help_heading = "Agents")]
    pub(crate) interval: Option<Duration>,

    /// How often each agent at rest is looked at [default: 5m]
    #[arg(long, value_name = "TIME", env = "PIPECAT_ROLLOUT_HEALTH_INTERVAL", value_parser = duration::parse, help_heading = "Agents")]
    pub(crate) health_interval: Option<Duration>,

    /// Give a rollout up after this long [default: 30m]
    #[arg(long, value_name = "TIME", env = "PIPECAT_ROLLOUT_ROLLOUT_TIMEOUT", value_parser = duration::parse, help_heading = "Agents")]
    pub(crate) rollout_timeout: Option<Duration>,

    /// File that keeps what is known and what has to be delivered [default: pipecat-rollout.db in
    /// `$STATE_DIRECTORY`, else in `$XDG_STATE_HOME/pipecat-rollout`, else in
    /// `~/.local/state/pipecat-rollout`]
    #[arg(
        long,
        value_name = "PATH",
        env = "PIPECAT_ROLLOUT_STORE",
        help_heading = "Store"
    )]
    pub(crate) store: Option<PathBuf>,

    /// How long the history is kept [default: 90days]
    #[arg(long, value_name = "TIME", env = "PIPECAT_ROLLOUT_HISTORY_FOR", value_parser = duration::parse, help_heading = "Store")]
    pub(crate) history_for: Option<Duration>,

    /// Where metrics and health are served, or off [default: 127.0.0.1:9464; with --once: off]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PIPECAT_ROLLOUT_LISTEN",
        help_heading = "HTTP"
    )]
    pub(crate) listen: Option<Listen>,

    /// Deliver events to this address
    #[arg(
        long,
        value_name = "URL",
        env = "PIPECAT_ROLLOUT_WEBHOOK",
        hide_env_values = true,
        help_heading = "Delivery"
    )]
    pub(crate) webhook: Option<String>,

    /// File with the secret that signs them (whsec_...)
    #[arg(
        long,
        value_name = "PATH",
        env = "PIPECAT_ROLLOUT_WEBHOOK_SECRET_FILE",
        requires = "webhook",
        help_heading = "Delivery"
    )]
    pub(crate) webhook_secret_file: Option<PathBuf>,

    /// How long the delivery of an event is tried [default: 24h]
    #[arg(long, value_name = "TIME", env = "PIPECAT_ROLLOUT_RETRY_FOR", value_parser = duration::parse, help_heading = "Delivery")]
    pub(crate) retry_for: Option<Duration>,
}
