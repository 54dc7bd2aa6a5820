//! What the endpoints may see: agents, heartbeats, the last good answer, the state of the store.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::app::watch::http::{AgentsQuery, Liveness, LoopBeat, Page, Readiness};
use crate::core::fleet::AgentView;
use crate::core::fleet::old::AgentRecord;

/// What the endpoints may see, shared by all who know something.
#[derive(Debug)]
pub(crate) struct Board {
    limits: BeatLimits,
    /// How old the last good answer may be.
    answer_limit: Duration,
    shown: Mutex<Shown>,
}

/// A loop that has to show that it is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Beat {
    /// The one that reads the list.
    List,
    /// The one that decides.
    Agents,
    /// The one of a sink.
    Sink(usize),
}

/// How long each loop may take between two beats.
#[derive(Debug, Clone, Copy)]
struct BeatLimits {
    list: Duration,
    agents: Duration,
    delivery: Duration,
}

#[derive(Debug)]
struct Shown {
    agents: BTreeMap<String, AgentView>,
    beats: BTreeMap<Beat, Instant>,
    answered_at: Option<Instant>,
    store: Result<(), String>,
}

impl Board {
    /// A board of a sidecar that reads the list once an `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        const SLACK: Duration = Duration::from_mins(2);
        Self {
            limits: BeatLimits {
                // Patience that the server asked for is no fault of the loop's.
                list: interval + Duration::from_hours(1) + SLACK,
                agents: SLACK,
                delivery: SLACK,
            },
            answer_limit: (interval * 4).max(Duration::from_mins(1)),
            shown: Mutex::new(Shown {
                agents: BTreeMap::new(),
                beats: BTreeMap::new(),
                answered_at: None,
                store: Ok(()),
            }),
        }
    }

    /// A loop is alive.
    pub(crate) fn beat(&self, beat: Beat) {
        self.lock().beats.insert(beat, Instant::now());
    }

    /// A loop has ended as it should.
    pub(crate) fn rest(&self, beat: Beat) {
        self.lock().beats.remove(&beat);
    }

    /// The API has given a good answer.
    pub(crate) fn answered(&self) {
        self.lock().answered_at = Some(Instant::now());
    }

    /// Whether the store could be written; tells whether that is news.
    pub(super) fn store_works(&self, works: Result<(), String>) -> bool {
        let mut shown = self.lock();
        let news = shown.store != works;
        shown.store = works;
        news
    }

    /// Shows an agent.
    pub(super) fn show(&self, view: AgentView) {
        self.lock().agents.insert(view.record.name.clone(), view);
    }

    /// Shows how an agent stands, beside what the last answer said.
    pub(super) fn stand(&self, record: AgentRecord) {
        let mut shown = self.lock();
        let name = record.name.clone();
        if let Some(view) = shown.agents.get_mut(&name) {
            view.record = record;
        } else {
            shown.agents.insert(name, AgentView::remembered(record));
        }
    }

    /// Shows what an answer said of an agent, if it is known.
    pub(super) fn update(&self, name: &str, change: impl FnOnce(&mut AgentView)) {
        if let Some(view) = self.lock().agents.get_mut(name) {
            change(view);
        }
    }

    pub(super) fn remove(&self, name: &str) {
        self.lock().agents.remove(name);
    }

    pub(super) fn agent(&self, name: &str) -> Option<AgentView> {
        self.lock().agents.get(name).cloned()
    }

    pub(super) fn liveness(&self) -> Liveness {
        let shown = self.lock();
        let oldest = |of: fn(&Beat) -> bool| {
            let beats = shown.beats.iter().filter(|(beat, _)| of(beat));
            beats.map(|(_, at)| at.elapsed()).max()
        };
        let loops = [
            ("list", oldest(|beat| *beat == Beat::List), self.limits.list),
            (
                "agents",
                oldest(|beat| *beat == Beat::Agents),
                self.limits.agents,
            ),
            (
                "delivery",
                oldest(|beat| matches!(beat, Beat::Sink(_))),
                self.limits.delivery,
            ),
        ];
        let loops = loops.into_iter().filter_map(|(name, age, limit)| {
            let age = age?;
            Some(LoopBeat { name, age, limit })
        });
        Liveness {
            loops: loops.collect(),
        }
    }

    pub(super) fn readiness(&self) -> Readiness {
        let shown = self.lock();
        Readiness {
            last_good_answer_age: shown.answered_at.map(|at| at.elapsed()),
            limit: self.answer_limit,
            store: shown.store.clone(),
        }
    }

    pub(super) fn page(&self, query: &AgentsQuery) -> Page<AgentView, String> {
        let shown = self.lock();
        let after = query.after.as_deref();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = shown
            .agents
            .range::<str, _>((after, Bound::Unbounded))
            .map(|(_, view)| view);
        let items: Vec<AgentView> = rest.by_ref().take(query.limit).cloned().collect();
        let more = rest.next().is_some();
        let next = items
            .last()
            .filter(|_| more)
            .map(|view| view.record.name.clone());
        Page { items, next }
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
