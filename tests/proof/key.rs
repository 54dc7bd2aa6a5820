//! What a state is, but for what can decide nothing later: two ways to it are followed as one.
//!
//! That what is left out decides nothing is not taken on trust: the search looks at a sample of the
//! pairs that it merges, and both must go on alike.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use pipecat_rollout::fuzzing::rollout::{Machine, Policy};

/// Fields of the machine that tell a story or pace the polls. `latest` is known by its symbol.
const STORY: [&str; 12] = [
    "policy",
    "latest",
    "awaited",
    "trouble",
    "phase",
    "phase_since",
    "phases",
    "paced_from",
    "paced_before_doubt",
    "polls",
    "failed_polls",
    "outcome",
];
/// Fields that count only where a watch may stall.
const MOTION: [&str; 2] = ["progress", "moved_at"];
/// Fields further in: how often an outage has failed.
const WITHIN: [&str; 1] = ["failed"];

/// Writes keys, in a buffer that it keeps.
#[derive(Default)]
pub(crate) struct Keys {
    text: String,
    stalls: bool,
}

impl Keys {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            text: String::new(),
            stalls: policy.limits().stall_timeout.is_some(),
        }
    }

    /// The key of a machine, and of what else a state is made of. Among ten million states the chance
    /// that any two share one by accident is one in 300,000.
    pub(crate) fn key(&mut self, machine: &Machine, beside: impl std::hash::Hash) -> u64 {
        self.write(machine);
        let mut hasher = DefaultHasher::new();
        (&*self.text, beside).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether two machines are the same in all that decides, whatever their policies.
    pub(crate) fn same(&mut self, one: &Machine, other: &Machine) -> bool {
        self.write(one);
        let first = self.text.clone();
        self.write(other);
        first == self.text
    }

    fn write(&mut self, machine: &Machine) {
        self.text.clear();
        let mut kept = Kept {
            text: &mut self.text,
            motion: self.stalls,
            depth: 0,
            left_out: None,
        };
        write!(kept, "{machine:?}").unwrap();
    }
}

/// What `{:?}` writes, piece by piece, but for the fields that are left out.
struct Kept<'a> {
    text: &'a mut String,
    /// Whether what moves is kept.
    motion: bool,
    /// How deep in the machine.
    depth: u32,
    /// Within a field that is left out: how deep that stands.
    left_out: Option<u32>,
}

impl Kept<'_> {
    fn leaves_out(&self, name: &str) -> bool {
        match self.depth {
            0 => false,
            1 => STORY.contains(&name) || (!self.motion && MOTION.contains(&name)),
            _ => WITHIN.contains(&name),
        }
    }
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
            _ if self.left_out.is_none() && self.leaves_out(piece) => {
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
