//! What is reported on the way: each event when it happens, in order, and not again.

use super::*;
use crate::core::rollout::ProblemClass;

/// The kinds of the events of a history, in order.
fn kinds(asked: &str, history: &str) -> String {
    let mut watch = watch(asked);
    watch.play(history);
    watch.kinds().join(" ")
}

fn phase_changed(phase: Phase, previous: Phase, lasted: u64) -> Event {
    Event::PhaseChanged {
        phase,
        previous,
        lasted: ms(lasted),
    }
}

#[test]
fn a_rollout_is_reported_change_by_change() {
    let mut watch = watch("id new, dated");
    watch.play(
        "0..1 404 | 2..3 old/old c500 | 4..5 new/old c1003 | 6 new/new c1003 | 7 new/new Creating c1003 \
         | 8..9 new/new Validating c1003 | 10 new/new Active c1003 | 11 new/new Active ready c1003",
    );
    let waiting = |desired: Option<&str>| Event::WaitingForTarget {
        desired: desired.map(str::to_owned),
    };
    let expected = [
        waiting(None),
        waiting(Some("old")),
        Event::TargetFound {
            deployment_id: "new".to_owned(),
            created_at: Some(second("1003")),
        },
        phase_changed(Phase::Reconciling, Phase::Waiting, 4000),
        phase_changed(Phase::Progressing, Phase::Reconciling, 2000),
        phase_changed(Phase::Creating, Phase::Progressing, 1000),
        phase_changed(Phase::Validating, Phase::Creating, 1000),
        phase_changed(Phase::Active, Phase::Validating, 2000),
        Event::Finished {
            verdict: Verdict::Ready,
            reason: None,
            elapsed: ms(11_000),
        },
    ];
    assert_eq!(watch.events, expected);
}

#[test]
fn events_come_once_and_in_order() {
    let table = "
        first: 0..9 new/old => target-found phase-changed
        first, stable 5: 0..9 new/new ready => target-found phase-changed holding finished
        first, stable 5: 0 new/new ready | 1 new/new | 2 new/new ready run*0 | 3 new/new ready run*1 => target-found phase-changed holding phase-changed ready-lost phase-changed holding restarted ready-lost holding
        # An outage is one line, however long; refusals are outages too.
        first: 0 new/old | 1..9 503 | 10..14 401 | 15..16 new/old | 17..19 502 | 20 404 => target-found phase-changed poll-failed poll-recovered poll-failed poll-recovered unconfirmed
        # A second one is a line once it lasts: three polls, or five seconds with the pauses asked for.
        first: 0 503 | 1 new/old | 2 503 | 3 new/old | 4..5 401 | 6 new/old => poll-failed poll-recovered target-found phase-changed
        first: 0 503 | 1 new/old | 2..3 503 => poll-failed poll-recovered target-found phase-changed
        first: 0 503 | 1 new/old | 2..4 503 => poll-failed poll-recovered target-found phase-changed poll-failed
        first: 0 503 | 1 new/old | 2 reset | 6.9 reset | 7 new/old => poll-failed poll-recovered target-found phase-changed
        first: 0 503 | 1 new/old | 2 reset | 7 reset => poll-failed poll-recovered target-found phase-changed poll-failed
        first: 0 503 | 1 new/old | 2 503+4 | 7 new/old | 8 503+5 | 14 new/old => poll-failed poll-recovered target-found phase-changed poll-failed poll-recovered
        first: 0 new/old u960 | 1..9 old/old u900 | 10 new/old u960 | 11 old/old u900 => target-found phase-changed stale-answer stale-answer
        first: 0 new/new Active | 1..3 new/new Creating | 4 new/old | 5..9 old/old | 10 new/new Active => target-found phase-changed unconfirmed unconfirmed unconfirmed
        first: 0..2 new/new Creating issue | 3..5 new/new Creating => target-found phase-changed infrastructure-issue infrastructure-recovered
        first, stable 5: 0..3 new/new ready old:Active => target-found phase-changed revision-unchanged holding
        run, dated: 0 404 | 2 404 | 5 404 | 5 start | 6 404 | 7 end 0 | 8 new/- c1006 => baseline-noted waiting-for-target command-ended target-found phase-changed
        run, dated: 0 base/base c500 | 0 start | 1 base/base c500 | 2 new/base c1001 | 3 end 0 | 4 new/new ready c1001 => baseline-noted waiting-for-target target-found phase-changed command-ended phase-changed finished
        run, dated: 0 base/base c500 | 0 start | 1..2 new/new ready c1001 | 3 end 0 | 4 new/new ready c1001 => baseline-noted waiting-for-target target-found phase-changed waiting-for-command command-ended finished
        # Another deployment's revision is news once the target is reconciled and ready.
        first: 0 new/old ready old:Active | 1 new/new old:Active => target-found phase-changed phase-changed
        # What was wrong with one target is not over when another one takes its place.
        not base: 0 older/older Creating ErrImagePull*0 | 1 new/old => target-found phase-changed problem-detected target-found phase-changed
        # What does not count does not show either; what is not ready ends a hold.
        not base: 0 new/old | 1 base/base => target-found phase-changed phase-changed waiting-for-target
        first, stable 5: 0 new/new ready | 1 404 => target-found phase-changed holding unconfirmed ready-lost
        first, stable 5: 0 new/new ready | 1 old/old => target-found phase-changed holding unconfirmed ready-lost
        first, stable 5: 0 new/new ready | 1 -/new => target-found phase-changed holding ready-lost
        first, stable 5: 0 new/new ready | 1 new/old => target-found phase-changed holding unconfirmed ready-lost
        first: 0 new/new run*5 | 1..9 new/new run*0 => target-found phase-changed restarted
        # Two replicas disagree on the restarts: one restart.
        first: 0 new/new run*0 | 1 new/new run*1 | 2 new/new run*0 | 3 new/new run*1 => target-found phase-changed restarted
        first: 0 new/new Creating run*0/2 readies=0 | 1 new/new Creating run*0/2 readies=1 | 2 new/new Creating run*0/2 readies=2 => target-found phase-changed replicas-changed replicas-changed
    ";
    for [asked, history, expected] in rows(table) {
        assert_eq!(kinds(asked, history), expected, "{history}");
    }
}

