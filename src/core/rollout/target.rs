//! Which deployment the verdict is about: found among those that are desired one after another.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::order::{Newest, ServerClock};
use super::policy::{Baseline, TargetRule};
use super::push::runs_commit;
use crate::core::wire::AgentDetails;

/// The target, once there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) id: String,
    /// Whether it is known to be the one that is meant; until then another one may take its place,
    /// and nothing about it ends the watch.
    pub(super) settled: bool,
}

/// Finds the target.
#[derive(Debug, Clone)]
pub(super) struct Search {
    rule: TargetRule,
    /// The deployment from before the deploy. Of a deploy of our own it is noted first.
    pub(super) baseline: Option<Baseline>,
    /// When the deploy command was started; the target is not older.
    pub(super) deploy_began: Option<Duration>,
    pub(super) target: Option<Target>,
    /// Deployments that were desired or reconciled before the target: to see one again is to go back.
    earlier: BTreeSet<String>,
    /// Deployments that were desired before the deploy command was started: none of them is new.
    before_deploy: BTreeSet<String>,
}

impl Search {
    pub(super) fn new(rule: TargetRule, newest: &mut Newest) -> Self {
        let target = match &rule {
            TargetRule::Deployment(id) => Some(Target {
                id: id.clone(),
                settled: true,
            }),
            TargetRule::NewerThan(_)
            | TargetRule::Deploy
            | TargetRule::Commit(_)
            | TargetRule::Pushed(_)
            | TargetRule::FirstSeen => None,
        };
        let baseline = match &rule {
            TargetRule::NewerThan(baseline) => Some(baseline.clone()),
            TargetRule::Deployment(_)
            | TargetRule::Deploy
            | TargetRule::Commit(_)
            | TargetRule::Pushed(_)
            | TargetRule::FirstSeen => None,
        };
        if let Some(Baseline {
            deployment_id: Some(id),
            created_at: Some(created_at),
        }) = &baseline
        {
            newest.note_created(id, *created_at);
        }
        Self {
            rule,
            baseline,
            deploy_began: None,
            target,
            earlier: BTreeSet::new(),
            before_deploy: BTreeSet::new(),
        }
    }

    /// Whether the baseline has yet to be noted.
    pub(super) fn awaits_baseline(&self) -> bool {
        self.rule == TargetRule::Deploy && self.baseline.is_none()
    }

    pub(super) fn baseline_id(&self) -> Option<&str> {
        self.baseline.as_ref()?.deployment_id.as_deref()
    }

    pub(super) fn target_id(&self) -> Option<&str> {
        self.target.as_ref().map(|target| target.id.as_str())
    }

    /// The id of the target, if it is the one that is meant.
    pub(super) fn settled(&self) -> Option<&str> {
        self.target
            .as_ref()
            .filter(|target| target.settled)
            .map(|target| target.id.as_str())
    }

    /// Takes in which deployment an answer shows as desired: it may become the target, or replace one
    /// that is not settled.
    pub(super) fn see(
        &mut self,
        details: &AgentDetails,
        desired: &str,
        newest: &Newest,
        clock: ServerClock,
    ) {
        self.drop_accepted_baseline(desired);
        if self.rule == TargetRule::Deploy && self.deploy_began.is_none() {
            self.before_deploy.insert(desired.to_owned());
            return;
        }
        if self.settled().is_some() {
            return;
        }
        if self.rule == TargetRule::FirstSeen {
            self.target = Some(Target {
                id: desired.to_owned(),
                settled: true,
            });
            return;
        }
        if let TargetRule::Commit(sha) = &self.rule {
            let runs = runs_commit(details, sha);
            let known = self.target_id() == Some(desired);
            if runs && !known {
                self.target = Some(Target {
                    id: desired.to_owned(),
                    settled: false,
                });
            } else if known && !runs {
                self.target = None;
            }
            return;
        }
        let began = self.deploy_began.and_then(|at| clock.at(at));
        // What was learned since may show that the target is an older one.
        if let Some(target) = self.target.take() {
            if self.is_from_before(&target.id, newest, began) {
                self.earlier.insert(target.id);
            } else {
                self.target = Some(target);
            }
        }
        if self.is_from_before(desired, newest, began) {
            self.note_older(desired, newest);
        } else if self
            .target
            .as_ref()
            .is_none_or(|target| target.id != desired && !newest.is_older(desired, &target.id))
        {
            self.target = Some(Target {
                id: desired.to_owned(),
                settled: false,
            });
        }
        // That it is new may be proven later: by the first answer that dates the baseline.
        let Some(target) = self.target.as_ref().map(|target| target.id.clone()) else {
            return;
        };
        let proven = match self.rule {
            // It is not from before the command, by the server's clock. The baseline proves nothing: it
            // may have been read from a replica that lags.
            TargetRule::Deploy => newest.created_at(&target).is_some() && began.is_some(),
            TargetRule::NewerThan(_)
            | TargetRule::Deployment(_)
            | TargetRule::Commit(_)
            | TargetRule::Pushed(_)
            | TargetRule::FirstSeen => self.baseline_id().is_some_and(|baseline| {
                newest.is_older(baseline, &target)
                    || target == desired && mentions(details, baseline)
            }),
        };
        if let Some(target) = &mut self.target {
            target.settled = proven;
        }
    }

