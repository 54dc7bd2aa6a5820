//! Breadth first through everything that can be observed, one state at a time.
//!
//! Two ways to the same state are followed as one. What is left out of a state's key cannot decide
//! anything later: how many polls there were, which phases were told, when polls were paced from,
//! how often the present outage failed.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use pipecat_rollout::rollout::{
    Interruption, Limits, Machine, Next, Outcome, Policy, Step, Verdict,
};

use crate::alphabet::Symbol;
use crate::ghost::Ghost;

/// How long after the one before an observation comes, in seconds.
const PAUSES: [u64; 2] = [1, 3];

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth {
    /// So many observations.
    Of(usize),
    /// As many as there is time for.
    Until(Instant),
}

/// A search of all that a policy can lead to.
pub(crate) struct Search {
    policy: Policy,
    symbols: Vec<Symbol>,
    seen: HashSet<u128>,
    /// Where keys are written.
    text: String,
    frontier: Vec<State>,
    /// How each state was come to: from which, by which symbol and pause.
    ways: Vec<(u32, u8, u8)>,
    transitions: u64,
    depth: usize,
    complete: bool,
}

/// A machine under way, one with twice the time, and what was seen.
#[derive(Clone)]
struct State {
    machine: Machine,
    patient: Machine,
    ghost: Ghost,
    at: u64,
    way: u32,
}

impl Search {
    pub(crate) fn new(policy: Policy, symbols: Vec<Symbol>) -> Self {
        let limits = Limits {
            timeout: policy.limits().timeout * 2,
            ..policy.limits().clone()
        };
        let patient = Policy::new(policy.target().clone(), limits).unwrap();
        let start = State {
            machine: Machine::new(policy.clone()),
            patient: Machine::new(patient),
            ghost: Ghost::default(),
            at: 0,
            way: 0,
        };
        Self {
            policy,
            symbols,
            seen: HashSet::new(),
            text: String::new(),
            frontier: vec![start],
            ways: vec![(0, 0, 0)],
            transitions: 0,
            depth: 0,
            complete: false,
        }
    }

    pub(crate) fn states(&self) -> usize {
        self.seen.len()
    }

