//! The baseline of a deploy: how it is read before, and what it means after.

use super::*;
use crate::core::rollout::Unchanged;

fn reading() -> Watch {
    Watch::limited(TargetRule::FirstSeen, |limits| {
        limits.until = Until::Desired;
    })
}

/// A watch after a deploy, before which the agent desired `old`, made at second 100.
fn after(change: impl FnOnce(&mut Limits)) -> Watch {
    let mut limits = Limits::default();
    change(&mut limits);
    let policy = Policy::new(any_but("old"), limits).unwrap();
    let baseline = Box::new(ids("old", "old").ready().created(100).0);
    Watch::around(Machine::after(policy, baseline))
}

fn accepting() -> Watch {
    after(|limits| limits.unchanged = Unchanged::Accept)
}

#[test]
fn a_baseline_is_what_three_answers_in_a_row_desire() {
    let mut steady = reading();
    steady
        .see(0, ids("a", "b"))
        .see(200, ids("a", "a"))
        .goes_on();
    steady.see(400, transient()).goes_on();
    let outcome = steady.see(600, ids("a", "a").ready()).ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("a"));

    let mut moving = reading();
    moving.see(0, ids("a", "a")).see(200, ids("a", "a"));
    moving
        .see(400, ids("b", "a"))
        .see(600, ids("b", "a"))
        .goes_on();
    let outcome = moving.see(800, ids("b", "a")).ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("b"));
}

#[test]
fn a_baseline_on_which_answers_do_not_agree_in_time_is_unknown() {
    let end = whole(Limits::default().timeout);
    let mut watch = reading();
    watch.see(0, ids("a", "a")).see(end, ids("a", "a"));
    let reason = watch.because(Verdict::Unavailable);
    assert_eq!(
        reason.summary,
        "no 3 answers in a row agreed within 10m on which deployment is the desired one"
    );
    let mut watch = reading();
    watch.see(0, transient()).see(end, absent());
    watch.ended(Verdict::Unavailable);
}

#[test]
fn a_replica_that_lags_does_not_make_an_older_deployment_the_baseline() {
    let (old, new) = (|| ids("a", "a").created(1), || ids("b", "b").created(2));
    let mut watch = reading();
    watch
        .see(0, new())
        .see(200, old())
        .see(400, new())
        .goes_on();
    let outcome = watch.see(600, new()).ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("b"));

    // Nor, however late, is there none.
    let none = || new().with(|a| a.desired_deployment_id = None);
    let mut late = reading();
    late.see(0, new()).see(40_000, none()).goes_on();
    late.see(40_500, new())
        .see(41_000, new())
        .ended(Verdict::Ready);
}

#[test]
fn no_agent_and_no_deployment_are_confirmed_as_well() {
    let mut absent_agent = reading();
    absent_agent.see(0, absent()).see(200, absent()).goes_on();
    absent_agent.see(400, absent()).ended(Verdict::NotFound);
    let undeployed = || reconciled().with(|a| a.desired_deployment_id = None);
    let mut watch = reading();
    watch.see(0, absent()).see(200, undeployed());
    watch.see(400, undeployed()).goes_on();
    watch.see(600, undeployed()).ended(Verdict::Unchanged);
    let mut refused_key = reading();
    refused_key.see(0, refused()).see(200, refused()).goes_on();
    refused_key.see(400, refused()).ended(Verdict::Unauthorized);
}

#[test]
fn after_the_deploy_answers_from_before_the_baseline_are_known_to_lag() {
    let older = || ids("older", "older").ready().created(50);
    let mut watch = after(|_| ());
    watch.see(0, older()).see(500, older()).goes_on();
    watch
        .see(1000, ids("old", "old").ready().created(100))
        .goes_on();
    watch.see(1500, absent()).goes_on();
    let outcome = watch
        .see(2000, ids("new", "new").ready().created(200))
        .ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
    assert_eq!(outcome.baseline_deployment_id.as_deref(), Some("old"));
    assert_eq!(watch.count("answer-set-aside"), 3);
    // That the baseline stands was told when it was read.
    assert_eq!(watch.count("target-awaited"), 0);
}

#[test]
fn a_deploy_that_puts_back_an_older_deployment_is_believed_once_confirmed() {
    let mut watch = after(|_| ());
    let back = || ids("older", "older").ready().created(50);
    watch.see(0, back()).see(500, back()).goes_on();
    let outcome = watch.see(1000, back()).ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("older"));
}

#[test]
fn an_unchanged_deployment_is_judged_where_that_is_accepted_but_not_before_time() {
    let standing = || ids("old", "old").ready().created(100);
    let mut failing = after(|_| ());
    failing.see(0, standing()).see(29_999, standing()).goes_on();
    failing.see(30_000, standing()).ended(Verdict::Unchanged);
    let mut watch = accepting();
    watch.see(0, standing()).see(29_999, standing()).goes_on();
    let outcome = watch.see(30_000, standing()).ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("old"));
    let mut down = accepting();
    down.steady(28_000..=30_000, ids("old", "old").created(100))
        .goes_on();
    down.see(600_000, ids("old", "old").created(100))
        .ended(Verdict::Timeout);
    let mut short = after(|limits| {
        limits.unchanged = Unchanged::Accept;
        limits.timeout = ms(10_000);
    });
    short.see(0, standing()).see(9999, standing()).goes_on();
    short.see(10_000, standing()).ended(Verdict::Ready);
}

