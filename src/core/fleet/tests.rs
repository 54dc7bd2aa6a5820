//! The fleet against a world of agents whose truth is known: what it believes, reports and measures.

mod beliefs;
mod health;
mod once;
mod starts;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::core::rollout::{Failure, FailureClass, Machine, Next, Observation, Policy, TargetRule};
use crate::core::wire::{AgentDetails, parse_list};

const SECOND: Duration = Duration::from_secs(1);
/// How often the world goes on, and how often a rollout that is followed is polled.
const TICK: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(500);

/// What the API's server says, and when.
pub(super) struct World {
    pub(super) agents: BTreeMap<String, Value>,
    /// What the list shows, where that is not the truth.
    pub(super) list: Option<Value>,
    /// Why the list, or an agent, cannot be read.
    pub(super) list_failure: Option<Failure>,
    pub(super) failures: BTreeMap<String, Failure>,
    /// How far the server's clock is ahead of ours.
    pub(super) server_ahead: SignedDuration,
    /// Whether answers carry dates.
    pub(super) is_dated: bool,
    /// How long the first answer about a rollout that is followed takes.
    pub(super) first_answer: Duration,
}

/// A sidecar in this world.
pub(super) struct Sidecar {
    pub(super) world: World,
    pub(super) fleet: Fleet,
    pub(super) at: Duration,
    /// How far our wall clock is ahead of the beginning of all times.
    pub(super) wall: Timestamp,
    pub(super) store: BTreeMap<String, AgentRecord>,
    pub(super) events: Vec<FleetEvent>,
    pub(super) log: Vec<String>,
    pub(super) checked: Vec<(Duration, String)>,
    /// Whether only what is urgent gets through to the API.
    pub(super) is_saturated: bool,
    follows: Vec<Followed>,
}

struct Followed {
    id: TaskId,
    agent: String,
    machine: Machine,
    began: Duration,
    polled: Option<Duration>,
}

pub(super) fn failure(code: &str) -> Failure {
    Failure {
        class: FailureClass::Transient { retry_after: None },
        code: code.to_owned(),
        summary: format!("the API answered {code}"),
        request_id: None,
    }
}

pub(super) fn rules() -> Rules {
    Rules {
        watched: Watched::Listed(Scope::new(&[], &[], Vec::new()).unwrap()),
        interval: 15 * SECOND,
        health_interval: 300 * SECOND,
        unready_for: 30 * SECOND,
        limits: Limits {
            timeout: 1800 * SECOND,
            outage_timeout: Duration::from_hours(24),
            ..Limits::default()
        },
        max_rps: NonZeroU32::new(10).unwrap(),
        mode: Mode::Daemon,
    }
}

pub(super) fn named(names: &[&str]) -> Rules {
    Rules {
        watched: Watched::Named(names.iter().map(|name| name.parse().unwrap()).collect()),
        ..rules()
    }
}

impl Sidecar {
    /// The first start of a sidecar for these agents, all ready on `d1`.
    pub(super) fn with(rules: Rules, agents: &[&str]) -> Self {
        let mut sidecar = Self {
            world: World {
                agents: BTreeMap::new(),
                list: None,
                list_failure: None,
                failures: BTreeMap::new(),
                server_ahead: SignedDuration::ZERO,
                is_dated: true,
                first_answer: Duration::ZERO,
            },
            fleet: Fleet::restore(rules, Vec::new(), None),
            at: Duration::ZERO,
            wall: "2026-11-23T15:00:00Z".parse().unwrap(),
            store: BTreeMap::new(),
            events: Vec::new(),
            log: Vec::new(),
            checked: Vec::new(),
            is_saturated: false,
            follows: Vec::new(),
        };
        let long_ago = sidecar.server_now() - SignedDuration::from_hours(48);
        for agent in agents {
            sidecar.create(agent, long_ago);
        }
        sidecar
    }

    /// One that has watched for a while.
    pub(super) fn watching(agents: &[&str]) -> Self {
        Self::watching_by(rules(), agents)
    }

    pub(super) fn watching_by(rules: Rules, agents: &[&str]) -> Self {
        let mut sidecar = Self::with(rules, agents);
        sidecar.run(40 * SECOND);
        assert_eq!(sidecar.lines(), [""; 0]);
        sidecar.log.clear();
        sidecar.checked.clear();
        sidecar
    }

