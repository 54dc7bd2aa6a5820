//! What a person sees of a rollout at one moment; events are the difference between two moments.

use std::time::Duration;

use jiff::Timestamp;

use super::event::Event;
use super::observation::Failure;
use super::phase::Phase;
use super::policy::Baseline;
use super::problem::Problem;

/// What is to be seen of a rollout.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct View {
    pub(crate) baseline: Option<Baseline>,
    /// What is there in the target's stead, while the target is not the desired deployment.
    pub(crate) waiting_for: Option<Instead>,
    pub(crate) target: Option<(String, Option<Timestamp>)>,
    pub(crate) phase: Phase,
    pub(crate) phase_since: Duration,
    /// How many replicas are ready, and how many were started; nothing before one was ready.
    pub(crate) replicas: Option<(u64, u64)>,
    pub(crate) restarts: Restarts,
    pub(crate) problem: Option<Problem>,
    pub(crate) infrastructure_issue: bool,
    /// What waits to be confirmed.
    pub(crate) unconfirmed: Option<String>,
    /// Whether answers come that their own dates prove to be older.
    pub(crate) stale: bool,
    pub(crate) outage: Option<Outage>,
    pub(crate) ready_since: Option<Duration>,
    pub(crate) running_elsewhere: Option<String>,
    /// The exit code of the deploy command, and how long it ran, once it has ended.
    pub(crate) command_ended: Option<(u8, Duration)>,
    /// Whether the target is ready, and only the deploy command still runs.
    pub(crate) awaits_command: bool,
}

/// What is there in the target's stead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Instead {
    /// No agent, or no deployment.
    Nothing,
    /// This deployment is desired.
    Deployment(String),
}

/// The restarts of the target's code, as they were seen last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Restarts {
    pub(crate) count: u64,
    pub(crate) last_exit_code: Option<i64>,
    pub(crate) last_termination_reason: Option<String>,
}

/// An unbroken run of failed polls.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outage {
    /// When the first of them failed.
    pub(crate) since: Duration,
    /// How long of it the server has asked us to pause.
    pub(crate) asked_pauses: Duration,
    pub(crate) failed: u64,
    pub(crate) last: Failure,
}

impl View {
    /// What polls are paced by: something new in it asks for quick ones.
    pub(super) fn paced_by(&self) -> impl PartialEq + '_ {
        let problem = self.problem.as_ref().map(|problem| problem.class);
        let unconfirmed = &self.unconfirmed;
        (
            self.phase,
            problem,
            unconfirmed,
            self.ready_since,
            &self.target,
        )
    }

    /// What has happened between `before` and this moment, `at`; ready has to last for `stable_for`.
    pub(super) fn events_since(
        &self,
        before: &View,
        at: Duration,
        stable_for: Duration,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        self.outage_events(before, at, &mut events);
        if let Some((exit_code, lasted)) = changed(&before.command_ended, &self.command_ended) {
            events.push(Event::CommandEnded { exit_code, lasted });
        }
        if self.stale && !before.stale {
            events.push(Event::StaleAnswer);
        }
        if let Some(claim) = changed(&before.unconfirmed, &self.unconfirmed) {
            events.push(Event::Unconfirmed { claim });
        }
        if let Some(baseline) = changed(&before.baseline, &self.baseline) {
            events.push(Event::BaselineNoted {
                deployment_id: baseline.deployment_id,
                created_at: baseline.created_at,
            });
        }
        if let Some((deployment_id, created_at)) = changed(&before.target, &self.target) {
            events.push(Event::TargetFound {
                deployment_id,
                created_at,
            });
        }
        if self.phase != before.phase {
            events.push(Event::PhaseChanged {
                phase: self.phase,
                previous: before.phase,
                lasted: self.phase_since.saturating_sub(before.phase_since),
            });
        }
        if let Some(instead) = changed(&before.waiting_for, &self.waiting_for) {
            let desired = match instead {
                Instead::Nothing => None,
                Instead::Deployment(id) => Some(id),
            };
            events.push(Event::WaitingForTarget { desired });
        }
        match (before.infrastructure_issue, self.infrastructure_issue) {
            (false, true) => events.push(Event::InfrastructureIssue),
            (true, false) => events.push(Event::InfrastructureRecovered),
            (true, true) | (false, false) => {}
        }
        if let Some((ready_replicas, replicas_started)) = changed(&before.replicas, &self.replicas)
        {
            events.push(Event::ReplicasChanged {
                ready_replicas,
                replicas_started,
            });
        }
        if self.restarts.count > before.restarts.count {
            let restarts = self.restarts.clone();
            events.push(Event::Restarted {
                restart_count: restarts.count,
                last_exit_code: restarts.last_exit_code,
                last_termination_reason: restarts.last_termination_reason,
            });
        }
        self.problem_events(before, &mut events);
        self.ready_events(before, at, stable_for, &mut events);
        events
    }

    fn outage_events(&self, before: &View, at: Duration, events: &mut Vec<Event>) {
        match (&before.outage, &self.outage) {
            (None, Some(outage)) => events.push(Event::PollFailed {
                code: outage.last.code.clone(),
                summary: outage.last.summary.clone(),
            }),
            (Some(outage), None) => events.push(Event::PollRecovered {
                failed: outage.failed,
                after: at.saturating_sub(outage.since),
            }),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    fn problem_events(&self, before: &View, events: &mut Vec<Event>) {
        match (&before.problem, &self.problem) {
            (Some(old), Some(new)) if old.class == new.class && old.code == new.code => {}
            (_, Some(new)) => events.push(Event::ProblemDetected {
                class: new.class,
                code: new.code.clone(),
                details: new.message.clone(),
            }),
            // What was wrong with another target is not over.
            (Some(old), None) if self.target == before.target => {
                events.push(Event::ProblemResolved {
                    code: old.code.clone(),
                });
            }
            (Some(_) | None, None) => {}
        }
    }

    fn ready_events(
        &self,
        before: &View,
        at: Duration,
        stable_for: Duration,
        events: &mut Vec<Event>,
    ) {
        let is_other = self.ready_since != before.ready_since;
        if let Some(since) = before.ready_since.filter(|_| is_other) {
            let after = at.saturating_sub(since);
            events.push(Event::ReadyLost { after });
        }
        if let Some(running) = changed(&before.running_elsewhere, &self.running_elsewhere) {
            events.push(Event::RevisionUnchanged { running });
        }
        if is_other && self.ready_since.is_some() && !stable_for.is_zero() {
            events.push(Event::Holding { stable_for });
        }
        if self.awaits_command && !before.awaits_command {
            events.push(Event::WaitingForCommand);
        }
    }
}

/// What is there now, if that is something else than before.
#[expect(clippy::ref_option, reason = "two fields are compared")]
fn changed<T: Clone + PartialEq>(before: &Option<T>, now: &Option<T>) -> Option<T> {
    now.clone().filter(|_| now != before)
}
