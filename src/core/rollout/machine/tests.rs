//! The machine on literal histories: their small language here, the rules in the submodules.
//!
//! A watch is asked for in words ([`watch`]), an answer is written in words ([`answer`]), and a
//! history is one line of moments and answers ([`Watch::play`]):
//! `0 new/old | 1..5 new/new Creating | 6.5 new/new ready`. Moments are seconds since the watch
//! began; a range is one answer a second.

mod answer;
mod any;
mod deadline;
mod events;
mod evidence;
mod order;
mod outage;
mod push;
mod ready;
mod reason;
mod table;
mod target;

use self::answer::{answer, second, server_date};
use super::*;
use crate::core::rollout::policy::{NewRevision, TargetRule, Unchanged, Until};
use crate::core::rollout::report::{Reason, whole_millis};

/// A watch under test. Each of its steps is checked for what must hold in every step.
struct Watch {
    machine: Machine,
    events: Vec<Event>,
    next: Next,
    at: Duration,
    /// Whether each answer carries the server's clock, in step with the watch.
    dated: bool,
    last: Option<Observation>,
}

/// A watch, asked for in words: its target (`first`, `id X`, `not X`, `not X@900` with its creation
/// time, `not nothing` for a first deploy, then `noted 1000`, `run`, `commit X`, `pushed X`), switches (`stable 6`, `until warm`), `check` for a
/// single check, and `dated` where answers carry a Date header.
fn watch(words: &str) -> Watch {
    let mut rule = TargetRule::FirstSeen;
    let mut limits = Limits::default();
    let [mut dated, mut single] = [false, false];
    for word in words.split(", ") {
        let (switch, value) = word.split_once(' ').unwrap_or((word, ""));
        let seconds = || Duration::from_secs_f64(value.parse().unwrap());
        match (switch, value) {
            ("first", _) => {}
            ("id", id) => rule = TargetRule::Deployment(id.to_owned()),
            ("not", baseline) => {
                let (id, created) = baseline.split_once('@').unwrap_or((baseline, ""));
                rule = TargetRule::NewerThan(Baseline {
                    deployment_id: Some(id.to_owned()).filter(|id| id != "nothing"),
                    created_at: (!created.is_empty()).then(|| second(created)),
                    noted_at: None,
                });
            }
            ("noted", at) => {
                if let TargetRule::NewerThan(baseline) = &mut rule {
                    baseline.noted_at = Some(second(at));
                }
            }
            ("run", _) => rule = TargetRule::Deploy,
            ("commit", sha) => rule = TargetRule::Commit(sha.to_owned()),
            ("pushed", sha) => rule = TargetRule::Pushed(sha.to_owned()),
            ("stable", _) => limits.stable_for = seconds(),
            ("stall", _) => limits.stall_timeout = Some(seconds()),
            ("grace", _) => limits.pull_grace = seconds(),
            ("timeout", _) => limits.timeout = seconds(),
            ("appear", _) => limits.appear_timeout = seconds(),
            ("outage", _) => limits.outage_timeout = seconds(),
            ("restarts", _) => limits.max_restarts = value.parse().unwrap(),
            ("until", "warm") => limits.until = Until::Warm,
            ("until", "drained") => limits.until = Until::Drained,
            ("require-new", _) => limits.new_revision = NewRevision::Required,
            ("accept", _) => limits.unchanged = Unchanged::Accept,
            ("dated", _) => dated = true,
            ("check", _) => single = true,
            _ => panic!("{word}?"),
        }
    }
    let policy = if single {
        Policy::single_check(rule, limits)
    } else {
        Policy::new(rule, limits).unwrap()
    };
    let machine = Machine::new(policy);
    Watch {
        next: Next::Poll(machine.first_poll()),
        machine,
        events: Vec::new(),
        at: Duration::ZERO,
        dated,
        last: None,
    }
}

impl Watch {
    /// Plays a history to its end, or to the verdict.
    fn play(&mut self, history: &str) -> &mut Self {
        for moment in history.split('|').map(str::trim) {
            let (when, what) = moment.split_once(' ').unwrap();
            let moment = |text: &str| Duration::from_secs_f64(text.parse().unwrap());
            let (from, to) = when.split_once("..").unwrap_or((when, when));
            let mut at = moment(from);
            while at <= moment(to) && self.verdict().is_none() {
                self.take_in(at, what);
                at += ms(1000);
            }
        }
        self
    }

