//! What verdicts mean, for whoever reads one without having seen the rollout.

use crate::core::rollout::Verdict;

/// What an exit code means that is no verdict's.
pub(crate) fn exit_code_meaning(code: u8) -> Option<&'static str> {
    match code {
        1 => Some(
            "a fault of this program, or its result could not be written; of `run` also the exit code of \
             the command",
        ),
        2 => Some("wrong usage: switches, the agent's name, the key or a file; stderr says which"),
        _ => None,
    }
}

/// What a verdict means, in a sentence.
pub(crate) fn verdict_meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ready => "the deployment is the desired one, is reconciled and takes sessions",
        Verdict::Unauthorized => "the API refused the key; nothing is known of the deployment",
        Verdict::NotFound => "there is no such agent, or it was deleted",
        Verdict::Unavailable => "the API gave no usable answer; nothing is known of the deployment",
        Verdict::Failed => "the code or the image of the deployment cannot run",
        Verdict::Stalled => "nothing about the deployment has moved for --stall-timeout",
        Verdict::Superseded => "another deployment took its place: a newer one, or a rollback",
        Verdict::Unchanged => "no new deployment came, or the one that was named never was desired",
        Verdict::Infrastructure => {
            "it failed, stalled or ran out of time while the platform reported a problem of its own"
        }
        Verdict::Timeout => "time ran out with the deployment in view: the rollout goes on",
        Verdict::CommandFailed(_) => "the deploy command of `run` failed, and no deployment came",
        Verdict::Interrupted(_) => "the watch was interrupted; the rollout goes on",
    }
}
