//! The contract's example makes the round trip; odd values pass as design rule 10 says.

use serde_json::{Value, json};

use super::*;

/// The example of the contract, with a crash added so that every field of ours occurs.
fn example() -> Value {
    json!({
        "name": "voice-starter",
        "region": "us-west",
        "ready": true,
        "available": true,
        "createdAt": "2025-04-09T15:01:17.414Z",
        "updatedAt": "2025-04-18T20:29:19.181Z",
        "desiredDeploymentId": "4cab03c7-8f53-418d-9c3c-91a1265d179e",
        "activeDeploymentId": "4cab03c7-8f53-418d-9c3c-91a1265d179e",
        "reconciledDeploymentId": "4cab03c7-8f53-418d-9c3c-91a1265d179e",
        "activeDeploymentReady": true,
        "autoScaling": {"maxReplicas": 10, "minReplicas": 1},
        "activeSessionCount": 0,
        "deployment": {
            "id": "4cab03c7-8f53-418d-9c3c-91a1265d179e",
            "manifest": {
                "apiVersion": "pipecatcloud.daily.co/v1",
                "kind": "PCService",
                "metadata": {"name": "voice-starter", "namespace": "tiny-ferret-maroon-123"},
                "spec": {
                    "dailyNodeType": "arm",
                    "image": "your-dockername/voice-starter:0.1",
                    "autoScaling": {"minReplicas": 1, "maxReplicas": 10},
                    "imagePullSecretName": "dockerhub-credentials",
                    "envFromSecretNames": ["voice-starter-secrets"],
                    "resources": {"cpu": "500m", "memory": "1Gi"},
                    "krispModels": {"enabled": false},
                    "krispViva": {"audioFilters": true}
                }
            },
            "serviceId": "c359e1ea-64d6-4bcf-a7c6-28d3bd1c8909",
            "createdAt": "2025-04-18T20:29:19.177Z",
            "updatedAt": "2025-04-18T20:29:19.177Z"
        },
        "agentProfile": "agent-1x",
        "currentRevision": {
            "deploymentID": "4cab03c7-8f53-418d-9c3c-91a1265d179e",
            "phase": "Active",
            "readyReplicas": 1,
            "phaseStartedAt": "2025-04-18T20:30:00Z",
            "health": {
                "ready": true,
                "state": "running",
                "restartCount": 2,
                "replicasStarted": 1,
                "reason": "CrashLoopBackOff",
                "lastExitCode": 137,
                "lastTerminationReason": "OOMKilled",
                "message": "Traceback"
            },
            "hasInfrastructureIssue": true
        },
        "previousRevision": null,
        "errors": [{"code": "E1", "message": "m"}],
        "conditions": [{"type": "Degraded", "status": "True", "reason": "R", "message": "m"}]
    })
}

/// Whether every leaf of `part` stands in `whole` with the same value.
fn within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|other| within(value, other))),
        _ => part == whole,
    }
}

fn read(value: &Value) -> AgentDetails {
    AgentDetails::parse(value.to_string().as_bytes(), "voice-starter").unwrap()
}

#[test]
fn the_contracts_example_makes_the_round_trip() {
    let details = read(&example());
    let written = serde_json::to_value(&details).unwrap();
    assert!(within(&written, &example()), "{written:#}");
    assert_eq!(read(&written), details);

    let revision = details.current_revision.unwrap();
    assert_eq!(revision.phase, Some(RevisionPhase::Active));
    assert_eq!(revision.health.unwrap().last_exit_code, Some(137));
    assert_eq!(details.errors.len(), 1);
    assert_eq!(details.conditions[0].kind.as_deref(), Some("Degraded"));
}

#[test]
fn a_missing_ready_is_false_and_the_deprecated_flag_never_counts() {
    let details = read(&json!({"name": "voice-starter", "activeDeploymentReady": true}));
    assert!(!details.ready);
    let details = read(&json!({"name": "voice-starter", "ready": "true"}));
    assert!(!details.ready);
}

