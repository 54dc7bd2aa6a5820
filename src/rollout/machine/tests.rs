//! The machine on literal answers at literal times: the small language here, the rules in the
//! submodules. Times are milliseconds since the watch began.

mod deadline;
mod ending;
mod evidence;
mod lag;
mod platform;
mod ready;
mod table;
mod target;
mod tell;
mod words;

use std::ops::RangeInclusive;

use super::*;
use crate::rollout::policy::{NewRevision, Until};
use crate::rollout::report::Reason;
use crate::wire::{
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
        Self {
            machine: Machine::new(policy),
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

/// An answer in the making.
#[derive(Clone)]
struct Answer(AgentDetails);

/// `desired` is requested, `reconciled` is processed.
fn ids(desired: &str, reconciled: &str) -> Answer {
    Answer(AgentDetails {
        desired_deployment_id: Some(desired.to_owned()),
        reconciled_deployment_id: Some(reconciled.to_owned()),
        ..AgentDetails::default()
    })
}

/// `new` is desired, and `old` is what was processed last.
fn reconciling() -> Answer {
    ids("new", "old")
}

/// `new` is desired and processed.
fn reconciled() -> Answer {
    ids("new", "new")
}

impl Answer {
    fn with(mut self, change: impl FnOnce(&mut AgentDetails)) -> Self {
        change(&mut self.0);
        self
    }

    fn ready(self) -> Self {
        self.with(|a| a.ready = true)
    }

    fn available(self, available: bool) -> Self {
        self.with(|a| a.available = Some(available))
    }

    /// `id`'s revision is the current one, in this phase.
    fn revision(self, id: &str, phase: Told) -> Self {
        self.with(|a| {
            a.current_revision = Some(Revision {
                deployment_id: Some(id.to_owned()),
                phase: Some(phase),
                ..Revision::default()
            });
        })
    }

    /// The current revision is `new`'s own, in this phase.
    fn own(self, phase: Told) -> Self {
        self.revision("new", phase)
    }

    /// The health of the current revision.
    fn health(self, health: Health) -> Self {
        self.with(|a| a.current_revision.as_mut().unwrap().health = Some(health))
    }

    /// The current revision suffers from the platform.
    fn issue(self) -> Self {
        self.with(|a| {
            a.current_revision
                .as_mut()
                .unwrap()
                .has_infrastructure_issue = true
        })
    }

    /// A previous revision is still there.
    fn previous(self) -> Self {
        self.with(|a| a.previous_revision = Some(Revision::default()))
    }

    /// The desired deployment's record, made at this second.
    fn created(self, second: i64) -> Self {
        self.with(|a| {
            a.deployment = Some(Deployment {
                id: a.desired().map(str::to_owned),
                created_at: Some(second_of_day(second)),
                ..Deployment::default()
            });
        })
    }

    /// The agent's record was changed at this second.
    fn updated(self, second: i64) -> Self {
        self.with(|a| a.updated_at = Some(second_of_day(second)))
    }

    fn error(self, code: &str, message: &str) -> Self {
        self.with(|a| {
            a.errors.push(AgentError {
                code: Some(code.to_owned()),
                message: Some(message.to_owned()),
            });
        })
    }

    fn degraded(self, status: &str) -> Self {
        self.with(|a| {
            a.conditions.push(Condition {
                kind: Some("Degraded".to_owned()),
                status: Some(status.to_owned()),
                reason: Some("PodsPending".to_owned()),
                message: Some("2 pods are pending".to_owned()),
            });
        })
    }
}

impl From<Answer> for Observation {
    fn from(answer: Answer) -> Self {
        Observation::Details {
            details: Box::new(answer.0),
            server_time: None,
        }
    }
}

fn second_of_day(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_750_000_000 + second).unwrap()
}

/// A container that waits for this reason, in an agent of one replica.
fn waiting(reason: &str, restarts: u64) -> Health {
    Health {
        ready: Some(false),
        state: Some(ContainerState::Waiting),
        reason: Some(reason.to_owned()),
        restart_count: Some(restarts),
        replicas_started: Some(1),
        message: Some("Traceback".to_owned()),
        ..Health::default()
    }
}

/// The target's revision is being checked, and its code fares like this.
fn faring(health: Health) -> Answer {
    reconciled().own(Told::Validating).health(health)
}

fn crashing(restarts: u64, replicas: u64) -> Answer {
    faring(Health {
        replicas_started: Some(replicas),
        ..waiting("CrashLoopBackOff", restarts)
    })
}

fn absent() -> Observation {
    Observation::Absent(Some("Agent not found".to_owned()))
}

fn failure(class: FailureClass, code: &str) -> Observation {
    Observation::Failed(Failure {
        class,
        code: code.to_owned(),
        summary: format!("the API said {code}"),
    })
}

fn transient() -> Observation {
    failure(FailureClass::Transient { retry_after: None }, "Http503")
}

fn refused() -> Observation {
    failure(FailureClass::Unauthorized, "Http401")
}
