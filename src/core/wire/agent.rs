//! The details of an agent, as `GET /agents/{agentName}` answers.

use jiff::Timestamp;
use serde_json::Result;
use serde_json::value::RawValue;

use super::json::{self, Object, Record};
use super::revision::Revision;
use super::{deployment_of, desired};

/// The details of one agent (`ServiceDetailsResponse` in the contract), as far as they are read.
///
/// The ids of deployments are in lower case, here and below.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentDetails {
    /// Name of the agent.
    pub name: Option<String>,
    /// Region where it is deployed.
    pub region: Option<String>,
    /// Whether the deployment that was *reconciled last* is ready. Missing means false.
    pub ready: bool,
    /// Whether the agent accepts new sessions, whichever deployment serves them.
    pub available: Option<bool>,
    /// When the agent was created.
    pub created_at: Option<Timestamp>,
    /// When the agent's record was last changed.
    pub updated_at: Option<Timestamp>,
    /// The deployment that was requested: `desiredDeploymentId`, else the deprecated
    /// `activeDeploymentId`.
    pub desired_deployment_id: Option<String>,
    /// The deployment that the operator has processed.
    pub reconciled_deployment_id: Option<String>,
    /// Fewest replicas (`autoScaling.minReplicas`); zero means that the agent scales to zero.
    pub min_replicas: Option<u64>,
    /// Sessions under way.
    pub active_session_count: Option<u64>,
    /// The record of the requested deployment.
    pub deployment: Option<Deployment>,
    /// The latest revision of the deployment that was reconciled last.
    pub current_revision: Option<Revision>,
    /// The revision that is being replaced, while it lasts.
    pub previous_revision: Option<Revision>,
    /// Errors about the deployment. Not in the contract; the vendor's clients read them.
    pub errors: Vec<AgentError>,
    /// Kubernetes-like conditions. Not in the contract; the vendor's clients read them.
    pub conditions: Vec<Condition>,
    /// The commit that is deployed (`deployedCommit.sha`), of an agent that deploys on a push.
    pub deployed_commit: Option<String>,
    /// The latest deploy on a push, which begins with a build, before there is any deployment.
    pub latest_deploy: Option<LatestDeploy>,
    /// Whether the agent deploys on a push (`git.autoDeploy`).
    pub auto_deploy: Option<bool>,
    /// Sessions that other deployments than the desired one serve. No field of the details: who waits for
    /// their end asks for it beside them. None where the platform does not say.
    pub older_sessions: Option<OlderSessions>,
}

/// Sessions that other deployments than the desired one serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderSessions {
    /// So many.
    Count(u64),
    /// The platform says it, but did not say it now, or not of all of them.
    Unknown,
}

impl AgentDetails {
    /// The requested deployment.
    #[must_use]
    pub fn desired(&self) -> Option<&str> {
        self.desired_deployment_id.as_deref()
    }

    /// The record of the desired deployment, if the answer is about that very deployment.
    #[must_use]
    pub fn desired_deployment(&self) -> Option<&Deployment> {
        let deployment = self.deployment.as_ref()?;
        (deployment.id.as_deref() == self.desired()).then_some(deployment)
    }

    /// Reads the body of a 200 that was asked for about `name`. Who asks with the login of the vendor's
    /// CLI gets the details in `body`.
    ///
    /// # Errors
    /// When the body is not JSON, not an object with an agent's features, or about another agent.
    pub fn parse(body: &[u8], name: &str) -> std::result::Result<Self, NotAnAgent> {
        let read = |answer: &Object<'_>| match answer.nested("body")? {
            Some(details) if !answer.has("name") => Self::read(&details),
            _ => Self::read(answer),
        };
        let details = json::parse(body, read).map_err(NotAnAgent::NotJson)?;
        match details.name.as_deref() {
            Some(found) if found != name => Err(NotAnAgent::Another(found.to_owned())),
            None if details.desired().is_none() => Err(NotAnAgent::Unrecognisable),
            _ => Ok(details),
        }
    }

    fn read(agent: &Object<'_>) -> Result<Self> {
        Ok(Self {
            name: agent.text("name"),
            region: agent.text("region"),
            ready: agent.flag("ready").unwrap_or(false),
            available: agent.flag("available"),
            created_at: agent.time("createdAt"),
            updated_at: agent.time("updatedAt"),
            desired_deployment_id: desired(agent),
            reconciled_deployment_id: agent.deployment_id("reconciledDeploymentId"),
            min_replicas: agent.object("autoScaling")?.integer("minReplicas"),
            active_session_count: agent.integer("activeSessionCount"),
            deployment: agent.record("deployment")?,
            current_revision: agent.record("currentRevision")?,
            previous_revision: agent.record("previousRevision")?,
            errors: agent.list("errors", AgentError::read)?,
            conditions: agent.list("conditions", Condition::read)?,
            deployed_commit: agent.object("deployedCommit")?.text("sha"),
            latest_deploy: agent.record("latestDeploy")?,
            auto_deploy: agent.object("git")?.flag("autoDeploy"),
            older_sessions: None,
        })
    }
}

