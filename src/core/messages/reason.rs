//! Why a watch ended, in a sentence.

use std::time::Duration;

use jiff::Timestamp;

use super::count;
use crate::core::rollout::{
    Ending, Failure, Indication, Interruption, Limits, NewRevision, Phase, Problem, ProblemClass,
    Proof, Reason, StepBack, TargetRule, Until, Verdict,
};
use crate::core::text::short_duration;
use crate::core::wire::{AgentDetails, Health, LatestDeploy, OlderSessions, Revision};

/// What is known when a watch ends.
pub(crate) struct Facts<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) limits: &'a Limits,
    pub(crate) rule: &'a TargetRule,
    pub(crate) phase: Phase,
    pub(crate) phase_lasted: Duration,
    /// How long the rollout was followed.
    pub(crate) waited: Duration,
    pub(crate) target: Option<&'a str>,
    /// Whether the target is known to be the one that is meant.
    pub(crate) settled: bool,
    /// When the deploy command was started, by the server's clock.
    pub(crate) deploy_began: Option<Timestamp>,
    /// When the deployment was created that is desired now.
    pub(crate) desired_created_at: Option<Timestamp>,
    /// The newest details that were believed.
    pub(crate) latest: Option<&'a AgentDetails>,
    /// Whether the agent takes sessions, whichever deployment serves them.
    pub(crate) available: Option<bool>,
    /// The target's own revision.
    pub(crate) own: Option<&'a Revision>,
    pub(crate) ready_for: Option<Duration>,
    /// What is wrong with the target now, and what was wrong last.
    pub(crate) problem: Option<&'a Problem>,
    pub(crate) last_problem: Option<&'a Problem>,
    /// The last of the failed polls at the end.
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) failed_polls: u64,
    pub(crate) failing_for: Duration,
    /// What the API said with its 404.
    pub(crate) absent_message: Option<&'a str>,
}

/// Why a watch ended so; none when ready.
pub(crate) fn reason(ending: &Ending, facts: &Facts<'_>) -> Option<Reason> {
    let mut reason = match ending {
        Ending::Ready => return None,
        Ending::Unauthorized | Ending::Unavailable => unanswered(facts),
        Ending::NotFound => Reason {
            message: facts.absent_message.map(str::to_owned),
            ..plain("NotFound", not_found(facts))
        },
        Ending::Deleted => Reason {
            message: facts.absent_message.map(str::to_owned),
            ..plain(
                "Deleted",
                "the agent was deleted during the watch (404)".to_owned(),
            )
        },
        Ending::PhaseFailed => serving(phase_failed(facts), facts),
        Ending::Problem(problem, lasted) => serving(of_problem(problem, *lasted, facts), facts),
        Ending::RevisionUnchanged { running } => {
            plain("RevisionUnchanged", unchanged_revision(running))
        }
        Ending::PushFailed(push) => push_failed(push),
        Ending::Stalled(lasted) => pending(
            "Stalled",
            format!(
                "nothing has moved for {}: {}",
                short_duration(*lasted),
                facts.phase
            ),
            facts,
        ),
        Ending::Superseded { by } => superseded(by, facts),
        Ending::Unchanged => plain("Unchanged", unchanged(facts)),
        Ending::CommandFailed(code) => plain(
            "CommandFailed",
            format!("the deploy command failed with exit code {code}, and no new deployment came"),
        ),
        Ending::Timeout => pending("DeadlineExceeded", timed_out(facts), facts),
        Ending::Interrupted(interruption) => interrupted(*interruption, facts),
    };
    if facts.verdict == Verdict::Infrastructure {
        reason
            .summary
            .push_str("; the platform reports an infrastructure issue of its own");
    }
    Some(reason)
}

/// What an unconfirmed answer says, as one line; none of what is confirmed without a word.
pub(crate) fn claim(indication: &Indication) -> Option<String> {
    Some(match indication {
        Indication::Deleted => "the API says that the agent does not exist".to_owned(),
        Indication::Superseded {
            by,
            proof: Proof::None,
        } => {
            format!("the API says that deployment {by} is the desired one")
        }
        Indication::StepBack(StepBack::Reconciled) => {
            "the API says that the deployment is not reconciled after all".to_owned()
        }
        Indication::StepBack(StepBack::Phase) => {
            "the API says that the revision is back in an earlier phase".to_owned()
        }
        Indication::Contradiction => {
            "the API says ready, and that the revision has failed".to_owned()
        }
        Indication::RevisionUnchanged { running } => {
            format!("the API says ready, on the revision of deployment {running}")
        }
        Indication::Baseline(_)
        | Indication::Target(_)
        | Indication::NotInView
        | Indication::Absent
        | Indication::Ready
        | Indication::PhaseFailed
        | Indication::FewerRestarts
        | Indication::Problem(_)
        | Indication::PushFailed(_)
        | Indication::Superseded {
            proof: Proof::Newer,
            ..
        }
        | Indication::Unmoved(_)
        | Indication::Unauthorized(_)
        | Indication::Refused(_) => return None,
    })
}

