//! An agent on an honest server: what is true of it from one moment to the next.

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use pipecat_rollout::fuzzing::wire::AgentDetails;
use serde_json::{Value, json};

/// A moment or a span, in milliseconds; moments are counted from the beginning of the watch.
pub(crate) type Ms = i64;

/// The agent that is watched.
pub(crate) const AGENT: &str = "voice";
/// The deployments from before every deploy of a history.
pub(crate) const OLDER: usize = 0;
pub(crate) const BASELINE: usize = 1;

/// The id of a deployment. What it is called must not matter.
pub(crate) type Naming = fn(usize) -> String;

pub(crate) fn rising(deployment: usize) -> String {
    format!("{deployment:08x}-0000-4000-8000-000000000000")
}

pub(crate) fn falling(deployment: usize) -> String {
    rising(0xffff - deployment)
}

pub(crate) fn in_upper_case(deployment: usize) -> String {
    rising(deployment + 0xabc0).to_uppercase()
}

/// How a deployment comes out, and how long its steps take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) reconciles: Ms,
    pub(crate) creates: Ms,
    pub(crate) validates: Ms,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Ready,
    /// Ready after one or two crashes.
    ReadyAfterCrashes(u64),
    /// Ready after its image did not come for this long.
    ReadyAfterPulling(Ms),
    /// Ready after crashes that the platform takes the blame for.
    ReadyAfterPlatformIssue,
    /// Ready, not ready for a while, and ready again.
    ReadyWithBreak(Ms),
    /// Ready, and its revision is the baseline's.
    ReadyWithoutRevision,
    PhaseFailed,
    CrashLoop,
    NeverPulls,
    InvalidImage,
    /// The API lists an error, before or after it is reconciled.
    ErrorBefore,
    ErrorAfter,
    /// It never comes up, and nothing says why.
    Stuck,
}

/// What was there before the deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Healthy,
    /// It crashes, it is degraded and it lists an error.
    Broken,
}

/// Which dates answers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    /// Every change is dated: whatever is older can be proven to be.
    OfChanges,
    /// `updatedAt` is when something was requested last.
    OfRequests,
    /// When deployments were created, and no more.
    OfCreation,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) of: usize,
    pub(crate) phase: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) restarts: u64,
    pub(crate) platform_issue: bool,
}

/// What is true from a moment on.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) since: Ms,
    /// When the desired deployment was requested.
    pub(crate) requested: Ms,
    pub(crate) exists: bool,
    pub(crate) desired: Option<usize>,
    pub(crate) reconciled: Option<usize>,
    pub(crate) ready: bool,
    pub(crate) revision: Option<Revision>,
    pub(crate) previous: Option<Revision>,
    /// The deployments of which errors are listed.
    pub(crate) errors: Vec<usize>,
    pub(crate) degraded: bool,
    pub(crate) details: OnceLock<Box<AgentDetails>>,
}

impl State {
    /// No agent, long before the watch.
    pub(crate) fn nothing() -> Self {
        Self {
            since: -1_000_000,
            requested: -1_000_000,
            exists: false,
            desired: None,
            reconciled: None,
            ready: false,
            revision: None,
            previous: None,
            errors: Vec::new(),
            degraded: false,
            details: OnceLock::new(),
        }
    }

    /// Whether the deployment is desired, reconciled and ready.
    pub(crate) fn is_ready(&self, deployment: usize) -> bool {
        self.exists && self.is_reconciled(deployment) && self.ready
    }

    pub(crate) fn is_reconciled(&self, deployment: usize) -> bool {
        self.desires(deployment) && self.reconciled == Some(deployment)
    }

    pub(crate) fn desires(&self, deployment: usize) -> bool {
        self.exists && self.desired == Some(deployment)
    }

    pub(crate) fn own_revision(&self, deployment: usize) -> Option<Revision> {
        self.revision
            .filter(|revision| revision.of == deployment && self.is_reconciled(deployment))
    }
}

#[derive(Debug)]
pub(crate) struct World {
    /// When each deployment was created.
    pub(crate) created: Vec<Ms>,
    pub(crate) states: Vec<State>,
    dates: Dates,
}

