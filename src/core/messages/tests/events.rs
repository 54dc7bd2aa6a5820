//! Every event as a line, and how it is meant.

use super::*;
use crate::core::rollout::ProblemClass;

#[test]
#[expect(clippy::too_many_lines, reason = "one table of all events")]
fn every_event_has_its_line_and_severity() {
    let created_at = || Some("2026-11-23T15:00:00Z".parse().unwrap());
    let id = || text("new");
    let finished = |verdict, reason| Event::Finished {
        verdict,
        reason,
        elapsed: 12 * SECOND,
    };
    let reason = Reason {
        code: text("CrashLoopBackOff"),
        summary: text("its code\ncrashes"),
        message: None,
    };
    let problem = |class, code: &str| Event::ProblemDetected {
        class,
        code: text(code),
        details: None,
    };
    let restarted = |last_exit_code, reason: Option<&str>| Event::Restarted {
        restart_count: 2,
        last_exit_code,
        last_termination_reason: reason.map(text),
    };
    let phase_changed = |phase| Event::PhaseChanged {
        phase,
        previous: Phase::Reconciling,
        lasted: 3 * SECOND,
    };
    let heartbeat = |ready, restarts, failing| Event::Heartbeat {
        phase: Phase::Validating,
        in_phase: 90 * SECOND,
        ready_replicas: ready,
        restart_count: restarts,
        polls: 7,
        failing,
    };
    let command = |exit_code| Event::CommandEnded {
        exit_code,
        lasted: 5 * SECOND,
    };
    let odd = "Odd\u{1b}[31m";
    for (event, expected, meant) in [
        (
            Event::BaselineNoted {
                deployment_id: None,
                created_at: None,
            },
            "nothing is deployed yet",
            Severity::Info,
        ),
        (
            Event::BaselineNoted {
                deployment_id: Some(id()),
                created_at: created_at(),
            },
            "before the deploy: deployment new, created at 2026-11-23T15:00:00Z",
            Severity::Info,
        ),
        (
            Event::WaitingForTarget { desired: None },
            "waiting: there is no such agent yet, or it has no deployment",
            Severity::Info,
        ),
        (
            Event::WaitingForTarget {
                desired: Some(text("old")),
            },
            "waiting: deployment old is the desired one",
            Severity::Info,
        ),
        (
            Event::TargetFound {
                deployment_id: id(),
                created_at: None,
            },
            "following deployment new",
            Severity::Info,
        ),
        (
            phase_changed(Phase::Creating),
            "creating (reconciling took 3.0s)",
            Severity::Info,
        ),
        (
            phase_changed(Phase::Failed),
            "failed (reconciling took 3.0s)",
            Severity::Error,
        ),
        (
            Event::ReplicasChanged {
                ready_replicas: 1,
                replicas_started: 2,
            },
            "1 of 2 replicas ready",
            Severity::Info,
        ),
        (
            restarted(Some(1), Some("Error")),
            "restarted, 2 in all: exit code 1 (an error in the application)",
            Severity::Warning,
        ),
        (
            restarted(None, None),
            "restarted, 2 in all",
            Severity::Warning,
        ),
        (
            problem(ProblemClass::Reported, odd),
            "the platform reports an error: Odd",
            Severity::Warning,
        ),
        (
            problem(ProblemClass::ReportedBefore, odd),
            "the platform reports an error, perhaps of an older deployment: Odd",
            Severity::Warning,
        ),
        (
            problem(ProblemClass::Unrecoverable, odd),
            "the container's configuration is invalid: Odd",
            Severity::Warning,
        ),
        (
            problem(ProblemClass::Crashing, odd),
            "its code crashes: Odd",
            Severity::Warning,
        ),
        (
            problem(ProblemClass::NotPulling, "ErrImagePull"),
            "its image cannot be pulled: ErrImagePull",
            Severity::Warning,
        ),
        (
            problem(ProblemClass::NotPulling, "CreateContainerError"),
            "its container cannot be created: CreateContainerError",
            Severity::Warning,
        ),
        (
            problem(ProblemClass::Degraded, odd),
            "the platform calls it degraded: Odd",
            Severity::Warning,
        ),
        (
            problem(ProblemClass::Unknown, odd),
            "the platform gives a reason that is unknown here: Odd",
            Severity::Warning,
        ),
        (
            Event::ProblemResolved { code: text("Odd") },
            "Odd is over",
            Severity::Info,
        ),
        (
            Event::InfrastructureIssue,
            "the platform reports an infrastructure issue of its own",
            Severity::Warning,
        ),
        (
            Event::InfrastructureRecovered,
            "the platform's infrastructure issue is over",
            Severity::Info,
        ),
        (
            Event::Unconfirmed {
                claim: text("the API says no\n::error::"),
            },
            "the API says no ::error::; confirming",
            Severity::Warning,
        ),
        (
            Event::StaleAnswer,
            "ignoring answers that are older than what was seen, by their own dates",
            Severity::Info,
        ),
        (
            Event::PollFailed {
                code: text("Http502"),
                summary: text("502 Bad Gateway"),
            },
            "poll failed: 502 Bad Gateway",
            Severity::Warning,
        ),
        (
            Event::PollRecovered {
                failed: 1,
                after: 3 * SECOND,
            },
            "the API answers again, after 1 failed poll in 3.0s",
            Severity::Info,
        ),
        (
            Event::Holding {
                stable_for: 10 * SECOND,
            },
            "ready; must stay ready for 10s",
            Severity::Info,
        ),
        (
            Event::ReadyLost { after: SECOND },
            "no longer ready, after 1.0s",
            Severity::Warning,
        ),
        (
            Event::RevisionUnchanged {
                running: text("old"),
            },
            "ready on the revision of deployment old: the old code may go on serving",
            Severity::Warning,
        ),
        (
            command(0),
            "the deploy command has ended, after 5.0s",
            Severity::Info,
        ),
        (
            Event::WaitingForCommand,
            "ready; waiting for the deploy command to end",
            Severity::Info,
        ),
        (
            command(7),
            "the deploy command failed with exit code 7, after 5.0s",
            Severity::Warning,
        ),
        (
            heartbeat(Some(1), Some(2), 3),
            "still validating, for 1m 30s; 1 replica ready; 2 restarts; 3 polls failed in a row",
            Severity::Info,
        ),
        (
            heartbeat(None, None, 0),
            "still validating, for 1m 30s",
            Severity::Info,
        ),
        (
            finished(Verdict::Ready, None),
            "ready after 12.0s",
            Severity::Success,
        ),
        (
            finished(Verdict::Failed, Some(reason)),
            "failed after 12.0s: its code crashes",
            Severity::Error,
        ),
    ] {
        assert_eq!((line(&event).as_str(), severity(&event)), (expected, meant));
    }
}