/// A warning: the first deployment that was seen is older than the watch.
pub(crate) fn created_before(age: Duration) -> String {
    format!(
        "this deployment was created {} before the watch began; if you have just deployed, use `run` or --baseline, \
         so that an older deployment cannot be taken for it",
        short_duration(age)
    )
}

/// A warning: the target is ready on another deployment's revision.
pub(crate) fn revision_unchanged(running: &str) -> String {
    format!(
        "{}; the old code may go on serving",
        unchanged_revision(running)
    )
}

/// A warning: the target is ready, and the agent takes no sessions.
pub(crate) fn not_available() -> String {
    "it is ready, but the agent takes no new sessions (available: false)".to_owned()
}

/// A warning: the target is ready, and was restarted.
pub(crate) fn restarted_and_ready(restarts: u64, exit_code: Option<i64>) -> String {
    let exit = exit_code.map_or(String::new(), |code| format!("; last exit code {code}"));
    format!("it is ready after {}{exit}", count(restarts, "restart"))
}

/// A warning: the platform calls the agent degraded.
pub(crate) fn degraded(problem: &Problem) -> String {
    format!("the platform calls the agent degraded: {}", problem.code)
}

fn plain(code: &str, summary: String) -> Reason {
    Reason {
        code: code.to_owned(),
        summary,
        message: None,
    }
}

/// The API gave no usable answer: the last failure says why.
fn unanswered(facts: &Facts<'_>) -> Reason {
    let Some(failure) = facts.failure else {
        return plain("NoAnswer", "no usable answer came in time".to_owned());
    };
    let times = match facts.failed_polls {
        0 | 1 => String::new(),
        times => format!(
            " ({times} failed polls in a row, over {})",
            short_duration(facts.failing_for)
        ),
    };
    plain(&failure.code, format!("{}{times}", failure.summary))
}

fn not_found(facts: &Facts<'_>) -> String {
    let found = match facts.latest {
        Some(_) => "the agent is gone, and no other has appeared (404)",
        None => "there is no such agent (404)",
    };
    found.to_owned()
}

/// The phase Failed, with the state of the code where it says why.
fn phase_failed(facts: &Facts<'_>) -> Reason {
    let health = facts.own.and_then(|revision| revision.health.as_ref());
    let headline = health.and_then(|health| health.headline.clone());
    let message = health.and_then(|health| health.message.clone());
    if let Some(problem) = facts.problem {
        return Reason {
            code: problem.code.clone(),
            summary: format!(
                "its revision has failed: {}",
                headline.as_ref().unwrap_or(&problem.code)
            ),
            message: problem.message.clone().or(message),
        };
    }
    let why = health.and_then(|health| {
        let last = health.last_termination_reason.as_ref();
        health.reason.as_ref().or(last).cloned()
    });
    match why {
        Some(why) => Reason {
            summary: format!(
                "its revision has failed: {}",
                headline.as_ref().unwrap_or(&why)
            ),
            code: why,
            message,
        },
        None => Reason {
            code: "PhaseFailed".to_owned(),
            summary: match headline {
                Some(headline) => format!("its revision has failed: {headline}"),
                None => "its revision has failed, and the platform gives no reason".to_owned(),
            },
            message,
        },
    }
}

