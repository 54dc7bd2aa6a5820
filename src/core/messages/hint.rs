//! What a person does next, for each way in which a rollout ends, and only where it is true.

use super::Mode;
use crate::core::rollout::{AgentReport, Phase, Verdict};
use crate::core::text::shell_word;

/// The vendor's page on the errors of its own; each has an anchor.
const ERROR_CODES: &str = "https://docs.pipecat.ai/pipecat-cloud/fundamentals/error-codes";

/// What to do about each error code that the vendor documents.
const PLATFORM_CODES: [(&str, &str); 7] = [
    (
        "PCC_IMAGE_NOT_FOUND",
        "check the image's name and tag, and that it was pushed to the registry",
    ),
    (
        "PCC_IMAGE_PULL_UNAUTHORIZED",
        "check the image pull secret: the registry refuses its credentials",
    ),
    (
        "PCC_IMAGE_TOO_LARGE",
        "make the image smaller, and deploy again",
    ),
    (
        "PCC_IMAGE_PULL_RATE_LIMIT",
        "the registry limits pulls: deploy again later, or pull with credentials that may pull more",
    ),
    (
        "PCC_INVALID_IMAGE_PLATFORM",
        "build the image for linux/arm64, the only platform that Pipecat Cloud runs",
    ),
    (
        "PCC_IMAGE_PULL_UNKNOWN_ERROR",
        "check that the image can be pulled with the credentials that are configured",
    ),
    (
        "PCC_UNKNOWN_ERROR",
        "deploy again; if it fails again, contact Pipecat Cloud's support",
    ),
];

/// What exit codes of the agent's code mean, as far as there is a convention, and what to do about
/// them; nothing where the code's own words say more.
///
/// From 129 on it is 128 plus the number of the signal that ended the process, as shells and
/// Kubernetes count it; 126 and 127 are the shell's.
const EXIT_CODES: [(i64, &str, &str); 11] = [
    (
        0,
        "it ended by itself, without an error; an agent has to keep running",
        "check the start command: it ends, and an agent has to keep running",
    ),
    (1, "an error in the application", ""),
    (
        2,
        "wrong usage, often of the start command",
        "check the start command and its arguments",
    ),
    (
        126,
        "the start command cannot be executed",
        "check that the start command may be executed, and that the image is built for linux/arm64, \
         the only platform that Pipecat Cloud runs",
    ),
    (
        127,
        "the start command was not found",
        "check the image's entrypoint, command and PATH, and that it is built for linux/arm64, the \
         only platform that Pipecat Cloud runs",
    ),
    (
        132,
        "illegal instruction (SIGILL), often the wrong CPU architecture",
        "check that the image, and the native code in its packages, is built for linux/arm64, the \
         only platform that Pipecat Cloud runs",
    ),
    (134, "aborted (SIGABRT)", NATIVE_CODE),
    (137, "killed (SIGKILL), nearly always out of memory", MEMORY),
    (139, "segmentation fault (SIGSEGV)", NATIVE_CODE),
    (
        143,
        "terminated (SIGTERM)",
        "something asked it to end: check what sends SIGTERM in the image",
    ),
    (
        255,
        "an error in the application, or in the format of its executable",
        "",
    ),
];

const MEMORY: &str =
    "it needs more memory: choose a larger agent profile, or make the code use less";
const NATIVE_CODE: &str = "native code crashed: check the packages that bring it";

/// What an exit code of the agent's code means, as far as there is a convention.
pub(crate) fn decode_exit_code(code: i64) -> Option<&'static str> {
    let mut known = EXIT_CODES.iter();
    known.find(|known| known.0 == code).map(|known| known.1)
}

