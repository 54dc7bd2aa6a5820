//! What the fleet takes in, and what follows from it.

use std::time::Duration;

use jiff::Timestamp;

use super::record::Change;
use super::schedule::Urgency;
use crate::core::messages::Severity;
use crate::core::rollout::{Event, Failure, Limits, Observation, Outcome, Route};
use crate::core::wire::{AgentName, Service};

/// Something that has happened.
#[derive(Debug)]
pub enum Input {
    /// The list was read.
    Listed(Vec<Service>),
    /// The list could not be read.
    ListFailed(Failure),
    /// An agent was checked.
    Checked {
        /// Which check.
        check: TaskId,
        /// What came of it.
        observation: Observation,
    },
    /// An answer of the API had this Date.
    ServerDate {
        /// When the request was sent.
        sent: Duration,
        /// When its answer came.
        received: Duration,
        /// The Date.
        date: Timestamp,
    },
    /// Something happened in a rollout that is followed.
    Progressed(TaskId, Event),
    /// The following of a rollout has ended.
    Followed(TaskId, Box<Outcome>),
    /// A task has ended without a result, by a fault of ours.
    TaskLost(Task),
}

/// A check of an agent, or the following of its rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskId {
    /// The agent.
    pub agent: AgentName,
    /// Given once.
    pub number: u64,
}

/// A task that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// The list is being read.
    ReadList,
    /// An agent is being checked.
    Check(TaskId),
    /// A rollout is being followed.
    Follow(TaskId),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Read the list, by which way.
    ReadList(Route),
    /// Check an agent once.
    Check {
        /// Which check.
        check: TaskId,
        /// By which way.
        route: Route,
        /// Whether it can wait for whatever else is to be asked.
        urgency: Urgency,
    },
    /// Follow a rollout to its end.
    Follow {
        /// Which.
        follow: TaskId,
        /// The deployment that is rolled out.
        deployment_id: String,
        /// The limits that are left.
        limits: Limits,
    },
    /// Say something in the log.
    Log(Severity, String),
}

/// What follows from something that has happened.
#[derive(Debug, Default, PartialEq)]
#[must_use]
pub struct Step {
    /// What changed: to be written down.
    pub change: Change,
    /// What is to be done.
    pub actions: Vec<Action>,
}

impl Step {
    pub(super) fn log(&mut self, severity: Severity, line: String) {
        self.actions.push(Action::Log(severity, line));
    }
}
