//! The machine held against the truth: random histories of an honest server (`histories`), and every
//! short sequence of answers (`search`).
//!
//! By default a few seconds. `PROOF_SECONDS=280 cargo test --profile proof --test proof search --
//! --nocapture` searches for as long and prints how far it came; `PROOF_CASES=100000` tries so many
//! histories.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alphabet;
mod evidence;
mod histories;
mod key;
mod search;
mod truth;
mod watch;
mod world;

#[expect(clippy::print_stdout, reason = "the proof says how far it went")]
fn print(line: &str) {
    println!("{line}");
}
