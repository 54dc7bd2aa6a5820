//! What `watch` will do: switches and environment before the file, the file before the defaults.

mod check;
mod file;
mod mutes;
mod places;
mod sinks;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Error, Result, anyhow, ensure};
use reqwest::Url;

pub(crate) use self::check::check_files;
pub use self::file::check_watch_file;
use self::places::Places;
use self::sinks::SinkTable;
use super::{agents, api_url, path_in, telemetry};
use crate::adapters::api::{self, ApiUrl, Credentials, PlainHttp};
use crate::adapters::delivery::{Config, Network};
use crate::app::cli::{Listen, WatchArgs, WatchKeys};
use crate::app::error::chain;
use crate::app::telemetry::Telemetry;
use crate::app::watch::SinkPlan;
use crate::app::watch::http::{Access, Token, read_token};
use crate::core::fleet::{Mode, Mute, Origin, PublicUrl, Rules, Scope, Watched, url_part};
use crate::core::messages::example_values;
use crate::core::rollout::Limits;
use crate::core::text::diagnostics::Problem;
use crate::core::text::template::Template;

// What is meant where a key is not given.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
const MAX_RPS: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const INTERVAL: Duration = Duration::from_secs(15);
const HEALTH_INTERVAL: Duration = Duration::from_mins(5);
const UNREADY_FOR: Duration = Duration::from_secs(30);
const ROLLOUT_TIMEOUT: Duration = Duration::from_mins(30);
const HISTORY_RETENTION: Duration = Duration::from_hours(24 * 90);
const DELIVERY_TIMEOUT: Duration = Duration::from_hours(24);

/// What the sidecar will do.
#[derive(Debug)]
pub(crate) struct WatchPlan {
    /// The keys that it was made of.
    pub(crate) keys: WatchKeys,
    places: Places,
    pub(crate) url: ApiUrl,
    /// Where events come from.
    pub(crate) origin: Origin,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) store: PathBuf,
    pub(crate) listen: Listen,
    pub(crate) http_token_file: Option<PathBuf>,
    pub(crate) rules: Rules,
    pub(crate) history_retention: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) sinks: Vec<SinkPlan>,
    /// Where the rollouts go as traces.
    pub(crate) telemetry: Option<Telemetry>,
    pub(crate) mutes: Vec<Mute>,
}

impl WatchPlan {
    /// What the API is asked with.
    ///
    /// # Errors
    /// When there is nothing.
    pub(crate) fn credentials(&self) -> Result<Credentials> {
        let found = Credentials::find(self.key_file.as_deref());
        found.map_err(|problem| self.places.name(problem))
    }

    /// Who may ask the endpoints.
    ///
    /// # Errors
    /// When there is no token although there is to be one.
    pub(crate) fn access(&self) -> Result<Access> {
        Ok(Access {
            token: self.of_token_file(Token::read)?,
            public_url: self.origin.public_url.clone(),
        })
    }

    /// What the endpoints are asked with.
    ///
    /// # Errors
    /// When there is no token although there is to be one.
    pub(crate) fn http_token(&self) -> Result<Option<String>> {
        self.of_token_file(read_token)
    }

    fn of_token_file<T>(&self, read: fn(&Path) -> Result<T, String>) -> Result<Option<T>> {
        let read = self.http_token_file.as_deref().map(read).transpose();
        read.map_err(|why| self.places.name(anyhow!("--http-token-file: {why}")))
    }
}

/// What `watch` will do. The file is read each time: after a change, the same arguments make another plan.
///
/// # Errors
/// All that is wrong with the configuration.
pub(crate) fn watch_plan(args: &WatchArgs) -> Result<WatchPlan, Vec<Error>> {
    let in_file = |problems: Vec<Problem>| {
        let path = args.config.clone().unwrap_or_default();
        let problems = problems.into_iter();
        let of_config = |problem: Problem| match problem.line {
            Some(line) => anyhow!("{}, line {line}: {}", path.display(), problem.what),
            None => Error::msg(problem.what),
        };
        problems.map(of_config).collect::<Vec<_>>()
    };
    let file = args.config.as_deref().map(file::read).transpose();
    let file = file.map_err(in_file)?.unwrap_or_default();
    let keys = args.keys.clone().or(file.keys);
    let places = Places::new(args, file.lines);
    let plain_http = PlainHttp::new(keys.allow_insecure_http);
    let network = network(plain_http, keys.ca_file.clone(), keys.api_key_file.clone());
    let typed = keys.webhook.clone();
    let typed = typed.map(|url| Config::webhook(url, keys.webhook_secret_file.clone()));
    let tables = file.sinks.into_iter().chain(typed.map(SinkTable::typed));
    let mut problems = Vec::new();
    let sinks = sinks::build(tables, &network);
    let sinks = sinks.map_err(|of_sinks| problems.extend(in_file(of_sinks)));
    let mut note = |problem| problems.push(places.name(problem));
    let url = api_url(keys.api_url.as_deref(), "--api-url", plain_http);
    let url = url.map_err(&mut note).ok();
    let watched = watched(&keys, &args.keys).map_err(&mut note).ok();
    let telemetry = telemetry::telemetry(&args.trace, keys.ca_file.as_deref());
    let telemetry = telemetry.map_err(&mut note);
    let dashboard_url = keys.dashboard_url.as_deref().map(dashboard_url).transpose();
    let dashboard_url = dashboard_url.map_err(|why| note(anyhow!("--dashboard-url: {why}")));
    let public_url = keys.public_url.as_deref().map(str::parse::<PublicUrl>);
    let public_url = public_url.transpose();
    let public_url = public_url.map_err(|why| note(anyhow!("--public-url: {why}")));
    let (Some(url), Some(watched), true) = (url, watched, problems.is_empty()) else {
        return Err(problems);
    };
    let rules = rules(&keys, watched, args.once);
    let history_retention = keys.history_retention;
    let delivery_timeout = keys.delivery_timeout;
    // A single pass has no time to be asked, and leaves the address to a sidecar that has.
    let listen = if args.once {
        Listen::Off
    } else {
        Listen::At(LISTEN)
    };
    Ok(WatchPlan {
        keys: keys.clone(),
        places,
        origin: Origin {
            source: url.to_string(),
            public_url: public_url.unwrap_or_default(),
            dashboard_url: dashboard_url.unwrap_or_default(),
        },
        url,
        listen: keys.listen.unwrap_or(listen),
        http_token_file: keys.http_token_file,
        rules,
        history_retention: history_retention.map_or(HISTORY_RETENTION, |time| time.0),
        delivery_timeout: delivery_timeout.map_or(DELIVERY_TIMEOUT, |time| time.0),
        key_file: keys.api_key_file,
        ca_file: keys.ca_file,
        store: keys.store.unwrap_or_else(default_store),
        sinks: sinks.unwrap_or_default(),
        telemetry: telemetry.unwrap_or_default(),
        mutes: file.mutes,
    })
}

