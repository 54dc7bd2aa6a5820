//! What an answer indicates about the target, and what is taken in of one that is believed.

use std::time::Duration;

use super::{Machine, RestartCount};
use crate::core::rollout::assess::{
    has_failed, is_complete, is_desired, is_reconciled, is_running, own_revision, phase_of,
    progress, replicas_started, restart_count, running_elsewhere,
};
use crate::core::rollout::indication::{Indication, Progress, Proof, StepBack};
use crate::core::rollout::phase::{self, Phase};
use crate::core::rollout::policy::{NewRevision, TargetRule, Unchanged};
use crate::core::rollout::problem::{self, Problem, ProblemClass};
use crate::core::rollout::streak::Streak;
use crate::core::rollout::target::Search;
use crate::core::rollout::view::{Instead, Restarts};
use crate::core::wire::{AgentDetails, Revision};

impl Machine {
    /// Finds the target among the deployments that are desired.
    pub(super) fn find_target(&mut self, details: &AgentDetails) {
        self.ever_reconciled |= details.reconciled_deployment_id.is_some();
        if let TargetRule::Pushed(_) = self.policy.target() {
            self.policy.decide_pushed(details.auto_deploy == Some(true));
            self.search = Search::new(self.policy.target().clone(), &mut self.newest);
        }
        let Some(desired) = details.desired() else {
            return;
        };
        let before = self.search.target_id().map(str::to_owned);
        self.search.see(details, desired, &self.newest, self.clock);
        if before.is_some() && before.as_deref() != self.search.target_id() {
            // What was taken for the target was there before it, and its errors are its own.
            if let Some(latest) = &self.latest {
                self.earlier.note(latest);
            }
            self.lose_target();
        }
        // Where no answer from before the target is known, the first one that shows it has to do.
        let comes = self.in_view_since.is_none() && self.search.target_id() == Some(desired);
        if comes && !self.earlier.is_known() && self.ever_reconciled {
            self.earlier.note(details);
        }
    }

    /// The push that was to bring the target, if an answer shows that it has failed, and the target is not
    /// there.
    pub(super) fn failed_push(
        &mut self,
        at: Duration,
        details: &AgentDetails,
    ) -> Option<Indication> {
        let latest = details.latest_deploy.as_ref();
        if self.search.awaits_baseline() {
            self.pushes.note_before_deploy(latest);
        }
        let failed = self.pushes.see(at, latest, self.policy.target())?;
        let target = self.search.target_id();
        let in_view = target.is_some_and(|id| is_desired(details, id));
        (!in_view).then_some(Indication::PushFailed(failed))
    }

    /// What an answer indicates, the gravest first.
    pub(super) fn indications(&mut self, details: &AgentDetails) -> Vec<Indication> {
        let desired = details.desired();
        if self.search.awaits_baseline() {
            return vec![Indication::Baseline(desired.map(str::to_owned))];
        }
        let Some(target) = self.search.target.clone() else {
            return vec![Indication::NotInView];
        };
        if !is_desired(details, &target.id) {
            let mut found = Vec::new();
            match desired {
                Some(by) if self.in_view_since.is_some() && target.settled => {
                    let newer = self.search.is_newer(by, &self.newest);
                    found.push(Indication::Superseded {
                        by: by.to_owned(),
                        proof: if newer { Proof::Newer } else { Proof::None },
                    });
                }
                None | Some(_) => found.push(Indication::NotInView),
            }
            found.extend(self.unmoved());
            return found;
        }
        let mut found = Vec::new();
        if !target.settled {
            found.push(Indication::Target(target.id.clone()));
        }
        if let Some(step_back) = self.step_back(details, &target.id) {
            found.push(Indication::StepBack(step_back));
            found.extend(self.unmoved());
        } else if is_reconciled(details, &target.id) {
            self.indicate_reconciled(details, &target.id, &mut found);
        } else {
            // Design rule 1: all else in the answer speaks of an older deployment.
            let [reported, _] = self.errors(details, &target.id);
            found.extend(reported.map(Indication::Problem));
            found.push(Indication::Unmoved(Box::new(progress(details, &target.id))));
        }
        found
    }

