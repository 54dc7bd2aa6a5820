//! Random rollouts through a proxy that spoils a third of all answers: the verdict is right all the
//! same, and in time.
//!
//! A short run by default; `FAULT_ROLLOUTS=1000 cargo test --release --test sidecar faults --
//! --nocapture` is the long one. `FAULT_SEED` decides every fault.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Place, Sidecar, get_json};
use crate::proxy::Proxy;
use crate::support::simulator::Simulator;
use crate::support::{number, wait_within};

/// What is played, how that ends, and the exit code that says so. None of it lags by itself: with the
/// proxy's own stale answers that could make three in a row, which have to be believed.
const SCRIPTS: [(&str, &str, i32); 8] = [
    ("rolling-update", "ready", 0),
    ("crash-loop", "failed", 10),
    ("scale-to-zero", "ready", 0),
    ("phase-failed", "failed", 10),
    ("superseded", "superseded", 12),
    ("out-of-memory", "failed", 10),
    ("rolled-back", "superseded", 12),
    ("infrastructure-issue", "infrastructure", 14),
];
const TIMEOUT_SECONDS: u64 = 90;
/// How long the rollouts of many agents may take: one that is found between two crashes is failed by later ones, and
/// their pauses grow to five minutes.
const MAX_WAIT: Duration = Duration::from_mins(8);
/// How long one request may take.
const REQUEST_SECONDS: u64 = 10;
/// How many processes run at once.
const AT_ONCE: usize = 40;

fn agents(rollouts: u64) -> Vec<(String, usize)> {
    let count = usize::try_from(rollouts).unwrap();
    let agents = (0..count).map(|place| (format!("agent-{place}"), place % SCRIPTS.len()));
    agents.collect()
}

fn simulator(agents: &[(String, usize)], speed: &str) -> Simulator {
    let cast = agents
        .iter()
        .map(|(name, script)| format!("--agent={name}={}", SCRIPTS[*script].0));
    Simulator::start(cast.chain([format!("--speed={speed}")]))
}

