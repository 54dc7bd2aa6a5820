//! Why a watch ended, in words.

use std::time::Duration;

use super::{Machine, is_of};
use crate::core::rollout::CONFIRMATIONS;
use crate::core::rollout::ending::Ending;
use crate::core::rollout::evidence::{
    Cause, TroubleClass, causes, replicas_started, restart_count,
};
use crate::core::rollout::policy::{TargetRule, Until};
use crate::core::rollout::report::Reason;
use crate::core::rollout::verdict::Interruption;
use crate::core::rollout::watermark::{Claim, own_revision};
use crate::core::text::short_duration;
use crate::core::wire::AgentDetails;

impl Ending {
    /// Why it ended so, in words; none when ready.
    pub(super) fn reason(&self, machine: &Machine, at: Duration) -> Option<Reason> {
        let reason = |code: &str, summary: String| Reason {
            code: code.to_owned(),
            summary,
            message: None,
        };
        let target = machine.target.as_deref().unwrap_or("none");
        Some(match self {
            Ending::Ready => return None,
            Ending::Unauthorized | Ending::Unavailable => unanswered(machine, at),
            Ending::Unsettled => reason(
                "Unsettled",
                format!(
                    "no {CONFIRMATIONS} answers in a row agreed within {} on which deployment is the desired one",
                    short_duration(at)
                ),
            ),
            Ending::NeverThere => Reason {
                message: machine.absent_words.clone(),
                ..reason("NotFound", never_there(machine).to_owned())
            },
            Ending::Deleted => Reason {
                message: machine.absent_words.clone(),
                ..reason(
                    "Deleted",
                    "the agent was deleted while it was watched (404)".to_owned(),
                )
            },
            Ending::PhaseFailed => served(phase_failed(machine), machine),
            Ending::Trouble(cause) => served(
                Reason {
                    code: cause.code.clone(),
                    summary: trouble_words(cause, machine, at),
                    message: cause.message.clone(),
                },
                machine,
            ),
            Ending::NotNew { running } => reason(
                "RevisionUnchanged",
                format!(
                    "it is ready, but deployment {running}'s revision serves it: the deploy changed no revision"
                ),
            ),
            Ending::Stalled => pending(
                machine,
                "Stalled",
                &format!(
                    "nothing has moved for {} in phase {}",
                    short_duration(at.saturating_sub(machine.moved_at)),
                    machine.phase,
                ),
            ),
            Ending::Superseded { by } => reason(
                "Superseded",
                format!("deployment {by} took the place of {target} as the desired one"),
            ),
            Ending::NeverDesired => reason("Unchanged", never_desired(machine)),
            Ending::Timeout => pending(machine, "DeadlineExceeded", &timeout_words(machine, at)),
            Ending::Interrupted(interruption) => reason(
                "Interrupted",
                format!(
                    "{} in phase {}, after {}",
                    match interruption {
                        Interruption::Interrupt => "interrupted (SIGINT)",
                        Interruption::Terminate => "terminated (SIGTERM)",
                        Interruption::Hangup => "the terminal is gone (SIGHUP)",
                        Interruption::FailFast => "given up because another agent is not ready",
                    },
                    machine.phase,
                    short_duration(at)
                ),
            ),
        })
    }
}

/// The API gave no usable answer: the last failure says why.
fn unanswered(machine: &Machine, at: Duration) -> Reason {
    let Some(silence) = &machine.silence else {
        return Reason {
            code: "NoAnswer".to_owned(),
            summary: "no answer came in time".to_owned(),
            message: None,
        };
    };
    let times = match silence.failed {
        1 => String::new(),
        times => format!(
            " ({times} failed polls in a row, over {})",
            short_duration(at.saturating_sub(silence.since))
        ),
    };
    Reason {
        code: silence.last.code.clone(),
        summary: format!("{}{times}", silence.last.summary),
        message: None,
    }
}

/// The phase Failed, with the state of the code where it tells why.
fn phase_failed(machine: &Machine) -> Reason {
    let own = machine.latest.as_deref().and_then(own_revision);
    let health = own.and_then(|revision| revision.health.as_ref());
    let why = health.and_then(|health| {
        let last = health.last_termination_reason.as_ref();
        health.reason.as_ref().or(last).cloned()
    });
    let message = health.and_then(|health| health.message.clone());
    match (&machine.trouble, why) {
        (Some(cause), _) => Reason {
            code: cause.code.clone(),
            summary: format!("its revision has failed: {}", cause.code),
            message: cause.message.clone().or(message),
        },
        (None, Some(why)) => Reason {
            summary: format!("its revision has failed: {why}"),
            code: why,
            message,
        },
        (None, None) => Reason {
            code: "PhaseFailed".to_owned(),
            summary: "its revision has failed, and the platform gives no reason".to_owned(),
            message,
        },
    }
}

/// What is wrong with the target, in one line.
fn trouble_words(cause: &Cause, machine: &Machine, at: Duration) -> String {
    let own = machine.latest.as_deref().and_then(own_revision);
    let code = &cause.code;
    let since = machine.evidence.not_pulling_since().unwrap_or(at);
    let lasted = short_duration(at.saturating_sub(since));
    match cause.class {
        TroubleClass::Crashing => {
            let does = if code == "Completed" {
                "ends instead of running"
            } else {
                "crashes"
            };
            let exit = own
                .and_then(|revision| revision.health.as_ref())
                .and_then(|health| health.last_exit_code)
                .map_or(String::new(), |exit| format!(", last exit code {exit}"));
            let (restarts, replicas) = (restart_count(own), replicas_started(own));
            format!(
                "its code {does}: {code}, {restarts} restart{} of {replicas} replica{}{exit}",
                plural(restarts),
                plural(replicas)
            )
        }
        TroubleClass::NotPulling => {
            format!("its image or container does not come up: {code}, for {lasted}")
        }
        TroubleClass::Degraded => {
            format!("the platform calls it degraded: {code}, for {lasted}")
        }
        TroubleClass::Unmendable => format!("its container cannot be made as described: {code}"),
        TroubleClass::Reported => format!("the platform reports an error: {code}"),
        TroubleClass::Unknown => {
            format!("the platform gives a reason unknown to this program: {code}")
        }
    }
}

