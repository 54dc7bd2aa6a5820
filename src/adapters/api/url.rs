//! Where the API is: an address that cannot leak the key.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use reqwest::Url;

pub(crate) use crate::core::text::loopback::PlainHttp;
use crate::core::text::loopback::is_loopback;
use crate::core::wire::AgentName;

/// The address of the API, `https` or `http` to loopback, without its last slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiUrl(Url);

/// What the vendor's addresses end with, and its users leave out.
const VERSION: &str = "v1";

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl ApiUrl {
    /// Checks an address. One without a path is the host of the API, as the vendor's CLI is given it.
    ///
    /// # Errors
    /// When it is no address of an API, or would carry the key in the open. The text itself, which may be a
    /// key, is not repeated.
    pub(crate) fn parse(text: &str, plain_http: PlainHttp) -> Result<Self> {
        let url = Url::parse(text).ok();
        let mut url =
            url.context("it is not a URL; one looks like https://api.pipecat.daily.co/v1")?;
        let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
        ensure!(
            matches!(scheme, "https" | "http"),
            "it begins with {scheme}:, and only https: will do, or http: to this machine"
        );
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            "the URL must not hold a user name or password; the key goes to PIPECAT_API_KEY"
        );
        ensure!(
            url.query().is_none() && url.fragment().is_none(),
            "the URL must end with its path: no ? or #"
        );
        ensure!(
            scheme == "https" || plain_http == PlainHttp::Anywhere || is_loopback(host),
            "plain http to {host} would send the key in the open; use https, or --allow-insecure-http"
        );
        if url.path() == "/" {
            url.set_path(VERSION);
        }
        Ok(Self(url))
    }

    /// Whether the way there is encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address of the list of agents, or of something below it: of those of an organization, else of those
    /// that a private key is for.
    pub(super) fn agents(&self, organization: Option<&str>, segments: &[&str]) -> Url {
        let agents = match organization {
            Some(name) => below(&self.0, &["organizations", name, "services"]),
            None => below(&self.0, &["agents"]),
        };
        below(&agents, segments)
    }

    /// The address at which a session of an agent is started.
    pub(super) fn start(&self, name: &AgentName) -> Url {
        below(&self.0, &["public", name.as_str(), "start"])
    }

    /// The address of the list of organizations.
    pub(super) fn organizations(&self) -> Url {
        below(&self.0, &["organizations"])
    }
}

/// An address with more segments, each percent-encoded.
fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ApiUrl> {
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
            let words = parse(&text).unwrap_err().to_string();
            assert!(words.starts_with(&format!("plain http to {host} would")));
            assert!(ApiUrl::parse(&text, PlainHttp::Anywhere).is_ok());
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, error) in [
            ("", "it is not a URL"),
            ("api.pipecat.daily.co/v1", "it is not a URL"),
            ("ftp://x/v1", "it begins with ftp:"),
            ("https://u:p@x/v1", "the URL must not hold a user name"),
            ("https://x/v1?a=b", "the URL must end with its path"),
            ("https://x/v1#a", "the URL must end with its path"),
        ] {
            let words = parse(text).unwrap_err().to_string();
            assert!(words.starts_with(error), "{text}: {words}");
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
            let api = parse(base).unwrap();
            assert_eq!(api.agents(None, &[name]).as_str(), url);
        }
    }
}
