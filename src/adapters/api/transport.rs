//! What goes wrong between us and the API, in words that name what to check.

use std::error::Error;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, InvalidMessage};

use super::error::RequestError;
use super::proxy::Proxy;
use super::tls::CONNECT_TIMEOUT;
use crate::core::text::loopback::authority;
use crate::core::text::{self, short_duration};
use crate::core::wire::RequestOutcome;

/// How the HTTP client begins what it says about a proxy that opens no tunnel; the type is private.
const TUNNEL_ERROR: &str = "tunnel error: ";

/// Why a request got no response head in `limit`; `proxy` is the one that it went through.
pub(super) fn send_problem(
    error: &reqwest::Error,
    limit: Duration,
    proxy: Option<&Proxy>,
) -> RequestError {
    let host = error.url().map(authority).unwrap_or_default();
    let server = match proxy {
        Some(proxy) => format!("{host} through {proxy}"),
        None => host.clone(),
    };
    if !error.is_connect() {
        return if error.is_timeout() {
            timeout(format!(
                "no answer from {server} within {}",
                short_duration(limit)
            ))
        } else {
            let cause = text::cause(error);
            RequestError::unreachable("ConnectionBroke", format!("the connection broke: {cause}"))
        };
    }
    let cause = text::cause(error);
    if let (Some(proxy), Some(tunnel)) = (proxy, tunnel_error(error)) {
        let words = match tunnel.as_str() {
            "failed to create underlying connection" => format!("cannot reach {proxy}: {cause}"),
            "unsuccessful" => format!("{proxy} refuses a tunnel to {host}"),
            other => format!("{proxy} opens no tunnel to {host}: {other}"),
        };
        return RequestError::unreachable("ProxyFailed", words);
    }
    let words = match sources(error).find_map(tls_error) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            let words = certificate_words(&server, why);
            return RequestError::unreachable("CertificateNotTrusted", words).refused();
        }
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            let words = format!("{server} does not speak TLS; is that a port for plain http?");
            return RequestError::unreachable("NotTls", words);
        }
        Some(other) => format!("the TLS handshake with {server} failed: {other}"),
        None if error.is_timeout() => {
            let limit = short_duration(CONNECT_TIMEOUT);
            format!("no connection to {server} within {limit}")
        }
        None if error.is_dns() => format!("the host name of {host} cannot be resolved: {cause}"),
        None => format!("cannot connect to {server}: {cause}"),
    };
    RequestError::unreachable("ConnectFailed", words)
}

/// Why a body could not be read to its end in `limit`.
pub(super) fn body_problem(error: &reqwest::Error, limit: Duration) -> RequestError {
    if error.is_timeout() {
        let limit = short_duration(limit);
        return timeout(format!("the answer was not complete within {limit}"));
    }
    RequestError::unreadable("BodyCut", "the answer was cut short".to_owned())
}

fn timeout(words: String) -> RequestError {
    RequestError::new(RequestOutcome::Timeout, "RequestTimeout", words)
}

/// Why the certificate of a server is not trusted, and what helps.
fn certificate_words(server: &str, why: &CertificateError) -> String {
    let certificate = format!("the certificate of {server}");
    match why {
        CertificateError::UnknownIssuer => format!(
            "{certificate} is not trusted: its issuer is unknown; if that is an authority of your \
             own, give its certificate with --ca-file"
        ),
        CertificateError::Expired => format!("{certificate} has expired"),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "{certificate} expired on {}; it is {} by this machine's clock",
            date(*not_after),
            date(*time)
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("{certificate} is not valid yet; check this machine's clock")
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let names: Vec<&str> = presented
                .iter()
                .take(3)
                .map(|name| host_name(name))
                .collect();
            format!(
                "{certificate} is for another host name: {}",
                names.join(", ")
            )
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("{certificate} is not for this host name")
        }
        other => format!("{certificate} is not trusted: {other}; --ca-file adds an authority"),
    }
}

/// The day of a moment, in UTC.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match Timestamp::from_second(seconds) {
        Ok(moment) => moment.strftime("%Y-%m-%d").to_string(),
        Err(_) => "an unknown day".to_owned(),
    }
}

/// A name in a certificate without the kind around it: `DnsName("x")`.
fn host_name(presented: &str) -> &str {
    let name = presented.strip_prefix("DnsName(\"");
    name.and_then(|name| name.strip_suffix("\")"))
        .unwrap_or(presented)
}

/// What a proxy that opens no tunnel is said to have done.
fn tunnel_error(error: &reqwest::Error) -> Option<String> {
    sources(error)
        .find_map(|source| Some(source.to_string().strip_prefix(TUNNEL_ERROR)?.to_owned()))
}

/// A TLS error, also within I/O errors, which do not name what they wrap as their source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// The errors beneath an error, outermost first.
fn sources<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    use reqwest::dns::{Name, Resolve, Resolving};

    const LIMIT: Duration = Duration::from_secs(10);

    /// A resolver that knows no name, or never answers.
    struct Resolver {
        answers: bool,
    }

    impl Resolve for Resolver {
        fn resolve(&self, _: Name) -> Resolving {
            let answers = self.answers;
            Box::pin(async move {
                if !answers {
                    std::future::pending::<()>().await;
                }
                Err(io::Error::other("no such name").into())
            })
        }
    }

    #[tokio::test]
    async fn names_the_host_that_cannot_be_resolved() {
        for (answers, words) in [
            (
                true,
                "the host name of api.test cannot be resolved: no such name",
            ),
            (false, "no connection to api.test within 5.0s"),
        ] {
            let client = reqwest::Client::builder()
                .tls_backend_preconfigured(super::super::tls::config_without_roots().unwrap())
                .no_proxy()
                .connect_timeout(Duration::from_millis(1))
                .dns_resolver(std::sync::Arc::new(Resolver { answers }))
                .build()
                .unwrap();
            let error = client.get("https://api.test/v1").send().await.unwrap_err();
            let problem = send_problem(&error, LIMIT, None);
            assert_eq!(problem.code, "ConnectFailed");
            assert_eq!(problem.to_string(), words);
        }
    }

    #[test]
    fn every_untrusted_certificate_says_why() {
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let for_names = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: "x".try_into().unwrap(),
            presented: presented.iter().map(ToString::to_string).collect(),
        };
        for (why, words) in [
            (CertificateError::Expired, "x has expired"),
            (
                CertificateError::ExpiredContext {
                    time: time(86_400),
                    not_after: time(0),
                },
                "x expired on 1970-01-01; it is 1970-01-02 by this machine's clock",
            ),
            (
                CertificateError::NotValidYet,
                "x is not valid yet; check this machine's clock",
            ),
            (for_names(&[]), "x is not for this host name"),
            (
                for_names(&["DnsName(\"a\")", "IpAddress(1)", "DnsName(\"b\")", "c"]),
                "x is for another host name: a, IpAddress(1), b",
            ),
            (
                CertificateError::BadSignature,
                "x is not trusted: BadSignature; --ca-file adds an authority",
            ),
        ] {
            assert_eq!(
                certificate_words("x", &why),
                format!("the certificate of {words}")
            );
        }
    }
}
