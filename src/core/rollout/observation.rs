//! What one poll taught us.

use std::time::Duration;

use jiff::Timestamp;

use crate::core::wire::AgentDetails;

/// What one poll taught us.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// The agent's details.
    Details {
        /// What the API said.
        details: Box<AgentDetails>,
        /// The server's clock when it said it (its Date header); for display only.
        server_time: Option<Timestamp>,
    },
    /// A 404: there is no such agent, in what words the API said so.
    Absent(Option<String>),
    /// No usable answer.
    Failed(Failure),
}

/// Which connection a poll goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A kept-alive connection from the pool.
    Pooled,
    /// A connection of its own: a balancer then reaches other replicas.
    Fresh,
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
    /// `X-Request-Id` of the answer, where there was one.
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
    /// 401 or 403: decides once it is confirmed.
    Unauthorized,
    /// A redirect, another 4xx, an untrusted certificate: decides once it is confirmed.
    Refused,
}
