//! Why a watch ended, in a sentence.

use std::time::Duration;

use jiff::Timestamp;

use super::count;
use crate::core::rollout::{
    Ending, Indication, Interruption, Limits, NewRevision, Outcome, Phase, Problem, ProblemClass,
    Proof, Reason, StepBack, TargetRule, Until, Verdict, View,
};
use crate::core::text::short_duration;
use crate::core::wire::{AgentDetails, Health, LatestDeploy, OlderSessions};

/// What is known when a watch ends.
pub(crate) struct Facts<'a> {
    pub(crate) at: Duration,
    pub(crate) limits: &'a Limits,
    pub(crate) rule: &'a TargetRule,
    /// The report, but for its reason.
    pub(crate) report: &'a Outcome,
    /// What was to be seen last.
    pub(crate) view: &'a View,
    pub(crate) target: Option<&'a str>,
    /// Whether the target is known to be the one that is meant.
    pub(crate) settled: bool,
    /// When the deploy command was started, by the server's clock.
    pub(crate) deploy_began: Option<Timestamp>,
    /// When the deployment was created that is desired now.
    pub(crate) desired_created_at: Option<Timestamp>,
    /// The newest details that were believed.
    pub(crate) latest: Option<&'a AgentDetails>,
    /// The health of the target's own revision.
    pub(crate) health: Option<&'a Health>,
    /// What was wrong with the target last, also when it is over.
    pub(crate) last_problem: Option<&'a Problem>,
    /// What the API said with its 404.
    pub(crate) absent_message: Option<&'a str>,
}

impl Facts<'_> {
    /// Whether the target was ready last; it may have had to be more than that.
    fn is_ready(&self) -> bool {
        let is_said = self.latest.is_some_and(|details| details.ready);
        is_said && matches!(self.view.phase, Phase::Active | Phase::Draining)
    }
}

/// Why a watch ended so; none when ready.
pub(crate) fn reason(ending: &Ending, facts: &Facts<'_>) -> Option<Reason> {
    let mut reason = match &ending.shown {
        Some((indication, lasted)) => reason_shown(indication, *lasted, facts),
        None => reason_of_time(ending.verdict, facts),
    }?;
    if facts.report.verdict == Verdict::Infrastructure {
        reason
            .summary
            .push_str("; the platform reports an infrastructure issue of its own");
    }
    Some(reason)
}

/// Why a watch ended with what answers have shown for so long.
fn reason_shown(indication: &Indication, lasted: Duration, facts: &Facts<'_>) -> Option<Reason> {
    Some(match indication {
        Indication::Unauthorized { .. } | Indication::Refused { .. } => unanswered(facts),
        Indication::Deleted => absent(
            "Deleted",
            "the agent was deleted during the watch (404)",
            facts,
        ),
        Indication::PhaseFailed | Indication::Contradiction => serving(phase_failed(facts), facts),
        Indication::Problem(problem) => serving(of_problem(problem, lasted, facts), facts),
        Indication::RevisionUnchanged { running } => {
            Reason::new("RevisionUnchanged", unchanged_revision(running))
        }
        Indication::Unmoved(_) => {
            let (lasted, phase) = (short_duration(lasted), facts.view.phase);
            let summary = format!("nothing has moved for {lasted}: {phase}");
            pending("Stalled", summary, facts)
        }
        Indication::PushFailed(push) => push_failed(push),
        Indication::Superseded { by, .. } => superseded(by, facts),
        // The others end nothing, or well.
        _ => return None,
    })
}

