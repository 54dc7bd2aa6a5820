//! The one table: what a steady answer comes to, for every kind of answer there is.
//!
//! - `recon`: whether the target is the reconciled deployment.
//! - `revision`: the current one is none (`-`), another deployment's in phase Failed (`o`), or the
//!   target's own: Creating, Validating, Active, Draining, Failed (their initials), unknown (`?`).
//! - `issue`: whether the current revision has an infrastructure issue.
//! - The columns: the health of the current revision, namely none, running, crashing below and at
//!   the limit, an image that does not come, a container that cannot be made as described, an
//!   unknown reason; and without a health: `errors`, and the condition `Degraded`.
//! - A cell: the verdict, and the second in which it falls with a poll every second and the default
//!   limits. `time` is timeout and `infra` is infrastructure. Rows that are equal are one.

use serde_json::{Value, json};

use super::*;

const TABLE: &str = "
recon revision ready issue no health running   crash 2   crash 3   no image  wrong     unknown   errors    degraded
yes   -oCVAD?  yes   any   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0
yes   -o       no    any   time 600  time 600  time 600  time 600  time 600  time 600  time 600  failed 1  failed 20
yes   CVAD?    no    no    time 600  time 600  time 600  failed 0  failed 20 failed 1  time 600  failed 1  failed 20
yes   CVAD?    no    yes   infra 600 infra 600 infra 600 infra 600 infra 600 infra 600 infra 600 infra 1   infra 600
yes   F        yes   no    failed 2  failed 2  failed 2  failed 2  failed 2  failed 2  failed 2  failed 2  failed 2
yes   F        yes   yes   infra 2   infra 2   infra 2   infra 2   infra 2   infra 2   infra 2   infra 2   infra 2
yes   F        no    no    failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0
yes   F        no    yes   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0
no    any      any   any   time 600  time 600  time 600  time 600  time 600  time 600  time 600  time 600  time 600
";

const AXES: [&[&str]; 4] = [
    &["yes", "no"],
    &["-", "o", "C", "V", "A", "D", "F", "?"],
    &["yes", "no"],
    &["no", "yes"],
];

const TROUBLES: [&str; 9] = [
    "no health",
    "running",
    "crash 2",
    "crash 3",
    "no image",
    "wrong",
    "unknown",
    "errors",
    "degraded",
];

#[test]
fn a_steady_answer_comes_to_what_the_table_says() {
    let mut rows: Vec<Row> = keys()
        .map(|key| Row {
            cells: TROUBLES.map(|trouble| verdict(answer(key, trouble))),
            key: key.map(|word| vec![word]),
        })
        .collect();
    for axis in [3, 1, 2, 0] {
        rows = merged(rows, axis);
    }
    let lines = rows.iter().map(Row::line);
    let table: Vec<String> = [header()].into_iter().chain(lines).collect();
    let table = table.join("\n");
    assert!(
        table == TABLE.trim(),
        "expected:\n{}\n\nfound:\n{table}\n",
        TABLE.trim()
    );
}

#[test]
fn what_is_missing_and_what_is_null_is_read_as_the_same_answer() {
    for key in keys() {
        for trouble in TROUBLES {
            let Answer(details) = answer(key, trouble);
            let nulls = nulls(&details);
            let missing = without_nulls(nulls.clone());
            for spelled in [nulls, missing] {
                let read = AgentDetails::parse(spelled.to_string().as_bytes(), "a").unwrap();
                assert_eq!(read, details, "{spelled}");
            }
        }
    }
}

fn keys() -> impl Iterator<Item = [&'static str; 4]> {
    let [reconciled, revisions, ready, issue] = AXES.map(<[_]>::iter);
    reconciled.flat_map(move |r| {
        let (ready, issue) = (ready.clone(), issue.clone());
        revisions.clone().flat_map(move |v| {
            let issue = issue.clone();
            ready
                .clone()
                .flat_map(move |y| issue.clone().map(move |i| [*r, *v, *y, *i]))
        })
    })
}

fn answer([recon, revision, ready, issue]: [&str; 4], trouble: &str) -> Answer {
    let answer = if recon == "yes" {
        reconciled()
    } else {
        reconciling()
    };
    let answer = match revision {
        "-" => answer,
        "o" => answer.revision("old", Told::Failed),
        "C" => answer.own(Told::Creating),
        "V" => answer.own(Told::Validating),
        "A" => answer.own(Told::Active),
        "D" => answer.own(Told::Draining),
        "F" => answer.own(Told::Failed),
        _ => answer.own(Told::Unknown("Shiny".to_owned())),
    };
    let answer = if ready == "yes" {
        answer.ready()
    } else {
        answer
    };
    let health = match trouble {
        "running" => Some(Health {
            state: Some(ContainerState::Running),
            ..Health::default()
        }),
        "crash 2" => Some(waiting("CrashLoopBackOff", 2)),
        "crash 3" => Some(waiting("CrashLoopBackOff", 3)),
        "no image" => Some(waiting("ImagePullBackOff", 0)),
        "wrong" => Some(waiting("InvalidImageName", 0)),
        "unknown" => Some(waiting("SolarFlare", 99)),
        _ => None,
    };
    let answer = answer.with(|a| {
        if let Some(revision) = &mut a.current_revision {
            revision.health = health;
            revision.has_infrastructure_issue = issue == "yes";
        }
    });
    match trouble {
        "errors" => answer.error("Quota", "too many"),
        "degraded" => answer.degraded("True"),
        _ => answer,
    }
}

