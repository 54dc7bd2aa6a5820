//! A sidecar's life: lists, rollouts and looks in any order, and a restart at any point.
//!
//! The bytes are acts, four to each: what happens, to which agent, and two that say how. What is
//! told must be in order, and told once: no id ever comes twice, also after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use pipecat_rollout::fuzzing::fleet::{
    AgentRecord, Change, Fleet, Look, Notice, NoticeKind, Standing,
};
use pipecat_rollout::fuzzing::rollout::{Event, Interruption, Outcome, Phase, Reason, Verdict};
use pipecat_rollout::fuzzing::wire::Service;

const AGENTS: [&str; 3] = ["a", "b", "c"];
const DEPLOYMENTS: [&str; 4] = ["d1", "d2", "d3", "d4"];
/// The most restarts that are tried of one life: each is lived to its end.
const MOST_RESTARTS: usize = 4;
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
    let acts: Vec<&[u8]> = data.chunks_exact(4).take(96).collect();
    let mut life = Life::new(Fleet::restore(Vec::new()));
    let mut stored = BTreeMap::new();
    let mut restarts = 0;
    for (i, act) in (0_i64..).zip(&acts) {
        // What is told of a change is stored with it, and a restart finds no more than that.
        let change = life.act(i, act);
        store(&mut stored, &change);
        life.check(&change, &stored);
        if act[0] >= 0xe0 && restarts < MOST_RESTARTS {
            restarts += 1;
            let records: Vec<AgentRecord> = stored.values().cloned().collect();
            let mut other = life.restarted(records);
            let mut stored = stored.clone();
            for (i, act) in (0_i64..).zip(&acts).skip_while(|(other, _)| *other <= i) {
                let change = other.act(i, act);
                store(&mut stored, &change);
                other.check(&change, &stored);
            }
        }
    }
}

fn store(stored: &mut BTreeMap<String, AgentRecord>, change: &Change) {
    for name in &change.removed {
        stored.remove(name);
    }
    for record in &change.agents {
        stored.insert(record.name.clone(), record.clone());
    }
}

/// A fleet, and what was told of it.
#[derive(Clone)]
struct Life {
    fleet: Fleet,
    /// The ids of what was told.
    told: BTreeSet<String>,
    /// Rollouts that were begun, by the agent, with the last word on each.
    rollouts: BTreeMap<String, NoticeKind>,
    /// Agents that are followed, and to which deployment.
    followed: BTreeMap<String, String>,
}

impl Life {
    fn new(fleet: Fleet) -> Self {
        Self {
            fleet,
            told: BTreeSet::new(),
            rollouts: BTreeMap::new(),
            followed: BTreeMap::new(),
        }
    }

    /// The same life after a restart with what was stored.
    fn restarted(&self, records: Vec<AgentRecord>) -> Self {
        Self {
            fleet: Fleet::restore(records),
            followed: BTreeMap::new(),
            ..self.clone()
        }
    }

    fn act(&mut self, i: i64, act: &[u8]) -> Change {
        let now = Timestamp::from_second(1_800_000_000 + i).expect("a time");
        let name = AGENTS[usize::from(act[1]) % AGENTS.len()];
        let how = usize::from(act[2]);
        // A rollout is followed to the deployment that it was begun for, and to no other.
        match (act[0] % 8, self.followed.get(name).cloned()) {
            (0..=2, _) => self.list(now, act),
            (3, Some(deployment_id)) => {
                let event = Event::TargetFound {
                    deployment_id,
                    created_at: None,
                };
                self.fleet.happened(now, name, &event)
            }
            (4, Some(_)) => {
                let event = Event::PhaseChanged {
                    phase: Phase::ALL[how % Phase::ALL.len()],
                    previous: Phase::Waiting,
                    lasted: Duration::ZERO,
                };
                self.fleet.happened(now, name, &event)
            }
            (5, Some(target)) => {
                self.followed.remove(name);
                let verdict = VERDICTS[usize::from(act[3]) % VERDICTS.len()];
                self.fleet.ended(now, name, &outcome(target, verdict))
            }
            (6, _) => self.fleet.looked(now, name, look(act[2])).0,
            (7, _) => {
                // An outage, with the looks that confirm it.
                let mut change = Change::default();
                for _ in 0..3 {
                    change.append(self.fleet.looked(now, name, look(1)).0);
                }
                change
            }
            _ => Change::default(),
        }
    }

