//! The state of the target's rollout, as seen from outside.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use crate::core::wire::{Revision, RevisionPhase};

/// The state of the target's rollout.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Phase {
    /// No target in view yet. Left when the target becomes the desired deployment.
    #[default]
    Waiting,
    /// No target in view yet, and a push to GitHub is being built that may bring it. Left when it has
    /// failed, or when the target becomes the desired deployment.
    Building,
    /// The target is desired, another deployment is reconciled. Left when the operator has
    /// processed the target.
    Reconciling,
    /// The target's replicas are being made.
    Creating,
    /// The target's replicas are being checked.
    Validating,
    /// The target serves.
    Active,
    /// The target is ready and the previous revision still finishes its sessions, or the target's
    /// own revision is being replaced.
    Draining,
    /// The target's revision did not come up.
    Failed,
    /// Reconciled, and no more is known: no revision of the target's yet, or an unknown phase.
    Progressing,
}

impl Phase {
    /// Every phase, in the order in which a rollout goes through them.
    pub const ALL: &'static [Phase] = Phase::VARIANTS;

    /// The phase in the report's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The phase that the target's own revision reports.
pub(super) fn of_revision(own: Option<&Revision>) -> Phase {
    match own.and_then(|revision| revision.phase.as_ref()) {
        Some(RevisionPhase::Creating) => Phase::Creating,
        Some(RevisionPhase::Validating) => Phase::Validating,
        Some(RevisionPhase::Active) => Phase::Active,
        Some(RevisionPhase::Draining) => Phase::Draining,
        Some(RevisionPhase::Failed) => Phase::Failed,
        Some(RevisionPhase::Unknown(_)) | None => Phase::Progressing,
    }
}

/// How far along the target's own revision is; `None` where nothing shows it. A revision that was seen
/// and is gone is the least far.
///
/// It orders two answers about the same deployment (rule 4); the order is that of the documented phases.
pub(super) fn rank(own: Option<&Revision>) -> Option<Phase> {
    match of_revision(own) {
        Phase::Progressing if own.is_some() => None,
        Phase::Progressing => Some(Phase::Waiting),
        phase => Some(phase),
    }
}