fn verdict(answer: Answer) -> String {
    let answer = Observation::from(answer);
    let mut watch = watch();
    for second in 0.. {
        if let Some(verdict) = watch.see(second * 1000, answer.clone()).verdict() {
            let word = match verdict {
                Verdict::Infrastructure => "infra",
                Verdict::Timeout => "time",
                verdict => verdict.as_str(),
            };
            return format!("{word} {second}");
        }
    }
    unreachable!("every watch ends")
}

struct Row {
    key: [Vec<&'static str>; 4],
    cells: [String; 9],
}

impl Row {
    fn line(&self) -> String {
        let mut words = AXES
            .iter()
            .zip(&self.key)
            .map(|(axis, key)| match key.len() {
                all if all == axis.len() => "any".to_owned(),
                _ => key.concat(),
            });
        let key = [(); 4].map(|()| words.next().unwrap());
        line(&key, &self.cells)
    }
}

fn header() -> String {
    let key = ["recon", "revision", "ready", "issue"].map(str::to_owned);
    line(&key, &TROUBLES.map(str::to_owned))
}

fn line([recon, revision, ready, issue]: &[String; 4], cells: &[String; 9]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<9}")).collect();
    let line = format!(
        "{recon:<5} {revision:<8} {ready:<5} {issue:<5} {}",
        cells.join(" ")
    );
    line.trim_end().to_owned()
}

/// Rows that differ along this axis alone become one.
fn merged(rows: Vec<Row>, axis: usize) -> Vec<Row> {
    let mut merged: Vec<Row> = Vec::new();
    for row in rows {
        let same = merged.iter_mut().find(|other| {
            let equal = |i: usize| i == axis || other.key[i] == row.key[i];
            other.cells == row.cells && (0..4).all(equal)
        });
        match same {
            Some(other) => other.key[axis].extend(&row.key[axis]),
            None => merged.push(row),
        }
    }
    merged
}

/// The answer as JSON in which all that says nothing is null.
fn nulls(details: &AgentDetails) -> Value {
    let mut json = json(details);
    let nothing = |json: &mut Value, keys: &[&str]| {
        for key in keys {
            if matches!(json[key], Value::Null | Value::Bool(false)) {
                json[key] = Value::Null;
            }
        }
    };
    nothing(
        &mut json,
        &["ready", "errors", "conditions", "activeDeploymentReady"],
    );
    let revision = &mut json["currentRevision"];
    if revision.is_object() {
        nothing(revision, &["hasInfrastructureIssue"]);
        if revision["health"].is_object() {
            nothing(
                &mut revision["health"],
                &["reason", "message", "lastExitCode"],
            );
        }
    }
    json
}

fn json(details: &AgentDetails) -> Value {
    let revision = details.current_revision.as_ref().map(|revision| {
        let health = revision.health.as_ref().map(|health| {
            let state = health.state.as_ref().map(|state| format!("{state:?}"));
            json!({ "state": state, "restartCount": health.restart_count,
                "replicasStarted": health.replicas_started, "reason": health.reason,
                "message": health.message })
        });
        json!({ "deploymentID": revision.deployment_id, "health": health,
            "phase": revision.phase.as_ref().map(Told::as_str),
            "hasInfrastructureIssue": revision.has_infrastructure_issue })
    });
    let errors = details.errors.iter();
    let errors: Vec<Value> = errors
        .map(|error| json!({ "code": error.code, "message": error.message }))
        .collect();
    let conditions = details.conditions.iter();
    let conditions: Vec<Value> = conditions
        .map(|condition| {
            json!({ "type": condition.kind, "status": condition.status,
                "reason": condition.reason, "message": condition.message })
        })
        .collect();
    json!({ "desiredDeploymentId": details.desired_deployment_id,
        "reconciledDeploymentId": details.reconciled_deployment_id, "ready": details.ready,
        "currentRevision": revision, "errors": errors, "conditions": conditions })
}

fn without_nulls(json: Value) -> Value {
    match json {
        Value::Object(fields) => {
            let told = fields.into_iter().filter(|(_, value)| !value.is_null());
            told.map(|(key, value)| (key, without_nulls(value)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
