//! What the sidecar measures, in the OpenMetrics format.
//!
//! Every name, with its labels, is documented in `config/metrics.md`; a test compares the two. The
//! labels are bounded: words of ours, sinks of the configuration, and agents up to a limit. A
//! series of an agent goes with the agent.

mod agents;
mod outcome;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::agents::Agents;
pub(crate) use self::outcome::DeliveryOutcome;
use crate::core::fleet::{AgentView, RolloutRecord};
use crate::core::rollout::Verdict;
use crate::core::wire::RequestOutcome;

/// What every name begins with.
const PREFIX: &str = "pipecat_rollout";
/// The most agents that have series of their own, unless another limit is given.
pub(crate) const MOST_AGENTS: usize = 10_000;
/// The buckets of rollouts: 5 s to 1 h.
const ROLLOUT_SECONDS: [f64; 12] = [
    5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 2700.0, 3600.0,
];
/// The buckets of requests to the API: 10 ms to 10 s, which is when they are given up.
const REQUEST_SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Labels with names of ours.
type Labels<const COUNT: usize> = [(&'static str, Cow<'static, str>); COUNT];
/// A gauge of anything but whole numbers.
type FloatGauge = Gauge<f64, AtomicU64>;

/// What the sidecar measures.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    agents: Arc<Agents>,
    rollouts: Family<Labels<1>, Counter>,
    rollout_duration: Family<Labels<1>, Histogram, Buckets>,
    requests: Family<Labels<1>, Histogram, Buckets>,
    polls_behind: FloatGauge,
    look_interval: FloatGauge,
    look_stretch: FloatGauge,
    start_time: FloatGauge,
    outbox_pending: Family<Labels<1>, Gauge>,
    outbox_oldest: Family<Labels<1>, FloatGauge>,
    outbox_given_up: Family<Labels<1>, Gauge>,
    deliveries: Family<Labels<2>, Counter>,
}

/// How the outbox of one sink stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OutboxDepth {
    /// Notices that are still to be delivered.
    pub pending: u64,
    /// The age of the oldest of them.
    pub oldest_age: Option<Duration>,
    /// Notices whose delivery was given up, and which are kept.
    pub given_up: u64,
}

impl Metrics {
    /// Metrics of this version of the program, nothing measured yet.
    #[must_use]
    pub(crate) fn new(version: &str) -> Self {
        Self::with_limit(version, MOST_AGENTS)
    }

