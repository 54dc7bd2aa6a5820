//! Reports for the tests of the outputs.

use std::time::Duration;

use jiff::Timestamp;

use crate::core::rollout::{
    AgentReport, Outcome, Phase, PhaseEntry, Reason, RevisionReport, Verdict,
};

/// The report on an agent whose watch ended so, after 12.3 seconds.
pub(crate) fn agent(name: &str, verdict: Verdict) -> AgentReport {
    let phase = |phase, at_ms| PhaseEntry { phase, at_ms };
    let outcome = Outcome {
        deployment_id: Some("59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3".to_owned()),
        available: Some(true),
        elapsed: Duration::from_millis(12_345),
        phases: vec![phase(Phase::Reconciling, 0), phase(Phase::Creating, 2100)],
        polls: 7,
        ..Outcome::new(verdict)
    };
    AgentReport::new(name.to_owned(), Timestamp::UNIX_EPOCH, outcome)
}

/// The report on an agent that is ready.
pub(crate) fn ready(name: &str) -> AgentReport {
    agent(name, Verdict::Ready)
}

/// The report on an agent whose code crashed with this message.
pub(crate) fn failed(name: &str, message: &str) -> AgentReport {
    let mut report = agent(name, Verdict::Failed);
    report.outcome.reason = Some(Reason {
        code: "CrashLoopBackOff".to_owned(),
        summary: "its code crashes: CrashLoopBackOff".to_owned(),
        message: Some(message.to_owned()),
    });
    report.outcome.revision = Some(RevisionReport {
        last_exit_code: Some(1),
        restart_count: Some(3),
        ..RevisionReport::default()
    });
    report
}