    /// Another start of the program, this much later, from what was written down.
    pub(super) fn restart(&mut self, rules: Rules, after: Duration) {
        let watched_until = self.now().wall;
        self.at += after;
        self.wall += SignedDuration::try_from(after).unwrap();
        self.follows.clear();
        let records = self.store.values().map(|record| AgentRecord {
            live: Live::default(),
            ..record.clone()
        });
        self.fleet = Fleet::restore(rules, records.collect(), Some(watched_until));
        // The monotonic clock of another process begins anew.
        self.at = Duration::ZERO;
    }

    pub(super) fn now(&self) -> Moment {
        Moment {
            at: self.at,
            wall: self.wall,
        }
    }

    pub(super) fn server_now(&self) -> Timestamp {
        self.wall + self.world.server_ahead
    }

    pub(super) fn create(&mut self, agent: &str, at: Timestamp) {
        let details = json!({
            "name": agent, "region": "us-west", "createdAt": at, "updatedAt": at,
            "desiredDeploymentId": "d1", "reconciledDeploymentId": "d1",
            "ready": true, "available": true, "activeSessionCount": 2,
            "deployment": {"id": "d1", "createdAt": at, "manifest": {"spec": {"image": "image:d1"}}},
            "currentRevision":
                {"deploymentID": "d1", "phase": "Active", "phaseStartedAt": at, "readyReplicas": 1},
        });
        self.world.agents.insert(agent.to_owned(), details);
    }

    pub(super) fn delete(&mut self, agent: &str) {
        self.world.agents.remove(agent);
    }

    /// Changes fields of an agent, which changes its record.
    pub(super) fn set(&mut self, agent: &str, fields: Value) {
        let now = self.server_now();
        let details = self.world.agents.get_mut(agent).unwrap();
        merge(details, fields);
        details["updatedAt"] = json!(now);
    }

    /// A deploy begins.
    pub(super) fn deploy(&mut self, agent: &str, id: &str) {
        let now = self.server_now();
        self.set(
            agent,
            json!({
                "desiredDeploymentId": id, "reconciledDeploymentId": id, "ready": false,
                "deployment": {"id": id, "createdAt": now, "manifest": {"spec": {"image": format!("image:{id}")}}},
                "currentRevision": {
                    "deploymentID": id, "phase": "Creating", "phaseStartedAt": now, "readyReplicas": 0,
                },
            }),
        );
    }

    /// The deployment has become ready.
    pub(super) fn ready(&mut self, agent: &str) {
        let now = self.server_now();
        self.set(
            agent,
            json!({"ready": true, "currentRevision":
                {"phase": "Active", "phaseStartedAt": now, "readyReplicas": 1}}),
        );
    }

    /// The deployment has failed.
    pub(super) fn fail(&mut self, agent: &str) {
        let now = self.server_now();
        self.set(
            agent,
            json!({"ready": false, "currentRevision": {"phase": "Failed", "phaseStartedAt": now}}),
        );
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.at + duration;
        while self.at < end {
            self.work();
            self.at += TICK;
            self.wall += SignedDuration::try_from(TICK).unwrap();
        }
        self.work();
    }

    /// Lets time pass until this line has come, and no more than so long; gives how long it took.
    #[track_caller]
    pub(super) fn run_until(&mut self, line: &str, limit: Duration) -> Duration {
        let began = self.at;
        while !self.lines().iter().any(|known| known == line) {
            let passed = self.at.saturating_sub(began);
            assert!(passed < limit, "no {line:?} in {:?}", self.lines());
            self.run(TICK);
        }
        self.at.saturating_sub(began)
    }

