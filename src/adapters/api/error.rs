//! What can go wrong with a request, and what follows from it.

use std::time::Duration;

use reqwest::StatusCode;

use crate::core::rollout::{Failure, FailureClass, Observation};
use crate::core::text::{one_line, short_duration};
use crate::core::wire::RequestOutcome;

/// Why a request brought no usable answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RequestError {
    pub(super) message: String,
    /// One word for machines.
    pub(crate) code: String,
    /// What follows from it for the rollout.
    pub(crate) class: FailureClass,
    /// How the request counts in the metrics, and for the rate limiter.
    pub(crate) outcome: RequestOutcome,
    /// Whether the API said, in whichever way, that what was asked for is not to be had.
    pub(super) is_for_good: bool,
    /// The API's own 404, and what it says.
    pub(super) absent: Option<Vec<String>>,
    /// `X-Request-Id` of the answer, where there was one.
    pub(super) request_id: Option<String>,
}

/// An answer of the API, or of something before it, that is not a 200.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// What its body says, in the API's form of an error.
    pub(super) words: Option<String>,
    /// What it was asked with, where that is what it refuses.
    pub(super) asked_with: Option<String>,
    /// Where it redirects to.
    pub(super) location: Option<String>,
    /// How long the server asks us to wait.
    pub(super) retry_after: Option<Duration>,
}

impl RequestError {
    /// One after which the same may be asked again.
    pub(super) fn new(outcome: RequestOutcome, code: &str, message: String) -> Self {
        Self {
            message,
            code: code.to_owned(),
            class: FailureClass::Transient { retry_after: None },
            outcome,
            is_for_good: false,
            absent: None,
            request_id: None,
        }
    }

    /// There was no answer.
    pub(super) fn unreachable(code: &str, message: String) -> Self {
        Self::new(RequestOutcome::Unreachable, code, message)
    }

    /// The body was cut short, or is larger than any answer of this API.
    pub(super) fn unreadable(code: &str, message: String) -> Self {
        Self::new(RequestOutcome::Unreadable, code, message)
    }

    /// A 404 that is not in the API's JSON: a gateway, a proxy, or an address that is not the API's.
    pub(super) fn not_the_api(url: &str, why: &str) -> Self {
        let message = format!(
            "{url} answered 404 Not Found, but not with the API's JSON (check --api-url: does it end in /v1?): \
             the body {why}"
        );
        Self {
            is_for_good: true,
            ..Self::unreadable("NotTheApi", message)
        }
    }

    /// The body of a 200 is not what was asked for.
    pub(super) fn unexpected((what, code): Expected, why: &str) -> Self {
        let message = format!("the body is not the JSON of {what}: it {why}");
        Self {
            is_for_good: true,
            ..Self::unreadable(code, message)
        }
    }

    /// The account has no organization, so that there are no agents to ask for.
    pub(super) fn no_organization(credentials: &str) -> Self {
        let message = format!(
            "the account has no organization (asked with {credentials}); name one in PIPECAT_ORG, or log in again: \
             pipecat cloud auth login"
        );
        Self::unreadable("NoOrganization", message).refused()
    }

    pub(super) fn of_status(refusal: Refusal) -> Self {
        let (status, retry_after) = (refusal.status, refusal.retry_after);
        let class = class_of(status, retry_after);
        let message = status_words(&refusal);
        let with = refusal.asked_with;
        let with = with.map(|with| format!("asked with {with}"));
        let outcome = match status {
            StatusCode::FORBIDDEN if retry_after.is_some() => RequestOutcome::Throttled,
            // One that holds no agent is not the usable answer that its status promises.
            _ if status.is_success() => RequestOutcome::Unreadable,
            _ => RequestOutcome::of_status(status.as_u16()),
        };
        let parts = [Some(message), with.clone()].into_iter().flatten();
        let message = parts.collect::<Vec<_>>().join("; ");
        Self {
            class,
            is_for_good: !matches!(class, FailureClass::Transient { .. }),
            absent: (status == StatusCode::NOT_FOUND)
                .then(|| [refusal.words, with].into_iter().flatten().collect()),
            ..Self::new(outcome, &format!("Http{}", status.as_u16()), message)
        }
    }

    /// The same where it is no use to ask again.
    pub(super) fn refused(self) -> Self {
        Self {
            class: FailureClass::Refused,
            ..self
        }
    }

    /// The same of a request that was not for an agent: that it was not found says nothing about one.
    pub(super) fn not_of_an_agent(self) -> Self {
        if self.absent.is_none() {
            return self;
        }
        Self {
            message: format!(
                "the list of organizations was not found; name yours in PIPECAT_ORG: {}",
                self.message
            ),
            code: "NoOrganization".to_owned(),
            absent: None,
            ..self
        }
        .refused()
    }

    /// What it teaches about the agent that was asked for: the API's own 404 says that there is none.
    pub(crate) fn into_observation(self) -> Observation {
        if let Some(words) = self.absent {
            return Observation::Absent((!words.is_empty()).then(|| one_line(&words.join("; "))));
        }
        Observation::Failed(Failure {
            class: self.class,
            code: self.code,
            summary: one_line(&self.message),
            request_id: self.request_id,
        })
    }
}

/// What the body of a 200 should be, in words, and the code of an error where it is not.
pub(super) type Expected = (&'static str, &'static str);
pub(super) const AGENT: Expected = ("this agent", "NotAnAgent");
pub(super) const LIST: Expected = ("a list of agents", "NotAList");
pub(super) const LOGS: Expected = ("logs", "NotLogs");
pub(super) const ORGANIZATIONS: Expected = ("a list of organizations", "NotOrganizations");
pub(super) const SESSIONS: Expected = ("a list of sessions", "NotSessions");
pub(super) const SESSION: Expected = ("a session", "NotASession");

/// What follows from a status that is not 200 (rule 4 of `core::rollout`).
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

fn status_words(refusal: &Refusal) -> String {
    let status = refusal.status;
    let redirect = status.is_redirection().then(|| match &refusal.location {
        Some(location) => format!(", a redirect to {location}, which is not followed"),
        None => ", a redirect, which is not followed".to_owned(),
    });
    let pause = refusal.retry_after.map(short_duration);
    let pause = pause.map(|pause| format!(", and asks for a pause of {pause}"));
    let words = refusal.words.as_ref().map(|words| format!(": {words}"));
    let more = [redirect, pause, words].into_iter().flatten();
    format!("the API answered {status}{}", more.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, retry_after: Option<Duration>) -> RequestError {
        RequestError::of_status(Refusal {
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
            match status(code, None).class {
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
            let class = status(code, asked).class;
            let expected = FailureClass::Transient { retry_after: asked };
            assert_eq!(class, expected, "{code}");
        }
        assert_eq!(status(401, asked).class, FailureClass::Unauthorized);
        assert_eq!(status(302, asked).class, FailureClass::Refused);
    }

    #[test]
    fn every_status_has_its_outcome_and_code() {
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
            assert_eq!(error.outcome.as_str(), outcome, "{code}");
            assert_eq!(error.code, format!("Http{code}"));
        }
    }
}