    /// Desired and reconciled are the target: its revision and `ready` speak of it.
    fn indicate_reconciled(
        &mut self,
        details: &AgentDetails,
        id: &str,
        found: &mut Vec<Indication>,
    ) {
        let own = own_revision(details, id);
        let progress = progress(details, id);
        let limits = self.policy.limits().clone();
        let issue = own.is_some_and(|revision| revision.has_infrastructure_issue);
        let restarted = self.count_restarts(own, issue);
        if restarted {
            self.streaks
                .end(|indication| *indication == Indication::Ready);
        }
        if self.restarts.fallen.is_some() {
            found.push(Indication::FewerRestarts);
        }
        if progress != self.progress {
            let degraded = |problem: &Problem| problem.class == ProblemClass::Degraded;
            self.streaks
                .end(|i| matches!(i, Indication::Problem(problem) if degraded(problem)));
        }
        match (has_failed(own), details.ready) {
            (true, true) => found.push(Indication::Contradiction),
            (true, false) => found.push(Indication::PhaseFailed),
            (false, _) => {}
        }
        let counts = restarted || !details.ready;
        if counts && let Some(crash) = self.crash_loop(own, details.ready) {
            found.push(Indication::Problem(crash));
        }
        if details.ready {
            if has_failed(own) {
                return;
            }
            let elsewhere = running_elsewhere(details, id).map(str::to_owned);
            match (elsewhere, limits.new_revision) {
                (Some(running), NewRevision::Required) => {
                    found.push(Indication::RevisionUnchanged { running });
                }
                // No proof either way.
                (None, NewRevision::Required) if own.is_none() => {
                    found.push(Indication::Unmoved(Box::new(progress)));
                }
                (None, _) | (_, NewRevision::Optional) => {
                    found.push(Indication::Ready);
                    if !is_complete(details, id, own, limits.until) {
                        found.push(Indication::Unmoved(Box::new(progress)));
                    }
                }
            }
            return;
        }
        let weighed =
            self.problems(details, id)
                .into_iter()
                .filter(|problem| match problem.class {
                    // Only its restarts decide.
                    ProblemClass::Crashing | ProblemClass::Unknown => false,
                    ProblemClass::Reported | ProblemClass::ReportedBefore => true,
                    // Design rule 8: these wait.
                    ProblemClass::Unrecoverable
                    | ProblemClass::NotPulling
                    | ProblemClass::Degraded => !issue,
                });
        found.extend(weighed.map(Indication::Problem));
        found.push(Indication::Unmoved(Box::new(progress)));
    }

    /// The problems that an answer about the reconciled target shows, the gravest first. What is ready
    /// has none, whatever else the answer says (design rule 3).
    fn problems(&self, details: &AgentDetails, id: &str) -> Vec<Problem> {
        if details.ready {
            return Vec::new();
        }
        let health = own_revision(details, id).and_then(|revision| revision.health.as_ref());
        let mut problems: Vec<Problem> = self
            .errors(details, id)
            .into_iter()
            .flatten()
            .chain(health.and_then(problem::of_health))
            .chain(self.earlier.new_degradation(details))
            .collect();
        problems.sort_by_key(|problem| problem.class);
        problems
    }

    /// Listed errors: those that count against the target, and those that may be an older deployment's.
    fn errors(&self, details: &AgentDetails, id: &str) -> [Option<Problem>; 2] {
        self.earlier.problems_of_errors(&details.errors, id)
    }

