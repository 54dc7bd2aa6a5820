//! The machine, exhaustively: every sequence of an alphabet of observations, with states merged,
//! against what the contract promises.
//!
//! By default to a depth that takes seconds. `PROOF_SECONDS=300 cargo test --release --test proof --
//! --nocapture` goes on, depth by depth, until the time is up, and tells how far it came.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the proof tells how far it went")]

mod alphabet;
mod ghost;
mod histories;
mod history;
mod reference;
mod search;

use std::time::{Duration, Instant};

use pipecat_rollout::rollout::{Limits, NewRevision, Policy, TargetRule, Unchanged, Until};

use self::alphabet::{OLD, TARGET};
use self::search::{Depth, Search};

/// Where a run goes without a budget of time: the same states on every machine.
const USUAL_DEPTH: usize = 3;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Limits that are all crossed within a few steps.
fn limits() -> Limits {
    Limits {
        timeout: seconds(8),
        appear_timeout: seconds(3),
        outage_timeout: seconds(3),
        pull_grace: seconds(2),
        ..Limits::default()
    }
}

/// Every policy that the search is done for, with its name.
fn policies() -> Vec<(String, Policy)> {
    let rules = [
        ("first seen", TargetRule::FirstSeen),
        ("a deployment", TargetRule::Deployment(TARGET.to_owned())),
        ("any but the baseline", TargetRule::AnyBut(OLD.to_owned())),
    ];
    let stable = Limits {
        stable_for: seconds(2),
        ..limits()
    };
    let drained = Limits {
        until: Until::Drained,
        ..limits()
    };
    let stalling = Limits {
        stall_timeout: Some(seconds(3)),
        ..limits()
    };
    let new_revision = Limits {
        new_revision: NewRevision::Required,
        ..limits()
    };
    let accepting = Limits {
        unchanged: Unchanged::Accept,
        ..limits()
    };
    let kinds = [
        ("", limits()),
        (", stable", stable),
        (", drained", drained),
        (", stalling", stalling),
        (", of a new revision", new_revision),
        (", or the baseline", accepting),
    ];
    let mut policies = Vec::new();
    for (name, rule) in rules {
        for (kind, limits) in &kinds {
            let policy = Policy::new(rule.clone(), limits.clone()).unwrap();
            policies.push((format!("{name}{kind}"), policy));
        }
    }
    policies
}

#[test]
fn every_sequence_of_observations_keeps_what_the_contract_promises() {
    let budget = std::env::var("PROOF_SECONDS").map(|text| seconds(text.parse().unwrap()));
    let policies = policies();
    let share = u32::try_from(policies.len()).unwrap();
    let (mut states, mut transitions) = (0, 0);
    for (name, policy) in policies {
        let depth = match budget {
            Ok(budget) => Depth::Until(Instant::now() + budget / share),
            Err(_) => Depth::Of(USUAL_DEPTH),
        };
        let mut search = Search::new(policy);
        search.run(depth);
        println!(
            "{name:<40} {:>9} states {:>11} transitions, depth {}{}",
            search.states(),
            search.transitions(),
            search.depth(),
            if search.is_complete() {
                ", which is all"
            } else {
                ""
            }
        );
        states += search.states();
        transitions += search.transitions();
    }
    println!("{states} states, {transitions} transitions in all");
    assert!(states > 10_000, "only {states} states were found");
}
