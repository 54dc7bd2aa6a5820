//! A sidecar's life: lists, checks, rollouts and restarts in any order.
//!
//! The bytes are acts, four to each: what happens, to which agent, and two that say how. Whatever happens,
//! what was opened is closed, in order, and a restart finds what was written.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use pipecat_rollout::fuzzing::fleet::{
    Action, AgentRecord, EventKind, Fleet, FleetEvent, Input, Mode, Moment, Rules, Scope, Step,
    TaskId, Watched,
};
use pipecat_rollout::fuzzing::rollout::{
    Event, Failure, FailureClass, Interruption, Limits, Observation, Outcome, Phase, Verdict,
};
use pipecat_rollout::fuzzing::wire::{AgentDetails, Deployment, Service};

const AGENTS: [&str; 3] = ["a", "b", "c"];
const DEPLOYMENTS: [&str; 4] = ["d1", "d2", "d3", "d4"];
const VERDICTS: [Verdict; 8] = [
    Verdict::Ready,
    Verdict::Failed,
    Verdict::Superseded,
    Verdict::Timeout,
    Verdict::Unavailable,
    Verdict::Unchanged,
    Verdict::Interrupted(Interruption::Terminate),
    Verdict::NotFound,
];

pub(super) fn run(data: &[u8]) {
    let mut life = Life {
        fleet: Fleet::restore(rules(), Vec::new(), None),
        now: Moment {
            at: Duration::ZERO,
            wall: Timestamp::from_second(1_800_000_000).expect("a time"),
        },
        stored: BTreeMap::new(),
        checks: Vec::new(),
        follows: Vec::new(),
        open: BTreeMap::new(),
    };
    for act in data.chunks_exact(4).take(200) {
        life.act(act);
    }
}

fn rules() -> Rules {
    Rules {
        watched: Watched::Listed(Scope::new(&[], &[], Vec::new()).expect("all agents")),
        interval: Duration::from_secs(15),
        health_interval: Duration::from_mins(1),
        unready_for: Duration::from_secs(5),
        limits: Limits::default(),
        max_rps: NonZeroU32::MIN,
        mode: Mode::Daemon,
    }
}

struct Life {
    fleet: Fleet,
    now: Moment,
    /// What a restart finds.
    stored: BTreeMap<String, AgentRecord>,
    /// What is under way.
    checks: Vec<TaskId>,
    follows: Vec<(TaskId, String)>,
    /// The rollout of each agent that has started and not finished.
    open: BTreeMap<String, Option<String>>,
}

impl Life {
    fn act(&mut self, act: &[u8]) {
        let (what, who, how) = (act[0] % 8, usize::from(act[1]), usize::from(act[2]));
        let name = AGENTS[who % AGENTS.len()];
        let passed = Duration::from_millis(u64::from(act[3]) * 40);
        self.now.at += passed;
        self.now.wall += passed;
        match what {
            0 => self.handle(Input::Listed(list(act))),
            1 => self.handle(Input::ListFailed(failure())),
            2 | 3 if !self.checks.is_empty() => {
                let check = self.checks.remove(who % self.checks.len());
                let observation = observation(check.agent.as_str(), act);
                self.handle(Input::Checked { check, observation });
            }
            4 | 5 if !self.follows.is_empty() => {
                let (follow, deployment) = self.follows[who % self.follows.len()].clone();
                let event = if how % 2 == 0 {
                    Event::TargetFound {
                        deployment_id: deployment,
                        created_at: date(act[3]),
                    }
                } else {
                    Event::PhaseChanged {
                        phase: Phase::ALL[how % Phase::ALL.len()],
                        previous: Phase::Waiting,
                        lasted: Duration::ZERO,
                    }
                };
                self.handle(Input::Progressed(follow, event));
            }
            6 if !self.follows.is_empty() => {
                let (follow, deployment) = self.follows.remove(who % self.follows.len());
                let outcome = Outcome {
                    deployment_id: Some(deployment),
                    ..Outcome::new(VERDICTS[how % VERDICTS.len()])
                };
                self.handle(Input::Followed(follow, Box::new(outcome)));
            }
            7 if how < 32 => self.restart(),
            7 => self.handle(Input::ServerDate {
                sent: self.now.at,
                received: self.now.at,
                date: date(act[3]).unwrap_or(self.now.wall),
            }),
            _ => {
                let actions = self.fleet.due(self.now);
                self.perform(actions);
            }
        }
        if let Some(record) = self.fleet.agent(name) {
            assert_eq!(record.name, name);
            let stored = self.stored.get(name).expect("what is known is written");
            assert_eq!(stored.under_way(), record.under_way());
        } else {
            assert!(!self.stored.contains_key(name), "what is written is known");
        }
    }

