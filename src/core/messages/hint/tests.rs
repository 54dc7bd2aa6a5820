//! What to do next about each ending, and that nothing is advised where nothing is known.

use std::time::Duration;

use super::*;
use crate::core::rollout::{Interruption, Outcome, Phase, PhaseEntry, Reason, RevisionReport};

fn report(verdict: Verdict, code: &str, change: impl FnOnce(&mut Outcome)) -> AgentReport {
    let mut outcome = Outcome {
        elapsed: Duration::from_secs(12),
        reason: Some(Reason {
            code: code.to_owned(),
            summary: "why".to_owned(),
            message: None,
        }),
        ..Outcome::new(verdict)
    };
    change(&mut outcome);
    AgentReport::new("my bot".to_owned(), jiff::Timestamp::UNIX_EPOCH, outcome)
}

fn step(verdict: Verdict, code: &str, change: impl FnOnce(&mut Outcome)) -> String {
    let report = report(verdict, code, change);
    next_step(&report, Mode::Watch).unwrap_or_default()
}

/// What to do about code that crashed with these words and this exit code.
fn crashed(code: &str, message: &str, exit_code: Option<i64>) -> String {
    step(Verdict::Failed, code, |outcome| {
        let message = Some(message.to_owned()).filter(|message| !message.is_empty());
        outcome.reason.as_mut().expect("one was given").message = message;
        outcome.revision = Some(RevisionReport {
            last_exit_code: exit_code,
            ..RevisionReport::default()
        });
    })
}

#[test]
fn every_platform_code_has_its_page() {
    let codes = [
        ("PCC_IMAGE_NOT_FOUND", "name and tag"),
        ("PCC_IMAGE_PULL_UNAUTHORIZED", "image pull secret"),
        ("PCC_IMAGE_TOO_LARGE", "smaller"),
        ("PCC_IMAGE_PULL_RATE_LIMIT", "limits pulls"),
        ("PCC_INVALID_IMAGE_PLATFORM", "linux/arm64"),
        ("PCC_IMAGE_PULL_UNKNOWN_ERROR", "can be pulled"),
        ("PCC_UNKNOWN_ERROR", "support"),
    ];
    for (code, words) in codes {
        for verdict in [Verdict::Failed, Verdict::Timeout, Verdict::Infrastructure] {
            let said = step(verdict, code, |_| ());
            let page = "https://docs.pipecat.ai/pipecat-cloud/fundamentals/error-codes#";
            let page = format!(": {page}{}", code.to_lowercase());
            assert!(said.contains(words) && said.ends_with(&page), "{said}");
        }
    }
    assert_eq!(step(Verdict::Failed, "PCC_SOMETHING_NEW", |_| ()), "");
}

#[test]
fn every_reason_has_its_step() {
    for (code, start) in [
        ("ErrImagePull", "check the image's name and tag"),
        ("imagepullbackoff", "check the image's name and tag"),
        (
            "InvalidImageName",
            "the image's name is not a valid reference",
        ),
        ("ErrImageNeverPull", "the platform may not pull the image"),
        ("CreateContainerConfigError", "a secret or setting"),
        ("CreateContainerError", "check the image's entrypoint"),
        ("RunContainerError", "check the image's entrypoint"),
        ("OOMKilled", "it needs more memory"),
        ("RevisionUnchanged", "force a redeploy"),
    ] {
        assert!(crashed(code, "", None).starts_with(start), "{code}");
    }
    // The reason counts for more than the exit code of an earlier crash.
    assert!(crashed("ImagePullBackOff", "", Some(137)).starts_with("check the image's name"));
}

#[test]
fn every_exit_code_has_its_step() {
    for (exit_code, words) in [
        (0, "has to keep running"),
        (2, "arguments"),
        (126, "linux/arm64"),
        (127, "linux/arm64"),
        (132, "linux/arm64"),
        (134, "native code"),
        (137, "more memory"),
        (139, "native code"),
        (143, "SIGTERM"),
    ] {
        for message in ["", "boom"] {
            let said = crashed("CrashLoopBackOff", message, Some(exit_code));
            assert!(said.contains(words), "{exit_code}: {said}");
        }
    }
    for exit_code in [1, 77, 255] {
        let said = crashed("CrashLoopBackOff", "KeyError: 'x'", Some(exit_code));
        assert_eq!(said, "fix the error shown above, and deploy again");
    }
}

#[test]
fn the_words_of_the_code_say_more_than_its_exit_code() {
    for (message, words) in [
        ("exec /bot: exec format error", "linux/arm64"),
        (
            "ModuleNotFoundError: No module named 'x'",
            "lacks a package",
        ),
        ("Error: Cannot find module 'x'", "lacks a package"),
    ] {
        assert!(
            crashed("CrashLoopBackOff", message, Some(1)).contains(words),
            "{message}"
        );
    }
    let mut logged = report(Verdict::Failed, "PhaseFailed", |_| ());
    logged.logs = vec!["exec format error".to_owned()];
    let said = next_step(&logged, Mode::Watch).unwrap_or_default();
    assert!(said.contains("linux/arm64"), "{said}");
    let said = crashed("CrashLoopBackOff", "ModuleNotFoundError", Some(137));
    assert!(said.contains("more memory"), "{said}");
    let said = step(Verdict::Failed, "CrashLoopBackOff", |outcome| {
        outcome.revision = Some(RevisionReport {
            last_termination_reason: Some("OOMKilled".to_owned()),
            ..RevisionReport::default()
        });
    });
    assert!(said.contains("more memory"), "{said}");
}

#[test]
fn nothing_is_advised_where_nothing_is_known() {
    assert_eq!(crashed("PhaseFailed", "", None), "");
    assert_eq!(crashed("CrashLoopBackOff", "", Some(1)), "");
    assert_eq!(crashed("SomethingReported", "words", None), "");
    assert_eq!(step(Verdict::Ready, "", |_| ()), "");
}

