//! The alert rules and the dashboard under `config`, on the series of real sidecars, by Prometheus' own promtool.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::api::Api;
use crate::harness::{Place, Sidecar, get};
use crate::receiver::{Receiver, Reply};
use crate::support::process::Signal;
use crate::support::{project, project_text, wait_until};

/// The labels that a scrape adds.
const SCRAPED: &str = "job=\"pipecat-rollout\",instance=\"sidecar:9464\"";

/// What a sidecar measures: the values of its series, by name and labels.
type Series = BTreeMap<String, f64>;

/// What a series comes to from the 25th minute on, and before that it is as of a sidecar that is well.
enum Bad {
    /// It is as of one that is not.
    AsSeen,
    /// It is this.
    Is(f64),
    /// It grows by a minute each minute: nothing is read, or taken, any more.
    Ages,
    /// It is not there, and nothing that says so was ever.
    Absent,
}

/// For each alert the series that make it fire.
const ALERTS: [(&str, &str, Bad); 13] = [
    (
        "RolloutFailed",
        "pipecat_rollout_rollouts_total{verdict=\"failed\"",
        Bad::AsSeen,
    ),
    (
        "AgentNotReady",
        "pipecat_rollout_agent_ready{agent=\"a\"",
        Bad::AsSeen,
    ),
    ("RolloutWatcherDown", "up{", Bad::Is(0.0)),
    (
        "RolloutWatcherBlind",
        "pipecat_rollout_list_age_seconds{",
        Bad::Ages,
    ),
    (
        "RolloutWatcherNeverSaw",
        "pipecat_rollout_details_age_seconds{",
        Bad::Absent,
    ),
    (
        "RolloutListDistrusted",
        "pipecat_rollout_list_distrusted{",
        Bad::Is(1.0),
    ),
    (
        "RolloutAgentMissing",
        "pipecat_rollout_agents_missing{",
        Bad::Is(1.0),
    ),
    (
        "RolloutApiUnauthorized",
        "pipecat_rollout_api_request_duration_seconds_count{outcome=\"unauthorized\"",
        Bad::Is(5.0),
    ),
    (
        "RolloutStoreNotWritable",
        "pipecat_rollout_store_writable{",
        Bad::Is(0.0),
    ),
    (
        "RolloutSinkFailing",
        "pipecat_rollout_outbox_oldest_age_seconds{sink=\"hook\"",
        Bad::Ages,
    ),
    (
        "RolloutDeadLetter",
        "pipecat_rollout_deliveries_total{sink=\"hook\",outcome=\"given-up\"",
        Bad::Is(1.0),
    ),
    (
        "RolloutConfigReloadFailed",
        "pipecat_rollout_config_reload_successful{",
        Bad::AsSeen,
    ),
    (
        "RolloutPollsBehind",
        "pipecat_rollout_polls_behind_schedule_seconds{",
        Bad::Is(90.0),
    ),
];

fn series(sidecar: &Sidecar) -> Series {
    let (_, text) = get(sidecar.endpoints(), "/metrics").unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let mut series: Series = samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = match name.strip_suffix('}') {
                Some(name) => format!("{name},{SCRAPED}}}"),
                None => format!("{name}{{{SCRAPED}}}"),
            };
            (name, value.parse().unwrap())
        })
        .collect();
    series.insert(format!("up{{{SCRAPED}}}"), 1.0);
    // The tests' time begins at 0.
    let start = series
        .keys()
        .find(|name| name.starts_with("pipecat_rollout_start_time"));
    let start = start.unwrap().clone();
    series.insert(start, 0.0);
    series
}

/// What a sidecar measures that is well, and after a rollout has failed and its new configuration cannot be read.
fn measure() -> (Series, Series) {
    let (api, hook) = (
        Api::with(&["a", "b"]),
        Receiver::replying(|number, _| match number {
            1 => Reply::Status("503 Service Unavailable", String::new()),
            _ => Reply::Take,
        }),
    );
    let place = Place::of(&api).webhook("hook", &hook.url());
    let restarted = json!({
        "activeSessionCount": 2,
        "currentRevision": {"deploymentID": "d1", "phase": "Active", "readyReplicas": 1, "health": {"restartCount": 1}},
    });
    api.set("b", &restarted);
    let sidecar = place.start_watching();
    api.deploy("a", "d2");
    sidecar.wait_for_log("a: rollout of d2 started");
    api.ready("a");
    hook.wait_for_line("a d2 rollout.finished ready");
    wait_until("b was read", || {
        series(&sidecar)
            .keys()
            .any(|name| name.starts_with("pipecat_rollout_agent_ready{agent=\"b\""))
            .then_some(())
    });
    let well = series(&sidecar);
    api.deploy("a", "d3");
    sidecar.wait_for_log("a: rollout of d3 started");
    api.fail("a");
    hook.wait_for_line("a d3 rollout.finished failed");
    std::fs::write(place.path("watch.toml"), "intervall = 3\n").unwrap();
    sidecar.signal(Signal::HUP);
    sidecar.wait_for_log("the configuration cannot be reloaded");
    let ill = series(&sidecar);
    sidecar.stop();
    (well, ill)
}

