//! The order of answers: whether one goes back behind what was already seen (design rule 4).

use std::mem::{self, Discriminant};

use jiff::Timestamp;

use super::phase;
use crate::core::wire::{AgentDetails, Revision};

/// The newest state that was believed so far.
#[derive(Debug, Clone)]
pub(super) struct Watermark {
    desired: Option<String>,
    desired_created_at: Option<Timestamp>,
    desired_updated_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    reconciled: Option<String>,
    /// What was reconciled while this deployment was not yet: it was desired before.
    predecessor: Option<String>,
    rank: Option<u8>,
    /// Whether another deployment was confirmed although nothing showed that it is a newer one: from
    /// then on the order in which deployments were made does not tell which answer is the newer.
    pub(super) after_roll_back: bool,
    /// Whether it is known to follow what was believed before it.
    pub(super) follows: bool,
}

/// How an answer goes back behind what was seen. It must be confirmed before it decides anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// The agent, seen before, is said not to exist.
    Absent,
    /// Another deployment is desired, and nothing shows that it is a newer one.
    Desired(String),
    /// No deployment is desired, although one was. It never decides anything.
    NoDesired,
    /// The operator is said not to have processed the target, although it had.
    Reconciled(Option<String>),
    /// The target's revision is said to be in an earlier phase, or gone.
    Phase,
    /// The answer's own timestamps are older than those seen.
    Older,
}

impl Claim {
    /// In which way it goes back: what has to be seen three times in a row, whatever the rest of the
    /// answers says.
    pub(super) fn way(&self) -> Discriminant<Self> {
        mem::discriminant(self)
    }

    /// What the answer claims, as one line.
    pub(super) fn words(&self) -> String {
        match self {
            Claim::Absent => "the agent does not exist".to_owned(),
            Claim::Desired(id) => format!("deployment {id} is the desired one"),
            Claim::NoDesired => "no deployment is desired".to_owned(),
            Claim::Reconciled(Some(id)) => format!("deployment {id} is the reconciled one"),
            Claim::Reconciled(None) => "no deployment is reconciled".to_owned(),
            Claim::Phase => "the revision is in an earlier phase".to_owned(),
            Claim::Older => "its timestamps are older than those already seen".to_owned(),
        }
    }
}

/// Where an answer stands to what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// The same or later, or not comparable.
    Onward,
    /// Earlier, as far as can be told.
    Behind(Claim),
}

/// What an answer with another desired deployment has to show to be believed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Burden {
    /// That its deployment was made later: the target is in view, and losing it is a verdict.
    ProveNewer,
    /// Nothing, unless its deployment was made earlier: the target has yet to appear.
    NotOlder,
}

impl Watermark {
    /// The mark that an answer leaves once it is believed.
    pub(super) fn of(details: &AgentDetails) -> Self {
        let deployment = details.desired_deployment();
        let reconciled = details.reconciled_deployment_id.as_deref();
        let predecessor = reconciled.filter(|id| Some(*id) != details.desired());
        Self {
            predecessor: predecessor.map(str::to_owned),
            desired: details.desired().map(str::to_owned),
            desired_created_at: deployment.and_then(|d| d.created_at),
            desired_updated_at: deployment.and_then(|d| d.updated_at),
            updated_at: details.updated_at,
            reconciled: details.reconciled_deployment_id.clone(),
            rank: phase::rank(own_revision(details)),
            after_roll_back: false,
            follows: false,
        }
    }

    /// Keeps of an earlier mark of the same deployment what is not told again: an answer without dates
    /// must not make those that follow incomparable.
    pub(super) fn keep_order_of(&mut self, mark: &Self) {
        if self.desired == mark.desired {
            self.predecessor = self.predecessor.take().or(mark.predecessor.clone());
            self.desired_created_at = self.desired_created_at.or(mark.desired_created_at);
            self.desired_updated_at = self.desired_updated_at.or(mark.desired_updated_at);
            self.updated_at = self.updated_at.or(mark.updated_at);
        }
    }

    /// Where `details` stands to this mark.
    pub(super) fn compare(&self, details: &AgentDetails, burden: Burden) -> Order {
        let told = Self::of(details);
        let (Some(seen), Some(desired)) = (&self.desired, &told.desired) else {
            return match self.desired {
                Some(_) => Order::Behind(Claim::NoDesired),
                None => Order::Onward,
            };
        };
        if seen != desired {
            return if self.yields_to(&told, burden) {
                Order::Onward
            } else {
                Order::Behind(Claim::Desired(desired.clone()))
            };
        }
        if older(told.updated_at, self.updated_at)
            || older(told.desired_updated_at, self.desired_updated_at)
        {
            return Order::Behind(Claim::Older);
        }
        match (
            self.is_reconciled(),
            told.is_reconciled(),
            self.rank,
            told.rank,
        ) {
            (true, false, ..) => Order::Behind(Claim::Reconciled(told.reconciled)),
            (true, true, Some(seen), Some(rank)) if rank < seen => Order::Behind(Claim::Phase),
            _ => Order::Onward,
        }
    }

    /// Whether an answer with another desired deployment is believed at once.
    fn yields_to(&self, told: &Self, burden: Burden) -> bool {
        // An older deployment may be desired anew, but an older record shows what was before.
        let outdated = older(told.updated_at, self.updated_at);
        !outdated
            && match burden {
                Burden::ProveNewer => self.is_followed_by(told),
                Burden::NotOlder => !told.is_older_deployment(self),
            }
    }

    /// Whether the deployment of `other` is known to have come after this mark's: it was made later,
    /// and is not the one whose place this mark's took.
    pub(super) fn is_followed_by(&self, other: &Self) -> bool {
        let came_before = other.desired.is_some() && other.desired == self.predecessor;
        self.is_older_deployment(other) && !came_before
    }

    /// Whether this mark's deployment is known to be older than that of `other`.
    fn is_older_deployment(&self, other: &Self) -> bool {
        !self.after_roll_back && older(self.desired_created_at, other.desired_created_at)
    }

    fn is_reconciled(&self) -> bool {
        self.desired.is_some() && self.desired == self.reconciled
    }
}

/// Whether `one` is known to be older than `other`.
fn older(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one < other)
}

/// The revision that runs the desired deployment, if the answer shows one.
///
/// Only this revision's phase and health can count against the deployment (design rule 5).
pub(super) fn own_revision(details: &AgentDetails) -> Option<&Revision> {
    let revision = details.current_revision.as_ref()?;
    let id = revision.deployment_id.as_deref()?;
    (Some(id) == details.desired()).then_some(revision)
}
