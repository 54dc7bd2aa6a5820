//! The paths of the endpoints, and what each answers.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::answer::{add_security_headers, answer, error, json_answer};
use super::guard::admit;
use super::query::{
    AgentsQuery, DeadLettersQuery, EventsQuery, Moment, RolloutsQuery, StatsQuery, Strict,
};
use super::views::{AgentView, event};
use super::{Endpoints, PATHS};
use crate::adapters::metrics::{Format, Snapshot};
use crate::adapters::store::{EventQuery, RolloutQuery, StoreError};
use crate::app::error::chain;
use crate::core::fleet::{FinishedRollout, Stats};
use crate::core::rollout::whole_millis;

/// How many answers of each kind there may be at once: they can be long.
const PLACES: usize = 2;
/// How long a page may be, in bytes as they are kept.
const MAX_PAGE: usize = 4 * 1024 * 1024;

#[derive(Clone)]
struct AppState {
    endpoints: Arc<Endpoints>,
    /// How long an answer may be waited for.
    patience: Duration,
    scrapes: Arc<Semaphore>,
    lists: Arc<Semaphore>,
}

/// The place of an answer: it is kept until the connection has ended, in which there is one answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(Arc<OnceLock<OwnedSemaphorePermit>>);

/// The endpoints at this address; a connection may take that long.
pub(super) fn router(endpoints: Arc<Endpoints>, listening: IpAddr, time: Duration) -> Router {
    let state = AppState {
        endpoints,
        patience: time / 2,
        scrapes: Arc::new(Semaphore::new(PLACES)),
        lists: Arc::new(Semaphore::new(PLACES)),
    };
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/agents", list(agents))
        .route("/v1/rollouts", list(rollouts))
        .route("/v1/events", list(events))
        .route("/v1/stats", list(stats))
        .route("/v1/dead-letters", list(dead_letters))
        .method_not_allowed_fallback(|| async {
            error(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are allowed")
        })
        .fallback(|| async {
            error(
                StatusCode::NOT_FOUND,
                &format!("there are {}", PATHS.join(", ")),
            )
        })
        .layer(middleware::from_fn(move |request, next| {
            guard(listening, request, next)
        }))
        .with_state(state)
}

async fn guard(listening: IpAddr, request: Request, next: Next) -> Response {
    let admitted = admit(
        listening,
        request.version(),
        request.uri(),
        request.headers(),
    );
    let mut response = match admitted {
        Ok(()) => next.run(request).await,
        Err((status, why)) => error(status, why),
    };
    add_security_headers(response.headers_mut());
    response
}

async fn livez(State(state): State<AppState>) -> Response {
    let heartbeats = state.endpoints.shared.heartbeats();
    let stuck: Vec<&str> = heartbeats
        .iter()
        .filter(|beat| beat.is_stuck)
        .map(|beat| beat.name.as_str())
        .collect();
    let (status, word) = if stuck.is_empty() {
        (StatusCode::OK, "alive")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stuck")
    };
    let loops = heartbeats.iter().map(|beat| {
        json!({ "name": beat.name, "stuck": beat.is_stuck, "ageMs": whole_millis(beat.age) })
    });
    let body = json!({ "status": word, "stuck": stuck, "loops": loops.collect::<Vec<_>>() });
    json_answer(status, &body)
}

async fn readyz(State(state): State<AppState>) -> Response {
    let shared = &state.endpoints.shared;
    let faults = shared.faults();
    let (status, word) = if faults.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not-ready")
    };
    let now = shared.now();
    let fleet = shared.fleet();
    let age = |age: Option<Duration>| age.map(whole_millis);
    let body = json!({
        "status": word,
        "faults": faults,
        "listAgeMs": age(fleet.sources().list.age(now.at)),
        "detailsAgeMs": age(fleet.sources().details.age(now.at)),
        "limitMs": whole_millis(fleet.sources().patience),
        "storeWritable": shared.store().is_ok(),
    });
    drop(fleet);
    json_answer(status, &body)
}

