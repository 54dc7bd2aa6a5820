//! Random histories through the machine and through the reference: both must come to the same.
//!
//! A few thousand by default, the same on every machine. `PROOF_CASES=1000000 PROOF_SEED=7 cargo test
//! --release --test proof histories -- --nocapture` tries others, and tells how they ended.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use pipecat_rollout::fuzzing::rollout::{
    Event, Limits, Machine, NewRevision, Next, Policy, TargetRule, Unchanged, Until, Verdict,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::history::{Fate, Moment, Seen, Told, any_history, any_told};
use crate::reference::{End, judge};

fn any_policy() -> impl Strategy<Value = Policy> {
    let rules = [
        TargetRule::FirstSeen,
        TargetRule::Deployment("d1".to_owned()),
        TargetRule::AnyBut("d0".to_owned()),
    ];
    // That the baseline is all that is asked is the rarest.
    let untils = [[Until::Ready; 5], [Until::Drained; 5]].concat();
    let untils = [untils, vec![Until::Desired]].concat();
    let seconds = |most: u64| (0..most).prop_map(Duration::from_secs);
    let times = (
        1_u64..40,
        proptest::option::of(seconds(6)),
        seconds(20),
        1_u64..6,
        seconds(4),
        seconds(4),
    );
    let choices = (any::<bool>(), any::<bool>(), 0_u8..20);
    (select(rules.to_vec()), times, select(untils), choices).prop_map(
        |(rule, times, until, (required, accept, one_look))| {
            let (timeout, stall_timeout, appear_timeout, outage, stable_for, pull_grace) = times;
            let timeout = Duration::from_secs(timeout);
            let limits = Limits {
                timeout,
                stall_timeout,
                appear_timeout,
                outage_timeout: Duration::from_secs(outage),
                stable_for: stable_for.min(timeout / 2),
                pull_grace,
                until,
                new_revision: if required {
                    NewRevision::Required
                } else {
                    NewRevision::Optional
                },
                unchanged: if accept {
                    Unchanged::Accept
                } else {
                    Unchanged::Fail
                },
                ..Limits::default()
            };
            if one_look == 0 {
                Policy::one_look(rule, limits)
            } else {
                Policy::new(rule, limits).unwrap()
            }
        },
    )
}

/// What the machine makes of a history, and which answers it sets aside.
fn machine(policy: &Policy, before: Option<Told>, moments: &[Moment]) -> (Option<End>, Vec<usize>) {
    let mut machine = match before {
        Some(told) => Machine::after(policy.clone(), Box::new(told.details())),
        None => Machine::new(policy.clone()),
    };
    let mut asides = Vec::new();
    for (moment, Moment { at, seen }) in moments.iter().enumerate() {
        let at = Duration::from_millis(*at);
        let step = match seen.observation() {
            Some(observation) => machine.observe(at, observation),
            None => machine.lapse(at),
        };
        let aside = |event: &Event| matches!(event, Event::AnswerSetAside { .. });
        if step.events.iter().any(aside) {
            asides.push(moment);
        }
        if let Next::Done(outcome) = step.next {
            let end = End {
                moment,
                verdict: outcome.verdict,
                target: outcome.deployment_id.clone(),
                unchanged: outcome.revision_unchanged,
            };
            return (Some(end), asides);
        }
    }
    (None, asides)
}

/// Runs as many cases as are asked for, the same ones every time.
fn runner() -> TestRunner {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("PROOF_SEED", 1).to_le_bytes());
    let config = ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_global_rejects: u32::MAX,
        max_shrink_iters: 100_000,
        ..ProptestConfig::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

