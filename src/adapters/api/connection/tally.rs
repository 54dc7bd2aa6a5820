//! Under which word an answer of the API is counted.

use crate::adapters::api::RequestError;

use crate::core::rollout::Observation;
use crate::core::wire::RequestOutcome;

/// The word for a poll.
pub(super) fn of_observation(observation: &Observation) -> RequestOutcome {
    match observation {
        Observation::Details { .. } => RequestOutcome::Ok,
        Observation::Absent(_) => RequestOutcome::NotFound,
        Observation::Failed(failure) => of_code(&failure.code),
    }
}

/// The word for any other request.
pub(super) fn of_answer<T>(answer: &Result<T, RequestError>) -> RequestOutcome {
    match answer {
        Ok(_) => RequestOutcome::Ok,
        Err(error) => of_code(&error.code()),
    }
}

/// The word for an error's code.
fn of_code(code: &str) -> RequestOutcome {
    let status = code.strip_prefix("Http").and_then(|code| code.parse().ok());
    match (status, code) {
        (Some(status), _) => RequestOutcome::of_status(status),
        (None, "RequestTimeout") => RequestOutcome::Timeout,
        (None, "BodyCut" | "BodyTooLarge" | "NotAnAgent" | "NotAList") => {
            RequestOutcome::Unreadable
        }
        (None, _) => RequestOutcome::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::wire::parse_list;

    #[test]
    fn every_error_has_its_word() {
        let errors = [
            (
                RequestError::Timeout {
                    limit: Duration::from_secs(1),
                },
                RequestOutcome::Timeout,
            ),
            (
                RequestError::BodyTooLarge { most: 1 },
                RequestOutcome::Unreadable,
            ),
            (
                RequestError::NotAList(parse_list(b"x").unwrap_err()),
                RequestOutcome::Unreadable,
            ),
        ];
        for (error, word) in errors {
            assert_eq!(of_answer::<()>(&Err(error)), word);
        }
        for (code, word) in [
            ("Http401", RequestOutcome::Unauthorized),
            ("Http429", RequestOutcome::Throttled),
            ("Http503", RequestOutcome::ServerError),
            ("Http302", RequestOutcome::Refused),
            // An answer of 200 counts as one only when it could be read.
            ("BodyCut", RequestOutcome::Unreadable),
            ("NotAnAgent", RequestOutcome::Unreadable),
            ("ConnectFailed", RequestOutcome::Unreachable),
            ("ConnectionBroke", RequestOutcome::Unreachable),
            ("CertificateNotTrusted", RequestOutcome::Unreachable),
        ] {
            assert_eq!(of_code(code), word, "{code}");
        }
        assert_eq!(of_answer(&Ok(())), RequestOutcome::Ok);
        let absent = Observation::Absent(None);
        assert_eq!(of_observation(&absent), RequestOutcome::NotFound);
    }
}
