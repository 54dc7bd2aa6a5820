//! What a person sees of a rollout at one moment; events are the difference between two moments.

use std::time::Duration;

use jiff::Timestamp;

use super::event::Event;
use super::observation::Failure;
use super::phase::Phase;
use super::policy::Baseline;
use super::problem::Problem;

/// What is to be seen of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) baseline: Option<Baseline>,
    /// What is there in the target's stead, while the target is not the desired deployment.
    pub(super) waiting_for: Option<Instead>,
    pub(super) target: Option<(String, Option<Timestamp>)>,
    pub(super) phase: Phase,
    pub(super) phase_since: Duration,
    pub(super) replicas: Option<(u64, u64)>,
    pub(super) restarts: Restarts,
    pub(super) problem: Option<Problem>,
    pub(super) infrastructure_issue: bool,
    /// What waits to be confirmed.
    pub(super) unconfirmed: Option<String>,
    /// Whether answers come that their own dates prove to be older.
    pub(super) stale: bool,
    pub(super) outage: Option<Outage>,
    pub(super) ready_since: Option<Duration>,
    pub(super) running_elsewhere: Option<String>,
    /// The exit code of the deploy command, and how long it ran, once it has ended.
    pub(super) command_ended: Option<(u8, Duration)>,
    /// Whether the target is ready, and only the deploy command still runs.
    pub(super) awaits_command: bool,
}

/// What is there in the target's stead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Instead {
    /// No agent, or no deployment.
    Nothing,
    /// This deployment is desired.
    Deployment(String),
}

impl Instead {
    pub(super) fn of(desired: Option<&str>) -> Self {
        desired.map_or(Self::Nothing, |id| Self::Deployment(id.to_owned()))
    }
}

/// The restarts of the target's code, as they were seen last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Restarts {
    pub(super) count: u64,
    pub(super) last_exit_code: Option<i64>,
    pub(super) last_termination_reason: Option<String>,
}

/// An unbroken run of failed polls.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outage {
    /// When the first of them failed.
    pub(super) since: Duration,
    /// How long of it the server has asked us to pause.
    pub(super) asked_pauses: Duration,
    pub(super) failed: u64,
    pub(super) first: Failure,
    pub(super) last: Failure,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            baseline: None,
            waiting_for: None,
            target: None,
            phase: Phase::Waiting,
            phase_since: Duration::ZERO,
            replicas: None,
            restarts: Restarts::default(),
            problem: None,
            infrastructure_issue: false,
            unconfirmed: None,
            stale: false,
            outage: None,
            ready_since: None,
            running_elsewhere: None,
            command_ended: None,
            awaits_command: false,
        }
    }

    /// What has happened between `before` and this moment, `at`; ready has to last for `stable_for`.
    pub(super) fn events_since(
        &self,
        before: &View,
        at: Duration,
        stable_for: Duration,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        match (&before.outage, &self.outage) {
            (None, Some(outage)) => events.push(Event::PollFailed {
                code: outage.first.code.clone(),
                summary: outage.first.summary.clone(),
            }),
            (Some(outage), None) => events.push(Event::PollRecovered {
                failed: outage.failed,
                after: at.saturating_sub(outage.since),
            }),
            (None, None) | (Some(_), Some(_)) => {}
        }
        if let Some((exit_code, lasted)) =
            changed(before.command_ended.as_ref(), self.command_ended.as_ref())
        {
            events.push(Event::CommandEnded { exit_code, lasted });
        }
        if self.stale && !before.stale {
            events.push(Event::StaleAnswer);
        }
        if let Some(claim) = changed(before.unconfirmed.as_ref(), self.unconfirmed.as_ref()) {
            events.push(Event::Unconfirmed { claim });
        }
        if let (None, Some(baseline)) = (&before.baseline, &self.baseline) {
            events.push(Event::BaselineNoted {
                deployment_id: baseline.deployment_id.clone(),
                created_at: baseline.created_at,
            });
        }
        if let Some((deployment_id, created_at)) =
            changed(before.target.as_ref(), self.target.as_ref())
        {
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
        if let Some(instead) = changed(before.waiting_for.as_ref(), self.waiting_for.as_ref()) {
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
        if let Some((ready_replicas, replicas_started)) =
            changed(before.replicas.as_ref(), self.replicas.as_ref())
        {
            events.push(Event::ReplicasChanged {
                ready_replicas,
                replicas_started,
            });
        }
        if self.restarts.count > before.restarts.count {
            events.push(Event::Restarted {
                restart_count: self.restarts.count,
                last_exit_code: self.restarts.last_exit_code,
                last_termination_reason: self.restarts.last_termination_reason.clone(),
            });
        }
        self.problem_events(before, &mut events);
        self.ready_events(before, at, stable_for, &mut events);
        events
    }

    fn problem_events(&self, before: &View, events: &mut Vec<Event>) {
        let word = |problem: &Option<Problem>| problem.as_ref().map(|p| (p.class, p.code.clone()));
        if word(&self.problem) == word(&before.problem) {
            return;
        }
        match (&self.problem, &before.problem) {
            (Some(problem), _) => events.push(Event::ProblemDetected {
                class: problem.class,
                code: problem.code.clone(),
                details: problem.message.clone(),
            }),
            // What was wrong with another target is not over.
            (None, Some(_)) if self.target != before.target => {}
            (None, Some(gone)) => events.push(Event::ProblemResolved {
                code: gone.code.clone(),
            }),
            (None, None) => {}
        }
    }

    fn ready_events(
        &self,
        before: &View,
        at: Duration,
        stable_for: Duration,
        events: &mut Vec<Event>,
    ) {
        if self.ready_since != before.ready_since
            && let Some(since) = before.ready_since
        {
            events.push(Event::ReadyLost {
                after: at.saturating_sub(since),
            });
        }
        if let Some(running) = changed(
            before.running_elsewhere.as_ref(),
            self.running_elsewhere.as_ref(),
        ) {
            events.push(Event::RevisionUnchanged { running });
        }
        if self.ready_since != before.ready_since
            && self.ready_since.is_some()
            && !stable_for.is_zero()
        {
            events.push(Event::Holding { stable_for });
        }
        if self.awaits_command && !before.awaits_command {
            events.push(Event::WaitingForCommand);
        }
    }
}

/// What is there now, if that is something else than before.
fn changed<T: Clone + PartialEq>(before: Option<&T>, now: Option<&T>) -> Option<T> {
    now.filter(|_| now != before).cloned()
}
