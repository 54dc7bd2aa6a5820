//! The story as structured logs: one event, one JSON object on one line.
//!
//! The field names are part of the contract; `config/schema/log-line.schema.json` describes them.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::core::messages;
use crate::core::rollout::{Event, Verdict, whole_millis};

/// Structured logs by tracing.
pub(crate) struct Json {
    agents: Vec<String>,
}

impl Json {
    pub(super) fn begin(agents: Vec<String>) -> Self {
        Self { agents }
    }

    /// Logs an event.
    #[expect(
        clippy::too_many_lines,
        reason = "tracing wants a call for each set of fields"
    )]
    pub(super) fn tell(&mut self, agent: usize, at: Duration, event: &Event) {
        let agent = self.agents[agent].as_str();
        let message = messages::line(event);
        let at = whole_millis(at);
        macro_rules! log {
            ($level:ident, $kind:literal $(, $name:literal = $value:expr)* $(,)?) => {
                $level!(agent, "atMs" = at, event = $kind $(, $name = $value)*, "{message}")
            };
        }
        match event {
            Event::BaselineNoted { deployment_id } => {
                log!(
                    info,
                    "baseline-noted",
                    "deploymentId" = deployment_id.as_deref()
                );
            }
            Event::TargetAwaited { desired } => {
                log!(info, "target-awaited", "desired" = desired.as_deref());
            }
            Event::TargetFound { deployment_id } => {
                log!(
                    info,
                    "target-found",
                    "deploymentId" = deployment_id.as_str()
                );
            }
            Event::PhaseChanged {
                phase,
                previous,
                lasted,
            } => log!(
                info,
                "phase-changed",
                "phase" = phase.as_str(),
                "previous" = previous.as_str(),
                "previousMs" = whole_millis(*lasted),
            ),
            Event::ReplicasChanged {
                ready_replicas,
                replicas_started,
            } => log!(
                info,
                "replicas-changed",
                "readyReplicas" = *ready_replicas,
                "replicasStarted" = *replicas_started,
            ),
            Event::Restarted {
                restart_count,
                last_exit_code,
                last_termination_reason,
            } => log!(
                warn,
                "restarted",
                "restartCount" = *restart_count,
                "lastExitCode" = *last_exit_code,
                "lastTerminationReason" = last_termination_reason.as_deref(),
            ),
            Event::TroubleSeen {
                class,
                code,
                message: words,
            } => log!(
                warn,
                "trouble-seen",
                "class" = class.as_str(),
                "code" = code.as_str(),
                "details" = words.as_deref(),
            ),
            Event::TroubleGone { code } => log!(info, "trouble-gone", "code" = code.as_str()),
            Event::InfrastructureIssue => log!(warn, "infrastructure-issue"),
            Event::InfrastructureRecovered => log!(info, "infrastructure-recovered"),
            Event::AnswerSetAside {
                claim,
                times,
                needed,
            } => log!(
                warn,
                "answer-set-aside",
                "claim" = claim.as_str(),
                "times" = *times,
                "needed" = *needed,
            ),
            Event::PollFailed {
                code,
                summary,
                in_a_row,
            } => log!(
                warn,
                "poll-failed",
                "code" = code.as_str(),
                "summary" = summary.as_str(),
                "inARow" = *in_a_row,
            ),
            Event::PollRecovered { failed, after } => log!(
                info,
                "poll-recovered",
                "failed" = *failed,
                "afterMs" = whole_millis(*after),
            ),
            Event::Holding { stable_for } => {
                log!(info, "holding", "stableForMs" = whole_millis(*stable_for));
            }
            Event::ReadyLost { after } => {
                log!(warn, "ready-lost", "afterMs" = whole_millis(*after));
            }
            Event::RevisionUnchanged { running } => {
                log!(warn, "revision-unchanged", "running" = running.as_str());
            }
            Event::Heartbeat {
                phase,
                in_phase,
                ready_replicas,
                restart_count,
                polls,
                failing,
            } => log!(
                info,
                "heartbeat",
                "phase" = phase.as_str(),
                "phaseMs" = whole_millis(*in_phase),
                "readyReplicas" = *ready_replicas,
                "restartCount" = *restart_count,
                "polls" = *polls,
                "failing" = *failing,
            ),
            Event::Finished {
                verdict: Verdict::Ready,
                elapsed,
                ..
            } => log!(
                info,
                "finished",
                "verdict" = "ready",
                "exitCode" = 0,
                "elapsedMs" = whole_millis(*elapsed),
            ),
            Event::Finished {
                verdict,
                reason,
                elapsed,
            } => log!(
                error,
                "finished",
                "verdict" = verdict.as_str(),
                "exitCode" = verdict.exit_code(),
                "elapsedMs" = whole_millis(*elapsed),
                "code" = reason.as_ref().map(|reason| reason.code.as_str()),
                "summary" = reason.as_ref().map(|reason| reason.summary.as_str()),
                "details" = reason.as_ref().and_then(|reason| reason.message.as_deref()),
            ),
        }
    }
}
