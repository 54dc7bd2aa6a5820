//! Every combination of the fields that matter in one answer.

use serde_json::{Value, json};

use crate::alphabet::{NEWER, OLD, Symbol, TARGET, of_json};

/// Deployments, or none.
const IDS: [Option<&str>; 4] = [None, Some(OLD), Some(TARGET), Some(NEWER)];
const PHASES: [Option<&str>; 6] = [
    None,
    Some("Creating"),
    Some("Validating"),
    Some("Active"),
    Some("Failed"),
    Some("Meditating"),
];
/// What a container is waiting for, and how often it was started anew.
const AILS: [Option<(&str, u64)>; 6] = [
    None,
    Some(("CrashLoopBackOff", 1)),
    Some(("CrashLoopBackOff", 3)),
    Some(("ImagePullBackOff", 0)),
    Some(("InvalidImageName", 0)),
    Some(("NoIdea", 9)),
];
/// What stands beside the revision, each with it or without: four switches, and the date of the
/// desired deployment.
const BESIDE: u32 = 5;

/// Every so many-th of all combinations.
pub(crate) fn every_answer(step: usize) -> Vec<Symbol> {
    let revisions = revisions();
    let sizes = [IDS.len(), IDS.len(), revisions.len(), 1 << BESIDE];
    let all: usize = sizes.iter().product();
    let mut symbols = Vec::new();
    for number in (0..all).step_by(step) {
        let mut rest = number;
        let [desired, reconciled, revision, beside] = sizes.map(|size| {
            let place = rest % size;
            rest /= size;
            place
        });
        let body = answer(IDS[desired], IDS[reconciled], &revisions[revision], beside);
        symbols.push(Symbol {
            name: body.to_string(),
            observation: of_json(&body),
        });
    }
    symbols
}

/// Every revision there can be, and none.
fn revisions() -> Vec<Value> {
    let mut revisions = vec![Value::Null];
    for id in [OLD, TARGET, NEWER] {
        for phase in PHASES {
            for ails in AILS {
                for issue in [false, true] {
                    let health = ails.map(|(reason, restarts)| {
                        json!({ "state": "waiting", "reason": reason, "restartCount": restarts,
                            "replicasStarted": 1 })
                    });
                    revisions.push(
                        json!({ "deploymentID": id, "phase": phase, "health": health,
                        "hasInfrastructureIssue": issue }),
                    );
                }
            }
        }
    }
    revisions
}

fn answer(
    desired: Option<&str>,
    reconciled: Option<&str>,
    revision: &Value,
    beside: usize,
) -> Value {
    let [ready, errors, degraded, previous, dated] =
        [0, 1, 2, 3, 4].map(|bit| beside >> bit & 1 == 1);
    let mut body = json!({
        "name": "a", "ready": ready, "desiredDeploymentId": desired,
        "reconciledDeploymentId": reconciled, "currentRevision": revision,
    });
    let hour = IDS.iter().position(|id| *id == desired).unwrap();
    if dated {
        body["deployment"] =
            json!({ "id": desired, "createdAt": format!("2026-11-23T0{hour}:00:00Z") });
    }
    if errors {
        body["errors"] = json!([{ "code": "E" }]);
    }
    if degraded {
        body["conditions"] = json!([{ "type": "Degraded", "status": "True" }]);
    }
    if previous {
        body["previousRevision"] = json!({ "deploymentID": OLD, "phase": "Failed" });
    }
    body
}