impl World {
    pub(crate) fn new(before: Before, dates: Dates) -> Self {
        let mut world = Self {
            created: vec![-900_000, -300_000],
            states: vec![State::nothing()],
            dates,
        };
        if before != Before::Nothing {
            let end = if before == Before::Healthy {
                End::Ready
            } else {
                End::CrashLoop
            };
            for (deployment, end) in [(OLDER, End::Ready), (BASELINE, end)] {
                let fate = Fate {
                    reconciles: 1000,
                    creates: 1000,
                    validates: 1000,
                    end,
                };
                world.request(world.created[deployment], deployment);
                world.roll_out(world.created[deployment], deployment, fate);
            }
            if before == Before::Broken {
                world.change(-200_000, |state| {
                    state.errors = vec![BASELINE];
                    state.degraded = true;
                });
            }
        }
        world
    }

    /// A deploy: of a new deployment, whose number it gives.
    pub(crate) fn deploy(&mut self, at: Ms, fate: Fate) -> usize {
        let deployment = self.created.len();
        self.created.push(at);
        self.request(at, deployment);
        self.roll_out(at, deployment, fate);
        deployment
    }

    pub(crate) fn roll_back(&mut self, at: Ms, to: usize, fate: Fate) {
        self.request(at, to);
        self.roll_out(at, to, fate);
    }

    pub(crate) fn delete(&mut self, at: Ms) {
        self.cut(at);
        self.change(at, |state| {
            *state = State {
                since: state.since,
                requested: state.since,
                ..State::nothing()
            };
        });
    }

    /// What was to come of an earlier request comes no more.
    fn cut(&mut self, at: Ms) {
        self.states.retain(|state| state.since <= at);
    }

    fn request(&mut self, at: Ms, deployment: usize) {
        self.cut(at);
        self.change(at, |state| {
            state.exists = true;
            state.desired = Some(deployment);
            state.requested = at;
        });
    }

    fn change(&mut self, at: Ms, change: impl FnOnce(&mut State)) {
        let last = self.states.last().expect("there is a first state");
        let mut state = State {
            since: at.max(last.since + 1),
            details: OnceLock::new(),
            ..last.clone()
        };
        change(&mut state);
        self.states.push(state);
    }

    fn roll_out(&mut self, at: Ms, deployment: usize, fate: Fate) {
        if fate.end == End::ErrorBefore {
            self.change(at + 800, |state| state.errors.push(deployment));
        }
        let revision = move |phase, reason, restarts| Revision {
            of: deployment,
            phase,
            reason,
            restarts,
            platform_issue: false,
        };
        let reconciled = at + fate.reconciles;
        self.change(reconciled, |state| {
            state.reconciled = Some(deployment);
            state.ready = false;
            state.previous = state.revision.filter(|revision| revision.of != deployment);
            state.revision = Some(revision("Creating", Some("ContainerCreating"), 0));
        });
        // What the older one has listed stays for a moment.
        self.change(reconciled + 2000, |state| {
            state.errors.retain(|of| *of == deployment)
        });
        let mut at = reconciled + fate.creates.max(2001);
        let mut run = |world: &mut Self, lasts: Ms, revision: Revision| {
            world.change(at, |state| state.revision = Some(revision));
            at += lasts;
        };
        match fate.end {
            End::ReadyAfterPulling(lasts) => {
                run(
                    self,
                    lasts,
                    revision("Creating", Some("ImagePullBackOff"), 0),
                );
            }
            End::NeverPulls => run(self, 0, revision("Creating", Some("ImagePullBackOff"), 0)),
            End::InvalidImage => run(self, 0, revision("Creating", Some("InvalidImageName"), 0)),
            _ => run(self, fate.validates, revision("Validating", None, 0)),
        }
        match fate.end {
            End::ReadyAfterCrashes(crashes) => {
                for crash in 1..=crashes {
                    run(self, 3000, revision("Validating", Some("Error"), crash));
                }
            }
            End::ReadyAfterPlatformIssue => {
                for crash in 1..=6 {
                    let own = revision("Validating", Some("CrashLoopBackOff"), crash);
                    run(
                        self,
                        1500,
                        Revision {
                            platform_issue: true,
                            ..own
                        },
                    );
                }
            }
            End::CrashLoop => {
                for crash in 1..=8 {
                    run(
                        self,
                        2500,
                        revision("Validating", Some("CrashLoopBackOff"), crash),
                    );
                }
            }
            End::PhaseFailed => run(self, 0, revision("Failed", Some("StartError"), 0)),
            _ => {}
        }
        let crashes = if let End::ReadyAfterCrashes(crashes) = fate.end {
            crashes
        } else {
            0
        };
        let active = revision("Active", None, crashes);
        match fate.end {
            End::Ready
            | End::ReadyAfterCrashes(_)
            | End::ReadyAfterPulling(_)
            | End::ReadyAfterPlatformIssue
            | End::ReadyWithBreak(_)
            | End::ReadyWithoutRevision => {
                self.change(at, |state| {
                    state.ready = true;
                    state.degraded = false;
                    state.revision = Some(active);
                    if fate.end == End::ReadyWithoutRevision && state.previous.is_some() {
                        state.revision = state.previous.take();
                    }
                });
                if let End::ReadyWithBreak(lasts) = fate.end {
                    self.change(at + 4000, |state| state.ready = false);
                    self.change(at + 4000 + lasts, |state| state.ready = true);
                    at += 4000 + lasts;
                }
                self.change(at + 5000, |state| state.previous = None);
            }
            End::ErrorAfter => self.change(at, |state| state.errors.push(deployment)),
            _ => {}
        }
    }

