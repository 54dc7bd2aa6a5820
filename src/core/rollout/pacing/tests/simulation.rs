//! Random rollouts, watched in virtual time: what a pace costs in requests and how late it sees the
//! end, beside fixed intervals. Shared by the tests of the pace and `benches/delay.rs`.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use std::time::Duration;

use super::{Moment, Phase};

/// A kind of rollout.
pub(crate) struct Class {
    pub(crate) name: &'static str,
    draw: fn(&mut Random) -> Rollout,
}

/// Every class; the first three are those of the contract.
pub(crate) const CLASSES: [Class; 12] = [
    class("quick, 3 to 25 s", |random| {
        in_phases(random.between(3.0, 25.0), &ORDINARY, random)
    }),
    class("slow, 25 to 200 s", |random| {
        in_phases(random.between(25.0, 200.0), &ORDINARY, random)
    }),
    class("long, 200 to 600 s", |random| {
        in_phases(random.between(200.0, 600.0), &ORDINARY, random)
    }),
    class("quick, no phases", |random| {
        in_phases(random.between(3.0, 25.0), &NO_PHASES, random)
    }),
    class("slow, no phases", |random| {
        in_phases(random.between(25.0, 200.0), &NO_PHASES, random)
    }),
    class("long, no phases", |random| {
        in_phases(random.between(200.0, 600.0), &NO_PHASES, random)
    }),
    class("crash loop in Validating", |random| {
        crash_loop(Phase::Validating, random)
    }),
    class("crash loop in Creating", |random| {
        crash_loop(Phase::Creating, random)
    }),
    class("scale to zero, 3 to 12 s", |random| {
        let shares = [(Phase::Reconciling, 1.0), (Phase::Creating, 1.0)];
        in_phases(random.between(3.0, 12.0), &shares, random)
    }),
    class("slow pull, short check", |random| {
        let shares = [
            (Phase::Reconciling, 1.0),
            (Phase::Creating, 3.0),
            (Phase::Validating, 0.2),
        ];
        in_phases(random.between(25.0, 200.0), &shares, random)
    }),
    class("quick, joined midway", |random| {
        let total = random.between(3.0, 25.0);
        let whole = in_phases(total, &ORDINARY, random);
        whole.from(random.between(0.0, total))
    }),
    // The image does not exist, for example. A second answer has to confirm it.
    class("error before reconciled", |random| Rollout {
        answers: 2,
        ..in_phases(
            random.between(1.0, 15.0),
            &[(Phase::Reconciling, 1.0)],
            random,
        )
    }),
];

/// The phases of a rollout and their mean shares of its time; a share may be close to nothing.
const ORDINARY: [(Phase, f64); 4] = [
    (Phase::Waiting, 0.5),
    (Phase::Reconciling, 1.0),
    (Phase::Creating, 2.0),
    (Phase::Validating, 3.0),
];
const NO_PHASES: [(Phase, f64); 1] = [(Phase::Progressing, 1.0)];

const fn class(name: &'static str, draw: fn(&mut Random) -> Rollout) -> Class {
    Class { name, draw }
}

/// What the server goes through. Times are in seconds since the watch began.
struct Rollout {
    /// What begins something new to a watcher (a phase, a problem), and when that ends.
    stretches: Vec<(Phase, f64)>,
    /// How many answers have to show the end until it is believed.
    answers: usize,
}

impl Rollout {
    fn end(&self) -> f64 {
        self.stretches[self.stretches.len() - 1].1
    }

    /// The same for a watch that begins at this time.
    fn from(self, begin: f64) -> Self {
        let left = self.stretches.into_iter().filter(|(_, end)| *end > begin);
        Rollout {
            stretches: left.map(|(phase, end)| (phase, end - begin)).collect(),
            ..self
        }
    }
}

/// Splits a rollout at random, all splits being equally likely where the shares are equal to 1.
fn in_phases(total: f64, shares: &[(Phase, f64)], random: &mut Random) -> Rollout {
    let parts: Vec<f64> = shares
        .iter()
        .map(|(_, share)| -share * (1.0 - random.next()).ln())
        .collect();
    let scale = total / parts.iter().sum::<f64>();
    let mut at = 0.0;
    let stretches = shares.iter().zip(parts).map(|((phase, _), part)| {
        at += part * scale;
        (*phase, at)
    });
    Rollout {
        stretches: stretches.collect(),
        answers: 1,
    }
}

