//! What can go wrong with a request, and what follows from it.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;

use crate::core::rollout::{Failure, FailureClass, Observation};
use crate::core::text::{one_line, short_duration};
use crate::core::wire::RequestOutcome;

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
#[error("{problem}")]
pub(crate) struct RequestError {
    pub(super) problem: Problem,
    /// `X-Request-Id` of the answer, where there was one.
    pub(super) request_id: Option<String>,
}

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The server's certificate is not trusted, not for this host, or expired.
    #[error("{0}")]
    Certificate(String),
    /// The proxy cannot be reached, or opens no tunnel to the API.
    #[error("{0}")]
    Proxy(String),
    /// No connection was made.
    #[error("{0}")]
    Connect(String),
    /// The connection broke before there was an answer.
    #[error("the connection broke: {0}")]
    Transport(String),
    /// No whole answer in time.
    #[error("{0}")]
    Timeout(String),
    /// An answer of the API, or of something before it, that is not a 200.
    #[error(
        "{}{}",
        status_words(*status, words.as_deref(), location.as_deref(), *retry_after),
        asked_with.as_ref().map(|with| format!("; asked with {with}")).unwrap_or_default()
    )]
    Status {
        status: StatusCode,
        /// What its body says, in the API's form of an error.
        words: Option<String>,
        /// What it was asked with, where that is what it refuses.
        asked_with: Option<String>,
        /// Where it redirects to.
        location: Option<String>,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// A 404 that is not in the API's JSON: a gateway, a proxy, or an address that is not the API's.
    #[error(
        "{url} answered 404 Not Found, but not with the API's JSON (check --api-url: does it end \
         in /v1?): the body {why}"
    )]
    NotTheApi { url: String, why: String },
    /// The account has no organization, so that there are no agents to ask for.
    #[error(
        "the account has no organization (asked with {0}); name one in PIPECAT_ORG, or log in again: \
         pipecat cloud auth login"
    )]
    NoOrganization(String),
    /// The list of organizations is not there.
    #[error("the list of organizations was not found; name yours in PIPECAT_ORG: {0}")]
    NoOrganizations(String),
    /// The body was cut short.
    #[error("the answer was cut short")]
    BodyCut,
    /// The body is larger than any answer of this API.
    #[error("the answer is larger than {max} bytes")]
    BodyTooLarge { max: usize },
    /// The body of a 200 is not what was asked for.
    #[error("the body is not the JSON of {}: it {why}", expected.as_str())]
    Unexpected { expected: Expected, why: String },
}

/// What the body of a 200 should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Agent,
    List,
    Logs,
    Organizations,
    Sessions,
    Session,
}

impl Expected {
    const fn as_str(self) -> &'static str {
        match self {
            Expected::Agent => "this agent",
            Expected::List => "a list of agents",
            Expected::Logs => "logs",
            Expected::Organizations => "a list of organizations",
            Expected::Sessions => "a list of sessions",
            Expected::Session => "a session",
        }
    }
}

impl From<Problem> for RequestError {
    /// The error of a request that got no answer.
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            request_id: None,
        }
    }
}

impl RequestError {
    /// What follows from it for the rollout.
    #[must_use]
    pub(crate) fn class(&self) -> FailureClass {
        match &self.problem {
            Problem::Certificate(_) | Problem::NoOrganization(_) | Problem::NoOrganizations(_) => {
                FailureClass::Refused
            }
            Problem::Status {
                status,
                retry_after,
                ..
            } => class_of(*status, *retry_after),
            Problem::Proxy(_)
            | Problem::Connect(_)
            | Problem::Transport(_)
            | Problem::Timeout(_)
            | Problem::NotTheApi { .. }
            | Problem::BodyCut
            | Problem::BodyTooLarge { .. }
            | Problem::Unexpected { .. } => FailureClass::Transient { retry_after: None },
        }
    }

    /// Whether the API said, in whichever way, that what was asked for is not to be had.
    #[must_use]
    pub(super) fn is_for_good(&self) -> bool {
        match &self.problem {
            Problem::NotTheApi { .. } | Problem::Unexpected { .. } => true,
            Problem::Status { .. } => !matches!(self.class(), FailureClass::Transient { .. }),
            _ => false,
        }
    }

    /// How the request counts in the metrics, and for the rate limiter.
    #[must_use]
    pub(crate) fn outcome(&self) -> RequestOutcome {
        match &self.problem {
            Problem::Certificate(_)
            | Problem::Proxy(_)
            | Problem::Connect(_)
            | Problem::Transport(_) => RequestOutcome::Unreachable,
            Problem::Timeout(_) => RequestOutcome::Timeout,
            Problem::Status {
                status: StatusCode::FORBIDDEN,
                retry_after: Some(_),
                ..
            } => RequestOutcome::Throttled,
            // One that holds no agent is not the usable answer that its status promises.
            Problem::Status { status, .. } if status.is_success() => RequestOutcome::Unreadable,
            Problem::Status { status, .. } => RequestOutcome::of_status(status.as_u16()),
            Problem::NoOrganizations(_) => RequestOutcome::NotFound,
            Problem::NotTheApi { .. }
            | Problem::NoOrganization(_)
            | Problem::BodyCut
            | Problem::BodyTooLarge { .. }
            | Problem::Unexpected { .. } => RequestOutcome::Unreadable,
        }
    }

