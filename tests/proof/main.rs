//! The machine, exhaustively: every sequence of an alphabet of observations, with states merged,
//! against what the contract promises.
//!
//! By default to a depth that takes seconds. `PROOF_SECONDS=300 cargo test --profile proof --test proof
//! -- --nocapture --test-threads 1` goes on, depth by depth, until the time is up, and tells how far
//! it came; with it, what has a bound of its own is tried whole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the proof tells how far it went")]

mod alphabet;
mod combinations;
mod ghost;
mod histories;
mod history;
mod key;
mod reference;
mod search;

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use pipecat_rollout::fuzzing::rollout::{
    Limits, NewRevision, Policy, TargetRule, Unchanged, Until,
};

use self::alphabet::{OLD, Symbol, TARGET, alphabet, before, commonest};
use self::combinations::every_answer;
use self::search::{Depth, Search, Watch};

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

/// Every watch that is searched.
fn watches() -> Vec<Watch> {
    let baseline = TargetRule::AnyBut(OLD.to_owned());
    let rules = [
        ("first seen", TargetRule::FirstSeen, None),
        (
            "a deployment",
            TargetRule::Deployment(TARGET.to_owned()),
            None,
        ),
        ("any but the baseline", baseline.clone(), None),
        ("any but what was seen before", baseline, Some(before())),
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
    let mut watches = Vec::new();
    for (name, rule, before) in rules {
        for (kind, limits) in &kinds {
            watches.push(Watch {
                name: format!("{name}{kind}"),
                policy: Policy::new(rule.clone(), limits.clone()).unwrap(),
                before: before.clone(),
            });
        }
    }
    watches
}

/// How long to search, where more was asked for than the usual depth.
fn budget() -> Option<Duration> {
    let text = std::env::var("PROOF_SECONDS").ok()?;
    Some(seconds(text.parse().unwrap()))
}

#[test]
fn every_sequence_of_observations_keeps_what_the_contract_promises() {
    let symbols = alphabet();
    let states = search(&symbols, |search, in_turn| {
        search.run(match budget() {
            Some(budget) => Depth::Until(Instant::now() + budget / in_turn),
            None => Depth::Of(USUAL_DEPTH),
        });
    });
    assert!(states > 10_000, "only {states} states were found");
}

/// A watch ends after eight seconds, and an observation comes every one or three: nine are all.
#[test]
fn every_watch_of_the_commonest_observations_keeps_it_to_its_end() {
    let symbols = commonest(if budget().is_some() { 12 } else { 5 });
    let states = search(&symbols, |search, _| search.run(Depth::Of(9)));
    assert!(states > 10_000, "only {states} states were found");
}

#[test]
fn every_combination_of_fields_is_judged_right_after_anything() {
    let symbols = alphabet();
    let answers = every_answer(if budget().is_some() { 1 } else { 101 });
    println!("{} combinations", answers.len());
    search(&symbols, |search, _| {
        search.run(Depth::Of(1));
        search.try_each(&answers);
    });
}

/// Searches every watch, on every core, and tells how many states there are. How far it goes may
/// depend on how many have to take turns on a core.
fn search(symbols: &[Symbol], run: impl Fn(&mut Search, u32) + Sync) -> usize {
    let watches = Mutex::new(watches());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let in_turn = watches.lock().unwrap().len().div_ceil(cores);
    let in_turn = u32::try_from(in_turn).unwrap();
    let totals = Mutex::new((0, 0));
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(watch) = take(&watches) {
                    let name = watch.name.clone();
                    let mut search = Search::new(watch, symbols);
                    run(&mut search, in_turn);
                    let (states, transitions) = (search.states(), search.transitions());
                    println!(
                        "{name:<46} {states:>9} states {transitions:>11} transitions, {}",
                        search.extent()
                    );
                    let mut totals = totals.lock().unwrap();
                    totals.0 += states;
                    totals.1 += transitions;
                }
            });
        }
    });
    let (states, transitions) = totals.into_inner().unwrap();
    println!("{states} states, {transitions} transitions in all");
    states
}

fn take<T>(queue: &Mutex<Vec<T>>) -> Option<T> {
    queue.lock().unwrap().pop()
}
