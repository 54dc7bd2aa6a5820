//! Random histories, and what has to hold for each.

use std::time::Duration;

use pipecat_rollout::fuzzing::rollout::{FailureClass, Limits, NewRevision, Unchanged, Until};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;

use crate::truth::Check;
use crate::watch::{Act, Aim, Disturbance, Kind, Script, Watched, time};
use crate::world::{Before, Dates, End, Fate, Ms, Revision, State, falling, in_upper_case, rising};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits() -> Limits {
    Limits {
        timeout: seconds(120),
        appear_timeout: seconds(15),
        outage_timeout: seconds(30),
        pull_grace: seconds(10),
        ..Limits::default()
    }
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let kinds = (
        select(vec![0, 0, 3, 8]),
        select(vec![None, None, Some(seconds(20))]),
        select(vec![
            Until::Ready,
            Until::Ready,
            Until::Warm,
            Until::Drained,
        ]),
        select(vec![
            NewRevision::Optional,
            NewRevision::Optional,
            NewRevision::Required,
        ]),
        select(vec![Unchanged::Fail, Unchanged::Fail, Unchanged::Accept]),
        select(vec![120, 120, 40]),
    );
    kinds.prop_map(
        |(stable_for, stall_timeout, until, new_revision, unchanged, timeout)| Limits {
            timeout: seconds(timeout),
            stable_for: seconds(stable_for),
            stall_timeout,
            until,
            new_revision,
            unchanged,
            ..limits()
        },
    )
}

fn any_fate() -> impl Strategy<Value = Fate> {
    let end = prop_oneof![
        4 => Just(End::Ready),
        2 => (1_u64..3).prop_map(End::ReadyAfterCrashes),
        1 => (500_i64..6000).prop_map(End::ReadyAfterPulling),
        1 => Just(End::ReadyAfterPlatformIssue),
        1 => (500_i64..6000).prop_map(End::ReadyWithBreak),
        1 => Just(End::ReadyWithoutRevision),
        1 => Just(End::PhaseFailed),
        1 => Just(End::CrashLoop),
        1 => Just(End::NeverPulls),
        1 => Just(End::InvalidImage),
        1 => Just(End::ErrorBefore),
        1 => Just(End::ErrorAfter),
        1 => Just(End::Stuck),
    ];
    (500_i64..5000, 500_i64..5000, 500_i64..5000, end).prop_map(
        |(reconciles, creates, validates, end)| Fate {
            reconciles,
            creates,
            validates,
            end,
        },
    )
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => any_fate().prop_map(Act::Deploy),
        2 => any_fate().prop_map(Act::Colleague),
        1 => any_fate().prop_map(Act::RollBack),
        1 => Just(Act::Delete),
    ]
}

/// Some time after the one before.
fn any_acts() -> impl Strategy<Value = Vec<(Ms, Act)>> {
    proptest::collection::vec((1_i64..20_000, any_act()), 0..4).prop_map(|steps| {
        let mut at = 0;
        let place = |(after, act)| {
            at += after;
            (at, act)
        };
        steps.into_iter().map(place).collect()
    })
}

fn any_aim() -> impl Strategy<Value = Aim> {
    let code = select(vec![0, 0, 1]);
    prop_oneof![
        1 => Just(Aim::Named),
        1 => any::<bool>().prop_map(|dated| Aim::NewerThan { dated }),
        3 => (100_i64..40_000, code).prop_map(|(ends, code)| Aim::Command { ends, code }),
        1 => Just(Aim::FirstSeen),
    ]
}

fn any_disturbance() -> impl Strategy<Value = Disturbance> {
    let asks = |retry_after| Kind::Failing(FailureClass::Transient { retry_after });
    let kind = prop_oneof![
        3 => Just(asks(None)),
        1 => (1_u64..40).prop_map(move |pause| asks(Some(seconds(pause)))),
        1 => Just(Kind::Failing(FailureClass::Unauthorized)),
        1 => Just(Kind::Failing(FailureClass::Refused)),
        1 => Just(Kind::Absent),
        6 => (500_i64..400_000).prop_map(Kind::Lag),
        1 => Just(Kind::Burst),
    ];
    (
        0_i64..40_000,
        prop_oneof![5 => 100_i64..8000, 1 => 8000_i64..90_000],
        kind,
    )
        .prop_map(|(from, lasts, kind)| Disturbance {
            from,
            // A burst of hours only takes time.
            lasts: if kind == Kind::Burst {
                lasts.min(3000)
            } else {
                lasts
            },
            kind,
        })
}

fn any_dates() -> impl Strategy<Value = Dates> {
    select(vec![
        Dates::OfChanges,
        Dates::OfChanges,
        Dates::OfRequests,
        Dates::OfCreation,
        Dates::None,
    ])
}

/// Anything may happen.
fn any_script() -> impl Strategy<Value = Script> {
    let before = select(vec![
        Before::Nothing,
        Before::Healthy,
        Before::Healthy,
        Before::Broken,
    ]);
    let disturbances = proptest::collection::vec(any_disturbance(), 0..4);
    let earlier = proptest::option::of((-30_000_i64..-6500, any_fate()));
    (
        (before, any_dates(), any::<bool>(), earlier),
        (any_aim(), -15_000_i64..5000, any_acts()),
        (disturbances, 2_usize..4, any_limits(), any::<u64>()),
    )
        .prop_map(
            |((before, dates, date_header, earlier), (aim, begins, acts), rest)| {
                let (disturbances, replicas, limits, jitter) = rest;
                Script {
                    before,
                    dates,
                    date_header,
                    earlier,
                    aim,
                    begins,
                    acts,
                    disturbances,
                    replicas,
                    limits,
                    jitter,
                }
            },
        )
}

