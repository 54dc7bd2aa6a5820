//! The details of an agent as `GET /agents/{agentName}` tells them.

use jiff::Timestamp;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Serialize};

use super::lenient::{self, Lenient, Maybe, Object};
use super::mend;

/// The details of one agent (`ServiceDetailsResponse` in the contract).
///
/// Fields that decide nothing and that nothing shows are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentDetails {
    /// Name of the agent.
    #[serde(deserialize_with = "lenient::id")]
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

impl Object for AgentDetails {}
impl Object for AutoScaling {}
impl Object for Deployment {}
impl Object for Manifest {}
impl Object for ManifestSpec {}
impl Object for Health {}
impl Object for Condition {}
impl Object for ErrorBody {}

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
        let read: Maybe<Self> = mend::read(body).map_err(NotAnAgent::NotJson)?;
        let details = read.0.ok_or(NotAnAgent::Unrecognisable)?;
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
    /// No object, or one that has neither a name nor a deployment.
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
#[serde(rename_all = "camelCase", from = "ToldRevision")]
pub struct Revision {
    /// The deployment that it runs. The contract spells it `deploymentID`.
    #[serde(rename = "deploymentID")]
    pub deployment_id: Option<String>,
    /// Where it stands.
    pub phase: Option<RevisionPhase>,
    /// Replicas that are ready.
    pub ready_replicas: Option<u64>,
    /// When the phase began, by the server's clock: for display only (design rule 11).
    pub phase_started_at: Option<Timestamp>,
    /// How its code fares; absent until replicas have started.
    pub health: Option<Health>,
    /// Set when the platform itself has a problem.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_infrastructure_issue: bool,
}

/// A revision as it is told: its deployment in the contract's spelling, or as everywhere else.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ToldRevision {
    #[serde(rename = "deploymentID", deserialize_with = "lenient::id")]
    of_contract: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    deployment_id: Option<String>,
    #[serde(deserialize_with = "lenient::option")]
    phase: Option<RevisionPhase>,
    #[serde(deserialize_with = "lenient::option")]
    ready_replicas: Option<u64>,
    #[serde(deserialize_with = "lenient::option")]
    phase_started_at: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::option")]
    health: Option<Health>,
    #[serde(deserialize_with = "lenient::flag")]
    has_infrastructure_issue: bool,
}

impl From<ToldRevision> for Revision {
    fn from(told: ToldRevision) -> Self {
        Self {
            deployment_id: told.of_contract.or(told.deployment_id),
            phase: told.phase,
            ready_replicas: told.ready_replicas,
            phase_started_at: told.phase_started_at,
            health: told.health,
            has_infrastructure_issue: told.has_infrastructure_issue,
        }
    }
}

impl Lenient for Revision {
    /// A revision without a field is none: some writers leave `{}` for what is gone.
    fn of_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        lenient::unless_empty(object)
    }
}

/// The phase of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    const KNOWN: [Self; 5] = [
        Self::Creating,
        Self::Validating,
        Self::Active,
        Self::Draining,
        Self::Failed,
    ];

    /// The phase that a word names, in whichever case.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        let named = Self::KNOWN
            .into_iter()
            .find(|phase| phase.as_str().eq_ignore_ascii_case(word));
        named.unwrap_or_else(|| Self::Unknown(word.to_owned()))
    }

    /// The phase in the platform's word.
    #[must_use]
    pub fn word(&self) -> String {
        self.as_str().to_owned()
    }

    fn as_str(&self) -> &str {
        match self {
            RevisionPhase::Creating => "Creating",
            RevisionPhase::Validating => "Validating",
            RevisionPhase::Active => "Active",
            RevisionPhase::Draining => "Draining",
            RevisionPhase::Failed => "Failed",
            RevisionPhase::Unknown(word) => word,
        }
    }
}

impl Lenient for RevisionPhase {
    fn of_text(text: &str) -> Option<Self> {
        Some(Self::of_word(text))
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

impl Lenient for ContainerState {
    fn of_text(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "running" => Self::Running,
            "waiting" => Self::Waiting,
            "terminated" => Self::Terminated,
            _ => Self::Unknown(text.to_owned()),
        })
    }
}

/// An entry of `errors`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "ToldError")]
pub struct AgentError {
    /// Machine-readable code.
    pub code: Option<String>,
    /// What went wrong, in words.
    pub message: Option<String>,
    /// The deployment that it is about, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
}

/// An error as it is told: some answers call the words `error`, and spell the deployment as in a
/// revision.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ToldError {
    #[serde(deserialize_with = "lenient::option")]
    code: Option<String>,
    #[serde(deserialize_with = "lenient::option")]
    message: Option<String>,
    #[serde(deserialize_with = "lenient::option")]
    error: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    deployment_id: Option<String>,
    #[serde(rename = "deploymentID", deserialize_with = "lenient::id")]
    of_revision: Option<String>,
}

impl From<ToldError> for AgentError {
    fn from(told: ToldError) -> Self {
        Self {
            code: told.code,
            message: told.message.or(told.error),
            deployment_id: told.deployment_id.or(told.of_revision),
        }
    }
}

impl Lenient for AgentError {
    /// Words alone.
    fn of_text(text: &str) -> Option<Self> {
        let message = (!text.is_empty()).then(|| text.to_owned())?;
        Some(Self {
            message: Some(message),
            ..Self::default()
        })
    }

    fn of_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
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

impl ErrorBody {
    /// Reads the body; one that is no such object says nothing.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        mend::read::<Maybe<Self>>(body).ok()?.0
    }
}

#[cfg(test)]
mod tests;
