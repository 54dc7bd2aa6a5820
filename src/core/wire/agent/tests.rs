//! Every field is read from the contract's example; odd values pass, and what is no agent does not.

use serde_json::{Value, json};

use super::*;
use crate::core::wire::{ContainerState, Health, RevisionPhase};

/// The example of the contract, with a crash and what only the vendor's clients read.
fn example() -> Value {
    json!({
        "name": "Voice-Starter",
        "region": "us-west",
        "ready": true,
        "available": true,
        "createdAt": "2025-04-09T15:01:17.414Z",
        "updatedAt": "2025-04-18T20:29:19.181Z",
        "desiredDeploymentId": "4CAB03C7-8f53-418d-9c3c-91a1265d179e",
        "activeDeploymentId": "4CAB03C7-8f53-418d-9c3c-91a1265d179e",
        "reconciledDeploymentId": "4cab03c7-8f53-418d-9c3c-91a1265d179e",
        "activeDeploymentReady": true,
        "autoScaling": {"maxReplicas": 10, "minReplicas": 1},
        "activeSessionCount": 3,
        "deployment": {
            "id": "4CAB03C7-8f53-418d-9c3c-91a1265d179e",
            "manifest": {
                "apiVersion": "pipecatcloud.daily.co/v1",
                "kind": "PCService",
                "metadata": {"name": "voice-starter", "namespace": "tiny-ferret-maroon-123"},
                "spec": {
                    "dailyNodeType": "arm",
                    "image": "your-dockername/voice-starter:0.1",
                    "autoScaling": {"minReplicas": 1, "maxReplicas": 10},
                }
            },
            "serviceId": "c359e1ea-64d6-4bcf-a7c6-28d3bd1c8909",
            "createdAt": "2025-04-18T20:29:19.177Z",
            "updatedAt": "2025-04-18T20:29:20Z"
        },
        "agentProfile": "agent-1x",
        "currentRevision": {
            "deploymentID": "4CAB03C7-8f53-418d-9c3c-91a1265d179e",
            "phase": "Active",
            "readyReplicas": 1,
            "phaseStartedAt": "2025-04-18T20:30:00Z",
            "health": {
                "ready": true,
                "state": "running",
                "restartCount": 2,
                "replicasStarted": 4,
                "reason": "CrashLoopBackOff",
                "lastExitCode": 137,
                "lastTerminationReason": "OOMKilled",
                "message": "Traceback",
                "headline": "Out of memory"
            },
            "hasInfrastructureIssue": true
        },
        "previousRevision": {"deploymentId": "OLD", "phase": "Draining"},
        "errors": [{"code": "E1", "message": "m", "deploymentId": "OLD"}],
        "conditions": [{"type": "Degraded", "status": "True", "reason": "R", "message": "m"}],
        "deployedCommit": {"sha": "c0ffee", "ref": "main"},
        "latestDeploy": {"id": "D-1", "status": "Building", "commitSha": "beef", "reason": "push"},
        "git": {"repoFullName": "acme/voice", "branch": "main", "autoDeploy": true}
    })
}

fn parse(body: &str) -> std::result::Result<AgentDetails, NotAnAgent> {
    AgentDetails::parse(body.as_bytes(), "a")
}

/// The example with another value in one place.
fn with(pointer: &str, value: Value) -> AgentDetails {
    let mut body = example();
    *body.pointer_mut(pointer).unwrap() = value;
    AgentDetails::parse(body.to_string().as_bytes(), "Voice-Starter").unwrap()
}

#[test]
fn reads_every_field_with_deployment_ids_in_lower_case() {
    let text = |text: &str| Some(text.to_owned());
    let time = |time: &str| Some(time.parse().unwrap());
    let id = || text("4cab03c7-8f53-418d-9c3c-91a1265d179e");
    let health = Health {
        state: Some(ContainerState::Running),
        restart_count: Some(2),
        replicas_started: Some(4),
        reason: text("CrashLoopBackOff"),
        last_exit_code: Some(137),
        last_termination_reason: text("OOMKilled"),
        message: text("Traceback"),
        headline: text("Out of memory"),
    };
    let expected = AgentDetails {
        older_sessions: None,
        name: text("Voice-Starter"),
        region: text("us-west"),
        ready: true,
        available: Some(true),
        created_at: time("2025-04-09T15:01:17.414Z"),
        updated_at: time("2025-04-18T20:29:19.181Z"),
        desired_deployment_id: id(),
        reconciled_deployment_id: id(),
        min_replicas: Some(1),
        active_session_count: Some(3),
        deployment: Some(Deployment {
            id: id(),
            created_at: time("2025-04-18T20:29:19.177Z"),
            updated_at: time("2025-04-18T20:29:20Z"),
            image: text("your-dockername/voice-starter:0.1"),
        }),
        current_revision: Some(Revision {
            deployment_id: id(),
            phase: Some(RevisionPhase::Active),
            phase_started_at: time("2025-04-18T20:30:00Z"),
            ready_replicas: Some(1),
            health: Some(health),
            has_infrastructure_issue: true,
        }),
        previous_revision: Some(Revision {
            deployment_id: text("old"),
            phase: Some(RevisionPhase::Draining),
            ..Revision::default()
        }),
        errors: vec![AgentError {
            code: text("E1"),
            message: text("m"),
            deployment_id: text("old"),
        }],
        conditions: vec![Condition {
            kind: text("Degraded"),
            status: text("True"),
            reason: text("R"),
            message: text("m"),
        }],
        deployed_commit: text("c0ffee"),
        latest_deploy: Some(LatestDeploy {
            id: text("D-1"),
            status: text("building"),
            commit_sha: text("beef"),
            reason: text("push"),
        }),
        auto_deploy: Some(true),
    };
    assert_eq!(with("/agentProfile", Value::Null), expected);
    assert!(expected.desired_deployment().is_some());
}