    fn take_in(&mut self, at: Duration, what: &str) {
        assert!(at >= self.at, "{what} at {at:?}, after {:?}", self.at);
        let step = match what.split_once(' ').unwrap_or((what, "")) {
            ("start", _) => return self.machine.command_started(),
            ("end", code) => self.machine.command_ended(at, code.parse().unwrap()),
            ("timer", _) => self.machine.on_timer(at),
            ("SIGTERM", _) => self.machine.interrupt(at, Interruption::Terminate),
            _ => return self.see(at, answer(what)),
        };
        self.last = None;
        self.take(at, step);
    }

    /// One poll that ended at `at`.
    fn see(&mut self, at: Duration, mut observation: Observation) {
        if let Observation::Details { server_time, .. } = &mut observation
            && self.dated
        {
            *server_time = server_time.or(Some(server_date(at)));
        }
        self.last = Some(observation.clone());
        let step = self.machine.observe(at, observation);
        self.take(at, step);
    }

    fn take(&mut self, at: Duration, step: Step) {
        let finished = |event: &Event| matches!(event, Event::Finished { .. });
        match (&self.next, &step.next) {
            (Next::Done(before), now) => {
                assert!(matches!(now, Next::Done(after) if after == before));
                assert_eq!(step.events, [], "a watch that has ended is silent");
            }
            (_, Next::Done(outcome)) => {
                let (last, others) = step.events.split_last().unwrap();
                assert!(finished(last) && !others.iter().any(finished));
                self.check_outcome(outcome);
            }
            (_, Next::Poll(next)) => {
                assert!(next.no_later_than > at, "{next:?}");
                assert!(next.moment.phase_age <= at && next.moment.elapsed == at);
                assert!(!step.events.iter().any(finished), "{:?}", step.events);
            }
        }
        for event in &step.events {
            self.check_event(event);
            self.events.push(event.clone());
        }
        self.at = at;
        self.next = step.next;
    }

    /// What holds of every ending: a verdict on the target rests on the last answer.
    fn check_outcome(&self, outcome: &Outcome) {
        assert_eq!(outcome.reason.is_none(), outcome.verdict == Verdict::Ready);
        assert!(outcome.phases.iter().is_sorted_by_key(|entry| entry.at_ms));
        let target = outcome.deployment_id.as_deref();
        match (outcome.verdict, &self.last) {
            (Verdict::Ready, Some(Observation::Details { details, .. })) => {
                assert!(details.ready && target.is_some());
                assert_eq!(details.desired(), target);
                assert_eq!(details.reconciled_deployment_id.as_deref(), target);
            }
            (Verdict::Failed, Some(Observation::Details { details, .. })) => {
                // Of a failed push there is no target.
                let reason = outcome.reason.as_ref().unwrap();
                let of_push = target.is_none() && reason.code.starts_with("Push");
                assert!(of_push || details.desired() == target);
            }
            (Verdict::Superseded, Some(Observation::Details { details, .. })) => {
                assert!(details.desired().is_some() && details.desired() != target);
            }
            (Verdict::Ready | Verdict::Failed | Verdict::Superseded, other) => {
                panic!("{outcome:?} after {other:?}")
            }
            _ => {}
        }
    }

