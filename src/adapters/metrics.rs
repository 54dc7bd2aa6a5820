//! What the sidecar measures: what happens is counted, and what is is read at each scrape.
//!
//! Every name, with its labels, is documented in `docs/sidecar.md`; a test compares the two. The labels
//! are bounded: words of ours, sinks of the configuration, and agents up to a limit. A series of an agent
//! goes with the agent.

mod process;
mod snapshot;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use strum::{IntoStaticStr, VariantArray};

use self::process::Process;
use self::snapshot::Scrape;
pub(crate) use self::snapshot::{Series, Snapshot};
use crate::core::fleet::EventData;
use crate::core::rollout::Verdict;
use crate::core::wire::RequestOutcome;

/// What every name begins with.
const PREFIX: &str = "pipecat_rollout";
/// The most agents that have series of their own, unless another limit is given.
pub(crate) const MAX_AGENTS: usize = 10_000;
/// The buckets of rollouts: 5 s to 1 h.
const ROLLOUT_SECONDS: [f64; 12] = [
    5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 2700.0, 3600.0,
];
/// The buckets of requests to the API: 10 ms to 10 s, which is when they time out.
const REQUEST_SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Labels with names of ours.
type Labels<const COUNT: usize> = [(&'static str, Cow<'static, str>); COUNT];
/// A gauge of anything but whole numbers.
type FloatGauge = Gauge<f64, std::sync::atomic::AtomicU64>;
/// How many rollouts of each agent have ended, by verdict.
type RolloutsByAgent = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// What is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    rollouts: Family<Labels<1>, Counter>,
    rollout_duration: Family<Labels<1>, Histogram, Buckets>,
    requests: Family<Labels<1>, Histogram, Buckets>,
    polls_behind: FloatGauge,
    deliveries: Family<Labels<2>, Counter>,
    muted: Counter,
    by_agent: Mutex<RolloutsByAgent>,
    /// The most agents that have series of their own.
    max_agents: usize,
}

/// How the metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus' own text format, version 0.0.4.
    Prometheus,
}

/// How an attempt to deliver events ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum DeliveryOutcome {
    /// The sink has it.
    Delivered,
    /// It failed, and is tried again.
    Failed,
    /// It failed for good.
    GivenUp,
}

