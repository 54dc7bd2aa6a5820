//! What `watch` will do: switches and environment before the file, the file before the defaults.

mod file;
mod sinks;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::file::BadFile;
pub use self::file::{Slip, check_watch_file};
use self::sinks::SinkTable;
pub(crate) use self::sinks::{BadSink, SinkSpec};
use super::{ConfigError, agents, api_url};
use crate::adapters::api::{ApiUrl, Credentials, PlainHttp};
use crate::app::cli::{Listen, WatchArgs, WatchKeys};
use crate::app::watch::Watched;
use crate::core::fleet::Scope;
use crate::core::rollout::Limits;

/// Where metrics and health are served unless it is said.
const LISTEN: Listen = Listen::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464));
const MAX_RPS: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const INTERVAL: Duration = Duration::from_secs(15);
const HEALTH_INTERVAL: Duration = Duration::from_mins(5);
const ROLLOUT_TIMEOUT: Duration = Duration::from_mins(30);
const HISTORY_FOR: Duration = Duration::from_hours(24 * 90);
const RETRY_FOR: Duration = Duration::from_hours(24);

/// What the sidecar will do.
#[derive(Debug)]
pub(crate) struct WatchPlan {
    pub(crate) url: ApiUrl,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) plain_http: PlainHttp,
    pub(crate) max_rps: NonZeroU32,
    pub(crate) watched: Watched,
    pub(crate) interval: Duration,
    pub(crate) health_interval: Duration,
    /// The limits of each rollout.
    pub(crate) limits: Limits,
    pub(crate) store: PathBuf,
    pub(crate) history_for: Duration,
    pub(crate) listen: Listen,
    pub(crate) retry_for: Duration,
    pub(crate) sinks: Vec<SinkSpec>,
}

impl WatchPlan {
    /// What the API is asked with.
    ///
    /// # Errors
    /// When there is nothing.
    pub(crate) fn credentials(&self) -> Result<Credentials, ConfigError> {
        Ok(Credentials::find(self.key_file.as_deref())?)
    }
}

/// What `watch` will do.
pub(crate) fn watch_plan(args: WatchArgs) -> Result<WatchPlan, ConfigError> {
    let file = args.config.as_deref().map(file::read).transpose()?;
    let file = file.unwrap_or_default();
    let keys = args.keys;
    let named = if args.agents.is_empty() {
        &file.agents
    } else {
        &args.agents
    };
    let watched = if named.is_empty() {
        let or = |typed: &[String], filed: &[String]| {
            if typed.is_empty() {
                filed.to_vec()
            } else {
                typed.to_vec()
            }
        };
        Watched::Listed(Scope::new(
            &or(&keys.include, &file.include),
            &or(&keys.exclude, &file.exclude),
            or(&keys.regions, &file.regions),
        )?)
    } else {
        Watched::Named(agents::select(named, None)?)
    };
    let time = |typed: Option<Duration>, filed: Option<file::Time>, default| {
        typed.or(filed.map(|time| time.0)).unwrap_or(default)
    };
    let limits = Limits {
        timeout: time(keys.rollout_timeout, file.rollout_timeout, ROLLOUT_TIMEOUT),
        // That the API is down says nothing about a rollout: it goes on when it is up again.
        outage_timeout: Duration::from_hours(24),
        ..Limits::default()
    };
    let interval = time(keys.interval, file.interval, INTERVAL);
    let health_interval = time(keys.health_interval, file.health_interval, HEALTH_INTERVAL);
    for (key, value) in [
        ("interval", interval),
        ("health-interval", health_interval),
        ("rollout-timeout", limits.timeout),
    ] {
        if value.is_zero() {
            return Err(ConfigError::ZeroTime(key));
        }
    }
    let url = keys.api_url.as_deref().or(file.api_url.as_deref());
    let plain_http = if keys.allow_insecure_http || file.allow_insecure_http {
        PlainHttp::Anywhere
    } else {
        PlainHttp::LoopbackOnly
    };
    Ok(WatchPlan {
        max_rps: keys.max_rps.or(file.max_rps).unwrap_or(MAX_RPS),
        watched,
        interval,
        health_interval,
        limits,
        history_for: time(keys.history_for, file.history_for, HISTORY_FOR),
        // A single pass has no time to be asked, and leaves the address to a sidecar that has.
        listen: (keys.listen.or(file.listen)).unwrap_or(if args.once {
            Listen::Off
        } else {
            LISTEN
        }),
        retry_for: time(keys.retry_for, file.retry_for, RETRY_FOR),
        store: keys
            .store
            .clone()
            .or(file.store.clone())
            .unwrap_or_else(default_store),
        url: api_url(url, plain_http)?,
        key_file: keys.api_key_file.clone().or(file.api_key_file),
        ca_file: keys.ca_file.clone().or(file.ca_file),
        plain_http,
        sinks: sinks(&keys, file.sink)?,
    })
}

/// Where the store is unless it is said: where systemd, or the user's own session, keeps state.
pub(crate) fn default_store() -> PathBuf {
    const FILE: &str = "pipecat-rollout.db";
    let folder = |variable| {
        let value = std::env::var_os(variable)?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    if let Some(state) = folder("STATE_DIRECTORY") {
        return state.join(FILE);
    }
    let state = folder("XDG_STATE_HOME").or(folder("HOME").map(|home| home.join(".local/state")));
    match state {
        Some(state) => state.join("pipecat-rollout").join(FILE),
        None => PathBuf::from(FILE),
    }
}

/// The sinks of the file, and the one of the switches.
fn sinks(keys: &WatchKeys, filed: Vec<SinkTable>) -> Result<Vec<SinkSpec>, BadSink> {
    let typed = keys.webhook.clone();
    let typed = typed.map(|url| SinkTable::webhook(url, keys.webhook_secret_file.clone()));
    sinks::check(filed.into_iter().chain(typed).collect())
}
