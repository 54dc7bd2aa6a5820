//! One HTTP POST, and what its answer means for a notice.

use std::error::Error as _;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode, redirect, retry};
use rustls::ClientConfig;

use super::address::Address;
use super::{Then, Undelivered, retry_after};
use crate::core::fleet::Failure;
use crate::core::text::loopback::{self, LOCALHOST};
use crate::core::text::{lines, one_line, short_duration};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an attempt may take in all.
const LIMIT: Duration = Duration::from_secs(15);
/// The longest answer that is taken for words; more is a page.
const MOST_WORDS: usize = 4 * 1024;
/// The most that is shown of an answer's words, in characters.
const SHOWN: usize = 200;

/// The client for one address.
pub(super) fn client(address: &Address, tls: &ClientConfig) -> Result<Client, reqwest::Error> {
    let builder = Client::builder()
        .user_agent(concat!("pipecat-rollout/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Every attempt is counted and paced by whoever makes it.
        .retry(retry::never())
        // A connection that the receiver has closed since the last notice would cost an attempt.
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_LIMIT)
        .timeout(LIMIT)
        .tls_backend_preconfigured(tls.clone());
    let builder = if address.is_https() {
        builder
    } else {
        // No proxy may see what is not encrypted.
        builder
            .no_proxy()
            // Nor does a resolver decide where this machine is.
            .resolve_to_addrs(LOCALHOST, &loopback::ADDRESSES)
    };
    builder.build().map_err(reqwest::Error::without_url)
}

/// Posts a body with these headers, at `now`.
pub(super) async fn post(
    client: &Client,
    address: &Address,
    headers: HeaderMap,
    body: String,
    now: Timestamp,
) -> Result<(), Undelivered> {
    let request = client.post(address.url()).headers(headers).body(body);
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_timeout() && !error.is_connect() => {
            return Err(Undelivered::timed_out(transport_words(error, address)));
        }
        Err(error) => return Err(Undelivered::retry(transport_words(error, address))),
    };
    // What is said of a success interests nobody: it is not even read.
    if response.status().is_success() {
        return Ok(());
    }
    let then = then(response.status(), response.headers(), now);
    let mut why = status_words(response.status());
    if let Some(words) = words(response, address).await {
        why = format!("{why}: {words}");
    }
    Err(Undelivered { why, then })
}

/// What follows from a status that is no success.
fn then(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Then {
    match status.as_u16() {
        410 => Then::Gone,
        401 | 403 | 408 | 425 | 429 | 500..=599 => Then::Retry(Failure::Unavailable {
            retry_after: retry_after::delay(headers, now)
                .filter(|_| matches!(status.as_u16(), 429 | 503)),
        }),
        _ => Then::Retry(Failure::Refused),
    }
}

fn status_words(status: StatusCode) -> String {
    let name = status.canonical_reason().unwrap_or_default();
    let told = format!("the answer is {} {name}", status.as_u16());
    let told = told.trim_end();
    if status.is_redirection() {
        format!("{told}, and redirects are not followed")
    } else {
        told.to_owned()
    }
}

/// The first line of an answer that is short text; none of a page, or of what cannot be read.
async fn words(mut response: Response, address: &Address) -> Option<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MOST_WORDS {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    first_line(std::str::from_utf8(&body).ok()?, address)
}

fn first_line(text: &str, address: &Address) -> Option<String> {
    // Struck out before it is split and cut: half a secret would not be found.
    let text = &address.redaction().text(text);
    // A page's first line says only that it is a page.
    if text.trim_start().starts_with('<') {
        return None;
    }
    let lines = lines(text);
    // JSON over several lines begins with one that says nothing.
    let line = lines
        .iter()
        .find(|line| line.chars().any(char::is_alphanumeric))?;
    let line = line.trim();
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push_str("...");
    }
    Some(shown)
}

/// Why there was no answer.
fn transport_words(error: reqwest::Error, address: &Address) -> String {
    let error = error.without_url();
    // The innermost names the cause.
    let cause = std::iter::successors(error.source(), |error| (*error).source()).last();
    let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
    let words = if error.is_connect() {
        format!("cannot connect to {}: {cause}", address.host())
    } else if error.is_timeout() {
        format!("no answer within {}", short_duration(LIMIT))
    } else {
        format!("the connection broke: {cause}")
    };
    one_line(&address.redaction().text(&words))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::crypto::ring::default_provider;

    use super::*;
    use crate::adapters::delivery::PlainText;

    #[test]
    fn every_status_has_its_consequence() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        let (mut gone, mut obeyed) = (Vec::new(), Vec::new());
        for code in 100..=599 {
            let status = StatusCode::from_u16(code).unwrap();
            match then(status, &headers, Timestamp::UNIX_EPOCH) {
                Then::Gone => gone.push(code),
                Then::Retry(Failure::Unavailable {
                    retry_after: Some(after),
                }) => {
                    assert_eq!(after, Duration::from_secs(7));
                    obeyed.push(code);
                }
                Then::Retry(_) => {}
            }
        }
        assert_eq!(gone, [410]);
        assert_eq!(obeyed, [429, 503]);
    }

    #[tokio::test]
    async fn an_error_without_a_cause_is_told_without_the_url() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/s3cret", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // What is left unread would end in a reset.
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 500 X\r\n\r\n").unwrap();
        });
        let address = Address::parse(&url, PlainText::LoopbackOnly).unwrap();
        let roots = rustls::RootCertStore::empty();
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = client(&address, &tls).unwrap();
        let response = client.get(address.url()).send().await.unwrap();
        let error = response.error_for_status().unwrap_err();
        assert!(error.to_string().contains(&url));
        let told = transport_words(error, &address);
        assert!(
            !told.contains("http://") && !told.contains("s3cret"),
            "{told}"
        );
    }

    #[test]
    fn of_an_answer_the_first_line_is_shown() {
        let address = Address::parse("https://x/T0Ken_9/", PlainText::LoopbackOnly).unwrap();
        let shown = |text: &str| first_line(text, &address);
        for (text, line) in [
            ("", None),
            (" \n{\n}", None),
            ("\n<!DOCTYPE html>", None),
            ("no_service", Some("no_service")),
            ("\r\n \u{1b}[31mone\u{202e}\u{0}\ntwo", Some("one")),
            ("{\n  \"error\": \"x\"\n}", Some("\"error\": \"x\"")),
            ("Cannot POST /T0Ken_9/", Some("Cannot POST [...]")),
        ] {
            assert_eq!(shown(text).as_deref(), line, "{text:?}");
        }
        let cut = shown(&format!("{}T0Ken_9", "é".repeat(SHOWN - 3))).unwrap();
        assert_eq!(cut, format!("{}[..{}", "é".repeat(SHOWN - 3), "..."));
    }
}
