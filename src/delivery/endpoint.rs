//! A receiver over HTTP: its address, and what its answers mean.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect, retry};
use rustls::ClientConfig;

use super::{SinkError, Then, Undelivered};
use crate::text::one_line;
use crate::wire::retry_after;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection is kept for the next notice.
const LONGEST_IDLE: Duration = Duration::from_secs(4);
/// The most that is read of an answer, which only explains a failure.
const MOST_ANSWER: usize = 1024;
/// The most characters of it that are told.
const MOST_WORDS: usize = 200;

/// Whether plain http may leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainText {
    /// Only to loopback.
    LoopbackOnly,
    /// To anywhere.
    Anywhere,
}

/// Why a text cannot be the address of a receiver. It is not repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// No URL at all.
    #[error("the url is none; it looks like https://example.com/hook")]
    NotAUrl,
    /// Neither https nor http.
    #[error("the url is neither https nor http")]
    Scheme,
    /// Plain http to another machine.
    #[error(
        "the url is plain http to another machine, which would send events in the open; use https, or --allow-insecure-http"
    )]
    Insecure,
}

/// A receiver over HTTP.
pub(super) struct Endpoint {
    client: Client,
    url: Url,
}

impl Endpoint {
    pub(super) fn new(
        url: &str,
        tls: &ClientConfig,
        plain_text: PlainText,
    ) -> Result<Self, SinkError> {
        let url = Url::parse(url).map_err(|_| BadAddress::NotAUrl)?;
        let host = url.host_str().unwrap_or_default();
        let mut builder = Client::builder();
        match url.scheme() {
            "https" => {}
            "http" if plain_text == PlainText::LoopbackOnly && !is_loopback(host) => {
                return Err(BadAddress::Insecure.into());
            }
            // What may not leave this machine goes through no proxy.
            "http" => builder = builder.no_proxy(),
            _ => return Err(BadAddress::Scheme.into()),
        }
        let client = builder
            .user_agent(concat!("pipecat-rollout/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            // Every attempt is counted and written down.
            .retry(retry::never())
            .pool_idle_timeout(LONGEST_IDLE)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ATTEMPT_TIMEOUT)
            .tls_backend_preconfigured(tls.clone())
            .build()
            .map_err(SinkError::Client)?;
        Ok(Self { client, url })
    }

    /// Sends a body, and judges the answer.
    pub(super) async fn post(&self, headers: HeaderMap, body: String) -> Result<(), Undelivered> {
        let request = self.client.post(self.url.clone());
        let sent = request.headers(headers).body(body).send().await;
        let response = sent.map_err(|error| Undelivered::retry(in_words(error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let then = match status {
            StatusCode::GONE => Then::Gone,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Then::Retry {
                after: asked(response.headers()),
            },
            _ => Then::Retry { after: None },
        };
        let words = words(response).await;
        let words = words.map_or_else(String::new, |words| format!(": {words}"));
        let why = format!("the receiver answered {status}{words}");
        Err(Undelivered { why, then })
    }
}

/// How long the receiver asks to be left alone.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: HeaderName| headers.get(name)?.to_str().ok();
    let server_time = header(DATE)
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .and_then(|date| Timestamp::try_from(date).ok());
    retry_after(
        header(RETRY_AFTER)?,
        server_time.unwrap_or_else(Timestamp::now),
    )
}

/// What an answer says, in a line; one that is no short text says nothing.
async fn words(mut response: Response) -> Option<String> {
    let mut body = Vec::new();
    while body.len() < MOST_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(MOST_ANSWER);
    let text = String::from_utf8_lossy(&body);
    let line = one_line(text.trim().lines().next()?);
    // A page for people is none for logs.
    let told = !line.is_empty() && !line.starts_with('<');
    told.then(|| line.chars().take(MOST_WORDS).collect())
}

/// Why a request got no answer, without the address.
fn in_words(error: reqwest::Error) -> String {
    let what = if error.is_timeout() && !error.is_connect() {
        return format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs());
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "the connection broke"
    };
    let error = error.without_url();
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    match causes.last() {
        Some(cause) => format!("{what}: {}", one_line(&cause.to_string())),
        None => what.to_owned(),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<IpAddr, _> = address.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