    /// The number of the state that holds at a moment.
    pub(crate) fn at(&self, at: Ms) -> usize {
        self.states
            .partition_point(|state| state.since <= at)
            .saturating_sub(1)
    }

    /// The states that hold at some time from one moment to another.
    pub(crate) fn during(&self, from: Ms, to: Ms) -> &[State] {
        &self.states[self.at(from)..=self.at(to)]
    }

    /// When nothing changes any more.
    pub(crate) fn settles(&self) -> Ms {
        self.states.last().map_or(0, |state| state.since)
    }

    /// Whether the dates of an answer that shows state `one` prove it older than another answer.
    pub(crate) fn proves_older(&self, one: usize, than: usize) -> bool {
        let [one, than] = [&self.states[one], &self.states[than]];
        match self.dates {
            Dates::OfChanges => one.since < than.since,
            Dates::OfRequests => one.requested < than.requested,
            Dates::OfCreation | Dates::None => false,
        }
    }

    pub(crate) fn dates(&self) -> Dates {
        self.dates
    }

    /// The answer that shows a state.
    pub(crate) fn details(&self, state: usize) -> Box<AgentDetails> {
        self.states[state]
            .details
            .get_or_init(|| self.answer(state, rising))
            .clone()
    }

    pub(crate) fn answer(&self, state: usize, name: Naming) -> Box<AgentDetails> {
        details_of(&body_of(
            &self.states[state],
            &self.created,
            self.dates,
            name,
        ))
    }
}

pub(crate) fn details_of(body: &Value) -> Box<AgentDetails> {
    Box::new(AgentDetails::parse(body.to_string().as_bytes(), AGENT).unwrap())
}

/// The body of the answer that shows a state.
pub(crate) fn body_of(state: &State, created: &[Ms], dates: Dates, name: Naming) -> Value {
    let changed = match dates {
        Dates::OfChanges => Some(date(state.since)),
        Dates::OfRequests => Some(date(state.requested)),
        Dates::OfCreation | Dates::None => None,
    };
    let created = state
        .desired
        .filter(|_| dates != Dates::None)
        .map(|of| date(created[of]));
    let revision = |revision: Revision| {
        let runs = revision.reason.is_none();
        json!({ "deploymentID": name(revision.of), "phase": revision.phase,
            "readyReplicas": u8::from(revision.phase == "Active"),
            "hasInfrastructureIssue": revision.platform_issue,
            "health": { "state": if runs { "running" } else { "waiting" },
                "reason": revision.reason, "restartCount": revision.restarts,
                "replicasStarted": 1 } })
    };
    let errors = state
        .errors
        .iter()
        .map(|of| json!({ "code": format!("PCC_{of}") }));
    json!({ "name": AGENT, "ready": state.ready, "available": true, "updatedAt": changed,
        "desiredDeploymentId": state.desired.map(name),
        "reconciledDeploymentId": state.reconciled.map(name),
        "autoScaling": { "minReplicas": 1 },
        "deployment": { "id": state.desired.map(name), "createdAt": created, "updatedAt": changed },
        "currentRevision": state.revision.map(revision),
        "previousRevision": state.previous.map(revision),
        "errors": errors.collect::<Vec<_>>(),
        "conditions": state.degraded.then(|| json!([{ "type": "Degraded", "status": "True" }])) })
}

/// A moment by the server's clock.
pub(crate) fn date(at: Ms) -> Timestamp {
    let epoch: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    epoch + SignedDuration::from_millis(at)
}
