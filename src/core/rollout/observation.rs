//! What one poll taught us.

use std::time::Duration;

use jiff::Timestamp;

use super::verdict::Verdict;
use crate::core::wire::AgentDetails;

/// How a poll reaches the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// By a connection that is kept alive: the quickest way.
    Pooled,
    /// By a connection of its own, so that a balancer may choose another replica: what confirms an
    /// answer should not come from the same one (rule 4).
    Fresh,
}

/// What one poll taught us.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// The agent's details.
    Details {
        /// What the API said.
        details: Box<AgentDetails>,
        /// The server's clock at that time (its Date header), to compare with its own timestamps.
        server_time: Option<Timestamp>,
    },
    /// The API's own 404: there is no such agent, and the API's words for it.
    Absent(Option<String>),
    /// No usable answer.
    Failed(Failure),
}

/// A poll that brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What follows from it.
    pub class: FailureClass,
    /// One word for machines, `Http502` for example.
    pub code: String,
    /// One line for people.
    pub summary: String,
    /// `X-Request-Id` of the answer, where there was one: visible ASCII, at most 128 characters.
    pub request_id: Option<String>,
}

/// What follows from a failed poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// Worth another try, at the earliest after this long where the server asked for it.
    Transient {
        /// The server's Retry-After, as a delay from the answer on.
        retry_after: Option<Duration>,
    },
    /// 401, or 403 without a Retry-After: decides once it is confirmed.
    Unauthorized,
    /// A redirect, another 4xx, an untrusted certificate: decides once it is confirmed.
    Refused,
}

impl FailureClass {
    /// How it is judged that the API gives no usable answer for this reason.
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Unauthorized => Verdict::Unauthorized,
            Self::Transient { .. } | Self::Refused => Verdict::Unavailable,
        }
    }
}
