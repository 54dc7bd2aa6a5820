//! The details of an agent as `GET /agents/{agentName}` tells them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lenient;
use super::mend::mended;

/// The details of one agent (`ServiceDetailsResponse` in the contract).
///
/// Fields that decide nothing and that nothing shows are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentDetails {
    /// Name of the agent.
    #[serde(deserialize_with = "lenient::option")]
    pub name: Option<String>,
    /// Region where it is deployed.
    #[serde(deserialize_with = "lenient::option")]
    pub region: Option<String>,
    /// Whether the deployment that was *reconciled last* is ready. Missing means false.
    #[serde(deserialize_with = "lenient::flag")]
    pub ready: bool,
    /// Whether the agent accepts new sessions, whichever deployment serves them.
    #[serde(deserialize_with = "lenient::option")]
    pub available: Option<bool>,
    /// When the agent's record was last changed.
    #[serde(deserialize_with = "lenient::option")]
    pub updated_at: Option<Timestamp>,
    /// The deployment that was requested.
    #[serde(deserialize_with = "lenient::id")]
    pub desired_deployment_id: Option<String>,
    /// Deprecated name of `desired_deployment_id`; see [`AgentDetails::desired`].
    #[serde(deserialize_with = "lenient::id")]
    pub active_deployment_id: Option<String>,
    /// The deployment that the operator has processed.
    #[serde(deserialize_with = "lenient::id")]
    pub reconciled_deployment_id: Option<String>,
    /// Replica bounds.
    #[serde(deserialize_with = "lenient::option")]
    pub auto_scaling: Option<AutoScaling>,
    /// Sessions under way.
    #[serde(deserialize_with = "lenient::option")]
    pub active_session_count: Option<u64>,
    /// The record of the requested deployment.
    #[serde(deserialize_with = "lenient::option")]
    pub deployment: Option<Deployment>,
    /// Resource profile.
    #[serde(deserialize_with = "lenient::option")]
    pub agent_profile: Option<String>,
    /// The latest revision of the deployment that was reconciled last.
    #[serde(deserialize_with = "lenient::option")]
    pub current_revision: Option<Revision>,
    /// The revision that is being replaced, while it lasts.
    #[serde(deserialize_with = "lenient::option")]
    pub previous_revision: Option<Revision>,
    /// Errors about the deployment. Not in the contract; the vendor's clients read it.
    #[serde(
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub errors: Vec<AgentError>,
    /// Kubernetes-like conditions. Not in the contract; the vendor's clients read it.
    #[serde(
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub conditions: Vec<Condition>,
}

impl AgentDetails {
    /// The requested deployment: `desiredDeploymentId`, else the deprecated `activeDeploymentId`.
    #[must_use]
    pub fn desired(&self) -> Option<&str> {
        self.desired_deployment_id
            .as_deref()
            .or(self.active_deployment_id.as_deref())
    }

    /// The record of the desired deployment, if the answer is about that very deployment.
    #[must_use]
    pub fn desired_deployment(&self) -> Option<&Deployment> {
        let deployment = self.deployment.as_ref()?;
        (deployment.id.as_deref() == self.desired()).then_some(deployment)
    }

    /// Reads the body of a 200 that was asked for about `name`.
    ///
    /// # Errors
    /// When the body is not JSON, not an object with an agent's features, or about another agent.
    pub fn parse(body: &[u8], name: &str) -> Result<Self, NotAnAgent> {
        // Serde would read an array as the fields in their order.
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(NotAnAgent::Unrecognisable);
        }
        let details = serde_json::from_slice(body).or_else(|error| {
            // A message that was cut within a character must not hide all else.
            let mended = mended(body).ok_or(error)?;
            serde_json::from_str(&mended)
        });
        let details: Self = details.map_err(NotAnAgent::NotJson)?;
        match details.name.as_deref() {
            Some(found) if found != name => Err(NotAnAgent::Another(found.to_owned())),
            None if details.desired().is_none() => Err(NotAnAgent::Unrecognisable),
            _ => Ok(details),
        }
    }
}

/// Why the body of a 200 is not the agent that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotAnAgent {
    /// Cut short, HTML, or otherwise no JSON object of an agent's shape.
    #[error("the body is not the JSON of an agent")]
    NotJson(#[source] serde_json::Error),
    /// An object that has neither a name nor a deployment.
    #[error("the body names neither an agent nor a deployment")]
    Unrecognisable,
    /// An agent, but not the one that was asked for.
    #[error("the body is about another agent, {0:?}")]
    Another(String),
}

/// Replica bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoScaling {
    /// Most replicas.
    #[serde(deserialize_with = "lenient::option")]
    pub max_replicas: Option<u64>,
    /// Fewest replicas; zero means that the agent scales to zero.
    #[serde(deserialize_with = "lenient::option")]
    pub min_replicas: Option<u64>,
}

/// The record of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    /// Its id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: Option<String>,
    /// What was asked for.
    #[serde(deserialize_with = "lenient::option")]
    pub manifest: Option<Manifest>,
    /// When it was made.
    #[serde(deserialize_with = "lenient::option")]
    pub created_at: Option<Timestamp>,
    /// When its record was last changed.
    #[serde(deserialize_with = "lenient::option")]
    pub updated_at: Option<Timestamp>,
}