/// Why the body of a 200 is not the agent that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotAnAgent {
    /// Cut short, HTML, or JSON that contradicts itself.
    #[error("the body cannot be read as JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// No object, or one that has neither a name nor a deployment.
    #[error("the body names neither an agent nor a deployment")]
    Unrecognisable,
    /// An agent, but not the one that was asked for.
    #[error("the body is about another agent, {0:?}")]
    Another(String),
}

/// The record of a deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deployment {
    /// Its id.
    pub id: Option<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When its record was last changed.
    pub updated_at: Option<Timestamp>,
    /// The container image (`manifest.spec.image`); redacted when it comes from a build.
    pub image: Option<String>,
}

impl Record for Deployment {
    fn read(deployment: &Object<'_>) -> Result<Self> {
        let spec = deployment.object("manifest")?.object("spec")?;
        Ok(Self {
            id: deployment.deployment_id("id"),
            created_at: deployment.time("createdAt"),
            updated_at: deployment.time("updatedAt"),
            image: spec.text("image"),
        })
    }
}

/// A deploy on a push to GitHub. Not in the contract; the vendor's clients read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatestDeploy {
    /// Its own id, which is not that of a deployment.
    pub id: Option<String>,
    /// `pending`, `building`, `deploying`, `succeeded`, `failed`, `cancelled` or another word, in
    /// lower case.
    pub status: Option<String>,
    /// The commit that is deployed.
    pub commit_sha: Option<String>,
    /// Why it ended as it did, in words.
    pub reason: Option<String>,
}

impl Record for LatestDeploy {
    fn read(deploy: &Object<'_>) -> Result<Self> {
        Ok(Self {
            id: deploy.text("id"),
            status: deploy.text("status").map(|word| word.to_ascii_lowercase()),
            commit_sha: deploy.text("commitSha"),
            reason: deploy.text("reason"),
        })
    }
}

/// An entry of `errors`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentError {
    /// Machine-readable code.
    pub code: Option<String>,
    /// What went wrong, in words.
    pub message: Option<String>,
    /// The deployment that it is about, where it says so.
    pub deployment_id: Option<String>,
}

impl AgentError {
    /// An object, or words alone.
    fn read(item: &RawValue) -> Result<Option<Self>> {
        let words = json::text(item);
        let object = Object::of(item)?;
        let is_error = words.is_some() || object.is_some();
        let error = object.unwrap_or_default();
        let message = words.or_else(|| error.text("message"));
        Ok(is_error.then(|| Self {
            code: error.text("code"),
            message: message.or_else(|| error.text("error")),
            deployment_id: deployment_of(&error),
        }))
    }
}

/// An entry of `conditions`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Condition {
    /// What it speaks of (`type`), `Degraded` for example.
    pub kind: Option<String>,
    /// `True`, `False` or `Unknown`.
    pub status: Option<String>,
    /// Why, in one word.
    pub reason: Option<String>,
    /// Why, in words.
    pub message: Option<String>,
}

impl Condition {
    fn read(item: &RawValue) -> Result<Option<Self>> {
        Ok(Object::of(item)?.map(|condition| Self {
            kind: condition.text("type"),
            status: condition.text("status"),
            reason: condition.text("reason"),
            message: condition.text("message"),
        }))
    }
}

/// The body of an answer that is not a 200 (`ErrorResponse` in the contract).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ErrorBody {
    /// What went wrong, in words.
    pub error: Option<String>,
    /// Machine-readable code.
    pub code: Option<String>,
    /// Whether it has the API's fields, be they empty, and none of other servers: gateways and web frameworks
    /// write errors in JSON, too.
    is_of_the_api: bool,
}

impl ErrorBody {
    /// Whether the API has written it, and nobody in front of it.
    #[must_use]
    pub fn is_of_the_api(&self) -> bool {
        self.is_of_the_api
    }

    /// Reads the body, if it is JSON.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        const OWN: [&str; 2] = ["error", "code"];
        const FOREIGN: [&str; 4] = ["path", "status", "statusCode", "timestamp"];
        let read = |body: &Object<'_>| {
            let has_own = OWN.iter().any(|key| body.word::<String>(key).is_some());
            Ok(Self {
                error: body.text("error"),
                code: body.text("code"),
                is_of_the_api: has_own && !FOREIGN.iter().any(|key| body.has(key)),
            })
        };
        json::parse(body, read).ok()
    }
}

#[cfg(test)]
mod tests;
