//! HTTP answers, and the errors of the API among them.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What the API makes of a request: JSON, or why it refuses.
pub type Outcome = Result<Value, Answer>;

/// An HTTP answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers; `Content-Type` is JSON's unless it is among them.
    pub headers: Vec<(HeaderName, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// An error in the contract's form (`ErrorResponse`).
    pub(super) fn error(status: StatusCode, what: impl Into<String>) -> Self {
        let code = words(status).to_uppercase().replace([' ', '-'], "_");
        let body = json!({ "error": what.into(), "code": code });
        let headers = Vec::new();
        Self {
            status,
            headers,
            body: body.to_string(),
        }
    }

    /// An error in the words of its status.
    pub(super) fn plain_error(status: StatusCode) -> Self {
        Self::error(status, words(status).to_lowercase())
    }

    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::error(StatusCode::NOT_FOUND, what)
    }

    pub(super) fn bad_request(what: impl Into<String>) -> Self {
        Self::error(StatusCode::BAD_REQUEST, what)
    }
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        let (status, headers) = (StatusCode::OK, Vec::new());
        outcome.map_or_else(
            |refusal| refusal,
            |json| Self {
                status,
                headers,
                body: json.to_string(),
            },
        )
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for (name, value) in self.headers {
            // It was checked when the scenario was read.
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
        response
    }
}

fn words(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("error")
}
