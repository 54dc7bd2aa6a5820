//! Killed at random moments while rollouts are under way and the receiver fails a third of the time:
//! whatever happened is reported, with one id, in order.
//!
//! A short run by default; `CRASH_CYCLES=200 cargo test --release --test sidecar crash -- --nocapture`
//! is the long one. `CRASH_SEED` plays a run again.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Place;
use crate::receiver::{Received, Receiver, Reply};
use crate::support::number;
use crate::support::simulator::Simulator;

/// Agents, what each plays, and how that ends.
const CAST: [(&str, &str, &str); 6] = [
    ("a", "rolling-update", "ready"),
    ("b", "crash-loop", "failed"),
    ("c", "lagging-reads", "ready"),
    ("d", "out-of-memory", "failed"),
    ("e", "scale-to-zero", "ready"),
    ("f", "phase-failed", "failed"),
];

/// The state of the deploys of an agent.
#[derive(Default)]
struct Line {
    deployments: Vec<String>,
}

/// A cheap sequence of numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn delivers_every_event_in_order_across_crashes() {
    let cycles = number("CRASH_CYCLES", 12);
    let seed = number("CRASH_SEED", u64::from(std::process::id()) + 1);
    println!("CRASH_CYCLES={cycles} CRASH_SEED={seed}");
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let cast: Vec<String> = CAST
        .iter()
        .map(|(agent, scenario, _)| format!("--agent={agent}={scenario}"))
        .chain(["--speed=40".to_owned()])
        .collect();
    let simulator = Simulator::start(cast);
    // A third fails, by number: whether one is tried again and when is chance enough.
    let hook = Receiver::replying(|number, _| match number % 9 {
        1 => Reply::Status("500 Internal Server Error", String::new()),
        4 => Reply::HangUp,
        7 => Reply::Status("429 Too Many Requests", "retry-after: 1\r\n".to_owned()),
        _ => Reply::Take,
    });
    let place = Place::at(&simulator.url).webhook("hook", &hook.url());
    // The first start takes the agents as they are.
    place.start_watching().stop();
    let mut lines: BTreeMap<&str, Line> = BTreeMap::new();
    for cycle in 0..cycles {
        let sidecar = place.start();
        deploy_where_all_is_reported(&simulator, &hook, &mut lines);
        thread::sleep(Duration::from_millis(30 + dice.below(700)));
        sidecar.kill();
        // Some of what happens falls into the time when nobody watches.
        thread::sleep(Duration::from_millis(dice.below(200)));
        if (cycle + 1) % 20 == 0 {
            println!(
                "{} cycles, {} deliveries tried",
                cycle + 1,
                hook.received().len()
            );
        }
    }
    let sidecar = place.start();
    let begun = Instant::now();
    let received = hook.wait_for(|received| {
        let done = |(agent, line): (&&str, &Line)| {
            line.deployments
                .iter()
                .all(|id| finished(received, agent, id).is_some())
        };
        lines.iter().all(done)
    });
    println!("all reported {:?} after the last start", begun.elapsed());
    sidecar.stop();
    assert_eq!(simulator.stop().code(), 0);
    let rollouts = check(&received, &lines);
    println!(
        "{cycles} cycles, {rollouts} rollouts, {} deliveries tried",
        received.len()
    );
    assert!(rollouts >= CAST.len(), "only {rollouts} rollouts");
}

/// Deploys to the agents whose last rollout has been reported to its end.
fn deploy_where_all_is_reported(
    simulator: &Simulator,
    hook: &Receiver,
    lines: &mut BTreeMap<&str, Line>,
) {
    let received = hook.received();
    for (agent, _, _) in CAST {
        let line = lines.entry(agent).or_default();
        let last = line.deployments.last();
        if last.is_none_or(|id| finished(&received, agent, id).is_some()) {
            line.deployments.push(simulator.deploy(agent));
        }
    }
}

fn is(one: &Received, agent: &str, deployment: &str, kind: &str) -> bool {
    one.event["data"]["agent"] == agent
        && one.event["data"]["deploymentId"] == deployment
        && one.event["type"] == format!("dev.pipecat-rollout.{kind}")
}

fn finished<'a>(received: &'a [Received], agent: &str, deployment: &str) -> Option<&'a Received> {
    let mut taken = received.iter().filter(|one| one.taken);
    taken.find(|one| is(one, agent, deployment, "rollout.finished"))
}

/// Every rollout was reported, with one id for each thing that happened, in order; gives their number.
fn check(received: &[Received], lines: &BTreeMap<&str, Line>) -> usize {
    let mut contents: BTreeMap<&str, &serde_json::Value> = BTreeMap::new();
    for one in received {
        let known = contents.entry(one.id()).or_insert(&one.event);
        assert_eq!(*known, &one.event, "one id, two events");
    }
    // What happened, by everything but the id: each has one.
    let mut ids: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for one in received {
        ids.entry(one.line()).or_default().insert(one.id());
    }
    for (line, ids) in &ids {
        let all = || {
            let agent = line.split(' ').next();
            let all = received
                .iter()
                .filter(|one| one.event["data"]["agent"].as_str() == agent);
            let all = all.map(|one| format!("{} {}", one.taken, one.id()));
            all.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(ids.len(), 1, "{line} has the ids {ids:?}:\n{}", all());
    }
    let mut rollouts = 0;
    for (agent, _, verdict) in CAST {
        // The order in which the hook has them, each at its first time.
        let mut seen = BTreeSet::new();
        let order: Vec<&Received> = received
            .iter()
            .filter(|one| one.taken && one.event["data"]["agent"] == agent)
            .filter(|one| seen.insert(one.id()))
            .collect();
        let mut at = 0;
        for deployment in &lines[agent].deployments {
            rollouts += 1;
            let context = || {
                let lines: Vec<String> = order.iter().map(|one| one.line()).collect();
                format!("{agent} {deployment}:\n{}", lines.join("\n"))
            };
            assert!(
                is(order[at], agent, deployment, "rollout.started"),
                "{}",
                context()
            );
            at += 1;
            while is(order[at], agent, deployment, "rollout.phase-changed") {
                at += 1;
            }
            assert!(
                is(order[at], agent, deployment, "rollout.finished"),
                "{}",
                context()
            );
            assert_eq!(order[at].event["data"]["verdict"], verdict, "{}", context());
            at += 1;
        }
        let rest: Vec<String> = order[at..].iter().map(|one| one.line()).collect();
        assert!(rest.is_empty(), "{agent}: nobody deployed this: {rest:?}");
    }
    rollouts
}