/// The part of a deployment's manifest that is shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// The specification.
    #[serde(deserialize_with = "lenient::option")]
    pub spec: Option<ManifestSpec>,
}

/// The part of a manifest's specification that is shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManifestSpec {
    /// The container image; redacted when it comes from a build.
    #[serde(deserialize_with = "lenient::option")]
    pub image: Option<String>,
}

/// What runs a deployment (`RevisionInfo` in the contract).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Revision {
    /// The deployment that it runs. The contract spells it `deploymentID`.
    #[serde(rename = "deploymentID", deserialize_with = "lenient::id")]
    pub deployment_id: Option<String>,
    /// Where it stands.
    #[serde(deserialize_with = "lenient::option")]
    pub phase: Option<RevisionPhase>,
    /// Replicas that are ready.
    #[serde(deserialize_with = "lenient::option")]
    pub ready_replicas: Option<u64>,
    /// When the phase began, by the server's clock: for display only (design rule 11).
    #[serde(deserialize_with = "lenient::option")]
    pub phase_started_at: Option<Timestamp>,
    /// How its code fares; absent until replicas have started.
    #[serde(deserialize_with = "lenient::option")]
    pub health: Option<Health>,
    /// Set when the platform itself has a problem.
    #[serde(
        deserialize_with = "lenient::flag",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub has_infrastructure_issue: bool,
}

/// The phase of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevisionPhase {
    /// Its replicas are being made.
    Creating,
    /// Its replicas are being checked.
    Validating,
    /// It serves.
    Active,
    /// It is being replaced and finishes its sessions.
    Draining,
    /// It did not come up.
    Failed,
    /// A phase that this program does not know (design rule 10).
    #[serde(untagged)]
    Unknown(String),
}

impl RevisionPhase {
    /// The phase in the platform's word.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            RevisionPhase::Creating => "Creating",
            RevisionPhase::Validating => "Validating",
            RevisionPhase::Active => "Active",
            RevisionPhase::Draining => "Draining",
            RevisionPhase::Failed => "Failed",
            RevisionPhase::Unknown(word) => word,
        }
        .to_owned()
    }
}

/// How a revision's code fares (`RevisionHealth` in the contract).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// Whether the readiness checks pass.
    #[serde(deserialize_with = "lenient::option")]
    pub ready: Option<bool>,
    /// State of the container.
    #[serde(deserialize_with = "lenient::option")]
    pub state: Option<ContainerState>,
    /// Restarts in all, over all replicas.
    #[serde(deserialize_with = "lenient::option")]
    pub restart_count: Option<u64>,
    /// Replicas that were started.
    #[serde(deserialize_with = "lenient::option")]
    pub replicas_started: Option<u64>,
    /// Reason for the state, in Kubernetes' words.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub reason: Option<String>,
    /// Exit code of the latest crash.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_exit_code: Option<i64>,
    /// Why the code exited last.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_termination_reason: Option<String>,
    /// What the code wrote when it crashed.
    #[serde(
        deserialize_with = "lenient::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub message: Option<String>,
}

/// State of a revision's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// It runs.
    Running,
    /// It waits to be started, or to be started again.
    Waiting,
    /// It has ended.
    Terminated,
    /// A state that this program does not know (design rule 10).
    #[serde(untagged)]
    Unknown(String),
}

/// An entry of `errors`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TellingError")]
pub struct AgentError {
    /// Machine-readable code.
    pub code: Option<String>,
    /// What went wrong, in words.
    pub message: Option<String>,
}

/// The forms in which answers tell of an error.
#[derive(Deserialize)]
#[serde(untagged)]
enum TellingError {
    /// Code and words; some answers call the words `error`.
    Parts {
        #[serde(default, deserialize_with = "lenient::option")]
        code: Option<String>,
        #[serde(default, deserialize_with = "lenient::option")]
        message: Option<String>,
        #[serde(default, deserialize_with = "lenient::option")]
        error: Option<String>,
    },
    /// Words alone.
    Words(String),
}

impl From<TellingError> for AgentError {
    fn from(told: TellingError) -> Self {
        match told {
            TellingError::Parts {
                code,
                message,
                error,
            } => Self {
                code,
                message: message.or(error),
            },
            TellingError::Words(words) => Self {
                code: None,
                message: Some(words),
            },
        }
    }
}

/// An entry of `conditions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// What it speaks of, `Degraded` for example.
    #[serde(rename = "type", deserialize_with = "lenient::option")]
    pub kind: Option<String>,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "lenient::option")]
    pub status: Option<String>,
    /// Why, in one word.
    #[serde(deserialize_with = "lenient::option")]
    pub reason: Option<String>,
    /// Why, in words.
    #[serde(deserialize_with = "lenient::option")]
    pub message: Option<String>,
}

/// The body of an answer that is not a 200 (`ErrorResponse` in the contract).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// What went wrong, in words.
    #[serde(deserialize_with = "lenient::option")]
    pub error: Option<String>,
    /// Machine-readable code.
    #[serde(deserialize_with = "lenient::option")]
    pub code: Option<String>,
}

#[cfg(test)]
mod tests;
