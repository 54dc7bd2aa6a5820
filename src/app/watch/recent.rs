//! The latest rollouts of agents, as the page shows them, kept in memory: they change only when a rollout ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::Serialize;

use super::shared::lock;
use crate::adapters::store::{Reader, StoreError};
use crate::core::fleet::{RolloutSummary, Stats};
use crate::core::rollout::Verdict;

/// From how many rollouts it is known what is usual.
const USUAL_FROM: usize = 50;
/// How many are shown.
const SHOWN: usize = 10;

/// The latest rollouts of agents, as far as they were asked for.
#[derive(Debug, Default)]
pub(crate) struct RecentRollouts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    agents: HashMap<String, Arc<Recent>>,
    /// Counts what was forgotten: what was read before is not kept.
    forgotten: u64,
}

/// The latest rollouts of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recent {
    /// The oldest first.
    pub(crate) recent_rollouts: Vec<RecentRollout>,
    pub(crate) usual: Usual,
}

/// How a rollout ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecentRollout {
    verdict: Verdict,
    #[cfg_attr(test, schemars(with = "crate::core::tests::schema::Time"))]
    finished_at: Timestamp,
    elapsed_ms: Option<u64>,
    observed_late: bool,
}

/// How long the last fifty rollouts took that became ready; of those that were watched from their beginning.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usual {
    median_ms: Option<u64>,
    p95_ms: Option<u64>,
}

impl RecentRollouts {
    /// The latest rollouts of these agents, in this order.
    pub(crate) fn of(
        &self,
        agents: &[&str],
        reader: &Reader,
    ) -> Result<Vec<Arc<Recent>>, StoreError> {
        let (unknown, forgotten) = {
            let known = lock(&self.0);
            let unknown = agents.iter().copied();
            let unknown = unknown.filter(|agent| !known.agents.contains_key(*agent));
            (unknown.collect::<Vec<_>>(), known.forgotten)
        };
        let read = if unknown.is_empty() {
            Vec::new()
        } else {
            reader.latest(&unknown, USUAL_FROM)?
        };
        let read = read.iter().map(|latest| Arc::new(Recent::of(latest)));
        let read: HashMap<&str, Arc<Recent>> = unknown.iter().copied().zip(read).collect();
        let mut known = lock(&self.0);
        if known.forgotten == forgotten {
            let read = read.iter();
            let read = read.map(|(agent, recent)| ((*agent).to_owned(), Arc::clone(recent)));
            known.agents.extend(read);
        }
        let recent = |agent: &&str| read.get(agent).or(known.agents.get(*agent)).cloned();
        Ok(agents
            .iter()
            .map(|agent| recent(agent).unwrap_or_default())
            .collect())
    }

    /// Another rollout of an agent has ended.
    pub(crate) fn forget(&self, agent: &str) {
        let mut known = lock(&self.0);
        known.agents.remove(agent);
        known.forgotten += 1;
    }
}

impl Recent {
    fn of(latest: &[RolloutSummary]) -> Self {
        let stats = Stats::over_days(latest, 1.0);
        let shown = latest.iter().take(SHOWN).rev();
        Self {
            recent_rollouts: shown
                .map(|rollout| RecentRollout {
                    verdict: rollout.verdict,
                    finished_at: rollout.finished_at,
                    elapsed_ms: rollout.elapsed_ms,
                    observed_late: rollout.observed_late,
                })
                .collect(),
            usual: Usual {
                median_ms: stats.median_ms,
                p95_ms: stats.p95_ms,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::store::{Route, Store};
    use crate::core::fleet::{Change, EventData, EventKind, FleetEvent};

    fn finished(agent: &str, second: i64, verdict: Verdict) -> Change {
        let event = FleetEvent {
            kind: EventKind::RolloutFinished,
            time: Timestamp::from_second(second).unwrap(),
            dedup_key: "key".to_owned(),
            data: EventData {
                agent: agent.to_owned(),
                verdict: Some(verdict),
                elapsed_ms: Some(second.unsigned_abs() * 1000),
                ..EventData::default()
            },
        };
        Change {
            events: vec![event],
            ..Change::default()
        }
    }

    #[test]
    fn rollouts_are_read_once_until_another_one_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let recent = RecentRollouts::default();
        let ended = |recent: &RecentRollouts, store: &Store| {
            let found = recent.of(&["b", "a"], &store.reader()).unwrap();
            let seconds = |recent: &Recent| -> Vec<i64> {
                let all = recent.recent_rollouts.iter();
                all.map(|rollout| rollout.finished_at.as_second()).collect()
            };
            (
                seconds(&found[0]),
                seconds(&found[1]),
                found[1].usual.clone(),
            )
        };
        let write = |store: &mut Store, change| {
            store
                .apply(Timestamp::now(), &change, |_| Route::to(&[]))
                .unwrap();
        };
        for second in 1..=12 {
            write(&mut store, finished("a", second, Verdict::Ready));
        }
        write(&mut store, finished("a", 99, Verdict::Failed));
        let usual = Usual {
            median_ms: Some(6000),
            p95_ms: Some(12_000),
        };
        let ten = [4, 5, 6, 7, 8, 9, 10, 11, 12, 99].to_vec();
        assert_eq!(ended(&recent, &store), (vec![], ten.clone(), usual.clone()));
        write(&mut store, finished("b", 100, Verdict::Ready));
        assert_eq!(ended(&recent, &store).0, [0; 0], "not read again");
        recent.forget("b");
        assert_eq!(ended(&recent, &store), (vec![100], ten, usual));
    }
}
