//! What has to be remembered, beside the machine, to say what the contract promises; written from its
//! text, and not from the machine.

use pipecat_rollout::fuzzing::rollout::{
    FailureClass, Limits, NewRevision, Observation, Outcome, Policy, TargetRule, Unchanged, Verdict,
};
use pipecat_rollout::fuzzing::wire::AgentDetails;

use crate::alphabet::{NEWER, OLD, Symbol, TARGET};

/// What was seen so far, as far as the promises need it.
#[expect(clippy::struct_excessive_bools, reason = "each was seen, or was not")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    /// The desired deployment of the first details.
    first_desired: Option<String>,
    /// The latest change of the agent's record, as far as it was seen before the target was.
    record_before: Option<i64>,
    /// How many answers in a row showed an older record, before the target was seen.
    outdated: u8,
    /// Whether a deployment that can be the target was shown as desired, and which: the first.
    target: Option<String>,
    /// Whether it was shown as reconciled.
    reconciled: bool,
    /// Since when every answer that shows the target reconciled has shown it ready.
    ready_since: Option<u64>,
    /// The latest phase that was seen of it.
    rank: u8,
    /// The latest change of its record, in seconds.
    record: Option<i64>,
    /// The same, also of answers that may have been passed over.
    latest_record: Option<i64>,
    /// How many answers in a row went back behind what was seen, in their phase or otherwise.
    passed_over: u8,
    /// Whether an answer about the target itself showed something that can fail it.
    pub(crate) troubled: bool,
    /// Whether anything was seen that a healthy rollout does not show.
    pub(crate) unhealthy: bool,
    /// How many answers in a row went back behind what was seen.
    behind: u8,
    /// Whether nobody can tell any more which of two answers is the older: a newer deployment was
    /// desired before the target was, rolled back to it or shown late; or three answers in a row went
    /// back, which have to be believed.
    unordered: bool,
}

impl Ghost {
    /// What is to be remembered of an agent that was seen so before its deploy.
    pub(crate) fn after(before: Option<&AgentDetails>) -> Self {
        Self {
            record_before: before.and_then(record),
            ..Self::default()
        }
    }

    /// Takes in what is observed at `at`.
    pub(crate) fn see(&mut self, policy: &Policy, at: u64, symbol: &Symbol) {
        self.count_outdated(symbol);
        if self.is_behind(symbol) || symbol.details().is_some_and(|told| self.is_earlier(told)) {
            self.passed_over = (self.passed_over + 1).min(3);
            self.unordered |= self.passed_over == 3;
        } else if !matches!(symbol.observation, Observation::Failed(_)) {
            self.passed_over = 0;
        }
        if self.is_behind(symbol) {
            self.behind = (self.behind + 1).min(9);
            // Going back is what a healthy rollout does not do.
            self.unhealthy = true;
            return;
        }
        let details = match &symbol.observation {
            Observation::Details { details, .. } => details,
            Observation::Absent(_) => {
                self.behind = 0;
                return;
            }
            Observation::Failed(failure) => {
                self.unhealthy |= !matches!(failure.class, FailureClass::Transient { .. });
                return;
            }
        };
        self.behind = 0;
        let desired = details.desired().map(str::to_owned);
        self.unordered |= self.target.is_none() && desired.as_deref() == Some(NEWER);
        if self.first_desired.is_none() {
            self.first_desired.clone_from(&desired);
        }
        if desired.is_some() {
            self.record_before = record(details).or(self.record_before);
        }
        if self.target.is_none() {
            self.target = desired.clone().filter(|id| self.may_be_target(policy, id));
        }
        if self.target.is_none() || desired != self.target {
            self.unhealthy |= self.target.is_some() || desired.as_deref() == Some(NEWER);
            return;
        }
        let latest = self.latest_record.max(record(details));
        // What goes back in its phase may be passed over, and then its record counts as not seen.
        if rank(details) >= self.rank {
            self.record = self.record.max(record(details));
        }
        if details.reconciled_deployment_id == self.target {
            self.reconciled = true;
            self.see_target(policy.limits(), at, details);
        }
        self.latest_record = latest;
    }

    /// Before the target is seen, an older record has to be confirmed as well.
    fn count_outdated(&mut self, symbol: &Symbol) {
        let outdated = self.target.is_none()
            && symbol.details().is_some_and(|details| {
                details.desired().is_some() && older(record(details), self.record_before)
            });
        if outdated {
            self.outdated = (self.outdated + 1).min(9);
            // Which has to be believed then.
            self.unordered |= self.outdated == 3;
        } else if !matches!(symbol.observation, Observation::Failed(_)) {
            self.outdated = 0;
        }
    }

    /// Whether an answer shows the target in an earlier phase than one before it, on no revision of its
    /// own any more, or by an older record.
    fn is_earlier(&self, details: &AgentDetails) -> bool {
        let of_target = self.target.is_some() && details.desired() == self.target.as_deref();
        let earlier = rank(details) < self.rank || older(record(details), self.latest_record);
        of_target && !details.ready && earlier
    }

    fn may_be_target(&self, policy: &Policy, id: &str) -> bool {
        match policy.target() {
            TargetRule::FirstSeen => self.first_desired.as_deref() == Some(id),
            TargetRule::Deployment(target) => target == id,
            TargetRule::AnyBut(baseline) => baseline != id,
        }
    }

    fn see_target(&mut self, limits: &Limits, at: u64, details: &AgentDetails) {
        let rank = rank(details);
        let failed = failing(details) || not_new(limits, details);
        self.troubled |= failed;
        self.unhealthy |= failed || crashed(details);
        if details.ready && !has_failed(details) && !unproven(limits, details) {
            self.ready_since.get_or_insert(at);
        } else if rank >= self.rank && !older(record(details), self.latest_record) {
            self.ready_since = None;
        }
        self.rank = self.rank.max(rank);
    }