    pub(crate) fn transitions(&self) -> u64 {
        self.transitions
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether there was nothing left to find.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn run(&mut self, depth: Depth) {
        loop {
            match depth {
                Depth::Of(depth) if self.depth >= depth => return,
                _ if self.frontier.is_empty() => {
                    self.complete = true;
                    return;
                }
                _ => {}
            }
            let mut next = Vec::new();
            for state in std::mem::take(&mut self.frontier) {
                if matches!(depth, Depth::Until(end) if Instant::now() >= end) {
                    return;
                }
                self.expand(&state, &mut next);
            }
            self.frontier = next;
            self.depth += 1;
        }
    }

    /// Everything that can be observed next.
    fn expand(&mut self, state: &State, next: &mut Vec<State>) {
        // The first look is at once.
        let pauses = if self.depth == 0 { &[0][..] } else { &PAUSES };
        for &pause in pauses {
            for symbol in 0..self.symbols.len() {
                self.transitions += 1;
                if let Some(state) = self.advance(state, symbol, pause)
                    && self.seen.insert(key(&state, &mut self.text))
                {
                    next.push(state);
                }
            }
        }
    }

    /// One observation; none where the watch has ended with it.
    fn advance(&mut self, before: &State, place: usize, pause: u64) -> Option<State> {
        let mut state = before.clone();
        let symbol = &self.symbols[place];
        state.at += pause;
        let at = Duration::from_secs(state.at);
        let step = state.machine.observe(at, symbol.observation.clone());
        let patient = state.patient.observe(at, symbol.observation.clone());
        state.ghost.see(&self.policy, state.at, symbol);
        let way = (
            before.way,
            u8::try_from(place).unwrap(),
            u8::try_from(pause).unwrap(),
        );
        let fail = |what: &str| -> ! {
            panic!("{what}:\n{}\npolicy {:?}", self.story(way), self.policy);
        };
        let Some(outcome) = ended(&step) else {
            if at >= self.policy.limits().timeout {
                fail("it goes on after its deadline");
            }
            if let Some(patient) = ended(&patient)
                && patient.verdict == Verdict::Ready
            {
                fail("only with more time it is ready already");
            }
            self.ways.push(way);
            state.way = u32::try_from(self.ways.len() - 1).unwrap();
            return Some(state);
        };
        if let Some(fault) = state.ghost.fault(&self.policy, state.at, symbol, &outcome) {
            fail(&fault);
        }
        if outcome.verdict == Verdict::Ready
            && ended(&patient).is_none_or(|patient| patient.verdict != Verdict::Ready)
        {
            fail("with more time it is not ready");
        }
        // What the time has decided an answer may word otherwise: that the API answers is news.
        let by_time = match outcome.verdict {
            Verdict::Timeout | Verdict::Unavailable | Verdict::Unauthorized => {
                ended(&before.machine.clone().lapse(at)).is_some()
            }
            // That it has not appeared in time is found out with an answer, whichever that is.
            Verdict::Unchanged => at >= self.policy.limits().appear_timeout,
            _ => false,
        };
        if state.ghost.went_back_since(&before.ghost) && !by_time {
            fail(&format!(
                "one answer from the past has ended it as {}",
                outcome.verdict
            ));
        }
        self.stays(&state.machine, &outcome, at)
            .unwrap_or_else(|what| fail(&what));
        None
    }

    /// Whatever comes after it, an ending stays what it is.
    fn stays(&self, machine: &Machine, outcome: &Outcome, at: Duration) -> Result<(), String> {
        let later = at + Duration::from_secs(1);
        for symbol in self.symbols.iter().step_by(7) {
            let mut machine = machine.clone();
            let _ = machine.observe(later, symbol.observation.clone());
            let again = machine.interrupt(later, Interruption::Terminate);
            let changed = ended(&again).as_ref() != Some(outcome) || !again.events.is_empty();
            if changed {
                return Err(format!("its verdict changed after {}", symbol.name));
            }
        }
        Ok(())
    }

    /// The shortest way to a state, for people.
    fn story(&self, last: (u32, u8, u8)) -> String {
        let mut steps = vec![last];
        while let Some(&(from, ..)) = steps.last()
            && from != 0
        {
            steps.push(self.ways[usize::try_from(from).unwrap()]);
        }
        let mut at = 0;
        let mut text = String::new();
        for (_, symbol, pause) in steps.into_iter().rev() {
            at += u64::from(pause);
            writeln!(
                text,
                "  at {at} s: {}",
                self.symbols[usize::from(symbol)].name
            )
            .unwrap();
        }
        text
    }
}

fn ended(step: &Step) -> Option<Outcome> {
    match &step.next {
        Next::Done(outcome) => Some((**outcome).clone()),
        Next::Poll(_) => None,
    }
}

/// What a state is, but for what can decide nothing later.
fn key(state: &State, text: &mut String) -> u128 {
    text.clear();
    let mut kept = Kept { text, within: None };
    write!(kept, "{:?}|{:?}", state.machine, state.patient).unwrap();
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &*text, &state.ghost, state.at).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    hash(0) << 64 | hash(1)
}

/// Fields that cannot decide anything later, and the policy, which is the same for all.
const LEFT_OUT: [&str; 6] = [
    "phases",
    "paced_from",
    "polls",
    "failed_polls",
    "failed",
    "policy",
];

/// What `{:?}` writes, piece by piece, but for the fields that are left out.
struct Kept<'a> {
    text: &'a mut String,
    /// Within a field that is left out: how deep in its value.
    within: Option<u32>,
}

impl fmt::Write for Kept<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let Some(depth) = &mut self.within else {
            if LEFT_OUT.contains(&piece) {
                self.within = Some(0);
            } else {
                self.text.push_str(piece);
            }
            return Ok(());
        };
        match piece {
            ", " | " }" | ")" | "]" | "}" if *depth == 0 => {
                self.within = None;
                self.text.push_str(piece);
            }
            " { " | "(" | "[" | "{" => *depth += 1,
            " }" | ")" | "]" | "}" => *depth -= 1,
            _ => {}
        }
        Ok(())
    }
}