impl Metrics {
    /// Metrics of this version of the program, started at this moment, with nothing counted yet.
    pub(crate) fn new(version: &str, started: Timestamp) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            rollouts: Family::default(),
            rollout_duration: Family::new_with_constructor(Buckets(&ROLLOUT_SECONDS)),
            requests: Family::new_with_constructor(Buckets(&REQUEST_SECONDS)),
            polls_behind: FloatGauge::default(),
            deliveries: Family::default(),
            muted: Counter::default(),
            by_agent: Mutex::default(),
            max_agents: MAX_AGENTS,
        };
        metrics.register(version, started);
        // What can happen is there before it does, so that its first time is seen as an increase.
        for verdict in Verdict::WORST_FIRST {
            let _ = metrics.rollouts.get_or_create(&verdict_label(verdict));
        }
        for outcome in RequestOutcome::ALL {
            let labels = [("outcome", outcome.as_str().into())];
            let _ = metrics.requests.get_or_create(&labels);
        }
        let ready = verdict_label(Verdict::Ready);
        let _ = metrics.rollout_duration.get_or_create(&ready);
        metrics
    }

    /// A rollout has ended.
    ///
    /// How long it took is measured only where that is known exactly.
    pub(crate) fn rollout_finished(&self, data: &EventData) {
        let Some(verdict) = data.verdict else { return };
        let label = verdict_label(verdict);
        self.rollouts.get_or_create(&label).inc();
        if let (Some(millis), false) = (data.elapsed_ms, data.observed_late) {
            let took = Duration::from_millis(millis).as_secs_f64();
            self.rollout_duration.get_or_create(&label).observe(took);
        }
        let mut by_agent = self.by_agent.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = by_agent.entry(data.agent.clone()).or_default();
        *counts.entry(verdict.as_str()).or_default() += 1;
    }

    /// A request to the API has ended.
    pub(crate) fn api_request(&self, outcome: RequestOutcome, latency: Duration) {
        let labels = [("outcome", outcome.as_str().into())];
        let requests = self.requests.get_or_create(&labels);
        requests.observe(latency.as_secs_f64());
    }

    /// How long the latest urgent request waited for the limit on requests.
    pub(crate) fn polls_behind(&self, late: Duration) {
        self.polls_behind.set(late.as_secs_f64());
    }

    /// An event was kept from the sinks, since its agent is muted.
    pub(crate) fn muted_event(&self) {
        self.muted.inc();
    }

    /// An attempt to deliver an event to a sink has ended.
    pub(crate) fn delivery(&self, sink: &str, outcome: DeliveryOutcome) {
        self.deliveries
            .get_or_create(&delivery_labels(sink, outcome))
            .inc();
    }

    /// A sink is there; its series begin at 0.
    pub(crate) fn sink_added(&self, sink: &str) {
        for &outcome in DeliveryOutcome::VARIANTS {
            let _ = self
                .deliveries
                .get_or_create(&delivery_labels(sink, outcome));
        }
    }

    /// All of it as text.
    pub(crate) fn encode(&self, snapshot: Snapshot, format: Format) -> String {
        let mut by_agent = self.by_agent.lock().unwrap_or_else(PoisonError::into_inner);
        // The counts of an agent go with the agent.
        let agents = &snapshot.agents;
        by_agent.retain(|name, _| {
            agents
                .binary_search_by(|agent| agent.name.cmp(name))
                .is_ok()
        });
        let rollouts = by_agent.clone();
        drop(by_agent);
        let mut present = Registry::with_prefix(PREFIX);
        present.register_collector(Box::new(Arc::new(Scrape {
            snapshot,
            rollouts,
            max_agents: self.max_agents,
        })));
        let mut process = Registry::default();
        process.register_collector(Box::new(Arc::new(Process)));
        let registries = [&self.registry, &present, &process];
        let mut registries = registries.into_iter();
        let mut out = String::new();
        let written = match format {
            Format::OpenMetrics => registries
                .try_for_each(|registry| text::encode_registry(&mut out, registry))
                .and_then(|()| text::encode_eof(&mut out)),
            Format::Prometheus => {
                registries.try_for_each(|registry| prometheus_text::encode(&mut out, registry))
            }
        };
        written.expect("writing to a String cannot fail");
        out
    }

    /// Gives each its name.
    fn register(&mut self, version: &str, started: Timestamp) {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", version.to_owned())]);
        registry.register("build", "The version of the program", build);
        let start_time = FloatGauge::default();
        start_time.set(started.as_duration().as_secs_f64());
        registry.register_with_unit(
            "start_time",
            "When the sidecar was started, since the epoch",
            Unit::Seconds,
            start_time,
        );
        registry.register(
            "rollouts",
            "Rollouts that have ended",
            self.rollouts.clone(),
        );
        registry.register_with_unit(
            "rollout_duration",
            "How long rollouts took from the deployment's creation to their verdict",
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
            "How long the latest request for a rollout waited for the limit on requests",
            Unit::Seconds,
            self.polls_behind.clone(),
        );
        registry.register(
            "deliveries",
            "Attempts to deliver an event",
            self.deliveries.clone(),
        );
        registry.register(
            "muted_events",
            "Events that sinks did not get, since their agents are muted",
            self.muted.clone(),
        );
    }
}

impl Format {
    /// The format that a request's `Accept` asks for.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// Its media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
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

fn delivery_labels(sink: &str, outcome: DeliveryOutcome) -> Labels<2> {
    [
        ("sink", sink.to_owned().into()),
        ("outcome", <&str>::from(outcome).into()),
    ]
}

#[cfg(test)]
mod tests;
