//! What can be typed for `watch`, and what its configuration file can say: one struct for both.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::values::{Listen, MaxRps, PositiveTime, PublicAddress, Time, list};

/// `watch`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    /// Configuration file (TOML); switches and environment variables come before it
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Only check the configuration and the files that it names, asking nobody; that there is no key is
    /// shown, and no error
    #[arg(long)]
    pub(crate) check_config: bool,

    /// Make one pass: follow what is under way to its end, deliver, and exit
    #[arg(long)]
    pub(crate) once: bool,

    /// Watch a simulated organization that never rests, without an account: open the page and look
    #[arg(
        long,
        value_name = "AGENTS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "12",
        value_parser = clap::value_parser!(u16).range(1..=20_000),
        conflicts_with_all = ["once", "check_config", "config", "agents", "api_url", "api_key_file", "store"]
    )]
    pub(crate) demo: Option<u16>,

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

/// The keys of `watch`: each can be typed, set as an environment variable, and written into the file.
///
/// A new key is a field here, a line in `or`, and what the plan makes of it.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct WatchKeys {
    /// Watch these agents only, without the list; without any, the whole organization
    #[arg(value_name = "AGENT")]
    #[serde(deserialize_with = "list")]
    pub(crate) agents: Vec<String>,

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
    pub(crate) max_rps: Option<MaxRps>,

    /// Watch agents whose name fits this pattern; may be repeated [default: *]
    #[arg(
        long,
        value_name = "GLOB",
        env = "PIPECAT_ROLLOUT_INCLUDE",
        value_delimiter = ',',
        help_heading = "Agents"
    )]
    #[serde(deserialize_with = "list")]
    pub(crate) include: Vec<String>,

    /// Do not watch agents whose name fits this pattern; may be repeated
    #[arg(
        long,
        value_name = "GLOB",
        env = "PIPECAT_ROLLOUT_EXCLUDE",
        value_delimiter = ',',
        help_heading = "Agents"
    )]
    #[serde(deserialize_with = "list")]
    pub(crate) exclude: Vec<String>,

    /// Watch agents in this region only; may be repeated
    #[arg(
        long = "region",
        value_name = "REGION",
        env = "PIPECAT_ROLLOUT_REGIONS",
        value_delimiter = ',',
        help_heading = "Agents"
    )]
    #[serde(deserialize_with = "list")]
    pub(crate) regions: Vec<String>,

    /// How often the list of agents is read [default: 15s]
    #[arg(
        long,
        value_name = "TIME",
        env = "PIPECAT_ROLLOUT_INTERVAL",
        help_heading = "Agents"
    )]
    pub(crate) interval: Option<PositiveTime>,

    /// How often the details of each agent are checked where no rollout is under way [default: 5m]
    #[arg(
        long,
        value_name = "TIME",
        env = "PIPECAT_ROLLOUT_HEALTH_INTERVAL",
        help_heading = "Agents"
    )]
    pub(crate) health_interval: Option<PositiveTime>,

    /// How long an agent must be unready before that is reported [default: 30s]
    #[arg(
        long,
        value_name = "TIME",
        env = "PIPECAT_ROLLOUT_UNREADY_FOR",
        help_heading = "Agents"
    )]
    pub(crate) unready_for: Option<Time>,

    /// Give up on a rollout after this long (verdict timeout) [default: 30m]
    #[arg(
        long,
        value_name = "TIME",
        env = "PIPECAT_ROLLOUT_ROLLOUT_TIMEOUT",
        help_heading = "Agents"
    )]
    pub(crate) rollout_timeout: Option<PositiveTime>,

    /// File with the state, the history and the events to deliver [default: pipecat-rollout.db in
    /// `$STATE_DIRECTORY`, else in `$XDG_STATE_HOME/pipecat-rollout`, else in
    /// `~/.local/state/pipecat-rollout`]
    #[arg(
        long,
        value_name = "PATH",
        env = "PIPECAT_ROLLOUT_STORE",
        help_heading = "Store"
    )]
    pub(crate) store: Option<PathBuf>,

    /// How long events and the history are kept [default: 90days]
    #[arg(
        long,
        value_name = "TIME",
        env = "PIPECAT_ROLLOUT_HISTORY_RETENTION",
        help_heading = "Store"
    )]
    pub(crate) history_retention: Option<Time>,

    /// Where metrics, health and lists are served: an address and a port, `:9464` for every address, or
    /// off [default: 127.0.0.1:9464; with --once: off]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PIPECAT_ROLLOUT_LISTEN",
        help_heading = "HTTP"
    )]
    pub(crate) listen: Option<Listen>,

    /// File with the token that every request to the endpoints has to bear
    #[arg(
        long,
        value_name = "PATH",
        env = "PIPECAT_ROLLOUT_HTTP_TOKEN_FILE",
        help_heading = "HTTP"
    )]
    pub(crate) http_token_file: Option<PathBuf>,

    /// Address under which people reach the page, for links to it
    #[arg(
        long,
        value_name = "URL",
        env = "PIPECAT_ROLLOUT_PUBLIC_URL",
        help_heading = "HTTP"
    )]
    pub(crate) public_url: Option<PublicAddress>,

    /// Deliver events to this address
    #[arg(
        long,
        value_name = "URL",
        env = "PIPECAT_ROLLOUT_WEBHOOK",
        hide_env_values = true,
        help_heading = "Delivery"
    )]
    #[serde(skip)]
    pub(crate) webhook: Option<String>,

    /// File with the secret that signs them (whsec_...)
    #[arg(
        long,
        value_name = "PATH",
        env = "PIPECAT_ROLLOUT_WEBHOOK_SECRET_FILE",
        requires = "webhook",
        help_heading = "Delivery"
    )]
    #[serde(skip)]
    pub(crate) webhook_secret_file: Option<PathBuf>,

    /// Give up on the delivery of an event after this long [default: 24h]
    #[arg(
        long,
        value_name = "TIME",
        env = "PIPECAT_ROLLOUT_DELIVERY_TIMEOUT",
        help_heading = "Delivery"
    )]
    pub(crate) delivery_timeout: Option<Time>,
}

impl WatchKeys {
    /// These keys, and what they do not say, from `filed`.
    pub(crate) fn or(self, filed: Self) -> Self {
        let list = |typed: Vec<String>, filed| if typed.is_empty() { filed } else { typed };
        Self {
            agents: list(self.agents, filed.agents),
            api_url: self.api_url.or(filed.api_url),
            api_key_file: self.api_key_file.or(filed.api_key_file),
            ca_file: self.ca_file.or(filed.ca_file),
            allow_insecure_http: self.allow_insecure_http || filed.allow_insecure_http,
            max_rps: self.max_rps.or(filed.max_rps),
            include: list(self.include, filed.include),
            exclude: list(self.exclude, filed.exclude),
            regions: list(self.regions, filed.regions),
            interval: self.interval.or(filed.interval),
            health_interval: self.health_interval.or(filed.health_interval),
            unready_for: self.unready_for.or(filed.unready_for),
            rollout_timeout: self.rollout_timeout.or(filed.rollout_timeout),
            store: self.store.or(filed.store),
            history_retention: self.history_retention.or(filed.history_retention),
            listen: self.listen.or(filed.listen),
            http_token_file: self.http_token_file.or(filed.http_token_file),
            public_url: self.public_url.or(filed.public_url),
            webhook: self.webhook,
            webhook_secret_file: self.webhook_secret_file,
            delivery_timeout: self.delivery_timeout.or(filed.delivery_timeout),
        }
    }
}