    fn restart(&mut self) {
        let records = self.stored.values().map(|record| {
            let json = serde_json::to_string(record).expect("a record has a JSON form");
            serde_json::from_str(&json).expect("and reads back")
        });
        self.fleet = Fleet::restore(rules(), records.collect(), Some(self.now.wall));
        self.now.at = Duration::ZERO;
        self.checks.clear();
        self.follows.clear();
    }

    fn handle(&mut self, input: Input) {
        let Step { change, actions } = self.fleet.handle(self.now, input);
        for event in &change.events {
            self.check(event);
        }
        for (name, record) in change.agents {
            match record {
                Some(record) => drop(self.stored.insert(name, *record)),
                None => drop(self.stored.remove(&name)),
            }
        }
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Check { check, .. } => self.checks.push(check),
                Action::Follow {
                    follow,
                    deployment_id,
                    ..
                } => self.follows.push((follow, deployment_id)),
                Action::ReadList(_) | Action::Log(..) => {}
            }
        }
    }

    /// What was started is finished before anything else is started, and before the agent is gone.
    fn check(&mut self, event: &FleetEvent) {
        let open = self.open.entry(event.data.agent.clone()).or_default();
        let deployment = event.data.deployment_id.clone();
        match event.kind {
            EventKind::RolloutStarted => {
                assert_eq!(*open, None, "{event:?}");
                *open = deployment;
            }
            EventKind::RolloutPhaseChanged => assert_eq!(*open, deployment, "{event:?}"),
            EventKind::RolloutFinished => assert_eq!(open.take(), deployment, "{event:?}"),
            EventKind::AgentUnready
            | EventKind::AgentRecovered
            | EventKind::AgentAdded
            | EventKind::AgentRemoved => assert_eq!(*open, None, "{event:?}"),
            // They are about the sidecar itself.
            EventKind::WatcherBlind
            | EventKind::WatcherRecovered
            | EventKind::SinkFailing
            | EventKind::SinkRecovered
            | EventKind::StoreFailing
            | EventKind::StoreRecovered => {}
        }
        assert!(!event.dedup_key.is_empty());
    }
}

fn date(byte: u8) -> Option<Timestamp> {
    let seconds = 1_800_000_000 + i64::from(byte);
    (!byte.is_multiple_of(4)).then(|| Timestamp::from_second(seconds).expect("a time"))
}

fn failure() -> Failure {
    Failure {
        class: FailureClass::Transient { retry_after: None },
        code: "Http500".to_owned(),
        summary: "it broke".to_owned(),
        request_id: None,
    }
}

fn list(act: &[u8]) -> Vec<Service> {
    let listed = AGENTS.iter().enumerate();
    let listed = listed.filter(|(index, _)| act[1] >> index & 1 == 1);
    let services = listed.map(|(index, name)| Service {
        name: (*name).to_owned(),
        id: (act[1] & 8 > 0).then(|| format!("{name}-{}", act[2] & 1)),
        desired_deployment_id: Some(DEPLOYMENTS[usize::from(act[2] >> (2 * index) & 3)].to_owned()),
        reconciled_deployment_id: Some(DEPLOYMENTS[usize::from(act[2] & 3)].to_owned()),
        created_at: date(act[3]),
        ..Service::default()
    });
    services.collect()
}

fn observation(name: &str, act: &[u8]) -> Observation {
    match act[2] % 8 {
        0 => Observation::Absent(None),
        1 => Observation::Failed(failure()),
        how => {
            let desired = Some(DEPLOYMENTS[usize::from(how % 4)].to_owned());
            let details = AgentDetails {
                name: Some(name.to_owned()),
                ready: act[2] & 8 > 0,
                desired_deployment_id: desired.clone(),
                reconciled_deployment_id: desired.clone(),
                created_at: date(act[3] / 16),
                updated_at: date(act[3]),
                deployment: Some(Deployment {
                    id: desired,
                    created_at: date(act[3] / 2),
                    ..Deployment::default()
                }),
                ..AgentDetails::default()
            };
            Observation::Details {
                details: Box::new(details),
                server_time: None,
            }
        }
    }
}
