//! Breadth first through everything that can be observed, one state at a time.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use pipecat_rollout::fuzzing::rollout::{
    Interruption, Limits, Machine, Next, Outcome, Policy, Step, Verdict,
};

use crate::alphabet::Symbol;
use crate::ghost::Ghost;
use crate::key::Keys;

/// How long after the one before an observation comes, in seconds.
pub(crate) const PAUSES: [u64; 2] = [1, 3];

/// How many pairs of merged states there are to one that is looked at.
const MERGED_TO_ONE_LOOK: u64 = 499;

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth {
    /// So many observations.
    Of(usize),
    /// As many as there is time for.
    Until(Instant),
}

/// A watch to search: what is asked, and whether the agent was seen before the deploy.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    /// How the agent stood before, where that was seen.
    pub(crate) before: Option<Symbol>,
}

impl Watch {
    fn begin(&self, policy: Policy) -> Machine {
        match self.before.as_ref().and_then(Symbol::details) {
            Some(details) => Machine::after(policy, Box::new(details.clone())),
            None => Machine::new(policy),
        }
    }
}

/// A search of all that a watch can come to.
pub(crate) struct Search<'a> {
    watch: Watch,
    symbols: &'a [Symbol],
    keys: Keys,
    /// The states that were found: at what depth, and at which place in its frontier.
    seen: HashMap<u64, (usize, usize)>,
    frontier: Vec<State>,
    /// How each state was come to.
    ways: Vec<Way>,
    transitions: u64,
    merged: u64,
    depth: usize,
    complete: bool,
}

/// The last step to a state: from which, by which symbol, and after how long a pause.
#[derive(Debug, Clone, Copy)]
struct Way {
    from: usize,
    symbol: usize,
    pause: u64,
}

/// A state that was found.
struct State {
    seen: Seen,
    /// A watch of the same, with twice the time.
    patient: Machine,
    /// Which one of the ways leads to it.
    way: usize,
}

/// What a sequence of observations leaves.
#[derive(Clone)]
struct Seen {
    machine: Machine,
    ghost: Ghost,
    /// The symbol of the newest answer that the machine believes.
    latest: Option<usize>,
    at: u64,
}

impl Seen {
    fn at(&self) -> Duration {
        Duration::from_secs(self.at)
    }
}