/// What is wrong with the target, in a sentence.
fn of_problem(problem: &Problem, lasted: Duration, facts: &Facts<'_>) -> Reason {
    let health = facts.own.and_then(|revision| revision.health.as_ref());
    let code = &problem.code;
    let lasted = short_duration(lasted);
    let summary = match problem.class {
        ProblemClass::Crashing => {
            let does = if code == "Completed" {
                "exits instead of running"
            } else {
                "crashes"
            };
            let exit = health.and_then(|health| health.last_exit_code);
            let exit = exit.map_or(String::new(), |exit| format!(", last exit code {exit}"));
            let restarts = health.and_then(|health| health.restart_count).unwrap_or(0);
            let replicas = health.map_or(1, Health::replicas);
            format!(
                "its code {does}: {code}, {} of {}{exit}",
                count(restarts, "restart"),
                count(replicas, "replica")
            )
        }
        ProblemClass::NotPulling | ProblemClass::Degraded | ProblemClass::ReportedBefore => {
            format!("{}, for {lasted}", problem_line(problem.class, code))
        }
        ProblemClass::Reported | ProblemClass::Unrecoverable | ProblemClass::Unknown => {
            problem_line(problem.class, code)
        }
    };
    Reason {
        code: code.clone(),
        summary,
        message: problem.message.clone(),
    }
}

/// A problem as one line.
pub(crate) fn problem_line(class: ProblemClass, code: &str) -> String {
    match class {
        ProblemClass::Reported => format!("the platform reports an error: {code}"),
        ProblemClass::ReportedBefore => {
            format!("the platform reports an error, perhaps of an older deployment: {code}")
        }
        ProblemClass::Unrecoverable => format!("the container's configuration is invalid: {code}"),
        ProblemClass::Crashing => format!("its code crashes: {code}"),
        ProblemClass::NotPulling if code.to_lowercase().contains("pull") => {
            format!("its image cannot be pulled: {code}")
        }
        ProblemClass::NotPulling => format!("its container cannot be created: {code}"),
        ProblemClass::Degraded => format!("the platform calls it degraded: {code}"),
        ProblemClass::Unknown => {
            format!("the platform gives a reason that is unknown here: {code}")
        }
    }
}

/// An ending without proof: the problem of the newest answer is the best explanation there is.
fn pending(code: &str, summary: String, facts: &Facts<'_>) -> Reason {
    let reason = match facts.problem {
        Some(problem) if problem.class == ProblemClass::ReportedBefore => Reason {
            code: code.to_owned(),
            summary: format!("{summary}; {}", problem_line(problem.class, &problem.code)),
            message: problem.message.clone(),
        },
        Some(problem) => Reason {
            code: problem.code.clone(),
            summary: format!("{summary}, with {}", problem.code),
            message: problem.message.clone(),
        },
        None => plain(code, summary),
    };
    serving(reason, facts)
}

fn superseded(by: &str, facts: &Facts<'_>) -> Reason {
    let target = facts.target.unwrap_or("the target");
    let summary = format!("deployment {by} took the place of {target}");
    // What a roll-back was about is worth more than that there was one.
    match facts.last_problem {
        Some(problem) => Reason {
            code: "Superseded".to_owned(),
            summary: format!(
                "{summary}; before that, {}",
                problem_line(problem.class, &problem.code)
            ),
            message: problem.message.clone(),
        },
        None => plain("Superseded", summary),
    }
}

/// The push that was to bring the target has brought none.
fn push_failed(push: &LatestDeploy) -> Reason {
    let (code, ended) = match push.status.as_deref() {
        Some("cancelled") => ("PushCancelled", "was cancelled"),
        _ => ("PushFailed", "failed"),
    };
    let commit = push.commit_sha.as_deref().map(short_commit);
    let of = commit.map_or(String::new(), |commit| format!(" of commit {commit}"));
    let reason = push.reason.as_deref().filter(|reason| !reason.is_empty());
    let first_line = reason.and_then(|reason| reason.lines().next());
    let why = first_line.map_or(String::new(), |why| format!(": {why}"));
    Reason {
        code: code.to_owned(),
        summary: format!("the deploy{of} {ended} before there was a deployment{why}"),
        message: reason.map(str::to_owned),
    }
}

/// The first characters of a commit, as git shows it.
fn short_commit(sha: &str) -> String {
    sha.chars().take(12).collect()
}

fn unchanged_revision(running: &str) -> String {
    format!("the deploy changed no revision: that of deployment {running} serves it")
}

