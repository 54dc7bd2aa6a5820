//! Where to post: a URL of which only the host is ever shown.

use std::fmt;

use reqwest::Url;

use crate::core::text::loopback::{PlainHttp, is_loopback};
use crate::core::text::redact::{REDACTED, Redaction, url_secrets};

/// A URL: `https`, or `http` to where that is allowed.
#[derive(Clone)]
pub(super) struct Address {
    url: Url,
    /// What else must not be shown of what is sent there.
    secrets: Vec<String>,
}

impl Address {
    /// Checks a URL. It may be a secret, and is not repeated.
    pub(super) fn parse(text: &str, plain_http: PlainHttp) -> Result<Self, String> {
        const NO_URL: &str = "it is not a URL; one looks like https://example.com/hook";
        let url = Url::parse(text).map_err(|_| NO_URL)?;
        let host = url.host_str().ok_or(NO_URL)?;
        let may_leave = plain_http == PlainHttp::Anywhere || is_loopback(host);
        match url.scheme() {
            "https" => Ok(Self::of(url)),
            "http" if may_leave => Ok(Self::of(url)),
            "http" => Err(format!(
                "plain http to {host} would send the events in the open; use https, or \
                 --allow-insecure-http"
            )),
            _ => Err("it is neither https nor http".to_owned()),
        }
    }

    fn of(url: Url) -> Self {
        let secrets = Vec::new();
        Self { url, secrets }
    }

    /// The same, where these are not shown either.
    pub(super) fn with_secrets(self, secrets: Vec<String>) -> Self {
        Self { secrets, ..self }
    }

    /// The URL whole, to send to.
    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    /// Whether the way there is encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host and port, which may be shown.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Removes the path, the query and the credentials from what a receiver says, whole and in parts:
    /// `Cannot POST /services/...` is what many answer to a path that they do not know.
    pub(super) fn redaction(&self) -> Redaction {
        let url = &self.url;
        let of_url = url_secrets(url.path(), url.query(), url.username(), url.password());
        Redaction::new(of_url.into_iter().chain(self.secrets.clone()), REDACTED)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str =
        "https://someone:passw0rd%21@example.com:8443/hooks/T0Ken_9/x?key=s3cr3t%2B1&a=b";

    #[test]
    fn plain_http_goes_to_loopback_only() {
        let parse = |text: &str| Address::parse(text, PlainHttp::LoopbackOnly).err();
        for text in [
            "https://example.com/hook",
            "https://u:p@example.com/hook?a=b#c",
            "http://127.0.0.1:8080/",
            "http://127.8.9.1/",
            "http://localhost:1/",
            "http://[::1]:80/x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for host in [
            "example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0",
        ] {
            let text = format!("http://{host}/T0Ken");
            let error = parse(&text).unwrap();
            let start = format!("plain http to {host} would send the events in the open");
            assert!(error.starts_with(&start), "{error}");
            assert!(Address::parse(&text, PlainHttp::Anywhere).is_ok(), "{text}");
        }
        for (text, error) in [
            ("", "it is not a URL"),
            ("example.com/T0Ken", "it is not a URL"),
            ("https://", "it is not a URL"),
            ("ftp://example.com/T0Ken", "it is neither https nor http"),
            ("unix:/T0Ken", "it is not a URL"),
        ] {
            let reason = parse(text).unwrap();
            assert!(reason.starts_with(error), "{text}: {reason}");
            assert!(!reason.contains("T0Ken"), "{reason}");
        }
    }

    #[test]
    fn of_a_url_the_host_is_shown() {
        let address = Address::parse(URL, PlainHttp::LoopbackOnly).unwrap();
        assert_eq!(format!("{address:?}"), "Address(example.com:8443)");
    }

    #[test]
    fn path_query_and_credentials_are_removed_from_what_a_receiver_says() {
        let address = Address::parse(URL, PlainHttp::LoopbackOnly).unwrap();
        for (said, shown) in [
            ("nothing of it, at a/b", "nothing of it, at a/b"),
            ("Cannot POST /hooks/T0Ken_9/x", "Cannot POST [...]"),
            ("no T0Ken_9 here", "no [...] here"),
            ("key=s3cr3t%2B1&a=b", "[...]"),
            ("s3cr3t+1 is wrong, someone", "[...] is wrong, [...]"),
            ("passw0rd! passw0rd%21", "[...] [...]"),
        ] {
            assert_eq!(address.redaction().text(said), shown);
        }
        let root = Address::parse("https://example.com/", PlainHttp::LoopbackOnly).unwrap();
        assert_eq!(root.redaction().text("a/b"), "a/b");
    }
}
