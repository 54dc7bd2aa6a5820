//! Where to send: a URL, which may have places for values, and of which only the host is ever shown.

use std::path::PathBuf;

use reqwest::Url;
use serde_json::Value;

use super::secret::read_text;
use super::{DeliveryError, DeliveryFailure};
use crate::core::fleet::url_part;
use crate::core::text::loopback::{PlainHttp, authority, is_loopback};
use crate::core::text::redact::{REDACTED, Redaction, url_secrets};
use crate::core::text::template::Template;

/// A URL, which may have places for values behind its host.
#[derive(Clone)]
pub(super) enum Location {
    Text(String),
    /// It is in this file.
    File(PathBuf),
}

impl Location {
    /// Makes sure that its places are for values that there are.
    pub(super) fn check(&self, example: &Value) -> Result<(), String> {
        Template::parse(&self.text()?)?.check(example)
    }

    /// The URL for these values. Where the event has none that fits, it is refused.
    pub(super) fn url(&self, plain_http: PlainHttp, values: &Value) -> Result<Url, DeliveryError> {
        let text = self.text();
        let text = text.map_err(|why| DeliveryError::unavailable(&why))?;
        fill(&text, plain_http, values).map_err(|error| match (self, error.failure) {
            (Self::File(path), DeliveryFailure::Unavailable { .. }) => {
                let path = path.display();
                DeliveryError::unavailable(&format!("{path} must hold one URL: {error}"))
            }
            _ => error,
        })
    }

    fn text(&self) -> Result<String, String> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File(path) => read_text(path)?,
        };
        Ok(text.trim().to_owned())
    }
}

/// Removes the path, the query and the credentials of a URL from what a receiver says, whole and in parts, and
/// these secrets: `Cannot POST /services/...` is what many answer to a path that they do not know.
pub(super) fn redaction(url: &Url, secrets: Vec<String>) -> Redaction {
    let of_url = url_secrets(url.path(), url.query(), url.username(), url.password());
    Redaction::new(of_url.into_iter().chain(secrets), REDACTED)
}

fn fill(text: &str, plain_http: PlainHttp, values: &Value) -> Result<Url, DeliveryError> {
    let unusable = |why: String| DeliveryError::unavailable(&why);
    let template = Template::parse(text).map_err(unusable)?;
    // No event decides who gets it.
    let misplaced = || unusable("places can only stand behind the host".to_owned());
    let (_, behind) = template.start().split_once("://").unwrap_or_default();
    let start = Url::parse(template.start()).ok();
    let start = start.filter(|_| behind.contains(['/', '?', '#']));
    if template.has_places() && start.is_none() {
        return Err(misplaced());
    }
    if let Some(name) = template.missing(values) {
        return Err(DeliveryError::unsendable(&format!(
            "the address needs {{{{{name}}}}}, which this event does not have"
        )));
    }
    let filled = template.text(values, url_part);
    let url = parse(&filled, plain_http).map_err(unusable)?;
    if template.has_places() {
        if start.is_none_or(|start| authority(&start) != authority(&url)) {
            return Err(misplaced());
        }
        let path = filled.split(['?', '#']).next().unwrap_or_default();
        if path.split(['/', '\\']).any(leaves_its_place) {
            return Err(DeliveryError::unsendable(
                "a part of the address's path is . or .., which would lead elsewhere",
            ));
        }
    }
    Ok(url)
}

/// Checks a URL: `https`, or `http` to where that is allowed. It may be a secret, and is not repeated.
fn parse(text: &str, plain_http: PlainHttp) -> Result<Url, String> {
    const NO_URL: &str = "it is not a URL; one looks like https://example.com/hook";
    let url = Url::parse(text).map_err(|_| NO_URL)?;
    let host = url.host_str().ok_or(NO_URL)?;
    let may_leave = plain_http == PlainHttp::Anywhere || is_loopback(host);
    match url.scheme() {
        "https" => Ok(url),
        "http" if may_leave => Ok(url),
        "http" => Err(format!(
            "plain http to {host} would send the events in the open; use https, or \
             --allow-insecure-http"
        )),
        _ => Err("it is neither https nor http".to_owned()),
    }
}

/// Whether a part of a path is none, but a way to another one.
fn leaves_its_place(part: &str) -> bool {
    matches!(
        part.to_ascii_lowercase().replace("%2e", ".").as_str(),
        "." | ".."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str =
        "https://someone:passw0rd%21@example.com:8443/hooks/T0Ken_9/x?key=s3cr3t%2B1&a=b";

    #[test]
    fn plain_http_goes_to_loopback_only() {
        let error = |text: &str| parse(text, PlainHttp::LoopbackOnly).err();
        for text in [
            "https://example.com/hook",
            "https://u:p@example.com/hook?a=b#c",
            "http://127.0.0.1:8080/",
            "http://127.8.9.1/",
            "http://localhost:1/",
            "http://[::1]:80/x",
        ] {
            assert_eq!(error(text), None, "{text}");
        }
        for host in [
            "example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0",
        ] {
            let text = format!("http://{host}/T0Ken");
            let why = error(&text).unwrap();
            let start = format!("plain http to {host} would send the events in the open");
            assert!(why.starts_with(&start), "{why}");
            assert!(parse(&text, PlainHttp::Anywhere).is_ok(), "{text}");
        }
        for (text, start) in [
            ("", "it is not a URL"),
            ("example.com/T0Ken", "it is not a URL"),
            ("https://", "it is not a URL"),
            ("ftp://example.com/T0Ken", "it is neither https nor http"),
            ("unix:/T0Ken", "it is not a URL"),
        ] {
            let reason = error(text).unwrap();
            assert!(reason.starts_with(start), "{text}: {reason}");
            assert!(!reason.contains("T0Ken"), "{reason}");
        }
    }

    #[test]
    fn of_a_url_the_host_is_shown() {
        let url = Url::parse(URL).unwrap();
        assert_eq!(authority(&url), "example.com:8443");
    }

    #[test]
    fn path_query_and_credentials_are_removed_from_what_a_receiver_says() {
        let shown = redaction(&Url::parse(URL).unwrap(), Vec::new());
        for (said, expected) in [
            ("nothing of it, at a/b", "nothing of it, at a/b"),
            ("Cannot POST /hooks/T0Ken_9/x", "Cannot POST [...]"),
            ("no T0Ken_9 here", "no [...] here"),
            ("key=s3cr3t%2B1&a=b", "[...]"),
            ("s3cr3t+1 is wrong, someone", "[...] is wrong, [...]"),
            ("passw0rd! passw0rd%21", "[...] [...]"),
        ] {
            assert_eq!(shown.text(said), expected);
        }
        let root = redaction(&Url::parse("https://example.com/").unwrap(), Vec::new());
        assert_eq!(root.text("a/b"), "a/b");
    }
}
