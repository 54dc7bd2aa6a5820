//! What the newest believed answer means for the target (design rules 1 to 3, 5 to 10).

use std::time::Duration;

use super::{Machine, Standing};
use crate::core::rollout::CONFIRMATIONS;
use crate::core::rollout::confirmation::Confirmation;
use crate::core::rollout::ending::Ending;
use crate::core::rollout::event::Event;
use crate::core::rollout::evidence::{Evidence, causes};
use crate::core::rollout::phase::{self, Phase};
use crate::core::rollout::policy::{NewRevision, TargetRule, Unchanged, Until};
use crate::core::rollout::watermark::own_revision;
use crate::core::wire::{AgentDetails, Revision, RevisionPhase};

/// What counts as movement of the target (for `--stall-timeout`).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Progress {
    reconciled: Option<String>,
    pub(super) own: Option<Revision>,
    /// What drains: the previous revision and the sessions.
    draining: Option<(Option<Revision>, Option<u64>)>,
}

impl Machine {
    /// Decides what the newest believed answer means.
    pub(super) fn judge(&mut self, at: Duration, events: &mut Vec<Event>) -> Option<Ending> {
        let details = self.latest.take()?;
        let ending = self.judge_details(at, &details, events);
        self.latest = Some(details);
        ending
    }

    fn judge_details(
        &mut self,
        at: Duration,
        details: &AgentDetails,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        if self.policy.limits().until == Until::Desired {
            return self.note_desired(details, events);
        }
        self.accept_unchanged(at, details, events);
        self.find_target(details);
        let desired = details.desired();
        if self.target.is_none() || desired != self.target.as_deref() {
            if let (true, Some(by)) = (self.in_view, desired) {
                return Some(Ending::Superseded { by: by.to_owned() });
            }
            self.enter(at, Phase::Waiting, events);
            self.tell_awaited(Standing::of(details), events);
            return self.never_desired(at);
        }
        if !self.in_view {
            self.in_view = true;
            self.moved_at = at;
            events.push(Event::TargetFound {
                deployment_id: self.target.clone().unwrap_or_default(),
            });
        }
        if details.reconciled_deployment_id == self.target {
            self.judge_reconciled(at, details, events)
        } else {
            // Rule 1: all else in the answer speaks of an older deployment.
            self.forget(at, events);
            self.enter(at, Phase::Reconciling, events);
            self.note_progress(at, details);
            self.stalled(at)
        }
    }

    /// Notes which deployment is desired, where that is all that is asked.
    fn note_desired(&mut self, details: &AgentDetails, events: &mut Vec<Event>) -> Option<Ending> {
        self.target = details.desired().map(str::to_owned);
        let ending = match self.target {
            Some(_) => Ending::Ready,
            None => Ending::NeverDesired,
        };
        self.note_standing(Standing::of(details), ending, events)
    }

    /// Notes how the agent stands; confirmed, it is the baseline.
    pub(super) fn note_standing(
        &mut self,
        standing: Standing,
        ending: Ending,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        if !self.standing.confirms(standing) {
            return None;
        }
        let deployment_id = self.target.clone();
        events.push(Event::BaselineNoted { deployment_id });
        Some(ending)
    }

    /// Where that is accepted, the baseline becomes the target once no new deployment has appeared
    /// in time; should one appear later, it takes its place.
    fn accept_unchanged(&mut self, at: Duration, details: &AgentDetails, events: &mut Vec<Event>) {
        let limits = self.policy.limits();
        let (TargetRule::AnyBut(baseline), Unchanged::Accept) =
            (self.policy.target(), limits.unchanged)
        else {
            return;
        };
        let stands = details.desired() == Some(baseline);
        let in_time = at < limits.appear_timeout.min(limits.timeout);
        let confirmed = self.seen.without_target >= CONFIRMATIONS;
        if self.target.is_none() && stands && !in_time && confirmed {
            self.target = Some(baseline.clone());
            self.first_sight = None;
        } else if self.target.as_ref() == Some(baseline) && !stands && details.desired().is_some() {
            self.lose_target(at, events);
        }
    }

    /// Nothing of what was seen counts any more, for or against.
    pub(super) fn forget(&mut self, at: Duration, events: &mut Vec<Event>) {
        self.evidence = Evidence::default();
        self.contradiction.clear();
        self.not_new.clear();
        self.set_infrastructure(false, events);
        self.set_trouble(at, None, events);
        self.lose_ready(at, events);
    }

    /// The first desired deployment that the rule admits becomes the target.
    fn find_target(&mut self, details: &AgentDetails) {
        if self.target.is_none() {
            let admitted = |id: &&str| match self.policy.target() {
                TargetRule::Deployment(_) => false,
                TargetRule::AnyBut(baseline) => id != baseline,
                TargetRule::FirstSeen => true,
            };
            self.target = details.desired().filter(admitted).map(str::to_owned);
            let any_but = matches!(self.policy.target(), TargetRule::AnyBut(_));
            let follows = self.watermark.as_ref().is_some_and(|mark| mark.follows);
            let doubtful = any_but && !follows && !self.policy.limits().timeout.is_zero();
            self.first_sight = doubtful.then(Confirmation::default);
        }
    }

