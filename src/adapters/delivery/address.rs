//! Where to post: a URL of which only the host is ever shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::PlainText;
use crate::core::text::loopback::is_loopback;
use crate::core::text::redact::Redaction;

/// The shortest part of a URL that is searched for in what a receiver says; shorter ones are words.
const SHORTEST_SECRET: usize = 6;
/// What stands where a part of the URL was.
const STRUCK_OUT: &str = "[...]";

/// A URL, `https` or `http` to where that is allowed.
#[derive(Clone)]
pub(super) struct Address(Url);

/// Why a text cannot be the URL of a sink. The text itself, which may be a secret, is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// No URL at all.
    #[error("it is not a URL; one looks like https://example.com/hook")]
    NotAUrl,
    /// Neither https nor http.
    #[error("it is neither https nor http")]
    Scheme,
    /// Plain http to another machine.
    #[error(
        "plain http to {0} would send the events in the open; use https, or --allow-insecure-http"
    )]
    Insecure(String),
}

impl Address {
    /// Checks a URL.
    pub(super) fn parse(text: &str, plain: PlainText) -> Result<Self, BadAddress> {
        let url = Url::parse(text).map_err(|_| BadAddress::NotAUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(BadAddress::Scheme);
        }
        let host = url.host_str().ok_or(BadAddress::NotAUrl)?;
        if url.scheme() == "http" && plain == PlainText::LoopbackOnly && !is_loopback(host) {
            return Err(BadAddress::Insecure(host.to_owned()));
        }
        Ok(Self(url))
    }

    /// The URL whole, to post to.
    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }

    /// Whether the way there is encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Host and port, which may be shown.
    pub(super) fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Strikes the URL out of what a receiver says: `Cannot POST /services/...` is what many answer
    /// to a path that they do not know.
    pub(super) fn redaction(&self) -> Redaction {
        Redaction::new(self.parts(), STRUCK_OUT)
    }

    /// All that is to stay unseen: path, query and credentials, and what they are made of, as they
    /// are written and as they are meant.
    pub(super) fn parts(&self) -> Vec<String> {
        let url = &self.0;
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        let basic = format!("{}:{}", decoded(user), decoded(password));
        let query = url.query().unwrap_or_default();
        let values = query.split('&').map(|pair| match pair.split_once('=') {
            Some((_, value)) => value,
            None => pair,
        });
        let mut parts: Vec<String> = url
            .path_segments()
            .into_iter()
            .flatten()
            .chain([user, password])
            .chain(values)
            .flat_map(|part| [part.to_owned(), decoded(part)])
            .chain(url.query_pairs().map(|(_, value)| value.into_owned()))
            .chain([STANDARD.encode(basic)])
            .filter(|part| part.len() >= SHORTEST_SECRET)
            .collect();
        // A path of one letter is recognised by its slash.
        let whole = [url.path(), query];
        parts.extend(
            whole
                .into_iter()
                .flat_map(|part| [part.to_owned(), decoded(part)])
                .filter(|part| part.len() > 1),
        );
        parts
    }
}

/// What a part of a URL means.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.host())
    }
}

/// The host of what may be a URL, for those who want to see it.
pub(super) fn host_of(text: &str) -> String {
    match Address::parse(text, PlainText::Anywhere) {
        Ok(address) => address.host(),
        Err(_) => "not a URL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str =
        "https://someone:passw0rd%21@example.com:8443/hooks/T0Ken_9/x?key=s3cr3t%2B1&a=b";

    #[test]
    fn plain_http_goes_to_loopback_only() {
        let parse = |text: &str| Address::parse(text, PlainText::LoopbackOnly).err();
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
            assert_eq!(parse(&text), Some(BadAddress::Insecure(host.to_owned())));
            assert!(Address::parse(&text, PlainText::Anywhere).is_ok(), "{text}");
        }
        for (text, error) in [
            ("", BadAddress::NotAUrl),
            ("example.com/T0Ken", BadAddress::NotAUrl),
            ("https://", BadAddress::NotAUrl),
            ("ftp://example.com/T0Ken", BadAddress::Scheme),
            ("unix:/T0Ken", BadAddress::Scheme),
        ] {
            assert_eq!(parse(text), Some(error.clone()), "{text}");
            assert!(!error.to_string().contains("T0Ken"));
        }
    }

    #[test]
    fn of_a_url_the_host_is_shown() {
        let address = Address::parse(URL, PlainText::LoopbackOnly).unwrap();
        assert_eq!(format!("{address:?}"), "Address(example.com:8443)");
        assert_eq!(host_of(URL), "example.com:8443");
        assert_eq!(host_of("T0Ken"), "not a URL");
    }

    #[test]
    fn a_url_is_struck_out_of_what_is_said() {
        let address = Address::parse(URL, PlainText::LoopbackOnly).unwrap();
        for (said, struck) in [
            ("nothing of it, at a/b", "nothing of it, at a/b"),
            ("Cannot POST /hooks/T0Ken_9/x", "Cannot POST [...]"),
            ("no T0Ken_9 here", "no [...] here"),
            ("key=s3cr3t%2B1&a=b", "[...]"),
            ("s3cr3t+1 is wrong, someone", "[...] is wrong, [...]"),
            ("passw0rd! passw0rd%21", "[...] [...]"),
            (
                "Basic c29tZW9uZTpwYXNzdzByZCE= is wrong",
                "Basic [...] is wrong",
            ),
            ("key=s3cr3t+1&a=b", "[...]"),
            ("s3cr3t%2B1", "[...]"),
        ] {
            assert_eq!(address.redaction().text(said), struck);
        }
        let root = Address::parse("https://example.com/", PlainText::LoopbackOnly).unwrap();
        assert_eq!(root.redaction().text("a/b"), "a/b");
    }
}
