//! Notes what changes from answer to answer, and tells of it.

use std::time::Duration;

use super::{Machine, Standing};
use crate::core::rollout::event::Event;
use crate::core::rollout::evidence::{Cause, replicas_started, restart_count};
use crate::core::rollout::phase::Phase;
use crate::core::rollout::report::{PhaseEntry, whole_millis};
use crate::core::wire::Revision;

impl Machine {
    pub(super) fn enter(&mut self, at: Duration, phase: Phase, events: &mut Vec<Event>) {
        if phase == self.phase {
            return;
        }
        events.push(Event::PhaseChanged {
            phase,
            previous: self.phase,
            lasted: at.saturating_sub(self.phase_since),
        });
        let at_ms = whole_millis(at);
        self.phases.push(PhaseEntry { phase, at_ms });
        self.phase = phase;
        self.phase_since = at;
        self.paced_from = at;
    }

    /// Tells what is there while the target is not in view, whenever that changes.
    pub(super) fn tell_awaited(&mut self, standing: Standing, events: &mut Vec<Event>) {
        if self.awaited.as_ref() != Some(&standing) {
            let desired = match &standing {
                Standing::Desired(id) => Some(id.clone()),
                Standing::Absent | Standing::Undeployed => None,
            };
            self.awaited = Some(standing);
            events.push(Event::TargetAwaited { desired });
        }
    }

    pub(super) fn lose_ready(&mut self, at: Duration, events: &mut Vec<Event>) {
        if let Some(sight) = &mut self.first_sight {
            sight.clear();
        }
        if let Some(since) = self.ready_since.take() {
            self.paced_from = at;
            events.push(Event::ReadyLost {
                after: at.saturating_sub(since),
            });
        }
    }

    pub(super) fn set_infrastructure(&mut self, issue: bool, events: &mut Vec<Event>) {
        if issue != self.under_infrastructure_issue {
            self.under_infrastructure_issue = issue;
            events.push(if issue {
                Event::InfrastructureIssue
            } else {
                Event::InfrastructureRecovered
            });
        }
    }

    pub(super) fn set_trouble(
        &mut self,
        at: Duration,
        trouble: Option<Cause>,
        events: &mut Vec<Event>,
    ) {
        let class = |cause: &Option<Cause>| cause.as_ref().map(|cause| cause.class);
        if class(&trouble) != class(&self.trouble) {
            self.paced_from = at;
        }
        let told = |cause: &Option<Cause>| cause.as_ref().map(|c| (c.class, c.code.clone()));
        if told(&trouble) != told(&self.trouble) {
            match (&trouble, &self.trouble) {
                (Some(cause), _) => events.push(Event::TroubleSeen {
                    class: cause.class,
                    code: cause.code.clone(),
                    message: cause.message.clone(),
                }),
                (None, Some(gone)) => events.push(Event::TroubleGone {
                    code: gone.code.clone(),
                }),
                (None, None) => {}
            }
        }
        self.trouble = trouble;
    }

    /// Tells of replicas and restarts that changed since the last believed answer.
    pub(super) fn tell_replicas(&self, own: Option<&Revision>, events: &mut Vec<Event>) {
        let before = self.progress.own.as_ref();
        let Some(now) = own else { return };
        let ready =
            |revision: Option<&Revision>| revision.and_then(|r| r.ready_replicas).unwrap_or(0);
        let started =
            |revision: Option<&Revision>| revision.map_or(0, |r| replicas_started(Some(r)));
        let health = now.health.as_ref();
        if health.is_some() && (ready(before), started(before)) != (ready(own), started(own)) {
            events.push(Event::ReplicasChanged {
                ready_replicas: ready(own),
                replicas_started: started(own),
            });
        }
        if restart_count(own) > restart_count(before) {
            events.push(Event::Restarted {
                restart_count: restart_count(own),
                last_exit_code: health.and_then(|h| h.last_exit_code),
                last_termination_reason: health.and_then(|h| h.last_termination_reason.clone()),
            });
        }
    }
}
