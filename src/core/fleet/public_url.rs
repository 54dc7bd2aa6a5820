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

/// It is none that a browser could be sent to.
const NO_ADDRESS: &str = "it must be the address of the page in a browser, like https://rollouts.example.com or http://host:9464";
/// Everybody who gets a link would see them.
const CREDENTIALS: &str = "it must not hold a user's name or password";
/// A link needs them for itself.
const BEHIND: &str = "it must end with its path: no ? or #";

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
    /// Why it is none, without the text itself.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let url = Url::parse(text).map_err(|_| NO_ADDRESS)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(CREDENTIALS);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BEHIND);
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
            return Err(NO_ADDRESS);
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
        for (text, why) in [
            ("", NO_ADDRESS),
            ("host:9464", NO_ADDRESS),
            ("https://", NO_ADDRESS),
            ("https:///x", NO_ADDRESS),
            ("https:host", NO_ADDRESS),
            ("ftp://host", NO_ADDRESS),
            ("http://:80", NO_ADDRESS),
            ("https://[zz]/", NO_ADDRESS),
            ("https://host:99999", NO_ADDRESS),
            ("https://*", NO_ADDRESS),
            ("https://ex.com{{agent}}", NO_ADDRESS),
            ("https://ho st", NO_ADDRESS),
            ("https://host/a b", NO_ADDRESS),
            ("javascript:alert(1)", NO_ADDRESS),
            ("https://user@host", CREDENTIALS),
            ("https://user:SECRETPW@host", CREDENTIALS),
            ("https://host/?x", BEHIND),
            ("https://host/#x", BEHIND),
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(why), "{text}");
        }
    }
}