/// One deploy that nobody interferes with, seen undisturbed.
fn calm_script() -> impl Strategy<Value = Script> {
    (any_script(), any_fate()).prop_map(|(script, fate)| Script {
        earlier: None,
        acts: vec![(1, Act::Deploy(fate))],
        disturbances: Vec::new(),
        ..script
    })
}

/// What must not count: shorter than a confirmation, than an outage, or on one replica of several.
fn short_disturbance() -> impl Strategy<Value = Disturbance> {
    let asks = |retry_after| Kind::Failing(FailureClass::Transient { retry_after });
    let kind = prop_oneof![
        (Just(asks(None)), 100_i64..15_000),
        (
            (1_u64..9).prop_map(move |pause| asks(Some(seconds(pause)))),
            100_i64..8000
        ),
        (
            Just(Kind::Failing(FailureClass::Unauthorized)),
            100_i64..4900
        ),
        (Just(Kind::Failing(FailureClass::Refused)), 100_i64..4900),
        (Just(Kind::Absent), 100_i64..4900),
        ((500_i64..400_000).prop_map(Kind::Lag), 100_i64..30_000),
        (Just(Kind::Burst), 100_i64..2000),
    ];
    (1_i64..30_000, kind).prop_map(|(from, (kind, lasts))| Disturbance { from, lasts, kind })
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("PROOF_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(200),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// What happened in truth, what was seen of it, and what came out.
fn report(watched: &Watched) -> String {
    let of = |revision: Option<Revision>| revision.map(|r| (r.of, r.phase, r.reason, r.restarts));
    let states = watched
        .world
        .states
        .iter()
        .enumerate()
        .map(|(number, state)| {
            let State {
                since,
                desired,
                reconciled,
                ready,
                errors,
                ..
            } = state;
            let (own, previous) = (of(state.revision), of(state.previous));
            format!(
                "{number}: at {since} {reconciled:?} of {desired:?}, ready: {ready}, {own:?} after \
             {previous:?}, errors of {errors:?}"
            )
        });
    let polls = watched
        .polls
        .iter()
        .map(|(at, seen)| format!("at {at}: {seen:?}"));
    let events = watched.events.iter().map(|event| format!("{event:?}"));
    let command = format!(
        "command from {:?} to {:?}",
        watched.command_began, watched.command_ended
    );
    let end = format!(
        "at {} ({:?}): {:?}",
        watched.ended, watched.deadline, watched.outcome
    );
    let lines = states
        .chain([command])
        .chain(polls)
        .chain(events)
        .chain([end]);
    lines.collect::<Vec<_>>().join("\n")
}

fn is_true(script: &Script) -> TestCaseResult {
    let watched = script.watch();
    let fault = Check::new(script, &watched).fault();
    prop_assert!(
        fault.is_none(),
        "{}\n{}",
        fault.unwrap_or_default(),
        report(&watched)
    );
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn verdicts_are_true_whatever_happens(script in any_script()) {
        is_true(&script)?;
    }

    #[test]
    fn verdicts_are_true_of_calm_rollouts(script in calm_script()) {
        is_true(&script)?;
    }

    #[test]
    fn short_disturbances_change_no_verdict(
        script in calm_script(),
        disturbance in short_disturbance(),
    ) {
        let mut script = script;
        script.limits.stall_timeout = None;
        script.limits.timeout = seconds(200);
        if script.aim == Aim::FirstSeen {
            // What is seen first decides, and must not depend on what disturbs.
            script.begins = -1 - script.begins.abs();
            if matches!(disturbance.kind, Kind::Lag(_)) {
                return Ok(());
            }
        }
        let calm = script.watch();
        let disturbed = Script { disturbances: vec![disturbance], ..script }.watch();
        let ends = |watched: &Watched| {
            (watched.outcome.verdict, watched.outcome.deployment_id.clone())
        };
        prop_assert_eq!(ends(&calm), ends(&disturbed), "{}", report(&disturbed));
    }

    #[test]
    fn neither_ids_nor_the_hour_decide(script in any_script()) {
        let watched = script.watch();
        let (verdict, number) = (watched.outcome.verdict, watched.outcome.deployment_id.as_deref());
        let number = number.map(|id| (0..20).find(|of| rising(*of) == id).unwrap());
        for name in [falling, in_upper_case] {
            let outcome = script.replay(&watched, 0, name);
            let id = number.map(|number| name(number).to_lowercase());
            prop_assert_eq!((outcome.verdict, outcome.deployment_id), (verdict, id));
        }
        // The time that a command and its baseline may take is counted from elsewhere.
        if matches!(script.aim, Aim::Command { .. }) {
            return Ok(());
        }
        let later = 77_000;
        let mut shifted = script.clone();
        shifted.limits.timeout += time(later);
        shifted.limits.appear_timeout += time(later);
        let outcome = shifted.replay(&watched, later, rising);
        let id = watched.outcome.deployment_id.clone();
        prop_assert_eq!((outcome.verdict, outcome.deployment_id), (verdict, id));
    }
}
