//! Exit codes: one exhaustive match.

use crate::error::Error;
use crate::rollout::Report;

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With verdicts, which were told in full.
    Judged(Report),
    /// With verdicts, but stdout or one of the files could not be written.
    Untold(Report),
    /// With nothing to judge.
    Done,
    /// With an error.
    Failed(Error),
}

/// The exit code of a command that ended so.
pub(crate) fn code(ending: &Ending) -> u8 {
    const INTERNAL: u8 = 1;
    const USAGE: u8 = 2;
    match ending {
        // Success is only claimed where its proof could be handed over.
        Ending::Untold(report) if report.exit_code == 0 => INTERNAL,
        Ending::Judged(report) | Ending::Untold(report) => report.exit_code,
        Ending::Done => 0,
        Ending::Failed(error) => match error {
            Error::Config(_)
            | Error::Filter(_)
            | Error::Scenario(_)
            | Error::Agent(_)
            | Error::Client(_)
            | Error::Simulator(_)
            | Error::File(_) => USAGE,
            Error::Setup(_) | Error::Lost => INTERNAL,
        },
    }
}