    fn list(&mut self, now: Timestamp, act: &[u8]) -> Change {
        let services: Vec<Service> = AGENTS
            .iter()
            .enumerate()
            .map(|(i, name)| service(i, name, act))
            .collect();
        let shown: Vec<Service> = services
            .into_iter()
            .enumerate()
            .filter(|(i, _)| act[1] >> i & 1 == 0)
            .map(|(_, s)| s)
            .collect();
        let step = self.fleet.on_list(now, &shown);
        for name in &step.change.removed {
            self.followed.remove(name);
        }
        for begin in step.begin {
            let followed = self.followed.insert(begin.agent, begin.deployment_id);
            assert_eq!(followed, None, "it is followed twice");
        }
        step.change
    }

    fn check(&mut self, change: &Change, stored: &BTreeMap<String, AgentRecord>) {
        for notice in &change.notices {
            self.ordered(notice);
            let is_new = self.told.insert(notice.id.clone());
            assert!(is_new, "{} is told twice", notice.id);
        }
        let known: Vec<&AgentRecord> = self.fleet.agents().collect();
        let names: Vec<&str> = known.iter().map(|record| record.name.as_str()).collect();
        let present = stored
            .values()
            .filter(|record| record.gone_at.is_none())
            .map(|record| record.name.as_str());
        assert!(names.iter().copied().eq(present), "{names:?}");
        for record in known {
            // What the list alone shows is stored with the next change.
            let stored = AgentRecord {
                updated_at: record.updated_at,
                ..stored[&record.name].clone()
            };
            assert_eq!(*record, stored);
        }
        for rollout in &change.rollouts {
            assert!(rollout.finished_at >= rollout.started_at);
        }
        assert_eq!(
            change.rollouts.len(),
            change
                .notices
                .iter()
                .filter(|n| n.kind == NoticeKind::RolloutFinished)
                .count()
        );
    }

    /// Of an agent, a rollout is started before its phases, and nothing follows its end.
    fn ordered(&mut self, notice: &Notice) {
        use NoticeKind::{
            AgentRecovered, AgentRemoved, AgentUnready, RolloutFinished, RolloutPhaseChanged,
            RolloutStarted,
        };
        let agent = notice.data.agent.clone();
        let under_way = self.rollouts.contains_key(&agent);
        match notice.kind {
            RolloutStarted => {
                assert!(!under_way, "{} within another", notice.id);
                self.rollouts.insert(agent, notice.kind);
            }
            RolloutPhaseChanged => assert!(under_way, "{} before the start", notice.id),
            RolloutFinished => {
                assert!(under_way, "{} before the start", notice.id);
                self.rollouts.remove(&agent);
            }
            AgentRemoved => {
                self.rollouts.remove(&agent);
            }
            AgentUnready | AgentRecovered => assert!(!under_way, "{} within a rollout", notice.id),
            NoticeKind::AgentAdded => assert!(!under_way),
        }
        let record = self.fleet.agent(&notice.data.agent);
        let rolls =
            record.is_some_and(|record| matches!(record.standing, Standing::RollingOut { .. }));
        assert!(notice.kind != RolloutPhaseChanged || rolls);
    }
}

fn service(i: usize, name: &str, act: &[u8]) -> Service {
    let deployment = |bits: u8| DEPLOYMENTS[usize::from(bits) % DEPLOYMENTS.len()].to_owned();
    let desired = deployment(act[2] >> (2 * i));
    let reconciled = deployment(act[3] >> (2 * i));
    // One agent may be made anew under its name; of one the platform tells when it changed.
    let id = if i == 0 && act[3] & 0x40 != 0 {
        "again"
    } else {
        "once"
    };
    let updated = (i == 1).then(|| Timestamp::from_second(i64::from(act[3] >> 4)).ok());
    Service {
        id: Some(format!("{name}-{id}")),
        name: Some(name.to_owned()),
        desired_deployment_id: Some(desired),
        reconciled_deployment_id: Some(reconciled),
        updated_at: updated.flatten(),
        ..Service::default()
    }
}

fn outcome(deployment: String, verdict: Verdict) -> Outcome {
    Outcome {
        reason: (verdict != Verdict::Ready).then(reason),
        deployment_id: Some(deployment),
        available: Some(true),
        elapsed: Duration::from_secs(5),
        polls: 3,
        ..Outcome::new(verdict)
    }
}

fn reason() -> Reason {
    Reason {
        code: "Why".to_owned(),
        summary: "because".to_owned(),
        message: None,
    }
}

fn look(byte: u8) -> Look {
    match byte % 3 {
        0 => Look::Ready,
        1 => Look::NotReady(Some(reason())),
        _ => Look::Unknown,
    }
}
