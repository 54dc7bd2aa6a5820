//! One HTTP request, and what its answer means. What can be rotated is read again for each attempt.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ALLOW, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode};
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::address::{Location, redaction};
use super::{DeliveryError, DeliveryFailure, SinkError};
use crate::core::text::loopback::{PlainHttp, authority};
use crate::core::text::redact::Redaction;
use crate::core::text::{SHOWN_START, cause, lines, one_line, shown_start};
use crate::core::wire::{http_date, retry_after};

/// How long the words that go with a failure may take: what it means, the status alone says.
const WORDS_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest pause that a receiver can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The longest answer that is taken for words, in bytes; more is a page.
const MAX_WORDS: usize = 4 * 1024;

/// Begins a client that trusts the system's authorities, and those of the file that is configured, as it is now;
/// a direct one takes no proxy.
pub(crate) type HttpClient = Box<dyn Fn(bool) -> Result<ClientBuilder, String> + Send + Sync>;

/// Removes what the API is asked with, as it is configured now, from a text; it may read files.
pub(crate) type WithoutKey = Box<dyn Fn(&str) -> String + Send + Sync>;

/// What all sinks have in common. Clones share their clients.
#[derive(Clone)]
pub(crate) struct Network(Arc<Shared>);

struct Shared {
    plain_http: PlainHttp,
    ca_file: Option<PathBuf>,
    http_client: HttpClient,
    without_key: WithoutKey,
    /// For http and for https.
    clients: Mutex<[Option<CachedClient>; 2]>,
}

/// A client, after the content of `ca_file` with which it was made.
type CachedClient = (Vec<u8>, Client);

/// What is sent.
#[derive(Default)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// With which places in the address are filled.
    pub(super) values: Value,
    /// What must not be shown, whoever repeats it.
    pub(super) secrets: Vec<String>,
}

/// Where a sink sends to.
pub(super) struct Endpoint {
    location: Location,
    /// Its host at the start, which may be shown.
    host: String,
    network: Network,
}

impl Request {
    /// JSON in a POST.
    pub(super) fn post(body: String) -> Self {
        let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            method: Method::POST,
            headers: HeaderMap::from_iter([content_type]),
            body,
            ..Self::default()
        }
    }
}

impl Network {
    /// Whether both reach receivers in the same way.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.plain_http == other.0.plain_http && self.0.ca_file == other.0.ca_file
    }

    /// A network where `http_client` is called again when the content of `ca_file` has changed.
    pub(crate) fn new(
        plain_http: PlainHttp,
        ca_file: Option<PathBuf>,
        http_client: HttpClient,
        without_key: WithoutKey,
    ) -> Self {
        Self(Arc::new(Shared {
            plain_http,
            ca_file,
            http_client,
            without_key,
            clients: Mutex::default(),
        }))
    }

    /// A text in which what the API is asked with is not shown.
    pub(super) fn without_key(&self, text: &str) -> String {
        (self.0.without_key)(text)
    }

    /// The client for https or for http, made again if whom to trust has changed.
    fn client(&self, is_https: bool) -> Result<Client, String> {
        let authorities = match &self.0.ca_file {
            Some(path) if is_https => fs::read(path)
                .map_err(|error| format!("cannot read the ca-file {}: {error}", path.display()))?,
            _ => Vec::new(),
        };
        let mut clients = self
            .0
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let cached = &mut clients[usize::from(is_https)];
        match cached {
            Some((known, client)) if *known == authorities => Ok(client.clone()),
            _ => {
                // No proxy may see what is not encrypted.
                let client = (self.0.http_client)(!is_https)?
                    // A connection that the receiver has closed since the last event would cost an attempt.
                    .pool_max_idle_per_host(0)
                    .build()
                    .map_err(|error| format!("cannot set up HTTP: {}", error.without_url()))?;
                *cached = Some((authorities, client.clone()));
                Ok(client)
            }
        }
    }
}