#[test]
fn problems_are_reported_when_they_come_change_and_go() {
    let table = "
        first, stable 60: 0..3 new/new ErrImagePull*0 | 4 new/new ImagePullBackOff*0 | 5 new/new ErrImagePull*0 => +ErrImagePull +ImagePullBackOff +ErrImagePull
        first, stable 60: 0 new/new ErrImagePull*0 | 1 new/new ContainerCreating*0 | 2 new/new ErrImagePull*0 => +ErrImagePull
        first, stable 60: 0 new/new ErrImagePull*0 | 1 new/new run*0 | 2 new/new run*0 => +ErrImagePull -ErrImagePull
        # The pause between two crashes is not the end of a crash loop.
        first, stable 60: 0 new/new CrashLoopBackOff*1 | 1 new/new run*1 | 2 new/new CrashLoopBackOff*1 => +CrashLoopBackOff
        first, stable 60: 0 new/new CrashLoopBackOff*1 | 1 new/new ready run*1 => +CrashLoopBackOff -CrashLoopBackOff
        first, stable 60: 0 new/new SolarFlare*0 | 1 new/new run*0 => +SolarFlare -SolarFlare
        first, stable 60: 0 new/old | 1 new/old err=PCC_X | 2 new/old => +PCC_X -PCC_X
        first, stable 60: 0..9 new/old err=PCC_X => +PCC_X
        # The gravest of several.
        first, stable 60: 0 new/new | 1 new/new CrashLoopBackOff*1 err=PCC_X degraded=Why | 2 new/new CrashLoopBackOff*1 degraded=Why | 3 new/new degraded=Why => +PCC_X +CrashLoopBackOff +Why
        first, stable 60: 0 new/new old:Failed CrashLoopBackOff*9 => 
        first, stable 60: 0 new/old ErrImagePull*0 old:Active => 
    ";
    for [asked, history, expected] in rows(table) {
        let mut watch = watch(asked);
        watch.play(history).goes_on();
        let problems = watch.events.iter().filter_map(|event| match event {
            Event::ProblemDetected { code, .. } => Some(format!("+{code}")),
            Event::ProblemResolved { code } => Some(format!("-{code}")),
            _ => None,
        });
        assert_eq!(
            problems.collect::<Vec<_>>().join(" "),
            expected,
            "{history}"
        );
    }
}

