//! The machine on literal answers at literal times: the small language here, the rules in the
//! submodules. Times are milliseconds since the watch began.

mod answer;
mod any;
mod baseline;
mod deadline;
mod ending;
mod evidence;
mod lag;
mod pace;
mod platform;
mod ready;
mod stall;
mod table;
mod target;
mod tell;
mod words;

use std::ops::RangeInclusive;

use self::answer::*;
use super::*;
use crate::core::rollout::policy::{NewRevision, Until};
use crate::core::rollout::report::Reason;
use crate::core::wire::{
    AgentError, Condition, ContainerState, Deployment, Health, RevisionPhase as Told,
};

/// A watch under test. Each of its steps is checked for what must hold in every step.
struct Watch {
    machine: Machine,
    told: Vec<Event>,
    next: Option<Next>,
}

impl Watch {
    fn new(rule: TargetRule) -> Self {
        Self::limited(rule, |_| ())
    }

    fn limited(rule: TargetRule, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::of(Policy::new(rule, limits).unwrap())
    }

    fn of(policy: Policy) -> Self {
        Self::around(Machine::new(policy))
    }

    fn around(machine: Machine) -> Self {
        Self {
            machine,
            told: Vec::new(),
            next: None,
        }
    }

    /// One poll that ends at `at`.
    fn see(&mut self, at: u64, observation: impl Into<Observation>) -> &mut Self {
        let step = self.machine.observe(ms(at), observation.into());
        self.take(at, step)
    }

    /// The same answer every second.
    fn steady(&mut self, times: RangeInclusive<u64>, answer: impl Into<Observation>) -> &mut Self {
        let answer = answer.into();
        for at in times.step_by(1000) {
            self.see(at, answer.clone());
        }
        self
    }

    fn lapse(&mut self, at: u64) -> &mut Self {
        let step = self.machine.lapse(ms(at));
        self.take(at, step)
    }

    fn interrupt(&mut self, at: u64, interruption: Interruption) -> &mut Self {
        let step = self.machine.interrupt(ms(at), interruption);
        self.take(at, step)
    }

    fn take(&mut self, at: u64, step: Step) -> &mut Self {
        let finished = |event: &Event| matches!(event, Event::Finished { .. });
        match (&self.next, &step.next) {
            (Some(Next::Done(before)), now) => {
                assert!(matches!(now, Next::Done(after) if after == before));
                assert_eq!(step.events, [], "a watch that has ended tells nothing");
            }
            (_, Next::Done(_)) => {
                let places = step.events.iter().rev().map(finished);
                assert!(places.enumerate().all(|(i, found)| found == (i == 0)));
                assert!(!step.events.is_empty(), "an ending is told");
            }
            (_, Next::Poll(cadence)) => {
                assert!(
                    cadence.by > ms(at) && cadence.since <= ms(at),
                    "{cadence:?}"
                );
                assert!(!step.events.iter().any(finished), "{:?}", step.events);
            }
        }
        self.told.extend(step.events);
        self.next = Some(step.next);
        self
    }

    fn verdict(&self) -> Option<Verdict> {
        match &self.next {
            Some(Next::Done(outcome)) => Some(outcome.verdict),
            _ => None,
        }
    }

    /// Asserts that the watch goes on.
    fn goes_on(&mut self) -> &mut Self {
        assert_eq!(self.verdict(), None, "{:?}", self.told.last());
        self
    }

    /// Asserts that the watch has ended with this verdict, and gives its outcome.
    fn ended(&self, verdict: Verdict) -> &Outcome {
        match &self.next {
            Some(Next::Done(outcome)) => {
                assert_eq!(outcome.verdict, verdict, "{:?}", outcome.reason);
                outcome
            }
            next => panic!("{verdict} is due, but: {next:?}"),
        }
    }

    /// Asserts the ending, and gives its reason.
    fn because(&self, verdict: Verdict) -> &Reason {
        self.ended(verdict).reason.as_ref().unwrap()
    }

    /// When the next look is due at the latest.
    fn by(&self) -> u64 {
        match &self.next {
            Some(Next::Poll(cadence)) => whole(cadence.by),
            next => panic!("the watch does not go on: {next:?}"),
        }
    }

    /// The kinds of the events so far, as the JSON names them.
    fn kinds(&self) -> Vec<String> {
        let kind = |event: &Event| serde_json::to_value(event).unwrap()["type"].to_string();
        let kinds = self.told.iter().map(kind);
        kinds
            .map(|kind| kind.trim_matches('"').to_owned())
            .collect()
    }

    fn count(&self, kind: &str) -> usize {
        self.kinds().iter().filter(|found| *found == kind).count()
    }

    /// The phases so far and when they began.
    fn phases(&self) -> Vec<(Phase, u64)> {
        let phases = self.machine.phases.iter();
        phases.map(|entry| (entry.phase, entry.at_ms)).collect()
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn whole(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap()
}

/// A watch on whatever is desired first: `new` in these tests.
fn watch() -> Watch {
    Watch::new(TargetRule::FirstSeen)
}

fn watch_with(change: impl FnOnce(&mut Limits)) -> Watch {
    Watch::limited(TargetRule::FirstSeen, change)
}

fn named(id: &str) -> TargetRule {
    TargetRule::Deployment(id.to_owned())
}

fn any_but(id: &str) -> TargetRule {
    TargetRule::AnyBut(id.to_owned())
}
