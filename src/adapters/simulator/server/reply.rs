//! Replies as HTTP, those that go wrong on purpose included.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::adapters::simulator::script::{Answer, CutAfter, Reply};
use crate::adapters::simulator::socket::{Break, Breaker};

/// How long a slow body takes for each byte.
const SLOW: Duration = Duration::from_millis(500);
/// How long a huge body is: more than the memory of most machines, to no harm of ours.
const HUGE: u64 = 12 * 1024 * 1024 * 1024;
/// What a huge body is made of: a JSON reader has to go on to the end to find it wrong.
const PIECE: Bytes = Bytes::from_static(&[b'['; 64 * 1024]);

/// Replies to a request for an agent's details that came by the connection of `breaker`.
pub(super) async fn perform(reply: Reply, breaker: &Breaker) -> Response {
    match reply {
        Reply::Whole(answer) => whole(answer),
        Reply::Reset(after, answer) => {
            breaker.break_off(Break::Reset(after));
            whole(answer)
        }
        Reply::CutBody(answer) => {
            breaker.break_off(Break::Close(CutAfter::HalfBody));
            whole(answer)
        }
        Reply::SlowBody(mut answer) => {
            let body = answer.body.take().unwrap_or_default();
            with_body(answer, Body::new(Slow::new(body.into())))
        }
        Reply::HugeBody => with_body(
            Answer {
                status: 200,
                content_type: "application/json",
                headers: Vec::new(),
                body: None,
            },
            Body::new(Huge { left: HUGE }),
        ),
        Reply::Hang => pending().await,
    }
}

/// An answer, whole; one without a body gets the words that go with its status.
pub(super) fn whole(mut answer: Answer) -> Response {
    let body = answer.body.take();
    let body = body.unwrap_or_else(|| words(status(answer.status), None));
    with_body(answer, body.into())
}

/// A 200 that holds `json`.
pub(super) fn json(json: &Value) -> Response {
    with_json(StatusCode::OK, json.to_string())
}

/// An error in the contract's form, in the words of its status unless there are better ones.
pub(super) fn problem(status: StatusCode, told: Option<&str>) -> Response {
    with_json(status, words(status, told))
}

/// The body of an error (`ErrorResponse` in the contract).
fn words(status: StatusCode, told: Option<&str>) -> String {
    let reason = status.canonical_reason().unwrap_or("error");
    let code = reason.to_uppercase().replace([' ', '-'], "_");
    let error = told.map_or_else(|| reason.to_lowercase(), str::to_owned);
    json!({ "error": error, "code": code }).to_string()
}

fn with_json(status: StatusCode, json: String) -> Response {
    let mut response = Response::new(json.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn with_body(answer: Answer, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status(answer.status);
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static(answer.content_type);
    headers.insert(header::CONTENT_TYPE, kind);
    // Names and values were checked when the scenario was read.
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    }
    response
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A body that comes a byte at a time.
struct Slow {
    left: Bytes,
    beat: Interval,
}

impl Slow {
    fn new(left: Bytes) -> Self {
        let mut beat = interval(SLOW);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { left, beat }
    }
}

impl HttpBody for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.beat.poll_tick(context));
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(1)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

/// A body of nothing but `[`.
struct Huge {
    left: u64,
}

impl HttpBody for Huge {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(PIECE.len() as u64) else {
            return Poll::Ready(None);
        };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(PIECE))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
