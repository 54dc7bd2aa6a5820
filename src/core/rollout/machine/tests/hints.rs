//! What to do next about each failure, and what the exit codes of the agent's code mean.

use super::*;
use crate::core::rollout::{AgentReport, decode_exit_code, next_step};

/// What to do next about a watch that ended so.
pub(super) fn step(watch: &Watch, verdict: Verdict) -> String {
    let outcome = watch.ended(verdict).clone();
    next_step(&AgentReport::new(
        "bot".to_owned(),
        second_of_day(0),
        outcome,
    ))
    .unwrap()
}

#[test]
fn the_next_step_fits_the_failure() {
    let of = |health: Health| {
        let mut watch = watch();
        watch.steady(0..=20_000, faring(health));
        step(&watch, Verdict::Failed)
    };
    let failing = |message: &str| Health {
        message: Some(message.to_owned()),
        ..waiting("CrashLoopBackOff", 3)
    };
    for (health, start) in [
        (waiting("ErrImagePull", 0), "check the image's name and tag"),
        (
            waiting("ImagePullBackOff", 0),
            "check the image's name and tag",
        ),
        (
            waiting("InvalidImageName", 0),
            "the image's name is not a valid reference",
        ),
        (
            waiting("ErrImageNeverPull", 0),
            "the image is not where it must be",
        ),
        (
            waiting("CreateContainerConfigError", 0),
            "a secret or setting",
        ),
        (
            waiting("CreateContainerError", 0),
            "the container cannot be started",
        ),
        (
            waiting("RunContainerError", 0),
            "the container cannot be started",
        ),
        (waiting("OOMKilled", 3), "it needs more memory"),
        (
            failing("ModuleNotFoundError: No module named 'x'"),
            "the image lacks a package",
        ),
        (failing("KeyError"), "read the message above"),
    ] {
        assert!(
            of(health.clone()).starts_with(start),
            "{health:?}: {}",
            of(health.clone())
        );
    }
    let killed = Health {
        last_exit_code: Some(137),
        ..failing("ModuleNotFoundError")
    };
    assert!(of(killed).starts_with("it needs more memory"));
    let reason = Some("OOMKilled".to_owned());
    let killed = Health {
        last_termination_reason: reason,
        ..failing("")
    };
    assert!(of(killed).starts_with("it needs more memory"));
    let mut ready = watch();
    ready.see(0, reconciled().ready());
    let outcome = ready.ended(Verdict::Ready).clone();
    assert_eq!(
        next_step(&AgentReport::new(
            "bot".to_owned(),
            second_of_day(0),
            outcome
        )),
        None
    );
}

#[test]
fn the_next_step_fits_how_it_came_to_the_ending() {
    let mut deleted = watch();
    deleted.see(0, reconciling()).steady(1000..=3000, absent());
    assert!(step(&deleted, Verdict::NotFound).starts_with("somebody deleted it"));
    let mut never = watch();
    never.steady(28_000..=30_000, absent());
    assert!(step(&never, Verdict::NotFound).starts_with("check the agent's name"));
    let mut named = Watch::new(named("new"));
    named.steady(28_000..=30_000, ids("old", "old"));
    assert!(step(&named, Verdict::Unchanged).starts_with("check the id"));
    let mut baseline = Watch::new(any_but("old"));
    baseline.steady(28_000..=30_000, ids("old", "old"));
    assert!(step(&baseline, Verdict::Unchanged).starts_with("the deploy made no new"));
    let mut draining = watch_with(|l| l.until = Until::Drained);
    draining
        .see(0, reconciled().ready().previous())
        .lapse(600_000);
    assert!(step(&draining, Verdict::Timeout).starts_with("it is up; sessions"));
    let pulling = Health {
        last_exit_code: Some(137),
        ..waiting("ImagePullBackOff", 0)
    };
    let mut watch = watch();
    watch.steady(0..=20_000, faring(pulling));
    assert!(step(&watch, Verdict::Failed).starts_with("check the image's name"));
    let mut silent = super::watch();
    silent.see(0, reconciled().own(Told::Failed));
    assert_eq!(
        step(&silent, Verdict::Failed),
        "look at what it logged: pipecat cloud agent logs bot"
    );
}

#[test]
fn an_exit_code_is_decoded_as_far_as_convention_tells() {
    let known: Vec<i64> = (-1..=256)
        .filter(|code| decode_exit_code(*code).is_some())
        .collect();
    assert_eq!(known, [0, 1, 2, 126, 127, 132, 134, 137, 139, 143, 255]);
    assert!(decode_exit_code(137).unwrap().contains("out of memory"));
    for (code, signal) in [
        (132, "SIGILL"),
        (134, "SIGABRT"),
        (137, "SIGKILL"),
        (139, "SIGSEGV"),
        (143, "SIGTERM"),
    ] {
        assert!(decode_exit_code(code).unwrap().contains(signal), "{code}");
    }
}
