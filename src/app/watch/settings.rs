//! What the sidecar is to do, what it works with, and how it ends.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::named::Shown;
use super::{Board, Dispatch, StoreHandle};
use crate::adapters::api::connection::Connection;
use crate::adapters::metrics::Metrics;
use crate::core::fleet::Scope;
use crate::core::rollout::{Limits, Verdict};
use crate::core::wire::{AgentName, Service};

/// What the sidecar does.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) watched: Watched,
    /// How often the list is read.
    pub(crate) interval: Duration,
    /// How often agents at rest are looked at.
    pub(crate) health_interval: Duration,
    pub(crate) max_rps: NonZeroU32,
    /// The limits of each rollout.
    pub(crate) limits: Limits,
    pub(crate) history_for: Duration,
    pub(crate) passes: Passes,
}

/// Which agents are watched.
#[derive(Debug, Clone)]
pub(crate) enum Watched {
    /// Those of the organization's list that are in this scope.
    Listed(Scope),
    /// These, without the list.
    Named(Vec<AgentName>),
}

impl Watched {
    /// The agents of a list that are meant.
    pub(super) fn shown(&self, services: Vec<Service>) -> Shown {
        let is_meant = |service: &Service| match self {
            Self::Listed(scope) => scope.holds(service),
            Self::Named(_) => true,
        };
        Shown {
            services: services.into_iter().filter(is_meant).collect(),
            late: BTreeSet::new(),
        }
    }
}

/// How long the sidecar runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passes {
    /// Until it is told to stop.
    Endless,
    /// Until every agent has been looked at, and what was under way has ended.
    One,
}

/// How the sidecar's run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Ended {
    /// It was told to stop.
    Stopped,
    /// Its one pass is over.
    Passed,
    /// Its one pass came to nothing, with this verdict on the API and for this reason.
    NoPass(Verdict, String),
    /// What happened last could not be written down: what that is, and why.
    Unsaved(String),
}

/// What the sidecar works with.
pub(crate) struct Parts {
    pub(crate) connection: Connection,
    pub(crate) keeper: StoreHandle,
    pub(crate) delivery: Dispatch,
    pub(crate) board: Arc<Board>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: watch::Receiver<bool>,
}