    /// Desired and reconciled are the target: its revision and `ready` speak of it.
    fn judge_reconciled(
        &mut self,
        at: Duration,
        details: &AgentDetails,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        let own = own_revision(details);
        let failed = own.is_some_and(|own| own.phase == Some(RevisionPhase::Failed));
        self.enter(at, self.phase_of(details, own), events);
        self.tell_replicas(own, events);
        self.note_progress(at, details);
        self.set_infrastructure(own.is_some_and(|own| own.has_infrastructure_issue), events);
        // What is ready has no troubles, whatever else the answer says (rule 3).
        let causes = if details.ready {
            Vec::new()
        } else {
            causes(details, own)
        };
        let decisive = self.evidence.weigh(at, &causes, own, self.policy.limits());
        self.set_trouble(at, causes.into_iter().next(), events);
        if details.ready {
            return if failed {
                self.judge_contradiction(at, events)
            } else {
                self.judge_ready(at, details, events)
            };
        }
        self.contradiction.clear();
        self.not_new.clear();
        self.lose_ready(at, events);
        if failed {
            return Some(Ending::PhaseFailed);
        }
        if let Some(cause) = decisive {
            return Some(Ending::Trouble(cause));
        }
        self.stalled(at)
    }

    /// Rule 3: ready beside the phase Failed decides nothing until it is confirmed.
    fn judge_contradiction(&mut self, at: Duration, events: &mut Vec<Event>) -> Option<Ending> {
        self.lose_ready(at, events);
        self.not_new.clear();
        if !self.contradiction.pending() {
            self.paced_from = at;
        }
        let times = self.contradiction.note(());
        if times >= CONFIRMATIONS {
            return Some(Ending::PhaseFailed);
        }
        events.push(Event::AnswerSetAside {
            claim: "ready, and its revision has failed".to_owned(),
            times,
            needed: CONFIRMATIONS,
        });
        None
    }

    /// Rule 3: ready with matching ids is complete, once it has held for as long as was asked.
    fn judge_ready(
        &mut self,
        at: Duration,
        details: &AgentDetails,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        self.contradiction.clear();
        let running = details
            .current_revision
            .as_ref()
            .and_then(|r| r.deployment_id.clone());
        let other = running.filter(|id| Some(id) != self.target.as_ref());
        if let Some(running) = &other
            && !self.revision_unchanged
        {
            events.push(Event::RevisionUnchanged {
                running: running.clone(),
            });
        }
        self.revision_unchanged = other.is_some();
        let shown = own_revision(details).is_some();
        match (other, self.policy.limits().new_revision) {
            (Some(running), NewRevision::Required) => {
                self.lose_ready(at, events);
                return self
                    .not_new
                    .confirms(())
                    .then_some(Ending::NotNew { running });
            }
            // No proof either way: that the revision is a new one was asked for.
            (None, NewRevision::Required) if !shown => {
                self.not_new.clear();
                self.lose_ready(at, events);
                return self.stalled(at);
            }
            (None, _) | (_, NewRevision::Optional) => self.not_new.clear(),
        }
        let limits = self.policy.limits();
        let since = if let Some(since) = self.ready_since {
            since
        } else {
            self.paced_from = at;
            if !limits.stable_for.is_zero() {
                events.push(Event::Holding {
                    stable_for: limits.stable_for,
                });
            }
            *self.ready_since.insert(at)
        };
        let held = at.saturating_sub(since) >= limits.stable_for && self.first_sight_is_confirmed();
        let limits = self.policy.limits();
        let complete = match limits.until {
            Until::Desired | Until::Ready => true,
            Until::Drained => details.previous_revision.is_none(),
        };
        if held && complete {
            return Some(Ending::Ready);
        }
        // What drains may stall; what only has to hold still must not move.
        if complete { None } else { self.stalled(at) }
    }

    /// Whether a target that may be from before the baseline has been ready often enough.
    ///
    /// A replica that lags may show such a deployment, ready; nothing tells, unless the baseline was
    /// seen before, and that it is the older one.
    fn first_sight_is_confirmed(&mut self) -> bool {
        let sight = self.first_sight.as_mut();
        sight.is_none_or(|sight| sight.confirms(()))
    }

    /// The phase of a rollout whose target is reconciled.
    fn phase_of(&self, details: &AgentDetails, own: Option<&Revision>) -> Phase {
        let told = phase::of_revision(own);
        let drains =
            details.previous_revision.is_some() && self.policy.limits().until == Until::Drained;
        match (details.ready, told) {
            (true, Phase::Failed) => Phase::Failed,
            (true, _) if drains => Phase::Draining,
            (true, _) => Phase::Active,
            (false, told) => told,
        }
    }

    fn note_progress(&mut self, at: Duration, details: &AgentDetails) {
        let progress = Progress::of(details);
        if progress != self.progress {
            self.progress = progress;
            self.moved_at = at;
        }
    }

    /// Answers that are set aside move nothing: where there are no others any more, a target in view
    /// that is not ready stalls. One of them alone may hide that it has moved.
    pub(super) fn stalled_by_doubt(&self, at: Duration) -> Option<Ending> {
        let waits = self.in_view && self.ready_since.is_none();
        let stalls = waits && self.set_aside >= CONFIRMATIONS;
        stalls.then(|| self.stalled(at)).flatten()
    }

    /// Whether nothing about the target has moved for `--stall-timeout`.
    fn stalled(&self, at: Duration) -> Option<Ending> {
        let limit = self.policy.limits().stall_timeout?;
        (at.saturating_sub(self.moved_at) >= limit).then_some(Ending::Stalled)
    }
}

impl Progress {
    fn of(details: &AgentDetails) -> Self {
        let reconciled = details.reconciled_deployment_id.clone();
        if reconciled.as_deref() != details.desired() {
            return Self {
                reconciled,
                ..Self::default()
            };
        }
        Self {
            reconciled,
            own: own_revision(details).cloned(),
            draining: details.ready.then(|| {
                (
                    details.previous_revision.clone(),
                    details.active_session_count,
                )
            }),
        }
    }
}