#[test]
fn the_step_fits_how_it_came_to_the_ending() {
    let in_phase =
        |phase| move |outcome: &mut Outcome| outcome.phases = vec![PhaseEntry { phase, at_ms: 0 }];
    let drains = in_phase(Phase::Draining);
    let named = |outcome: &mut Outcome| outcome.deployment_id = Some("new".to_owned());
    let baseline = |outcome: &mut Outcome| {
        outcome.baseline_deployment_id = Some("old".to_owned());
    };
    let interrupted = Verdict::Interrupted(Interruption::Interrupt);
    for (said, expected) in [
        (
            step(Verdict::NotFound, "Deleted", |_| ()),
            "somebody deleted it",
        ),
        (
            step(Verdict::NotFound, "NotFound", |_| ()),
            "check the agent's name",
        ),
        (
            step(Verdict::Unauthorized, "Http401", |_| ()),
            "ask with a private API key",
        ),
        (step(Verdict::Unchanged, "Unchanged", named), "check the id"),
        (
            step(Verdict::Unchanged, "Unchanged", |_| ()),
            "there is no deployment to wait for",
        ),
        (
            step(Verdict::Unchanged, "Unchanged", baseline),
            "the deploy made no new",
        ),
        (
            step(Verdict::Timeout, "DeadlineExceeded", drains),
            "it is up; sessions",
        ),
        (
            step(Verdict::Stalled, "Stalled", drains),
            "it is up; sessions",
        ),
        (
            step(Verdict::Stalled, "Stalled", |_| ()),
            "nothing was scheduled",
        ),
        (
            step(Verdict::Timeout, "DeadlineExceeded", named),
            "it may still come up: pipecat-rollout wait-for-ready 'my bot' --deployment new",
        ),
        (
            step(Verdict::Infrastructure, "PhaseFailed", |_| ()),
            "the platform reports",
        ),
        (
            step(Verdict::CommandFailed(7), "", |_| ()),
            "read what the deploy",
        ),
        (
            step(interrupted, "Interrupted", in_phase(Phase::Creating)),
            "the rollout itself goes on",
        ),
        (
            step(Verdict::Superseded, "Superseded", |_| ()),
            "a later deploy or a rollback",
        ),
        (
            step(Verdict::Unavailable, "CertificateNotTrusted", |_| ()),
            "if a CA of your own",
        ),
        (
            step(Verdict::Unavailable, "ConnectFailed", |_| ()),
            "check the network",
        ),
        (
            step(Verdict::Unavailable, "ProxyFailed", |_| ()),
            "check the network",
        ),
        (
            step(Verdict::Unavailable, "Http302", |_| ()),
            "check --api-url",
        ),
        (
            step(Verdict::Unavailable, "NotAnAgent", |_| ()),
            "check --api-url",
        ),
        (
            step(Verdict::Unavailable, "NotTheApi", |_| ()),
            "check --api-url",
        ),
        (
            step(Verdict::Unavailable, "Http429", |_| ()),
            "the API limits requests",
        ),
        (
            step(Verdict::Unavailable, "Http503", |_| ()),
            "try again later",
        ),
    ] {
        assert!(said.starts_with(expected), "{said:?} {expected:?}");
    }
}

#[test]
fn nothing_goes_on_without_a_rollout() {
    let interrupted = Verdict::Interrupted(Interruption::Terminate);
    assert_eq!(step(interrupted, "Interrupted", |_| ()), "");
    for phase in [Phase::Waiting, Phase::Active, Phase::Failed] {
        let said = step(interrupted, "Interrupted", |outcome| {
            outcome.phases = vec![PhaseEntry { phase, at_ms: 0 }];
        });
        assert_eq!(said, "", "{phase:?}");
    }
}

#[test]
fn a_refused_smoke_session_wants_the_other_key() {
    let said = step(Verdict::Unauthorized, "SmokeUnauthorized", |_| ());
    assert!(said.starts_with("start the session with a public key"));
}

#[test]
fn a_smoke_session_of_which_nothing_is_known_is_tried_again() {
    assert_eq!(
        step(Verdict::Unavailable, "SmokeLogsUnread", |_| ()),
        "the deployment is ready; to try the session again later: pipecat-rollout wait-for-ready 'my bot' --smoke"
    );
}

#[test]
fn a_single_check_advises_no_switch_that_it_has_not() {
    for baseline in [None, Some("old".to_owned())] {
        let unchanged = report(Verdict::Unchanged, "Unchanged", |outcome| {
            outcome.baseline_deployment_id = baseline.clone();
        });
        let of = |mode| next_step(&unchanged, mode).unwrap_or_default();
        assert!(!of(Mode::Status).contains("--if-unchanged"));
        assert_eq!(
            of(Mode::Watch).contains("--if-unchanged"),
            baseline.is_some()
        );
    }
}

#[test]
fn an_exit_code_is_decoded_as_far_as_there_is_a_convention() {
    let known: Vec<i64> = (-1..=256)
        .filter(|code| decode_exit_code(*code).is_some())
        .collect();
    assert_eq!(known, [0, 1, 2, 126, 127, 132, 134, 137, 139, 143, 255]);
    assert!(decode_exit_code(137).is_some_and(|words| words.contains("out of memory")));
    for (code, signal) in [
        (132, "SIGILL"),
        (134, "SIGABRT"),
        (137, "SIGKILL"),
        (139, "SIGSEGV"),
        (143, "SIGTERM"),
    ] {
        assert!(
            decode_exit_code(code).is_some_and(|words| words.contains(signal)),
            "{code}"
        );
    }
}
