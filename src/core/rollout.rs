//! The pure core: what observations of an agent mean for a rollout, and when to poll again.
//!
//! No clock, no randomness, no I/O: time arrives as `at`, the time since the watch began.
//!
//! The rules that comments cite by their numbers:
//!
//! 1. While another deployment than the target is reconciled, `ready` and the revisions speak of that one.
//! 2. `activeDeploymentReady` is deprecated and never decides.
//! 3. `ready` with the target desired and reconciled is complete, unless its revision has failed.
//! 4. What goes back, contradicts itself or refuses has to be confirmed: three answers in a row, over five
//!    seconds, on connections of their own. What its own dates prove to be old counts for nothing.
//! 5. Only the target's own revision can fail it.
//! 6. One restart is no failure, `--max-restarts` of a started replica are; a pull that fails has time.
//! 7. A listed error counts if it names the target or is new; an old one if it outlives the reconciliation.
//! 8. Under an infrastructure issue rule 6 waits, and counts anew afterwards.
//! 9. No ready replica, with `ready`, is scale to zero: ready.
//! 10. What is unknown or of a wrong type in an answer is as if it were missing.
//! 11. What has to last does so only while answers show it.
//! 12. Deadlines run on the monotonic clock; the server's dates are compared with each other only.
//! 13. A pause that the server asks for is no outage; what nobody has polled is unknown, never late.

mod assess;
mod date;
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
mod restarts;
mod shown;
mod streak;
mod target;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

pub(crate) use date::{is_before, past};
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
pub(crate) use shown::{Needs, Shown};
pub use verdict::{Interruption, Verdict, worst};
pub(crate) use view::View;