    /// One word for machines.
    pub(crate) fn code(&self) -> String {
        let code = match &self.problem {
            Problem::Certificate(_) => "CertificateNotTrusted",
            Problem::Proxy(_) => "ProxyFailed",
            Problem::Connect(_) => "ConnectFailed",
            Problem::Transport(_) => "ConnectionBroke",
            Problem::Timeout(_) => "RequestTimeout",
            Problem::Status { status, .. } => return format!("Http{}", status.as_u16()),
            Problem::NotTheApi { .. } => "NotTheApi",
            Problem::NoOrganization(_) | Problem::NoOrganizations(_) => "NoOrganization",
            Problem::BodyCut => "BodyCut",
            Problem::BodyTooLarge { .. } => "BodyTooLarge",
            Problem::Unexpected { expected, .. } => match expected {
                Expected::Agent => "NotAnAgent",
                Expected::List => "NotAList",
                Expected::Logs => "NotLogs",
                Expected::Organizations => "NotOrganizations",
                Expected::Sessions => "NotSessions",
                Expected::Session => "NotASession",
            },
        };
        code.to_owned()
    }

    /// The same of a request that was not for an agent: that it was not found says nothing about one.
    pub(super) fn not_of_an_agent(self) -> Self {
        match self.problem {
            Problem::Status {
                status: StatusCode::NOT_FOUND,
                ..
            } => Self {
                problem: Problem::NoOrganizations(self.problem.to_string()),
                ..self
            },
            _ => self,
        }
    }

    /// What it teaches about the agent that was asked for: the API's own 404 says that there is none.
    #[must_use]
    pub(crate) fn into_observation(self) -> Observation {
        if let Problem::Status {
            status: StatusCode::NOT_FOUND,
            words,
            asked_with,
            ..
        } = self.problem
        {
            let with = asked_with.map(|with| format!("asked with {with}"));
            let words: Vec<String> = [words, with].into_iter().flatten().collect();
            return Observation::Absent((!words.is_empty()).then(|| one_line(&words.join("; "))));
        }
        Observation::Failed(Failure {
            class: self.class(),
            code: self.code(),
            summary: one_line(&self.to_string()),
            request_id: self.request_id,
        })
    }
}

/// What follows from a status that is not 200 (design, rule 4 and "The loop").
fn class_of(status: StatusCode, retry_after: Option<Duration>) -> FailureClass {
    match status.as_u16() {
        // A gateway that limits requests, and says so with the wrong number.
        403 if retry_after.is_some() => FailureClass::Transient { retry_after },
        401 | 403 => FailureClass::Unauthorized,
        408 | 425 | 429 => FailureClass::Transient { retry_after },
        300..500 => FailureClass::Refused,
        // A success or an interim answer that holds no agent is a server's fault, as a 5xx is.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, retry_after: Option<Duration>) -> RequestError {
        RequestError::from(Problem::Status {
            status: StatusCode::from_u16(code).unwrap(),
            words: None,
            asked_with: None,
            location: None,
            retry_after,
        })
    }

    #[test]
    fn every_status_has_its_class() {
        let mut retried = Vec::new();
        let mut unauthorized = Vec::new();
        for code in (100..=599).filter(|code| !matches!(code, 200 | 404)) {
            match status(code, None).class() {
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
    fn retry_after_goes_with_the_statuses_that_are_retried() {
        let asked = Some(Duration::from_secs(7));
        for code in [403, 408, 425, 429, 500, 502, 503] {
            let class = status(code, asked).class();
            let expected = FailureClass::Transient { retry_after: asked };
            assert_eq!(class, expected, "{code}");
        }
        assert_eq!(status(401, asked).class(), FailureClass::Unauthorized);
        assert_eq!(status(302, asked).class(), FailureClass::Refused);
    }

    #[test]
    fn every_problem_has_its_outcome_and_code() {
        let unexpected = |expected| Problem::Unexpected {
            expected,
            why: String::new(),
        };
        let word = || "why".to_owned();
        for (problem, outcome, code) in [
            (
                Problem::Certificate(word()),
                "unreachable",
                "CertificateNotTrusted",
            ),
            (Problem::Proxy(word()), "unreachable", "ProxyFailed"),
            (Problem::Connect(word()), "unreachable", "ConnectFailed"),
            (Problem::Transport(word()), "unreachable", "ConnectionBroke"),
            (Problem::Timeout(word()), "timeout", "RequestTimeout"),
            (
                Problem::NotTheApi {
                    url: word(),
                    why: word(),
                },
                "unreadable",
                "NotTheApi",
            ),
            (Problem::BodyCut, "unreadable", "BodyCut"),
            (
                Problem::BodyTooLarge { max: 1 },
                "unreadable",
                "BodyTooLarge",
            ),
            (unexpected(Expected::Agent), "unreadable", "NotAnAgent"),
            (unexpected(Expected::List), "unreadable", "NotAList"),
            (unexpected(Expected::Logs), "unreadable", "NotLogs"),
            (
                unexpected(Expected::Organizations),
                "unreadable",
                "NotOrganizations",
            ),
            (unexpected(Expected::Sessions), "unreadable", "NotSessions"),
            (unexpected(Expected::Session), "unreadable", "NotASession"),
            (
                Problem::NoOrganization(word()),
                "unreadable",
                "NoOrganization",
            ),
            (
                Problem::NoOrganizations(word()),
                "not-found",
                "NoOrganization",
            ),
        ] {
            let error = RequestError::from(problem);
            assert_eq!(error.outcome().as_str(), outcome, "{error:?}");
            assert_eq!(error.code(), code);
        }
        for (code, retry_after, outcome) in [
            (204, None, "unreadable"),
            (302, None, "refused"),
            (401, None, "unauthorized"),
            (403, None, "unauthorized"),
            (403, Some(Duration::ZERO), "throttled"),
            (404, None, "not-found"),
            (429, None, "throttled"),
            (503, Some(Duration::ZERO), "server-error"),
        ] {
            let error = status(code, retry_after);
            assert_eq!(error.outcome().as_str(), outcome, "{code}");
            assert_eq!(error.code(), format!("Http{code}"));
        }
    }
}
