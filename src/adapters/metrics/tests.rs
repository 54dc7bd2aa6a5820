//! What is encoded, line by line; and that it is documented.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::core::fleet::{AgentRecord, AgentState, Backlog, KnownDeployment, Live, UnderWay};
use crate::core::rollout::Phase;

fn agent(name: &str) -> AgentRecord {
    AgentRecord {
        region: Some("us-west".to_owned()),
        deployment: Some(KnownDeployment {
            id: "a-deployment-id".to_owned(),
            ..KnownDeployment::default()
        }),
        live: Live {
            phase: Some(Phase::Active),
            ready: Some(true),
            available: Some(true),
            ready_replicas: Some(2),
            restart_count: Some(3),
            sessions: Some(4),
        },
        ..AgentRecord::new(name, Timestamp::UNIX_EPOCH)
    }
}

fn rollout(agent: &str, verdict: Verdict, elapsed_ms: u64) -> EventData {
    EventData {
        agent: agent.to_owned(),
        deployment_id: Some("a-deployment-id".to_owned()),
        verdict: Some(verdict),
        elapsed_ms: Some(elapsed_ms),
        ..EventData::default()
    }
}

fn snapshot(agents: &[&str]) -> Snapshot {
    Snapshot {
        agents: agents.iter().map(|name| agent(name)).collect(),
        ..Snapshot::default()
    }
}

fn metrics() -> Metrics {
    Metrics::new("0.1.0", Timestamp::UNIX_EPOCH)
}

/// Everything has happened, in names that have to be escaped.
fn sample(format: Format) -> String {
    let metrics = Metrics {
        max_agents: 2,
        ..metrics()
    };
    for verdict in Verdict::WORST_FIRST {
        metrics.rollout_finished(&rollout("my-agent", verdict, 4_000_000));
    }
    for outcome in RequestOutcome::ALL {
        metrics.api_request(*outcome, Duration::from_millis(30));
    }
    metrics.polls_behind(Duration::from_millis(1500));
    for sink in ["webhook", "sl\"ack"] {
        metrics.sink_added(sink);
        for &outcome in DeliveryOutcome::VARIANTS {
            metrics.delivery(sink, outcome);
        }
    }
    let backlog = Backlog {
        pending: 3,
        oldest: Some(Timestamp::UNIX_EPOCH),
        dead_letters: 1,
    };
    let snapshot = Snapshot {
        list_age: Some(Duration::from_secs(3)),
        details_age: Some(Duration::from_millis(1250)),
        check_interval: (Duration::from_mins(1), 2.5),
        store_writable: true,
        config_ok: true,
        mutes: 0,
        sinks: [("sl\"ack".to_owned(), backlog)].into(),
        now: Timestamp::from_millisecond(2500).unwrap(),
        ..snapshot(&["my-agent", "odd \"\\\n{,} 日本", "one-too-many"])
    };
    metrics.encode(snapshot, format)
}

/// The lines that begin so, without the prefix.
fn lines(text: &str, start: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("pipecat_rollout_"));
    lines
        .filter(|line| line.starts_with(start))
        .map(str::to_owned)
        .collect()
}

/// The metrics by name, each with its type and labels, as samples show them.
fn encoded(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut metrics = BTreeMap::new();
    let mut current = (String::new(), String::new());
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (family, kind) = described.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            current = (format!("{family}{suffix}"), kind.to_owned());
        }
        if line.starts_with('#') {
            continue;
        }
        assert!(
            line.starts_with(&current.0),
            "{line} is none of {current:?}"
        );
        let (name, kind) = current.clone();
        let labels = &mut metrics.entry(name).or_insert((kind, BTreeSet::new())).1;
        // What is left when the values, in quotes, are taken out.
        let bare = line.replace("\\\\", "").replace("\\\"", "");
        let outside: String = bare.split('"').step_by(2).collect();
        if let Some((_, rest)) = outside.split_once('{') {
            let names = rest.split_once('}').unwrap().0.split(',');
            labels.extend(names.map(|name| name.trim_end_matches('=').to_owned()));
        }
        labels.remove("le");
    }
    metrics
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let documented: BTreeMap<_, _> = include_str!("../../../docs/sidecar.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            let name = cells.next()?.strip_suffix('`')?.to_owned();
            let kind = cells.next()?.to_owned();
            let labels = cells.next()?.split(", ").filter(|label| !label.is_empty());
            let labels = labels.map(str::to_owned).collect();
            let is_metric = ["counter", "gauge", "histogram", "info"].contains(&kind.as_str());
            is_metric.then_some((name, (kind, labels)))
        })
        .collect();
    assert_eq!(encoded(&sample(Format::OpenMetrics)), documented);
}

#[test]
fn nothing_shows_a_deployment() {
    assert!(!sample(Format::OpenMetrics).contains("a-deployment-id"));
}

