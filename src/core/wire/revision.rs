//! The revisions of an agent: what runs a deployment, in which phase it is, and how its code fares.

use jiff::Timestamp;
use serde_json::Result;

use super::deployment_of;
use super::json::Object;

/// What runs a deployment (`RevisionInfo` in the contract).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Revision {
    /// The deployment that it runs.
    pub deployment_id: Option<String>,
    /// How far it has come.
    pub phase: Option<RevisionPhase>,
    /// Replicas that are ready.
    pub ready_replicas: Option<u64>,
    /// When its phase began, by the server's clock.
    pub phase_started_at: Option<Timestamp>,
    /// How its code fares; absent until replicas have started.
    pub health: Option<Health>,
    /// Set when the platform itself has a problem.
    pub has_infrastructure_issue: bool,
}

impl Revision {
    pub(super) fn read(revision: &Object<'_>) -> Result<Self> {
        Ok(Self {
            deployment_id: deployment_of(revision),
            phase: revision.text("phase").map(|word| word.as_str().into()),
            ready_replicas: revision.integer("readyReplicas"),
            phase_started_at: revision.time("phaseStartedAt"),
            health: revision.nested("health")?.as_ref().map(Health::read),
            has_infrastructure_issue: revision.flag("hasInfrastructureIssue").unwrap_or(false),
        })
    }
}

/// The phase of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A phase that this program does not know.
    Unknown(String),
}

impl RevisionPhase {
    /// The phase in the platform's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Creating => "Creating",
            Self::Validating => "Validating",
            Self::Active => "Active",
            Self::Draining => "Draining",
            Self::Failed => "Failed",
            Self::Unknown(word) => word,
        }
    }
}

impl From<&str> for RevisionPhase {
    /// The phase that a word names, in whichever case.
    fn from(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "creating" => Self::Creating,
            "validating" => Self::Validating,
            "active" => Self::Active,
            "draining" => Self::Draining,
            "failed" => Self::Failed,
            _ => Self::Unknown(word.to_owned()),
        }
    }
}

/// How a revision's code fares (`RevisionHealth` in the contract).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// State of the container.
    pub state: Option<ContainerState>,
    /// Restarts in all, over all replicas.
    pub restart_count: Option<u64>,
    /// Replicas that were started.
    pub replicas_started: Option<u64>,
    /// Reason for the state, in Kubernetes' words.
    pub reason: Option<String>,
    /// Exit code of the latest crash.
    pub last_exit_code: Option<i64>,
    /// Why the code exited last.
    pub last_termination_reason: Option<String>,
    /// What the code wrote when it crashed.
    pub message: Option<String>,
    /// One line for customers. Not in the contract; the vendor's clients read it.
    pub headline: Option<String>,
}

impl Health {
    fn read(health: &Object<'_>) -> Self {
        Self {
            state: health.text("state").map(|word| word.as_str().into()),
            restart_count: health.integer("restartCount"),
            replicas_started: health.integer("replicasStarted"),
            reason: health.text("reason"),
            last_exit_code: health.integer("lastExitCode"),
            last_termination_reason: health.text("lastTerminationReason"),
            message: health.text("message"),
            headline: health.text("headline"),
        }
    }

    /// Started replicas, at least one: a restart count without a replica count is one replica's.
    pub(crate) fn replicas(&self) -> u64 {
        self.replicas_started.unwrap_or(1).max(1)
    }
}

/// State of a revision's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// It runs.
    Running,
    /// It waits to be started, or to be started again.
    Waiting,
    /// It has ended.
    Terminated,
    /// A state that this program does not know.
    Unknown(String),
}

impl From<&str> for ContainerState {
    /// The state that a word names, in whichever case.
    fn from(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "running" => Self::Running,
            "waiting" => Self::Waiting,
            "terminated" => Self::Terminated,
            _ => Self::Unknown(word.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::json;

    fn read(body: &str) -> Option<Revision> {
        let read = |agent: &Object<'_>| {
            let revision = agent.nested("currentRevision")?;
            revision.as_ref().map(Revision::read).transpose()
        };
        json::parse(format!("{{\"currentRevision\": {body}}}").as_bytes(), read).unwrap()
    }

    #[test]
    fn a_revision_without_fields_is_none() {
        for body in ["{}", "null", "\"gone\"", "[]"] {
            assert_eq!(read(body), None, "{body}");
        }
        for body in [r#"{"id": "old", "replicas": 2}"#, r#"{"deploymentID": 7}"#] {
            assert_eq!(read(body), Some(Revision::default()), "{body}");
        }
    }

    #[test]
    fn the_deployment_of_a_revision_is_read_in_either_spelling() {
        for (body, expected) in [
            (r#"{"deploymentID": "X"}"#, Some("x")),
            (r#"{"deploymentId": "X"}"#, Some("x")),
            (r#"{"deploymentId": "y", "deploymentID": "x"}"#, Some("x")),
            (r#"{"deploymentId": "x", "deploymentID": ""}"#, Some("x")),
            (r#"{"phase": "Active"}"#, None),
        ] {
            let id = read(body).unwrap().deployment_id;
            assert_eq!(id.as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn phases_and_states_are_known_in_any_case() {
        for (word, phase) in [
            ("ACTIVE", RevisionPhase::Active),
            ("failed", RevisionPhase::Failed),
            ("Creating", RevisionPhase::Creating),
            ("validating", RevisionPhase::Validating),
            ("dRAINING", RevisionPhase::Draining),
        ] {
            assert_eq!(RevisionPhase::from(word), phase);
            assert!(phase.as_str().eq_ignore_ascii_case(word), "{word}");
        }
        let unknown = RevisionPhase::from("Active ");
        assert_eq!(unknown, RevisionPhase::Unknown("Active ".to_owned()));
        assert_eq!(unknown.as_str(), "Active ");
        for (word, state) in [
            ("Running", ContainerState::Running),
            ("WAITING", ContainerState::Waiting),
            ("terminated", ContainerState::Terminated),
            ("Flying", ContainerState::Unknown("Flying".to_owned())),
        ] {
            assert_eq!(ContainerState::from(word), state);
        }
    }
}
