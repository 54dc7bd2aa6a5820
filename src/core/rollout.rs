//! The pure core: what observations of an agent mean for a rollout, and when to poll again.
//!
//! No clock, no randomness, no I/O: time arrives as `at`, the time since the watch began.

mod assess;
mod event;
mod indication;
mod machine;
mod observation;
mod order;
pub mod pacing;
mod phase;
mod policy;
mod problem;
mod push;
mod report;
mod streak;
mod target;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

pub use event::Event;
pub(crate) use indication::{Ending, Indication, Proof, StepBack};
pub use machine::{Machine, Next, NextPoll, Step};
pub use observation::{Failure, FailureClass, Observation, Route};
pub use phase::Phase;
pub use policy::{
    Baseline, InvalidPolicy, Limits, NewRevision, Policy, TargetRule, Unchanged, Until,
};
pub use problem::{Problem, ProblemClass};
pub(crate) use report::whole_millis;
pub use report::{
    AgentReport, CommandReport, Outcome, PhaseEntry, Reason, Report, RevisionReport, Warning,
};
pub use verdict::{Interruption, Verdict, worst};
pub(crate) use view::View;