    /// What holds of every event: it ends what an earlier one began, and says something new.
    fn check_event(&self, event: &Event) {
        let last = |is: fn(&Event) -> bool| self.events.iter().rev().find(|event| is(event));
        match event {
            Event::PhaseChanged {
                phase, previous, ..
            } => {
                assert_ne!(phase, previous);
                let before = last(|event| matches!(event, Event::PhaseChanged { .. }));
                match before {
                    Some(Event::PhaseChanged { phase, .. }) => assert_eq!(phase, previous),
                    _ => assert_eq!(*previous, Phase::Waiting),
                }
            }
            Event::PollFailed { .. } | Event::PollRecovered { .. } => {
                let is =
                    |e: &Event| matches!(e, Event::PollFailed { .. } | Event::PollRecovered { .. });
                let recovers = matches!(event, Event::PollRecovered { .. });
                let failed = matches!(last(is), Some(Event::PollFailed { .. }));
                assert_eq!(failed, recovers, "{event:?}");
            }
            Event::ProblemResolved { code } => {
                let is = |e: &Event| {
                    matches!(
                        e,
                        Event::ProblemDetected { .. } | Event::ProblemResolved { .. }
                    )
                };
                let before = last(is);
                let found =
                    matches!(before, Some(Event::ProblemDetected { code: c, .. }) if c == code);
                assert!(found, "{code} ends {before:?}");
            }
            Event::TargetFound { .. } | Event::WaitingForTarget { .. } => {
                let is = |e: &Event| {
                    matches!(
                        e,
                        Event::TargetFound { .. } | Event::WaitingForTarget { .. }
                    )
                };
                assert_ne!(last(is), Some(event), "nothing new");
            }
            _ => {}
        }
    }

    fn outcome(&self) -> Option<&Outcome> {
        match &self.next {
            Next::Done(outcome) => Some(outcome),
            Next::Poll(_) => None,
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        Some(self.outcome()?.verdict)
    }

    /// Asserts that the watch goes on.
    fn goes_on(&mut self) -> &mut Self {
        assert_eq!(self.verdict(), None, "{:?}", self.events.last());
        self
    }

    /// Asserts that the watch has ended with this verdict, and gives its outcome.
    fn ended(&self, verdict: Verdict) -> &Outcome {
        let outcome = self.outcome().unwrap_or_else(|| panic!("{verdict} is due"));
        assert_eq!(outcome.verdict, verdict, "{:?}", outcome.reason);
        outcome
    }

    /// Asserts the ending, and gives its reason.
    fn because(&self, verdict: Verdict) -> &Reason {
        self.ended(verdict).reason.as_ref().unwrap()
    }

    /// How it ended: the verdict, the second, and the target; or that it goes on.
    fn result(&self) -> String {
        let Some(outcome) = self.outcome() else {
            return "goes on".to_owned();
        };
        let verdict = match outcome.verdict {
            Verdict::CommandFailed(code) => format!("command-failed-{code}"),
            verdict => verdict.to_string(),
        };
        let id = outcome.deployment_id.as_deref().unwrap_or("-");
        format!("{verdict} {} {id}", self.at.as_secs_f64())
    }

    /// The kinds of the events so far, as the JSON names them.
    fn kinds(&self) -> Vec<String> {
        self.events.iter().map(kind).collect()
    }

    fn count(&self, kind: &str) -> usize {
        self.kinds().iter().filter(|found| *found == kind).count()
    }

    fn next_poll(&self) -> NextPoll {
        match &self.next {
            Next::Poll(next) => *next,
            Next::Done(outcome) => panic!("it has ended: {outcome:?}"),
        }
    }

    /// The phases so far, and the milliseconds at which they began.
    fn phases(&self) -> Vec<(Phase, u64)> {
        let phases = self.machine.phases.iter();
        phases
            .map(|(phase, at)| (*phase, whole_millis(*at)))
            .collect()
    }
}

fn kind(event: &Event) -> String {
    serde_json::to_value(event).unwrap()["event"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The rows of a table: what is asked for, a history, and what is expected of it.
fn rows(table: &str) -> impl Iterator<Item = [&str; 3]> {
    let lines = table.lines().map(str::trim);
    let rows = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let (asked, rest) = row.split_once(": ").unwrap();
        let (history, expected) = rest.split_once(" =>").unwrap();
        [asked, history, expected.trim()]
    })
}

/// Checks how the histories of a table end; a row may leave out the target, or the second as well.
/// All that differ are shown at once.
fn check(table: &str) {
    let mut wrong = Vec::new();
    for [asked, history, expected] in rows(table) {
        let found = watch(asked).play(history).result();
        let rest = found.strip_prefix(expected);
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')) {
            wrong.push(format!(
                "{asked}: {history} => {expected}\n    found {found}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
