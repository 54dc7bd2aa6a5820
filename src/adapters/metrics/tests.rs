//! What is encoded, line by line; and that it is documented.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::core::fleet::{AgentRecord, Standing};
use crate::core::rollout::Phase;

fn agent(name: &str) -> AgentView {
    let record = AgentRecord {
        name: name.to_owned(),
        service_id: Some("3f0c".to_owned()),
        region: Some("us-west".to_owned()),
        deployment_id: Some("a-deployment-id".to_owned()),
        standing: Standing::Settled {
            verdict: Some(Verdict::Ready),
            since: "2026-11-23T14:00:00Z".parse().unwrap(),
        },
        unready_episodes: 0,
        steps: Vec::new(),
        updated_at: None,
        lives: Vec::new(),
        gone_at: None,
        changed_at: "2026-11-23T15:00:00Z".parse().unwrap(),
    };
    AgentView {
        phase: Some(Phase::Active),
        ready: Some(true),
        available: Some(true),
        ready_replicas: Some(2),
        restart_count: Some(3),
        ..AgentView::remembered(record)
    }
}

fn rollout(agent: &str, verdict: Verdict, elapsed_ms: u64) -> RolloutRecord {
    RolloutRecord {
        agent: agent.to_owned(),
        region: Some("us-west".to_owned()),
        deployment_id: "a-deployment-id".to_owned(),
        verdict,
        reason: None,
        started_at: "2026-11-23T15:00:00Z".parse().unwrap(),
        finished_at: "2026-11-23T15:01:00Z".parse().unwrap(),
        elapsed_ms,
        phases: Vec::new(),
        observed_late: false,
    }
}

/// Metrics in which everything has happened, in names that have to be escaped.
fn sample() -> Metrics {
    let metrics = Metrics::with_limit("0.1.0", 2);
    metrics.start_time("2026-11-23T15:00:00.5Z".parse().unwrap());
    for name in ["my-agent", "odd \"\\\n{,} 日本", "one-too-many"] {
        metrics.agent_stands(&agent(name));
        metrics.rollout_finished(&rollout(name, Verdict::Ready, 42_100));
    }
    for verdict in Verdict::WORST_FIRST {
        metrics.rollout_finished(&rollout("my-agent", verdict, 4_000_000));
    }
    for outcome in RequestOutcome::ALL {
        metrics.api_request(outcome, Duration::from_millis(30));
    }
    metrics.polls_behind(Duration::from_millis(1500));
    metrics.health_look_interval(Duration::from_mins(1), 2.0);
    for sink in ["webhook", "sl\"ack"] {
        metrics.sink_added(sink);
        let depth = OutboxDepth {
            pending: 3,
            oldest_age: Some(Duration::from_millis(2500)),
            given_up: 1,
        };
        metrics.outbox(sink, &depth);
        for outcome in DeliveryOutcome::ALL {
            metrics.delivery(sink, outcome);
        }
    }
    metrics
}

/// The lines of `/metrics` that begin so.
fn lines(metrics: &Metrics, start: &str) -> Vec<String> {
    let text = metrics.encode();
    let start = format!("pipecat_rollout_{start}");
    let lines = text.lines().filter(|line| line.starts_with(&start));
    lines.map(str::to_owned).collect()
}

/// The metrics by name, each with its type and labels, as samples tell them.
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
    let documented: BTreeMap<_, _> = include_str!("../../../config/metrics.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            let name = cells.next()?.trim_end_matches('`').to_owned();
            let kind = cells.next()?.to_owned();
            let labels = cells.next()?.split(", ").filter(|label| !label.is_empty());
            Some((name, (kind, labels.map(str::to_owned).collect())))
        })
        .collect();
    assert_eq!(encoded(&sample().encode()), documented);
}

#[test]
fn nothing_shows_a_deployment() {
    assert!(!sample().encode().contains("a-deployment-id"));
}

#[test]
fn it_ends_as_it_should_even_when_nothing_has_happened() {
    for metrics in [Metrics::new("0.1.0"), sample()] {
        let text = metrics.encode();
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        assert_eq!(text.matches("# EOF").count(), 1);
    }
}

#[test]
fn a_state_set_has_one_state() {
    let metrics = Metrics::new("0.1.0");
    metrics.agent_stands(&agent("a"));
    let mut expected: Vec<_> = Phase::ALL
        .map(|phase| {
            let value = u8::from(phase == Phase::Active);
            format!("pipecat_rollout_agent_phase{{agent=\"a\",phase=\"{phase}\"}} {value}")
        })
        .into();
    assert_eq!(lines(&metrics, "agent_phase"), expected);
    let failed = AgentView {
        phase: Some(Phase::Failed),
        ..agent("a")
    };
    metrics.agent_stands(&failed);
    expected[5] = expected[5].replace(" 1", " 0");
    expected[7] = expected[7].replace(" 0", " 1");
    assert_eq!(lines(&metrics, "agent_phase"), expected);
    metrics.agent_stands(&AgentView::remembered(agent("a").record));
    assert_eq!(lines(&metrics, "agent_phase"), Vec::<String>::new());
    assert_eq!(lines(&metrics, "agent_ready"), Vec::<String>::new());
}

