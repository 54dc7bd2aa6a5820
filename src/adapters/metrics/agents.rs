//! The series of single agents: made afresh for every scrape of what is known, so that those of an
//! agent that is gone cannot stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::core::fleet::AgentView;
use crate::core::rollout::{Phase, Verdict};

/// What is known of the agents.
#[derive(Debug)]
pub(super) struct Agents {
    /// The most that have series of their own.
    limit: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Those that have series of their own.
    shown: BTreeMap<String, Shown>,
    /// Those beyond the limit.
    beyond: BTreeSet<String>,
}

/// An agent as its series tell of it.
#[derive(Debug, Clone, Default)]
struct Shown {
    region: Option<String>,
    phase: Option<Phase>,
    rolling_out: bool,
    ready: Option<bool>,
    available: Option<bool>,
    ready_replicas: Option<u64>,
    restart_count: Option<u64>,
    rollouts: BTreeMap<&'static str, u64>,
}

impl Agents {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            known: Mutex::default(),
        }
    }

    /// How an agent stands now.
    pub(super) fn stands(&self, view: &AgentView) {
        let mut known = self.lock();
        let name = &view.record.name;
        if !known.shown.contains_key(name) && known.shown.len() >= self.limit {
            if !known.beyond.contains(name) {
                known.beyond.insert(name.clone());
            }
            return;
        }
        known.beyond.remove(name);
        let shown = known.shown.entry(name.clone()).or_default();
        *shown = Shown {
            region: view.record.region.clone(),
            phase: view.phase,
            rolling_out: view.is_rolling_out(),
            ready: view.ready,
            available: view.available,
            ready_replicas: view.ready_replicas,
            restart_count: view.restart_count,
            rollouts: std::mem::take(&mut shown.rollouts),
        };
    }

    /// A rollout of an agent has ended; of one without series it is counted in the totals alone.
    pub(super) fn rollout(&self, name: &str, verdict: Verdict) {
        if let Some(shown) = self.lock().shown.get_mut(name) {
            *shown.rollouts.entry(verdict.as_str()).or_default() += 1;
        }
    }

    /// An agent is gone. Its place falls to the next one beyond the limit that is heard of.
    pub(super) fn gone(&self, name: &str) {
        let mut known = self.lock();
        known.shown.remove(name);
        known.beyond.remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Agents {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A copy: nobody waits while thousands of lines are written.
        let (shown, beyond) = {
            let known = self.lock();
            (known.shown.clone(), known.beyond.len())
        };
        total(
            &mut encoder,
            "agents",
            "Agents that are watched",
            shown.len() + beyond,
        )?;
        total(
            &mut encoder,
            "agents_without_series",
            "Agents beyond the limit, which have no series of their own",
            beyond,
        )?;
        infos(&mut encoder, &shown)?;
        phases(&mut encoder, &shown)?;
        rollouts(&mut encoder, &shown)?;
        for gauge in GAUGES {
            gauge.encode(&mut encoder, &shown)?;
        }
        Ok(())
    }
}

type Series = BTreeMap<String, Shown>;

/// A gauge of each agent that has a value for it.
struct AgentGauge {
    name: &'static str,
    help: &'static str,
    value: fn(&Shown) -> Option<u64>,
}

const GAUGES: [AgentGauge; 5] = [
    AgentGauge {
        name: "agent_rolling_out",
        help: "Whether a rollout is under way",
        value: |agent| Some(agent.rolling_out.into()),
    },
    AgentGauge {
        name: "agent_ready",
        help: "Whether the agent is ready",
        value: |agent| agent.ready.map(u64::from),
    },
    AgentGauge {
        name: "agent_available",
        help: "Whether the agent takes sessions, whichever deployment serves them",
        value: |agent| agent.available.map(u64::from),
    },
    AgentGauge {
        name: "agent_ready_replicas",
        help: "Replicas of the present revision that are ready",
        value: |agent| agent.ready_replicas,
    },
    AgentGauge {
        name: "agent_restarts",
        help: "Restarts of the present revision, over all replicas; a new revision begins at 0",
        value: |agent| agent.restart_count,
    },
];

impl AgentGauge {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>, agents: &Series) -> fmt::Result {
        let values = agents.iter().filter_map(|(name, agent)| {
            let value = (self.value)(agent)?;
            Some(([("agent", name.as_str())], value))
        });
        gauges(encoder, self.name, self.help, values)
    }
}

fn total(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, count: usize) -> fmt::Result {
    encoder
        .encode_descriptor(name, help, None, MetricType::Gauge)?
        .encode_gauge(&count)
}

fn infos(encoder: &mut DescriptorEncoder<'_>, agents: &Series) -> fmt::Result {
    let help = "Where an agent is deployed";
    let mut metric = encoder.encode_descriptor("agent", help, None, MetricType::Info)?;
    for (name, agent) in agents {
        let region = agent.region.as_deref().unwrap_or_default();
        metric.encode_info(&[("agent", name.as_str()), ("region", region)])?;
    }
    Ok(())
}

/// A state set: 1 for the present phase, 0 for the others, and nothing before one is known.
fn phases(encoder: &mut DescriptorEncoder<'_>, agents: &Series) -> fmt::Result {
    let states = agents.iter().filter_map(|(name, agent)| {
        let present = agent.phase?;
        Some(Phase::ALL.iter().map(move |phase| {
            let labels = [("agent", name.as_str()), ("phase", phase.as_str())];
            (labels, u64::from(*phase == present))
        }))
    });
    let help = "1 for the phase that the agent's present deployment is in, 0 for the others";
    gauges(encoder, "agent_phase", help, states.flatten())
}

fn rollouts(encoder: &mut DescriptorEncoder<'_>, agents: &Series) -> fmt::Result {
    let help = "Rollouts of an agent that have ended";
    let mut metric =
        encoder.encode_descriptor("agent_rollouts", help, None, MetricType::Counter)?;
    for (name, agent) in agents {
        for (verdict, count) in &agent.rollouts {
            metric
                .encode_family(&[("agent", name.as_str()), ("verdict", verdict)])?
                .encode_counter::<NoLabelSet, u64, f64>(count, None)?;
        }
    }
    Ok(())
}

fn gauges<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}
