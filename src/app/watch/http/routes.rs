//! The paths of the endpoints, and what each answers.

use std::io::Write as _;
use std::iter;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::actions;
use super::answer::{answer, error, json_answer, json_unless_known};
use super::badge::badge;
use super::guard::admit;
use super::lists::{self, Trust};
use super::page::{FILES, File, add_browser_headers};
use super::query::Strict;
use super::{Access, Endpoints};
use crate::adapters::metrics::{Format, Series, Snapshot};
use crate::adapters::store::StoreError;
use crate::app::error::chain;
use crate::app::watch::Muted;
use crate::core::rollout::whole_millis;

/// How many answers of each kind there may be at once: they can be long.
const PLACES: usize = 2;

#[derive(Clone)]
pub(super) struct AppState {
    pub(super) endpoints: Arc<Endpoints>,
    /// How long an answer may be waited for.
    pub(super) patience: Duration,
    scrapes: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    /// One request for logs at a time: the API counts them.
    pub(super) logs: Arc<Semaphore>,
}

/// The place of an answer: it is kept until the connection has ended, in which there is one answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(Arc<OnceLock<OwnedSemaphorePermit>>);

/// The endpoints at this address; a connection may take that long.
pub(super) fn router(endpoints: Arc<Endpoints>, listening: IpAddr, time: Duration) -> Router {
    let access = Arc::clone(&endpoints.access);
    let state = AppState {
        endpoints,
        patience: time / 2,
        scrapes: Arc::new(Semaphore::new(PLACES)),
        lists: Arc::new(Semaphore::new(PLACES)),
        logs: Arc::new(Semaphore::new(1)),
    };
    let endpoints = [
        ("/livez", get(livez)),
        ("/readyz", get(readyz)),
        ("/metrics", get(metrics)),
        ("/v1/agents", list(lists::agents)),
        ("/v1/rollouts", list(lists::rollouts)),
        ("/v1/events", list(lists::events)),
        ("/v1/stats", list(lists::stats)),
        ("/v1/dead-letters", list(lists::dead_letters)),
        ("/v1/dead-letters/redeliver", post(actions::redeliver)),
        ("/v1/overview", list(lists::overview)),
        ("/v1/rollout", list(lists::rollout)),
        ("/v1/rollout/logs", get(actions::logs)),
        ("/badge/{file}", get(agent_badge)),
    ];
    let paths = endpoints.iter().map(|(path, _)| *path);
    let paths: Vec<&str> = iter::once("/").chain(paths).collect();
    let not_found = format!("there are {}", paths.join(", ")).replace("{file}", "AGENT.svg");
    let files = FILES.map(|one| (one.path, file(one)));
    let router = files.into_iter().chain(endpoints);
    router
        .fold(Router::new(), |router, (path, endpoint)| {
            router.route(path, endpoint)
        })
        .method_not_allowed_fallback(|| async {
            let what = "GET and HEAD are allowed, and POST to send dead letters again";
            error(StatusCode::METHOD_NOT_ALLOWED, what)
        })
        .fallback(|| async move { error(StatusCode::NOT_FOUND, &not_found) })
        .layer(middleware::from_fn(move |request, next| {
            guard(Arc::clone(&access), listening, request, next)
        }))
        .with_state(state)
}

async fn guard(access: Arc<Access>, listening: IpAddr, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = match admit(&access, listening, &parts).await {
        Ok(trust) => {
            parts.extensions.insert(trust);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refused) => refused,
    };
    add_browser_headers(response.headers_mut());
    response
}

async fn livez(State(state): State<AppState>, Extension(trust): Extension<Trust>) -> Response {
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
    probe_answer(status, trust, body)
}

async fn readyz(State(state): State<AppState>, Extension(trust): Extension<Trust>) -> Response {
    let shared = &state.endpoints.shared;
    let faults = shared.faults();
    let (status, word) = if faults.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not-ready")
    };
    let now = shared.now();
    let muted = |one: &Muted| json!({ "what": one.mute.to_string(), "events": one.events });
    let muted: Vec<Value> = shared.mutes().iter().map(muted).collect();
    let fleet = shared.fleet();
    let age = |age: Option<Duration>| age.map(whole_millis);
    let body = json!({
        "status": word,
        "faults": faults,
        "listAgeMs": age(fleet.sources().list.age(now.at)),
        "detailsAgeMs": age(fleet.sources().details.age(now.at)),
        "limitMs": whole_millis(fleet.sources().patience),
        "storeWritable": shared.store().is_ok(),
        "muted": muted,
    });
    drop(fleet);
    probe_answer(status, trust, body)
}

/// What a probe is answered: all of it, or the status alone.
fn probe_answer(status: StatusCode, trust: Trust, mut body: Value) -> Response {
    if trust == Trust::StatusOnly {
        body = json!({ "status": body["status"] });
    }
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

/// Answers a query with a list, in JSON.
fn list<Q: DeserializeOwned + Send + 'static>(
    list: fn(&Endpoints, &Q, Trust) -> Result<Value, StoreError>,
) -> MethodRouter<AppState> {
    get(
        move |State(state): State<AppState>,
              Extension(place),
              Extension(trust),
              headers: HeaderMap,
              Strict(query)| async move {
            let endpoints = Arc::clone(&state.endpoints);
            let write = move || match list(&endpoints, &query, trust) {
                Ok(body) => Ok(json_unless_known(&headers, &body)),
                Err(error) => Err(chain(&error)),
            };
            long_answer(&state, &state.lists, place, write).await
        },
    )
}

/// A file of the page.
fn file(file: File) -> MethodRouter<AppState> {
    get(move |headers: HeaderMap| async move { file.answer(&headers) })
}

/// The state of an agent as a picture, which other sites may show where everybody can see it.
async fn agent_badge(
    State(state): State<AppState>,
    Extension(trust): Extension<Trust>,
    file: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(file)) = file else {
        return error(StatusCode::BAD_REQUEST, "the name of an agent is text");
    };
    let name = file.strip_suffix(".svg").unwrap_or(&file);
    let fleet = state.endpoints.shared.fleet();
    let found = fleet.agent(name).map(|agent| agent.status().0);
    drop(fleet);
    let status = if found.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    let mut response = answer(status, "image/svg+xml", badge(name, found));
    if trust == Trust::ReadOnly {
        let anywhere = HeaderValue::from_static("cross-origin");
        let headers = response.headers_mut();
        headers.insert("cross-origin-resource-policy", anywhere);
    }
    response
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
        let mut backlogs = self.store.reader().backlogs().unwrap_or_default();
        for sink in shared.sinks() {
            backlogs.entry(sink).or_default();
        }
        let fleet = shared.fleet();
        Snapshot {
            agents: fleet.agents().map(Series::from).collect(),
            missing_agents: fleet.missing_agents(),
            follows: fleet.follows(),
            list_age: fleet.sources().list.age(now.at),
            list_distrusted: fleet.is_list_distrusted(),
            details_age: fleet.sources().details.age(now.at),
            check_interval: fleet.check_interval(now.at),
            store_writable: shared.store().is_ok(),
            unsaved_events: shared.unsaved.load(Ordering::Relaxed),
            config_ok: shared.reload_ok.load(Ordering::Relaxed),
            mutes: shared.mutes().len(),
            sinks: backlogs,
            now: now.wall,
        }
    }
}