    /// How an answer goes back behind what was seen of the target.
    fn step_back(&self, details: &AgentDetails, id: &str) -> Option<StepBack> {
        let was_reconciled = self.progress.reconciled.as_deref() == Some(id);
        if !was_reconciled {
            return None;
        }
        if !is_reconciled(details, id) {
            return Some(StepBack::Reconciled);
        }
        // Ready is complete whatever the revision says (design rule 3).
        let rank = phase::rank(own_revision(details, id)).filter(|_| !details.ready);
        matches!((rank, self.rank), (Some(now), Some(before)) if now < before)
            .then_some(StepBack::Phase)
    }

    /// What did not move since the last answer that was believed, where the target is in view.
    pub(super) fn unmoved(&self) -> Option<Indication> {
        let in_view = self.in_view_since.is_some();
        in_view.then(|| Indication::Unmoved(Box::new(self.progress.clone())))
    }

    /// Counts the rises of the restarts since the target came into view, and says whether there is a
    /// new one (design rules 6 and 8). A fall is a replaced replica, or a reading from before the
    /// last rise: it has to be confirmed, or replicas of the API that disagree would make rises.
    fn count_restarts(&mut self, own: Option<&Revision>, issue: bool) -> bool {
        // What the platform's own problem has caused does not count.
        let excused = issue || self.view.infrastructure_issue;
        if excused {
            self.restarts.counted = 0;
        }
        let Some(count) = restart_count(own) else {
            return false;
        };
        let rose = self
            .restarts
            .newest
            .replace(count)
            .is_some_and(|newest| count > newest);
        // A revision that was not there at the first sight of the target has been restarted since.
        let is_new = self.in_view_since.is_some();
        let replaced = self.meets(|indication| *indication == Indication::FewerRestarts);
        let restarts = &mut self.restarts;
        if replaced && let Some(fewest) = restarts.fallen.take() {
            restarts.last = Some(fewest);
        }
        let risen = match restarts.last {
            _ if excused => 0,
            Some(last) if count < last => {
                restarts.fallen = Some(restarts.fallen.map_or(count, |fewest| fewest.min(count)));
                return rose;
            }
            Some(last) => count - last,
            None if is_new || own.is_some_and(problem::is_crash_loop) => count,
            None => 0,
        };
        restarts.fallen = None;
        restarts.last = Some(count);
        restarts.counted = restarts.counted.saturating_add(risen);
        rose || risen > 0
    }

    /// The crash loop, if the restarts of each started replica have reached the limit. A target that
    /// only has to stay ready may not be restarted more often either (design rules 6 and 11).
    fn crash_loop(&self, own: Option<&Revision>, ready: bool) -> Option<Problem> {
        let limits = self.policy.limits();
        let allowed = u64::from(limits.max_restarts.get()).saturating_mul(replicas_started(own));
        let health = own?.health.as_ref()?;
        let weighed = !ready || !limits.stable_for.is_zero();
        (weighed && self.restarts.counted >= allowed).then(|| problem::of_restarts(health))
    }

    /// Takes in an answer that is believed.
    pub(super) fn accept(&mut self, at: Duration, details: Box<AgentDetails>) {
        let in_view = self
            .search
            .target
            .clone()
            .filter(|target| is_desired(&details, &target.id));
        match in_view {
            Some(target) => self.accept_in_view(at, &details, &target.id),
            None if self.in_view_since.is_none() || self.search.settled().is_none() => {
                self.lose_target();
                // Where nothing was ever reconciled, what is listed can only be about what is desired.
                if self.ever_reconciled {
                    self.earlier.note(&details);
                }
                let reconciled = details.reconciled_deployment_id.as_deref();
                for id in [details.desired(), reconciled].into_iter().flatten() {
                    self.search.note_earlier(id);
                }
                if !self.search.awaits_baseline() {
                    self.view.waiting_for = Some(Instead::of(details.desired()));
                }
            }
            // Another deployment is said to be in its place: nothing is taken in before that is confirmed.
            None => {
                self.view.ready_since = None;
                return;
            }
        }
        self.latest = Some(details);
    }