#[test]
fn unknown_words_and_wrong_types_pass() {
    let mut odd = example();
    odd["currentRevision"]["phase"] = json!("Hibernating");
    odd["currentRevision"]["health"]["state"] = json!("levitating");
    odd["currentRevision"]["health"]["restartCount"] = json!(-3);
    odd["currentRevision"]["readyReplicas"] = json!(1.5);
    odd["currentRevision"]["phaseStartedAt"] = json!("yesterday");
    odd["previousRevision"] = json!("none");
    odd["errors"] = json!({});
    odd["conditions"] = json!([7, {"type": "Ready", "new": true}]);
    odd["region"] = json!(null);
    odd["brandNew"] = json!([{}]);
    let details = read(&odd);
    let revision = details.current_revision.unwrap();
    assert_eq!(
        revision.phase,
        Some(RevisionPhase::Unknown("Hibernating".to_owned()))
    );
    assert_eq!(
        (revision.ready_replicas, revision.phase_started_at),
        (None, None)
    );
    let health = revision.health.unwrap();
    assert_eq!(
        health.state,
        Some(ContainerState::Unknown("levitating".to_owned()))
    );
    assert_eq!(health.restart_count, None);
    assert_eq!(details.previous_revision, None);
    assert_eq!(details.errors, []);
    assert_eq!(details.conditions.len(), 1);
    assert!(details.ready);
}

#[test]
fn desired_falls_back_on_the_deprecated_name_and_an_empty_id_is_none() {
    let old = json!({"name": "voice-starter", "activeDeploymentId": "a"});
    assert_eq!(read(&old).desired(), Some("a"));
    let both =
        json!({"name": "voice-starter", "desiredDeploymentId": "d", "activeDeploymentId": "a"});
    assert_eq!(read(&both).desired(), Some("d"));
    let empty =
        json!({"name": "voice-starter", "desiredDeploymentId": "", "reconciledDeploymentId": ""});
    assert_eq!(
        (
            read(&empty).desired(),
            read(&empty).reconciled_deployment_id
        ),
        (None, None)
    );
}

#[test]
fn the_record_of_another_deployment_is_not_the_desired_ones() {
    assert!(read(&example()).desired_deployment().is_some());
    let mut other = example();
    other["deployment"]["id"] = json!("another");
    assert_eq!(read(&other).desired_deployment(), None);
}

#[test]
fn what_is_not_the_agent_is_refused() {
    let parse = |body: &str| AgentDetails::parse(body.as_bytes(), "voice-starter");
    let deep = "[".repeat(5000);
    for body in ["", "<html>", "{\"name\": \"voice-starter\"", &deep] {
        assert!(
            matches!(parse(body), Err(NotAnAgent::NotJson(_))),
            "{body:.20}"
        );
    }
    for body in [
        "{}",
        "[]",
        "null",
        "7",
        "\u{feff}[\"voice-starter\"]",
        r#"["voice-starter", null, true]"#,
        r#"{"error": "x", "code": "y"}"#,
        r#"{"name": 7}"#,
        r#"{"name": "", "ready": true}"#,
    ] {
        assert!(
            matches!(parse(body), Err(NotAnAgent::Unrecognisable)),
            "{body}"
        );
    }
    let another = r#"{"name": "other", "ready": true}"#;
    assert!(matches!(parse(another), Err(NotAnAgent::Another(name)) if name == "other"));
}

