//! Sends spans to an OpenTelemetry receiver: OTLP over HTTP, as JSON.
//!
//! The address and the headers may hold secrets: only the host is ever shown, whatever the receiver repeats.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Response, Url};
use serde_json::Value;

use crate::core::text::loopback::is_loopback;
use crate::core::text::redact::{REDACTED, Redaction, url_secrets, value_secrets};
use crate::core::text::{SHOWN_START, cause, one_line, shown_start};
use crate::core::trace::export_request;
use crate::core::wire::OWN_HEADERS;

/// What is wrong with headers that make no sense.
pub(crate) const INVALID_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS must be key=value,key=value";
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Where to send spans, with what, and for whom.
#[derive(Clone)]
pub(crate) struct Exporter {
    client: Client,
    url: Url,
    headers: HeaderMap,
    /// What must not be shown, whoever repeats it.
    redaction: Redaction,
    /// What says who sends them.
    resource: Vec<(String, String)>,
}

impl Exporter {
    /// An exporter that posts to exactly this address, through a client that is direct or may take a proxy.
    ///
    /// # Errors
    /// When that cannot be done. What it says has no secret in it.
    pub(crate) fn new(
        url: &str,
        headers: &[(String, String)],
        resource: Vec<(String, String)>,
        http_client: impl FnOnce(bool) -> ClientBuilder,
    ) -> anyhow::Result<Self> {
        const NO_URL: &str = "it must be an http or https URL, like http://localhost:4318";
        let url = Url::parse(url).ok().context(NO_URL)?;
        let host = url.host_str().context(NO_URL)?;
        ensure!(matches!(url.scheme(), "http" | "https"), NO_URL);
        let client = http_client(is_loopback(host)).build();
        let client =
            client.map_err(|error| anyhow!("cannot set up HTTP: {}", error.without_url()))?;
        let of_headers = headers.iter().flat_map(|(_, value)| value_secrets(value));
        let of_url = url_secrets(url.path(), url.query(), url.username(), url.password());
        Ok(Self {
            client,
            headers: header_map(headers)?,
            redaction: Redaction::new(of_headers.chain(of_url), REDACTED),
            url,
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
            .timeout(limit)
            .body(body.to_string());
        let place = self.place();
        let failed = |what: &str, error: reqwest::Error| {
            if error.is_timeout() {
                return format!("no answer from {place}");
            }
            format!(
                "{what} {place}: {}",
                self.shown(&cause(&error.without_url()))
            )
        };
        let response = request.send().await;
        let response = response.map_err(|error| failed("cannot reach", error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("{place} answered {status}"));
        }
        let answer = read(response).await;
        let answer = answer.map_err(|error| failed("cannot read the answer of", error))?;
        match rejected(&answer) {
            Some(why) => Err(format!("{place} rejected spans: {}", self.shown(&why))),
            None => Ok(()),
        }
    }

    /// Foreign words in one short line. They are redacted before they are cut: half a secret would not be found.
    fn shown(&self, words: &str) -> String {
        shown_start(&one_line(&self.redaction.text(words)), SHOWN_START)
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

fn header_map(headers: &[(String, String)]) -> anyhow::Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let name = name.context(INVALID_HEADERS)?;
        ensure!(
            name != CONTENT_TYPE && !OWN_HEADERS.contains(&name.as_str()),
            "OTEL_EXPORTER_OTLP_HEADERS: {name:?}: it is set without you"
        );
        let value = HeaderValue::from_str(value).ok();
        let mut value = value.context(INVALID_HEADERS)?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(map)
}

/// An answer; nothing of one that is too long.
async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Ok(Vec::new());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a receiver that answered "yes" did not take all of it, if it says so.
fn rejected(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let partial = answer.get("partialSuccess")?;
    // JSON writes 64-bit numbers as text; some receivers write numbers.
    let count = partial.get("rejectedSpans")?;
    let is_none = count == 0 || count == "0";
    let why = partial.get("errorMessage").and_then(Value::as_str);
    (!is_none).then(|| why.unwrap_or_default().to_owned())
}
