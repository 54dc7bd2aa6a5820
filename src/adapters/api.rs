//! The API client: one request, one typed answer.

mod body;
pub(crate) mod connection;
mod credentials;
mod error;
mod proxy;
mod rate_limiter;
mod session;
mod tls;
mod transport;
mod url;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AGE, AUTHORIZATION, CACHE_CONTROL, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER,
};
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::OnceCell;
use tracing::debug;

pub(crate) use self::credentials::Credentials;
use self::credentials::Scope;
pub(crate) use self::error::RequestError;
use self::error::{Expected, Refusal};
use self::proxy::Proxy;
pub(crate) use self::tls::{config as tls_config, http_client};
pub(crate) use self::url::{ApiUrl, PlainHttp};
use crate::core::rollout::{Observation, Route};
use crate::core::text;
use crate::core::text::redact::Redaction;
use crate::core::wire::{
    AgentDetails, AgentName, ErrorBody, LogPage, NotAnAgent, Service, first_organization,
    http_date, parse_list, retry_after,
};

/// How long a connection is kept for the next poll: less than what servers keep them for (five
/// seconds is Node's default).
const MAX_IDLE: Duration = Duration::from_secs(4);
/// The most bytes that are read of an answer, after decompression.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// The most bytes that are read of the list of agents: some hundred for each.
const MAX_LIST: usize = 64 * 1024 * 1024;
/// The most bytes that are read of an answer that only explains an error.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// The most characters that are kept of a request id.
const MAX_REQUEST_ID: usize = 128;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client of the agents API, with one key or token.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Keeps its connections for the next request.
    pooled: reqwest::Client,
    /// Makes a connection for each request.
    fresh: reqwest::Client,
    /// What both of them go through.
    proxy: Option<Proxy>,
    url: ApiUrl,
    credentials: Credentials,
    /// The organization that is asked for where nothing names one.
    first_organization: Arc<OnceCell<String>>,
}

/// A 200, read whole.
struct Answer {
    /// Its body, without the key.
    body: String,
    /// The server's clock, by its Date header.
    server_time: Option<Timestamp>,
    request_id: Option<String>,
}

impl Answer {
    /// What is read of the body; where that cannot be done, what is wrong with it.
    fn parse<T, E>(
        self,
        expected: Expected,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<T, RequestError> {
        parse(self.body.as_bytes()).map_err(|_| {
            let why = body::describe(&self.body);
            self.unexpected(expected, &why)
        })
    }

    /// That the body is not what it should be.
    fn unexpected(self, expected: Expected, why: &str) -> RequestError {
        RequestError {
            request_id: self.request_id,
            ..RequestError::unexpected(expected, why)
        }
    }
}

impl Client {
    /// A client for the API at `url`.
    ///
    /// Certificates are checked against the system's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// name others), or Mozilla's where the system has none, and those in `ca_file`.
    ///
    /// # Errors
    /// When the certificates cannot be read, or the proxy that a variable names cannot be used.
    pub(crate) fn new(
        url: ApiUrl,
        credentials: Credentials,
        ca_file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        // A file that is named is checked, also where plain http needs none.
        let tls = if url.is_https() || ca_file.is_some() {
            tls::config(ca_file)?
        } else {
            tls::config_without_roots()?
        };
        let proxy = if url.is_https() {
            Proxy::from_environment(&url.organizations())?
        } else {
            None
        };
        // Plain http goes to loopback: no proxy may see the key.
        // A server that closes idle connections must not meet the next poll on one of them.
        let builder = || http_client(tls.clone(), !url.is_https()).pool_idle_timeout(MAX_IDLE);
        debug!(%url, "asking with {credentials}");
        let build =
            |builder: ClientBuilder| builder.build().context("cannot set up the HTTP client");
        Ok(Self {
            pooled: build(builder())?,
            fresh: build(builder().pool_max_idle_per_host(0))?,
            proxy,
            url,
            credentials,
            first_organization: Arc::default(),
        })
    }

    /// The same client with the credentials that have replaced its own in the file that they are from, if
    /// any have.
    fn reloaded(&self) -> Option<Self> {
        let credentials = self.credentials.reload()?;
        debug!("asking with {credentials}");
        Some(Self {
            credentials,
            first_organization: Arc::default(),
            ..self.clone()
        })
    }