#[test]
fn any_field_may_be_null_or_of_another_type() {
    /// The places of all fields, in the order in which they are found.
    fn places(value: &Value, place: &str, found: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let place = format!("{place}/{key}");
            places(value, &place, found);
            found.push(place);
        }
    }
    let mut all = Vec::new();
    places(&example(), "", &mut all);
    all.retain(|place| place != "/name");
    assert!(all.len() > 50, "{all:?}");
    for place in all {
        let null = with(&place, Value::Null);
        for odd in [json!(-3.5), json!([[7], "", null]), json!({})] {
            let read = with(&place, odd.clone());
            assert_eq!(read, null, "{place}: {odd}");
        }
    }
    assert!(!with("/ready", json!("true")).ready);
}

#[test]
fn a_missing_ready_is_false_whatever_the_deprecated_flag_says() {
    let details = parse(r#"{"name": "a", "activeDeploymentReady": true}"#).unwrap();
    assert!(!details.ready);
}

#[test]
fn desired_falls_back_on_the_deprecated_name() {
    for (ids, expected) in [
        (r#""activeDeploymentId": "A""#, Some("a")),
        (
            r#""desiredDeploymentId": "D", "activeDeploymentId": "a""#,
            Some("d"),
        ),
        (
            r#""desiredDeploymentId": "", "activeDeploymentId": "a""#,
            Some("a"),
        ),
        (r#""desiredDeploymentId": """#, None),
    ] {
        let details = parse(&format!("{{\"name\": \"a\", {ids}}}")).unwrap();
        assert_eq!(details.desired(), expected, "{ids}");
    }
}

#[test]
fn the_record_of_another_deployment_is_not_the_desired_one() {
    let other = with("/deployment/id", json!("another"));
    assert!(other.deployment.is_some());
    assert_eq!(other.desired_deployment(), None);
}

#[test]
fn what_is_not_the_agent_is_refused() {
    let deep = "[".repeat(100_000);
    let twice = r#"{"name": "a", "currentRevision": {"phase": "Failed", "phase": "Active"}}"#;
    let half = r#"{"name": "\ud83d"#;
    for body in ["", "<html>", "{\"name\": \"a\"", &deep, twice, half] {
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
        "\u{feff}[\"a\"]",
        r#"["a", null, true]"#,
        r#"{"error": "x", "code": "y"}"#,
        r#"{"name": 7}"#,
        r#"{"name": "", "ready": true}"#,
    ] {
        assert!(
            matches!(parse(body), Err(NotAnAgent::Unrecognisable)),
            "{body}"
        );
    }
    let another = r#"{"name": "A", "ready": true}"#;
    assert!(matches!(parse(another), Err(NotAnAgent::Another(name)) if name == "A"));
    let why = parse("<html>").unwrap_err().to_string();
    assert_eq!(
        why,
        "the body cannot be read as JSON: expected value at line 1 column 1"
    );
}

#[test]
fn errors_are_objects_or_words() {
    let errors = |errors: &str| {
        let body = format!("{{\"name\": \"a\", \"errors\": {errors}}}");
        let errors = parse(&body).unwrap().errors.into_iter();
        let parts = errors.map(|error| [error.code, error.message, error.deployment_id]);
        parts
            .map(|parts| parts.map(Option::unwrap_or_default).join(","))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        errors(
            r#"[{"code": "A", "message": "m", "error": "e"}, {"error": "e"}, "words", {"code": 7},
                7, "", {}, {"deploymentId": "D"}, {"deploymentID": "D"}]"#
        ),
        ["A,m,", ",e,", ",words,", ",,", ",,d", ",,d"]
    );
    assert_eq!(errors(r#"{"code": "A"}"#), ["A,,"]);
    for nothing in [
        "{}",
        "\"none\"",
        "null",
        "false",
        "0",
        "[]",
        r#"{"count": 0}"#,
    ] {
        assert!(errors(nothing).is_empty(), "{nothing}");
    }
}

#[test]
fn a_message_that_was_cut_within_a_character_hides_nothing() {
    let cut = br#"{"name": "a", "desiredDeploymentId": "new", "currentRevision": {
        "deploymentID": "new", "phase": "Failed", "health": {"message": "Traceback \ud83d"}}}"#;
    let message = |body: &[u8]| {
        let details = AgentDetails::parse(body, "a").unwrap();
        let health = details.current_revision.unwrap().health;
        health.unwrap().message.unwrap()
    };
    assert_eq!(message(cut), "Traceback \u{fffd}");
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    bytes.extend_from_slice(cut);
    let place = bytes.windows(6).position(|part| part == b"\\ud83d");
    let place = place.unwrap();
    bytes.splice(place..place + 6, [0xff]);
    assert_eq!(message(&bytes), "Traceback \u{fffd}");
}

#[test]
fn a_body_of_four_megabytes_is_read() {
    let long = "x".repeat(4 << 20);
    let details = with("/currentRevision/health/message", json!(long));
    let health = details.current_revision.unwrap().health.unwrap();
    assert_eq!(health.message, Some(long));
}

#[test]
fn error_bodies_say_what_they_can() {
    let parse = |body: &str| ErrorBody::parse(body.as_bytes());
    let body = parse(r#"{"error": "Agent not found", "code": "404", "more": []}"#).unwrap();
    assert_eq!(body.error.as_deref(), Some("Agent not found"));
    assert_eq!(body.code.as_deref(), Some("404"));
    for nothing in ["{}", "[]", r#"{"error": {"message": "m"}, "code": 404}"#] {
        assert_eq!(parse(nothing), Some(ErrorBody::default()), "{nothing}");
    }
    assert_eq!(parse("<html>"), None);
}
