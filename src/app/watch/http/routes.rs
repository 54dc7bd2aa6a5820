//! The paths of the endpoints, and what each answers.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::answer::{bad_query, json_answer, metrics_answer, problem, seal};
use super::guard::admit;
use super::query::{AgentsQuery, RolloutsQuery};
use super::sources::{Answer, Page, Sources, Unanswered};
use crate::core::rollout::whole_millis;

/// What the handlers know.
#[derive(Debug, Clone)]
struct Desk {
    sources: Arc<Sources>,
    /// How long a list may take, until its turn and from then on.
    patience: Duration,
    /// The places for lists.
    lists: Arc<Semaphore>,
}

/// How many lists are made, or wait to be taken, at once: each may be of some MiB, and the callers of
/// all connections may ask for one.
const LISTS: usize = 2;

/// The place of a list. The connection keeps it to its end: until then the list is in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct ListPlace(Arc<OnceLock<OwnedSemaphorePermit>>);

/// The endpoints of one who listens there, and gives a request so long.
pub(super) fn router(sources: Arc<Sources>, listening: IpAddr, time: Duration) -> Router {
    let desk = Desk {
        sources,
        patience: time / 2,
        lists: Arc::new(Semaphore::new(LISTS)),
    };
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/agents", get(agents))
        .route("/v1/rollouts", get(rollouts))
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are allowed")
        })
        .fallback(|| async {
            let told = "there are /livez, /readyz, /metrics, /v1/agents and /v1/rollouts";
            problem(StatusCode::NOT_FOUND, told)
        })
        .layer(middleware::from_fn(move |request, next| {
            screen(listening, request, next)
        }))
        .with_state(desk)
}

/// Turns away what is not to be answered, and seals what is.
async fn screen(listening: IpAddr, request: Request, next: Next) -> Response {
    let admitted = admit(
        listening,
        request.version(),
        request.uri(),
        request.headers(),
    );
    let mut response = match admitted {
        Ok(()) => next.run(request).await,
        Err((status, told)) => problem(status, told),
    };
    seal(response.headers_mut());
    response
}

async fn livez(State(desk): State<Desk>) -> Response {
    let liveness = (desk.sources.liveness)();
    let stuck = liveness.stuck();
    let (status, word) = if stuck.is_empty() {
        (StatusCode::OK, "alive")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stuck")
    };
    let body = json!({ "status": word, "stuck": stuck, "loops": liveness.loops });
    json_answer(status, &body)
}

async fn readyz(State(desk): State<Desk>) -> Response {
    let readiness = (desk.sources.readiness)();
    let faults = readiness.faults();
    let (status, word) = if faults.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not-ready")
    };
    let age = readiness.last_good_answer_age.map(whole_millis);
    let body = json!({
        "status": word,
        "faults": faults,
        "lastGoodAnswerAgeMs": age,
        "limitMs": whole_millis(readiness.limit),
        "storeWritable": readiness.store.is_ok(),
    });
    json_answer(status, &body)
}

async fn metrics(State(desk): State<Desk>) -> Response {
    // Those of ten thousand agents take a while, which the loops should not notice.
    match spawn_blocking(move || (desk.sources.metrics)()).await {
        Ok(text) => metrics_answer(text),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be told",
        ),
    }
}

async fn agents(
    State(desk): State<Desk>,
    Extension(place): Extension<ListPlace>,
    RawQuery(query): RawQuery,
) -> Response {
    match AgentsQuery::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => list("agents", &desk, place, || (desk.sources.agents)(query)).await,
        Err(bad) => bad_query(&bad),
    }
}

async fn rollouts(
    State(desk): State<Desk>,
    Extension(place): Extension<ListPlace>,
    RawQuery(query): RawQuery,
) -> Response {
    match RolloutsQuery::parse(query.as_deref().unwrap_or_default(), Timestamp::now()) {
        Ok(query) => list("rollouts", &desk, place, || (desk.sources.rollouts)(query)).await,
        Err(bad) => bad_query(&bad),
    }
}

/// A page under its name, once there is a place for it; or why there is none, as long as somebody
/// waits for it.
async fn list<T, N>(
    name: &'static str,
    desk: &Desk,
    place: ListPlace,
    ask: impl FnOnce() -> Answer<Page<T, N>>,
) -> Response
where
    T: Serialize + Send + 'static,
    N: Serialize + Send + 'static,
{
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let answer = async {
        // The semaphore is never closed.
        if let Ok(permit) = Arc::clone(&desk.lists).acquire_owned().await {
            let _ = place.0.set(permit);
        }
        ask().await
    };
    let page = match timeout(desk.patience, answer).await {
        Ok(Ok(page)) => page,
        Ok(Err(Unanswered(why))) => return problem(unavailable, &why),
        Err(_) => return problem(unavailable, "the answer takes too long"),
    };
    // A long page takes a while, which the loops should not notice.
    let written = spawn_blocking(move || {
        let body = json!({ name: page.items, "next": page.next });
        let answer = json_answer(StatusCode::OK, &body);
        // Also where the connection is over meanwhile.
        drop(place);
        answer
    });
    let failed = |_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the list cannot be told");
    written.await.unwrap_or_else(failed)
}
