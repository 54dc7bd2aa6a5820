//! Where people find the page, and its addresses of what events are about.

use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

/// The address under which people reach the page, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    url: String,
    /// The host, with its port if it is not the usual one.
    authority: String,
}

/// Why a text is no such address. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// It is none that a browser could be sent to.
    #[error(
        "it must be the address of the page in a browser, like https://rollouts.example.com or http://host:9464"
    )]
    NoAddress,
    /// Everybody who gets a link would see them.
    #[error("it must not hold a user's name or password")]
    Credentials,
    /// A link needs them for itself.
    #[error("it must end with its path: no ? or #")]
    Behind,
}

impl PublicUrl {
    /// The host, with its port if it is not the usual one.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Where all agents are shown.
    #[must_use]
    pub fn overview(&self) -> String {
        format!("{}/", self.url)
    }

    /// Where a rollout is shown: while it is under way, and when it has ended.
    #[must_use]
    pub fn rollout(&self, agent: &str, deployment_id: &str) -> String {
        let (agent, deployment_id) = (url_part(agent), url_part(deployment_id));
        format!("{}/#rollout/{agent}/{deployment_id}", self.url)
    }

    /// Where an agent is shown.
    #[must_use]
    pub fn agent(&self, agent: &str) -> String {
        format!("{}/#agent/{}", self.url, url_part(agent))
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let url = Url::parse(text).map_err(|_| InvalidPublicUrl::NoAddress)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidPublicUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidPublicUrl::Behind);
        }
        // A browser makes something of much that nobody means.
        let has_host = text
            .split_once("://")
            .is_some_and(|(_, rest)| !rest.starts_with('/'));
        let is_plain = text
            .chars()
            .all(|char| char.is_ascii_graphic() && !"\\\"<>{}".contains(char));
        let is_host = match url.host() {
            Some(Host::Domain(name)) => name
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || "-._".contains(char)),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
            None => false,
        };
        let is_web = matches!(url.scheme(), "https" | "http");
        if !(has_host && is_plain && is_host && is_web) {
            return Err(InvalidPublicUrl::NoAddress);
        }
        Ok(Self {
            url: url.as_str().trim_end_matches('/').to_owned(),
            authority: url.authority().to_owned(),
        })
    }
}

/// A text as a part of an address, with all but letters, digits, `-`, `.`, `_` and `~` escaped.
#[must_use]
pub fn url_part(text: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_has_an_address_that_no_name_can_leave() {
        let url: PublicUrl = "https://rollouts.example.com/team/".parse().unwrap();
        assert_eq!(url.authority(), "rollouts.example.com");
        assert_eq!(
            url.rollout("my-agent", "59c8ceba"),
            "https://rollouts.example.com/team/#rollout/my-agent/59c8ceba"
        );
        assert_eq!(
            url.rollout("a/b", "> <ü"),
            "https://rollouts.example.com/team/#rollout/a%2Fb/%3E%20%3C%C3%BC"
        );
        assert_eq!(url.agent("a"), "https://rollouts.example.com/team/#agent/a");
    }

    #[test]
    fn an_address_is_read_as_a_browser_reads_it() {
        for (text, overview, authority) in [
            ("http://host:9464", "http://host:9464/", "host:9464"),
            ("https://[::1]:1/x", "https://[::1]:1/x/", "[::1]:1"),
            ("HTTPS://Ex.com/", "https://ex.com/", "ex.com"),
            ("https://ex.com:443", "https://ex.com/", "ex.com"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            let read = (url.overview(), url.authority());
            assert_eq!(read, (overview.to_owned(), authority), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        use InvalidPublicUrl::{Behind, Credentials, NoAddress};
        for (text, why) in [
            ("", NoAddress),
            ("host:9464", NoAddress),
            ("https://", NoAddress),
            ("https:///x", NoAddress),
            ("https:host", NoAddress),
            ("ftp://host", NoAddress),
            ("http://:80", NoAddress),
            ("https://[zz]/", NoAddress),
            ("https://host:99999", NoAddress),
            ("https://*", NoAddress),
            ("https://ex.com{{agent}}", NoAddress),
            ("https://ho st", NoAddress),
            ("https://host/a b", NoAddress),
            ("javascript:alert(1)", NoAddress),
            ("https://user@host", Credentials),
            ("https://user:SECRETPW@host", Credentials),
            ("https://host/?x", Behind),
            ("https://host/#x", Behind),
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(why), "{text}");
        }
    }
}