/// Why a watch ended with time, with the deploy command or with a person.
fn reason_of_time(verdict: Verdict, facts: &Facts<'_>) -> Option<Reason> {
    Some(match verdict {
        Verdict::Unauthorized | Verdict::Unavailable => unanswered(facts),
        Verdict::NotFound => absent("NotFound", not_found(facts), facts),
        Verdict::Unchanged => Reason::new(
            match facts.rule {
                TargetRule::Commit(_) | TargetRule::Pushed(_) => "CommitNotDeployed",
                _ => "Unchanged",
            },
            unchanged(facts),
        ),
        Verdict::CommandFailed(code) => Reason::new(
            "CommandFailed",
            format!("the deploy command failed with exit code {code}, and no new deployment came"),
        ),
        // A single check has no deadline that could have passed.
        Verdict::Timeout if facts.limits.timeout.is_zero() => {
            pending("NotReady", not_ready(facts), facts)
        }
        Verdict::Timeout => pending("DeadlineExceeded", timed_out(facts), facts),
        Verdict::Interrupted(interruption) => interrupted(interruption, facts),
        Verdict::Superseded => superseded(facts.latest?.desired()?, facts),
        // Time says nothing of these.
        Verdict::Ready | Verdict::Failed | Verdict::Stalled | Verdict::Infrastructure => {
            return None;
        }
    })
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
        // The others are shown otherwise, or not at all.
        _ => return None,
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

/// The API gave no usable answer: the last failure says why.
fn unanswered(facts: &Facts<'_>) -> Reason {
    let Some(outage) = &facts.view.outage else {
        return Reason::new("NoAnswer", "no usable answer came in time".to_owned());
    };
    let times = match outage.failed {
        0 | 1 => String::new(),
        times => format!(
            " ({times} failed polls in a row, over {})",
            short_duration(facts.at.saturating_sub(outage.since))
        ),
    };
    let failure = &outage.last;
    Reason::new(&failure.code, format!("{}{times}", failure.summary))
}

/// The agent is not there, in the API's words as well.
fn absent(code: &str, summary: &str, facts: &Facts<'_>) -> Reason {
    Reason {
        message: facts.absent_message.map(str::to_owned),
        ..Reason::new(code, summary.to_owned())
    }
}

fn not_found(facts: &Facts<'_>) -> &'static str {
    match facts.latest {
        Some(_) => "the agent is gone, and no other has appeared (404)",
        None => "there is no such agent (404)",
    }
}

/// The phase Failed, with the state of the code where it says why.
fn phase_failed(facts: &Facts<'_>) -> Reason {
    let health = facts.health;
    let reason = health.and_then(|health| {
        let last = health.last_termination_reason.as_ref();
        health.reason.as_ref().or(last)
    });
    // What was listed before may be an older deployment's.
    let is_own = |problem: &&Problem| problem.class != ProblemClass::ReportedBefore;
    let problem = facts.view.problem.as_ref().filter(is_own);
    let code = problem.map(|problem| &problem.code).or(reason);
    let headline = health.and_then(|health| health.headline.as_ref());
    let why = match headline.or(code) {
        Some(why) => format!(": {why}"),
        None => ", and the platform gives no reason".to_owned(),
    };
    let message = problem.and_then(|problem| problem.message.clone());
    Reason {
        code: code.map_or("PhaseFailed", String::as_str).to_owned(),
        summary: format!("its revision has failed{why}"),
        message: message.or_else(|| health?.message.clone()),
    }
}

/// What is wrong with the target, in a sentence.
fn of_problem(problem: &Problem, lasted: Duration, facts: &Facts<'_>) -> Reason {
    let health = facts.health;
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
    let reason = match &facts.view.problem {
        Some(problem) if problem.class != ProblemClass::ReportedBefore => Reason {
            message: problem.message.clone(),
            ..Reason::new(&problem.code, format!("{summary}, with {}", problem.code))
        },
        problem => beside(code, summary, "; ", problem.as_ref()),
    };
    serving(reason, facts)
}

/// An ending of its own, and the problem that there was beside it.
fn beside(code: &str, summary: String, link: &str, problem: Option<&Problem>) -> Reason {
    let Some(problem) = problem else {
        return Reason::new(code, summary);
    };
    let problem_line = problem_line(problem.class, &problem.code);
    Reason {
        message: problem.message.clone(),
        ..Reason::new(code, format!("{summary}{link}{problem_line}"))
    }
}

fn superseded(by: &str, facts: &Facts<'_>) -> Reason {
    let target = facts.target.unwrap_or("the target");
    let known = facts.report.baseline_deployment_id.as_deref();
    let summary = if known == Some(by) {
        format!("the previous deployment {by} was put back in place of {target}")
    } else {
        format!("deployment {by} took the place of {target}")
    };
    // What a roll-back was about is worth more than that there was one.
    beside("Superseded", summary, "; before that, ", facts.last_problem)
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
            let wanted = short_commit(sha);
            format!("no deployment of commit {wanted} came; {deployed}")
        }
        TargetRule::Deploy | TargetRule::NewerThan(_) | TargetRule::FirstSeen => {
            let created = match (facts.desired_created_at, facts.deploy_began) {
                (Some(created), Some(began)) => {
                    format!(" (created at {created:.0}, before the deploy at {began:.0})")
                }
                (Some(created), None) => format!(" (created at {created:.0})"),
                (None, _) => String::new(),
            };
            let known = facts.report.baseline_deployment_id.as_deref();
            let still = if known == Some(desired) { "still " } else { "" };
            format!("no new deployment came: {desired}{created} is {still}the desired one")
        }
    }
}