#[test]
fn a_wait_comes_to_the_right_verdict_through_all_faults() {
    let rollouts = number("FAULT_ROLLOUTS", 27);
    let seed = number("FAULT_SEED", 1);
    let agents = agents(rollouts);
    let simulator = simulator(&agents, "5");
    let proxy = Proxy::before(&simulator.url, seed);
    let place = Place::at(&proxy.url());
    let queue = Mutex::new(agents.iter());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((agent, script)) = queue.lock().unwrap().next() else {
                        return;
                    };
                    let (scenario, verdict, code) = SCRIPTS[*script];
                    let deployment = simulator.deploy(agent);
                    let timeout = format!("{TIMEOUT_SECONDS}s");
                    let ended = place.other(&[
                        "wait-for-ready",
                        agent,
                        "--deployment",
                        &deployment,
                        "--timeout",
                        &timeout,
                        "--output",
                        "json",
                        "--progress",
                        "plain",
                        "--logs",
                        "0",
                    ]);
                    let report = ended.json();
                    let reported = &report["agents"][0];
                    let elapsed = reported["elapsedMs"].as_u64().unwrap();
                    // Another one may have taken its place before any answer came through: then all
                    // that can be said is that it was never seen.
                    let unseen = verdict == "superseded"
                        && reported["verdict"] == "unchanged"
                        && reported["phases"].as_array().unwrap().len() == 1;
                    let right = (unseen
                        || (ended.code() == code && reported["verdict"] == verdict))
                        && elapsed <= (TIMEOUT_SECONDS + REQUEST_SECONDS) * 1000;
                    if !right {
                        let words = format!("{agent} plays {scenario}: {ended:#?}");
                        wrong.lock().unwrap().push(words);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!(
        "FAULT_SEED={seed}: {rollouts} waits, {} wrong, faults {:?}",
        wrong.len(),
        proxy.done()
    );
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_sidecar_comes_to_the_right_verdicts_through_all_faults() {
    let rollouts = number("FAULT_ROLLOUTS", 27);
    let seed = number("FAULT_SEED", 1);
    let agents = agents(rollouts);
    let simulator = simulator(&agents, "1");
    let proxy = Proxy::before(&simulator.url, seed);
    let place = Place::at(&proxy.url());
    let sidecar = place.start_watching();
    let mut expected = BTreeMap::new();
    for (agent, script) in &agents {
        expected.insert(agent.clone(), (simulator.deploy(agent), SCRIPTS[*script].1));
    }
    // Those that another took the place of before any list showed them.
    let mut unseen = Vec::new();
    let found = wait_within(MAX_WAIT, "every rollout has ended", || {
        let desired = desired(&simulator);
        let settled = settled(&sidecar)?;
        let found = ended(&sidecar)?;
        unseen = expected
            .iter()
            .filter(|(agent, (deployment, verdict))| {
                *verdict == "superseded"
                    && desired[*agent] != *deployment
                    && settled.get(*agent) == Some(&desired[*agent])
                    && !has_ended(&found, agent, deployment)
            })
            .map(|(agent, _)| agent.clone())
            .collect();
        expected
            .iter()
            .all(|(agent, (deployment, _))| {
                unseen.contains(agent) || has_ended(&found, agent, deployment)
            })
            .then_some(found)
    });
    let log = sidecar.stop().stderr;
    let mut wrong = Vec::new();
    for (agent, (deployment, verdict)) in &expected {
        // What takes its place may have ended as well; of itself there is one verdict.
        let own: Vec<&str> = found
            .get(agent)
            .into_iter()
            .flatten()
            .filter(|(id, _)| id == deployment)
            .map(|(_, verdict)| verdict.as_str())
            .collect();
        if own != [*verdict] && !unseen.contains(agent) {
            let lines = log
                .lines()
                .filter(|line| line.contains(&format!("\"agent\":\"{agent}\"")));
            wrong.push(format!(
                "{agent}: {own:?} instead of {verdict}:\n{}",
                lines.collect::<Vec<_>>().join("\n")
            ));
        }
    }
    println!(
        "FAULT_SEED={seed}: {rollouts} rollouts watched, {} unseen, {} wrong, faults {:?}",
        unseen.len(),
        wrong.len(),
        proxy.done()
    );
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The deployments that are desired, by agent.
fn desired(simulator: &Simulator) -> BTreeMap<String, String> {
    let (_, list) = simulator.ask("GET", "/agents");
    let services = list["services"].as_array().unwrap().iter();
    let word = |service: &Value, key: &str| service[key].as_str().unwrap().to_owned();
    services
        .map(|service| (word(service, "name"), word(service, "desiredDeploymentId")))
        .collect()
}

type Ended = BTreeMap<String, Vec<(String, String)>>;

/// The rollouts that have ended, by agent: deployments and verdicts.
fn ended(sidecar: &Sidecar) -> Option<Ended> {
    let mut found = Ended::new();
    let mut before = String::new();
    loop {
        let page = get_json(
            sidecar.endpoints(),
            &format!("/v1/rollouts?limit=1000{before}"),
        )?;
        for rollout in page["rollouts"].as_array().unwrap() {
            let word = |key: &str| rollout[key].as_str().unwrap().to_owned();
            let of_agent = found.entry(word("agent")).or_default();
            of_agent.push((word("deploymentId"), word("verdict")));
        }
        match page["next"].as_u64() {
            Some(next) => before = format!("&before={next}"),
            None => return Some(found),
        }
    }
}

fn has_ended(found: &Ended, agent: &str, deployment: &str) -> bool {
    let of_agent = found.get(agent);
    of_agent.is_some_and(|found| found.iter().any(|(id, _)| id == deployment))
}

/// The agents that are not rolling out, with their deployments.
fn settled(sidecar: &Sidecar) -> Option<BTreeMap<String, String>> {
    let mut settled = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = get_json(
            sidecar.endpoints(),
            &format!("/v1/agents?limit=1000{after}"),
        )?;
        for agent in page["agents"].as_array().unwrap() {
            if agent["state"] != "rolling-out"
                && let Some(deployment) = agent["deploymentId"].as_str()
            {
                let name = agent["name"].as_str().unwrap().to_owned();
                settled.insert(name, deployment.to_owned());
            }
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Some(settled),
        }
    }
}
