//! What is taken in of an answer that is believed, and what is to be seen then.

use std::time::Duration;

use super::Machine;
use crate::core::messages;
use crate::core::rollout::assess::{
    is_desired, is_reconciled, is_running, own_revision, phase_of, replicas_started,
    running_elsewhere,
};
use crate::core::rollout::indication::Indication;
use crate::core::rollout::phase::Phase;
use crate::core::rollout::problem::{Problem, ProblemClass};
use crate::core::rollout::restarts::Restarts;
use crate::core::rollout::view::{Instead, View};
use crate::core::wire::{AgentDetails, Health, Revision};

impl Machine {
    /// Finds the target among the deployments that are desired.
    pub(super) fn find_target(&mut self, details: &AgentDetails) {
        self.known_problems.ever_reconciled |= details.reconciled_deployment_id.is_some();
        self.search.decide_pushed(details.auto_deploy == Some(true));
        let Some(desired) = details.desired() else {
            return;
        };
        let before = self.search.target_id().map(str::to_owned);
        self.search.see(details, desired);
        if before.is_some() && before.as_deref() != self.search.target_id() {
            // What was taken for the target was there before it, and its errors are its own.
            if let Some(latest) = &self.latest {
                self.known_problems.note(latest);
            }
            self.lose_target();
        }
        // Where no answer from before the target is known, the first one that shows it has to do.
        let comes = self.in_view_since.is_none() && self.search.target_id() == Some(desired);
        if comes && !self.known_problems.is_known() && self.known_problems.ever_reconciled {
            self.known_problems.note(details);
        }
    }

    /// Takes in an answer that is believed.
    pub(super) fn accept(&mut self, at: Duration, details: Box<AgentDetails>) {
        let target = self.search.target_id();
        if let Some(id) = target
            .filter(|id| is_desired(&details, id))
            .map(str::to_owned)
        {
            self.accept_in_view(at, &details, &id);
        } else if self.in_view_since.is_some() && self.search.is_settled() {
            // Another deployment is said to be in its place: nothing is taken in before that is confirmed.
            return;
        } else {
            self.lose_target();
            // Where nothing was ever reconciled, what is listed can only be about what is desired.
            if self.known_problems.ever_reconciled {
                self.known_problems.note(&details);
            }
            let reconciled = details.reconciled_deployment_id.as_deref();
            for id in [details.desired(), reconciled].into_iter().flatten() {
                self.search.note_before_target(id);
            }
            if !self.search.awaits_baseline() {
                let desired = details.desired().map(str::to_owned);
                self.view.waiting_for = Some(Instead(desired));
            }
        }
        self.latest = Some(details);
    }

    fn accept_in_view(&mut self, at: Duration, details: &AgentDetails, id: &str) {
        if self.in_view_since.is_none() {
            self.in_view_since = Some(at);
            self.view.target = Some((id.to_owned(), self.search.order.created_at(id)));
            self.view.waiting_for = None;
        }
        if let Some(reconciled) = details.reconciled_deployment_id.as_deref() {
            self.search.note_before_target(reconciled);
        }
        let own = own_revision(details, id);
        let is_reconciled = is_reconciled(details, id);
        let problems = if is_reconciled {
            self.problems(details, id)
        } else {
            self.errors(details, id).into_iter().flatten().collect()
        };
        let is_ready = details.ready && is_reconciled;
        self.show_problem(problems.into_iter().next(), is_ready, own);
    }

    /// Shows the gravest problem of an answer. One that it no longer shows is over when the target is
    /// ready, or its code runs; the pause between two crashes is not the end of a crash loop.
    fn show_problem(&mut self, problem: Option<Problem>, ready: bool, own: Option<&Revision>) {
        let stays = |problem: &Problem| match problem.class {
            ProblemClass::Crashing => !ready,
            ProblemClass::Unrecoverable | ProblemClass::NotPulling | ProblemClass::Unknown => {
                !ready && !is_running(own)
            }
            ProblemClass::Reported | ProblemClass::ReportedBefore | ProblemClass::Degraded => false,
        };
        let shown = problem.or_else(|| self.view.problem.take().filter(stays));
        if shown.is_some() {
            self.last_problem.clone_from(&shown);
        }
        self.view.problem = shown;
    }

    /// Where the target was is void; its restarts stay counted, from when it came into view.
    pub(super) fn forget_progress(&mut self) {
        self.latest = None;
        self.view.replicas = None;
        self.view.problem = None;
        self.view.infrastructure_issue = false;
    }

    /// The target is not in view, or another one is.
    fn lose_target(&mut self) {
        self.in_view_since = None;
        self.came_back = false;
        // What was indicated of it says nothing of the next one.
        self.streaks.end(Indication::is_about_target);
        self.restarts = Restarts::default();
        self.view.target = None;
        self.view.health = Health::default();
        self.forget_progress();
    }

    /// What is to be seen at `at`, by the newest answer that was believed and what was indicated.
    pub(super) fn refresh_view(&mut self, at: Duration) {
        let shown = self.in_view();
        let until = self.limits.until;
        let phase = match shown {
            Some((details, id)) => phase_of(details, id, until),
            None if self.pushes.is_under_way => Phase::Building,
            None => Phase::Waiting,
        };
        let own = shown.and_then(|(details, id)| own_revision(details, id));
        let health = own.and_then(|revision| revision.health.as_ref());
        let before = &self.view;
        let replicas = health.map(|_| {
            let ready = own.and_then(|revision| revision.ready_replicas);
            (ready.unwrap_or(0), replicas_started(own))
        });
        // The first answer with replicas of which none is ready is no news.
        let is_news = |(ready, _): &(u64, u64)| before.replicas.is_some() || *ready > 0;
        let counted = health.filter(|_| !self.restarts.has_fallen());
        let ready = self.streaks.find(|i| *i == Indication::Ready);
        let elsewhere = shown
            .filter(|(details, id)| details.ready && is_reconciled(details, id))
            .and_then(|(details, id)| running_elsewhere(details, id));
        let now = View {
            phase,
            phase_since: if phase == before.phase {
                before.phase_since
            } else {
                at
            },
            replicas: replicas.filter(is_news).or(before.replicas),
            health: counted.unwrap_or(&before.health).clone(),
            infrastructure_issue: own.is_some_and(|revision| revision.has_infrastructure_issue),
            unconfirmed: self.streaks.iter().find_map(messages::claim),
            ready_since: ready.map(|streak| streak.shown.first_at()),
            running_elsewhere: elsewhere.map(str::to_owned),
            awaits_command: self.awaits_command(),
            ..before.clone()
        };
        self.view = now;
    }
}