async fn metrics(
    State(state): State<AppState>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
) -> Response {
    let accept = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let format = Format::accepted(accept(header::ACCEPT));
    let gzip = accept(header::ACCEPT_ENCODING).is_some_and(|accept| accept.contains("gzip"));
    let endpoints = Arc::clone(&state.endpoints);
    // Those of ten thousand agents take a while, which the loops should not notice.
    let write = move || {
        let text = endpoints.metrics.encode(endpoints.snapshot(), format);
        if !gzip {
            return Ok(answer(StatusCode::OK, format.content_type(), text));
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = encoder.write_all(text.as_bytes());
        let packed = packed.and_then(|()| encoder.finish());
        let packed = packed.map_err(|error| error.to_string())?;
        let mut response = answer(StatusCode::OK, format.content_type(), packed);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(
            header::VARY,
            HeaderValue::from_static("accept, accept-encoding"),
        );
        Ok(response)
    };
    long_answer(&state, &state.scrapes, place, write).await
}

#[expect(clippy::unnecessary_wraps, reason = "it is listed as the others are")]
fn agents(endpoints: &Endpoints, query: &AgentsQuery) -> Result<Value, StoreError> {
    let fleet = endpoints.shared.fleet();
    let mut rest = fleet.agents_after(query.after.as_deref());
    let page: Vec<_> = rest.by_ref().take(query.limit.0).cloned().collect();
    let more = rest.next().is_some();
    drop(rest);
    drop(fleet);
    let next = page.last().filter(|_| more).map(|record| &record.name);
    let views: Vec<AgentView<'_>> = page.iter().map(AgentView::of).collect();
    Ok(json!({ "agents": views, "next": next }))
}

fn rollouts(endpoints: &Endpoints, query: &RolloutsQuery) -> Result<Value, StoreError> {
    let selection = RolloutQuery {
        before: query.before,
        ..selection(query.agent.clone(), query.since, query.until)
    };
    let reader = &endpoints.reader;
    let page = reader.rollouts(&selection, query.limit.0, MAX_PAGE)?;
    let next = page.next();
    let views: Vec<FinishedRollout> = page.found.into_iter().map(Into::into).collect();
    Ok(json!({ "rollouts": views, "next": next }))
}

fn events(endpoints: &Endpoints, query: &EventsQuery) -> Result<Value, StoreError> {
    let selection = EventQuery {
        after: query.after,
        agent: query.agent.clone(),
        kind: query.kind,
    };
    let reader = &endpoints.reader;
    let page = reader.events(&selection, query.limit.0, MAX_PAGE)?;
    let views = page.found.iter();
    let views = views.map(|stored| event(stored, &endpoints.source));
    Ok(json!({ "events": views.collect::<Vec<_>>(), "next": page.next() }))
}

fn stats(endpoints: &Endpoints, query: &StatsQuery) -> Result<Value, StoreError> {
    let selection = selection(query.agent.clone(), query.since, query.until);
    let rollouts = endpoints.reader.summaries(&selection)?;
    let agents = Stats::by_agent(&rollouts).into_iter();
    let agents = agents.map(|(agent, stats)| json!({ "agent": agent, "stats": stats }));
    Ok(json!({ "stats": Stats::of(&rollouts), "agents": agents.collect::<Vec<_>>() }))
}

fn dead_letters(endpoints: &Endpoints, query: &DeadLettersQuery) -> Result<Value, StoreError> {
    let found = endpoints.reader.dead_letters(query.limit.0)?;
    Ok(json!({ "deadLetters": found }))
}

/// The rollouts that a query asks for.
fn selection(agent: Option<String>, since: Option<Moment>, until: Option<Moment>) -> RolloutQuery {
    RolloutQuery {
        agents: agent.into_iter().collect(),
        since: since.map(|moment| moment.0),
        until: until.map(|moment| moment.0),
        ..RolloutQuery::default()
    }
}

/// Answers a query with a list, in JSON.
fn list<Q: DeserializeOwned + Send + 'static>(
    list: fn(&Endpoints, &Q) -> Result<Value, StoreError>,
) -> MethodRouter<AppState> {
    get(
        move |State(state): State<AppState>, Extension(place), Strict(query)| async move {
            let endpoints = Arc::clone(&state.endpoints);
            let write = move || match list(&endpoints, &query) {
                Ok(body) => Ok(json_answer(StatusCode::OK, &body)),
                Err(error) => Err(chain(&error)),
            };
            long_answer(&state, &state.lists, place, write).await
        },
    )
}

/// Has an answer written where it keeps no loop waiting, in one of a few places.
async fn long_answer(
    state: &AppState,
    places: &Arc<Semaphore>,
    place: Place,
    write: impl FnOnce() -> Result<Response, String> + Send + 'static,
) -> Response {
    let written = async {
        // The semaphore is never closed.
        if let Ok(permit) = Arc::clone(places).acquire_owned().await {
            let _ = place.0.set(permit);
        }
        // The place is kept also where the connection is over meanwhile.
        spawn_blocking(move || {
            let written = write();
            drop(place);
            written
        })
        .await
    };
    match timeout(state.patience, written).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(why))) => error(StatusCode::SERVICE_UNAVAILABLE, &why),
        Ok(Err(_)) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer cannot be written",
        ),
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the answer takes too long"),
    }
}

impl Endpoints {
    /// What is, for the metrics.
    fn snapshot(&self) -> Snapshot {
        let shared = &self.shared;
        let now = shared.now();
        let mut backlogs = self.reader.backlogs().unwrap_or_default();
        for sink in shared.sinks() {
            backlogs.entry(sink).or_default();
        }
        let fleet = shared.fleet();
        Snapshot {
            agents: fleet.agents().cloned().collect(),
            missing_agents: fleet.missing_agents(),
            follows: fleet.follows(),
            list_age: fleet.sources().list.age(now.at),
            list_distrusted: fleet.is_list_distrusted(),
            details_age: fleet.sources().details.age(now.at),
            check_interval: fleet.check_interval(),
            store_writable: shared.store().is_ok(),
            unsaved_events: shared.unsaved(),
            config_ok: shared.reload_ok(),
            sinks: backlogs,
            now: now.wall,
        }
    }
}
