//! Where people find the page, and its addresses of what events are about.

use std::fmt::Write as _;
use std::str::FromStr;

/// The address under which people reach the page, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is the address of the page in a browser, like https://rollouts.example.com or http://host:9464, without \
     `?`, `#` and a user's name"
)]
pub struct InvalidPublicUrl;

impl PublicUrl {
    /// The host, with its port if it has one.
    #[must_use]
    pub fn authority(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// Where all agents are shown.
    #[must_use]
    pub fn overview(&self) -> String {
        format!("{}/", self.0)
    }

    /// Where a rollout is shown: while it is under way, and when it has ended.
    #[must_use]
    pub fn rollout(&self, agent: &str, deployment_id: &str) -> String {
        let (agent, deployment_id) = (url_part(agent), url_part(deployment_id));
        format!("{}/#rollout/{agent}/{deployment_id}", self.0)
    }

    /// Where an agent is shown.
    #[must_use]
    pub fn agent(&self, agent: &str) -> String {
        format!("{}/#agent/{}", self.0, url_part(agent))
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = text.trim().trim_end_matches('/');
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next());
        let is_url = host.is_some_and(|host| !host.is_empty())
            && url
                .chars()
                .all(|char| char.is_ascii_graphic() && !"?#@\\\"<>".contains(char));
        is_url.then(|| Self(url.to_owned())).ok_or(InvalidPublicUrl)
    }
}

/// A text as a part of an address, with all but letters, digits, `-`, `.`, `_` and `~` escaped.
#[must_use]
pub fn url_part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
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
    fn what_is_no_address_is_refused() {
        for text in ["http://host:9464", "https://[::1]:1/x"] {
            assert!(text.parse::<PublicUrl>().is_ok(), "{text}");
        }
        for text in [
            "",
            "host:9464",
            "https://",
            "https:///x",
            "ftp://host",
            "https://user@host",
            "https://host/?x",
            "https://host/#x",
            "https://ho st",
            "javascript:alert(1)",
        ] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }
}
