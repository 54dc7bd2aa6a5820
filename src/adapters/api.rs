//! The API client: one request, one typed answer.

pub(crate) mod connection;
mod error;
mod key;
mod tls;
mod url;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, redirect, retry};
use tracing::debug;

pub(crate) use self::error::{ClientError, RequestError};
pub(crate) use self::key::{ApiKey, BadApiKey};
pub(crate) use self::tls::config as tls_config;
pub(crate) use self::url::{ApiUrl, BadApiUrl, PlainHttp};
use crate::core::rollout::Observation;
use crate::core::text;
use crate::core::text::loopback::{self, LOCALHOST};
use crate::core::wire::{
    AgentDetails, AgentName, ErrorBody, LogPage, NotAnAgent, Service, parse_list, retry_after,
};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next poll: less than what servers keep them for (five
/// seconds is Node's default).
const LONGEST_IDLE: Duration = Duration::from_secs(4);
/// The most that is read of an answer, after decompression.
const MOST_BODY: usize = 4 * 1024 * 1024;
/// The most that is read of the list of agents: some hundred bytes each.
const MOST_LIST: usize = 64 * 1024 * 1024;
/// The most that is read of an answer that only explains an error.
const MOST_ERROR_BODY: usize = 64 * 1024;

/// A client of the agents API: one connection pool, one key.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: ApiUrl,
    key: ApiKey,
}

/// What a 200 or a 404 says.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Details(Box<AgentDetails>),
    Absent(Option<String>),
}

impl Client {
    /// A client for the API at `url`.
    ///
    /// Certificates are checked against the system's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// name others), or Mozilla's where the system has none, and those in `ca_file`.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub(crate) fn new(
        url: ApiUrl,
        key: ApiKey,
        ca_file: Option<&Path>,
    ) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("pipecat-rollout/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            // Every attempt is counted and paced by the poll loop.
            .retry(retry::never())
            // A server that closes idle connections must not meet the next poll on one of them.
            .pool_idle_timeout(LONGEST_IDLE)
            .connect_timeout(CONNECT_TIMEOUT);
        builder = if url.is_https() {
            builder.tls_backend_preconfigured(tls::config(ca_file)?)
        } else {
            // Plain http goes to loopback: no proxy may see the key.
            builder
                .tls_backend_preconfigured(tls::config_without_roots()?)
                .no_proxy()
                // Nor does a resolver decide where this machine is.
                .resolve_to_addrs(LOCALHOST, &loopback::ADDRESSES)
        };
        let http = builder.build().map_err(ClientError::Build)?;
        Ok(Self { http, url, key })
    }

    /// The same client, with another key.
    #[must_use]
    pub(crate) fn with_key(&self, key: ApiKey) -> Self {
        Self {
            key,
            ..self.clone()
        }
    }

    /// Whether it asks with this key.
    #[must_use]
    pub(crate) fn has_key(&self, key: &ApiKey) -> bool {
        self.key == *key
    }

    /// Asks for the details of an agent, and takes at most `limit` for it.
    pub(crate) async fn observe(&self, name: &AgentName, limit: Duration) -> Observation {
        let mut server_time = None;
        match self.details(name, limit, &mut server_time).await {
            Ok(Answer::Details(details)) => Observation::Details {
                details,
                server_time,
            },
            Ok(Answer::Absent(words)) => Observation::Absent(words),
            Err(error) => {
                debug!(agent = name.as_str(), %error, "poll failed");
                Observation::Failed(error.into_failure())
            }
        }
    }

    async fn details(
        &self,
        name: &AgentName,
        limit: Duration,
        server_time: &mut Option<Timestamp>,
    ) -> Result<Answer, RequestError> {
        let response = self.get(self.url.agent(name), limit).await?;
        let status = response.status();
        debug!(agent = name.as_str(), status = status.as_u16(), "answer");
        *server_time = date(response.headers());
        if status == StatusCode::OK {
            let body = self.read(response, MOST_BODY, limit).await?;
            let details = AgentDetails::parse(body.as_bytes(), name.as_str())?;
            return Ok(Answer::Details(Box::new(details)));
        }
        if status == StatusCode::NOT_FOUND {
            return Ok(Answer::Absent(read_error_words(response, &self.key).await));
        }
        Err(status_error(response, &self.key).await)
    }

    /// Asks for the organization's agents, and takes at most `limit` for it.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub(crate) async fn list(&self, limit: Duration) -> Result<Vec<Service>, RequestError> {
        let response = self.get(self.url.agents(), limit).await?;
        if response.status() != StatusCode::OK {
            return Err(status_error(response, &self.key).await);
        }
        let body = self.read(response, MOST_LIST, limit).await?;
        Ok(parse_list(body.as_bytes())?)
    }

    /// Asks for the newest `most` lines that a deployment logged, and takes at most `limit` for it;
    /// the oldest comes first.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub(crate) async fn logs(
        &self,
        name: &AgentName,
        deployment: &str,
        most: usize,
        limit: Duration,
    ) -> Result<Vec<String>, RequestError> {
        let url = self.url.logs(name, deployment, most);
        let response = self.get(url, limit).await?;
        if response.status() != StatusCode::OK {
            return Err(status_error(response, &self.key).await);
        }
        let body = self.read(response, MOST_BODY, limit).await?;
        let page = LogPage::parse(body.as_bytes()).map_err(NotAnAgent::NotJson)?;
        Ok(page.lines_of(deployment, most))
    }

    /// Reads a body whole, up to `most` bytes, and strikes the key out of it.
    async fn read(
        &self,
        response: Response,
        most: usize,
        limit: Duration,
    ) -> Result<String, RequestError> {
        let body = read_body(response, most, limit).await?;
        Ok(self.key.redaction().json(body))
    }

    async fn get(&self, url: reqwest::Url, limit: Duration) -> Result<Response, RequestError> {
        self.http
            .get(url)
            .header(AUTHORIZATION, self.key.header())
            .header(ACCEPT, "application/json")
            .timeout(limit)
            .send()
            .await
            .map_err(|error| RequestError::of_transport(error, limit))
    }
}

/// What a status says that is neither 200 nor 404.
async fn status_error(response: Response, key: &ApiKey) -> RequestError {
    let headers = response.headers();
    let error = RequestError::Status {
        status: response.status(),
        words: None,
        location: headers.get(LOCATION).map(|url| {
            let url = String::from_utf8_lossy(url.as_bytes());
            text::one_line(&key.redaction().text(&url))
        }),
        retry_after: header(headers, RETRY_AFTER)
            .and_then(|value| retry_after(&value, date(headers).unwrap_or_else(Timestamp::now))),
    };
    error.with_words(read_error_words(response, key).await)
}

/// Reads a body whole, up to `most` bytes.
async fn read_body(
    mut response: Response,
    most: usize,
    limit: Duration,
) -> Result<Vec<u8>, RequestError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > most => {
                return Err(RequestError::BodyTooLarge { most });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(RequestError::of_body(error, limit)),
        }
    }
}

/// What an error's body says, as one line; a body that cannot be read says nothing.
async fn read_error_words(mut response: Response, key: &ApiKey) -> Option<String> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MOST_ERROR_BODY {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    let told = ErrorBody::parse(key.redaction().json(body).as_bytes())?;
    let parts = [told.error, told.code.map(|code| format!("({code})"))];
    let words = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(text::one_line(&words)).filter(|words| !words.is_empty())
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The server's clock, by its Date header.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let value = header(headers, DATE)?;
    Timestamp::try_from(httpdate::parse_http_date(&value).ok()?).ok()
}
