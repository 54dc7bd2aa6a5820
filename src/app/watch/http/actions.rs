//! What goes beyond reading what the sidecar knows: dead letters that are sent again, logs that the API is asked for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::answer::{error, json_answer};
use super::guard::MayAct;
use super::query::{LogsQuery, RedeliverQuery, Strict};
use super::routes::AppState;
use crate::adapters::api::connection::Priority;
use crate::app::error::chain;
use crate::core::wire::AgentName;

/// Puts dead letters back into the queue of their sink.
pub(super) async fn redeliver(
    State(state): State<AppState>,
    Strict(query): Strict<RedeliverQuery>,
    _: MayAct,
) -> Response {
    let shared = &state.endpoints.shared;
    let RedeliverQuery { sink, event } = query;
    if !shared.sinks().contains(&sink) {
        return error(
            StatusCode::CONFLICT,
            "the configuration has no sink of this name",
        );
    }
    let redelivered = state
        .endpoints
        .store
        .with(move |store| store.redeliver_to(&sink, event, Timestamp::now()))
        .await;
    match redelivered {
        Ok(0) => error(StatusCode::NOT_FOUND, "there is no such dead letter"),
        Ok(count) => {
            shared.wake_deliveries();
            json_answer(StatusCode::OK, &json!({ "queued": count }))
        }
        Err(failed) => error(StatusCode::SERVICE_UNAVAILABLE, &chain(&failed)),
    }
}

/// Asks the API for the latest lines that a deployment logged.
pub(super) async fn logs(
    State(state): State<AppState>,
    Strict(query): Strict<LogsQuery>,
    _: MayAct,
) -> Response {
    let Ok(agent) = query.agent.parse::<AgentName>() else {
        return error(StatusCode::BAD_REQUEST, "agent: no agent has such a name");
    };
    let until = Instant::now() + state.patience;
    let connection = state.endpoints.connection.clone();
    let asked = async {
        // The semaphore is never closed.
        let _one_at_a_time = Arc::clone(&state.logs).acquire_owned().await.ok();
        connection.acquire(Priority::Low).await;
        let left = until.saturating_duration_since(Instant::now());
        let lines = connection.logs(&agent, &query.deployment, query.limit.0, left);
        lines.await
    };
    match timeout_at(until, asked).await {
        Ok(Ok(lines)) => json_answer(StatusCode::OK, &json!({ "lines": lines })),
        Ok(Err(failed)) => error(StatusCode::BAD_GATEWAY, &failed.to_string()),
        Err(_) => error(
            StatusCode::SERVICE_UNAVAILABLE,
            "the API did not answer in time",
        ),
    }
}
