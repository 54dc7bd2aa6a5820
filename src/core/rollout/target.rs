//! Which deployment the verdict is about: found among those that are desired one after another.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::order::Order;
use super::policy::{Baseline, TargetRule};
use super::push::{is_being_built, runs_commit};
use crate::core::wire::AgentDetails;

/// How far the clocks of the servers may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

/// What is known of the target.
#[derive(Debug, Clone, PartialEq)]
enum Target {
    /// No answer has shown one yet.
    Unknown,
    /// Nothing proves that this is the one that is meant: another one may take its place, and nothing
    /// about it ends the watch.
    Candidate(String),
    /// This is it, whatever is desired later.
    Settled(String),
}

/// Finds the target.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) rule: TargetRule,
    /// What is known of dates.
    pub(super) order: Order,
    /// The deployment from before the deploy. Of a deploy of our own it is noted first.
    pub(super) baseline: Option<Baseline>,
    /// When the deploy command was started; the target is not older.
    pub(super) deploy_began: Option<Duration>,
    target: Target,
    /// Deployments that were desired or reconciled before the target: to see one again is to go back.
    before_target: BTreeSet<String>,
    /// Deployments that were desired before the deploy command was started, or while the commit was still
    /// being built: none of them is new.
    before_deploy: BTreeSet<String>,
}

impl Search {
    pub(super) fn new(rule: TargetRule) -> Self {
        let (mut target, mut baseline) = (Target::Unknown, None);
        let mut order = Order::default();
        match &rule {
            TargetRule::Deployment(id) => target = Target::Settled(id.clone()),
            TargetRule::NewerThan(given) => {
                if let (Some(id), Some(created_at)) = (&given.deployment_id, given.created_at) {
                    order.note_created(id, created_at);
                }
                baseline = Some(given.clone());
            }
            TargetRule::Deploy
            | TargetRule::Commit(_)
            | TargetRule::Pushed(_)
            | TargetRule::FirstSeen => {}
        }
        Self {
            rule,
            order,
            baseline,
            deploy_began: None,
            target,
            before_target: BTreeSet::new(),
            before_deploy: BTreeSet::new(),
        }
    }

    /// Takes in whether the agent deploys on a push: until then nothing has been found.
    pub(super) fn decide_pushed(&mut self, auto_deploy: bool) {
        if let TargetRule::Pushed(sha) = &self.rule {
            self.rule = if auto_deploy {
                TargetRule::Commit(sha.clone())
            } else {
                TargetRule::FirstSeen
            };
        }
    }

    /// Whether the target is what a deploy command of our own makes.
    pub(super) fn deploys(&self) -> bool {
        self.rule == TargetRule::Deploy
    }

    /// Whether the baseline has yet to be noted.
    pub(super) fn awaits_baseline(&self) -> bool {
        self.deploys() && self.baseline.is_none()
    }

    pub(super) fn baseline_id(&self) -> Option<&str> {
        self.baseline.as_ref()?.deployment_id.as_deref()
    }

    /// When the deploy command was started, on the server's clock.
    pub(super) fn deploy_began_at(&self) -> Option<Timestamp> {
        self.deploy_began.and_then(|at| self.order.clock(at))
    }

    pub(super) fn target_id(&self) -> Option<&str> {
        match &self.target {
            Target::Unknown => None,
            Target::Candidate(id) | Target::Settled(id) => Some(id),
        }
    }