/// The address of an agent in the platform's dashboard.
fn dashboard_url(text: &str) -> Result<Template, String> {
    const DUE: &str =
        "it is an https address with a place for the agent: https://example.com/agents/{{agent}}";
    let example = example_values();
    let url = Template::parse(text)?;
    url.check(&example)?;
    // No event decides whose page it is.
    let behind = url.start().strip_prefix("https://");
    let host = behind.and_then(|behind| behind.split_once(['/', '?', '#']));
    let has_host = host.is_some_and(|(host, _)| !host.trim().is_empty());
    let is_url = Url::parse(&url.text(&example, url_part)).is_ok();
    if is_url && url.has_places() && has_host {
        return Ok(url);
    }
    Err(DUE.to_owned())
}

fn rules(keys: &WatchKeys, watched: Watched, once: bool) -> Rules {
    Rules {
        watched,
        interval: keys.interval.map_or(INTERVAL, |time| time.0),
        health_interval: keys.health_interval.map_or(HEALTH_INTERVAL, |time| time.0),
        unready_for: keys.unready_for.map_or(UNREADY_FOR, |time| time.0),
        max_rps: keys.max_rps.map_or(MAX_RPS, |rate| rate.0),
        limits: Limits {
            timeout: keys.rollout_timeout.map_or(ROLLOUT_TIMEOUT, |time| time.0),
            // That the API is down says nothing about a rollout: it goes on when it is up again.
            outage_timeout: Duration::from_hours(24),
            ..Limits::default()
        },
        mode: if once { Mode::Once } else { Mode::Daemon },
    }
}

fn watched(keys: &WatchKeys, typed: &WatchKeys) -> Result<Watched> {
    if !keys.agents.is_empty() {
        // What is typed comes before what is filed.
        let chosen = if typed.agents.is_empty() { keys } else { typed };
        ensure!(
            [&chosen.include, &chosen.exclude, &chosen.regions].map(Vec::len) == [0; 3],
            "--agents: include, exclude and regions choose among all agents; leave them out, or name no agents"
        );
        let named = agents::select(&keys.agents, None);
        return named.map(Watched::Named).map_err(|problem| {
            if typed.agents.is_empty() {
                anyhow!("--agents: {problem}")
            } else {
                problem
            }
        });
    }
    let (include, exclude) = (&keys.include, &keys.exclude);
    Scope::new(include, &[], Vec::new()).map_err(|bad| anyhow!("--include: {bad}"))?;
    let scope = Scope::new(include, exclude, keys.regions.clone());
    Ok(Watched::Listed(
        scope.map_err(|bad| anyhow!("--exclude: {bad}"))?,
    ))
}

/// How sinks reach their receivers. They trust whom the API's client trusts.
fn network(plain_http: PlainHttp, ca_file: Option<PathBuf>, key_file: Option<PathBuf>) -> Network {
    let of_tls = ca_file.clone();
    let http_client = move |is_direct: bool| {
        let tls = api::tls_config(of_tls.as_deref());
        let tls = tls.map_err(|error| chain(error.as_ref()))?;
        Ok(api::http_client(tls, is_direct))
    };
    let without_key = move |text: &str| {
        let key = Credentials::find(key_file.as_deref());
        key.map_or_else(|_| text.to_owned(), |key| key.redact(text))
    };
    Network::new(
        plain_http,
        ca_file,
        Box::new(http_client),
        Box::new(without_key),
    )
}

/// Where the store is unless it is said: where systemd, or the user's own session, keeps state.
pub(crate) fn default_store() -> PathBuf {
    const FILE: &str = "pipecat-rollout.db";
    if let Some(state) = path_in("STATE_DIRECTORY") {
        return state.join(FILE);
    }
    let state = path_in("XDG_STATE_HOME");
    let state = state.or_else(|| Some(path_in("HOME")?.join(".local/state")));
    match state {
        Some(state) => state.join("pipecat-rollout").join(FILE),
        None => PathBuf::from(FILE),
    }
}

#[cfg(test)]
mod tests;