impl Endpoint {
    /// The endpoint of a sink that has either a URL or a file with one. Places in it are for the values of
    /// this example.
    pub(super) fn new(
        url: Option<String>,
        url_file: Option<PathBuf>,
        example: &Value,
        network: &Network,
    ) -> Result<Self, SinkError> {
        let (key, location) = match (url, url_file) {
            (Some(url), None) => ("url", Location::Text(url)),
            (None, Some(path)) => ("url-file", Location::File(path)),
            (None, None) => return Err(SinkError::new("url", "it needs a url or a url-file")),
            (Some(_), Some(_)) => {
                return Err(SinkError::new(
                    "url-file",
                    "it has a url as well; only one is used",
                ));
            }
        };
        let checked = location.check(example);
        checked.map_err(|error| SinkError::new(key, error))?;
        let url = location.url(network.0.plain_http, example);
        Ok(Self {
            location,
            host: authority(&url.map_err(|error| SinkError::new(key, error))?),
            network: network.clone(),
        })
    }

    /// Sends, at `now`, the request that `write` makes; it may read files.
    pub(super) async fn send(
        &self,
        now: Timestamp,
        write: impl FnOnce() -> Result<Request, String> + Send + 'static,
    ) -> Result<(), DeliveryError> {
        let (location, network) = (self.location.clone(), self.network.clone());
        let prepared = spawn_blocking(move || {
            let unusable = |why: String| DeliveryError::unavailable(&why);
            let what = write().map_err(unusable)?;
            let url = location.url(network.0.plain_http, &what.values)?;
            let client = network.client(url.scheme() == "https").map_err(unusable)?;
            let (host, redaction) = (authority(&url), redaction(&url, what.secrets));
            let request = client.request(what.method, url);
            let request = request.headers(what.headers).body(what.body);
            Ok((request, host, redaction))
        });
        let prepared = prepared.await;
        let (request, host, redaction) =
            prepared.unwrap_or_else(|error| Err(DeliveryError::unavailable(&error.to_string())))?;
        let response = request.send().await.map_err(|error| {
            let words = transport_words(error, &host);
            DeliveryError::unavailable(&redaction.text(&words))
        })?;
        let status = response.status();
        // What is said of a success interests nobody: it is not even read.
        if status.is_success() {
            return Ok(());
        }
        let failure = failure(status, response.headers(), now);
        let status = status_words(status, response.headers());
        let words = timeout(WORDS_TIMEOUT, words(response, &redaction)).await;
        let reason = match words {
            Ok(Some(words)) => format!("{status}: {words}"),
            Ok(None) | Err(_) => status,
        };
        Err(DeliveryError { reason, failure })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

/// The method of this word.
pub(super) fn method(word: &str) -> Result<Method, SinkError> {
    let all = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let found = all.iter().find(|method| method.as_str() == word).cloned();
    found.ok_or_else(|| {
        let all = all.map(|method| method.to_string()).join(", ");
        SinkError::new("method", format!("{word:?} is none of {all}"))
    })
}

/// What a status means that is no success.
fn failure(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> DeliveryFailure {
    match status.as_u16() {
        410 => DeliveryFailure::Gone,
        // About whoever sends, or about how often.
        401 | 403 | 408 | 425 | 429 => unavailable(headers, now),
        300..=499 => DeliveryFailure::Refused,
        _ => unavailable(headers, now),
    }
}

fn unavailable(headers: &HeaderMap, now: Timestamp) -> DeliveryFailure {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    // A date is compared with the receiver's clock, or with ours where it does not say its own.
    let now = text(DATE).and_then(http_date).unwrap_or(now);
    let pause = text(RETRY_AFTER).and_then(|value| retry_after(value, now));
    DeliveryFailure::Unavailable {
        retry_after: pause.map(|pause| pause.min(MAX_RETRY_AFTER)),
    }
}

fn status_words(status: StatusCode, headers: &HeaderMap) -> String {
    let name = status.canonical_reason().unwrap_or_default();
    let words = format!("the receiver answered {} {name}", status.as_u16());
    let words = words.trim_end();
    let allowed = headers.get(ALLOW).and_then(|allow| allow.to_str().ok());
    match allowed.filter(|_| status == StatusCode::METHOD_NOT_ALLOWED) {
        Some(allowed) => format!("{words}; it takes {}", one_line(allowed)),
        None if status.is_redirection() => format!("{words}, and redirects are not followed"),
        None => words.to_owned(),
    }
}

/// The first line of an answer that is short text; none of a page, or of what cannot be read.
async fn words(mut response: Response, redaction: &Redaction) -> Option<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_WORDS {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    first_line(std::str::from_utf8(&body).ok()?, redaction)
}

fn first_line(text: &str, redaction: &Redaction) -> Option<String> {
    // Redacted before it is split and cut: half a secret would not be found.
    let text = &redaction.text(text);
    // A page's first line says only that it is a page.
    if text.trim_start().starts_with('<') {
        return None;
    }
    let lines = lines(text);
    // JSON over several lines begins with one that says nothing.
    let line = lines
        .iter()
        .find(|line| line.chars().any(char::is_alphanumeric))?;
    Some(shown_start(line.trim(), SHOWN_START))
}

/// Why there was no answer.
fn transport_words(error: reqwest::Error, host: &str) -> String {
    let error = error.without_url();
    let cause = cause(&error);
    if error.is_connect() {
        format!("cannot connect to {host}: {cause}")
    } else {
        format!("the connection broke: {cause}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use reqwest::Url;

    #[test]
    fn every_status_has_its_meaning() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        let (mut refused, mut gone, mut unavailable) = (Vec::new(), Vec::new(), Vec::new());
        for code in (100..=599).filter(|code| !(200..=299).contains(code)) {
            let status = StatusCode::from_u16(code).unwrap();
            match failure(status, &headers, Timestamp::UNIX_EPOCH) {
                DeliveryFailure::Refused => refused.push(code),
                DeliveryFailure::Gone => gone.push(code),
                DeliveryFailure::TimedOut | DeliveryFailure::Unsendable => {
                    panic!("{code} is an answer")
                }
                DeliveryFailure::Unavailable { retry_after } => {
                    assert_eq!(retry_after, Some(Duration::from_secs(7)), "{code}");
                    unavailable.push(code);
                }
            }
        }
        let about_the_receiver = [401, 403, 408, 425, 429];
        let of_client_errors = |code: &u16| about_the_receiver.contains(code);
        let expected: Vec<u16> = (300..=499)
            .filter(|code| !of_client_errors(code) && *code != 410)
            .collect();
        assert_eq!(refused, expected);
        assert_eq!(gone, [410]);
        let expected: Vec<u16> = (100..=199)
            .chain(about_the_receiver)
            .chain(500..=599)
            .collect();
        assert_eq!(unavailable, expected);
    }

    #[test]
    fn retry_after_is_an_hour_at_most_by_the_receivers_clock() {
        let asked = |retry_after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
            headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
            let now = "2026-11-23T15:00:00Z".parse().unwrap();
            match failure(StatusCode::SERVICE_UNAVAILABLE, &headers, now) {
                DeliveryFailure::Unavailable { retry_after } => {
                    retry_after.map(|wait| wait.as_secs())
                }
                other => panic!("{other:?}"),
            }
        };
        let in_half_a_minute = "Mon, 23 Nov 2026 15:00:30 GMT";
        let (behind, odd) = (Some("Mon, 23 Nov 2026 14:59:30 GMT"), Some("now"));
        assert_eq!(asked("120", None), Some(120));
        assert_eq!(asked("86400", None), Some(3600));
        assert_eq!(asked("soon", None), None);
        assert_eq!(asked(in_half_a_minute, None), Some(30));
        assert_eq!(asked(in_half_a_minute, behind), Some(60));
        assert_eq!(asked(in_half_a_minute, odd), Some(30));
    }

    #[test]
    fn of_an_answer_the_first_line_is_shown() {
        let redaction = redaction(&Url::parse("https://x/T0Ken_9/").unwrap(), Vec::new());
        let shown = |text: &str| first_line(text, &redaction);
        for (text, line) in [
            ("", None),
            (" \n{\n}", None),
            ("\n<!DOCTYPE html>", None),
            ("no_service", Some("no_service")),
            ("\r\n \u{1b}[31mone\u{202e}\u{0}\ntwo", Some("one")),
            ("{\n  \"error\": \"x\"\n}", Some("\"error\": \"x\"")),
            ("Cannot POST /T0Ken_9/", Some("Cannot POST [...]")),
        ] {
            assert_eq!(shown(text).as_deref(), line, "{text:?}");
        }
        let cut = shown(&format!("{}T0Ken_9", "é".repeat(197))).unwrap();
        assert_eq!(cut, format!("{}[..{}", "é".repeat(197), "..."));
    }
}
