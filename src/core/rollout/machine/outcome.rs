//! How the watch ended, in full.

use std::time::Duration;

use super::Machine;
use crate::core::messages::{self, Facts};
use crate::core::rollout::assess::{restart_count, running_elsewhere};
use crate::core::rollout::indication::Ending;
use crate::core::rollout::policy::TargetRule;
use crate::core::rollout::problem::{self, degradation};
use crate::core::rollout::report::{Outcome, PhaseEntry, RevisionReport, Warning, whole_millis};
use crate::core::rollout::verdict::Verdict;

impl Machine {
    pub(super) fn finish(&self, at: Duration, ending: &Ending) -> Outcome {
        let verdict = ending.verdict(self.view.infrastructure_issue);
        let latest = self.latest.as_deref();
        // What nothing proves to be the target, and is no longer desired, is none.
        let known = self.search.settled().is_some() || self.in_view_since.is_some();
        let id = self.search.target_id().filter(|_| known);
        let began = self.rollout_began();
        // The wait for the deploy command is none for the rollout.
        let ended = self
            .ready_at
            .filter(|_| verdict == Verdict::Ready)
            .unwrap_or(at);
        let elsewhere = latest
            .zip(id)
            .and_then(|(details, id)| running_elsewhere(details, id));
        let unchanged = matches!(ending, Ending::RevisionUnchanged { .. })
            || verdict == Verdict::Ready && elsewhere.is_some();
        let deployment = latest.and_then(|details| details.desired_deployment());
        let own_deployment = deployment.filter(|deployment| deployment.id.as_deref() == id);
        Outcome {
            deployment_id: id.map(str::to_owned),
            deployment_created_at: id.and_then(|id| self.newest.created_at(id)),
            baseline_deployment_id: self.search.baseline_id().map(str::to_owned),
            reason: messages::reason(ending, &self.facts(at, verdict)),
            available: self.available,
            revision_unchanged: unchanged,
            warnings: self.warnings(verdict),
            revision: self.own_revision().map(RevisionReport::of),
            image: own_deployment.and_then(|deployment| deployment.image.clone()),
            region: latest.and_then(|details| details.region.clone()),
            active_sessions: latest.and_then(|details| details.active_session_count),
            began_after: began,
            elapsed: ended.saturating_sub(began),
            phases: self.phases_since(began),
            polls: self.polls,
            failed_polls: self.failed_polls,
            request_id: self.request_id.clone(),
            ..Outcome::new(verdict)
        }
    }

    /// When the rollout began: of a deploy of our own when the target showed, else with the watch.
    fn rollout_began(&self) -> Duration {
        match self.policy.target() {
            TargetRule::Deploy => self.in_view_since.unwrap_or_default(),
            TargetRule::Deployment(_)
            | TargetRule::NewerThan(_)
            | TargetRule::Commit(_)
            | TargetRule::Pushed(_)
            | TargetRule::FirstSeen => Duration::ZERO,
        }
    }

    fn phases_since(&self, began: Duration) -> Vec<PhaseEntry> {
        let after = self.phases.iter().filter(|(_, at)| *at >= began);
        let entry = |(phase, at): &(_, Duration)| PhaseEntry {
            phase: *phase,
            at_ms: whole_millis(at.saturating_sub(began)),
        };
        after.map(entry).collect()
    }

    /// What a person should know about a target that is ready.
    fn warnings(&self, verdict: Verdict) -> Vec<Warning> {
        let (Some(details), Some(id)) = (self.latest.as_deref(), self.search.target_id()) else {
            return Vec::new();
        };
        let mut warnings = Vec::new();
        let mut warn = |code: &str, summary: String| {
            warnings.push(Warning {
                code: code.to_owned(),
                summary,
            });
        };
        // A single check waits for nothing: it may as well come before the deploy as after it.
        if *self.policy.target() == TargetRule::FirstSeen
            && !self.is_single_check()
            && let Some(created_at) = self.newest.created_at(id)
            && let Some(start) = self.clock.at(Duration::ZERO)
            && created_at < start
        {
            let age = Duration::try_from(start.duration_since(created_at)).unwrap_or_default();
            warn("CreatedBefore", messages::created_before(age));
        }
        if verdict != Verdict::Ready {
            return warnings;
        }
        if let Some(running) = running_elsewhere(details, id) {
            warn("RevisionUnchanged", messages::revision_unchanged(running));
        }
        if details.available == Some(false) {
            warn("NotAvailable", messages::not_available());
        }
        let own = self.own_revision();
        if let Some(count @ 1..) = restart_count(own) {
            let health = own.and_then(|revision| revision.health.as_ref());
            let exit_code = health.and_then(|health| health.last_exit_code);
            warn("Restarted", messages::restarted_and_ready(count, exit_code));
        }
        if let Some(condition) = degradation(details) {
            warn(
                "Degraded",
                messages::degraded(&problem::of_condition(condition)),
            );
        }
        warnings
    }

    fn facts(&self, at: Duration, verdict: Verdict) -> Facts<'_> {
        let outage = self.view.outage.as_ref();
        Facts {
            verdict,
            limits: self.policy.limits(),
            rule: self.policy.target(),
            phase: self.view.phase,
            phase_lasted: at.saturating_sub(self.view.phase_since),
            waited: at.saturating_sub(self.rollout_began()),
            target: self.search.target_id(),
            settled: self.search.settled().is_some(),
            deploy_began: self
                .search
                .deploy_began
                .and_then(|began| self.clock.at(began)),
            desired_created_at: self
                .latest
                .as_deref()
                .and_then(|details| self.newest.created_at(details.desired()?)),
            latest: self.latest.as_deref(),
            available: self.available,
            own: self.own_revision(),
            ready_for: self.view.ready_since.map(|since| at.saturating_sub(since)),
            problem: self.view.problem.as_ref(),
            last_problem: self.last_problem.as_ref(),
            failure: outage.map(|outage| &outage.last),
            failed_polls: outage.map_or(0, |outage| outage.failed),
            failing_for: outage.map_or(Duration::ZERO, |outage| at.saturating_sub(outage.since)),
            absent_message: self.absent.as_deref().filter(|text| !text.is_empty()),
        }
    }
}