#[test]
fn listed_errors_from_before_are_shown_as_such() {
    for (history, class) in [
        ("0 new/old err=PCC_X", ProblemClass::ReportedBefore),
        ("0 new/new err=PCC_X", ProblemClass::ReportedBefore),
        ("0 new/- err=PCC_X", ProblemClass::Reported),
        ("0 new/old err=PCC_X@new", ProblemClass::Reported),
        ("0 new/old | 1 new/old err=PCC_X", ProblemClass::Reported),
    ] {
        let mut watch = watch("first");
        watch.play(history);
        let problem = watch.machine.view.problem.as_ref().unwrap();
        assert_eq!(
            (problem.class, problem.code.as_str()),
            (class, "PCC_X"),
            "{history}"
        );
    }
}

#[test]
fn the_ends_of_an_outage_and_of_a_hold_say_how_long() {
    let mut watch = watch("first, stable 9");
    watch.play("0 new/new ready | 1..3 503 | 5 new/new ready | 6 new/new");
    let failed = Event::PollFailed {
        code: "Http503".to_owned(),
        summary: "the API said 503".to_owned(),
    };
    assert!(watch.events.contains(&failed));
    for expected in [
        Event::PollRecovered {
            failed: 3,
            after: ms(4000),
        },
        Event::ReadyLost { after: ms(6000) },
        Event::Holding {
            stable_for: ms(9000),
        },
    ] {
        assert!(watch.events.contains(&expected), "{expected:?}");
    }
}

#[test]
fn phases_are_those_of_the_targets_own_revision() {
    for (answer, phase) in [
        ("new/old Active", Phase::Reconciling),
        ("new/new", Phase::Progressing),
        ("new/new Creating", Phase::Creating),
        ("new/new Validating", Phase::Validating),
        ("new/new Active", Phase::Active),
        ("new/new Draining", Phase::Draining),
        ("new/new Odd", Phase::Progressing),
        ("new/new old:Active", Phase::Progressing),
        ("new/new Failed ready", Phase::Failed),
        ("new/new Validating ready prev", Phase::Draining),
        ("new/new Validating ready", Phase::Active),
    ] {
        let mut plain = super::watch("first, stable 9");
        plain.play(&format!("0 {answer}"));
        let drains = phase == Phase::Draining && answer.contains("prev");
        let expected = if drains { Phase::Active } else { phase };
        assert_eq!(plain.phases()[1], (expected, 0), "{answer}");
        let mut watch = watch("first, until drained, stable 9");
        watch.play(&format!("0 {answer}"));
        assert_eq!(
            watch.phases(),
            [(Phase::Waiting, 0), (phase, 0)],
            "{answer}"
        );
    }
}

#[test]
fn a_heartbeat_says_how_things_are() {
    let mut watch = watch("first");
    watch.play("0 new/old | 1 new/new Creating readies=1 run*2/2 | 2..3 503");
    let expected = Event::Heartbeat {
        phase: Phase::Creating,
        in_phase: ms(4000),
        ready_replicas: Some(1),
        restart_count: Some(2),
        polls: 4,
        failing: 2,
    };
    assert_eq!(watch.machine.heartbeat(ms(5000)), expected);
    let replicas = Event::ReplicasChanged {
        ready_replicas: 1,
        replicas_started: 2,
    };
    assert!(watch.events.contains(&replicas), "{:?}", watch.events);
}

#[test]
fn after_the_verdict_nothing_changes_it() {
    let mut watch = watch("first");
    watch.play("0 new/new ready").ended(Verdict::Ready);
    for what in ["new/new Failed", "404", "503", "timer", "SIGTERM", "end 1"] {
        watch.take_in(ms(1000), what);
        watch.ended(Verdict::Ready);
    }
}
