//! How the watch ended, in full.

use std::time::Duration;

use super::Machine;
use crate::core::messages::{self, Facts};
use crate::core::rollout::assess::{restart_count, running_elsewhere};
use crate::core::rollout::indication::{Ending, Indication};
use crate::core::rollout::policy::TargetRule;
use crate::core::rollout::problem::{self, degradation};
use crate::core::rollout::report::{Outcome, PhaseEntry, RevisionReport, Warning, whole_millis};
use crate::core::rollout::verdict::Verdict;
use crate::core::wire::AgentDetails;

impl Machine {
    /// Completes the report: the watch has ended so.
    pub(super) fn finish(&mut self, at: Duration, ending: &Ending) {
        let verdict = ending.final_verdict(self.view.infrastructure_issue);
        let latest = self.latest.as_deref();
        // What nothing proves to be the target, and is no longer desired, is none.
        let known = self.search.is_settled() || self.in_view_since.is_some();
        let id = self.search.target_id().filter(|_| known);
        let began = self.rollout_began();
        // The wait for the deploy command is none for the rollout.
        let ready_at = self.ready_at.filter(|_| verdict == Verdict::Ready);
        let elsewhere = latest
            .zip(id)
            .and_then(|(details, id)| running_elsewhere(details, id));
        let unchanged = matches!(
            ending.shown,
            Some((Indication::RevisionUnchanged { .. }, _))
        );
        let deployment = latest.and_then(|details| details.desired_deployment());
        let own_deployment = deployment.filter(|deployment| deployment.id.as_deref() == id);
        let mut report = Outcome {
            verdict,
            deployment_id: id.map(str::to_owned),
            deployment_created_at: id.and_then(|id| self.search.order.created_at(id)),
            baseline_deployment_id: self.search.baseline_id().map(str::to_owned),
            revision_unchanged: unchanged || verdict == Verdict::Ready && elsewhere.is_some(),
            warnings: self.warnings(verdict),
            revision: self.own_revision().map(RevisionReport::of),
            image: own_deployment.and_then(|deployment| deployment.image.clone()),
            region: latest.and_then(|details| details.region.clone()),
            active_sessions: latest.and_then(|details| details.active_session_count),
            phases: self.phases_since(began),
            server_time: self.search.order.clock(at),
            began_after: began,
            elapsed: ready_at.unwrap_or(at).saturating_sub(began),
            ..self.report.clone()
        };
        report.reason = messages::reason(ending, &self.facts(at, &report));
        self.report = report;
        self.ended = true;
    }

    /// When the rollout began: of a deploy of our own when the target showed, else with the watch.
    fn rollout_began(&self) -> Duration {
        let in_view_since = self.in_view_since.filter(|_| self.search.deploys());
        in_view_since.unwrap_or_default()
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
        if self.search.rule == TargetRule::FirstSeen
            && !self.is_single_check()
            && let Some(created_at) = self.search.order.created_at(id)
            && let Some(start) = self.search.order.clock(Duration::ZERO)
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

    fn facts<'a>(&'a self, at: Duration, report: &'a Outcome) -> Facts<'a> {
        let order = &self.search.order;
        let latest = self.latest.as_deref();
        let desired = latest.and_then(AgentDetails::desired);
        let own = self.own_revision();
        Facts {
            at,
            limits: &self.limits,
            rule: &self.search.rule,
            report,
            view: &self.view,
            target: self.search.target_id(),
            settled: self.search.is_settled(),
            deploy_began: self.search.deploy_began_at(),
            desired_created_at: desired.and_then(|id| order.created_at(id)),
            latest,
            health: own.and_then(|revision| revision.health.as_ref()),
            last_problem: self.last_problem.as_ref(),
            absent_message: self.absent.as_deref().filter(|text| !text.is_empty()),
        }
    }
}
