//! The pure core: what observations of an agent mean for a rollout, and when to look again.
//!
//! No clock, no randomness, no I/O: time arrives as `at`, the time since the watch began.

mod confirmation;
mod ending;
mod event;
mod evidence;
mod machine;
mod observation;
pub mod pacing;
mod phase;
mod policy;
mod report;
mod verdict;
mod watermark;

pub use event::Event;
pub use evidence::{Cause, TroubleClass};
pub use machine::{Cadence, Machine, Next, Step};
pub use observation::{Failure, FailureClass, Observation};
pub use phase::Phase;
pub use policy::{BadPolicy, Limits, NewRevision, Policy, TargetRule, Unchanged, Until};
pub(crate) use report::whole_millis;
pub use report::{
    AgentReport, CommandReport, Outcome, PhaseEntry, Reason, Report, RevisionReport, Warning,
};
pub use verdict::{Interruption, Verdict, worst};

/// How often in a row an answer that goes back behind what was seen, or that contradicts itself,
/// must come before it decides anything (design rules 3 and 4).
pub const CONFIRMATIONS: u32 = 3;
