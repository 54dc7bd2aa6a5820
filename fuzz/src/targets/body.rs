//! Bodies of answers, and the machine that judges them: nothing is ready that does not say so.
//!
//! The first line chooses what is asked for and then, a byte a step, what each poll brings; the rest
//! are bodies.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use pipecat_rollout::fuzzing::messages::{self, Mode};
use pipecat_rollout::fuzzing::rollout::{
    AgentReport, Baseline, Event, Failure, FailureClass, Interruption, Limits, Machine,
    NewRevision, Next, Observation, Policy, Report, Step, TargetRule, Unchanged, Until, Verdict,
};
use pipecat_rollout::fuzzing::text::harmless_json;
use pipecat_rollout::fuzzing::wire::AgentDetails;

use crate::input::{Steering, steered};
use crate::oracle::{Truth, assert_harmless, assert_no_command};

/// The agent that is asked for.
const AGENT: &str = "voice";

/// How long after the one before a poll comes, in milliseconds.
const GAPS: [u64; 8] = [500, 0, 5_000, 1, 30_000, 120_000, 3_000, 86_400_000];

pub(super) fn run(data: &[u8]) {
    let (mut steering, bodies) = steered(data);
    let bodies: Vec<_> = bodies.into_iter().map(answer).collect();
    let Some(policy) = policy(&mut steering) else {
        return;
    };
    let mut watch = Watch::new(policy);
    let default: Vec<u8> = (0..=u8::MAX)
        .take(bodies.len())
        .flat_map(|i| [i; 3])
        .collect();
    let steps = if steering.0.is_empty() {
        &default
    } else {
        steering.0
    };
    for step in steps.iter().take(64) {
        watch.step(*step, &bodies);
    }
    watch.finish();
}

/// An answer as the client would hand it on, and what it says in truth.
type Answer = (Observation, Option<Truth>);

fn answer(body: &[u8]) -> Answer {
    match AgentDetails::parse(body, AGENT) {
        Ok(details) => {
            let truth = Truth::of(body).expect("what is no JSON object was taken for an agent");
            assert_eq!(
                details.ready, truth.ready,
                "ready was read, but was not said, or the other way round"
            );
            let known = details.desired().is_some();
            assert_eq!(known, truth.desired.is_some(), "{truth:?}");
            let ours = truth.name.as_deref().map_or(known, |name| name == AGENT);
            assert!(ours, "it is about another agent, or none: {truth:?}");
            let observation = Observation::Details {
                details: Box::new(details),
                server_time: None,
            };
            (observation, Some(truth))
        }
        Err(error) => (
            failure(
                FailureClass::Transient { retry_after: None },
                &error.to_string(),
            ),
            None,
        ),
    }
}

fn failure(class: FailureClass, summary: &str) -> Observation {
    Observation::Failed(Failure {
        class,
        code: "Fuzzed".to_owned(),
        summary: summary.to_owned(),
        request_id: None,
    })
}

fn policy(steering: &mut Steering<'_>) -> Option<Policy> {
    let target = match steering.choice(5) {
        0 => TargetRule::FirstSeen,
        1 => TargetRule::Deployment("new".to_owned()),
        2 => TargetRule::NewerThan(Baseline {
            noted_at: None,
            deployment_id: Some("old".to_owned()),
            created_at: steering.flag().then_some(Timestamp::UNIX_EPOCH),
        }),
        3 => TargetRule::Commit("abc".to_owned()),
        _ => TargetRule::Deploy,
    };
    let mut limits = Limits {
        until: *steering.pick(&[Until::Ready, Until::Drained, Until::Warm]),
        new_revision: *steering.pick(&[NewRevision::Optional, NewRevision::Required]),
        unchanged: *steering.pick(&[Unchanged::Fail, Unchanged::Accept]),
        stable_for: Duration::from_secs(*steering.pick(&[0, 10, 3600])),
        stall_timeout: *steering.pick(&[None, Some(Duration::from_mins(1))]),
        ..Limits::default()
    };
    match steering.choice(4) {
        1 => limits.timeout = Duration::MAX,
        2 => limits.max_restarts = NonZeroU32::MAX,
        3 => return Some(Policy::single_check(target, limits)),
        _ => {}
    }
    Policy::new(target, limits).ok()
}

struct Watch {
    machine: Machine,
    policy: Policy,
    at: Duration,
    /// Whether a deploy command was started and has not ended.
    command_runs: bool,
    ended: Option<AgentReport>,
}

impl Watch {
    fn new(policy: Policy) -> Self {
        Self {
            machine: Machine::new(policy.clone()),
            policy,
            at: Duration::ZERO,
            command_runs: false,
            ended: None,
        }
    }

