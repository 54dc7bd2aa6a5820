//! What an answer indicates about the target.

use std::time::Duration;

use jiff::SignedDuration;

use super::Machine;
use crate::core::rollout::assess::{
    has_failed, is_complete, is_desired, is_reconciled, own_revision, progress, restart_count,
    running_elsewhere,
};
use crate::core::rollout::indication::{Indication, Progress, Proof, StepBack};
use crate::core::rollout::phase::rank;
use crate::core::rollout::policy::NewRevision;
use crate::core::rollout::problem::{self, Problem, ProblemClass};
use crate::core::rollout::restarts::First;
use crate::core::wire::{AgentDetails, Revision};

/// A target that was created this long before the watch, or later, has been restarted for the watch to see.
const LATELY: SignedDuration = SignedDuration::from_mins(1);

impl Machine {
    /// Before a deploy: what an answer that desires this deployment says of the baseline.
    pub(super) fn baseline(desired: Option<&str>) -> Indication {
        Indication::Baseline(desired.map(str::to_owned))
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
        let failed = self.pushes.see(at, latest, &self.search.rule)?;
        let target = self.search.target_id();
        let was_there = self.in_view_since.is_some();
        let is_there = was_there || target.is_some_and(|id| is_desired(details, id));
        (!is_there).then_some(Indication::PushFailed(failed))
    }

