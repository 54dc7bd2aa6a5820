//! Any sequence of lists, rollouts, looks and restarts: one id never stands for two things, an agent's
//! rollouts are told from start to finish, and who is gone is gone.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pipecat_rollout::fleet::{AgentRecord, Change, Fleet, Look, NoticeKind};
use pipecat_rollout::rollout::{Event, Outcome, Phase, Verdict};
use pipecat_rollout::wire::Service;

const NAMES: [&str; 3] = ["a", "b", "c"];
const DEPLOYMENTS: [&str; 4] = ["d1", "d2", "d3", "d4"];
const PHASES: [Phase; 4] = [Phase::Reconciling, Phase::Creating, Phase::Validating, Phase::Active];
const VERDICTS: [Verdict; 6] = [
    Verdict::Ready,
    Verdict::Failed,
    Verdict::Superseded,
    Verdict::Timeout,
    Verdict::Unavailable,
    Verdict::NotFound,
];

/// What was written down and told.
#[derive(Default)]
struct World {
    records: BTreeMap<String, AgentRecord>,
    told: BTreeMap<String, (NoticeKind, String)>,
    /// The rollout that each agent has begun and not ended.
    open: BTreeMap<String, Option<String>>,
}

impl World {
    fn apply(&mut self, change: Change) {
        for name in &change.removed {
            self.records.remove(name);
            self.open.remove(name);
        }
        for record in change.agents {
            self.records.insert(record.name.clone(), record);
        }
        for notice in change.notices {
            let told = (notice.kind, notice.data.agent.clone());
            if let Some(known) = self.told.insert(notice.id.clone(), told.clone()) {
                assert_eq!(known, told, "one id for two things: {}", notice.id);
            }
            let open = self.open.entry(notice.data.agent.clone()).or_default();
            match notice.kind {
                NoticeKind::RolloutStarted => {
                    assert!(open.is_none(), "begun twice: {}", notice.id);
                    open.clone_from(&notice.data.deployment_id);
                }
                NoticeKind::RolloutPhaseChanged => {
                    assert_eq!(*open, notice.data.deployment_id, "{}", notice.id);
                }
                NoticeKind::RolloutFinished => {
                    assert_eq!(open.take(), notice.data.deployment_id, "{}", notice.id);
                }
                _ => {}
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut world = World::default();
    let mut fleet = Fleet::restore(Vec::new());
    let mut followed: BTreeSet<String> = BTreeSet::new();
    for (second, word) in bytes.chunks_exact(2).enumerate() {
        let now = Timestamp::from_second(1_800_000_000 + second as i64).unwrap();
        let (what, which) = (word[0], word[1]);
        let name = NAMES[usize::from(which) % 3];
        let deployment = DEPLOYMENTS[usize::from(which / 4) % 4];
        match what % 8 {
            0 | 1 => {
                let services = NAMES.iter().enumerate().filter(|(bit, _)| which >> bit & 1 == 1);
                let services: Vec<Service> = services
                    .map(|(bit, name)| Service {
                        id: Some(format!("id{}", what >> 7)),
                        name: Some((*name).to_owned()),
                        desired_deployment_id: Some(
                            DEPLOYMENTS[usize::from(which >> (3 + bit)) % 4].to_owned(),
                        ),
                        reconciled_deployment_id: Some("d1".to_owned()),
                        updated_at: (what & 8 == 0)
                            .then(|| Timestamp::from_second(i64::from(what >> 4)).unwrap()),
                        ..Service::default()
                    })
                    .collect();
                let step = fleet.on_list(now, &services);
                // Another agent under the same name is followed anew.
                for gone in &step.change.removed {
                    followed.remove(gone);
                }
                for begin in &step.begin {
                    assert!(followed.insert(begin.agent.clone()), "followed twice");
                }
                world.apply(step.change);
            }
            2 if followed.contains(name) => {
                let event = Event::TargetFound {
                    deployment_id: deployment.to_owned(),
                };
                world.apply(fleet.happened(now, name, &event));
            }
            3 if followed.contains(name) => {
                let event = Event::PhaseChanged {
                    phase: PHASES[usize::from(which / 4) % 4],
                    previous: Phase::Waiting,
                    lasted: Duration::ZERO,
                };
                world.apply(fleet.happened(now, name, &event));
            }
            4 if followed.remove(name) => {
                let outcome = Outcome {
                    verdict: VERDICTS[usize::from(what / 8) % VERDICTS.len()],
                    reason: None,
                    deployment_id: Some(deployment.to_owned()),
                    baseline_deployment_id: None,
                    available: None,
                    revision_unchanged: false,
                    revision: None,
                    elapsed: Duration::from_secs(1),
                    phases: Vec::new(),
                    polls: 1,
                    failed_polls: 0,
                };
                world.apply(fleet.ended(now, name, &outcome));
            }
            5 | 6 => {
                let look = match which / 4 % 3 {
                    0 => Look::Ready,
                    1 => Look::NotReady(None),
                    _ => Look::Unknown,
                };
                let (change, _) = fleet.looked(now, name, look);
                world.apply(change);
            }
            7 if which % 4 == 0 => {
                // What was written down is all that is left.
                fleet = Fleet::restore(world.records.values().cloned().collect());
                followed.clear();
            }
            _ => {}
        }
    }
});
