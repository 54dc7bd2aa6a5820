//! The revisions of an agent: what runs a deployment, in which phase it is, and how its code fares.

use jiff::Timestamp;
use serde_json::Result;
use strum::{Display, EnumString};

use super::deployment_of;
use super::json::{Object, Record};

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

impl Record for Revision {
    fn read(revision: &Object<'_>) -> Result<Self> {
        Ok(Self {
            deployment_id: deployment_of(revision),
            phase: revision.word("phase"),
            ready_replicas: revision.integer("readyReplicas"),
            phase_started_at: revision.time("phaseStartedAt"),
            health: revision.record("health")?,
            has_infrastructure_issue: revision.flag("hasInfrastructureIssue").unwrap_or(false),
        })
    }
}

/// The phase of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Display, EnumString)]
#[strum(ascii_case_insensitive)]
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
    #[strum(default)]
    Unknown(String),
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

impl Record for Health {
    fn read(health: &Object<'_>) -> Result<Self> {
        Ok(Self {
            state: health.word("state"),
            restart_count: health.integer("restartCount"),
            replicas_started: health.integer("replicasStarted"),
            reason: health.text("reason"),
            last_exit_code: health.integer("lastExitCode"),
            last_termination_reason: health.text("lastTerminationReason"),
            message: health.text("message"),
            headline: health.text("headline"),
        })
    }
}

impl Health {
    /// Started replicas, at least one: a restart count without a replica count is one replica's.
    pub(crate) fn replicas(&self) -> u64 {
        self.replicas_started.unwrap_or(1).max(1)
    }
}

/// State of a revision's container.
#[derive(Debug, Clone, PartialEq, Eq, EnumString)]
#[strum(ascii_case_insensitive)]
pub enum ContainerState {
    /// It runs.
    Running,
    /// It waits to be started, or to be started again.
    Waiting,
    /// It has ended.
    Terminated,
    /// A state that this program does not know.
    #[strum(default)]
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::json;

    fn read(body: &str) -> Option<Revision> {
        let read = |agent: &Object<'_>| agent.record("currentRevision");
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
            assert_eq!(word.parse(), Ok(phase.clone()));
            assert!(phase.to_string().eq_ignore_ascii_case(word), "{word}");
        }
        let unknown: RevisionPhase = "Active ".parse().unwrap();
        assert_eq!(unknown, RevisionPhase::Unknown("Active ".to_owned()));
        assert_eq!(unknown.to_string(), "Active ");
        for (word, state) in [
            ("Running", ContainerState::Running),
            ("WAITING", ContainerState::Waiting),
            ("terminated", ContainerState::Terminated),
            ("Flying", ContainerState::Unknown("Flying".to_owned())),
        ] {
            assert_eq!(word.parse(), Ok(state));
        }
    }
}