    /// What a step does is in its lower five bits, how long after the last one in the upper three.
    fn step(&mut self, step: u8, bodies: &[Answer]) {
        let gap = Duration::from_millis(GAPS[usize::from(step >> 5)]);
        self.at = self.at.saturating_add(gap);
        let at = self.at;
        let absent = || Observation::Absent(Some("gone\u{1b}".to_owned()));
        let (taken, truth) = match step & 31 {
            24 => (self.machine.observe(at, absent()), None),
            25 => (self.machine.on_timer(at), None),
            26 => (self.refused(FailureClass::Unauthorized), None),
            27 => (self.refused(FailureClass::Refused), None),
            28 => {
                let retry_after = Some(Duration::MAX);
                (self.refused(FailureClass::Transient { retry_after }), None)
            }
            29 => {
                let _ = self.machine.heartbeat(at);
                return;
            }
            code @ (30 | 31) if self.command_runs => {
                self.command_runs = false;
                (self.machine.command_ended(at, code - 30), None)
            }
            which => {
                let (observation, truth) = &bodies[usize::from(which) % bodies.len()];
                (
                    self.machine.observe(at, observation.clone()),
                    truth.as_ref(),
                )
            }
        };
        self.taken(taken, truth);
    }

    fn refused(&mut self, class: FailureClass) -> Step {
        self.machine.observe(self.at, failure(class, "no"))
    }

    fn taken(&mut self, step: Step, truth: Option<&Truth>) {
        let finished = |event: &Event| matches!(event, Event::Finished { .. });
        let endings = step.events.iter().filter(|event| finished(event)).count();
        assert!(endings == 0 || step.events.last().is_some_and(finished));
        let noted = |event: &Event| matches!(event, Event::BaselineNoted { .. });
        if step.events.iter().any(noted) {
            self.machine.command_started();
            self.command_runs = true;
        }
        for event in &step.events {
            serde_json::to_string(event).expect("an event has a JSON form");
            assert_harmless(&messages::line(event));
        }
        match step.next {
            Next::Poll(next) => {
                assert!(
                    self.ended.is_none() && endings == 0,
                    "it went on after its end"
                );
                assert!(next.no_later_than > self.at, "asked to poll in the past");
            }
            Next::Done(outcome) => {
                assert_eq!(endings, usize::from(self.ended.is_none()));
                let report = AgentReport::new(AGENT.to_owned(), Timestamp::UNIX_EPOCH, *outcome);
                match &self.ended {
                    Some(ended) => assert_eq!(*ended, report, "the end has changed"),
                    None => self.judge(&report, truth),
                }
                self.ended = Some(report);
            }
        }
    }

    /// The oracle: what the answer of this very step says must bear out a good end.
    fn judge(&self, report: &AgentReport, truth: Option<&Truth>) {
        assert_eq!(
            report.exit_code == 0,
            report.outcome.verdict == Verdict::Ready
        );
        assert_eq!(
            report.outcome.reason.is_none(),
            report.outcome.verdict == Verdict::Ready
        );
        if report.outcome.verdict != Verdict::Ready {
            return;
        }
        let truth = truth.expect("ready without an answer that says so");
        let desired = truth.desired.as_deref();
        assert!(truth.ready, "ready, and the answer did not say so");
        assert!(
            desired.is_some() && truth.desired == truth.reconciled,
            "{truth:?}"
        );
        match self.policy.target() {
            TargetRule::Deployment(id) => assert_eq!(desired, Some(id.as_str())),
            TargetRule::NewerThan(Baseline { deployment_id, .. })
                if self.policy.limits().unchanged == Unchanged::Fail =>
            {
                assert_ne!(desired, deployment_id.as_deref());
            }
            TargetRule::Deploy if self.policy.limits().unchanged == Unchanged::Fail => {
                assert_ne!(desired, report.outcome.baseline_deployment_id.as_deref());
            }
            TargetRule::NewerThan(_)
            | TargetRule::Deploy
            | TargetRule::Commit(_)
            | TargetRule::Pushed(_)
            | TargetRule::FirstSeen => {}
        }
    }

    fn finish(mut self) {
        let step = self.machine.interrupt(self.at, Interruption::Terminate);
        self.taken(step, None);
        let agent = self.ended.expect("an interruption ends it");
        for mode in [Mode::Watch, Mode::Status] {
            assert_no_command(&messages::result_line(&agent, mode));
            for line in messages::failure_block(&agent, mode) {
                assert_harmless(&line);
            }
        }
        let phases = &agent.outcome.phases;
        assert!(phases.is_sorted_by_key(|entry| entry.at_ms));
        let report = Report::new(vec![agent]);
        let json = serde_json::to_string(&report).expect("a report has a JSON form");
        let shown = harmless_json(&json);
        assert_harmless(&shown);
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).ok();
        assert!(read(&json).is_some() && read(&json) == read(&shown));
    }
}