/// A test for promtool: these series, a sample each minute, and what expressions come to after half an hour.
fn test_of(series: &BTreeMap<&str, String>, expected: &[(String, Option<f64>)]) -> String {
    let mut text = "  - interval: 1m\n    input_series:\n".to_owned();
    for (name, values) in series {
        let name = serde_json::to_string(name).unwrap();
        writeln!(text, "      - series: {name}\n        values: \"{values}\"").unwrap();
    }
    text.push_str("    promql_expr_test:\n");
    for (expression, value) in expected {
        let expression = serde_json::to_string(expression).unwrap();
        writeln!(text, "      - expr: {expression}\n        eval_time: 35m").unwrap();
        match value {
            Some(value) => {
                writeln!(
                    text,
                    "        exp_samples: [{{ labels: \"{{}}\", value: {value} }}]"
                )
                .unwrap();
            }
            None => text.push_str("        exp_samples: []\n"),
        }
    }
    text
}

/// Runs promtool, if it is here.
fn promtool(tests: &[String]) {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("promtool is not here: nothing was tested with it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rules = project("config/prometheus/rules.yaml");
    let text = format!(
        "rule_files: [\"{}\"]\nevaluation_interval: 1m\ntests:\n{}",
        rules.display(),
        tests.concat()
    );
    let path = folder.path().join("tests.yaml");
    std::fs::write(&path, &text).unwrap();
    for arguments in [["check", "rules"], ["test", "rules"]] {
        let file = if arguments[0] == "check" {
            &rules
        } else {
            &path
        };
        let done = Command::new("promtool")
            .args(arguments)
            .arg(file)
            .output()
            .unwrap();
        let said = [done.stdout, done.stderr]
            .map(|text| String::from_utf8(text).unwrap())
            .concat();
        assert!(done.status.success(), "{said}");
    }
}

fn steady(value: f64) -> String {
    format!("{value}x60")
}

#[test]
fn each_alert_fires_and_rests_on_the_series_of_a_real_sidecar_and_each_query_of_the_dashboard_finds_some()
 {
    let (well, ill) = measure();
    let rules = project_text("config/prometheus/rules.yaml");
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert_eq!(names, ALERTS.map(|(name, ..)| name));
    let firing =
        |name: &str| format!("count(ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}})");
    let base = || {
        let series = well.iter();
        series
            .map(|(name, value)| (name.as_str(), steady(*value)))
            .collect::<BTreeMap<_, _>>()
    };
    let all_rest: Vec<_> = names.iter().map(|name| (firing(name), None)).collect();
    let mut tests = vec![test_of(&base(), &all_rest)];
    for (alert, start, bad) in ALERTS {
        let mut series = base();
        let found = well.keys().find(|name| name.starts_with(start));
        let name =
            found.unwrap_or_else(|| panic!("a real sidecar has no {start}: {:?}", well.keys()));
        let before = well[name];
        let after = match bad {
            Bad::AsSeen => {
                assert!((before - ill[name]).abs() > 0.5, "{name}");
                format!("{before}x24 {}x30", ill[name])
            }
            Bad::Is(value) => {
                assert!((before - value).abs() > 0.5, "{name}");
                format!("{before}x24 {value}x30")
            }
            Bad::Ages => format!("{before}x24 0+60x30"),
            Bad::Absent => String::new(),
        };
        if after.is_empty() {
            series.remove(name.as_str());
        } else {
            series.insert(name, after);
        }
        tests.push(test_of(&series, &[(firing(alert), Some(1.0))]));
    }
    let ill_only = ill.iter().filter(|(name, _)| !well.contains_key(*name));
    let ill_only = ill_only.map(|(name, value)| (name.as_str(), format!("_x9 {value}x50")));
    let both = well.iter().map(|(name, value)| {
        let after = ill.get(name).unwrap_or(value);
        (name.as_str(), format!("{value}x9 {after}x50"))
    });
    tests.push(test_of(&both.chain(ill_only).collect(), &dashboard()));
    promtool(&tests);
}

/// The queries of the dashboard, each of which is to find something.
fn dashboard() -> Vec<(String, Option<f64>)> {
    fn queries<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("expr").and_then(Value::as_str));
                object.values().for_each(|value| queries(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
            _ => {}
        }
    }
    let text = project_text("config/grafana/dashboard.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    assert!(found.len() > 25, "{found:?}");
    let queries = found.into_iter().map(|query| {
        let query = query
            .replace("$job", "pipecat-rollout")
            .replace("$agent", ".*");
        let query = query.replace("$__rate_interval", "30m");
        (format!("(count({query}) > bool 0)"), Some(1.0))
    });
    queries.collect()
}
