//! What the core costs: one observation, one answer read, a list of ten thousand agents.
//!
//! `cargo bench --bench core`

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use pipecat_rollout::fuzzing::fleet::{Fleet, Input, Mode, Moment, Rules, Scope, Watched};
use pipecat_rollout::fuzzing::rollout::{Limits, Machine, Observation, Policy, TargetRule};
use pipecat_rollout::fuzzing::text::redact::Redaction;
use pipecat_rollout::fuzzing::wire::{AgentDetails, parse_list};
use serde_json::json;

/// Details as the platform gives them, with what else it says.
fn body() -> Vec<u8> {
    let revision = |deployment: &str, phase: &str| {
        json!({ "deploymentID": deployment, "phase": phase, "readyReplicas": 1,
            "health": { "ready": true, "state": "running", "restartCount": 1, "replicasStarted": 2,
                "lastExitCode": 1, "lastTerminationReason": "Error",
                "message": "Traceback (most recent call last):\n  File \"/app/bot.py\", line 14\n".repeat(8) } })
    };
    let body = json!({
        "name": "my-agent", "region": "us-west", "ready": false, "available": true,
        "activeSessionCount": 3, "agentProfile": "agent-1x", "autoScaling": { "minReplicas": 1, "maxReplicas": 10 },
        "createdAt": "2026-11-01T10:00:00Z", "updatedAt": "2026-11-23T10:00:00Z",
        "desiredDeploymentId": "c49aabca-4dd7-4764-9078-19cefe402552",
        "reconciledDeploymentId": "c49aabca-4dd7-4764-9078-19cefe402552",
        "deployment": { "id": "c49aabca-4dd7-4764-9078-19cefe402552", "createdAt": "2026-11-23T10:00:00Z",
            "manifest": { "spec": { "dailyNodeType": "arm", "image": "registry.example.com/acme/voice:1.5.0" } } },
        "currentRevision": revision("c49aabca-4dd7-4764-9078-19cefe402552", "Validating"),
        "previousRevision": revision("01c6e254-a3a8-40e5-8a87-9f84f297bb81", "Active"),
    });
    body.to_string().into_bytes()
}

fn list(agents: usize) -> Vec<u8> {
    let services: Vec<_> = (0..agents)
        .map(|number| {
            json!({ "id": format!("b1e8d587-0201-441e-965b-{number:012}"), "name": format!("agent-{number}"),
                "region": "us-west", "desiredDeploymentId": "d1", "reconciledDeploymentId": "d1",
                "createdAt": "2026-11-01T10:00:00Z", "updatedAt": "2026-11-23T10:00:00Z", "deletedAt": null })
        })
        .collect();
    json!({ "services": services }).to_string().into_bytes()
}

fn machine(criterion: &mut Criterion) {
    let details = AgentDetails::parse(&body(), "my-agent").expect("these are details");
    let observation = Observation::Details {
        details: Box::new(details),
        server_time: None,
    };
    let policy = Policy::new(TargetRule::FirstSeen, Limits::default()).expect("limits that fit");
    let mut machine = Machine::new(policy);
    let _ = machine.observe(Duration::ZERO, observation.clone());
    criterion.bench_function("observe", |bencher| {
        bencher.iter_batched(
            || observation.clone(),
            |observation| black_box(machine.observe(Duration::from_secs(1), observation)),
            BatchSize::SmallInput,
        );
    });
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let body = body();
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("details", |bencher| {
        bencher.iter(|| AgentDetails::parse(black_box(&body), "my-agent"));
    });
    let list = list(10_000);
    group.sample_size(30);
    group.throughput(Throughput::Bytes(list.len() as u64));
    group.bench_function("list of 10,000", |bencher| {
        bencher.iter(|| parse_list(black_box(&list)));
    });
    group.finish();
}

fn redact(criterion: &mut Criterion) {
    let key = Redaction::new(["a-key-of-the-benchmark".to_owned()], "[the API key]");
    let mut group = criterion.benchmark_group("redact the key");
    for (name, body) in [("details", body()), ("list of 10,000", list(10_000))] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            let body = String::from_utf8_lossy(&body);
            bencher.iter(|| key.text(black_box(&body)).len());
        });
    }
    group.finish();
}

fn fleet(criterion: &mut Criterion) {
    let services = parse_list(&list(10_000)).expect("this is a list");
    let rules = Rules {
        watched: Watched::Listed(Scope::new(&[], &[], Vec::new()).expect("all agents")),
        interval: Duration::from_secs(15),
        health_interval: Duration::from_mins(5),
        unready_for: Duration::from_secs(30),
        limits: Limits::default(),
        max_rps: NonZeroU32::MIN,
        mode: Mode::Daemon,
    };
    let now = Moment {
        at: Duration::ZERO,
        wall: Timestamp::UNIX_EPOCH,
    };
    let mut fleet = Fleet::restore(rules, Vec::new(), None);
    let _ = fleet.handle(now, Input::Listed(services.clone()));
    criterion.bench_function("take in a list of 10,000 idle agents", |bencher| {
        bencher.iter_batched(
            || services.clone(),
            |services| fleet.handle(now, Input::Listed(services)),
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, machine, parse, redact, fleet);
criterion_main!(benches);
