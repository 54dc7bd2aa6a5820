//! Where the API is: an address that cannot leak the key.

use std::fmt;

use reqwest::Url;

pub(crate) use crate::core::text::loopback::PlainHttp;
use crate::core::text::loopback::is_loopback;
use crate::core::wire::AgentName;

/// The address of the API, `https` or `http` to loopback, without its last slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiUrl(Url);

/// Where agents are asked for, without its last slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentsUrl(Url);

/// What the vendor's addresses end with, and its users leave out.
const VERSION: &str = "v1";

/// Why a text cannot be the address of the API. The text itself, which may be a key, is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadApiUrl {
    /// No URL at all.
    #[error("it is not a URL; one looks like https://api.pipecat.daily.co/v1")]
    NotAUrl,
    /// Neither https nor http.
    #[error("it begins with {0}:, and only https: will do, or http: to this machine")]
    Scheme(String),
    /// A user name or password, which would be shown wherever the URL is.
    #[error("the URL must not hold a user name or password; the key goes to PIPECAT_API_KEY")]
    Credentials,
    /// A query or a fragment, which would be lost.
    #[error("the URL must end with its path: no ? or #")]
    Query,
    /// Plain http to another machine.
    #[error(
        "plain http to {0} would send the key in the open; use https, or --allow-insecure-http"
    )]
    Insecure(String),
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl ApiUrl {
    /// Checks an address. One without a path is the host of the API, as the vendor's CLI is given it.
    ///
    /// # Errors
    /// When it is no address of an API, or would carry the key in the open.
    pub(crate) fn parse(text: &str, plain_http: PlainHttp) -> Result<Self, BadApiUrl> {
        let mut url = Url::parse(text).map_err(|_| BadApiUrl::NotAUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(BadApiUrl::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadApiUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BadApiUrl::Query);
        }
        let host = url.host_str().unwrap_or_default();
        if url.scheme() == "http" && plain_http == PlainHttp::LoopbackOnly && !is_loopback(host) {
            return Err(BadApiUrl::Insecure(host.to_owned()));
        }
        if url.path() == "/" {
            url.set_path(VERSION);
        }
        Ok(Self(url))
    }

    /// Whether the way there is encrypted.
    #[must_use]
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Where the agents are that a private key is for.
    pub(super) fn agents(&self) -> AgentsUrl {
        AgentsUrl(below(&self.0, ["agents"]))
    }

    /// Where the agents of an organization are.
    pub(super) fn services(&self, organization: &str) -> AgentsUrl {
        AgentsUrl(below(&self.0, ["organizations", organization, "services"]))
    }

    /// The address at which a session of an agent is started.
    pub(super) fn start(&self, name: &AgentName) -> Url {
        below(&self.0, ["public", name.as_str(), "start"])
    }

    /// The address of the list of organizations.
    pub(super) fn organizations(&self) -> Url {
        below(&self.0, ["organizations"])
    }
}

impl AgentsUrl {
    /// The address of the list of agents.
    pub(super) fn list(self) -> Url {
        self.0
    }

    /// The address of an agent.
    pub(super) fn agent(&self, name: &AgentName) -> Url {
        below(&self.0, [name.as_str()])
    }

    /// The address of the newest `max` lines that an agent logged where this `key` is `id`: a deployment, a
    /// session.
    pub(super) fn logs(&self, name: &AgentName, key: &str, id: &str, max: usize) -> Url {
        let mut url = below(&self.0, [name.as_str(), "logs"]);
        url.query_pairs_mut()
            .append_pair(key, id)
            .append_pair("limit", &max.to_string())
            .append_pair("order", "desc");
        url
    }

    /// The address of a session of an agent.
    pub(super) fn session(&self, name: &AgentName, id: &str) -> Url {
        below(&self.0, [name.as_str(), "sessions", id])
    }

    /// The address of the sessions of an agent that are under way.
    pub(super) fn sessions(&self, name: &AgentName, max: usize) -> Url {
        let mut url = below(&self.0, [name.as_str(), "sessions"]);
        url.query_pairs_mut()
            .append_pair("status", "active")
            .append_pair("limit", &max.to_string());
        url
    }
}

/// An address with more segments, each percent-encoded.
fn below<'a>(url: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ApiUrl, BadApiUrl> {
        ApiUrl::parse(text, PlainHttp::LoopbackOnly)
    }

    #[test]
    fn the_key_never_travels_in_the_open() {
        for text in [
            "https://api.pipecat.daily.co/v1",
            "http://127.0.0.1:8080/v1",
            "http://127.8.9.1/v1",
            "http://localhost:1/",
            "http://[::1]:80/v1/",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for host in [
            "example.com",
            "127.0.0.1.example.com",
            "localhost.evil",
            "10.0.0.1",
            "0.0.0.0",
        ] {
            let text = format!("http://{host}/v1");
            assert_eq!(parse(&text), Err(BadApiUrl::Insecure(host.to_owned())));
            assert!(ApiUrl::parse(&text, PlainHttp::Anywhere).is_ok());
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, error) in [
            ("", BadApiUrl::NotAUrl),
            ("api.pipecat.daily.co/v1", BadApiUrl::NotAUrl),
            ("ftp://x/v1", BadApiUrl::Scheme("ftp".to_owned())),
            ("https://u:p@x/v1", BadApiUrl::Credentials),
            ("https://x/v1?a=b", BadApiUrl::Query),
            ("https://x/v1#a", BadApiUrl::Query),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_name_is_one_path_segment() {
        for (base, name, url) in [
            (
                "https://x/v1",
                "voice-starter",
                "https://x/v1/agents/voice-starter",
            ),
            ("https://x/v1/", "a/../b", "https://x/v1/agents/a%2F..%2Fb"),
            ("https://x", "a?b#c d", "https://x/v1/agents/a%3Fb%23c%20d"),
            ("https://x/api/", "a", "https://x/api/agents/a"),
            ("https://x/v1", "%2e%2e", "https://x/v1/agents/%252e%252e"),
            ("https://x/v1", "a\\b", "https://x/v1/agents/a%5Cb"),
        ] {
            let name = name.parse().unwrap();
            let agents = parse(base).unwrap().agents();
            assert_eq!(agents.agent(&name).as_str(), url);
        }
    }
}
