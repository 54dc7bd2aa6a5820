//! Answers as HTTP: JSON, harmless on a terminal, kept by nobody.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::core::text::harmless_json;

/// An answer in JSON.
pub(super) fn json_answer(status: StatusCode, body: &Value) -> Response {
    let mut text = harmless_json(&body.to_string());
    text.push('\n');
    answer(status, "application/json", text)
}

/// An error, in the words of the API that is watched: `error` and `code`.
pub(super) fn error(status: StatusCode, why: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or("error");
    let code = reason.to_uppercase().replace([' ', '-'], "_");
    json_answer(status, &json!({ "error": why, "code": code }))
}

/// Any other text.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Adds to every answer that nobody keeps it, nor takes it for something else.
pub(super) fn add_security_headers(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}