    fn accept_in_view(&mut self, at: Duration, details: &AgentDetails, id: &str) {
        if self.in_view_since.is_none() {
            self.in_view_since = Some(at);
            self.view.target = Some((id.to_owned(), self.newest.created_at(id)));
            self.view.waiting_for = None;
        }
        if let Some(reconciled) = details.reconciled_deployment_id.as_deref() {
            self.search.note_earlier(reconciled);
        }
        let own = own_revision(details, id);
        let until = self.policy.limits().until;
        let view = &mut self.view;
        view.phase = phase_of(details, id, until);
        view.infrastructure_issue = own.is_some_and(|revision| revision.has_infrastructure_issue);
        if let Some(health) = own.and_then(|revision| revision.health.as_ref()) {
            let ready = own
                .and_then(|revision| revision.ready_replicas)
                .unwrap_or(0);
            let started = replicas_started(own);
            // The first look at replicas of which none is ready is no news.
            if view.replicas.is_some() || ready > 0 {
                view.replicas = Some((ready, started));
            }
            if self.restarts.fallen.is_none() {
                view.restarts = Restarts {
                    count: health.restart_count.unwrap_or(0),
                    last_exit_code: health.last_exit_code,
                    last_termination_reason: health.last_termination_reason.clone(),
                };
            }
        }
        let reconciled = is_reconciled(details, id);
        let problems = if reconciled {
            self.problems(details, id)
        } else {
            self.errors(details, id).into_iter().flatten().collect()
        };
        self.show_problem(
            problems.into_iter().next(),
            details.ready && reconciled,
            own,
        );
        let is_ready = self
            .streaks
            .iter()
            .any(|indication| *indication == Indication::Ready);
        let lasts = self
            .streaks
            .find(|indication| *indication == Indication::Ready);
        let anew = lasts.is_some_and(Streak::is_new);
        self.view.ready_since = match self.view.ready_since.filter(|_| is_ready && !anew) {
            Some(since) => Some(since),
            None => is_ready.then_some(at),
        };
        let elsewhere = running_elsewhere(details, id).filter(|_| details.ready && reconciled);
        self.view.running_elsewhere = elsewhere.map(str::to_owned);
        self.progress = progress(details, id);
        self.rank = reconciled.then(|| phase::rank(own)).flatten();
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
        if let Some(problem) = &shown {
            self.last_problem = Some(problem.clone());
        }
        self.view.problem = shown;
    }

    /// Where the target was is void; its restarts stay counted, from when it came into view.
    pub(super) fn forget_progress(&mut self) {
        self.progress = Progress::default();
        self.view.replicas = None;
        self.view.problem = None;
        self.view.infrastructure_issue = false;
        self.view.ready_since = None;
        self.view.running_elsewhere = None;
    }

    /// The target is not in view, or another one is.
    fn lose_target(&mut self) {
        self.in_view_since = None;
        // What was indicated of it says nothing of the next one.
        self.streaks.end(Indication::is_about_target);
        self.view.target = None;
        self.view.phase = if self.pushes.is_under_way {
            Phase::Building
        } else {
            Phase::Waiting
        };
        self.restarts = RestartCount::default();
        self.view.restarts = Restarts::default();
        self.forget_progress();
    }

    /// Where that is accepted, the baseline is judged once no new deployment has come in time.
    pub(super) fn accepts_unchanged(&self) -> bool {
        let stands = self.latest.as_ref().and_then(|details| details.desired());
        let by_rule = matches!(
            self.policy.target(),
            TargetRule::NewerThan(_) | TargetRule::Deploy
        );
        by_rule
            && self.policy.limits().unchanged == Unchanged::Accept
            && !self.is_absent()
            && stands.is_some()
            && stands == self.search.baseline_id()
    }

    pub(super) fn own_revision(&self) -> Option<&Revision> {
        own_revision(self.latest.as_deref()?, &self.search.target.as_ref()?.id)
    }
}
