//! Every sequence of letters, one state at a time, with what each verdict needs to have been shown.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use pipecat_rollout::fuzzing::rollout::{
    Baseline, Event, FailureClass, Interruption, Limits, Machine, NewRevision, Next, Outcome,
    Policy, TargetRule, Verdict,
};

use crate::alphabet::{Brings, CREATED, Letter, TARGET, alphabet};
use crate::evidence::{Bears, is_confirmed, is_refused, shown};
use crate::key::{key, known};
use crate::watch::{millis, time};
use crate::world::{BASELINE, Ms, State as Agent, date, rising};

/// How long after the one before a letter comes.
const PAUSES: [Ms; 2] = [1000, 3000];
/// Without a budget of time: so deep with every letter, and so deep with the commonest.
const USUAL: [(usize, usize); 2] = [(2, usize::MAX), (4, 4)];

fn limits() -> Limits {
    Limits {
        timeout: time(16_000),
        appear_timeout: time(6000),
        outage_timeout: time(6000),
        pull_grace: time(4000),
        ..Limits::default()
    }
}

fn watches() -> Vec<(String, Policy)> {
    let baseline = |created_at| {
        TargetRule::NewerThan(Baseline {
            noted_at: None,
            deployment_id: Some(rising(BASELINE)),
            created_at,
        })
    };
    let rules = [
        ("first seen", TargetRule::FirstSeen),
        ("a deployment", TargetRule::Deployment(rising(TARGET))),
        (
            "newer than the baseline",
            baseline(Some(date(CREATED[BASELINE]))),
        ),
        ("another than the baseline", baseline(None)),
        ("of a command", TargetRule::Deploy),
    ];
    let mut watches = Vec::new();
    for (name, rule) in rules {
        for kind in ["", ", stable", ", stalling", ", of a new revision"] {
            let mut limits = limits();
            match kind {
                ", stable" => limits.stable_for = time(3000),
                ", stalling" => limits.stall_timeout = Some(time(6000)),
                ", of a new revision" => limits.new_revision = NewRevision::Required,
                _ => {}
            }
            let policy = Policy::new(rule.clone(), limits).unwrap();
            watches.push((format!("{name}{kind}"), policy));
        }
    }
    watches
}

#[test]
fn every_sequence_of_answers_keeps_what_the_contract_promises() {
    let budget = std::env::var("PROOF_SECONDS").ok();
    let budget = budget.map(|text| Duration::from_secs(text.parse().unwrap()));
    let letters = alphabet();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let watches = Mutex::new(watches());
    let in_turn = watches.lock().unwrap().len().div_ceil(cores);
    let totals = Mutex::new((0, 0));
    let next = || watches.lock().unwrap().pop();
    let search_one = |name: String, policy: &Policy| {
        let depths = match budget {
            Some(_) => [(usize::MAX, usize::MAX), (usize::MAX, 7)],
            None => USUAL,
        };
        for (depth, many) in depths {
            let letters = &letters[..many.min(letters.len())];
            let share = budget.map(|budget| budget / u32::try_from(2 * in_turn).unwrap());
            let until = share.map(|share| Instant::now() + share);
            let search = Search::run(policy, letters, depth, until);
            let (states, transitions) = (search.seen.len(), search.transitions);
            crate::print(&format!(
                "{name}, {} letters: depth {}, {states} states, {transitions} transitions",
                letters.len(),
                search.depth,
            ));
            let mut totals = totals.lock().unwrap();
            totals.0 += states;
            totals.1 += transitions;
        }
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((name, policy)) = next() {
                    search_one(name, &policy);
                }
            });
        }
    });
    let (states, transitions) = totals.into_inner().unwrap();
    crate::print(&format!(
        "{states} states, {transitions} transitions in all"
    ));
    assert!(states > 10_000, "only {states} states were found");
}

struct Search<'a> {
    policy: &'a Policy,
    letters: &'a [Letter],
    seen: HashSet<u64>,
    /// How each state was come to: from which state, by which letter, and when.
    ways: Vec<(usize, usize, Ms)>,
    transitions: u64,
    depth: usize,
}