/// What to do next about an agent that is not ready; none when it is, or where nothing is known
/// that would help.
pub(crate) fn next_step(report: &AgentReport, mode: Mode) -> Option<String> {
    let outcome = &report.outcome;
    let agent = shell_word(&report.agent);
    let (status, wait) = ("pipecat-rollout status", "pipecat-rollout wait-for-ready");
    let reason = outcome.reason.as_ref();
    let code = reason.map_or("", |reason| reason.code.as_str());
    // The vendor's own code says best what is wrong, however the watch ended.
    if let Some(step) = platform_step(code) {
        return Some(step);
    }
    let last = report.last_phase();
    let drains = last.is_some_and(|(phase, _)| phase == Phase::Draining);
    let step = match outcome.verdict {
        Verdict::Ready => return None,
        Verdict::Failed => failed_step(report)?,
        Verdict::Unavailable if code.starts_with("Smoke") => {
            let again = "the deployment is ready; to try the session again later";
            return Some(format!("{again}: {wait} {agent} --smoke"));
        }
        Verdict::Unavailable => return Some(unavailable_step(code, &format!("{status} {agent}"))),
        Verdict::Superseded => {
            let follow = "a later deploy or a rollback took over; to follow that one";
            return Some(format!("{follow}: {wait} {agent}"));
        }
        Verdict::Interrupted(_) => {
            let (phase, _) = last?;
            return goes_on(phase).then(|| format!("the rollout itself goes on: {status} {agent}"));
        }
        Verdict::Stalled | Verdict::Timeout if drains => {
            "it is up; sessions of the old version go on: let them end, or do not wait for them \
             (--until ready)"
        }
        Verdict::Timeout => {
            let id = outcome.deployment_id.as_deref();
            let id = id.map_or(String::new(), |id| {
                format!(" --deployment {}", shell_word(id))
            });
            return Some(format!("it may still come up: {wait} {agent}{id}"));
        }
        Verdict::Unauthorized if code == "SmokeUnauthorized" => {
            "start the session with a public key of the agent's organization: PIPECAT_PUBLIC_API_KEY, \
             or --smoke-key-file"
        }
        Verdict::Unauthorized => {
            "ask with a private API key of the agent's organization (Dashboard, Settings, API Keys), \
             or with a login that may read it"
        }
        Verdict::NotFound if code == "Deleted" => {
            "somebody deleted it meanwhile: deploy it again if that was not meant"
        }
        Verdict::NotFound => {
            "check the agent's name, and that the key or login is of the organization it was deployed to"
        }
        Verdict::Stalled => {
            "nothing was scheduled or moved: check the region's capacity and the replica limits, \
             then contact Pipecat Cloud's support"
        }
        Verdict::Unchanged if outcome.deployment_id.is_some() => {
            "check the id: the deployment may be another agent's, or have been replaced before \
             the watch began"
        }
        Verdict::Unchanged if code == "CommitNotDeployed" => {
            "check in the dashboard whether the push was to be deployed, from this branch, and what became of \
             its build"
        }
        Verdict::Unchanged if outcome.baseline_deployment_id.is_none() => {
            "there is no deployment to wait for: deploy the agent first"
        }
        Verdict::Unchanged => {
            let accept = match mode {
                Mode::Watch | Mode::Run => ", or take --if-unchanged accept",
                Mode::Status => "",
            };
            return Some(format!(
                "the deploy made no new deployment; the usual causes: the same image tag, only the \
                 scaling changed, or only a secret's value; give the image a new tag, force a \
                 redeploy{accept}"
            ));
        }
        Verdict::Infrastructure => {
            "the platform reports a problem of its own: contact Pipecat Cloud's support; the code \
             need not be at fault"
        }
        Verdict::CommandFailed(_) => "read what the deploy command printed",
    };
    Some(step.to_owned())
}

/// Whether something still happens in this phase when nobody watches it.
fn goes_on(phase: Phase) -> bool {
    match phase {
        Phase::Waiting | Phase::Active | Phase::Failed => false,
        Phase::Building
        | Phase::Reconciling
        | Phase::Creating
        | Phase::Validating
        | Phase::Draining
        | Phase::Progressing => true,
    }
}

