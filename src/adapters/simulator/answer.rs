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
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: String,
}

impl Answer {
    fn new(status: StatusCode, json: &Value) -> Self {
        let (headers, body) = (Vec::new(), json.to_string());
        Self {
            status,
            headers,
            body,
        }
    }

    /// An error in the contract's form (`ErrorResponse`).
    pub(super) fn error(status: StatusCode, what: impl Into<String>) -> Self {
        let code = words(status).to_uppercase().replace([' ', '-'], "_");
        Self::new(status, &json!({ "error": what.into(), "code": code }))
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
        outcome.map_or_else(|refusal| refusal, |json| Self::new(StatusCode::OK, &json))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, json, self.body).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn words(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("error")
}
