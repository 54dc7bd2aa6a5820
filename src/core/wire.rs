//! What travels between us and the API: agent names, agent details, error bodies.
//!
//! Reading is tolerant, as design rule 10 asks: unknown fields and words pass, and a field of an
//! unexpected type counts as absent rather than spoiling the whole answer.

mod agent;
mod lenient;
mod logs;
mod mend;
mod name;
mod outcome;
mod retry_after;
mod service;

pub use agent::{
    AgentDetails, AgentError, AutoScaling, Condition, ContainerState, Deployment, ErrorBody,
    Health, Manifest, ManifestSpec, NotAnAgent, Revision, RevisionPhase,
};
pub use logs::LogPage;
pub(crate) use mend::read as read_json;
pub use name::{AgentName, BadAgentName};
pub(crate) use outcome::RequestOutcome;
pub use retry_after::retry_after;
pub use service::{NotAList, Service, parse_list};