#[test]
fn both_formats_have_the_same_series() {
    // Their labels come in another order, and what the process uses has changed between the two.
    let names = |format| -> BTreeSet<String> {
        let text = sample(format);
        let lines = text
            .lines()
            .filter(|line| line.starts_with("pipecat_rollout_"));
        lines
            .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(Format::OpenMetrics), names(Format::Prometheus));
    let asked = "application/openmetrics-text;version=1.0.0,*/*";
    assert_eq!(Format::accepted(Some(asked)), Format::OpenMetrics);
    for other in [None, Some("*/*"), Some("text/html")] {
        assert_eq!(Format::accepted(other), Format::Prometheus);
    }
}

#[test]
fn a_state_set_has_one_state() {
    let mut shown = snapshot(&["a"]);
    let text = metrics().encode(snapshot(&["a"]), Format::Prometheus);
    let expected = Phase::ALL.iter().map(|phase| {
        let value = u8::from(*phase == Phase::Active);
        format!("agent_phase{{agent=\"a\",phase=\"{phase}\"}} {value}")
    });
    let expected: Vec<String> = expected.collect();
    assert_eq!(lines(&text, "agent_phase"), expected);
    shown.agents[0].live = Live::default();
    let text = metrics().encode(shown, Format::Prometheus);
    assert_eq!(lines(&text, "agent_phase"), [""; 0], "nothing is known yet");
    assert_eq!(lines(&text, "agent_ready"), [""; 0]);
}

#[test]
fn the_series_of_an_agent_go_with_it() {
    let metrics = metrics();
    for name in ["gone", "kept"] {
        metrics.rollout_finished(&rollout(name, Verdict::Failed, 1));
    }
    let _ = metrics.encode(snapshot(&["gone", "kept"]), Format::Prometheus);
    let text = metrics.encode(snapshot(&["kept"]), Format::Prometheus);
    assert!(
        !text.contains("\"gone\"") && text.contains("\"kept\""),
        "{text}"
    );
    // One that comes back under the same name begins anew.
    let text = metrics.encode(snapshot(&["gone", "kept"]), Format::Prometheus);
    assert_eq!(lines(&text, "agent_rollouts_total{agent=\"gone\""), [""; 0]);
}

#[test]
fn beyond_the_limit_only_totals_are_kept() {
    let metrics = Metrics {
        max_agents: 2,
        ..metrics()
    };
    let text = metrics.encode(snapshot(&["a", "b", "c", "d"]), Format::Prometheus);
    assert_eq!(lines(&text, "agents "), ["agents 4"]);
    assert_eq!(
        lines(&text, "agents_without_series"),
        ["agents_without_series 2"]
    );
    assert_eq!(lines(&text, "agent_ready{").len(), 2);
}

#[test]
fn rollouts_are_counted_and_measured() {
    let metrics = metrics();
    metrics.rollout_finished(&rollout("a", Verdict::Ready, 42_000));
    let late = EventData {
        observed_late: true,
        ..rollout("a", Verdict::Ready, 7)
    };
    metrics.rollout_finished(&late);
    let mut rolling = snapshot(&["a"]);
    rolling.agents[0].state = AgentState::RollingOut(UnderWay {
        started_at: Timestamp::UNIX_EPOCH,
        phases: Vec::new(),
        observed_late: false,
        rolled_back: false,
    });
    let text = metrics.encode(rolling, Format::OpenMetrics);
    let bucket = |limit: &str| {
        let start = format!("rollout_duration_seconds_bucket{{le=\"{limit}\",verdict=\"ready\"}}");
        lines(&text, &start)
            .concat()
            .split_once("} ")
            .unwrap()
            .1
            .to_owned()
    };
    let buckets = ["5.0", "30.0", "60.0", "3600.0", "+Inf"].map(bucket);
    assert_eq!(buckets, ["0", "0", "1", "1", "1"]);
    assert_eq!(
        lines(&text, "agent_rollouts_total"),
        ["agent_rollouts_total{agent=\"a\",verdict=\"ready\"} 2"]
    );
    assert_eq!(
        lines(&text, "agent_rolling_out"),
        ["agent_rolling_out{agent=\"a\"} 1"]
    );
}

#[test]
fn what_can_happen_begins_at_zero() {
    let metrics = metrics();
    metrics.sink_added("webhook");
    let text = metrics.encode(Snapshot::default(), Format::Prometheus);
    assert_eq!(lines(&text, "rollouts_total{").len(), 12);
    assert_eq!(lines(&text, "api_request_duration_seconds_count{").len(), 9);
    let deliveries = lines(&text, "deliveries_total{");
    assert!(!deliveries.is_empty() && deliveries.iter().all(|line| line.ends_with(" 0")));
}

/// `tests/contract/openmetrics` has another parser read it, and says where to put it.
#[test]
fn the_sample_is_whole() {
    let sample = sample(Format::OpenMetrics);
    assert!(sample.ends_with("\n# EOF\n"), "{sample}");
    assert_eq!(sample.matches("# EOF").count(), 1);
    if let Some(path) = std::env::var_os("OPENMETRICS_SAMPLE") {
        std::fs::write(path, sample).unwrap();
    }
}
