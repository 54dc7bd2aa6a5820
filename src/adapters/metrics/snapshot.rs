//! What is, at the moment of a scrape: made afresh each time, so that no series outlives its agent.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::RolloutsByAgent;
use crate::core::fleet::{AgentRecord, Backlog, Live};
use crate::core::rollout::Phase;

/// What is, at the moment of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The agents, by name.
    pub(crate) agents: Vec<Series>,
    /// How many agents were named that do not exist.
    pub(crate) missing_agents: usize,
    /// How many rollouts are followed.
    pub(crate) follows: usize,
    /// How long ago the list was read; none where it never was.
    pub(crate) list_age: Option<Duration>,
    /// Whether the list has suddenly lost so many agents that it is not trusted.
    pub(crate) list_distrusted: bool,
    /// How long ago an agent's details were read; none where they never were.
    pub(crate) details_age: Option<Duration>,
    /// How often agents are checked, and how many times the configured interval that is.
    pub(crate) check_interval: (Duration, f64),
    /// Whether the store can be written.
    pub(crate) store_writable: bool,
    /// How many events wait to be written.
    pub(crate) unsaved_events: usize,
    /// Whether the configuration could be read when it was reloaded last.
    pub(crate) config_ok: bool,
    /// How many mutes hold.
    pub(crate) mutes: usize,
    /// The sinks, by name.
    pub(crate) sinks: BTreeMap<String, Backlog>,
    /// This moment.
    pub(crate) now: Timestamp,
}

/// What the series of an agent show.
#[derive(Debug)]
pub(crate) struct Series {
    pub(super) name: String,
    region: Option<String>,
    pub(super) is_rolling_out: bool,
    pub(super) live: Live,
}

impl From<&AgentRecord> for Series {
    fn from(agent: &AgentRecord) -> Self {
        Self {
            name: agent.name.clone(),
            region: agent.region.clone(),
            is_rolling_out: agent.under_way().is_some(),
            live: agent.live.clone(),
        }
    }
}

/// A snapshot with what was counted of its agents.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) snapshot: Snapshot,
    pub(super) rollouts: RolloutsByAgent,
    /// The most agents that have series of their own.
    pub(super) max_agents: usize,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Gauges(encoder);
        self.encode_totals(&mut out)?;
        let agents = &self.snapshot.agents;
        self.encode_agents(&mut out, &agents[..agents.len().min(self.max_agents)])
    }
}

impl Scrape {
    fn encode_totals(&self, out: &mut Gauges<'_>) -> fmt::Result {
        let snapshot = &self.snapshot;
        let agents = snapshot.agents.len();
        out.count("agents", "Agents that are watched", agents)?;
        out.count(
            "agents_missing",
            "Agents that were named, or listed, and do not exist",
            snapshot.missing_agents,
        )?;
        out.count(
            "agents_without_series",
            "Agents beyond the limit, which have no series of their own",
            agents.saturating_sub(self.max_agents),
        )?;
        out.count(
            "rollouts_in_progress",
            "Rollouts that are followed",
            snapshot.follows,
        )?;
        out.seconds(
            "list_age",
            "How long ago the list of agents was read",
            snapshot.list_age,
        )?;
        out.count(
            "list_distrusted",
            "Whether the list has suddenly lost so many agents that each of them is asked for",
            snapshot.list_distrusted.into(),
        )?;
        out.seconds(
            "details_age",
            "How long ago an agent's details were read",
            snapshot.details_age,
        )?;
        let (interval, ratio) = snapshot.check_interval;
        out.seconds(
            "health_check_interval",
            "How often agents are checked of which nothing new is known, late checks included",
            Some(interval),
        )?;
        out.each(
            "health_check_interval_ratio",
            None,
            "That interval by the configured one: above 1 where the limit on requests, or a slow API, stretches it",
            [([], ratio)],
        )?;
        out.count(
            "store_writable",
            "Whether the store can be written",
            snapshot.store_writable.into(),
        )?;
        out.count(
            "unsaved_events",
            "Events in memory that are still to be written to the store",
            snapshot.unsaved_events,
        )?;
        out.count(
            "config_reload_successful",
            "Whether the configuration could be read when it was reloaded last",
            snapshot.config_ok.into(),
        )?;
        out.count("mutes", "Mutes that hold", snapshot.mutes)?;
        let sinks = |value: fn(&Backlog, Timestamp) -> f64| {
            let sinks = snapshot.sinks.iter();
            sinks.map(move |(sink, one)| ([("sink", sink.as_str())], value(one, snapshot.now)))
        };
        out.each(
            "outbox_pending",
            None,
            "Events that are still to be delivered",
            sinks(|sink, _| float(sink.pending)),
        )?;
        out.each(
            "outbox_oldest_age",
            Some(&Unit::Seconds),
            "The age of the oldest event that is still to be delivered, 0 without any",
            sinks(|sink, now| {
                let age = sink.oldest.map(|oldest| now.duration_since(oldest));
                age.map_or(0.0, |age| age.as_secs_f64().max(0.0))
            }),
        )?;
        out.each(
            "dead_letters",
            None,
            "Events kept whose delivery was abandoned",
            sinks(|sink, _| float(sink.dead_letters)),
        )
    }

