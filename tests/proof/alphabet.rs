//! What one poll can bring, as letters: enough that each rule of the contract has some that meet it.

use pipecat_rollout::fuzzing::rollout::{FailureClass, Observation};
use pipecat_rollout::fuzzing::wire::AgentDetails;
use serde_json::json;

use crate::watch::{failed_poll, time};
use crate::world::{AGENT, date};

pub(crate) const OLD: &str = "deployment-1";
pub(crate) const TARGET: &str = "deployment-2";
pub(crate) const NEWER: &str = "deployment-3";

/// When they were created.
pub(crate) const CREATED: [(&str, i64); 3] = [(OLD, -300_000), (TARGET, 30_000), (NEWER, 40_000)];

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Says {
    pub(crate) desired: &'static str,
    pub(crate) reconciled: &'static str,
    pub(crate) ready: bool,
    pub(crate) of: &'static str,
    pub(crate) phase: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) restarts: u64,
    pub(crate) errors: bool,
    /// The order of answers by their dates, where they have any.
    pub(crate) dated: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brings {
    Agent(Says),
    Absent,
    Failed(FailureClass),
    /// No poll: the deploy command ends.
    CommandEnds(u8),
}

#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) name: String,
    pub(crate) brings: Brings,
    pub(crate) observation: Option<Observation>,
}

const RECONCILING: Says = Says {
    desired: TARGET,
    reconciled: OLD,
    ready: true,
    of: OLD,
    phase: "Active",
    reason: None,
    restarts: 0,
    errors: false,
    dated: None,
};
const CREATING: Says = Says {
    reconciled: TARGET,
    ready: false,
    of: TARGET,
    phase: "Creating",
    ..RECONCILING
};
const READY: Says = Says {
    ready: true,
    phase: "Active",
    ..CREATING
};
const OLD_READY: Says = Says {
    desired: OLD,
    ..RECONCILING
};
const NEWER_READY: Says = Says {
    desired: NEWER,
    reconciled: NEWER,
    of: NEWER,
    ..READY
};

/// The letters that come first are the commonest.
pub(crate) fn alphabet() -> Vec<Letter> {
    let waits = |reason, restarts| Says {
        reason: Some(reason),
        restarts,
        ..CREATING
    };
    let failed = Says {
        phase: "Failed",
        ..CREATING
    };
    let dated = |says: Says, order| {
        Brings::Agent(Says {
            dated: Some(order),
            ..says
        })
    };
    let transient = |retry_after| Brings::Failed(FailureClass::Transient { retry_after });
    use Brings::{Absent, Agent, CommandEnds, Failed};
    let letters = [
        ("old", Agent(OLD_READY)),
        ("old, dated", dated(OLD_READY, 1)),
        ("reconciling", Agent(RECONCILING)),
        ("reconciling, dated", dated(RECONCILING, 2)),
        ("creating", Agent(CREATING)),
        ("ready", Agent(READY)),
        ("ready, dated", dated(READY, 3)),
        ("newer", Agent(NEWER_READY)),
        ("404", Absent),
        ("503", transient(None)),
        ("newer, dated", dated(NEWER_READY, 4)),
        ("back to old, dated", dated(OLD_READY, 5)),
        (
            "back to old, reconciling",
            dated(
                Says {
                    desired: OLD,
                    reconciled: TARGET,
                    of: TARGET,
                    ..READY
                },
                5,
            ),
        ),
        (
            "ready on the old revision",
            Agent(Says { of: OLD, ..READY }),
        ),
        (
            "ready, restarted",
            Agent(Says {
                restarts: 1,
                ..READY
            }),
        ),
        ("failed", Agent(failed)),
        (
            "failed and ready",
            Agent(Says {
                ready: true,
                ..failed
            }),
        ),
        ("crashed", Agent(waits("Error", 1))),
        ("crash loop", Agent(waits("CrashLoopBackOff", 3))),
        ("not pulling", Agent(waits("ImagePullBackOff", 0))),
        ("invalid image", Agent(waits("InvalidImageName", 0))),
        (
            "reconciling, errors",
            Agent(Says {
                errors: true,
                ..RECONCILING
            }),
        ),
        (
            "creating, errors",
            Agent(Says {
                errors: true,
                ..CREATING
            }),
        ),
        (
            "old, errors",
            Agent(Says {
                errors: true,
                ..OLD_READY
            }),
        ),
        ("503, later", transient(Some(time(3000)))),
        ("401", Failed(FailureClass::Unauthorized)),
        ("302", Failed(FailureClass::Refused)),
        ("the command succeeds", CommandEnds(0)),
        ("the command fails", CommandEnds(1)),
    ];
    letters
        .into_iter()
        .map(|(name, brings)| Letter::new(name, brings))
        .collect()
}

impl Letter {
    fn new(name: &str, brings: Brings) -> Self {
        Self {
            name: name.to_owned(),
            brings,
            observation: match brings {
                Brings::Agent(says) => Some(says.observation()),
                Brings::Absent => Some(Observation::Absent(None)),
                Brings::Failed(class) => Some(failed_poll(class)),
                Brings::CommandEnds(_) => None,
            },
        }
    }
}

impl Says {
    fn observation(&self) -> Observation {
        let updated = self.dated.map(|order| date(50_000 + i64::from(order)));
        let created = CREATED.iter().find(|(id, _)| *id == self.desired);
        let created = created
            .filter(|_| self.dated.is_some())
            .map(|(_, at)| date(*at));
        let state = if self.reason.is_some() {
            "waiting"
        } else {
            "running"
        };
        let body = json!({ "name": AGENT, "ready": self.ready, "updatedAt": updated,
            "desiredDeploymentId": self.desired, "reconciledDeploymentId": self.reconciled,
            "deployment": { "id": self.desired, "createdAt": created },
            "currentRevision": { "deploymentID": self.of, "phase": self.phase,
                "health": { "state": state, "reason": self.reason, "restartCount": self.restarts,
                    "replicasStarted": 1 } },
            "errors": if self.errors { json!([{ "code": "PCC_QUOTA" }]) } else { json!([]) } });
        Observation::Details {
            details: Box::new(AgentDetails::parse(body.to_string().as_bytes(), AGENT).unwrap()),
            // After the baseline was created, and before any other: no date is a minute ahead of it.
            server_time: self.dated.map(|_| date(0)),
        }
    }
}
