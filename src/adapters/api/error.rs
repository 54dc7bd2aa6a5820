//! What can go wrong with a request, and whether another try may mend it.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{StatusCode, Url};

use crate::core::rollout::{Failure, FailureClass};
use crate::core::text::{one_line, short_duration};
use crate::core::wire::{NotAList, NotAnAgent};

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// `--ca-file` cannot be used.
    #[error("cannot use the CA file {}: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The environment names a file of roots that holds none.
    #[error("{variable} names {}, which holds no readable certificate", path.display())]
    NoRoots {
        /// The environment variable.
        variable: &'static str,
        /// What it says.
        path: PathBuf,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client")]
    Build(#[source] reqwest::Error),
}

/// Why a request brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The server's certificate is not trusted, not for this host, or expired.
    #[error("the server's certificate is not trusted: {0}")]
    Certificate(#[source] rustls::Error),
    /// No connection was made.
    #[error("cannot connect to {host}: {}", innermost(source))]
    Connect {
        /// Where to.
        host: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The connection broke.
    #[error("the connection broke: {}", innermost(.0))]
    Transport(#[source] reqwest::Error),
    /// No whole answer in time.
    #[error("no answer within {}", short_duration(*limit))]
    Timeout {
        /// How long it might have taken.
        limit: Duration,
    },
    /// An answer that is neither 200 nor 404.
    #[error("{}", status_words(*status, words.as_deref(), location.as_deref(), *retry_after))]
    Status {
        /// Its status.
        status: StatusCode,
        /// What its body says.
        words: Option<String>,
        /// Where it redirects to.
        location: Option<String>,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The body was cut short.
    #[error("the answer was cut short")]
    BodyCut(#[source] reqwest::Error),
    /// The body is larger than any answer of this API.
    #[error("the answer is larger than {most} bytes")]
    BodyTooLarge {
        /// The most that is read.
        most: usize,
    },
    /// The body is not the agent that was asked for.
    #[error(transparent)]
    NotAnAgent(#[from] NotAnAgent),
    /// The body is no list of agents.
    #[error(transparent)]
    NotAList(#[from] NotAList),
}

impl RequestError {
    /// The error of a request that got no response head.
    pub(super) fn of_transport(error: reqwest::Error, limit: Duration) -> Self {
        if let Some(certificate) = certificate_error(&error) {
            return RequestError::Certificate(certificate);
        }
        if error.is_timeout() && !error.is_connect() {
            return RequestError::Timeout { limit };
        }
        if error.is_connect() {
            let host = error.url().map(authority).unwrap_or_default();
            let source = error.without_url();
            return RequestError::Connect { host, source };
        }
        RequestError::Transport(error.without_url())
    }

    /// The error of a body that could not be read to its end.
    pub(super) fn of_body(error: reqwest::Error, limit: Duration) -> Self {
        if error.is_timeout() {
            return RequestError::Timeout { limit };
        }
        RequestError::BodyCut(error.without_url())
    }

    pub(super) fn with_words(self, told: Option<String>) -> Self {
        match self {
            RequestError::Status {
                status,
                location,
                retry_after,
                ..
            } => RequestError::Status {
                status,
                words: told,
                location,
                retry_after,
            },
            other => other,
        }
    }

    /// What follows from it.
    #[must_use]
    pub(crate) fn class(&self) -> FailureClass {
        match self {
            RequestError::Certificate(_) => FailureClass::Refused,
            RequestError::Connect { .. }
            | RequestError::Transport(_)
            | RequestError::Timeout { .. }
            | RequestError::BodyCut(_)
            | RequestError::BodyTooLarge { .. }
            | RequestError::NotAnAgent(_)
            | RequestError::NotAList(_) => FailureClass::Transient { retry_after: None },
            RequestError::Status {
                status,
                retry_after,
                ..
            } => class_of(*status, *retry_after),
        }
    }

    /// One word for machines.
    #[must_use]
    pub(crate) fn code(&self) -> String {
        match self {
            RequestError::Certificate(_) => "CertificateNotTrusted".to_owned(),
            RequestError::Connect { .. } => "ConnectFailed".to_owned(),
            RequestError::Transport(_) => "ConnectionBroke".to_owned(),
            RequestError::Timeout { .. } => "RequestTimeout".to_owned(),
            RequestError::Status { status, .. } => format!("Http{}", status.as_u16()),
            RequestError::BodyCut(_) => "BodyCut".to_owned(),
            RequestError::BodyTooLarge { .. } => "BodyTooLarge".to_owned(),
            RequestError::NotAnAgent(_) => "NotAnAgent".to_owned(),
            RequestError::NotAList(_) => "NotAList".to_owned(),
        }
    }

    /// The error as the core sees it.
    #[must_use]
    pub(crate) fn into_failure(self) -> Failure {
        Failure {
            class: self.class(),
            code: self.code(),
            summary: one_line(&self.to_string()),
            request_id: None,
        }
    }
}

/// What follows from a status that is neither 200 nor 404 (design, "The loop").
fn class_of(status: StatusCode, retry_after: Option<Duration>) -> FailureClass {
    match status.as_u16() {
        401 | 403 => FailureClass::Unauthorized,
        408 | 425 | 429 => FailureClass::Transient { retry_after },
        300..500 => FailureClass::Refused,
        // A success or an interim answer that holds no agent is a server's slip, as a 5xx is.
        _ => FailureClass::Transient { retry_after },
    }
}

fn status_words(
    status: StatusCode,
    words: Option<&str>,
    location: Option<&str>,
    retry_after: Option<Duration>,
) -> String {
    let redirect = status.is_redirection().then(|| match location {
        Some(location) => format!(", a redirect to {location}, which is not followed"),
        None => ", a redirect, which is not followed".to_owned(),
    });
    let pause =
        retry_after.map(|pause| format!(", and asks for a pause of {}", short_duration(pause)));
    let words = words.map(|words| format!(": {words}"));
    format!(
        "the API answered {status}{}{}{}",
        redirect.unwrap_or_default(),
        pause.unwrap_or_default(),
        words.unwrap_or_default()
    )
}

/// The TLS library's word on an untrusted certificate, if that is what went wrong.
fn certificate_error(error: &reqwest::Error) -> Option<rustls::Error> {
    sources(error)
        .find_map(tls_error)
        .filter(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
        .cloned()
}

/// A TLS error, also within I/O errors, which do not name what they wrap as their source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// The innermost of a chain of errors, which names the cause.
fn innermost(error: &reqwest::Error) -> String {
    match sources(error).last() {
        Some(innermost) => innermost.to_string(),
        None => error.to_string(),
    }
}

/// Host and port of a URL.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The errors beneath an error, outermost first.
fn sources<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_class() {
        let mut retried = Vec::new();
        let mut unauthorized = Vec::new();
        for code in (100..=599).filter(|code| !matches!(code, 200 | 404)) {
            let status = StatusCode::from_u16(code).unwrap();
            match class_of(status, None) {
                FailureClass::Transient { .. } => retried.push(code),
                FailureClass::Unauthorized => unauthorized.push(code),
                FailureClass::Refused => {}
            }
        }
        let expected: Vec<u16> = (100..200)
            .chain(201..300)
            .chain([408, 425, 429])
            .chain(500..600)
            .collect();
        assert_eq!(retried, expected);
        assert_eq!(unauthorized, [401, 403]);
    }

    #[test]
    fn a_retry_after_goes_with_the_statuses_that_are_retried() {
        let asked = Some(Duration::from_secs(7));
        for code in [408, 425, 429, 500, 502, 503] {
            let class = class_of(StatusCode::from_u16(code).unwrap(), asked);
            assert_eq!(
                class,
                FailureClass::Transient { retry_after: asked },
                "{code}"
            );
        }
    }
}
