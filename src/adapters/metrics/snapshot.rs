//! What is, at the moment of a scrape: made afresh each time, so that no series outlives its agent.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::{RolloutsByAgent, process};
use crate::core::fleet::AgentRecord;
use crate::core::rollout::Phase;

/// What is, at the moment of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The agents, by name.
    pub(crate) agents: Vec<AgentRecord>,
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
    /// The sinks, by name.
    pub(crate) sinks: Vec<(String, SinkBacklog)>,
}

/// How much there is for a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SinkBacklog {
    /// Events that are still to be delivered.
    pub(crate) pending: u64,
    /// The age of the oldest of them.
    pub(crate) oldest_age: Option<Duration>,
    /// Events that were given up, and are kept.
    pub(crate) dead_letters: u64,
}

/// A snapshot with what was counted of its agents.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) snapshot: Snapshot,
    pub(super) rollouts: RolloutsByAgent,
    /// The most agents that have series of their own.
    pub(super) max_agents: usize,
}

/// A gauge of one value.
type Total = (
    &'static str,
    Option<Unit>,
    &'static str,
    fn(&Snapshot) -> Option<f64>,
);
/// A gauge of each agent that has a value for it.
type OfAgent = (&'static str, &'static str, fn(&AgentRecord) -> Option<u64>);
/// A gauge of each sink.
type OfSink = (
    &'static str,
    Option<Unit>,
    &'static str,
    fn(&SinkBacklog) -> f64,
);

const TOTALS: &[Total] = &[
    (
        "pipecat_rollout_agents",
        None,
        "Agents that are watched",
        |s| count(s.agents.len()),
    ),
    (
        "pipecat_rollout_agents_missing",
        None,
        "Agents that were named, or listed, and do not exist",
        |s| count(s.missing_agents),
    ),
    (
        "pipecat_rollout_rollouts_in_progress",
        None,
        "Rollouts that are followed",
        |s| count(s.follows),
    ),
    (
        "pipecat_rollout_list_age",
        Some(Unit::Seconds),
        "How long ago the list of agents was read",
        |s| seconds(s.list_age),
    ),
    (
        "pipecat_rollout_list_distrusted",
        None,
        "Whether the list has suddenly lost so many agents that each of them is asked for",
        |s| flag(s.list_distrusted),
    ),
    (
        "pipecat_rollout_details_age",
        Some(Unit::Seconds),
        "How long ago an agent's details were read",
        |s| seconds(s.details_age),
    ),
    (
        "pipecat_rollout_health_check_interval",
        Some(Unit::Seconds),
        "How often agents are checked of which nothing new is known",
        |s| seconds(Some(s.check_interval.0)),
    ),
    (
        "pipecat_rollout_health_check_interval_ratio",
        None,
        "That interval by the configured one: above 1 where the limit on requests stretches it",
        |s| Some(s.check_interval.1),
    ),
    (
        "pipecat_rollout_store_writable",
        None,
        "Whether the store can be written",
        |s| flag(s.store_writable),
    ),
    (
        "pipecat_rollout_unsaved_events",
        None,
        "Events in memory that are still to be written to the store",
        |s| count(s.unsaved_events),
    ),
    (
        "pipecat_rollout_config_reload_successful",
        None,
        "Whether the configuration could be read when it was reloaded last",
        |s| flag(s.config_ok),
    ),
];

const OF_AGENT: &[OfAgent] = &[
    (
        "pipecat_rollout_agent_rolling_out",
        "Whether a rollout is under way",
        |agent| Some(agent.is_rolling_out().into()),
    ),
    (
        "pipecat_rollout_agent_ready",
        "Whether the agent is ready",
        |agent| agent.live.ready.map(u64::from),
    ),
    (
        "pipecat_rollout_agent_available",
        "Whether the agent takes sessions, whichever deployment serves them",
        |agent| agent.live.available.map(u64::from),
    ),
    (
        "pipecat_rollout_agent_ready_replicas",
        "Replicas of the present revision that are ready",
        |agent| agent.live.ready_replicas,
    ),
    (
        "pipecat_rollout_agent_restarts",
        "Restarts of the present revision, over all replicas; a new revision begins at 0",
        |agent| agent.live.restart_count,
    ),
    (
        "pipecat_rollout_agent_sessions",
        "Sessions under way",
        |agent| agent.live.sessions,
    ),
];

const OF_SINK: &[OfSink] = &[
    (
        "pipecat_rollout_outbox_pending",
        None,
        "Events that are still to be delivered",
        |sink| float(sink.pending),
    ),
    (
        "pipecat_rollout_outbox_oldest_age",
        Some(Unit::Seconds),
        "The age of the oldest event that is still to be delivered, 0 without any",
        |sink| sink.oldest_age.unwrap_or_default().as_secs_f64(),
    ),
    (
        "pipecat_rollout_dead_letters",
        None,
        "Events kept whose delivery was given up",
        |sink| float(sink.dead_letters),
    ),
];

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = &self.snapshot;
        for (name, unit, help, value) in TOTALS {
            if let Some(value) = value(snapshot) {
                let metric =
                    encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
                gauge(metric, value)?;
            }
        }
        for (name, unit, help, value) in OF_SINK {
            let values = snapshot.sinks.iter();
            let values = values.map(|(sink, backlog)| ([("sink", sink.as_str())], value(backlog)));
            gauges(&mut encoder, name, unit.as_ref(), help, values)?;
        }
        let agents = &snapshot.agents[..snapshot.agents.len().min(self.max_agents)];
        let without = snapshot.agents.len() - agents.len();
        let metric = encoder.encode_descriptor(
            "pipecat_rollout_agents_without_series",
            "Agents beyond the limit, which have no series of their own",
            None,
            MetricType::Gauge,
        )?;
        gauge(metric, float(without as u64))?;
        self.encode_agents(&mut encoder, agents)?;
        process::encode(&mut encoder)
    }
}

impl Scrape {
    fn encode_agents(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        agents: &[AgentRecord],
    ) -> fmt::Result {
        let help = "Where an agent is deployed";
        let mut metric =
            encoder.encode_descriptor("pipecat_rollout_agent", help, None, MetricType::Info)?;
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
        let help = "1 for the phase that the agent's present deployment is in, 0 for the others";
        gauges(
            encoder,
            "pipecat_rollout_agent_phase",
            None,
            help,
            phases.flatten(),
        )?;
        for (name, help, value) in OF_AGENT {
            let values = agents
                .iter()
                .filter_map(|agent| Some(([("agent", agent.name.as_str())], float(value(agent)?))));
            gauges(encoder, name, None, help, values)?;
        }
        let help = "Rollouts of an agent that have ended";
        let mut metric = encoder.encode_descriptor(
            "pipecat_rollout_agent_rollouts",
            help,
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

fn gauges<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    unit: Option<&Unit>,
    help: &str,
    values: impl Iterator<Item = (L, f64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in values {
        gauge(metric.encode_family(&labels)?, value)?;
    }
    Ok(())
}

/// A value, without a fraction where it has none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what has no fraction here is small"
)]
fn gauge(mut metric: MetricEncoder<'_>, value: f64) -> fmt::Result {
    if value.fract() == 0.0 {
        metric.encode_gauge(&(value as i64))
    } else {
        metric.encode_gauge(&value)
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a value of a table of optional ones"
)]
fn count(count: usize) -> Option<f64> {
    Some(float(count as u64))
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a value of a table of optional ones"
)]
fn flag(flag: bool) -> Option<f64> {
    Some(f64::from(u8::from(flag)))
}

#[expect(clippy::cast_precision_loss, reason = "nothing is counted to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
