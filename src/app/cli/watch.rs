//! What can be typed for `watch`, and what its configuration file can say: one struct for both.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::values::{Listen, MaxRps, PositiveTime, Time, list, path};
use super::{TraceArgs, help};

/// `watch`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    /// Configuration file (TOML); options override it
    #[arg(long, value_name = "PATH", env)]
    pub(crate) config: Option<PathBuf>,

    /// Only check the configuration and its files
    ///
    /// The API is not contacted. That there is no key is shown, and is no error.
    #[arg(long)]
    pub(crate) check_config: bool,

    /// Send this sink a test, and show what came back
    ///
    /// The test is a rollout that failed, and one that ends what that opened.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["check_config", "once"])]
    pub(crate) test_sink: Option<String>,

    /// Deliver dead letters again, of one sink or of all
    ///
    /// They wait for their sinks again. A sidecar that is running delivers them, or else the next.
    #[arg(
        long,
        value_name = "SINK",
        num_args = 0..=1,
        default_missing_value = "*",
        conflicts_with_all = ["check_config", "once", "test_sink"]
    )]
    pub(crate) redeliver: Option<String>,

    /// Ask the running sidecar if it is healthy
    ///
    /// It is while the list, the details and the store are good. It is asked at --listen, as configured.
    #[arg(long, conflicts_with_all = ["check_config", "once", "test_sink", "redeliver"])]
    pub(crate) health: bool,

    /// Make one pass: follow rollouts to their end, deliver, exit
    #[arg(long)]
    pub(crate) once: bool,

    /// Watch a simulated organization, without an account
    ///
    /// It has a store, sinks and intervals of its own; of the other options only those of HTTP have an effect on it.
    #[arg(
        long,
        value_name = "AGENTS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "12",
        value_parser = clap::value_parser!(u16).range(1..=20_000),
        conflicts_with_all = ["once", "check_config", "agents"]
    )]
    pub(crate) demo: Option<u16>,

    /// How the logs on stderr are written
    #[arg(long, value_name = "STYLE", default_value = "auto", env)]
    pub(crate) progress: LogArg,

    #[command(flatten)]
    pub(crate) trace: TraceArgs,

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
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct WatchKeys {
    /// Watch these agents only, by default the whole organization
    #[arg(value_name = "AGENT")]
    #[serde(deserialize_with = "list")]
    pub(crate) agents: Vec<String>,

    #[arg(long, value_name = "URL", env = "PIPECAT_API_URL", help = help::API_URL, help_heading = help::API)]
    pub(crate) api_url: Option<String>,

    #[arg(long, value_name = "PATH", env, help = help::KEY_FILE, long_help = help::KEY_FILE_LONG, help_heading = help::API)]
    #[serde(deserialize_with = "path")]
    pub(crate) api_key_file: Option<PathBuf>,

    #[arg(long, value_name = "PATH", env, help = help::CA_FILE, help_heading = help::API)]
    #[serde(deserialize_with = "path")]
    pub(crate) ca_file: Option<PathBuf>,

    #[arg(long, env, help = help::INSECURE_HTTP, help_heading = help::API)]
    pub(crate) allow_insecure_http: bool,

    /// Send at most this many requests a second [default: 10]
    #[arg(long, value_name = "N", env, help_heading = help::API)]
    pub(crate) max_rps: Option<MaxRps>,

    /// Watch agents whose name fits this pattern; repeatable [default: *]
    #[arg(long, value_name = "GLOB", env, value_delimiter = ',', help_heading = help::AGENTS)]
    #[serde(deserialize_with = "list")]
    pub(crate) include: Vec<String>,

    /// Do not watch agents whose name fits this pattern; repeatable
    #[arg(long, value_name = "GLOB", env, value_delimiter = ',', help_heading = help::AGENTS)]
    #[serde(deserialize_with = "list")]
    pub(crate) exclude: Vec<String>,

    /// Watch agents in this region only; repeatable
    #[arg(long = "region", value_name = "REGION", env, value_delimiter = ',', help_heading = help::AGENTS)]
    #[serde(deserialize_with = "list")]
    pub(crate) regions: Vec<String>,

    /// How often the list of agents is read [default: 15s]
    #[arg(long, value_name = "TIME", env, help_heading = help::AGENTS)]
    pub(crate) interval: Option<PositiveTime>,

    /// How often the details of each agent are checked where no rollout is under way [default: 5m]
    #[arg(long, value_name = "TIME", env, help_heading = help::AGENTS)]
    pub(crate) health_interval: Option<PositiveTime>,

    /// How long an agent must be unready before that is reported [default: 30s]
    #[arg(long, value_name = "TIME", env, help_heading = help::AGENTS)]
    pub(crate) unready_for: Option<Time>,

    /// Give up on a rollout after this long (verdict timeout) [default: 30m]
    #[arg(long, value_name = "TIME", env, help_heading = help::AGENTS)]
    pub(crate) rollout_timeout: Option<PositiveTime>,

    #[arg(long, value_name = "PATH", env, help = help::STORE, long_help = help::STORE_LONG, help_heading = help::STORING)]
    #[serde(deserialize_with = "path")]
    pub(crate) store: Option<PathBuf>,

    /// How long events and the history are kept [default: 90days]
    #[arg(long, value_name = "TIME", env, help_heading = help::STORING)]
    pub(crate) history_retention: Option<Time>,

    /// Where to serve metrics, health and lists, or off
    ///
    /// That is an address and a port; `:9464` is every address of this machine.
    /// [default: 127.0.0.1:9464; with --once: off]
    #[arg(long, value_name = "ADDRESS", env, help_heading = help::HTTP)]
    pub(crate) listen: Option<Listen>,

    /// Address of an agent in the platform's dashboard, with {{agent}} in it; events link to it
    #[arg(long, value_name = "URL", env, help_heading = help::DELIVERY)]
    pub(crate) dashboard_url: Option<String>,

    /// File with the token that every request to the endpoints but a probe has to bear
    #[arg(long, value_name = "PATH", env, help_heading = help::HTTP)]
    #[serde(deserialize_with = "path")]
    pub(crate) http_token_file: Option<PathBuf>,

    /// Address under which people reach the page, for links to it
    #[arg(long, value_name = "URL", env, help_heading = help::HTTP)]
    pub(crate) public_url: Option<String>,

    /// Deliver events to this address
    #[arg(long, value_name = "URL", env, help_heading = help::DELIVERY)]
    #[serde(skip)]
    pub(crate) webhook: Option<String>,

    /// File with the secret that signs them (whsec_...)
    #[arg(long, value_name = "PATH", env, help_heading = help::DELIVERY)]
    #[serde(skip)]
    pub(crate) webhook_secret_file: Option<PathBuf>,

    /// Give up on the delivery of an event after this long [default: 24h]
    #[arg(long, value_name = "TIME", env, help_heading = help::DELIVERY)]
    pub(crate) delivery_timeout: Option<Time>,
}

impl WatchKeys {
    /// What each key is set to, without those that are not set.
    pub(crate) fn set(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(keys)) = serde_json::to_value(self) else {
            return BTreeMap::new();
        };
        let unset = [Value::Null, Value::Bool(false), Value::Array(Vec::new())];
        let keys = keys.into_iter();
        keys.filter(|(_, value)| !unset.contains(value)).collect()
    }

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
            dashboard_url: self.dashboard_url.or(filed.dashboard_url),
            http_token_file: self.http_token_file.or(filed.http_token_file),
            public_url: self.public_url.or(filed.public_url),
            webhook: self.webhook,
            webhook_secret_file: self.webhook_secret_file,
            delivery_timeout: self.delivery_timeout.or(filed.delivery_timeout),
        }
    }
}
