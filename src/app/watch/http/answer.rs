//! Answers as HTTP: JSON, harmless on a terminal, kept by nobody.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::core::text::harmless_json;

/// An answer in JSON.
pub(super) fn json_answer(status: StatusCode, body: &Value) -> Response {
    answer(status, "application/json", json_text(body))
}

/// An answer in JSON, or a 304 without a body where the one who asks has this one already.
pub(super) fn json_unless_known(asked: &HeaderMap, body: &Value) -> Response {
    unless_known(asked, json_text(body), |text| {
        answer(StatusCode::OK, "application/json", text)
    })
}

/// An answer of this text, or a 304 without a body where the one who asks has this one already.
pub(super) fn unless_known<T: AsRef<str>>(
    asked: &HeaderMap,
    text: T,
    answer: impl FnOnce(T) -> Response,
) -> Response {
    let mut hasher = DefaultHasher::new();
    text.as_ref().hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = asked.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let is_known = known.any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut response = if is_known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        answer(text)
    };
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn json_text(body: &Value) -> String {
    let mut text = harmless_json(&body.to_string());
    text.push('\n');
    text
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
