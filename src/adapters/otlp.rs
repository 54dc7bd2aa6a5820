//! Sends spans to an OpenTelemetry receiver: OTLP over HTTP, as JSON.
//!
//! The address and the headers may hold secrets: only the host is ever shown.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url, redirect};
use rustls::ClientConfig;
use serde_json::Value;

use crate::core::text::loopback::{self, LOCALHOST};
use crate::core::text::one_line;
use crate::core::trace::export_request;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Where to send spans, with what, and for whom.
#[derive(Clone)]
pub(crate) struct Exporter {
    client: Client,
    url: Url,
    headers: HeaderMap,
    /// What says who sends them.
    resource: Vec<(String, String)>,
}

/// Why nothing can be sent there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExporterError {
    #[error("it must be an http or https URL, like http://localhost:4318")]
    Url,
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and only http/json is spoken here")]
    Grpc,
    #[error("OTEL_EXPORTER_OTLP_HEADERS must be key=value,key=value")]
    Header,
    #[error("cannot set up HTTP: {0}")]
    Client(String),
}

impl Exporter {
    /// An exporter that posts to exactly this address.
    ///
    /// # Errors
    /// When that cannot be done. What it says has no secret in it.
    pub(crate) fn new(
        url: &str,
        headers: &[(String, String)],
        resource: Vec<(String, String)>,
        tls: ClientConfig,
    ) -> Result<Self, ExporterError> {
        let url = Url::parse(url).map_err(|_| ExporterError::Url)?;
        let host = url.host_str().ok_or(ExporterError::Url)?.to_owned();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ExporterError::Url);
        }
        let builder = Client::builder()
            .user_agent(concat!("pipecat-rollout/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .tls_backend_preconfigured(tls);
        let builder = if loopback::is_loopback(&host) {
            builder
                .no_proxy()
                .resolve_to_addrs(LOCALHOST, &loopback::ADDRESSES)
        } else {
            builder
        };
        let client = builder
            .build()
            .map_err(|error| ExporterError::Client(error.without_url().to_string()))?;
        Ok(Self {
            client,
            url,
            headers: header_map(headers).ok_or(ExporterError::Header)?,
            resource,
        })
    }

    /// Sends spans, in no more time than `limit`.
    ///
    /// # Errors
    /// Why they did not arrive, in words without a secret.
    pub(crate) async fn export(&self, spans: &[Value], limit: Duration) -> Result<(), String> {
        let body = export_request(&self.resource, env!("CARGO_PKG_VERSION"), spans);
        let request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .timeout(limit)
            .body(body.to_string());
        let place = self.place();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Err(format!("no answer from {place}")),
            Err(error) => return Err(format!("cannot reach {place}: {}", innermost(error))),
        };
        let status = response.status();
        if !status.is_success() {
            return Err(format!("{place} answered {status}"));
        }
        match rejected(response).await {
            Some(why) => Err(format!("{place} rejected spans: {why}")),
            None => Ok(()),
        }
    }

    /// What may be shown of the address.
    fn place(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exporter({})", self.place())
    }
}

fn header_map(headers: &[(String, String)]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        map.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    Some(map)
}

/// Why a receiver that answered "yes" did not take all of it, if it says so.
async fn rejected(mut response: Response) -> Option<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    let answer: Value = serde_json::from_slice(&body).ok()?;
    let partial = answer.get("partialSuccess")?;
    // JSON writes 64-bit numbers as text; some receivers write numbers.
    let count = partial.get("rejectedSpans")?;
    let is_none = count == 0 || count == "0";
    let why = partial.get("errorMessage").and_then(Value::as_str);
    (!is_none).then(|| one_line(why.unwrap_or_default()))
}

/// What caused an error, without the address.
fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let cause = std::iter::successors(error.source(), |error| (*error).source()).last();
    one_line(&cause.map_or_else(|| error.to_string(), ToString::to_string))
}