    /// What happened, in words: agent, deployment, kind and verdict.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |event: &FleetEvent| {
            let data = &event.data;
            let deployment = data.deployment_id.as_deref().unwrap_or("-");
            let mut line = format!("{} {deployment} {}", data.agent, event.kind);
            if let Some(verdict) = data.verdict {
                line = format!("{line} {verdict}");
            }
            line
        };
        let is_phase = |event: &&FleetEvent| event.kind == EventKind::RolloutPhaseChanged;
        let events = self.events.iter().filter(|event| !is_phase(event));
        events.map(line).collect()
    }

    #[track_caller]
    pub(super) fn last(&self, kind: EventKind) -> &FleetEvent {
        let event = self.events.iter().rev().find(|event| event.kind == kind);
        event.unwrap_or_else(|| panic!("no {kind} in {:?}", self.lines()))
    }

    fn work(&mut self) {
        while self.fleet.next_due().is_some_and(|due| due <= self.at) {
            let actions = self.fleet.due(self.now());
            if actions.is_empty() {
                break;
            }
            self.perform(actions);
        }
        for index in 0..self.follows.len() {
            self.poll(index);
        }
        self.follows
            .retain(|followed| followed.polled != Some(Duration::MAX));
    }

    fn handle(&mut self, input: Input) {
        let step = self.fleet.handle(self.now(), input);
        for (name, record) in step.change.agents {
            match record {
                Some(record) => drop(self.store.insert(name, *record)),
                None => drop(self.store.remove(&name)),
            }
        }
        for event in &step.change.events {
            let data = &event.data;
            let (Some(last), Some(end)) = (data.phases.last(), data.elapsed_ms) else {
                continue;
            };
            assert!(last.at_ms <= end, "{data:?}");
        }
        self.events.extend(step.change.events);
        self.perform(step.actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::ReadList(_) => self.read_list(),
                Action::Check {
                    urgency: Urgency::Regular,
                    ..
                } if self.is_saturated => {}
                Action::Check { check, .. } => {
                    let agent = check.agent.as_str();
                    self.checked.push((self.at, agent.to_owned()));
                    let observation = self.observe(agent);
                    self.handle(Input::Checked { check, observation });
                }
                Action::Follow {
                    follow,
                    deployment_id,
                    limits,
                } => {
                    let policy = Policy::new(TargetRule::Deployment(deployment_id), limits);
                    self.follows.push(Followed {
                        agent: follow.agent.as_str().to_owned(),
                        id: follow,
                        machine: Machine::new(policy.unwrap()),
                        began: self.at,
                        polled: None,
                    });
                }
                Action::Log(severity, line) => self.log.push(format!("{severity:?}: {line}")),
            }
        }
    }

    fn read_list(&mut self) {
        let input = if let Some(failure) = &self.world.list_failure {
            Input::ListFailed(failure.clone())
        } else {
            let entry = |(name, details): (&String, &Value)| {
                let mut entry = details.clone();
                entry["id"] = json!(format!("service-of-{name}"));
                self.undate(&mut entry);
                entry
            };
            let truth = self.world.agents.iter().map(entry).collect();
            let services = self.world.list.clone().unwrap_or(truth);
            let body = json!({ "services": services }).to_string();
            Input::Listed(parse_list(body.as_bytes()).unwrap())
        };
        self.handle(input);
    }

    fn undate(&self, details: &mut Value) {
        if !self.world.is_dated {
            for key in ["createdAt", "updatedAt"] {
                details.as_object_mut().unwrap().remove(key);
            }
            details["deployment"] = Value::Null;
            details["currentRevision"]["phaseStartedAt"] = Value::Null;
        }
    }

    fn observe(&mut self, agent: &str) -> Observation {
        if let Some(failure) = self.world.failures.get(agent) {
            return Observation::Failed(failure.clone());
        }
        let date = Timestamp::from_second(self.server_now().as_second()).unwrap();
        self.handle(Input::ServerDate {
            sent: self.at,
            received: self.at,
            date,
        });
        let Some(details) = self.world.agents.get(agent) else {
            return Observation::Absent(None);
        };
        let mut details = details.clone();
        self.undate(&mut details);
        let details = AgentDetails::parse(details.to_string().as_bytes(), agent).unwrap();
        Observation::Details {
            details: Box::new(details),
            server_time: Some(date),
        }
    }

    fn poll(&mut self, index: usize) {
        let followed = &self.follows[index];
        let (since, wait) = match followed.polled {
            Some(at) => (at, POLL),
            None => (followed.began, self.world.first_answer),
        };
        let is_due = self.at.saturating_sub(since) >= wait;
        if !is_due {
            return;
        }
        let (agent, id) = (followed.agent.clone(), followed.id.clone());
        let observation = self.observe(&agent);
        let followed = &mut self.follows[index];
        followed.polled = Some(self.at);
        let at = self.at.saturating_sub(followed.began);
        let step = followed.machine.observe(at, observation);
        let done = match step.next {
            Next::Done(outcome) => {
                followed.polled = Some(Duration::MAX);
                Some(outcome)
            }
            Next::Poll(_) => None,
        };
        for event in step.events {
            self.handle(Input::Progressed(id.clone(), event));
        }
        if let Some(outcome) = done {
            self.handle(Input::Followed(id, outcome));
        }
    }
}

/// A JSON merge patch.
fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}

/// An agent of the list.
pub(super) fn entry(agent: &str, deployment: &str) -> Value {
    json!({"name": agent, "id": format!("service-of-{agent}"), "region": "us-west",
           "desiredDeploymentId": deployment, "reconciledDeploymentId": deployment})
}

/// The names of so many agents.
pub(super) fn many(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("agent-{number}")).collect()
}