#[test]
fn the_series_of_an_agent_go_with_it() {
    let metrics = Metrics::new("0.1.0");
    for name in ["gone", "kept"] {
        metrics.agent_stands(&agent(name));
        metrics.rollout_finished(&rollout(name, Verdict::Failed, 1));
    }
    assert!(metrics.encode().contains("\"gone\""));
    metrics.agent_gone("gone");
    // What comes too late brings nothing back.
    metrics.rollout_finished(&rollout("gone", Verdict::NotFound, 1));
    let text = metrics.encode();
    assert!(
        !text.contains("\"gone\"") && text.contains("\"kept\""),
        "{text}"
    );
    assert_eq!(
        lines(&metrics, "agents"),
        [
            "pipecat_rollout_agents 1",
            "pipecat_rollout_agents_without_series 0"
        ]
    );
    // One that comes back under the same name begins anew.
    metrics.agent_stands(&agent("gone"));
    let rollouts = lines(&metrics, "agent_rollouts_total{agent=\"gone\"");
    assert_eq!(rollouts, Vec::<String>::new());
}

#[test]
fn beyond_the_limit_only_totals_are_kept() {
    let metrics = Metrics::with_limit("0.1.0", 2);
    for name in ["a", "b", "c", "d", "c"] {
        metrics.agent_stands(&agent(name));
        metrics.rollout_finished(&rollout(name, Verdict::Ready, 1));
    }
    assert_eq!(lines(&metrics, "agents "), ["pipecat_rollout_agents 4"]);
    let without = lines(&metrics, "agents_without_series");
    assert_eq!(without, ["pipecat_rollout_agents_without_series 2"]);
    assert_eq!(lines(&metrics, "agent_ready{").len(), 2);
    let ready = lines(&metrics, "rollouts_total{verdict=\"ready\"}");
    assert_eq!(
        ready,
        ["pipecat_rollout_rollouts_total{verdict=\"ready\"} 5"]
    );
    // A place that becomes free is taken.
    metrics.agent_gone("a");
    metrics.agent_stands(&agent("d"));
    assert_eq!(lines(&metrics, "agent_ready{agent=\"d\"}").len(), 1);
    let without = lines(&metrics, "agents_without_series");
    assert_eq!(without, ["pipecat_rollout_agents_without_series 1"]);
}

#[test]
fn rollouts_are_counted_and_measured() {
    let metrics = Metrics::new("0.1.0");
    metrics.agent_stands(&agent("a"));
    metrics.rollout_finished(&rollout("a", Verdict::Ready, 42_000));
    let mut late = rollout("a", Verdict::Ready, 7);
    late.observed_late = true;
    metrics.rollout_finished(&late);
    // How it stands says nothing of how often it was rolled out.
    metrics.agent_stands(&agent("a"));
    let bucket = |limit: &str| {
        let start = format!("rollout_duration_seconds_bucket{{le=\"{limit}\",verdict=\"ready\"}}");
        lines(&metrics, &start)
            .concat()
            .split_once("} ")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(
        ["5.0", "30.0", "60.0", "3600.0", "+Inf"].map(bucket),
        ["0", "0", "1", "1", "1"]
    );
    let rollouts = lines(&metrics, "agent_rollouts_total");
    assert_eq!(
        rollouts,
        ["pipecat_rollout_agent_rollouts_total{agent=\"a\",verdict=\"ready\"} 2"]
    );
}

#[test]
fn what_can_happen_begins_at_zero() {
    let metrics = Metrics::new("0.1.0");
    metrics.sink_added("webhook");
    assert_eq!(lines(&metrics, "rollouts_total{").len(), 12);
    assert_eq!(
        lines(&metrics, "api_request_duration_seconds_count{").len(),
        9
    );
    let deliveries = lines(&metrics, "deliveries_total{");
    assert!(deliveries.len() == 3 && deliveries.iter().all(|line| line.ends_with(" 0")));
}

/// `tests/contract/openmetrics` has another parser read it, and says where to put it.
#[test]
fn the_sample_is_whole() {
    let sample = sample().encode();
    assert!(sample.ends_with("\n# EOF\n"), "{sample}");
    if let Some(path) = std::env::var_os("OPENMETRICS_SAMPLE") {
        std::fs::write(path, sample).unwrap();
    }
}
