//! Whatever comes in whatever order: what must hold of every watch.

use super::*;

/// Any answer that the rules tell apart, the odd ones included.
fn any_answer(random: &mut fastrand::Rng) -> Answer {
    let id = |random: &mut fastrand::Rng| random.choice(["new", "old", "other"]).unwrap();
    let answer = ids(id(random), id(random));
    let unknown = Told::Unknown("Shiny".to_owned());
    let phases = [
        Told::Creating,
        Told::Validating,
        Told::Active,
        Told::Failed,
        unknown,
    ];
    let reasons = [
        "CrashLoopBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "SolarFlare",
    ];
    let reason = *random.choice(&reasons).unwrap();
    let health = waiting(reason, random.u64(0..6));
    let answer = answer.revision(id(random), random.choice(phases).unwrap());
    let second = random.i64(0..4);
    let odd: [fn(Answer) -> Answer; 7] = [
        Answer::ready,
        Answer::issue,
        Answer::previous,
        |answer| answer.degraded("True"),
        |answer| answer.error("Quota", "too many"),
        |answer| answer.with(|a| a.reconciled_deployment_id = None),
        |answer| answer.with(|a| a.desired_deployment_id = None),
    ];
    let answer = answer.health(health).created(second).updated(second);
    odd.into_iter()
        .fold(answer, |answer, odd| match random.u8(0..5) {
            0 => odd(answer),
            _ => answer,
        })
}

fn any_observation(random: &mut fastrand::Rng) -> Observation {
    match random.u8(0..12) {
        0 => absent(),
        1 => transient(),
        2 => refused(),
        _ => any_answer(random).into(),
    }
}

fn any_watch(random: &mut fastrand::Rng) -> Watch {
    let rules = [TargetRule::FirstSeen, named("new"), any_but("old")];
    Watch::limited(random.choice(rules).unwrap(), |l| {
        l.stable_for = ms(random.u64(0..3) * 1500);
        l.stall_timeout = random.bool().then_some(ms(20_000));
        l.until = random.choice([Until::Ready, Until::Drained]).unwrap();
        l.new_revision = random
            .choice([NewRevision::Required, NewRevision::Optional])
            .unwrap();
    })
}

#[test]
fn a_verdict_on_the_target_rests_on_the_last_answer_and_every_watch_ends() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20_000 {
        let mut watch = any_watch(&mut random);
        let mut at = 0;
        let mut last = any_observation(&mut random);
        while watch.see(at, last.clone()).verdict().is_none() {
            at += random.u64(0..4000);
            // Most answers repeat the one before, or nothing would ever be confirmed.
            if random.u8(0..3) == 0 {
                last = any_observation(&mut random);
            }
            watch.lapse(at);
            if watch.verdict().is_some() {
                break;
            }
        }
        let verdict = watch.verdict().unwrap();
        seen.insert(verdict);
        assert!(at <= 604_000, "{verdict} at {at}");
        let target = watch.machine.target.clone();
        match (verdict, &last) {
            (Verdict::Ready, Observation::Details { details, .. }) => {
                assert!(details.ready && target.is_some());
                assert_eq!(details.desired(), target.as_deref());
                assert_eq!(details.reconciled_deployment_id, target);
            }
            (Verdict::Failed, Observation::Details { details, .. }) => {
                assert_eq!(details.desired(), target.as_deref());
                assert_eq!(details.reconciled_deployment_id, target);
            }
            (Verdict::Superseded, Observation::Details { details, .. }) => {
                assert_ne!(details.desired(), target.as_deref());
                assert!(details.desired().is_some());
            }
            (Verdict::Ready | Verdict::Failed | Verdict::Superseded, other) => {
                panic!("{verdict} on {other:?}");
            }
            _ => {}
        }
    }
    // The streams reach what they are meant to reach.
    for verdict in [
        Verdict::Ready,
        Verdict::Failed,
        Verdict::Superseded,
        Verdict::Unchanged,
        Verdict::NotFound,
        Verdict::Unauthorized,
        Verdict::Infrastructure,
        Verdict::Stalled,
    ] {
        assert!(seen.contains(&verdict), "{verdict}");
    }
}