    fn encode_agents(&self, out: &mut Gauges<'_>, agents: &[Series]) -> fmt::Result {
        let mut metric = out.0.encode_descriptor(
            "agent",
            "Where an agent is deployed",
            None,
            MetricType::Info,
        )?;
        for agent in agents {
            let region = agent.region.as_deref().unwrap_or_default();
            metric.encode_info(&[("agent", agent.name.as_str()), ("region", region)])?;
        }
        let phases = agents.iter().filter_map(|agent| {
            let present = agent.live.phase?;
            Some(Phase::ALL.iter().map(move |&phase| {
                let labels = [("agent", agent.name.as_str()), ("phase", phase.as_str())];
                (labels, f64::from(u8::from(phase == present)))
            }))
        });
        out.each(
            "agent_phase",
            None,
            "1 for the phase that the agent's present deployment is in, 0 for the others",
            phases.flatten(),
        )?;
        for (name, help, value) in OF_AGENT {
            let values = agents
                .iter()
                .filter_map(|agent| Some(([("agent", agent.name.as_str())], float(value(agent)?))));
            out.each(name, None, help, values)?;
        }
        let mut metric = out.0.encode_descriptor(
            "agent_rollouts",
            "Rollouts of an agent that have ended",
            None,
            MetricType::Counter,
        )?;
        for agent in agents {
            for (verdict, count) in self.rollouts.get(&agent.name).into_iter().flatten() {
                metric
                    .encode_family(&[("agent", agent.name.as_str()), ("verdict", verdict)])?
                    .encode_counter::<NoLabelSet, u64, f64>(count, None)?;
            }
        }
        Ok(())
    }
}

/// A gauge of each agent that has a value for it.
type OfAgent = (&'static str, &'static str, fn(&Series) -> Option<u64>);

const OF_AGENT: &[OfAgent] = &[
    (
        "agent_rolling_out",
        "Whether a rollout is under way",
        |agent| Some(agent.is_rolling_out.into()),
    ),
    ("agent_ready", "Whether the agent is ready", |agent| {
        agent.live.ready.map(u64::from)
    }),
    (
        "agent_available",
        "Whether the agent takes sessions, whichever deployment serves them",
        |agent| agent.live.available.map(u64::from),
    ),
    (
        "agent_ready_replicas",
        "Replicas of the present revision that are ready",
        |agent| agent.live.ready_replicas,
    ),
    (
        "agent_restarts",
        "Restarts of the present revision, over all replicas; a new revision begins at 0",
        |agent| agent.live.restart_count,
    ),
    ("agent_sessions", "Sessions under way", |agent| {
        agent.live.sessions
    }),
];

/// Writes gauges.
struct Gauges<'a>(DescriptorEncoder<'a>);

impl Gauges<'_> {
    fn count(&mut self, name: &str, help: &str, count: usize) -> fmt::Result {
        self.each(name, None, help, [([], float(count as u64))])
    }

    fn seconds(&mut self, name: &str, help: &str, time: Option<Duration>) -> fmt::Result {
        match time {
            Some(time) => self.each(name, Some(&Unit::Seconds), help, [([], time.as_secs_f64())]),
            None => Ok(()),
        }
    }

    /// A gauge with a value for each of these labels. A value has no fraction where it needs none.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what has no fraction here is small"
    )]
    fn each<'label, const LABELS: usize>(
        &mut self,
        name: &str,
        unit: Option<&Unit>,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, &'label str); LABELS], f64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in values {
            let mut metric = metric.encode_family(&labels)?;
            if value.fract() == 0.0 {
                metric.encode_gauge(&(value as i64))?;
            } else {
                metric.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "nothing is counted to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
