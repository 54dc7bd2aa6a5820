//! What a person does next: one line for each way in which a rollout ends.

use super::phase::Phase;
use super::report::AgentReport;
use super::verdict::Verdict;
use crate::core::text::shell_word;

/// What an exit code of the agent's code means, as far as convention tells.
///
/// From 129 on it is 128 plus the number of the signal that ended the process, as shells and
/// Kubernetes count it; 126 and 127 are the shell's.
#[must_use]
pub fn decode_exit_code(code: i64) -> Option<&'static str> {
    match code {
        0 => Some("it ended by itself, without an error; an agent has to keep running"),
        1 => Some("an error in the application"),
        2 => Some("wrong usage, often of the start command"),
        126 => Some("the start command cannot be executed"),
        127 => Some("the start command was not found"),
        132 => Some("illegal instruction (SIGILL), often the wrong CPU architecture"),
        134 => Some("aborted (SIGABRT)"),
        137 => Some("killed (SIGKILL), nearly always out of memory"),
        139 => Some("segmentation fault (SIGSEGV)"),
        143 => Some("terminated (SIGTERM)"),
        255 => Some("an error in the application, or in the format of its executable"),
        _ => None,
    }
}

/// What to do next about an agent that is not ready; none when it is.
#[must_use]
pub fn next_step(report: &AgentReport) -> Option<String> {
    let agent = shell_word(&report.agent);
    let code = report
        .outcome
        .reason
        .as_ref()
        .map_or("", |reason| &reason.code);
    let drains = report
        .last_phase()
        .is_some_and(|(phase, _)| phase == Phase::Draining);
    let step = match report.outcome.verdict {
        Verdict::Ready => return None,
        Verdict::Unauthorized => {
            "check the key: it must be a private API key of this organization (Dashboard, Settings, \
             API Keys)"
                .to_owned()
        }
        Verdict::NotFound if code == "Deleted" => {
            "somebody deleted it meanwhile: deploy it again if that was not meant".to_owned()
        }
        Verdict::NotFound => {
            "check the agent's name, and that the key belongs to the organization it was deployed to"
                .to_owned()
        }
        Verdict::Unavailable => {
            format!("look at the API's state, then ask again: pipecat-rollout status {agent}")
        }
        Verdict::Failed => failed_step(report),
        Verdict::Stalled | Verdict::Timeout if drains => {
            "it is up; sessions of the old version go on: let them end, or do not wait for them \
             (--until ready)"
                .to_owned()
        }
        Verdict::Stalled => {
            "nothing was scheduled or moved: check the region's capacity and the replica limits, \
             then contact Pipecat Cloud's support"
                .to_owned()
        }
        Verdict::Superseded => {
            "a later deploy or a rollback took over: judge that one, or deploy again".to_owned()
        }
        Verdict::Unchanged if report.outcome.deployment_id.is_some() => {
            "check the id: the deployment may be another agent's, or have been replaced before \
             the watch began"
                .to_owned()
        }
        Verdict::Unchanged => {
            "the deploy made no new deployment; the usual causes: the same image tag, only the \
             scaling changed, or only a secret's value; give the image a new tag, force a \
             redeploy, or take --if-unchanged accept"
                .to_owned()
        }
        Verdict::Infrastructure => {
            "the platform reports a problem of its own: contact Pipecat Cloud's support; the code \
             need not be at fault"
                .to_owned()
        }
        Verdict::Timeout => format!(
            "it may still come up: pipecat-rollout wait-for-ready {agent}{}",
            match &report.outcome.deployment_id {
                Some(id) => format!(" --deployment {}", shell_word(id)),
                None => String::new(),
            }
        ),
        Verdict::CommandFailed(_) => "read what the deploy command printed".to_owned(),
        Verdict::Interrupted(_) => {
            format!("the rollout itself goes on: pipecat-rollout status {agent}")
        }
    };
    Some(step)
}

/// What to do about code or an image that cannot run.
fn failed_step(report: &AgentReport) -> String {
    let revision = report.outcome.revision.as_ref();
    let exit_code = revision.and_then(|revision| revision.last_exit_code);
    let ended = revision.and_then(|revision| revision.last_termination_reason.as_deref());
    let reason = report.outcome.reason.as_ref();
    let message = reason.and_then(|reason| reason.message.as_deref());
    let code = reason.map_or("", |reason| reason.code.as_str());
    let crashes = matches!(
        code,
        "CrashLoopBackOff" | "Error" | "Terminated" | "OOMKilled"
    );
    let killed = ended == Some("OOMKilled") || exit_code == Some(137);
    let out_of_memory = code == "OOMKilled" || crashes && killed;
    let lacks_module = message.is_some_and(|text| {
        text.contains("ModuleNotFoundError") || text.contains("Cannot find module")
    });
    match code {
        _ if out_of_memory => "it needs more memory: choose a larger agent profile, or make the code use less",
        _ if lacks_module => "the image lacks a package: add it to the requirements and build again",
        "ErrImagePull" | "ImagePullBackOff" => {
            "check the image's name and tag, and the image pull secret"
        }
        "InvalidImageName" => "the image's name is not a valid reference: mend it and deploy again",
        "ErrImageNeverPull" => "the image is not where it must be: push it and deploy again",
        "CreateContainerConfigError" => {
            "a secret or setting that the container refers to is missing: check the secret set"
        }
        "CreateContainerError" | "RunContainerError" => {
            "the container cannot be started: check the image's architecture, entrypoint and command"
        }
        "RevisionUnchanged" => {
            "force a redeploy, or give the image a new tag: the old code goes on serving"
        }
        _ if message.is_none() => {
            return format!("look at what it logged: pipecat cloud agent logs {}", shell_word(&report.agent));
        }
        _ => "read the message above; the same image fails the same way on your own machine",
    }
    .to_owned()
}