    /// Asks for the details of an agent, and takes at most `limit` for it.
    ///
    /// # Errors
    /// When there is no usable answer, or the API says that there is no such agent: which of the
    /// two, [`RequestError::into_observation`] says.
    async fn observe(
        &self,
        name: &AgentName,
        limit: Duration,
        route: Route,
    ) -> Result<Observation, RequestError> {
        let url = self.agents(&[name.as_str()], limit).await?;
        let answer = self.get(url, MAX_BODY, limit, route).await?;
        let parsed = AgentDetails::parse(answer.body.as_bytes(), name.as_str());
        if let Err(NotAnAgent::Another(other)) = &parsed {
            let why = format!("names another, \"{}\"", body::quote(other));
            return Err(answer.unexpected(error::AGENT, &why));
        }
        let server_time = answer.server_time;
        let details = Box::new(answer.parse(error::AGENT, |_| parsed)?);
        Ok(Observation::Details {
            details,
            server_time,
        })
    }

    /// Asks for the organization's agents, and takes at most `limit` for it.
    async fn list(&self, limit: Duration, route: Route) -> Result<Vec<Service>, RequestError> {
        let url = self.agents(&[], limit).await?;
        let answer = self.get(url, MAX_LIST, limit, route).await?;
        answer.parse(error::LIST, parse_list)
    }

    /// Asks for the newest `max` lines that an agent logged where this `key` is `id`: a deployment, a session.
    async fn log_page(
        &self,
        name: &AgentName,
        (key, id): (&str, &str),
        max: usize,
        limit: Duration,
    ) -> Result<LogPage, RequestError> {
        let max = max.to_string();
        let query = [(key, id), ("limit", &max), ("order", "desc")];
        let mut url = self.agents(&[name.as_str(), "logs"], limit).await?;
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.get(url, MAX_BODY, limit, Route::Pooled).await?;
        answer.parse(error::LOGS, LogPage::parse)
    }

    /// Where the agents are that the credentials are for, and what is below. Where that is the first
    /// organization of an account, it is asked for once, and that takes at most `limit`.
    async fn agents(&self, segments: &[&str], limit: Duration) -> Result<Url, RequestError> {
        let organization = match self.credentials.scope() {
            Scope::OfTheKey => None,
            Scope::Organization(name) => Some(name),
            Scope::FirstOrganization => {
                let first = self.first_organization.as_ref();
                let name = first.get_or_try_init(|| self.ask_for_organization(limit));
                Some(name.await?.as_str())
            }
        };
        Ok(self.url.agents(organization, segments))
    }

    async fn ask_for_organization(&self, limit: Duration) -> Result<String, RequestError> {
        let url = self.url.organizations();
        let answer = self.get(url, MAX_BODY, limit, Route::Pooled).await;
        let answer = answer.map_err(RequestError::not_of_an_agent)?;
        let name = answer.parse(error::ORGANIZATIONS, first_organization)?;
        let name =
            name.ok_or_else(|| RequestError::no_organization(&self.credentials.to_string()))?;
        debug!("asking for {name}, the first organization of the account");
        Ok(name)
    }

    /// Gets a 200 whole, up to `max` bytes.
    ///
    /// # Errors
    /// When there is none in `limit`.
    async fn get(
        &self,
        url: Url,
        max: usize,
        limit: Duration,
        route: Route,
    ) -> Result<Answer, RequestError> {
        let client = match route {
            Route::Pooled => &self.pooled,
            Route::Fresh => &self.fresh,
        };
        self.send(client.get(url), max, limit).await
    }

    /// Sends a request, and reads its answer whole, up to `max` bytes: a 200, or of what is not only read
    /// any success.
    async fn send(
        &self,
        request: RequestBuilder,
        max: usize,
        limit: Duration,
    ) -> Result<Answer, RequestError> {
        let mut is_read = true;
        let request = request
            .header(AUTHORIZATION, self.credentials.secret().header())
            .header(ACCEPT, "application/json")
            // What a cache has kept says nothing of now.
            .header(CACHE_CONTROL, "no-cache")
            .timeout(limit);
        let (client, request) = request.build_split();
        let sent = match request {
            Ok(request) => {
                is_read = request.method() == Method::GET;
                client.execute(request).await
            }
            Err(error) => Err(error),
        };
        let response =
            sent.map_err(|error| transport::send_problem(&error, limit, self.proxy.as_ref()))?;
        let status = response.status();
        let request_id = self.request_id(response.headers());
        let server_time = date(response.headers());
        let read = if status == StatusCode::OK || !is_read && status.is_success() {
            self.read(response, max, limit).await
        } else {
            Err(self.refusal(response, limit).await)
        };
        match read {
            Ok(body) => Ok(Answer {
                body,
                server_time,
                request_id,
            }),
            Err(error) => Err(RequestError {
                request_id,
                ..error
            }),
        }
    }