struct State {
    machine: Machine,
    command: bool,
    at: Ms,
    way: usize,
}

impl<'a> Search<'a> {
    fn run(
        policy: &'a Policy,
        letters: &'a [Letter],
        depth: usize,
        until: Option<Instant>,
    ) -> Self {
        let mut search = Self {
            policy,
            letters,
            seen: HashSet::new(),
            ways: vec![(0, 0, 0)],
            transitions: 0,
            depth: 0,
        };
        let machine = Machine::new(policy.clone());
        let mut frontier = vec![State {
            machine,
            command: false,
            at: 0,
            way: 0,
        }];
        while search.depth < depth && !frontier.is_empty() {
            let mut next = Vec::new();
            for state in frontier {
                if until.is_some_and(|until| Instant::now() >= until) {
                    return search;
                }
                search.expand(&state, &mut next);
            }
            frontier = next;
            search.depth += 1;
        }
        search
    }

    fn expand(&mut self, state: &State, next: &mut Vec<State>) {
        let pauses = if self.depth == 0 { &[0][..] } else { &PAUSES };
        for &pause in pauses {
            for number in 0..self.letters.len() {
                let ends_command = matches!(self.letters[number].brings, Brings::CommandEnds(_));
                if ends_command && !state.command {
                    continue;
                }
                self.transitions += 1;
                let way = (state.way, number, state.at + pause);
                if let Some((machine, command)) = self.step(state, way)
                    && self.seen.insert(key(&machine, (way.2, command)))
                {
                    self.ways.push(way);
                    next.push(State {
                        machine,
                        command,
                        at: way.2,
                        way: self.ways.len() - 1,
                    });
                }
            }
        }
    }

    /// Takes in one letter; nothing where the watch has ended with it.
    fn step(&self, before: &State, way: (usize, usize, Ms)) -> Option<(Machine, bool)> {
        let letter = &self.letters[way.1];
        let at = time(way.2);
        let mut machine = before.machine.clone();
        let mut command = before.command;
        let step = match (&letter.observation, &letter.brings) {
            (Some(observation), _) => machine.observe(at, observation.clone()),
            (None, Brings::CommandEnds(code)) => {
                command = false;
                machine.command_ended(at, *code)
            }
            (None, _) => return None,
        };
        if step
            .events
            .iter()
            .any(|event| matches!(event, Event::BaselineNoted { .. }))
        {
            machine.command_started();
            command = true;
        }
        let story = Story::of(self, way);
        let fault = match &step.next {
            Next::Done(outcome) => {
                let again = machine.interrupt(at, Interruption::Terminate);
                let same = matches!(again.next, Next::Done(again) if again == *outcome);
                story
                    .fault(self.policy, outcome)
                    .or((!same).then_some("the verdict has changed"))
            }
            Next::Poll(next) if next.deadline.is_some_and(|deadline| deadline <= at) => {
                Some("it goes on after its deadline")
            }
            Next::Poll(_) if story.last_is_stale() && known(&machine) != known(&before.machine) => {
                Some("an answer that is proven older has changed something")
            }
            Next::Poll(_) => None,
        };
        if let Some(fault) = fault {
            panic!(
                "{fault}:\n{}{:#?}\n{:?}",
                story.text(),
                step.next,
                self.policy
            );
        }
        matches!(step.next, Next::Poll(_)).then_some((machine, command))
    }
}

/// The letters of one watch, in their order.
struct Story<'a>(Vec<(Ms, &'a Letter)>);

impl<'a> Story<'a> {
    fn of(search: &Search<'a>, mut way: (usize, usize, Ms)) -> Self {
        let mut letters = vec![(way.2, &search.letters[way.1])];
        while way.0 != 0 {
            way = search.ways[way.0];
            letters.push((way.2, &search.letters[way.1]));
        }
        letters.reverse();
        Self(letters)
    }