#[test]
fn a_new_deployment_that_comes_late_takes_the_accepted_one_s_place() {
    let mut watch = accepting();
    watch
        .steady(28_000..=30_000, ids("old", "old").created(100))
        .goes_on();
    watch.see(31_000, ids("new", "old").created(200)).goes_on();
    let outcome = watch
        .see(32_000, ids("new", "new").created(200).ready())
        .ended(Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
}

#[test]
fn ready_for_what_may_be_from_before_the_baseline_is_confirmed() {
    let other = || ids("ancient", "ancient").ready();
    let mut unseen = Watch::new(any_but("old"));
    unseen.see(0, other()).see(500, other()).goes_on();
    unseen.see(1000, other()).ended(Verdict::Ready);
    let mut corrected = Watch::new(any_but("old"));
    corrected.see(0, ids("ancient", "ancient").ready().created(1));
    corrected
        .see(500, ids("old", "old").ready().created(2))
        .goes_on();
    corrected
        .steady(28_000..=30_000, ids("old", "old").ready().created(2))
        .ended(Verdict::Unchanged);
    let mut broken = Watch::new(any_but("old"));
    broken
        .see(0, other())
        .see(500, other())
        .see(1000, ids("ancient", "ancient"));
    broken.see(1500, other()).see(2000, other()).goes_on();
    let mut undated = Watch::new(any_but("old"));
    undated
        .see(0, ids("old", "old").created(1))
        .see(500, other())
        .see(1000, other())
        .goes_on();
    undated.see(1500, other()).ended(Verdict::Ready);
    let mut newer = Watch::new(any_but("old"));
    newer
        .see(0, ids("old", "old").created(1))
        .see(500, ids("new", "new").ready().created(2))
        .ended(Verdict::Ready);
    let older = || ids("older", "older").ready().created(0);
    let mut rolled_back = Watch::new(any_but("old"));
    rolled_back
        .see(0, ids("old", "old").created(1))
        .see(500, older())
        .see(1000, older())
        .goes_on();
    rolled_back.see(1500, older()).ended(Verdict::Ready);
    let mut accepted = Watch::limited(any_but("old"), |limits| {
        limits.unchanged = Unchanged::Accept;
        limits.stable_for = ms(1000);
    });
    accepted
        .steady(28_000..=30_000, ids("old", "old").ready().created(100))
        .see(30_500, ids("old", "old").ready().created(101))
        .see(31_000, ids("old", "old").ready().created(101))
        .ended(Verdict::Ready);
    let look = Policy::one_look(any_but("old"), Limits::default());
    Watch::of(look).see(0, other()).ended(Verdict::Ready);
}

#[test]
fn an_agent_that_the_deploy_makes_anew_may_take_its_time_to_appear() {
    let mut watch = after(|_| ());
    watch.steady(0..=29_000, absent()).goes_on();
    let mut gone = watch.machine.clone();
    let Next::Done(outcome) = gone.observe(ms(30_000), absent()).next else {
        panic!("its time is over");
    };
    assert_eq!(outcome.verdict, Verdict::NotFound);
    let reason = outcome.reason.unwrap();
    assert_eq!(reason.code, "NotFound");
    assert_eq!(
        reason.summary,
        "the agent that there was before is gone, and no other has appeared (404)"
    );
    watch
        .see(30_000, ids("new", "new").ready().created(200))
        .ended(Verdict::Ready);

    let mut deleted = after(|_| ());
    deleted.see(0, ids("new", "old").created(200));
    deleted.steady(1000..=2000, absent()).goes_on();
    deleted.see(3000, absent());
    assert_eq!(deleted.because(Verdict::NotFound).code, "Deleted");
}

#[test]
fn one_answer_after_an_outage_does_not_say_that_nothing_was_deployed() {
    let stands = || ids("old", "old").ready().created(100);
    let new = || ids("new", "new").ready().created(200);
    for change in [Unchanged::Fail, Unchanged::Accept] {
        let silent = || {
            let mut watch = after(|limits| limits.unchanged = change);
            watch.steady(0..=31_000, transient());
            watch
        };
        let mut lagging = silent();
        lagging.steady(32_000..=33_000, stands()).goes_on();
        let ended = lagging.see(34_000, new()).ended(Verdict::Ready);
        assert_eq!(ended.deployment_id.as_deref(), Some("new"));
        let mut confirmed = silent();
        confirmed.steady(32_000..=34_000, stands());
        let verdict = match change {
            Unchanged::Fail => Verdict::Unchanged,
            Unchanged::Accept => Verdict::Ready,
        };
        assert_eq!(confirmed.ended(verdict).polls, 35);
    }
    // Nor does it at the deadline, where that would be a success.
    let mut short = after(|limits| {
        limits.unchanged = Unchanged::Accept;
        limits.timeout = ms(10_000);
    });
    short.see(9000, transient()).see(10_000, stands());
    short.ended(Verdict::Unchanged);
}