fn interrupted(interruption: Interruption, facts: &Facts<'_>) -> Reason {
    let how = match interruption {
        Interruption::Interrupt => "by SIGINT",
        Interruption::Terminate => "by SIGTERM",
        Interruption::Hangup => "by SIGHUP (the terminal is gone)",
        Interruption::FailFast => "another agent is not ready (--fail-fast)",
    };
    let summary = format!("{how}, while {}", facts.view.phase);
    beside("Interrupted", summary, "; ", facts.view.problem.as_ref())
}

/// What a single answer shows of a deployment that is not ready: it says nothing of before or after.
fn not_ready(facts: &Facts<'_>) -> String {
    let is_said_ready = facts.latest.is_some_and(|details| details.ready);
    match facts.view.phase {
        Phase::Active if !is_said_ready => {
            "the platform says that it is not ready, although its revision is active".to_owned()
        }
        Phase::Failed if is_said_ready => {
            "the platform says that it is ready, although its revision has failed".to_owned()
        }
        phase => phase.to_string(),
    }
}

fn timed_out(facts: &Facts<'_>) -> String {
    let limits = facts.limits;
    let phase = facts.view.phase;
    let waited = short_duration(facts.report.elapsed);
    let stable_for = short_duration(limits.stable_for);
    let held = (facts.view.ready_since).map(|since| facts.at.saturating_sub(since));
    match (held, facts.is_ready().then_some(limits.until)) {
        _ if !facts.settled => {
            "too few answers show that this is the new deployment and not one from before"
                .to_owned()
        }
        (Some(held), _) if held < limits.stable_for => {
            format!("ready for only {} of {stable_for}", short_duration(held))
        }
        (Some(held), _) if !limits.stable_for.is_zero() => {
            let held = short_duration(held);
            format!("ready for {held}, but the answers do not show that it lasted for {stable_for}")
        }
        (None, Some(Until::Drained)) if phase == Phase::Draining => {
            format!("ready, but {} after {waited}", drains(facts))
        }
        (None, Some(Until::Warm)) => {
            "ready, but with fewer replicas than the agent keeps at least".to_owned()
        }
        (None, Some(_)) if limits.new_revision == NewRevision::Required => {
            "ready, but no answer shows that it runs on a revision of its own".to_owned()
        }
        _ => {
            let lasted = short_duration(facts.at.saturating_sub(facts.view.phase_since));
            format!("not ready after {waited}: {phase} for {lasted}")
        }
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
    let serving = match facts.report.available {
        Some(true) if facts.is_ready() => "",
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