#[test]
fn errors_are_read_in_every_form_they_are_told_in() {
    let told = |errors: &str| {
        let body = format!("{{\"name\": \"a\", \"errors\": {errors}}}");
        AgentDetails::parse(body.as_bytes(), "a").unwrap().errors
    };
    let error = |code: Option<&str>, message: Option<&str>, deployment: Option<&str>| AgentError {
        code: code.map(str::to_owned),
        message: message.map(str::to_owned),
        deployment_id: deployment.map(str::to_owned),
    };
    assert_eq!(
        told(
            r#"[{"code": "A", "message": "m", "error": "e"}, {"error": "e"}, "words", {"code": 7}, 7,
                "", {"deploymentId": "d"}, {"deploymentID": "d"}]"#
        ),
        [
            error(Some("A"), Some("m"), None),
            error(None, Some("e"), None),
            error(None, Some("words"), None),
            error(None, None, None),
            error(None, None, Some("d")),
            error(None, None, Some("d")),
        ]
    );
    assert_eq!(told(r#"{"code": "A"}"#), [error(Some("A"), None, None)]);
    for nothing in ["{}", "\"none\"", "null", "false", "0", "[]"] {
        assert_eq!(told(nothing), [], "{nothing}");
    }
}

#[test]
fn a_message_that_was_cut_within_a_character_hides_nothing() {
    let cut = br#"{"name": "a", "desiredDeploymentId": "new", "currentRevision": {
        "deploymentID": "new", "phase": "Failed", "health": {"message": "Traceback \ud83d"}}}"#;
    let details = AgentDetails::parse(cut, "a").unwrap();
    let message = details
        .current_revision
        .and_then(|own| own.health)
        .and_then(|h| h.message);
    assert_eq!(message.as_deref(), Some("Traceback \u{fffd}"));
    let mut bytes = cut.to_vec();
    let place = bytes
        .windows(6)
        .position(|part| part == b"\\ud83d")
        .unwrap();
    bytes.splice(place..place + 6, [0xff]);
    assert!(AgentDetails::parse(&bytes, "a").is_ok());
    assert!(AgentDetails::parse(b"\xef\xbb\xbf{\"name\": \"a\"}", "a").is_ok());
    assert!(AgentDetails::parse(b"{\"name\": \"\\ud83d", "a").is_err());
}

#[test]
fn the_deployment_of_a_revision_is_read_in_either_spelling() {
    for (revision, expected) in [
        (r#"{"deploymentID": "x"}"#, Some("x")),
        (r#"{"deploymentId": "x"}"#, Some("x")),
        (r#"{"deploymentId": "y", "deploymentID": "x"}"#, Some("x")),
        (r#"{"deploymentId": "x", "deploymentID": ""}"#, Some("x")),
        (r#"{"phase": "Active"}"#, None),
    ] {
        let body = format!("{{\"name\": \"a\", \"currentRevision\": {revision}}}");
        let details = AgentDetails::parse(body.as_bytes(), "a").unwrap();
        let revision = details.current_revision.expect(&body);
        assert_eq!(revision.deployment_id.as_deref(), expected, "{body}");
    }
}

#[test]
fn a_revision_without_a_field_is_none_and_one_that_is_not_understood_is_there() {
    for (revision, expected) in [
        (json!({}), None),
        (json!(null), None),
        (json!("gone"), None),
        (
            json!({"id": "old", "replicas": 2}),
            Some(Revision::default()),
        ),
        (json!({"deploymentID": 7}), Some(Revision::default())),
    ] {
        let details = read(&json!({"name": "voice-starter", "previousRevision": revision}));
        assert_eq!(details.previous_revision, expected, "{revision}");
    }
}

#[test]
fn words_of_the_contract_count_in_whichever_case() {
    for (word, phase) in [
        ("ACTIVE", RevisionPhase::Active),
        ("failed", RevisionPhase::Failed),
        ("Creating", RevisionPhase::Creating),
        ("validating", RevisionPhase::Validating),
        ("dRAINING", RevisionPhase::Draining),
        ("Active ", RevisionPhase::Unknown("Active ".to_owned())),
    ] {
        assert_eq!(RevisionPhase::of_word(word), phase);
    }
    let state = |word: &str| {
        let mut body = example();
        body["currentRevision"]["health"]["state"] = json!(word);
        let health = read(&body).current_revision.unwrap().health;
        health.unwrap().state.unwrap()
    };
    assert_eq!(state("Running"), ContainerState::Running);
    assert_eq!(state("WAITING"), ContainerState::Waiting);
    assert_eq!(state("Terminated"), ContainerState::Terminated);
}

#[test]
fn an_answer_that_says_a_thing_twice_is_not_read() {
    let body = br#"{"name": "a", "currentRevision": {"phase": "Failed", "phase": "Active"}}"#;
    assert!(matches!(
        AgentDetails::parse(body, "a"),
        Err(NotAnAgent::NotJson(_))
    ));
}
