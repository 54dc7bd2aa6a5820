//! The driver that needs no engine: replays the seeds of a target, then random mutations of them.
//!
//! `drive TARGET|all SECONDS [SEED]`. What breaks a promise, or takes too long, is left in
//! `artifacts/TARGET/`, and the exit code is 1. `drive TARGET FILE...` runs files alone.

#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, abort};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use fastrand::Rng;
use pipecat_rollout_fuzz::{TARGETS, run};

/// The longest that one input may take.
const LONGEST_RUN: Duration = Duration::from_secs(10);
/// The longest input.
const LONGEST: usize = 8 * 1024;

/// The input that is run, and since when.
type Current = Arc<Mutex<Option<(String, Vec<u8>, Instant)>>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [target, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: drive TARGET|all SECONDS [SEED], or drive TARGET FILE...");
        return ExitCode::from(2);
    };
    let current = Current::default();
    watch(current.clone());
    let seconds = rest.first().and_then(|seconds| seconds.parse().ok());
    let Some(seconds) = seconds else {
        let well = rest.iter().all(|file| {
            let data = fs::read(file).expect("the file can be read");
            passes(&current, target, &data)
        });
        return ExitCode::from(u8::from(!well));
    };
    let seed = rest.get(1).and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let mut well = true;
    for (name, _) in TARGETS {
        if target == "all" || target == name {
            well &= drive(&current, name, Duration::from_secs(seconds), seed);
        }
    }
    ExitCode::from(u8::from(!well))
}

/// Runs a target for so long, and says how it went.
fn drive(current: &Current, target: &str, length: Duration, seed: u64) -> bool {
    let seeds = seeds(target);
    let dictionary = dictionary();
    let mut rng = Rng::with_seed(seed);
    let began = Instant::now();
    let mut runs: u64 = 0;
    let mut well = seeds.iter().all(|data| passes(current, target, data));
    while well && began.elapsed() < length {
        let data = mutated(&seeds, &dictionary, &mut rng);
        well = passes(current, target, &data);
        runs += 1;
    }
    let how = if well { "ok" } else { "FAILED" };
    println!(
        "{target}: {how}, {} seeds and {runs} mutations in {:.0?} (seed {seed})",
        seeds.len(),
        began.elapsed()
    );
    well
}

/// Whether an input keeps all promises; one that does not is kept.
fn passes(current: &Current, target: &str, data: &[u8]) -> bool {
    *lock(current) = Some((target.to_owned(), data.to_owned(), Instant::now()));
    let well = catch_unwind(AssertUnwindSafe(|| run(target, data))).is_ok();
    *lock(current) = None;
    if !well {
        keep(target, "crash", data);
    }
    well
}

/// Ends the process when an input takes too long.
fn watch(current: Current) {
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            if let Some((target, data, since)) = &*lock(&current)
                && since.elapsed() > LONGEST_RUN
            {
                keep(target, "timeout", data);
                abort();
            }
        }
    });
}

fn lock(current: &Current) -> std::sync::MutexGuard<'_, Option<(String, Vec<u8>, Instant)>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(target: &str, what: &str, data: &[u8]) {
    let folder = home().join("artifacts").join(target);
    let name = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = folder.join(format!("{what}-{name:016x}"));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, data))
        .expect("an artifact can be written");
    eprintln!("{target}: {what}, the input is in {}", path.display());
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = fs::read_dir(home().join("corpus").join(target));
    let mut paths: Vec<PathBuf> = folder
        .expect("a target has seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    paths.sort();
    let read = |path| fs::read(path).expect("a seed can be read");
    paths.into_iter().map(read).collect()
}

/// The words of the engine's dictionary: what is between quotes, with `\xHH` for bytes.
fn dictionary() -> Vec<Vec<u8>> {
    let text = include_str!("../../dictionary");
    let words = text
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    words.map(unescaped).collect()
}

fn unescaped(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let [first, after @ ..] = rest {
        (rest, ()) = match after {
            [b'x', high, low, after @ ..] if *first == b'\\' => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).expect("two digits");
                (
                    after,
                    bytes.push(u8::from_str_radix(digits, 16).expect("a byte")),
                )
            }
            [escaped, after @ ..] if *first == b'\\' => (after, bytes.push(*escaped)),
            after => (after, bytes.push(*first)),
        };
    }
    bytes
}

/// A seed with a few changes.
fn mutated(seeds: &[Vec<u8>], dictionary: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut data = rng.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..=rng.usize(..6) {
        let at = rng.usize(..=data.len());
        let end = data.len().min(at + rng.usize(..32));
        match rng.u8(..9) {
            0 if at < data.len() => data[at] ^= 1 << rng.u8(..8),
            1 if at < data.len() => data[at] = rng.u8(..),
            2 => drop(data.drain(at..end)),
            3 => data.insert(at, rng.u8(..)),
            4 => data.truncate(at),
            5 => {
                let piece = data[at..end].to_vec();
                let times = if rng.u8(..16) == 0 { 100 } else { 1 };
                data.splice(at..at, piece.repeat(times));
            }
            6 => {
                let other = rng.choice(seeds).map_or(&[][..], Vec::as_slice);
                let from = rng.usize(..=other.len());
                let until = other.len().min(from + rng.usize(..256));
                data.splice(at..end, other[from..until].iter().copied());
            }
            _ => {
                let word = rng.choice(dictionary).cloned().unwrap_or_default();
                let over = if rng.bool() { at..end } else { at..at };
                data.splice(over, word);
            }
        }
        data.truncate(LONGEST);
    }
    data
}