/// Three starts that crash, with pauses between them that double; the last crash is the end.
fn crash_loop(phase: Phase, random: &mut Random) -> Rollout {
    let mut at = random.between(0.5, 3.0);
    let mut stretches = vec![(Phase::Reconciling, at)];
    at += random.between(1.0, 10.0);
    stretches.push((Phase::Creating, at));
    let mut pause = random.between(3.0, 12.0);
    for _ in 0..3 {
        at += random.between(1.0, 5.0);
        stretches.push((phase, at));
        at += pause;
        stretches.push((phase, at));
        pause *= 2.0;
    }
    Rollout {
        stretches,
        answers: 1,
    }
}

/// How many requests a rollout takes, and how late its end is seen, in seconds.
pub(crate) struct Figures {
    pub(crate) requests: f64,
    pub(crate) median: f64,
    pub(crate) p95: f64,
}

impl Figures {
    fn of(seen: &[Seen]) -> Self {
        let mut delays: Vec<f64> = seen.iter().map(|seen| seen.delay).collect();
        delays.sort_by(f64::total_cmp);
        let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
        Figures {
            requests: mean_requests(seen),
            median: at(0.5),
            p95: at(0.95),
        }
    }
}

fn mean_requests(seen: &[Seen]) -> f64 {
    seen.iter().map(|seen| seen.requests).sum::<f64>() / seen.len() as f64
}

/// One rollout, watched to its end.
struct Seen {
    requests: f64,
    delay: f64,
}

/// A pace beside fixed intervals.
pub(crate) struct Comparison {
    pub(crate) ours: Figures,
    /// The fixed interval that takes as many requests over all rollouts, in seconds.
    pub(crate) interval: f64,
    pub(crate) same_mean: Figures,
    /// For each rollout, the fixed interval that takes as many requests for this one.
    pub(crate) same_each: Figures,
}

/// Watches random rollouts of a class by this wait and by fixed intervals.
pub(crate) fn compare(
    class: &Class,
    rollouts: usize,
    wait: impl Fn(Moment, f64) -> Duration,
) -> Comparison {
    let mut random = Random(rollouts as u64);
    let drawn: Vec<Rollout> = (0..rollouts).map(|_| (class.draw)(&mut random)).collect();
    let ours: Vec<Seen> = drawn
        .iter()
        .map(|rollout| watch(rollout, &wait, &mut random))
        .collect();
    let each: Vec<Seen> = drawn
        .iter()
        .zip(&ours)
        .map(|(rollout, seen)| {
            let answers = rollout.answers as f64;
            // From the first poll to the end and half a wait on average, then to confirm it.
            let interval = rollout.end() / (seen.requests - 0.5 - answers);
            Seen {
                requests: seen.requests,
                delay: interval * (random.next() + answers - 1.0),
            }
        })
        .collect();
    let requests = mean_requests(&ours);
    let (mut short, mut long) = (0.01, 1000.0);
    for _ in 0..40 {
        let middle = f64::midpoint(short, long);
        if mean_requests(&at_fixed(&drawn, middle)) > requests {
            short = middle;
        } else {
            long = middle;
        }
    }
    Comparison {
        ours: Figures::of(&ours),
        interval: long,
        same_mean: Figures::of(&at_fixed(&drawn, long)),
        same_each: Figures::of(&each),
    }
}

/// Watches one rollout by this wait.
fn watch(rollout: &Rollout, wait: impl Fn(Moment, f64) -> Duration, random: &mut Random) -> Seen {
    let (mut at, mut since, mut stretch) = (0.0, 0.0, 0);
    let (mut requests, mut confirmed) = (0, 0);
    loop {
        requests += 1;
        let ended = rollout.stretches.iter().filter(|(_, end)| *end <= at);
        let now = ended.count();
        if now != stretch {
            (stretch, since) = (now, at);
        }
        if now == rollout.stretches.len() {
            confirmed += 1;
        }
        if confirmed == rollout.answers {
            return Seen {
                requests: f64::from(requests),
                delay: at - rollout.end(),
            };
        }
        let moment = Moment {
            phase: rollout.stretches[now.min(rollout.stretches.len() - 1)].0,
            phase_age: Duration::from_secs_f64(at - since),
            elapsed: Duration::from_secs_f64(at),
        };
        at += wait(moment, random.next()).as_secs_f64();
    }
}

/// Watches rollouts by a fixed interval, which takes no simulation.
fn at_fixed(rollouts: &[Rollout], interval: f64) -> Vec<Seen> {
    let watched = rollouts.iter().map(|rollout| {
        let until_end = (rollout.end() / interval).ceil();
        let waits = until_end + rollout.answers as f64 - 1.0;
        Seen {
            requests: waits + 1.0,
            delay: waits * interval - rollout.end(),
        }
    });
    watched.collect()
}

/// The same numbers in every run (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    /// From 0 up to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.next()
    }
}
