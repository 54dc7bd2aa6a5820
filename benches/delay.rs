//! How long after a change on the server a watch knows of it: our pace beside a fixed interval, each
//! simulated for many random rollouts.
//!
//! `cargo bench --bench delay`

#![expect(clippy::print_stdout, reason = "it prints a table")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use std::time::Duration;

use pipecat_rollout::fuzzing::rollout::pacing::Pace;

const ROLLOUTS: usize = 20_000;
/// Phases of a rollout: how long each lasts at least and at most, in seconds.
type Phases = [(f64, f64); 4];
const QUICK: Phases = [(0.5, 3.0), (1.0, 5.0), (2.0, 8.0), (2.0, 8.0)];
const SLOW: Phases = [(1.0, 5.0), (2.0, 20.0), (5.0, 60.0), (5.0, 120.0)];

/// How a rollout's last change was seen.
struct Seen {
    delay: f64,
    requests: usize,
}

/// Watches one rollout, whose phases end at these times, by this wait.
fn watch(ends: &[f64], mut wait: impl FnMut(Duration) -> Duration) -> Seen {
    let (mut at, mut since, mut phase, mut requests) = (0.0, 0.0, 0, 0);
    loop {
        requests += 1;
        let now = ends.iter().filter(|end| **end <= at).count();
        if now == ends.len() {
            return Seen {
                delay: at - ends[ends.len() - 1],
                requests,
            };
        }
        if now != phase {
            (phase, since) = (now, at);
        }
        at += wait(Duration::from_secs_f64(at - since)).as_secs_f64();
    }
}

fn main() {
    compare("quick rollouts, of 5 to 24 s", &QUICK);
    compare("slow rollouts, of 13 to 205 s", &SLOW);
}

fn compare(name: &str, phases: &Phases) {
    let mut random = fastrand::Rng::with_seed(7);
    let rollouts: Vec<Vec<f64>> = (0..ROLLOUTS)
        .map(|_| {
            let mut at = 0.0;
            let mut end = |(least, most): &(f64, f64)| {
                at += least + (most - least) * random.f64();
                at
            };
            phases.iter().map(&mut end).collect()
        })
        .collect();
    let ours: Vec<Seen> = rollouts
        .iter()
        .map(|ends| watch(ends, |age| Pace::Proportional.wait(age, random.f64())))
        .collect();
    // The first poll of a fixed interval falls anywhere beside the rollout.
    let mut fixed = |interval: f64| -> Vec<Seen> {
        let offset = Duration::from_secs_f64(interval);
        let watched = rollouts.iter().map(|ends| {
            let shift = random.f64() * interval;
            let shifted: Vec<f64> = ends.iter().map(|end| end + shift).collect();
            watch(&shifted, |_| offset)
        });
        watched.collect()
    };
    let requests = ours.iter().map(|seen| seen.requests).sum::<usize>() as f64;
    let lengths: f64 = rollouts.iter().map(|ends| ends[ends.len() - 1]).sum();
    println!(
        "{:<30}{:>10}{:>10}{:>10}{:>10}{:>12}",
        name, "median s", "p95 s", "p99 s", "most s", "requests"
    );
    row("ours", &ours);
    row("fixed 5 s", &fixed(5.0));
    row("fixed, as many requests", &fixed(lengths / requests));
}

fn row(name: &str, seen: &[Seen]) {
    let mut delays: Vec<f64> = seen.iter().map(|seen| seen.delay).collect();
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    let requests = seen.iter().map(|seen| seen.requests).sum::<usize>() as f64;
    println!(
        "{name:<30}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{:>12.1}",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0),
        requests / seen.len() as f64
    );
}
