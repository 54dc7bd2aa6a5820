//! Answers as HTTP: JSON, harmless on a terminal, kept by nobody.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::query::BadQuery;
use crate::core::text::harmless_json;

/// What `/metrics` is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An answer in JSON.
pub(super) fn json_answer(status: StatusCode, body: &Value) -> Response {
    let mut text = harmless_json(&body.to_string());
    text.push('\n');
    with(status, "application/json", text)
}

/// The metrics.
pub(super) fn metrics_answer(text: String) -> Response {
    with(StatusCode::OK, OPEN_METRICS, text)
}

/// An error, in the words of the API that is watched: `error` and `code`.
pub(super) fn problem(status: StatusCode, told: &str) -> Response {
    json_answer(status, &words(status, told))
}

/// A query that makes no sense, with the parameter to blame.
pub(super) fn bad_query(bad: &BadQuery) -> Response {
    let status = StatusCode::BAD_REQUEST;
    let mut body = words(status, &format!("{}: {}", bad.parameter, bad.told));
    body["parameter"] = json!(bad.parameter);
    json_answer(status, &body)
}

/// Adds to every answer that nobody keeps it, nor takes it for something else.
pub(super) fn seal(headers: &mut HeaderMap) {
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    let as_told = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, as_told);
}

fn words(status: StatusCode, told: &str) -> Value {
    let reason = status.canonical_reason().unwrap_or("error");
    let code = reason.to_uppercase().replace([' ', '-'], "_");
    json!({ "error": told, "code": code })
}

fn with(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
