//! Random histories: an agent that changes a little from poll to poll, seen through replicas that lag
//! and a network that fails.

use std::time::Duration;

use pipecat_rollout::fuzzing::rollout::{Failure, FailureClass, Observation};
use pipecat_rollout::fuzzing::wire::AgentDetails;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Deployments, in the order in which they are usually made.
pub(crate) const DEPLOYMENTS: [&str; 3] = ["d0", "d1", "d2"];

/// What is seen of an agent, and when, in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) at: u64,
    pub(crate) seen: Seen,
}

#[derive(Debug, Clone)]
pub(crate) enum Seen {
    Answer(Told),
    Absent,
    Failed(FailureClass),
    /// Nothing: only time has passed.
    Nothing,
}

/// What an answer says.
#[expect(clippy::struct_excessive_bools, reason = "as many as the answer has")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) desired: Option<&'static str>,
    /// When the desired deployment was made, and its record changed.
    pub(crate) created: Option<u8>,
    pub(crate) changed: Option<u8>,
    /// When the agent's record was changed.
    pub(crate) updated: Option<u8>,
    pub(crate) reconciled: Option<&'static str>,
    pub(crate) ready: bool,
    pub(crate) revision: Option<Runs>,
    pub(crate) previous: bool,
    pub(crate) sessions: u8,
    pub(crate) errors: bool,
    pub(crate) degraded: bool,
}

/// What the current revision is, and how it fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Runs {
    pub(crate) of: &'static str,
    pub(crate) phase: Option<&'static str>,
    pub(crate) ails: Ails,
    pub(crate) restarts: Option<u8>,
    pub(crate) started: Option<u8>,
    pub(crate) infrastructure: bool,
}

/// What is wrong with a container, as rule 6 divides it, and in which of its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ails {
    Nothing,
    Crashing(usize),
    NotPulling(usize),
    Unmendable(usize),
    Unknown,
}

const CRASHING: [(&str, Option<&str>); 5] = [
    ("waiting", Some("CrashLoopBackOff")),
    ("waiting", Some("OOMKilled")),
    ("terminated", Some("Error")),
    ("terminated", Some("Completed")),
    ("terminated", None),
];
const NOT_PULLING: [&str; 4] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "CreateContainerError",
    "RunContainerError",
];
const UNMENDABLE: [&str; 3] = [
    "InvalidImageName",
    "CreateContainerConfigError",
    "ErrImageNeverPull",
];

impl Told {
    /// The answer as the API would give it.
    pub(crate) fn details(&self) -> AgentDetails {
        let time = |second: u8| format!("2026-11-23T10:00:{second:02}Z");
        let mut body = json!({
            "name": "a", "ready": self.ready, "activeSessionCount": self.sessions,
            "desiredDeploymentId": self.desired, "reconciledDeploymentId": self.reconciled,
            "updatedAt": self.updated.map(time),
            "deployment": { "id": self.desired, "createdAt": self.created.map(time),
                "updatedAt": self.changed.map(time) },
            "currentRevision": self.revision.map(Runs::json),
        });
        if self.previous {
            body["previousRevision"] = json!({ "deploymentID": "d9", "phase": "Draining" });
        }
        if self.errors {
            body["errors"] = json!([{ "code": "Quota", "message": "too many" }]);
        }
        if self.degraded {
            body["conditions"] = json!([{ "type": "Degraded", "status": "True" }]);
        }
        AgentDetails::parse(body.to_string().as_bytes(), "a").unwrap()
    }
}

impl Runs {
    fn json(self) -> Value {
        let (state, reason) = match self.ails {
            Ails::Nothing => ("running", None),
            Ails::Crashing(word) => CRASHING[word % CRASHING.len()],
            Ails::NotPulling(word) => ("waiting", Some(NOT_PULLING[word % NOT_PULLING.len()])),
            Ails::Unmendable(word) => ("waiting", Some(UNMENDABLE[word % UNMENDABLE.len()])),
            Ails::Unknown => ("waiting", Some("SolarFlare")),
        };
        json!({ "deploymentID": self.of, "phase": self.phase,
            "hasInfrastructureIssue": self.infrastructure,
            "health": { "state": state, "reason": reason, "restartCount": self.restarts,
                "replicasStarted": self.started } })
    }
}