    /// What an answer indicates, the gravest first; its restarts are counted.
    pub(super) fn indications(&mut self, details: &AgentDetails) -> Vec<Indication> {
        let desired = details.desired();
        if self.search.awaits_baseline() {
            return vec![Self::baseline(desired)];
        }
        let Some(id) = self.search.target_id().map(str::to_owned) else {
            return vec![Indication::NotInView];
        };
        let mut found = Vec::new();
        if !is_desired(details, &id) {
            match desired {
                Some(by) if self.in_view_since.is_some() && self.search.is_settled() => {
                    let newer = self.search.is_newer(by);
                    found.push(Indication::Superseded {
                        by: by.to_owned(),
                        proof: if newer { Proof::Newer } else { Proof::None },
                    });
                }
                None | Some(_) => {
                    found.push(Indication::NotInView);
                    found.extend(self.unmoved());
                }
            }
            return found;
        }
        if !self.search.is_settled() {
            found.push(Indication::Target(id.clone()));
        }
        if let Some(step_back) = self.step_back(details, &id) {
            found.push(Indication::StepBack(step_back));
            found.extend(self.unmoved());
            return found;
        }
        let away = self.streaks.find(Indication::is_away);
        self.came_back |= away.is_some_and(|streak| streak.shown.answers() > 1);
        if self.came_back {
            found.push(Indication::Back);
        }
        if is_reconciled(details, &id) {
            self.indicate_reconciled(details, &id, &mut found);
        } else {
            // Rule 1: all else in the answer speaks of an older deployment.
            let [reported, _] = self.errors(details, &id);
            found.extend(reported.map(Indication::Problem));
            found.push(Indication::Unmoved(Box::new(progress(details, &id))));
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
        let issue = own.is_some_and(|revision| revision.has_infrastructure_issue);
        let restarted = self.count_restarts(own, issue);
        if restarted {
            self.streaks
                .end(|indication| *indication == Indication::Ready);
        }
        if self.restarts.has_fallen() {
            found.push(Indication::FewerRestarts);
        }
        if progress != self.progress() {
            let degraded = |problem: &Problem| problem.class == ProblemClass::Degraded;
            self.streaks
                .end(|i| matches!(i, Indication::Problem(problem) if degraded(problem)));
        }
        let counts = restarted || !details.ready;
        let crash = self.crash_loop(own, details.ready).filter(|_| counts);
        let failed = has_failed(own);
        if failed {
            found.push(if details.ready {
                Indication::Contradiction
            } else {
                Indication::PhaseFailed
            });
        }
        found.extend(crash.map(Indication::Problem));
        if details.ready {
            if !failed {
                found.push(self.indicate_ready(details, id, own));
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
                    // Rule 8: these wait.
                    ProblemClass::Unrecoverable
                    | ProblemClass::NotPulling
                    | ProblemClass::Degraded => !issue,
                });
        found.extend(weighed.map(Indication::Problem));
        found.push(Indication::Unmoved(Box::new(progress)));
    }

    /// What is ready is complete (rule 3), unless more was asked for.
    fn indicate_ready(
        &self,
        details: &AgentDetails,
        id: &str,
        own: Option<&Revision>,
    ) -> Indication {
        let limits = self.limits();
        let required = limits.new_revision == NewRevision::Required;
        if required && let Some(running) = running_elsewhere(details, id) {
            let running = running.to_owned();
            Indication::RevisionUnchanged { running }
        } else if required && own.is_none() || !is_complete(details, id, own, limits.until) {
            // Nothing proves that it is all that was asked for.
            Indication::Unmoved(Box::new(progress(details, id)))
        } else {
            Indication::Ready
        }
    }

    /// The problems that an answer about the reconciled target shows, the gravest first. What is ready
    /// has none, whatever else the answer says (rule 3).
    pub(super) fn problems(&self, details: &AgentDetails, id: &str) -> Vec<Problem> {
        if details.ready {
            return Vec::new();
        }
        let health = own_revision(details, id).and_then(|revision| revision.health.as_ref());
        let mut problems: Vec<Problem> = self
            .errors(details, id)
            .into_iter()
            .flatten()
            .chain(health.and_then(problem::of_health))
            .chain(self.known_problems.new_degradation(details))
            .collect();
        problems.sort_by_key(|problem| problem.class);
        problems
    }

    /// Listed errors: those that count against the target, and those that may be an older deployment's.
    pub(super) fn errors(&self, details: &AgentDetails, id: &str) -> [Option<Problem>; 2] {
        self.known_problems.problems_of_errors(&details.errors, id)
    }

    /// How an answer goes back behind what was seen of the target.
    fn step_back(&self, details: &AgentDetails, id: &str) -> Option<StepBack> {
        let (latest, _) = self.in_view()?;
        if !is_reconciled(latest, id) {
            return None;
        }
        if !is_reconciled(details, id) {
            return Some(StepBack::Reconciled);
        }
        // Ready is complete whatever the revision says (rule 3).
        let now = rank(own_revision(details, id)).filter(|_| !details.ready)?;
        let before = rank(own_revision(latest, id))?;
        (now < before).then_some(StepBack::Phase)
    }

    /// How far the target was in the newest answer about it that was believed.
    fn progress(&self) -> Progress {
        let in_view = self.in_view();
        in_view.map_or(Progress::default(), |(latest, id)| progress(latest, id))
    }

    /// What did not move since the last answer that was believed, where the target is in view.
    pub(super) fn unmoved(&self) -> Option<Indication> {
        let in_view = self.in_view_since.is_some();
        in_view.then(|| Indication::Unmoved(Box::new(self.progress())))
    }

    /// Counts the restarts of an answer, and says whether there is a new one (rules 6 and 8).
    fn count_restarts(&mut self, own: Option<&Revision>, issue: bool) -> bool {
        let total = restart_count(own);
        if issue || self.view.infrastructure_issue {
            self.restarts.excuse(total);
        }
        if self.meets(|indication| *indication == Indication::FewerRestarts) {
            self.restarts.confirm_fall();
        }
        let first = if self.is_new() || own.is_some_and(problem::is_crash_loop) {
            First::Counts
        } else {
            First::IsOld
        };
        let health = own.and_then(|revision| revision.health.as_ref());
        let replicas = health.and_then(|health| health.replicas_started);
        total.is_some_and(|total| self.restarts.see(total, replicas, first))
    }

    /// Whether all restarts of the target are from after its first sight: it was created lately, or, where no
    /// date says that, it had no revision of its own then.
    fn is_new(&self) -> bool {
        if self.in_view_since.is_none() {
            return false;
        }
        let order = &self.search.order;
        let created_at = self.search.target_id().and_then(|id| order.created_at(id));
        match created_at.zip(order.clock(Duration::ZERO)) {
            Some((created, start)) => start.duration_since(created) <= LATELY,
            None => self.own_revision().is_none(),
        }
    }

    /// The crash loop, if the restarts of each started replica have reached the limit. A target that
    /// only has to stay ready may not be restarted more often either (rules 6 and 11).
    fn crash_loop(&self, own: Option<&Revision>, ready: bool) -> Option<Problem> {
        let limits = &self.limits;
        let allowed = u64::from(limits.max_restarts.get());
        let health = own?.health.as_ref()?;
        let weighed = !ready || !limits.stable_for.is_zero();
        (weighed && self.restarts.for_each_replica() >= allowed)
            .then(|| problem::of_restarts(health))
    }
}
