//! What can be observed: every combination of the fields that matter.
//!
//! Left out is what cannot make a difference: `available`, counts of replicas and sessions are only
//! shown, and while another deployment is reconciled all other fields are (rule 1), so that two
//! forms of them, well and crashing, stand for the rest.

use pipecat_rollout::fuzzing::rollout::{Failure, FailureClass, Observation};
use pipecat_rollout::fuzzing::wire::AgentDetails;
use serde_json::{Value, json};

pub(crate) const OLD: &str = "old";
pub(crate) const TARGET: &str = "target";
pub(crate) const NEWER: &str = "newer";
/// When the agent's record was changed, as all answers say but for an older one.
const RECORD: &str = "2026-11-23T10:00:00Z";

/// An observation, and what people call it.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) observation: Observation,
}

impl Symbol {
    pub(crate) fn details(&self) -> Option<&AgentDetails> {
        match &self.observation {
            Observation::Details { details, .. } => Some(details),
            Observation::Absent(_) | Observation::Failed(_) => None,
        }
    }
}

/// Everything that can be observed.
pub(crate) fn alphabet() -> Vec<Symbol> {
    let all = [around_it(), of_the_target(), beyond_it()]
        .into_iter()
        .flatten();
    all.map(|(name, observation)| Symbol {
        name: name.to_owned(),
        observation,
    })
    .collect()
}

/// The first so many of those that most rollouts are made of.
pub(crate) fn commonest(count: usize) -> Vec<Symbol> {
    const NAMES: [&str; 12] = [
        "lagging operator, old ready",
        "creating",
        "ready",
        "crashed thrice",
        "a transient error",
        "before, old ready",
        "a newer one is desired",
        "failed",
        "active, not ready",
        "absent",
        "ready and failed",
        "unauthorized",
    ];
    let named = &NAMES[..count];
    let mut symbols = alphabet();
    symbols.retain(|symbol| named.contains(&symbol.name.as_str()));
    assert_eq!(symbols.len(), count);
    symbols
}

/// The agent as it stands before a deploy.
pub(crate) fn before() -> Symbol {
    let mut symbols = alphabet();
    symbols.retain(|symbol| symbol.name == "before, old ready");
    symbols.remove(0)
}

type Named = (&'static str, Observation);

/// Before the deploy shows, and while the operator lags behind it.
fn around_it() -> Vec<Named> {
    let none = json!({});
    let well = revision(OLD, "Active", &none);
    let sick = revision(OLD, "Failed", &crashing(9));
    let both = json!({ "previousRevision": sick });
    vec![
        ("before, old ready", answer(OLD, OLD, true, &well, &none)),
        (
            "before, old crashing",
            answer(OLD, OLD, false, &sick, &none),
        ),
        (
            "lagging operator, old ready",
            answer(TARGET, OLD, true, &well, &none),
        ),
        (
            "lagging operator, old crashing",
            answer(TARGET, OLD, false, &sick, &both),
        ),
    ]
}

/// The target is reconciled.
fn of_the_target() -> Vec<Named> {
    let none = || json!({});
    let waiting = |reason| json!({ "state": "waiting", "reason": reason });
    let previous = json!({ "previousRevision": revision(OLD, "Failed", &crashing(9)) });
    let errors = json!({ "errors": [{ "code": "E", "message": "m" }] });
    let errors_of_old = json!({ "errors": [{ "code": "E", "deploymentId": OLD }] });
    let older = json!({ "updatedAt": "2026-11-23T09:00:00Z" });
    let degraded =
        json!({ "conditions": [{ "type": "Degraded", "status": "True", "reason": "R" }] });
    let mut platform = crashing(3);
    platform["hasInfrastructureIssue"] = true.into();
    let forms = [
        ("creating", false, "Creating", none(), none()),
        ("validating", false, "Validating", none(), none()),
        (
            "validating, by an older record",
            false,
            "Validating",
            none(),
            older,
        ),
        ("active, not ready", false, "Active", none(), none()),
        (
            "an unknown phase",
            false,
            "Meditating",
            waiting("NoIdea"),
            none(),
        ),
        ("ready", true, "Active", none(), none()),
        (
            "ready beside a previous one that crashes",
            true,
            "Active",
            none(),
            previous,
        ),
        ("failed", false, "Failed", none(), none()),
        ("ready and failed", true, "Failed", none(), none()),
        ("crashed once", false, "Validating", crashing(1), none()),
        ("crashed thrice", false, "Validating", crashing(3), none()),
        (
            "not pulled",
            false,
            "Creating",
            waiting("ImagePullBackOff"),
            none(),
        ),
        (
            "misnamed image",
            false,
            "Creating",
            waiting("InvalidImageName"),
            none(),
        ),
        ("errors", false, "Creating", none(), errors),
        (
            "errors about the old one",
            false,
            "Creating",
            none(),
            errors_of_old,
        ),
        ("degraded", false, "Creating", none(), degraded),
        (
            "crashed thrice, the platform has an issue",
            false,
            "Validating",
            platform,
            none(),
        ),
    ];
    forms
        .into_iter()
        .map(|(name, ready, phase, health, more)| {
            let own = revision(TARGET, phase, &health);
            (name, answer(TARGET, TARGET, ready, &own, &more))
        })
        .collect()
}

/// On another revision, another deployment, or no answer about any.
fn beyond_it() -> Vec<Named> {
    let none = json!({});
    let of = |deployment| revision(deployment, "Active", &json!({}));
    let failed = |class, code: &str| {
        Observation::Failed(Failure {
            class,
            code: code.to_owned(),
            summary: code.to_owned(),
            request_id: None,
        })
    };
    let transient = FailureClass::Transient { retry_after: None };
    vec![
        (
            "ready on the old revision",
            answer(TARGET, TARGET, true, &of(OLD), &none),
        ),
        (
            "a newer one is desired",
            answer(NEWER, TARGET, true, &of(TARGET), &none),
        ),
        (
            "the newer one is ready",
            answer(NEWER, NEWER, true, &of(NEWER), &none),
        ),
        (
            "nothing is desired",
            of_json(&json!({ "name": "a", "ready": false })),
        ),
        ("absent", Observation::Absent(None)),
        ("a transient error", failed(transient, "Http503")),
        (
            "unauthorized",
            failed(FailureClass::Unauthorized, "Http401"),
        ),
        ("a redirect", failed(FailureClass::Refused, "Http302")),
    ]
}

fn crashing(restarts: u64) -> Value {
    json!({ "state": "waiting", "reason": "CrashLoopBackOff", "restartCount": restarts,
            "replicasStarted": 1 })
}

fn revision(deployment: &str, phase: &str, health: &Value) -> Value {
    json!({ "deploymentID": deployment, "phase": phase, "health": health })
}

fn answer(
    desired: &str,
    reconciled: &str,
    ready: bool,
    revision: &Value,
    more: &Value,
) -> Observation {
    let hour = match desired {
        OLD => 1,
        TARGET => 2,
        _ => 3,
    };
    let mut body = json!({
        "name": "a", "ready": ready,
        "desiredDeploymentId": desired, "reconciledDeploymentId": reconciled,
        "deployment": { "id": desired, "createdAt": format!("2026-11-23T0{hour}:00:00Z") },
        "updatedAt": RECORD, "currentRevision": revision,
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    of_json(&body)
}

pub(crate) fn of_json(body: &Value) -> Observation {
    // Read from the answer's own text, as the client does.
    let details = AgentDetails::parse(body.to_string().as_bytes(), "a").unwrap();
    Observation::Details {
        details: Box::new(details),
        server_time: None,
    }
}