    /// Reads a body whole, up to `max` bytes, without the key.
    async fn read(
        &self,
        mut response: Response,
        max: usize,
        limit: Duration,
    ) -> Result<String, RequestError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > max => {
                    let words = format!("the answer is larger than {max} bytes");
                    return Err(RequestError::unreadable("BodyTooLarge", words));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => {
                    let body = String::from_utf8(body).unwrap_or_else(|error| {
                        String::from_utf8_lossy(error.as_bytes()).into_owned()
                    });
                    let redacted = match self.redaction().text(&body) {
                        Cow::Borrowed(_) => None,
                        Cow::Owned(redacted) => Some(redacted),
                    };
                    return Ok(redacted.unwrap_or(body));
                }
                Err(error) => return Err(transport::body_problem(&error, limit)),
            }
        }
    }

    /// What an answer says that is not a 200.
    async fn refusal(&self, response: Response, limit: Duration) -> RequestError {
        let status = response.status();
        let url = response.url().to_string();
        let headers = response.headers();
        let location = header(headers, LOCATION)
            .map(|location| text::one_line(&self.redaction().text(&location)));
        let retry_after = header(headers, RETRY_AFTER)
            .and_then(|value| retry_after(&value, date(headers).unwrap_or_else(Timestamp::now)));
        let body = self.read(response, MAX_ERROR_BODY, limit).await;
        let error = match &body {
            Ok(body) => ErrorBody::parse(body.as_bytes()).filter(ErrorBody::is_of_the_api),
            Err(_) => None,
        };
        match (status, error, body) {
            // Only the API can say that there is no such agent.
            (StatusCode::NOT_FOUND, None, Ok(body)) => {
                RequestError::not_the_api(&url, &body::describe(&body))
            }
            (StatusCode::NOT_FOUND, None, Err(error)) => error,
            (_, error, _) => RequestError::of_status(Refusal {
                status,
                words: error.and_then(error_words),
                location,
                retry_after,
                asked_with: self.refused(status, retry_after),
            }),
        }
    }

    /// What was asked with, and for whose agents, where that may be why an answer has this status.
    fn refused(&self, status: StatusCode, retry_after: Option<Duration>) -> Option<String> {
        let may_be_why = match status {
            StatusCode::UNAUTHORIZED => true,
            // Else it is a limit on requests.
            StatusCode::FORBIDDEN => retry_after.is_none(),
            // There may be such an agent in another organization of the account.
            StatusCode::NOT_FOUND => self.credentials.scope() != Scope::OfTheKey,
            _ => false,
        };
        let organization = self.first_organization.get();
        let organization = organization.map(|name| format!(", for organization {name}"));
        let renewal = self.credentials.renewal();
        let renewal = renewal.filter(|_| status == StatusCode::UNAUTHORIZED);
        let parts = [organization, renewal.map(|renewal| format!("; {renewal}"))];
        let parts = parts.into_iter().flatten().collect::<String>();
        may_be_why.then(|| format!("{}{parts}", self.credentials))
    }

    fn redaction(&self) -> &Redaction {
        self.credentials.secret().redaction()
    }

    /// What the platform's support asks for: the id of the request in its logs.
    fn request_id(&self, headers: &HeaderMap) -> Option<String> {
        let mut id = header(headers, REQUEST_ID)?;
        id.retain(|char| char.is_ascii_graphic());
        let mut id = text::one_line(&self.redaction().text(&id));
        id.truncate(MAX_REQUEST_ID);
        Some(id).filter(|id| !id.is_empty())
    }
}

/// An error of the API in words, as one line.
fn error_words(error: ErrorBody) -> Option<String> {
    let parts = [error.error, error.code.map(|code| format!("({code})"))];
    let words = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(text::one_line(&words)).filter(|words| !words.is_empty())
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The server's clock, by its Date header. What a cache has kept (RFC 9111) does not show it.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let is_kept = header(headers, AGE).is_some_and(|age| age.trim() != "0");
    http_date(&header(headers, DATE)?).filter(|_| !is_kept)
}

#[cfg(test)]
mod tests;