impl Seen {
    /// What a poll makes of it; none where there was no poll.
    pub(crate) fn observation(&self) -> Option<Observation> {
        Some(match self {
            Seen::Answer(told) => Observation::Details {
                details: Box::new(told.details()),
                server_time: None,
            },
            Seen::Absent => Observation::Absent(None),
            Seen::Failed(class) => Observation::Failed(Failure {
                class: *class,
                code: "Http".to_owned(),
                summary: "it failed".to_owned(),
                request_id: None,
            }),
            Seen::Nothing => return None,
        })
    }
}

const PHASES: [&str; 6] = [
    "Creating",
    "Validating",
    "Active",
    "Draining",
    "Failed",
    "Odd",
];

/// A change of the agent.
#[derive(Debug, Clone)]
enum Change {
    /// A deploy or a roll-back: of the deployment, to the operator's hands.
    Desire(Option<&'static str>),
    /// The operator has taken up what is desired, and makes a revision of it.
    Reconcile,
    Reconciled(Option<&'static str>),
    Ready(bool),
    Phase(Option<&'static str>),
    /// The way of a healthy rollout: the next phase, ready at its end.
    Onward,
    Runs(Option<&'static str>),
    Ails(Ails),
    Restarts(Option<u8>),
    Started(Option<u8>),
    Infrastructure(bool),
    Previous(bool),
    Sessions(u8),
    Errors(bool),
    Degraded(bool),
    Created(Option<u8>),
    Changed(Option<u8>),
    Updated(Option<u8>),
}

/// How a poll fares.
#[derive(Debug, Clone, Copy)]
enum Sight {
    Truth,
    /// The state of so many changes ago.
    Past(usize),
    Absent,
    Failed(FailureClass),
    Nothing,
}

fn any_deployment() -> impl Strategy<Value = &'static str> {
    select(&DEPLOYMENTS[..])
}

fn any_change() -> impl Strategy<Value = Change> {
    let ails = prop_oneof![
        Just(Ails::Nothing),
        (0..CRASHING.len()).prop_map(Ails::Crashing),
        (0..NOT_PULLING.len()).prop_map(Ails::NotPulling),
        (0..UNMENDABLE.len()).prop_map(Ails::Unmendable),
        Just(Ails::Unknown),
    ];
    let time = || proptest::option::of(0_u8..4);
    prop_oneof![
        2 => any_deployment().prop_map(|id| Change::Desire(Some(id))),
        3 => Just(Change::Desire(Some("d1"))),
        1 => Just(Change::Desire(None)),
        8 => Just(Change::Reconcile),
        1 => proptest::option::of(any_deployment()).prop_map(Change::Reconciled),
        6 => Just(Change::Onward),
        4 => any::<bool>().prop_map(Change::Ready),
        3 => proptest::option::of(select(&PHASES[..])).prop_map(Change::Phase),
        2 => proptest::option::of(any_deployment()).prop_map(Change::Runs),
        8 => ails.prop_map(Change::Ails),
        8 => proptest::option::of(0_u8..8).prop_map(Change::Restarts),
        1 => proptest::option::of(0_u8..3).prop_map(Change::Started),
        2 => any::<bool>().prop_map(Change::Infrastructure),
        2 => any::<bool>().prop_map(Change::Previous),
        1 => (0_u8..3).prop_map(Change::Sessions),
        1 => any::<bool>().prop_map(Change::Errors),
        1 => any::<bool>().prop_map(Change::Degraded),
        1 => time().prop_map(Change::Created),
        1 => time().prop_map(Change::Changed),
        1 => time().prop_map(Change::Updated),
    ]
}

fn any_sight() -> impl Strategy<Value = Sight> {
    let transient = FailureClass::Transient { retry_after: None };
    let longer = FailureClass::Transient {
        retry_after: Some(Duration::from_secs(1)),
    };
    prop_oneof![
        60 => Just(Sight::Truth),
        12 => (1_usize..5).prop_map(Sight::Past),
        6 => Just(Sight::Absent),
        4 => Just(Sight::Failed(transient)),
        2 => Just(Sight::Failed(longer)),
        3 => Just(Sight::Failed(FailureClass::Unauthorized)),
        1 => Just(Sight::Failed(FailureClass::Refused)),
        3 => Just(Sight::Nothing),
    ]
}

/// What answers may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Anything, the past as well.
    Any,
    /// The truth.
    Truthful,
}

/// An agent's life in short: each step is what changes, how often it is then looked at, and how.
pub(crate) fn any_history(fate: Fate) -> impl Strategy<Value = Vec<Moment>> {
    let changes = proptest::collection::vec(any_change(), 0..4);
    let looks = proptest::collection::vec((0_u64..1600, any_sight()), 1..5);
    let steps = proptest::collection::vec((changes, looks), 1..16);
    (any_told(), steps).prop_map(move |(first, steps)| {
        let mut states = vec![first];
        let mut moments = Vec::new();
        let mut at = 0;
        for (changes, looks) in steps {
            for change in changes {
                let state = *states.last().unwrap();
                states.push(changed(state, &change));
            }
            for (pause, sight) in looks {
                at += if moments.is_empty() { 0 } else { pause };
                let seen = match sight {
                    Sight::Past(_) | Sight::Absent if fate == Fate::Truthful => {
                        Seen::Answer(*states.last().unwrap())
                    }
                    Sight::Truth => Seen::Answer(*states.last().unwrap()),
                    Sight::Past(back) => {
                        Seen::Answer(states[states.len().saturating_sub(back + 1)])
                    }
                    Sight::Absent => Seen::Absent,
                    Sight::Failed(class) => Seen::Failed(class),
                    Sight::Nothing => Seen::Nothing,
                };
                moments.push(Moment { at, seen });
            }
        }
        moments
    })
}

/// An agent at rest, or nothing of it yet.
pub(crate) fn any_told() -> impl Strategy<Value = Told> {
    (any_deployment(), any::<bool>(), any::<bool>()).prop_map(|(id, deployed, dated)| {
        let id = deployed.then_some(id);
        let blank = Told {
            desired: None,
            created: None,
            changed: None,
            updated: None,
            reconciled: None,
            ready: false,
            revision: None,
            previous: false,
            sessions: 0,
            errors: false,
            degraded: false,
        };
        let deployed = changed(changed(blank, &Change::Desire(id)), &Change::Reconcile);
        Told {
            created: deployed.created.filter(|_| dated),
            ready: id.is_some(),
            ..deployed
        }
    })
}

fn changed(state: Told, change: &Change) -> Told {
    let mut state = state;
    match *change {
        Change::Desire(id) => {
            state.desired = id;
            state.created = id.and_then(usual_age);
            state.changed = None;
        }
        Change::Reconcile => {
            state.reconciled = state.desired;
            state.ready = false;
            state.errors = false;
            state.degraded = false;
            state.revision = state.desired.map(|of| Runs {
                of,
                phase: Some("Creating"),
                ails: Ails::Nothing,
                restarts: None,
                started: None,
                infrastructure: false,
            });
        }
        Change::Reconciled(id) => state.reconciled = id,
        Change::Ready(ready) => state.ready = ready,
        Change::Onward => {
            if let Some(runs) = &mut state.revision {
                runs.phase = match runs.phase {
                    Some("Creating") => Some("Validating"),
                    _ => Some("Active"),
                };
                state.ready = runs.phase == Some("Active");
            }
        }
        Change::Runs(of) => match (&mut state.revision, of) {
            (Some(runs), Some(of)) => runs.of = of,
            (revision, _) => *revision = None,
        },
        Change::Previous(previous) => state.previous = previous,
        Change::Sessions(sessions) => state.sessions = sessions,
        Change::Errors(errors) => state.errors = errors,
        Change::Degraded(degraded) => state.degraded = degraded,
        Change::Created(created) => state.created = created,
        Change::Changed(time) => state.changed = time,
        Change::Updated(time) => state.updated = time,
        Change::Phase(_)
        | Change::Ails(_)
        | Change::Restarts(_)
        | Change::Started(_)
        | Change::Infrastructure(_) => {
            if let Some(runs) = &mut state.revision {
                fare(runs, change);
            }
            // What ails is hardly ever ready.
            state.ready &= !matches!(change, Change::Ails(ails) if *ails != Ails::Nothing);
        }
    }
    state
}

fn fare(runs: &mut Runs, change: &Change) {
    match *change {
        Change::Phase(phase) => runs.phase = phase,
        Change::Ails(ails) => runs.ails = ails,
        Change::Restarts(restarts) => runs.restarts = restarts,
        Change::Started(started) => runs.started = started,
        Change::Infrastructure(issue) => runs.infrastructure = issue,
        _ => {}
    }
}

fn usual_age(deployment: &'static str) -> Option<u8> {
    let place = DEPLOYMENTS.iter().position(|id| *id == deployment)?;
    u8::try_from(place).ok()
}

/// The deployment of this id.
pub(crate) fn known(id: &str) -> &'static str {
    DEPLOYMENTS.iter().find(|known| **known == id).unwrap()
}
