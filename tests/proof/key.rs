//! What a machine is, but for what decides nothing later: two ways to it are followed as one.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use pipecat_rollout::fuzzing::rollout::Machine;

/// Fields that only pace polls or describe what happened.
const DESCRIBES: [&str; 14] = [
    "policy",
    "report",
    "phases",
    "phase_since",
    "paced_from",
    "first_at",
    "ready_since",
    "last_problem",
    "failed",
    "outages",
    "waiting_for",
    "unconfirmed",
    "stale",
    "command_ended",
];
/// Fields of what has failed, which any answer clears.
const FAILING: [&str; 2] = ["outage", "refusals"];

/// The key of a state.
pub(crate) fn key(machine: &Machine, beside: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (written(machine, &DESCRIBES), beside).hash(&mut hasher);
    hasher.finish()
}

/// All that decides, but for what has failed, what the server's clock says, and whether time counts until the
/// next answer: of several stale ones in a row it does not.
pub(crate) fn known(machine: &Machine) -> String {
    let beside = [
        "start",
        "last_answer",
        "ready_before_command_end",
        "has_gap",
    ];
    written(machine, &[&DESCRIBES[..], &FAILING, &beside].concat())
}

/// What `{:?}` writes, without these fields.
fn written(machine: &Machine, without: &[&str]) -> String {
    let mut kept = Kept {
        text: String::new(),
        without,
        depth: 0,
        left_out: None,
    };
    write!(kept, "{machine:?}").unwrap();
    kept.text
}

struct Kept<'a> {
    text: String,
    without: &'a [&'a str],
    depth: u32,
    /// Within a field that is left out: how deep that is.
    left_out: Option<u32>,
}

impl fmt::Write for Kept<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        match piece {
            " { " | "(" | "[" | "{" => self.depth += 1,
            " }" | ")" | "]" | "}" => {
                self.depth -= 1;
                self.left_out = self.left_out.filter(|depth| self.depth >= *depth);
            }
            ", " => self.left_out = self.left_out.filter(|depth| self.depth > *depth),
            _ if self.left_out.is_none() && self.depth > 0 && self.without.contains(&piece) => {
                self.left_out = Some(self.depth);
            }
            _ => {}
        }
        if self.left_out.is_none() {
            self.text.push_str(piece);
        }
        Ok(())
    }
}