fn unchanged(facts: &Facts<'_>) -> String {
    let desired = facts.latest.and_then(AgentDetails::desired);
    let Some(desired) = desired else {
        return "the agent has no deployment".to_owned();
    };
    match facts.rule {
        TargetRule::Deployment(id) => {
            format!("deployment {id} never was the desired one; {desired} is")
        }
        TargetRule::Commit(sha) | TargetRule::Pushed(sha) => {
            let deployed = facts
                .latest
                .and_then(|details| details.deployed_commit.as_deref());
            let deployed = match deployed {
                Some(deployed) => format!("commit {} is deployed", short_commit(deployed)),
                None => "the platform names no commit that is deployed".to_owned(),
            };
            format!(
                "no deployment of commit {} came; {deployed}",
                short_commit(sha)
            )
        }
        TargetRule::Deploy | TargetRule::NewerThan(_) | TargetRule::FirstSeen => {
            let created = match (facts.desired_created_at, facts.deploy_began) {
                (Some(created), Some(began)) => {
                    format!(" (created at {created:.0}, before the deploy at {began:.0})")
                }
                (Some(created), None) => format!(" (created at {created:.0})"),
                (None, _) => String::new(),
            };
            format!("no new deployment came: {desired}{created} still is the desired one")
        }
    }
}

fn interrupted(interruption: Interruption, facts: &Facts<'_>) -> Reason {
    let how = match interruption {
        Interruption::Interrupt => "interrupted (SIGINT)",
        Interruption::Terminate => "terminated (SIGTERM)",
        Interruption::Hangup => "the terminal is gone (SIGHUP)",
        Interruption::FailFast => "stopped, because another agent is not ready (--fail-fast)",
    };
    let summary = format!(
        "{how} after {}: {}",
        short_duration(facts.waited),
        facts.phase
    );
    match facts.problem {
        Some(problem) => Reason {
            code: "Interrupted".to_owned(),
            summary: format!("{summary}; {}", problem_line(problem.class, &problem.code)),
            message: problem.message.clone(),
        },
        None => plain("Interrupted", summary),
    }
}

fn timed_out(facts: &Facts<'_>) -> String {
    let limits = facts.limits;
    let ready = facts.latest.is_some_and(|details| details.ready) && facts.phase == Phase::Active;
    match facts.ready_for {
        _ if limits.timeout.is_zero() => format!("not ready yet: {}", facts.phase),
        _ if !facts.settled => {
            "too few answers show that this is the new deployment and not one from before"
                .to_owned()
        }
        Some(_) if limits.until == Until::Drained && facts.phase == Phase::Draining => {
            format!(
                "ready, but {} after {}",
                drains(facts),
                short_duration(facts.waited)
            )
        }
        Some(held) if held < limits.stable_for => format!(
            "ready for only {} of {}",
            short_duration(held),
            short_duration(limits.stable_for)
        ),
        Some(held) if !limits.stable_for.is_zero() => format!(
            "ready for {}, but the answers do not show that it lasted for {}",
            short_duration(held),
            short_duration(limits.stable_for)
        ),
        Some(_) if limits.until == Until::Warm => {
            "ready, but with fewer replicas than the agent keeps at least".to_owned()
        }
        None if ready && limits.new_revision == NewRevision::Required => {
            "ready, but no answer shows that it runs on a revision of its own".to_owned()
        }
        Some(_) | None => format!(
            "not ready after {}: {} for {}",
            short_duration(facts.waited),
            facts.phase,
            short_duration(facts.phase_lasted)
        ),
    }
}

/// What of the older versions still serves.
fn drains(facts: &Facts<'_>) -> String {
    match facts.latest.and_then(|details| details.older_sessions) {
        Some(OlderSessions::Count(1)) => "1 call still runs on the old version".to_owned(),
        Some(OlderSessions::Count(calls @ 2..)) => {
            format!("{calls} calls still run on the old version")
        }
        Some(OlderSessions::Unknown) => {
            "it cannot be read whether calls still run on the old version".to_owned()
        }
        Some(OlderSessions::Count(0)) | None => "the previous revision still drains".to_owned(),
    }
}

/// A reason that also says whether anything serves meanwhile: the difference between late and down.
fn serving(reason: Reason, facts: &Facts<'_>) -> Reason {
    let old_is_there = facts.latest.is_some_and(|details| {
        let reconciled = details.reconciled_deployment_id.as_deref();
        details.previous_revision.is_some() || reconciled.is_some() && reconciled != facts.target
    });
    let serving = match facts.available {
        Some(true) if facts.ready_for.is_some() => "",
        Some(true) if old_is_there => "; the old version still serves",
        Some(true) => "; the agent still takes sessions",
        Some(false) => "; nothing serves: the agent takes no sessions",
        None => "",
    };
    Reason {
        summary: format!("{}{serving}", reason.summary),
        ..reason
    }
}