    /// The same, with series of their own for so many agents at most.
    #[must_use]
    pub(crate) fn with_limit(version: &str, most_agents: usize) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            agents: Arc::new(Agents::new(most_agents)),
            rollouts: Family::default(),
            rollout_duration: Family::new_with_constructor(Buckets(&ROLLOUT_SECONDS)),
            requests: Family::new_with_constructor(Buckets(&REQUEST_SECONDS)),
            polls_behind: FloatGauge::default(),
            look_interval: FloatGauge::default(),
            look_stretch: FloatGauge::default(),
            start_time: FloatGauge::default(),
            outbox_pending: Family::default(),
            outbox_oldest: Family::default(),
            outbox_given_up: Family::default(),
            deliveries: Family::default(),
        };
        metrics.name(version);
        // What can happen is there before it does, so that its first time is seen as an increase.
        for verdict in Verdict::WORST_FIRST {
            let _ = metrics.rollouts.get_or_create(&verdict_label(verdict));
        }
        for &outcome in RequestOutcome::ALL {
            let _ = metrics.requests.get_or_create(&outcome_label(outcome));
        }
        let ready = verdict_label(Verdict::Ready);
        let _ = metrics.rollout_duration.get_or_create(&ready);
        metrics.look_stretch.set(1.0);
        metrics
    }

    /// A rollout has ended.
    ///
    /// How long it took is measured only where its beginning was seen.
    pub(crate) fn rollout_finished(&self, rollout: &RolloutRecord) {
        let verdict = verdict_label(rollout.verdict);
        self.rollouts.get_or_create(&verdict).inc();
        if !rollout.observed_late {
            let took = Duration::from_millis(rollout.elapsed_ms).as_secs_f64();
            self.rollout_duration.get_or_create(&verdict).observe(took);
        }
        self.agents.rollout(&rollout.agent, rollout.verdict);
    }

    /// How an agent stands now.
    pub(crate) fn agent_stands(&self, agent: &AgentView) {
        self.agents.stands(agent);
    }

    /// An agent is gone, and all series of it.
    pub(crate) fn agent_gone(&self, name: &str) {
        self.agents.gone(name);
    }

    /// A request to the API has ended.
    pub(crate) fn api_request(&self, outcome: RequestOutcome, latency: Duration) {
        let requests = self.requests.get_or_create(&outcome_label(outcome));
        requests.observe(latency.as_secs_f64());
    }

    /// How long the latest urgent request waited for the request limit.
    pub(crate) fn polls_behind(&self, late: Duration) {
        self.polls_behind.set(late.as_secs_f64());
    }

    /// How often the agents that rest are looked at, and how many times the interval that was
    /// configured that is: above 1 where the request limit stretches it.
    pub(crate) fn health_look_interval(&self, interval: Duration, stretched: f64) {
        self.look_interval.set(interval.as_secs_f64());
        self.look_stretch.set(stretched);
    }

    /// When the sidecar was started.
    pub(crate) fn start_time(&self, at: Timestamp) {
        self.start_time.set(at.as_duration().as_secs_f64());
    }

    /// How the outbox of a sink stands.
    pub(crate) fn outbox(&self, sink: &str, depth: &OutboxDepth) {
        let label = sink_label(sink);
        let whole = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let oldest = depth.oldest_age.unwrap_or_default().as_secs_f64();
        let pending = self.outbox_pending.get_or_create(&label);
        pending.set(whole(depth.pending));
        self.outbox_oldest.get_or_create(&label).set(oldest);
        let given_up = self.outbox_given_up.get_or_create(&label);
        given_up.set(whole(depth.given_up));
    }

    /// An attempt to deliver a notice to a sink has ended.
    pub(crate) fn delivery(&self, sink: &str, outcome: DeliveryOutcome) {
        let [sink] = sink_label(sink);
        let labels = [sink, ("outcome", outcome.as_str().into())];
        self.deliveries.get_or_create(&labels).inc();
    }

    /// A sink is there; its series begin at 0.
    pub(crate) fn sink_added(&self, sink: &str) {
        self.outbox(sink, &OutboxDepth::default());
        for outcome in DeliveryOutcome::ALL {
            let [sink] = sink_label(sink);
            let labels = [sink, ("outcome", outcome.as_str().into())];
            let _ = self.deliveries.get_or_create(&labels);
        }
    }

    /// All of it in the OpenMetrics text format, up to `# EOF`.
    #[must_use]
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }

    /// Gives each its name.
    fn name(&mut self, version: &str) {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", version.to_owned())]);
        registry.register("build", "The version of the program", build);
        registry.register_with_unit(
            "start_time",
            "When the sidecar was started, since the epoch",
            Unit::Seconds,
            self.start_time.clone(),
        );
        registry.register(
            "rollouts",
            "Rollouts that have ended",
            self.rollouts.clone(),
        );
        registry.register_with_unit(
            "rollout_duration",
            "How long rollouts took to their verdict, where their beginning was seen",
            Unit::Seconds,
            self.rollout_duration.clone(),
        );
        registry.register_with_unit(
            "api_request_duration",
            "How long requests to the API took",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register_with_unit(
            "polls_behind_schedule",
            "How long the latest request for the list or for a rollout waited for the request limit",
            Unit::Seconds,
            self.polls_behind.clone(),
        );
        registry.register_with_unit(
            "health_look_interval",
            "How often agents at rest are looked at",
            Unit::Seconds,
            self.look_interval.clone(),
        );
        registry.register(
            "health_look_stretch_ratio",
            "The interval of health looks by that of the configuration",
            self.look_stretch.clone(),
        );
        registry.register(
            "outbox_pending",
            "Notices that are still to be delivered",
            self.outbox_pending.clone(),
        );
        registry.register_with_unit(
            "outbox_oldest_age",
            "The age of the oldest event that is still to be delivered, 0 without any",
            Unit::Seconds,
            self.outbox_oldest.clone(),
        );
        registry.register(
            "outbox_given_up",
            "Notices kept whose delivery was given up",
            self.outbox_given_up.clone(),
        );
        registry.register(
            "deliveries",
            "Attempts to deliver an event",
            self.deliveries.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&self.agents)));
    }
}

/// Makes histograms with these buckets.
#[derive(Debug, Clone)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

fn verdict_label(verdict: Verdict) -> Labels<1> {
    [("verdict", verdict.as_str().into())]
}

fn outcome_label(outcome: RequestOutcome) -> Labels<1> {
    [("outcome", outcome.as_str().into())]
}

fn sink_label(sink: &str) -> Labels<1> {
    [("sink", sink.to_owned().into())]
}

#[cfg(test)]
mod tests;
