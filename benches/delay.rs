//! How long after a change on the server a watch knows of it: our pace, others that were tried, and
//! fixed intervals, each simulated for many random rollouts. A request takes no time.
//!
//! `cargo bench --bench delay`

#![expect(clippy::print_stdout, reason = "it prints a table")]

#[path = "../src/core/rollout/pacing/tests/simulation.rs"]
mod simulation;

use std::time::Duration;

use pipecat_rollout::fuzzing::rollout::Phase;
use pipecat_rollout::fuzzing::rollout::pacing::{Moment, Pace};

use self::simulation::{CLASSES, Class, Figures, compare};

const ROLLOUTS: usize = 20_000;

type Wait = fn(Moment, f64) -> Duration;

/// What else was tried, each with the same jitter.
const TRIED: [(&str, Wait); 5] = [
    ("0.9 s throughout", |_, random| jittered(0.9, random)),
    ("5 % of the phase's age", |moment, random| {
        jittered(share_of_age(moment, 0.05).max(0.5), random)
    }),
    ("sqrt of the phase's age", |moment, random| {
        let wait = 0.12 * moment.phase_age.as_secs_f64().sqrt();
        jittered(wait.clamp(0.5, 5.0), random)
    }),
    ("1.8 s also in Creating", |moment, random| {
        match moment.phase {
            Phase::Creating => jittered(1.8, random),
            _ => Pace::Adaptive.wait(moment, random),
        }
    }),
    (
        "10 % of its age in Creating",
        |moment, random| match moment.phase {
            Phase::Creating => jittered(share_of_age(moment, 0.1).max(0.9), random),
            _ => Pace::Adaptive.wait(moment, random),
        },
    ),
];

fn jittered(seconds: f64, random: f64) -> Duration {
    Duration::from_secs_f64(seconds * (1.0 - 0.1 * random))
}

fn share_of_age(moment: Moment, share: f64) -> f64 {
    (share * moment.phase_age.as_secs_f64()).min(5.0)
}

fn main() {
    println!(
        "Seconds from the end of a rollout to the poll that sees it, {ROLLOUTS} rollouts a class.\n\
         \"As many\": the fixed interval with as many requests over the class. \"Each\": with as many for each\n\
         rollout.\n"
    );
    for class in &CLASSES {
        println!(
            "{:<30}{:>9}{:>9}{:>9}  {:>9}{:>9}{:>9}  {:>9}{:>9}",
            class.name,
            "requests",
            "median",
            "p95",
            "as many",
            "median",
            "p95",
            "each med",
            "each p95"
        );
        row("ours", class, |moment, random| {
            Pace::Adaptive.wait(moment, random)
        });
        for (name, wait) in TRIED {
            row(name, class, wait);
        }
        for seconds in [1, 2, 5] {
            let pace = Pace::Fixed(Duration::from_secs(seconds));
            let compared = compare(class, ROLLOUTS, |moment, random| pace.wait(moment, random));
            println!("{}", figures(&format!("fixed {seconds} s"), &compared.ours));
        }
        println!();
    }
}

fn row(name: &str, class: &Class, wait: impl Fn(Moment, f64) -> Duration) {
    let compared = compare(class, ROLLOUTS, wait);
    let (same, each) = (&compared.same_mean, &compared.same_each);
    println!(
        "{}  {:>9.2}{:>9.2}{:>9.2}  {:>9.2}{:>9.2}",
        figures(name, &compared.ours),
        compared.interval,
        same.median,
        same.p95,
        each.median,
        each.p95
    );
}

fn figures(name: &str, figures: &Figures) -> String {
    format!(
        "  {name:<28}{:>9.1}{:>9.2}{:>9.2}",
        figures.requests, figures.median, figures.p95
    )
}
