//! What travels between us and the API: agent names, agent details, error bodies.
//!
//! Reading is tolerant: unknown fields and words pass, and a field of an unexpected type counts as
//! missing rather than spoiling the whole answer.

mod agent;
mod json;
mod logs;
mod name;
mod organization;
mod outcome;
mod repair_json;
mod retry_after;
mod revision;
mod service;
mod sessions;

pub use agent::{
    AgentDetails, AgentError, Condition, Deployment, ErrorBody, LatestDeploy, NotAnAgent,
    OlderSessions,
};
pub use logs::LogPage;
pub use name::{AgentName, InvalidAgentName};
pub(crate) use organization::first_organization;
pub(crate) use outcome::RequestOutcome;
pub(crate) use repair_json::repair_json;
pub use retry_after::{http_date, retry_after};
pub use revision::{ContainerState, Health, Revision, RevisionPhase};
pub use service::{Service, parse_list};
pub use sessions::{SessionState, Sessions, started_session};

/// The headers of a request that only its connection knows.
pub(crate) const OWN_HEADERS: [&str; 4] =
    ["host", "content-length", "transfer-encoding", "connection"];

/// The requested deployment of an agent, by its name of today or by the deprecated one.
fn desired(agent: &json::Object<'_>) -> Option<String> {
    let id = agent.deployment_id("desiredDeploymentId");
    id.or_else(|| agent.deployment_id("activeDeploymentId"))
}

/// The deployment that an entry is about. The contract spells it in two ways.
fn deployment_of(entry: &json::Object<'_>) -> Option<String> {
    let id = entry.deployment_id("deploymentID");
    id.or_else(|| entry.deployment_id("deploymentId"))
}
