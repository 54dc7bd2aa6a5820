//! Literal answers of the API, written in words.

use jiff::Timestamp;

use super::{Duration, Failure, FailureClass, Observation};
use crate::core::wire::{
    AgentDetails, AgentError, Condition, ContainerState, Deployment, Health, LatestDeploy,
    OlderSessions, Revision,
};

/// The server's clock when a watch begins, in the seconds in which answers give their dates.
const SERVER_START: i64 = 1000;

/// A moment by the server's clock; a watch begins at 1000.
pub(super) fn second(text: &str) -> Timestamp {
    let second: i64 = text.parse().unwrap();
    Timestamp::from_second(1_750_000_000 + second).unwrap()
}

/// The Date of an answer that comes at `at`: whole seconds.
pub(super) fn server_date(at: Duration) -> Timestamp {
    second(&(SERVER_START + at.as_secs().cast_signed()).to_string())
}

/// An answer in words: a status (`404`, `503`, `503+60` with a Retry-After, `401`, `302`, `cert`), or
/// `desired/reconciled` and then any of
/// - `ready`, `up` and `down` (available or not), `min=2`, `sessions=3`
/// - `Creating`, `old:Failed`, `:Failed`: the current revision, the desired deployment's, another's,
///   or one that names none; `readies=2`: its ready replicas; `issue`: the platform's own
/// - `OOMKilled*3/2`: the code waits for that reason, with 3 restarts of 2 replicas; `run*3`: it runs;
///   `dead*3`: it was terminated; `odd:PostStartHookError*3`: in an unknown state; `says=429`: its text
/// - `prev`, `prev=none-ready`, `prev=current`: the previous revision, another one (of which no replica
///   is ready) or the very same
/// - `c900`, `u900`, `r900`: the deployment's creation, the agent's and the deployment's change
/// - `date=900`: the Date header
/// - `err=PCC_X`, `err=PCC_X@id`, `degraded`, `degraded=Why`, `condition=False`
pub(super) fn answer(words: &str) -> Observation {
    let (first, rest) = words.split_once(' ').unwrap_or((words, ""));
    let Some((desired, reconciled)) = first.split_once('/') else {
        return status(first);
    };
    let id = |id: &str| (id != "-").then(|| id.to_owned());
    let mut details = AgentDetails {
        desired_deployment_id: id(desired),
        reconciled_deployment_id: id(reconciled),
        ..AgentDetails::default()
    };
    let mut date = None;
    for word in rest.split_whitespace() {
        match word.split_once('=') {
            Some(("date", at)) => date = Some(second(at)),
            _ => describe(&mut details, word),
        }
    }
    Observation::Details {
        details: Box::new(details),
        server_time: date,
    }
}

fn status(word: &str) -> Observation {
    let (status, pause) = word.split_once('+').unwrap_or((word, ""));
    let class = match status {
        "404" => return Observation::Absent(Some("Agent not found".to_owned())),
        "404-" => return Observation::Absent(None),
        "401" | "403" => FailureClass::Unauthorized,
        "503" | "502" | "429" | "reset" => FailureClass::Transient {
            retry_after: pause.parse().ok().map(Duration::from_secs),
        },
        _ => FailureClass::Refused,
    };
    Observation::Failed(Failure {
        class,
        code: format!("Http{status}"),
        summary: format!("the API said {status}"),
        request_id: Some(format!("request-{status}")),
    })
}

fn old_revision() -> Revision {
    Revision {
        deployment_id: Some("old".to_owned()),
        ..Revision::default()
    }
}

