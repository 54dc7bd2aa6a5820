//! Every sequence of letters, one state at a time, with what each verdict needs to have been shown.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use pipecat_rollout::fuzzing::rollout::{
    Baseline, Event, FailureClass, Interruption, Limits, Machine, NewRevision, Next, Outcome,
    Policy, TargetRule, Verdict,
};

use crate::alphabet::{Brings, CREATED, Letter, OLD, Says, TARGET, alphabet};
use crate::evidence::{Bears, refused, shown};
use crate::key::{key, known};
use crate::truth::{CONFIRMED, FIRST_REFUSAL};
use crate::watch::{millis, time};
use crate::world::{Ms, date};

/// How long after the one before a letter comes.
const PAUSES: [Ms; 2] = [1000, 3000];
/// Without a budget of time: so deep with every letter, and so deep with the commonest.
const USUAL: [(usize, usize); 2] = [(3, usize::MAX), (5, 7)];

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
            deployment_id: Some(OLD.to_owned()),
            created_at,
        })
    };
    let rules = [
        ("first seen", TargetRule::FirstSeen),
        ("a deployment", TargetRule::Deployment(TARGET.to_owned())),
        (
            "newer than the baseline",
            baseline(Some(date(CREATED[0].1))),
        ),
        ("another than the baseline", baseline(None)),
        ("of a command", TargetRule::Deploy),
    ];
    let kinds = [
        ("", limits()),
        (
            ", stable",
            Limits {
                stable_for: time(3000),
                ..limits()
            },
        ),
        (
            ", stalling",
            Limits {
                stall_timeout: Some(time(6000)),
                ..limits()
            },
        ),
        (
            ", of a new revision",
            Limits {
                new_revision: NewRevision::Required,
                ..limits()
            },
        ),
    ];
    let watch = |(rule, kind): (&(&str, TargetRule), &(&str, Limits))| {
        (
            format!("{}{}", rule.0, kind.0),
            Policy::new(rule.1.clone(), kind.1.clone()).unwrap(),
        )
    };
    rules
        .iter()
        .flat_map(|rule| kinds.iter().map(move |kind| watch((rule, kind))))
        .collect()
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
        let step = match (&letter.observation, letter.brings) {
            (Some(observation), _) => machine.observe(at, observation.clone()),
            (None, Brings::CommandEnds(code)) => {
                command = false;
                machine.command_ended(at, code)
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
        let mut text = String::new();
        for (at, letter) in &self.0 {
            writeln!(text, "  at {at} ms: {}", letter.name).unwrap();
        }
        text
    }

    fn last(&self) -> Brings {
        self.0[self.0.len() - 1].1.brings
    }

    fn ended(&self) -> Ms {
        self.0[self.0.len() - 1].0
    }

    /// The answers about the agent that no date proves older, and the 404s and failures among them.
    fn believed(&self) -> Vec<(Ms, Brings)> {
        let mut newest = None;
        let mut believed = Vec::new();
        for (at, letter) in &self.0 {
            if let Brings::Agent(Says {
                dated: dated @ Some(_),
                ..
            }) = letter.brings
            {
                if dated < newest {
                    continue;
                }
                newest = dated;
            }
            if !matches!(letter.brings, Brings::CommandEnds(_)) {
                believed.push((*at, letter.brings));
            }
        }
        believed
    }

    fn last_is_stale(&self) -> bool {
        matches!(self.last(), Brings::Agent(_))
            && self
                .believed()
                .last()
                .is_none_or(|(at, _)| *at < self.ended())
    }

    /// How often and how long the newest answers say this.
    fn says(&self, holds: impl Fn(&Says) -> bool) -> (usize, Ms) {
        let bears = |(at, brings)| match brings {
            Brings::Failed(_) | Brings::CommandEnds(_) => (at, Bears::Nothing),
            Brings::Agent(says) if holds(&says) => (at, Bears::Out),
            Brings::Agent(_) | Brings::Absent => (at, Bears::Against),
        };
        shown(self.believed().into_iter().rev().map(bears)).unwrap_or_default()
    }

    fn confirms(&self, holds: impl Fn(&Says) -> bool) -> bool {
        let (answers, lasted) = self.says(holds);
        answers >= 3 && lasted >= CONFIRMED
    }

    /// The newest failed polls, without a break, the newest first.
    fn failures(&self) -> Vec<(Ms, FailureClass)> {
        let polls = self
            .0
            .iter()
            .rev()
            .filter(|(_, letter)| letter.observation.is_some());
        let failed = polls.map_while(|(at, letter)| match letter.brings {
            Brings::Failed(class) => Some((*at, class)),
            _ => None,
        });
        failed.collect()
    }

    fn is_refused(&self, class: FailureClass) -> bool {
        let polls = self
            .0
            .iter()
            .filter(|(_, letter)| letter.observation.is_some());
        let answered = self.failures().len() < polls.count();
        let over = if answered { CONFIRMED } else { FIRST_REFUSAL };
        refused(self.failures(), class).is_some_and(|(times, lasted)| times >= 3 && lasted >= over)
    }

    /// What the verdict needs to have been shown, and was not.
    fn fault(&self, policy: &Policy, outcome: &Outcome) -> Option<&'static str> {
        let limits = policy.limits();
        let target = outcome.deployment_id.as_deref().unwrap_or_default();
        let at_end = self.ended() >= millis(limits.timeout);
        let late = self.ended() >= millis(limits.appear_timeout);
        let last = match self.last() {
            Brings::Agent(says) => Some(says),
            _ => None,
        };
        let failing_since = self.failures().last().map_or(Ms::MAX, |(at, _)| *at);
        let is_meant = match policy.target() {
            TargetRule::Deployment(id) => target == id,
            TargetRule::NewerThan(_) => target != OLD,
            TargetRule::Deploy => outcome.baseline_deployment_id.as_deref() != Some(target),
            TargetRule::FirstSeen => {
                self.0.iter().find_map(|(_, letter)| match letter.brings {
                    Brings::Agent(says) => Some(says.desired),
                    _ => None,
                }) == Some(target)
            }
        };
        let holds = match outcome.verdict {
            Verdict::Ready => {
                let restarts = last.map_or(0, |says| says.restarts);
                let is_ready = |says: &Says| {
                    says.ready
                        && says.desired == target
                        && says.reconciled == target
                        && (says.of != target || says.restarts >= restarts)
                };
                let elsewhere = last.is_some_and(|says| says.of != target);
                is_meant
                    && last.as_ref().is_some_and(is_ready)
                    && self.says(is_ready).1 >= millis(limits.stable_for)
                    && !(elsewhere && limits.new_revision == NewRevision::Required)
            }
            Verdict::Failed => is_meant && self.has_failed(target, limits),
            Verdict::Superseded => {
                let created = |id: &str| CREATED.iter().position(|(its, _)| *its == id);
                is_meant
                    && last.is_some_and(|last| {
                        let is_newer =
                            last.dated.is_some() && created(last.desired) > created(target);
                        last.desired != target
                            && (is_newer || self.confirms(|says| says.desired == last.desired))
                    })
            }
            Verdict::Stalled => {
                // An answer about another deployment is no movement of this one.
                let progress = |says: &Says| {
                    (says.desired == target).then_some((
                        says.reconciled,
                        says.phase,
                        says.reason,
                        says.restarts,
                    ))
                };
                let newest =
                    self.believed()
                        .into_iter()
                        .rev()
                        .find_map(|(_, brings)| match brings {
                            Brings::Agent(says) => progress(&says),
                            _ => None,
                        });
                let stands = |says: &Says| progress(says).is_none_or(|its| Some(its) == newest);
                let limit = limits.stall_timeout.map_or(Ms::MAX, millis);
                // What goes back and is not confirmed is no movement either.
                newest.is_some() && (self.says(stands).1 >= limit || !self.confirms(stands))
            }
            Verdict::NotFound => {
                self.last() == Brings::Absent && (late || self.has_been_absent())
                    || !self.has_been_seen() && late
            }
            Verdict::Unchanged => {
                late && last.is_none_or(|last| {
                    last.desired != TARGET || !self.confirms(|s| s.desired == TARGET)
                })
            }
            Verdict::CommandFailed(code) => {
                code == 1
                    && self
                        .0
                        .iter()
                        .any(|(_, letter)| letter.brings == Brings::CommandEnds(1))
            }
            Verdict::Unauthorized => {
                self.is_refused(FailureClass::Unauthorized) || at_end && last.is_none()
            }
            Verdict::Unavailable => {
                let out =
                    self.ended().saturating_sub(failing_since) >= millis(limits.outage_timeout);
                self.is_refused(FailureClass::Refused) || out || at_end && last.is_none()
            }
            Verdict::Timeout => at_end,
            Verdict::Infrastructure | Verdict::Interrupted(_) => false,
        };
        (!holds).then_some("the verdict was not shown")
    }

    fn has_been_seen(&self) -> bool {
        self.0
            .iter()
            .any(|(_, letter)| matches!(letter.brings, Brings::Agent(_)))
    }

    fn has_been_absent(&self) -> bool {
        let bears = |(at, brings)| match brings {
            Brings::Absent => (at, Bears::Out),
            Brings::Agent(_) => (at, Bears::Against),
            Brings::Failed(_) | Brings::CommandEnds(_) => (at, Bears::Nothing),
        };
        let (answers, lasted) =
            shown(self.believed().into_iter().rev().map(bears)).unwrap_or_default();
        answers >= 3 && lasted >= CONFIRMED
    }

    fn has_failed(&self, target: &str, limits: &Limits) -> bool {
        let own =
            |says: &Says| says.desired == target && says.reconciled == target && says.of == target;
        let waits =
            |reason| move |says: &Says| own(says) && !says.ready && says.reason == Some(reason);
        let failed = |says: &Says| own(says) && says.phase == "Failed";
        let once = |holds: &dyn Fn(&Says) -> bool| self.says(holds).0 >= 1;
        once(&|says| failed(says) && !says.ready)
            || self.confirms(failed)
            // A fall is a replaced replica: what was counted stays.
            || once(&|says| own(says))
                && self.believed().iter().any(|(_, brings)| {
                    matches!(brings, Brings::Agent(says) if own(says) && says.restarts >= 3)
                })
            || self.says(waits("ImagePullBackOff")).1 >= millis(limits.pull_grace)
            || self.confirms(waits("InvalidImageName"))
            || self.says(|says| says.desired == target && says.errors).0 >= 2
            || limits.new_revision == NewRevision::Required
                && self.confirms(|says| says.desired == target && says.ready && says.of != target)
    }
}
