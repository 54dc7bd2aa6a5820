//! What one answer says about a deployment: named predicates over plain data, without any memory.

use super::indication::Progress;
use super::phase::{self, Phase};
use super::policy::Until;
use crate::core::wire::{
    AgentDetails, ContainerState, Health, OlderSessions, Revision, RevisionPhase,
};

/// Whether the deployment is the one that is requested.
pub(super) fn is_desired(details: &AgentDetails, id: &str) -> bool {
    details.desired() == Some(id)
}

/// Whether the operator has processed the deployment. Until then `ready`, `available`, the revisions
/// and their health speak of an older one (rule 1).
pub(super) fn is_reconciled(details: &AgentDetails, id: &str) -> bool {
    details.reconciled_deployment_id.as_deref() == Some(id)
}

/// The revision that runs the reconciled target, if the answer shows one: only this one's phase and
/// health count against it (rule 5).
///
/// A current revision that names no deployment is the target's, unless it is the previous one.
pub(super) fn own_revision<'a>(details: &'a AgentDetails, id: &str) -> Option<&'a Revision> {
    let revision = details.current_revision.as_ref()?;
    let is_own = match revision.deployment_id.as_deref() {
        Some(named) => named == id,
        None => details.previous_revision.as_ref() != Some(revision),
    };
    (is_own && is_desired(details, id) && is_reconciled(details, id)).then_some(revision)
}

/// The deployment whose revision runs in the target's stead.
pub(super) fn running_elsewhere<'a>(details: &'a AgentDetails, id: &str) -> Option<&'a str> {
    let revision = details.current_revision.as_ref()?;
    revision
        .deployment_id
        .as_deref()
        .filter(|named| *named != id)
}

/// Whether the revision has the phase Failed.
pub(super) fn has_failed(own: Option<&Revision>) -> bool {
    own.is_some_and(|revision| revision.phase == Some(RevisionPhase::Failed))
}

/// Whether a ready target is all that was waited for.
pub(super) fn is_complete(
    details: &AgentDetails,
    id: &str,
    own: Option<&Revision>,
    until: Until,
) -> bool {
    match until {
        Until::Ready => true,
        Until::Warm => {
            let ready = own.and_then(|revision| revision.ready_replicas);
            // Where nobody says how many it keeps, none would prove nothing.
            ready.unwrap_or(0) >= details.min_replicas.unwrap_or(1)
        }
        Until::Drained => !older_serves(details, id),
    }
}

/// Whether anything older than the reconciled target may still serve.
fn older_serves(details: &AgentDetails, id: &str) -> bool {
    let previous = details.previous_revision.as_ref().is_some_and(|previous| {
        previous.deployment_id.as_deref() != Some(id) && previous.ready_replicas != Some(0)
    });
    let sessions = match details.older_sessions {
        None | Some(OlderSessions::Count(0)) => false,
        Some(OlderSessions::Count(_) | OlderSessions::Unknown) => true,
    };
    previous || sessions || running_elsewhere(details, id).is_some()
}

/// The phase of the rollout of the target, which is desired.
pub(super) fn phase_of(details: &AgentDetails, id: &str, until: Until) -> Phase {
    if !is_reconciled(details, id) {
        return Phase::Reconciling;
    }
    let shown = phase::of_revision(own_revision(details, id));
    match (details.ready, shown) {
        (true, Phase::Failed) => Phase::Failed,
        (true, _) if until == Until::Drained && older_serves(details, id) => Phase::Draining,
        (true, _) => Phase::Active,
        (false, shown) => shown,
    }
}

/// How far the target has come in an answer that desires it.
pub(super) fn progress(details: &AgentDetails, id: &str) -> Progress {
    let drains = is_reconciled(details, id) && details.ready;
    Progress {
        reconciled: details.reconciled_deployment_id.clone(),
        own: own_revision(details, id).map(without_texts),
        draining: drains.then(|| {
            let previous = details.previous_revision.as_ref();
            let sessions = match details.older_sessions {
                Some(OlderSessions::Count(count)) => Some(count),
                None | Some(OlderSessions::Unknown) => details.active_session_count,
            };
            (previous.map(without_texts), sessions)
        }),
    }
}

/// What of a revision can move.
fn without_texts(revision: &Revision) -> Revision {
    let moves = |health: &Health| Health {
        state: health.state.clone(),
        restart_count: health.restart_count,
        replicas_started: health.replicas_started,
        reason: health.reason.clone(),
        ..Health::default()
    };
    let health = revision.health.as_ref().map(moves);
    Revision {
        health: health.filter(|health| *health != Health::default()),
        has_infrastructure_issue: false,
        ..revision.clone()
    }
}

/// Restarts in all, over all replicas.
pub(super) fn restart_count(own: Option<&Revision>) -> Option<u64> {
    own?.health.as_ref()?.restart_count
}

/// Started replicas, at least one.
pub(super) fn replicas_started(own: Option<&Revision>) -> u64 {
    let health = own.and_then(|revision| revision.health.as_ref());
    health.map_or(1, Health::replicas)
}

/// Whether the target's code runs now, so that what kept it from starting is over.
pub(super) fn is_running(own: Option<&Revision>) -> bool {
    let health = own.and_then(|revision| revision.health.as_ref());
    health.is_some_and(|health| health.state == Some(ContainerState::Running))
}
