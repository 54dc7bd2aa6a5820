//! The simulator's HTTP server: the API's paths, and those that the vendor's CLI and action use.

mod connection;
mod organization;

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::answer::{Answer, Outcome};
use super::{Now, Query, Reply, Scenario, SimulatedAgent, Speed, Start};

/// The organization that all agents belong to.
pub(super) const ORGANIZATION: &str = "simulated-organization";
/// The most that is read of a deploy's body.
const MAX_BODY: usize = 1024 * 1024;

/// An API on loopback that plays scripted rollouts.
#[derive(Debug)]
pub(crate) struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    stage: Arc<Stage>,
}

/// What a simulator plays, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Which agents there are and what each plays.
    pub agents: BTreeMap<String, Arc<Scenario>>,
    /// The key that requests must bear; `None`: any will do.
    pub key: Option<String>,
    /// How fast the scenarios run.
    pub speed: Speed,
    /// When an agent's timeline begins.
    pub start: Start,
}

impl Simulator {
    /// Takes the address; from then on connections wait until [`Simulator::serve`] answers them.
    ///
    /// # Errors
    /// When the address is not on loopback, or cannot be had.
    pub(crate) async fn bind(address: SocketAddr, settings: Settings) -> anyhow::Result<Self> {
        ensure!(
            address.ip().is_loopback(),
            "the simulator serves on loopback addresses only, not on {address}"
        );
        let failed = || format!("cannot listen on {address}");
        let listener = TcpListener::bind(address).await.with_context(failed)?;
        let (opened, wall) = (Instant::now(), Timestamp::now());
        let (start, speed) = (settings.start, settings.speed);
        let agents = settings.agents.into_iter().map(|(name, scenario)| {
            let agent = SimulatedAgent::new(&name, scenario, start, speed, wall);
            (name, agent)
        });
        Ok(Self {
            address: listener.local_addr().with_context(failed)?,
            listener,
            stage: Arc::new(Stage {
                key: settings.key,
                opened,
                agents: Mutex::new(agents.collect()),
            }),
        })
    }

    /// A way to deploy without a request.
    pub(crate) fn deployer(&self) -> Deployer {
        Deployer(Arc::clone(&self.stage))
    }

    /// What clients take for the URL of the API.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The environment that points this program, and then the vendor's tools, at it: two lines for a
    /// shell. A key that only its user knows is not in them.
    pub(crate) fn exports(&self) -> String {
        let (key, token) = match self.stage.key {
            Some(_) => ("", ""),
            None => (
                " PIPECAT_API_KEY=sk_simulated",
                " PIPECAT_TOKEN=pcc_pat_simulated",
            ),
        };
        format!(
            "export PIPECAT_API_URL={}{key}\n\
             export PIPECAT_API_HOST=http://{} PIPECAT_ORG={ORGANIZATION}{token}\n",
            self.base_url(),
            self.address
        )
    }

    /// Answers requests until it is dropped.
    pub(crate) async fn serve(self) {
        connection::serve(self.listener, router(self.stage)).await;
    }
}

/// Deploys to a simulator that serves in the same process.
#[derive(Debug, Clone)]
pub(crate) struct Deployer(Arc<Stage>);

impl Deployer {
    /// Deploys to an agent, as a POST would.
    pub(crate) fn deploy(&self, agent: &str) {
        let _ = self
            .0
            .play(agent, |agent, now| agent.deploy(now, &Value::Null));
    }

    /// Deploys to an agent, which plays this scenario from now on; `manifest` is what a POST would say.
    pub(crate) fn deploy_as(&self, agent: &str, scenario: &Arc<Scenario>, manifest: &Value) {
        let _ = self.0.play(agent, |agent, now| {
            agent.scenario = Arc::clone(scenario);
            agent.deploy(now, manifest)
        });
    }

    /// Has an agent's details say this from now on, where its scenario says nothing else.
    pub(crate) fn set(&self, agent: &str, fields: &Value) {
        let _ = self.0.play(agent, |agent, _| agent.set(fields));
    }

    /// Has an agent's deployment from before the first deploy be of this image.
    pub(crate) fn set_first_image(&self, agent: &str, image: &str) {
        let _ = self.0.play(agent, |agent, _| agent.set_first_image(image));
    }
}

/// The agents and their time.
#[derive(Debug)]
struct Stage {
    key: Option<String>,
    opened: Instant,
    agents: Mutex<BTreeMap<String, SimulatedAgent>>,
}

impl Stage {
    /// Has an agent do something.
    fn play<T>(
        &self,
        name: &str,
        act: impl FnOnce(&mut SimulatedAgent, Now) -> T,
    ) -> Result<T, Answer> {
        let now = self.now();
        let mut agents = self.agents();
        agents
            .get_mut(name)
            .map(|agent| act(agent, now))
            .ok_or_else(|| {
                let what = "not found: the simulator plays for the agents of its --agent only";
                Answer::not_found(format!("agent {name:?} {what}"))
            })
    }

    fn agents(&self) -> MutexGuard<'_, BTreeMap<String, SimulatedAgent>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the request bears the key that its path asks for: the public one to start sessions,
    /// for all else another one.
    fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        let value = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let Some((scheme, key)) = value.and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let (key, is_public) = (key.trim(), key.trim().starts_with("pk_"));
        let is_right = match &self.key {
            _ if path.starts_with("/v1/public/") => is_public,
            Some(expected) => key == expected,
            None => !key.is_empty() && !is_public,
        };
        is_right && scheme.eq_ignore_ascii_case("bearer")
    }

    fn now(&self) -> Now {
        let (since, wall) = (self.opened.elapsed(), Timestamp::now());
        Now { since, wall }
    }
}