    /// Whether a deployment is known to be from before the deploy.
    fn is_from_before(&self, id: &str, newest: &Newest, began: Option<Timestamp>) -> bool {
        let created = newest.created_at(id);
        let baseline = self.baseline_id();
        // The beginning of an id is as good as the whole: nobody means the rest to be another one.
        baseline.is_some_and(|baseline| id.starts_with(baseline) || newest.is_older(id, baseline))
            || self.before_deploy.contains(id)
            || matches!((created, began), (Some(created), Some(began)) if is_well_before(created, began))
    }

    /// A deployment from before the deploy is desired: where the baseline was read from a replica that
    /// lags, this is the later one of the two.
    fn note_older(&mut self, desired: &str, newest: &Newest) {
        self.earlier.insert(desired.to_owned());
        let later = match self.baseline_id() {
            Some(baseline) => newest.is_older(baseline, desired),
            None => true,
        };
        if later {
            self.baseline = Some(Baseline {
                deployment_id: Some(desired.to_owned()),
                created_at: newest.created_at(desired),
            });
        }
    }

    /// The target has been the desired one in a confirmed way.
    pub(super) fn settle(&mut self) {
        if let Some(target) = &mut self.target {
            target.settled = true;
        }
    }

    /// Judges the baseline instead, which still stands.
    pub(super) fn accept_baseline(&mut self) {
        if let Some(id) = self.baseline_id() {
            self.target = Some(Target {
                id: id.to_owned(),
                settled: true,
            });
        }
    }

    /// A new deployment has come after all: the baseline is no longer judged in its stead.
    fn drop_accepted_baseline(&mut self, desired: &str) {
        let baseline = self.baseline_id();
        if baseline.is_some() && self.target_id() == baseline && Some(desired) != baseline {
            self.target = None;
        }
    }

    /// Notes a deployment that was there before the target.
    pub(super) fn note_earlier(&mut self, id: &str) {
        if self.target.as_ref().is_none_or(|target| target.id != id) {
            self.earlier.insert(id.to_owned());
        }
    }

    /// Whether its creation proves that a deployment came after the target.
    pub(super) fn is_newer(&self, id: &str, newest: &Newest) -> bool {
        let target = self.target.as_ref();
        !self.earlier.contains(id) && target.is_some_and(|target| newest.is_older(&target.id, id))
    }
}

/// How far the clocks of the servers may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

fn is_well_before(created: Timestamp, began: Timestamp) -> bool {
    began.duration_since(created) > SKEW
}

/// Whether an answer that desires another deployment shows this one as what still runs or was
/// reconciled. No answer from before that deployment can: what is desired came after it.
fn mentions(details: &AgentDetails, id: &str) -> bool {
    let revisions = [&details.current_revision, &details.previous_revision];
    let deployments = revisions
        .into_iter()
        .flatten()
        .map(|revision| revision.deployment_id.as_deref());
    let reconciled = details.reconciled_deployment_id.as_deref();
    deployments
        .chain([reconciled])
        .any(|shown| shown == Some(id))
}