fn cases() -> u32 {
    u32::try_from(number("PROOF_CASES", 4_000)).unwrap()
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn the_machine_and_the_reference_agree_on_every_history() {
    let ends = RefCell::new(BTreeMap::<String, u32>::new());
    let histories = (
        any_policy(),
        proptest::option::of(any_told()),
        any_history(Fate::Any),
    );
    runner()
        .run(&histories, |(policy, before, moments)| {
            let (end, _) = machine(&policy, before, &moments);
            let right = judge(&policy, before, &moments);
            let verdict = right
                .as_ref()
                .map_or("none".to_owned(), |end| end.verdict.to_string());
            *ends.borrow_mut().entry(verdict).or_default() += 1;
            prop_assert_eq!(end, right);
            Ok(())
        })
        .unwrap();
    let ends = ends.into_inner();
    println!("{ends:?}");
    // The histories reach every verdict, or they would prove little.
    for verdict in [
        "ready",
        "failed",
        "stalled",
        "superseded",
        "unchanged",
        "infrastructure",
        "timeout",
        "not-found",
        "unauthorized",
        "unavailable",
    ] {
        let share = ends.get(verdict).copied().unwrap_or(0);
        assert!(share * 500 > cases(), "{verdict}: {share}");
    }
}

/// Where one answer from the past is put in, and which.
#[derive(Debug, Clone)]
struct Slip {
    after: proptest::sample::Index,
    of: Option<proptest::sample::Index>,
}

fn any_slip() -> impl Strategy<Value = Slip> {
    (
        any::<proptest::sample::Index>(),
        proptest::option::of(any::<proptest::sample::Index>()),
    )
        .prop_map(|(after, of)| Slip { after, of })
}

/// The history with one answer more and the place of that, which shows what was seen earlier, or that there is no agent;
/// nothing where none fits: it comes at once after an answer, so that no silence is broken by it.
fn slipped(moments: &[Moment], slip: &Slip) -> Option<(usize, Vec<Moment>)> {
    let answers: Vec<usize> = (0..moments.len())
        .filter(|&moment| matches!(moments[moment].seen, Seen::Answer(_)))
        .collect();
    if answers.is_empty() {
        return None;
    }
    let place = slip.after.index(answers.len());
    let seen = match &slip.of {
        Some(of) => moments[answers[of.index(place + 1)]].seen.clone(),
        None => Seen::Absent,
    };
    let at = moments[answers[place]].at;
    let mut slipped = moments.to_vec();
    let after = answers[place] + 1;
    slipped.insert(after, Moment { at, seen });
    Some((after, slipped))
}

/// The history, and then for long nothing new.
fn with_a_steady_end(mut moments: Vec<Moment>) -> Vec<Moment> {
    let last = moments.last().unwrap().clone();
    let steady = (1..60).map(|second| Moment {
        at: last.at + second * 1000,
        seen: last.seen.clone(),
    });
    moments.extend(steady);
    moments
}

#[test]
fn one_answer_from_the_past_changes_no_verdict() {
    let tried = RefCell::new(0_u32);
    let histories = (
        any_policy(),
        proptest::option::of(any_told()),
        any_history(Fate::Truthful),
        any_slip(),
    );
    let cases = runner().run(&histories, |(policy, before, moments, slip)| {
        let moments = with_a_steady_end(moments);
        let (end, asides) = machine(&policy, before, &moments);
        let end = end.expect("it ends by its deadline");
        // The truth itself must not go back, and there must be a second look.
        prop_assume!(asides.is_empty() && !policy.limits().timeout.is_zero());
        let Some((place, slipped)) = slipped(&moments[..=end.moment], &slip) else {
            return Ok(());
        };
        let slipped = [&slipped, &moments[end.moment + 1..]].concat();
        let (other, asides) = machine(&policy, before, &slipped);
        // Only what can be told from news is said to be from the past.
        prop_assume!(asides == [place]);
        // What is seen three times in a row is so also after it, if it lasts.
        let row = matches!(&moments[end.moment].seen, Seen::Answer(told) if told.ready);
        prop_assume!(end.verdict != Verdict::Failed || !row);
        let other = other.expect("it ends by its deadline");
        *tried.borrow_mut() += 1;
        prop_assert_eq!(
            (other.verdict, other.target, other.unchanged),
            (end.verdict, end.target, end.unchanged)
        );
        Ok(())
    });
    cases.unwrap();
    println!("{} slips", tried.borrow());
    assert!(tried.into_inner() > 500);
}