fn router(stage: Arc<Stage>) -> Router {
    let (get_only, deploys) = (MethodFilter::GET, MethodFilter::POST.or(MethodFilter::PUT));
    let session = asks(get_only, |agent, now, asked| {
        agent.session(now, &asked.session)
    });
    let end = asks(MethodFilter::DELETE, |agent, now, asked| {
        agent.end_session(now, &asked.session)
    });
    let deploy = |methods| {
        asks(methods, |agent, now, asked| {
            if let Some(name) = asked.query.get("scenario") {
                let scenario = Scenario::built_in(name).ok_or_else(|| {
                    let what = "no scenario that is built in has this name";
                    Answer::bad_request(format!("scenario {name:?}: {what}"))
                })?;
                agent.scenario = Arc::new(scenario);
            }
            agent.deploy(now, &asked.manifest)
        })
    };
    let agents = Router::new()
        .route("/", get(list).merge(deploy(deploys)))
        .route(
            "/{name}/logs",
            asks(get_only, |agent, now, asked| agent.logs(now, &asked.query)),
        )
        .route(
            "/{name}/sessions",
            asks(get_only, |agent, now, asked| {
                agent.sessions(now, &asked.query)
            }),
        )
        .route("/{name}/sessions/{session}", session.merge(end));
    let by_key = get(details).merge(deploy(MethodFilter::POST));
    let start = asks(MethodFilter::POST, |agent, now, _| agent.start_session(now));
    Router::new()
        .nest("/v1/agents", agents.clone().route("/{name}", by_key))
        .nest(
            "/v1/organizations/{organization}/services",
            agents.route("/{name}", get(organization::details)),
        )
        .route("/v1/public/{name}/start", start)
        .merge(organization::router())
        .method_not_allowed_fallback(|| async {
            Answer::plain_error(StatusCode::METHOD_NOT_ALLOWED)
        })
        .fallback(|| async { Answer::plain_error(StatusCode::NOT_FOUND) })
        .layer(middleware::from_fn_with_state(stage.clone(), authorize))
        .with_state(stage)
}

/// What a path names. What is not UTF-8 names nothing that there is.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    name: String,
    session: String,
}

type Place = Result<Path<Named>, PathRejection>;
type Stages = State<Arc<Stage>>;

/// What a request says beside the agent that it is about.
struct Asked {
    session: String,
    query: Query,
    manifest: Value,
}

/// Requests that ask something of an agent: of the one in the path or, where none is, in the body.
fn asks(
    methods: MethodFilter,
    act: fn(&mut SimulatedAgent, Now, &Asked) -> Outcome,
) -> MethodRouter<Arc<Stage>> {
    let answer =
        async move |State(stage): Stages, place: Place, query: RawQuery, request: Request| {
            let Ok(text) = body::to_bytes(request.into_body(), MAX_BODY).await else {
                return Answer::plain_error(StatusCode::PAYLOAD_TOO_LARGE);
            };
            let manifest = match text.trim_ascii() {
                b"" => json!({}),
                text => serde_json::from_slice(text).unwrap_or_default(),
            };
            if !manifest.is_object() {
                return Answer::bad_request("the body is not a JSON object");
            }
            let Named { mut name, session } = named(place);
            if name.is_empty() {
                name += manifest["serviceName"].as_str().unwrap_or_default();
            }
            let query = read(query);
            let asked = Asked {
                session,
                query,
                manifest,
            };
            stage
                .play(&name, |agent, now| act(agent, now, &asked))
                .flatten()
                .into()
        };
    on(methods, answer)
}

async fn authorize(State(stage): Stages, request: Request, next: Next) -> Response {
    if stage.admits(request.uri().path(), request.headers()) {
        next.run(request).await
    } else {
        Answer::plain_error(StatusCode::UNAUTHORIZED).into_response()
    }
}

/// The entries of the agents that exist at present, by name.
async fn list(State(stage): Stages, query: RawQuery) -> Answer {
    let (now, query, agents) = (stage.now(), read(query), stage.agents());
    let entries = agents.values().filter_map(|agent| agent.entry(now));
    let entries: Value = entries
        .filter(|entry| query.selects("region", entry))
        .collect();
    Ok(json!({ "services": entries })).into()
}

async fn details(State(stage): Stages, place: Place) -> Response {
    respond(&stage, place, |details| details).await
}

/// Replies to a request for an agent's details, in the form that `shape` gives them.
async fn respond(stage: &Stage, place: Place, shape: fn(Value) -> Value) -> Response {
    match stage.play(&named(place).name, SimulatedAgent::read) {
        Ok(Reply::Details(details)) => Answer::from(Ok(shape(details))).into_response(),
        Ok(Reply::Answer(answer)) | Err(answer) => answer.into_response(),
        Ok(Reply::Hang) => pending().await,
        Ok(Reply::Reset) => connection::reset(),
    }
}

fn named(place: Place) -> Named {
    place.map(|Path(named)| named).unwrap_or_default()
}

fn read(RawQuery(query): RawQuery) -> Query {
    Query::parse(query.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests;
