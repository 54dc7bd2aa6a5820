//! The simulator's HTTP server: routes in, replies of the players out.

mod reply;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, body};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::reply::{perform, problem, whole};
use super::script::{Answer, LogQuery, Now, Play, Scenario, Speed, Start};
use super::socket::{BreakableListener, Breaker};

/// The most that is read of a deploy's body, which says nothing that the simulator heeds.
const MOST_BODY: usize = 1024 * 1024;

/// An agents API on loopback that plays scripted rollouts.
#[derive(Debug)]
pub struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    stage: Arc<Stage>,
}

/// What a simulator plays, and for whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which agents there are and what each plays.
    pub cast: Cast,
    /// The key that requests must bear; `None`: any will do.
    pub key: Option<String>,
    /// How fast script time runs.
    pub speed: Speed,
    /// When an agent's timeline begins.
    pub start: Start,
}

/// Which agents there are and what each plays.
#[derive(Debug, Clone, Default)]
pub struct Cast(BTreeMap<String, Arc<Scenario>>);

/// Why a simulator cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address can be reached from other machines.
    #[error("the simulator serves on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address is taken, or cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it cannot.
        #[source]
        source: io::Error,
    },
}

impl Cast {
    /// Agents by name; of two with the same name the latter plays.
    pub fn new(agents: impl IntoIterator<Item = (String, Arc<Scenario>)>) -> Self {
        Self(agents.into_iter().collect())
    }
}

impl Simulator {
    /// Takes the address; from then on connections wait until [`Simulator::serve`] answers them.
    ///
    /// # Errors
    /// When the address is not on loopback, or cannot be had.
    pub async fn bind(address: SocketAddr, settings: Settings) -> Result<Self, SimulatorError> {
        if !address.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback(address));
        }
        let failed = |source| SimulatorError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            stage: Arc::new(Stage::new(settings)),
        })
    }

    /// Where it listens; of port 0, the port that was given.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A way to deploy without a request.
    #[must_use]
    pub fn deployer(&self) -> Deployer {
        Deployer(Arc::clone(&self.stage))
    }

    /// What clients take for the URL of the API.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Answers requests until it is dropped.
    pub async fn serve(self) {
        let service = router(self.stage).into_make_service_with_connect_info::<Breaker>();
        let served = axum::serve(BreakableListener(self.listener), service).await;
        // The server waits out what goes wrong with single connections, and never returns.
        debug_assert!(served.is_ok(), "{served:?}");
    }
}

/// Deploys to a simulator that serves in the same process.
#[derive(Debug, Clone)]
pub struct Deployer(Arc<Stage>);

impl Deployer {
    /// Deploys to an agent, as a POST would.
    pub fn deploy(&self, agent: &str) {
        let _ = self.0.play(agent, Play::deploy);
    }
}

/// The agents and their time.
#[derive(Debug)]
struct Stage {
    key: Option<String>,
    opened: Instant,
    agents: Mutex<BTreeMap<String, Play>>,
}

impl Stage {
    fn new(settings: Settings) -> Self {
        let Settings {
            cast,
            key,
            speed,
            start,
        } = settings;
        let opened = Timestamp::now();
        let agents = cast.0.into_iter().map(|(name, scenario)| {
            let play = Play::new(name.clone(), scenario, start, speed, opened);
            (name, play)
        });
        Self {
            key,
            opened: Instant::now(),
            agents: Mutex::new(agents.collect()),
        }
    }

    /// Has an agent do something; `None` where there is none of that name.
    fn play<T>(&self, agent: &str, act: impl FnOnce(&mut Play, Now) -> T) -> Option<T> {
        let now = self.now();
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.get_mut(agent).map(|play| act(play, now))
    }

    /// The entries of the agents that exist at present, by name.
    fn entries(&self) -> Vec<Value> {
        let now = self.now();
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.values().filter_map(|play| play.entry(now)).collect()
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some((scheme, key)) = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.split_once(' '))
        else {
            return false;
        };
        let key = key.trim();
        scheme.eq_ignore_ascii_case("bearer")
            && match &self.key {
                Some(expected) => key == expected,
                None => !key.is_empty(),
            }
    }

    fn now(&self) -> Now {
        Now {
            since: self.opened.elapsed(),
            wall: Timestamp::now(),
        }
    }
}

fn router(stage: Arc<Stage>) -> Router {
    Router::new()
        .route("/v1/agents", get(list))
        .route("/v1/agents/{name}", get(details).post(deploy))
        .route("/v1/agents/{name}/logs", get(logs))
        .method_not_allowed_fallback(|| async { problem(StatusCode::METHOD_NOT_ALLOWED, None) })
        .fallback(|| async { problem(StatusCode::NOT_FOUND, None) })
        .layer(middleware::from_fn_with_state(stage.clone(), authorize))
        .with_state(stage)
}

async fn authorize(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    if stage.admits(request.headers()) {
        next.run(request).await
    } else {
        problem(StatusCode::UNAUTHORIZED, None)
    }
}

async fn list(State(stage): State<Arc<Stage>>) -> Response {
    reply::json(&json!({ "services": stage.entries() }))
}

async fn details(
    State(stage): State<Arc<Stage>>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    let name = named(name);
    match stage.play(&name, Play::read) {
        Some(reply) => perform(reply, &breaker).await,
        None => whole(Answer::not_found(&name)),
    }
}

async fn deploy(
    State(stage): State<Arc<Stage>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(manifest) = body::to_bytes(request.into_body(), MOST_BODY).await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, None);
    };
    let object = serde_json::from_slice::<Value>(&manifest).is_ok_and(|json| json.is_object());
    if !manifest.trim_ascii().is_empty() && !object {
        return problem(
            StatusCode::BAD_REQUEST,
            Some("the body is not a JSON object"),
        );
    }
    let name = named(name);
    whole(
        stage
            .play(&name, Play::deploy)
            .unwrap_or_else(|| Answer::not_found(&name)),
    )
}

async fn logs(
    State(stage): State<Arc<Stage>>,
    name: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = match LogQuery::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(what) => return problem(StatusCode::BAD_REQUEST, Some(&what)),
    };
    let name = named(name);
    whole(
        stage
            .play(&name, |play, now| play.logs(now, &query))
            .unwrap_or_else(|| Answer::not_found(&name)),
    )
}

/// The name in the path; one that is not UTF-8 is no agent's.
fn named(path: Result<Path<String>, PathRejection>) -> String {
    path.map_or_else(|_| String::new(), |Path(name)| name)
}

#[cfg(test)]
mod tests;