/// An ending without proof: the trouble of the newest answer is the best explanation there is.
fn pending(machine: &Machine, code: &str, summary: &str) -> Reason {
    let reason = match (&machine.trouble, unclaimed_error(machine)) {
        (Some(cause), _) => Reason {
            code: cause.code.clone(),
            summary: format!("{summary}, with {}", cause.code),
            message: cause.message.clone(),
        },
        (None, Some(error)) => Reason {
            code: code.to_owned(),
            summary: format!(
                "{summary}; the platform reports an error, of this deployment or of the one before: {}",
                error.code
            ),
            message: error.message,
        },
        (None, None) => Reason {
            code: code.to_owned(),
            summary: summary.to_owned(),
            message: None,
        },
    };
    served(reason, machine)
}

/// An error that is listed while the target is not reconciled: it decides nothing (rule 1), but may
/// be why.
fn unclaimed_error(machine: &Machine) -> Option<Cause> {
    let details = machine.latest.as_deref()?;
    let reconciled = details.reconciled_deployment_id == machine.target;
    let of_api = |cause: &Cause| cause.class == TroubleClass::Reported;
    let mut causes = causes(details, None).into_iter().filter(of_api);
    causes.next().filter(|_| !reconciled)
}

/// A reason that also says whether anything serves meanwhile: the difference between late and down.
fn served(reason: Reason, machine: &Machine) -> Reason {
    Reason {
        summary: format!("{}{}", reason.summary, serving_words(machine)),
        ..reason
    }
}

fn timeout_words(machine: &Machine, at: Duration) -> String {
    let limits = machine.policy.limits();
    let phase = machine.phase;
    let lasted = short_duration(at.saturating_sub(machine.phase_since));
    let drains = machine
        .latest
        .as_deref()
        .is_some_and(|details| details.previous_revision.is_some());
    let held = machine.ready_since.map(|since| at.saturating_sub(since));
    match held {
        _ if limits.timeout.is_zero() => format!("not ready yet: {phase}"),
        Some(_) if limits.until == Until::Drained && drains => {
            format!(
                "ready, but the previous revision was still draining after {}",
                short_duration(at)
            )
        }
        Some(held) if held < limits.stable_for => format!(
            "ready for only {} of the {} that it has to hold",
            short_duration(held),
            short_duration(limits.stable_for)
        ),
        Some(_) if machine.first_sight.is_some() => format!(
            "ready, but fewer than {CONFIRMATIONS} answers in a row show that it is no deployment from before",
        ),
        Some(held) => format!(
            "ready for {}, but no answer in time shows that it held for {}",
            short_duration(held),
            short_duration(limits.stable_for)
        ),
        None if unproven(machine) => {
            "ready, but no answer shows that it runs on a revision of its own".to_owned()
        }
        None => format!(
            "not ready after {}: {phase} for {lasted}",
            short_duration(at)
        ),
    }
}

/// Whether the target is ready, and only its revision is not shown: it has to be a new one, or it would
/// have been proven.
fn unproven(machine: &Machine) -> bool {
    machine.latest.as_deref().is_some_and(|details| {
        let shown = details.current_revision.as_ref();
        let unshown = shown.is_none_or(|revision| revision.deployment_id.is_none());
        details.ready && unshown && is_of(details, machine.target.as_deref())
    })
}

/// Whether anything serves meanwhile, and what.
fn serving_words(machine: &Machine) -> &'static str {
    let Some(details) = machine.latest.as_deref() else {
        return "";
    };
    let reconciled = details.reconciled_deployment_id.is_some()
        && details.reconciled_deployment_id == machine.target;
    let old_is_there = details.previous_revision.is_some()
        || !reconciled && details.reconciled_deployment_id.is_some();
    match details.available {
        Some(true) if machine.ready_since.is_some() => "",
        Some(true) if old_is_there => "; the old version still serves",
        Some(true) => "; the agent still takes sessions",
        Some(false) => "; nothing serves: the agent takes no sessions",
        None => "",
    }
}

fn never_there(machine: &Machine) -> &'static str {
    match machine.latest {
        Some(_) => "the agent that there was before is gone, and no other has appeared (404)",
        None => "there is no such agent (404)",
    }
}

fn never_desired(machine: &Machine) -> String {
    let latest = machine.latest.as_deref();
    let undeployed = machine.doubt.holds(&Claim::NoDesired.way());
    let desired = latest.and_then(AgentDetails::desired);
    let desired = desired.filter(|_| !undeployed);
    match (machine.policy.target(), desired) {
        (_, None) => "the agent has no deployment".to_owned(),
        (TargetRule::Deployment(id), Some(desired)) => {
            format!("deployment {id} was never the desired one; {desired} is")
        }
        (TargetRule::AnyBut(_) | TargetRule::FirstSeen, Some(desired)) => {
            format!("no new deployment: {desired}, the one from before, is still the desired one")
        }
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
