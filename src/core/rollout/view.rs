//! What a person sees of a rollout at one moment; events are the difference between two moments.

use std::time::Duration;

use jiff::Timestamp;

use super::event::Event;
use super::observation::Failure;
use super::phase::Phase;
use super::policy::Baseline;
use super::problem::Problem;
use crate::core::wire::Health;

/// From so many failed polls on, or after so long, an outage is news however many there were before.
const LASTING_POLLS: u64 = 3;
const LASTING: Duration = Duration::from_secs(5);

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
    /// The health of the target's code when its restarts were counted last.
    pub(crate) health: Health,
    pub(crate) problem: Option<Problem>,
    pub(crate) infrastructure_issue: bool,
    /// What waits to be confirmed.
    pub(crate) unconfirmed: Option<String>,
    /// Whether answers come that their own dates prove to be older.
    pub(crate) stale: bool,
    pub(crate) outage: Option<Outage>,
    /// How many there have been.
    pub(crate) outages: u64,
    pub(crate) ready_since: Option<Duration>,
    pub(crate) running_elsewhere: Option<String>,
    /// The exit code of the deploy command, and how long it ran, once it has ended.
    pub(crate) command_ended: Option<(u8, Duration)>,
    /// Whether the target is ready, and only the deploy command still runs.
    pub(crate) awaits_command: bool,
}

/// The deployment that is desired in the target's stead; none where there is no agent, or nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instead(pub(crate) Option<String>);

/// An unbroken run of failed polls.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outage {
    /// When the first of them failed.
    pub(crate) since: Duration,
    /// When the last of them failed.
    pub(crate) last_at: Duration,
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
        let is_new = |now: bool, before: bool| now && !before;
        let restarts = self.health.restart_count.unwrap_or(0);
        let ready_changed = self.ready_since != before.ready_since;
        let events = [
            self.outage_event(before, at),
            changed(&before.command_ended, &self.command_ended)
                .map(|(exit_code, lasted)| Event::CommandEnded { exit_code, lasted }),
            is_new(self.stale, before.stale).then_some(Event::StaleAnswer),
            changed(&before.unconfirmed, &self.unconfirmed)
                .map(|claim| Event::Unconfirmed { claim }),
            changed(&before.baseline, &self.baseline).map(|baseline| Event::BaselineNoted {
                deployment_id: baseline.deployment_id,
                created_at: baseline.created_at,
            }),
            changed(&before.target, &self.target).map(|(deployment_id, created_at)| {
                Event::TargetFound {
                    deployment_id,
                    created_at,
                }
            }),
            (self.phase != before.phase).then(|| Event::PhaseChanged {
                phase: self.phase,
                previous: before.phase,
                lasted: self.phase_since.saturating_sub(before.phase_since),
            }),
            changed(&before.waiting_for, &self.waiting_for)
                .map(|Instead(desired)| Event::WaitingForTarget { desired }),
            is_new(self.infrastructure_issue, before.infrastructure_issue)
                .then_some(Event::InfrastructureIssue),
            is_new(before.infrastructure_issue, self.infrastructure_issue)
                .then_some(Event::InfrastructureRecovered),
            changed(&before.replicas, &self.replicas).map(|(ready_replicas, replicas_started)| {
                Event::ReplicasChanged {
                    ready_replicas,
                    replicas_started,
                }
            }),
            (restarts > before.health.restart_count.unwrap_or(0)).then(|| Event::Restarted {
                restart_count: restarts,
                last_exit_code: self.health.last_exit_code,
                last_termination_reason: self.health.last_termination_reason.clone(),
            }),
            self.problem_event(before),
            before
                .ready_since
                .filter(|_| ready_changed)
                .map(|since| Event::ReadyLost {
                    after: at.saturating_sub(since),
                }),
            changed(&before.running_elsewhere, &self.running_elsewhere)
                .map(|running| Event::RevisionUnchanged { running }),
            (ready_changed && self.ready_since.is_some() && !stable_for.is_zero())
                .then_some(Event::Holding { stable_for }),
            is_new(self.awaits_command, before.awaits_command).then_some(Event::WaitingForCommand),
        ];
        events.into_iter().flatten().collect()
    }

    fn outage_event(&self, before: &View, at: Duration) -> Option<Event> {
        match (before.news_of_outage(), self.news_of_outage()) {
            (None, Some(outage)) => Some(Event::PollFailed {
                code: outage.last.code.clone(),
                summary: outage.last.summary.clone(),
            }),
            (Some(outage), None) => Some(Event::PollRecovered {
                failed: outage.failed,
                after: at.saturating_sub(outage.since),
            }),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }

    /// The outage, if it is news: the first one at once, later ones if they last. An API that fails every
    /// second poll would fill the log.
    fn news_of_outage(&self) -> Option<&Outage> {
        self.outage.as_ref().filter(|outage| {
            let failing = outage.last_at.saturating_sub(outage.since);
            let lasted = failing.saturating_add(outage.asked_pauses);
            let lasts = outage.failed >= LASTING_POLLS || lasted >= LASTING;
            lasts || self.outages <= 1
        })
    }

    fn problem_event(&self, before: &View) -> Option<Event> {
        match (&before.problem, &self.problem) {
            (Some(old), Some(new)) if old.class == new.class && old.code == new.code => None,
            (_, Some(new)) => Some(Event::ProblemDetected {
                class: new.class,
                code: new.code.clone(),
                details: new.message.clone(),
            }),
            // What was wrong with another target is not over.
            (Some(old), None) if self.target == before.target => Some(Event::ProblemResolved {
                code: old.code.clone(),
            }),
            (Some(_) | None, None) => None,
        }
    }
}

/// What is there now, if that is something else than before.
#[expect(clippy::ref_option, reason = "two fields are compared")]
fn changed<T: Clone + PartialEq>(before: &Option<T>, now: &Option<T>) -> Option<T> {
    now.clone().filter(|_| now != before)
}
