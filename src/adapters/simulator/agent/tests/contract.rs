//! Every answer of every built-in scenario has the fields and types of the contract.

use super::*;

/// The type of a field in the contract; it may be left out, but be null only where that is said.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// RFC 3339, in UTC.
    TimeOfDay,
    Flag,
    Number,
    Object(&'static [(&'static str, Kind)]),
    OneOf(&'static [&'static str]),
    Texts,
    Nullable(&'static Kind),
}

use Kind::{Flag, Nullable, Number, Object, OneOf, Text, Texts, TimeOfDay};

const SCALING: Kind = Object(&[("maxReplicas", Number), ("minReplicas", Number)]);
const HEALTH: Kind = Object(&[
    ("ready", Flag),
    ("state", OneOf(&["running", "waiting", "terminated"])),
    ("restartCount", Number),
    ("replicasStarted", Number),
    ("reason", Text),
    ("lastExitCode", Number),
    ("lastTerminationReason", Text),
    ("message", Text),
]);
const REVISION: Kind = Object(&[
    ("deploymentID", Text),
    (
        "phase",
        OneOf(&["Creating", "Validating", "Active", "Draining", "Failed"]),
    ),
    ("readyReplicas", Number),
    ("phaseStartedAt", TimeOfDay),
    ("health", HEALTH),
    ("hasInfrastructureIssue", Flag),
]);
const SPEC: Kind = Object(&[
    ("dailyNodeType", Text),
    ("image", Text),
    ("autoScaling", SCALING),
    ("imagePullSecretName", Text),
    ("envFromSecretNames", Texts),
    ("resources", Object(&[("cpu", Text), ("memory", Text)])),
    ("krispViva", Object(&[("audioFilters", Flag)])),
]);
const MANIFEST: Kind = Object(&[
    ("apiVersion", Text),
    ("kind", Text),
    ("metadata", Object(&[("name", Text), ("namespace", Text)])),
    ("spec", SPEC),
]);
const DETAILS: Kind = Object(&[
    ("name", Text),
    ("region", Text),
    ("ready", Flag),
    ("available", Flag),
    ("createdAt", TimeOfDay),
    ("updatedAt", TimeOfDay),
    ("desiredDeploymentId", Text),
    ("activeDeploymentId", Text),
    ("reconciledDeploymentId", Text),
    ("activeDeploymentReady", Flag),
    ("autoScaling", SCALING),
    ("activeSessionCount", Number),
    (
        "deployment",
        Object(&[
            ("id", Text),
            ("manifest", MANIFEST),
            ("serviceId", Text),
            ("createdAt", TimeOfDay),
            ("updatedAt", TimeOfDay),
        ]),
    ),
    ("agentProfile", Nullable(&Text)),
    ("currentRevision", Nullable(&REVISION)),
    ("previousRevision", Nullable(&REVISION)),
]);

#[test]
fn every_answer_of_every_built_in_is_in_the_contracts_form() {
    for name in Scenario::built_in_names() {
        let agent = {
            let mut agent = agent_of(built_in(name), Start::AtFirstRead);
            let _ = agent.read(seconds(0.0));
            agent
        };
        let moments = (0..60).map(|second| Some(Duration::from_secs(second)));
        for at in std::iter::once(None).chain(moments) {
            let Ok(details) = agent.details(at) else {
                continue;
            };
            let place = format!("{name} {at:?}");
            check(&place, &details, DETAILS);
            let Object(fields) = DETAILS else {
                unreachable!()
            };
            let optional = ["desiredDeploymentId", "reconciledDeploymentId"];
            for (field, _) in fields {
                let there = details.get(field).is_some();
                assert!(there || optional.contains(field), "{place}: no {field}");
            }
        }
    }
}

fn check(place: &str, value: &Value, kind: Kind) {
    let fits = match kind {
        Text => value.is_string(),
        TimeOfDay => value
            .as_str()
            .is_some_and(|text| text.ends_with('Z') && text.parse::<Timestamp>().is_ok()),
        Flag => value.is_boolean(),
        Number => value.is_u64(),
        OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Texts => value
            .as_array()
            .is_some_and(|all| all.iter().all(Value::is_string)),
        Nullable(_) if value.is_null() => true,
        Nullable(kind) => return check(place, value, *kind),
        Object(fields) => {
            let object = value
                .as_object()
                .unwrap_or_else(|| panic!("{place}: {value}"));
            for (key, value) in object {
                let kind = fields.iter().find(|(known, _)| known == key);
                let (_, kind) = kind.unwrap_or_else(|| panic!("{place}: unknown {key}"));
                check(&format!("{place} {key}"), value, *kind);
            }
            true
        }
    };
    assert!(fits, "{place}: {value}");
}