fn describe(details: &mut AgentDetails, word: &str) {
    let date = |digits: &str| Some(second(digits));
    match word.split_once('=') {
        Some(("min", n)) => return details.min_replicas = n.parse().ok(),
        Some(("sessions", n)) => return details.active_session_count = n.parse().ok(),
        Some(("readies", n)) => return revision(details).ready_replicas = n.parse().ok(),
        Some(("says", text)) => {
            return health(details).message = Some(text.replace('_', " "));
        }
        Some(("exit", code)) => return health(details).last_exit_code = code.parse().ok(),
        Some(("err", error)) => return details.errors.push(listed_error(error)),
        Some(("older", count)) => {
            let count = count.parse().map(OlderSessions::Count);
            return details.older_sessions = Some(count.unwrap_or(OlderSessions::Unknown));
        }
        Some(("deployed", sha)) => return details.deployed_commit = Some(sha.to_owned()),
        Some(("push", push)) => return details.latest_deploy = Some(latest_push(push)),
        Some(("degraded", reason)) => return details.conditions.push(degraded("True", reason)),
        Some(("condition", status)) => return details.conditions.push(degraded(status, "Why")),
        Some(("prev", "none-ready")) => {
            details.previous_revision = Some(Revision {
                ready_replicas: Some(0),
                ..old_revision()
            });
            return;
        }
        Some(("prev", _)) => {
            details
                .previous_revision
                .clone_from(&details.current_revision);
            return;
        }
        _ => {}
    }
    match word {
        "ready" => details.ready = true,
        "up" => details.available = Some(true),
        "down" => details.available = Some(false),
        "auto" => details.auto_deploy = Some(true),
        "issue" => revision(details).has_infrastructure_issue = true,
        "degraded" => details.conditions.push(degraded("True", "Why")),
        "prev" => {
            details.previous_revision = Some(old_revision());
        }
        _ if word.contains('*') => crash(details, word),
        _ => match word.split_at(1) {
            ("c", second) if is_number(second) => record(details).created_at = date(second),
            ("r", second) if is_number(second) => record(details).updated_at = date(second),
            ("u", second) if is_number(second) => details.updated_at = date(second),
            _ => {
                let own = details.desired_deployment_id.clone().unwrap_or_default();
                let (id, phase) = word.split_once(':').unwrap_or((&own, word));
                let revision = details.current_revision.get_or_insert_default();
                revision.deployment_id = (!id.is_empty()).then(|| id.to_owned());
                revision.phase = Some(phase.into());
            }
        },
    }
}

/// `Reason*restarts/replicas`, the state before a colon where it is not Waiting.
fn crash(details: &mut AgentDetails, word: &str) {
    let (what, counts) = word.split_once('*').unwrap();
    let (restarts, replicas) = counts.split_once('/').unwrap_or((counts, "1"));
    let (state, reason) = match what {
        "run" => (ContainerState::Running, None),
        "dead" => (ContainerState::Terminated, None),
        _ => match what.split_once(':') {
            Some(("dead", reason)) => (ContainerState::Terminated, Some(reason)),
            Some(("run", reason)) => (ContainerState::Running, Some(reason)),
            Some((odd, reason)) => (ContainerState::Unknown(odd.to_owned()), Some(reason)),
            None => (ContainerState::Waiting, Some(what)),
        },
    };
    *health(details) = Health {
        state: Some(state),
        reason: reason.map(str::to_owned),
        restart_count: restarts.parse().ok(),
        replicas_started: replicas.parse().ok(),
        message: Some("Traceback".to_owned()),
        ..Health::default()
    };
}

/// `id:status:commit`, and a reason after one more colon.
fn latest_push(word: &str) -> LatestDeploy {
    let mut parts = word.splitn(4, ':').map(|part| Some(part.to_owned()));
    LatestDeploy {
        id: parts.next().flatten(),
        status: parts.next().flatten(),
        commit_sha: parts.next().flatten(),
        reason: parts.next().flatten(),
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

/// The current revision; the desired deployment's, where nothing was said of it yet.
fn revision(details: &mut AgentDetails) -> &mut Revision {
    let own = details.desired_deployment_id.clone();
    details.current_revision.get_or_insert_with(|| Revision {
        deployment_id: own,
        ..Revision::default()
    })
}

fn health(details: &mut AgentDetails) -> &mut Health {
    revision(details).health.get_or_insert_default()
}

fn record(details: &mut AgentDetails) -> &mut Deployment {
    let id = details.desired_deployment_id.clone();
    let record = details.deployment.get_or_insert_default();
    record.id = id;
    record
}

fn listed_error(word: &str) -> AgentError {
    let (code, id) = word.split_once('@').unwrap_or((word, ""));
    AgentError {
        code: Some(code.to_owned()),
        message: Some(format!("about {code}")),
        deployment_id: (!id.is_empty()).then(|| id.to_owned()),
    }
}

fn degraded(status: &str, reason: &str) -> Condition {
    Condition {
        kind: Some("Degraded".to_owned()),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some("2 pods are pending".to_owned()),
    }
}
