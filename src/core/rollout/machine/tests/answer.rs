//! Literal answers of the API, built up in the rules' own words.

use super::*;

/// An answer in the making.
#[derive(Clone)]
pub(super) struct Answer(pub(super) AgentDetails);

/// `desired` is requested, `reconciled` is processed.
pub(super) fn ids(desired: &str, reconciled: &str) -> Answer {
    Answer(AgentDetails {
        desired_deployment_id: Some(desired.to_owned()),
        reconciled_deployment_id: Some(reconciled.to_owned()),
        ..AgentDetails::default()
    })
}

/// `new` is desired, and `old` is what was processed last.
pub(super) fn reconciling() -> Answer {
    ids("new", "old")
}

/// `new` is desired and processed.
pub(super) fn reconciled() -> Answer {
    ids("new", "new")
}

impl Answer {
    pub(super) fn with(mut self, change: impl FnOnce(&mut AgentDetails)) -> Self {
        change(&mut self.0);
        self
    }

    pub(super) fn ready(self) -> Self {
        self.with(|a| a.ready = true)
    }

    pub(super) fn available(self, available: bool) -> Self {
        self.with(|a| a.available = Some(available))
    }

    /// `id`'s revision is the current one, in this phase.
    pub(super) fn revision(self, id: &str, phase: Told) -> Self {
        self.with(|a| {
            a.current_revision = Some(Revision {
                deployment_id: Some(id.to_owned()),
                phase: Some(phase),
                ..Revision::default()
            });
        })
    }

    /// The current revision is `new`'s own, in this phase.
    pub(super) fn own(self, phase: Told) -> Self {
        self.revision("new", phase)
    }

    /// The health of the current revision.
    pub(super) fn health(self, health: Health) -> Self {
        self.with(|a| a.current_revision.as_mut().unwrap().health = Some(health))
    }

    /// The current revision suffers from the platform.
    pub(super) fn issue(self) -> Self {
        self.with(|a| {
            a.current_revision
                .as_mut()
                .unwrap()
                .has_infrastructure_issue = true;
        })
    }

    /// A previous revision is still there.
    pub(super) fn previous(self) -> Self {
        self.with(|a| a.previous_revision = Some(Revision::default()))
    }

    /// The desired deployment's record, made at this second.
    pub(super) fn created(self, second: i64) -> Self {
        self.with(|a| {
            a.deployment = Some(Deployment {
                id: a.desired().map(str::to_owned),
                created_at: Some(second_of_day(second)),
                ..Deployment::default()
            });
        })
    }

    /// The agent's record was changed at this second.
    pub(super) fn updated(self, second: i64) -> Self {
        self.with(|a| a.updated_at = Some(second_of_day(second)))
    }

    pub(super) fn error(self, code: &str, message: &str) -> Self {
        self.with(|a| {
            a.errors.push(AgentError {
                code: Some(code.to_owned()),
                message: Some(message.to_owned()),
                deployment_id: None,
            });
        })
    }

    pub(super) fn degraded(self, status: &str) -> Self {
        self.with(|a| {
            a.conditions.push(Condition {
                kind: Some("Degraded".to_owned()),
                status: Some(status.to_owned()),
                reason: Some("PodsPending".to_owned()),
                message: Some("2 pods are pending".to_owned()),
            });
        })
    }
}

impl From<Answer> for Observation {
    fn from(answer: Answer) -> Self {
        Observation::Details {
            details: Box::new(answer.0),
            server_time: None,
        }
    }
}

pub(super) fn second_of_day(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_750_000_000 + second).unwrap()
}

/// A container that waits for this reason, in an agent of one replica.
pub(super) fn waiting(reason: &str, restarts: u64) -> Health {
    Health {
        state: Some(ContainerState::Waiting),
        reason: Some(reason.to_owned()),
        restart_count: Some(restarts),
        replicas_started: Some(1),
        message: Some("Traceback".to_owned()),
        ..Health::default()
    }
}

/// The target's revision is being checked, and its code fares like this.
pub(super) fn faring(health: Health) -> Answer {
    reconciled().own(Told::Validating).health(health)
}

pub(super) fn crashing(restarts: u64, replicas: u64) -> Answer {
    faring(Health {
        replicas_started: Some(replicas),
        ..waiting("CrashLoopBackOff", restarts)
    })
}

pub(super) fn absent() -> Observation {
    Observation::Absent(Some("Agent not found".to_owned()))
}

pub(super) fn failure(class: FailureClass, code: &str) -> Observation {
    Observation::Failed(Failure {
        class,
        code: code.to_owned(),
        summary: format!("the API said {code}"),
        request_id: None,
    })
}

pub(super) fn transient() -> Observation {
    failure(FailureClass::Transient { retry_after: None }, "Http503")
}

pub(super) fn refused() -> Observation {
    failure(FailureClass::Unauthorized, "Http401")
}