impl<'a> Search<'a> {
    pub(crate) fn new(watch: Watch, symbols: &'a [Symbol]) -> Self {
        let limits = Limits {
            timeout: watch.policy.limits().timeout * 2,
            ..watch.policy.limits().clone()
        };
        let patient = Policy::new(watch.policy.target().clone(), limits).unwrap();
        let start = State {
            seen: Seen {
                machine: watch.begin(watch.policy.clone()),
                ghost: Ghost::after(watch.before.as_ref().and_then(Symbol::details)),
                latest: None,
                at: 0,
            },
            patient: watch.begin(patient),
            way: 0,
        };
        Self {
            keys: Keys::of(&watch.policy),
            watch,
            symbols,
            seen: HashMap::new(),
            frontier: vec![start],
            ways: vec![Way {
                from: 0,
                symbol: 0,
                pause: 0,
            }],
            transitions: 0,
            merged: 0,
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

    /// How far it came, in words.
    pub(crate) fn extent(&self) -> String {
        let all = if self.complete { ", which is all" } else { "" };
        format!("depth {}{all}", self.depth)
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

    /// Tries each of these after every state that was found last, and goes no further.
    pub(crate) fn try_each(&mut self, symbols: &[Symbol]) {
        for state in std::mem::take(&mut self.frontier) {
            for symbol in symbols {
                self.transitions += 1;
                let story = |search: &Self| {
                    let way = search.story_to(state.way);
                    format!("{way}  then: {}\n", symbol.name)
                };
                let _ = self.step(&state, symbol, PAUSES[0], &story);
            }
        }
    }

    /// Everything that can be observed next.
    fn expand(&mut self, state: &State, next: &mut Vec<State>) {
        // The first look is at once.
        let pauses = if self.depth == 0 { &[0][..] } else { &PAUSES };
        for &pause in pauses {
            let symbols = self.symbols;
            for (place, symbol) in symbols.iter().enumerate() {
                self.transitions += 1;
                let way = Way {
                    from: state.way,
                    symbol: place,
                    pause,
                };
                let story = |search: &Self| search.story(way);
                if let Some(mut seen) = self.step(state, symbol, pause, &story) {
                    let believed = seen.machine.latest();
                    seen.latest = match symbol.details() {
                        details @ Some(_) if believed == details => Some(place),
                        _ => state.seen.latest,
                    };
                    self.merge(state, seen, way, next);
                }
            }
        }
    }

    /// One observation; nothing where the watch has ended with it.
    fn step(
        &self,
        before: &State,
        symbol: &Symbol,
        pause: u64,
        story: &dyn Fn(&Self) -> String,
    ) -> Option<Seen> {
        let policy = &self.watch.policy;
        let fail = |what: &str| -> ! {
            panic!("{what}:\n{}{}: {policy:?}", story(self), self.watch.name);
        };
        let mut seen = before.seen.clone();
        seen.at += pause;
        let at = seen.at();
        let step = seen.machine.observe(at, symbol.observation.clone());
        seen.ghost.see(policy, seen.at, symbol);
        let Some(outcome) = ended(&step) else {
            if at >= policy.limits().timeout {
                fail("it goes on after its deadline");
            }
            return Some(seen);
        };
        if let Some(fault) = seen.ghost.fault(policy, seen.at, symbol, &outcome) {
            fail(&fault);
        }
        if outcome.verdict == Verdict::Ready {
            let mut patient = before.patient.clone();
            let patient = ended(&patient.observe(at, symbol.observation.clone()));
            if patient.is_none_or(|patient| patient.verdict != Verdict::Ready) {
                fail("with more time it is not ready");
            }
        }
        // What the time has decided an answer may word otherwise: that the API answers is news.
        let by_time = match outcome.verdict {
            Verdict::Timeout | Verdict::Unavailable | Verdict::Unauthorized => {
                ended(&before.seen.machine.clone().lapse(at)).is_some()
            }
            // That it has not appeared in time is found out with an answer, whichever that is.
            Verdict::Unchanged => at >= policy.limits().appear_timeout,
            _ => false,
        };
        if seen
            .ghost
            .went_back_since(&before.seen.ghost, outcome.verdict)
            && !by_time
        {
            fail(&format!(
                "one answer from the past has ended it as {}",
                outcome.verdict
            ));
        }
        // Whatever comes after it, an ending stays what it is; each time something else comes.
        let place = usize::try_from(self.transitions).unwrap() % self.symbols.len();
        let later = at + Duration::from_secs(1);
        let _ = seen
            .machine
            .observe(later, self.symbols[place].observation.clone());
        let again = seen.machine.interrupt(later, Interruption::Terminate);
        if ended(&again).as_ref() != Some(&outcome) || !again.events.is_empty() {
            fail(&format!(
                "its verdict changed after {}",
                self.symbols[place].name
            ));
        }
        None
    }

    /// Keeps a state that is new; looks now and then whether one that is not is the same.
    fn merge(&mut self, before: &State, seen: Seen, way: Way, next: &mut Vec<State>) {
        let beside = (seen.latest, &seen.ghost, seen.at);
        let key = self.keys.key(&seen.machine, beside);
        if let Some(&(depth, place)) = self.seen.get(&key) {
            self.merged += 1;
            // The other one is still at hand if it was found at this depth.
            if depth == self.depth && self.merged.is_multiple_of(MERGED_TO_ONE_LOOK) {
                self.go_on_alike(&seen, &next[place].seen, way);
            }
            return;
        }
        self.seen.insert(key, (self.depth, next.len()));
        let mut patient = before.patient.clone();
        let symbol = &self.symbols[way.symbol];
        let patience = patient.observe(seen.at(), symbol.observation.clone());
        let alike = ended(&patience).is_none() && self.keys.same(&seen.machine, &patient);
        assert!(
            alike,
            "with more time it stands otherwise:\n{}",
            self.story(way)
        );
        let timeout = self.watch.policy.limits().timeout;
        let over = ended(&seen.machine.clone().lapse(timeout));
        assert!(
            over.is_some_and(|outcome| outcome.verdict != Verdict::Ready),
            "time alone must end it, and prove nothing:\n{}",
            self.story(way)
        );
        self.ways.push(way);
        next.push(State {
            seen,
            patient,
            way: self.ways.len() - 1,
        });
    }

    /// Two states that are taken for one must end alike, or come to the same again.
    fn go_on_alike(&mut self, one: &Seen, other: &Seen, way: Way) {
        for symbol in self.symbols {
            let mut machines = [one.machine.clone(), other.machine.clone()];
            let at = one.at() + Duration::from_secs(PAUSES[0]);
            let ends = machines
                .each_mut()
                .map(|machine| ended(&machine.observe(at, symbol.observation.clone())))
                .map(|outcome| outcome.map(|o| (o.verdict, o.deployment_id, o.revision_unchanged)));
            let alike = ends[0] == ends[1] && self.keys.same(&machines[0], &machines[1]);
            assert!(
                alike,
                "it is not like another state after {}:\n{}{ends:?}",
                symbol.name,
                self.story(way)
            );
        }
    }

    /// The shortest way to a state, for people.
    fn story_to(&self, way: usize) -> String {
        match way {
            0 => String::new(),
            way => self.story(self.ways[way]),
        }
    }

    fn story(&self, last: Way) -> String {
        let mut steps = vec![last];
        while let Some(Way { from, .. }) = steps.last()
            && *from != 0
        {
            steps.push(self.ways[*from]);
        }
        let mut at = 0;
        let mut text = String::new();
        for Way { symbol, pause, .. } in steps.into_iter().rev() {
            at += pause;
            writeln!(text, "  at {at} s: {}", self.symbols[symbol].name).unwrap();
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