    /// Whether an answer goes back behind what was seen.
    fn is_behind(&self, symbol: &Symbol) -> bool {
        let Some(target) = &self.target else {
            return (1..3).contains(&self.outdated);
        };
        match symbol.details() {
            None => matches!(symbol.observation, Observation::Absent(_)),
            Some(details) => match details.desired() {
                None => true,
                Some(desired) if desired != target => age(desired) < age(target),
                Some(_) => {
                    let reconciled = details.reconciled_deployment_id.as_ref() == Some(target);
                    (self.reconciled && !reconciled) || older(record(details), self.record)
                }
            },
        }
    }

    /// Whether what was seen last is an answer that goes back, the first in a row.
    ///
    /// That the target stands still is told by all that goes back, in whichever way.
    pub(crate) fn went_back_since(&self, before: &Self, verdict: Verdict) -> bool {
        let first = match verdict {
            Verdict::Stalled => before.passed_over == 0,
            _ => before.behind == 0,
        };
        first && self.behind == 1 && !self.unordered
    }

    /// What is wrong with an ending, if anything is.
    pub(crate) fn fault(
        &self,
        policy: &Policy,
        at: u64,
        symbol: &Symbol,
        outcome: &Outcome,
    ) -> Option<String> {
        let limits = policy.limits();
        if let TargetRule::AnyBut(baseline) = policy.target()
            && outcome.deployment_id.as_ref() == Some(baseline)
        {
            // The baseline is judged where that was asked for and nothing else has come in time.
            let judged = limits.unchanged == Unchanged::Accept
                && at >= limits.appear_timeout.as_secs()
                && self.target.is_none();
            return (!judged).then(|| "the baseline is judged".to_owned());
        }
        match outcome.verdict {
            Verdict::Ready => {
                let told = symbol.details().is_some_and(|details| {
                    details.ready
                        && details.desired() == outcome.deployment_id.as_deref()
                        && details.reconciled_deployment_id == outcome.deployment_id
                        && !has_failed(details)
                        && !unproven(limits, details)
                });
                let stable = limits.stable_for.as_secs();
                let held = self.ready_since.is_some_and(|since| at - since >= stable);
                let right = outcome.deployment_id == self.target;
                (!told || !held || !right)
                    .then(|| format!("ready: told {told}, held {held}, of the target {right}"))
            }
            Verdict::Failed if !self.troubled => {
                Some("failed, though nothing about the target can have failed it".to_owned())
            }
            Verdict::Failed
            | Verdict::Infrastructure
            | Verdict::Superseded
            | Verdict::NotFound
            | Verdict::Unauthorized
                if !self.unhealthy && self.target.is_some() =>
            {
                Some("a steadily healthy rollout did not come to a good end".to_owned())
            }
            _ => None,
        }
    }
}

/// Whether a record is older than one that was seen.
fn older(told: Option<i64>, seen: Option<i64>) -> bool {
    told.zip(seen).is_some_and(|(told, seen)| told < seen)
}

/// When an agent's record was changed, in seconds.
fn record(details: &AgentDetails) -> Option<i64> {
    details.updated_at.map(jiff::Timestamp::as_second)
}

/// Deployments in the order in which they were made.
fn age(deployment: &str) -> u8 {
    match deployment {
        OLD => 0,
        TARGET => 1,
        _ => 2,
    }
}

fn own(details: &AgentDetails) -> Option<&pipecat_rollout::fuzzing::wire::Revision> {
    let revision = details.current_revision.as_ref()?;
    (revision.deployment_id.as_deref() == details.desired()).then_some(revision)
}

fn phase(details: &AgentDetails) -> String {
    let phase = own(details).and_then(|revision| revision.phase.as_ref());
    phase.map_or_else(String::new, |phase| format!("{phase:?}"))
}

fn rank(details: &AgentDetails) -> u8 {
    match phase(details).as_str() {
        "Creating" => 1,
        "Validating" => 2,
        "Active" => 3,
        "Failed" => 4,
        _ => 0,
    }
}

fn has_failed(details: &AgentDetails) -> bool {
    rank(details) == 4
}

fn crashed(details: &AgentDetails) -> bool {
    let health = own(details).and_then(|revision| revision.health.as_ref());
    health.is_some_and(|health| health.restart_count.is_some_and(|count| count > 0))
}

/// Whether an answer about the target shows something that can, in time, fail it.
fn failing(details: &AgentDetails) -> bool {
    let health = own(details).and_then(|revision| revision.health.as_ref());
    let reason = health.and_then(|health| health.reason.as_deref());
    let enough = health.is_some_and(|health| health.restart_count.is_some_and(|count| count >= 3));
    has_failed(details)
        || matches!(reason, Some("ImagePullBackOff" | "InvalidImageName"))
        || (reason == Some("CrashLoopBackOff") && enough)
        || details.errors.iter().any(|error| {
            let about = error.deployment_id.as_deref();
            about.is_none() || about == details.desired()
        })
        || !details.conditions.is_empty()
}

/// Whether no revision of the target's own is shown, where one is asked for.
fn unproven(limits: &Limits, details: &AgentDetails) -> bool {
    limits.new_revision == NewRevision::Required && own(details).is_none()
}

/// Whether the target is ready on another deployment's revision, where that is a failure.
fn not_new(limits: &Limits, details: &AgentDetails) -> bool {
    limits.new_revision == NewRevision::Required
        && details.ready
        && details.current_revision.is_some()
        && own(details).is_none()
}