    fn text(&self) -> String {
        let line = |(at, letter): &(Ms, &Letter)| format!("  at {at} ms: {}\n", letter.name);
        self.0.iter().map(line).collect()
    }

    fn ended(&self) -> Ms {
        self.0[self.0.len() - 1].0
    }

    /// What the last letter says of the agent.
    fn last(&self) -> Option<&'a Agent> {
        let (_, letter) = self.0[self.0.len() - 1];
        agent(letter)
    }

    /// The polls, but for answers that an earlier one's date proves older.
    fn believed(&self) -> Vec<(Ms, &'a Letter)> {
        let mut newest = Ms::MIN;
        let believes = |(_, letter): &&(Ms, &'a Letter)| match &letter.brings {
            Brings::Agent { state, dated: true } => {
                let older = state.since < newest;
                newest = newest.max(state.since);
                !older
            }
            Brings::CommandEnds(_) => false,
            Brings::Agent { dated: false, .. } | Brings::Absent | Brings::Failed(_) => true,
        };
        let polls = self.0.iter().filter(believes);
        polls.copied().collect()
    }

    fn last_is_stale(&self) -> bool {
        let last = self.believed().last().map(|(at, _)| *at);
        self.last().is_some() && last.is_none_or(|at| at < self.ended())
    }

    /// How often and how long the newest answers say this: of an agent, or that there is none.
    fn says(&self, holds: impl Fn(Option<&Agent>) -> bool) -> (usize, Ms) {
        let bears = |(at, letter): (Ms, &'a Letter)| match &letter.brings {
            Brings::Failed(_) => (at, Bears::Nothing),
            _ if holds(agent(letter)) => (at, Bears::Out),
            _ => (at, Bears::Against),
        };
        shown(self.believed().into_iter().rev().map(bears)).unwrap_or_default()
    }

    fn confirms(&self, holds: impl Fn(Option<&Agent>) -> bool) -> bool {
        is_confirmed(Some(self.says(holds)))
    }

    /// The newest failed polls, without a break, the newest first.
    fn failures(&self) -> Vec<(Ms, FailureClass)> {
        let failed = self
            .polls()
            .rev()
            .map_while(|(at, letter)| match letter.brings {
                Brings::Failed(class) => Some((*at, class)),
                _ => None,
            });
        failed.collect()
    }

    fn polls(&self) -> impl DoubleEndedIterator<Item = &(Ms, &'a Letter)> {
        self.0
            .iter()
            .filter(|(_, letter)| letter.observation.is_some())
    }

    fn is_refused(&self, class: FailureClass) -> bool {
        is_refused(&self.failures(), self.polls().count(), class)
    }

    /// What the verdict needs to have been shown, and was not.
    fn fault(&self, policy: &Policy, outcome: &Outcome) -> Option<&'static str> {
        let limits = policy.limits();
        let at_end = self.ended() >= millis(limits.timeout);
        let late = self.ended() >= millis(limits.appear_timeout);
        let failed_since = self.failures().last().map_or(Ms::MAX, |(at, _)| *at);
        let failed_for = self.ended().saturating_sub(failed_since);
        let id = outcome.deployment_id.as_deref();
        let target = (0..CREATED.len()).find(|of| Some(rising(*of).as_str()) == id);
        let is_meant = target.is_some_and(|target| match policy.target() {
            TargetRule::Deployment(_) => target == TARGET,
            TargetRule::NewerThan(_) => target != BASELINE,
            TargetRule::Deploy => outcome.baseline_deployment_id.as_deref() != id,
            // No answer of the alphabet names a commit.
            TargetRule::Commit(_) | TargetRule::Pushed(_) => false,
            TargetRule::FirstSeen => {
                let first = self.0.iter().find_map(|(_, letter)| agent(letter));
                first.is_some_and(|first| first.desires(target))
            }
        });
        let target = target.unwrap_or_default();
        let holds = match outcome.verdict {
            Verdict::Ready => is_meant && self.has_held(target, limits),
            Verdict::Failed => is_meant && self.has_failed(target, limits),
            Verdict::Superseded => is_meant && self.is_superseded(target),
            Verdict::Stalled => limits
                .stall_timeout
                .is_some_and(|limit| self.ended() >= millis(limit)),
            Verdict::NotFound => {
                let seen = self.0.iter().any(|(_, letter)| agent(letter).is_some());
                self.confirms(|agent| agent.is_none()) || !seen && late
            }
            Verdict::Unchanged | Verdict::CommandFailed(1) => {
                late && !self.confirms(|agent| agent.is_some_and(|agent| agent.desires(TARGET)))
            }
            Verdict::Unauthorized => self.is_refused(FailureClass::Unauthorized) || at_end,
            Verdict::Unavailable => {
                self.is_refused(FailureClass::Refused)
                    || failed_for >= millis(limits.outage_timeout)
                    || at_end && failed_for >= 0
            }
            Verdict::Timeout => at_end,
            Verdict::Infrastructure | Verdict::Interrupted(_) | Verdict::CommandFailed(_) => false,
        };
        (!holds).then_some("the verdict was not shown")
    }

    fn has_held(&self, target: usize, limits: &Limits) -> bool {
        let restarts = |agent: &Agent| agent.own_revision(target).map(|own| own.restarts);
        let last = self.last().and_then(restarts);
        let is_ready = |agent: Option<&Agent>| {
            agent.is_some_and(|agent| {
                // One that has risen since has broken the hold.
                agent.is_ready(target) && (restarts(agent).is_none() || restarts(agent) >= last)
            })
        };
        let runs = self
            .last()
            .is_some_and(|last| last.own_revision(target).is_some());
        is_ready(self.last())
            && self.says(is_ready).1 >= millis(limits.stable_for)
            && (runs || limits.new_revision == NewRevision::Optional)
    }

    fn is_superseded(&self, target: usize) -> bool {
        // When a deployment was created is known from the first answer that dates it.
        let is_newer = |by: usize| {
            by > target
                && self.0.iter().any(|(_, letter)| match &letter.brings {
                    Brings::Agent { state, dated } => *dated && state.desires(by),
                    _ => false,
                })
        };
        let by = self.last().and_then(|agent| agent.desired);
        by.filter(|by| *by != target).is_some_and(|by| {
            is_newer(by) || self.confirms(|agent| agent.is_some_and(|agent| agent.desires(by)))
        })
    }

    fn has_failed(&self, target: usize, limits: &Limits) -> bool {
        let own = |agent: Option<&Agent>| agent.and_then(|agent| agent.own_revision(target));
        let waits = |reason| {
            move |agent: Option<&Agent>| own(agent).is_some_and(|own| own.reason == Some(reason))
        };
        let failed = |agent: Option<&Agent>| own(agent).is_some_and(|own| own.phase == "Failed");
        let lists_errors = |agent: Option<&Agent>| {
            agent.is_some_and(|a| a.desires(target) && !a.errors.is_empty())
        };
        let elsewhere = |agent: Option<&Agent>| {
            agent.is_some_and(|a| a.is_ready(target)) && own(agent).is_none()
        };
        // A fall is a replaced replica: what was counted stays.
        let crashes =
            |(_, letter): (Ms, &Letter)| own(agent(letter)).is_some_and(|own| own.restarts >= 3);
        failed(self.last()) && self.last().is_some_and(|last| !last.ready)
            || self.confirms(failed)
            || own(self.last()).is_some() && self.believed().into_iter().any(crashes)
            || self.says(waits("ImagePullBackOff")).1 >= millis(limits.pull_grace)
            || self.confirms(waits("InvalidImageName"))
            || self.says(lists_errors).0 >= 2
            || limits.new_revision == NewRevision::Required && self.confirms(elsewhere)
    }
}

fn agent(letter: &Letter) -> Option<&Agent> {
    match &letter.brings {
        Brings::Agent { state, .. } => Some(state),
        Brings::Absent | Brings::Failed(_) | Brings::CommandEnds(_) => None,
    }
}