/// What to do about an error code of the vendor's, with the page on it.
fn platform_step(code: &str) -> Option<String> {
    let mut known = PLATFORM_CODES.iter();
    let (code, step) = known.find(|(known, _)| known.eq_ignore_ascii_case(code))?;
    let anchor = code.to_ascii_lowercase();
    Some(format!("{step}: {ERROR_CODES}#{anchor}"))
}

/// What to do about an API that gave no usable answer; `status` tries again.
fn unavailable_step(code: &str, status: &str) -> String {
    match code {
        "CertificateNotTrusted" => {
            "if a CA of your own signed the certificate, name its file: --ca-file".to_owned()
        }
        "NotTls" => "check the scheme and the port of --api-url, and the proxy".to_owned(),
        "ConnectFailed" | "ConnectionBroke" | "ProxyFailed" | "RequestTimeout" => {
            format!("check the network, HTTPS_PROXY and --api-url, then try again: {status}")
        }
        "NotAnAgent" | "NotTheApi" => {
            "check --api-url and the proxy: what answered is not the API's JSON".to_owned()
        }
        code if code.starts_with("Http3") => {
            "check --api-url: redirects are not followed".to_owned()
        }
        "Http429" => {
            format!("the API limits requests: try again later, or with a lower --max-rps: {status}")
        }
        _ => format!("try again later: {status}"),
    }
}

/// What to do about code or an image that cannot run.
fn failed_step(report: &AgentReport) -> Option<&'static str> {
    let revision = report.outcome.revision.as_ref();
    let exit_code = revision.and_then(|revision| revision.last_exit_code);
    let ended = revision.and_then(|revision| revision.last_termination_reason.as_deref());
    let reason = report.outcome.reason.as_ref()?;
    let logs = report.logs.iter().map(String::as_str);
    let words: Vec<&str> = reason.message.as_deref().into_iter().chain(logs).collect();
    let says = |text: &str| words.iter().any(|words| words.contains(text));
    Some(match reason.code.to_ascii_lowercase().as_str() {
        "pushfailed" => "read the build in the dashboard, fix what failed, and push again",
        "pushcancelled" => "push again, or wait for the push that took its place",
        "smokeexception" => {
            "fix the exception shown above, and deploy again: the deployment is ready, and every \
             session of it fails"
        }
        "smokeelsewhere" => {
            "the old version still takes sessions: wait until it is drained (--until drained), and \
             try again"
        }
        "smokenotstarted" => "every instance is busy: raise max-agents, or try again later",
        "errimagepull" | "imagepullbackoff" => {
            "check the image's name and tag, and the image pull secret"
        }
        "invalidimagename" => "the image's name is not a valid reference: fix it and deploy again",
        "errimageneverpull" => {
            "the platform may not pull the image: contact Pipecat Cloud's support"
        }
        "createcontainerconfigerror" => {
            "a secret or setting that the container refers to is missing: check the secret set"
        }
        "revisionunchanged" => {
            "force a redeploy, or give the image a new tag: the old code goes on serving"
        }
        _ if says("exec format error") => {
            "build the image for linux/arm64, the only platform that Pipecat Cloud runs"
        }
        "createcontainererror" | "runcontainererror" => {
            "check the image's entrypoint and command, and that it is built for linux/arm64"
        }
        "oomkilled" => MEMORY,
        _ if ended == Some("OOMKilled") || exit_code == Some(137) => MEMORY,
        _ if says("ModuleNotFoundError") || says("Cannot find module") => {
            "the image lacks a package or a file: add it to the image and build again"
        }
        _ => {
            let exit_code = exit_code?;
            let known = EXIT_CODES.iter().find(|known| known.0 == exit_code);
            match known.map_or("", |known| known.2) {
                "" if words.is_empty() => return None,
                "" => "fix the error shown above, and deploy again",
                step => step,
            }
        }
    })
}

#[cfg(test)]
mod tests;