    /// Whether there is a target, and it is the one that is meant.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.target, Target::Settled(_))
    }

    /// Takes in which deployment an answer shows as desired: it may become the target, or replace one
    /// that is not settled.
    pub(super) fn see(&mut self, details: &AgentDetails, desired: &str) {
        self.drop_accepted_baseline(desired);
        if self.deploys() && self.deploy_began.is_none() {
            self.before_deploy.insert(desired.to_owned());
            return;
        }
        if self.is_settled() {
            return;
        }
        match &self.rule {
            TargetRule::FirstSeen => self.target = Target::Settled(desired.to_owned()),
            TargetRule::Commit(sha) => {
                if is_being_built(details, sha) {
                    self.before_deploy.insert(desired.to_owned());
                }
                let is_new = !self.before_deploy.contains(desired);
                if runs_commit(details, sha, is_new) {
                    self.target = Target::Candidate(desired.to_owned());
                } else if self.target_id() == Some(desired) {
                    self.target = Target::Unknown;
                }
            }
            TargetRule::Deploy
            | TargetRule::NewerThan(_)
            | TargetRule::Deployment(_)
            | TargetRule::Pushed(_) => self.see_newer(details, desired),
        }
    }

    /// The same where the target is the first deployment that is newer than the baseline.
    fn see_newer(&mut self, details: &AgentDetails, desired: &str) {
        // What was learned since may show that the target is an older one.
        let older = self.target_id().filter(|id| self.is_from_before(id));
        if let Some(id) = older.map(str::to_owned) {
            self.before_target.insert(id);
            self.target = Target::Unknown;
        }
        if self.is_from_before(desired) {
            self.note_older(desired);
        } else if (self.target_id()).is_none_or(|target| !self.order.is_older(desired, target)) {
            self.target = Target::Candidate(desired.to_owned());
        }
        // That it is new may be proven later: by the first answer that dates the baseline.
        if self.is_proven(details) {
            self.settle();
        }
    }

    /// Whether the target is known to be new.
    fn is_proven(&self, details: &AgentDetails) -> bool {
        // Without a date, it may as well be one that was rolled back.
        let dated = self
            .target_id()
            .filter(|id| self.order.created_at(id).is_some());
        let Some(target) = dated else {
            return false;
        };
        if self.deploys() {
            // It is not from before the command, by the server's clock. The baseline proves nothing: it
            // may have been read from a replica that lags.
            return self.deploy_began_at().is_some();
        }
        self.baseline_id().is_some_and(|baseline| {
            self.order.is_older(baseline, target)
                || details.desired() == Some(target) && mentions(details, baseline)
        })
    }

    /// When the baseline was noted, on the server's clock: what was there then, and was not shown, is not new
    /// either. A replica may have lagged, or it had been rolled back.
    fn baseline_noted_at(&self) -> Option<Timestamp> {
        let noted_at = self.baseline.as_ref().and_then(|it| it.noted_at);
        self.deploy_began_at().or(noted_at)
    }

    /// Whether a deployment is known to be from before the deploy.
    fn is_from_before(&self, id: &str) -> bool {
        let was_created_before = self
            .order
            .created_at(id)
            .zip(self.baseline_noted_at())
            .is_some_and(|(created, began)| began.duration_since(created) > SKEW);
        let baseline = self.baseline_id();
        // It may be given by its first characters.
        baseline.is_some_and(|known| id.starts_with(known) || self.order.is_older(id, known))
            || self.before_deploy.contains(id)
            || was_created_before
    }

    /// A deployment from before the deploy is desired: where the baseline was read from a replica that
    /// lags, this is the later one of the two.
    fn note_older(&mut self, desired: &str) {
        self.before_target.insert(desired.to_owned());
        let baseline = self.baseline_id();
        if baseline.is_none_or(|baseline| self.order.is_older(baseline, desired)) {
            self.baseline = Some(Baseline {
                deployment_id: Some(desired.to_owned()),
                created_at: self.order.created_at(desired),
                noted_at: self.baseline.as_ref().and_then(|it| it.noted_at),
            });
        }
    }

    /// The target has been the desired one in a confirmed way.
    pub(super) fn settle(&mut self) {
        if let Some(id) = self.target_id() {
            self.target = Target::Settled(id.to_owned());
        }
    }

    /// Judges the baseline instead, which is still desired.
    pub(super) fn accept_baseline(&mut self) {
        if let Some(id) = self.baseline_id() {
            self.target = Target::Settled(id.to_owned());
        }
    }

    /// A new deployment has come after all: the baseline is no longer judged in its stead.
    fn drop_accepted_baseline(&mut self, desired: &str) {
        let baseline = self.baseline_id();
        if baseline.is_some() && self.target_id() == baseline && Some(desired) != baseline {
            self.target = Target::Unknown;
        }
    }

    /// Notes a deployment that was there before the target.
    pub(super) fn note_before_target(&mut self, id: &str) {
        if self.target_id() != Some(id) {
            self.before_target.insert(id.to_owned());
        }
    }

    /// Whether an answer shows that the deployment that was named was there, and that another one is desired.
    pub(super) fn was_replaced(&self, details: &AgentDetails) -> bool {
        let desired = details.desired();
        matches!(&self.rule, TargetRule::Deployment(id)
            if desired.is_some_and(|desired| desired != id) && mentions(details, id))
    }

    /// Whether its creation proves that a deployment came after the target.
    pub(super) fn is_newer(&self, id: &str) -> bool {
        let target = self.target_id();
        !self.before_target.contains(id)
            && target.is_some_and(|target| self.order.is_older(target, id))
    }
}

/// Whether an answer that desires another deployment shows this one as what still runs or was
/// reconciled. No answer from before that deployment can: what is desired came after it.
fn mentions(details: &AgentDetails, id: &str) -> bool {
    let revisions = [&details.current_revision, &details.previous_revision];
    let of_revisions = revisions.into_iter().flatten().map(|r| &r.deployment_id);
    let reconciled = &details.reconciled_deployment_id;
    of_revisions
        .chain([reconciled])
        .any(|shown| shown.as_deref() == Some(id))
}
