//! What time decides: the deadline, outages, and appearing.

use super::*;

#[test]
fn the_deadline_is_a_timeout_with_a_target_in_view_to_the_millisecond() {
    for answer in [reconciling(), reconciled(), reconciled().own(Told::Active)] {
        let mut watch = watch();
        watch.see(0, answer.clone());
        assert_eq!(watch.by(), 600_000);
        watch.see(599_999, answer.clone()).lapse(599_999).goes_on();
        let mut lapsed = Watch {
            next: None,
            told: Vec::new(),
            machine: watch.machine.clone(),
        };
        watch.see(600_000, answer);
        assert_eq!(watch.ended(Verdict::Timeout).elapsed, ms(600_000));
        lapsed.lapse(600_000).ended(Verdict::Timeout);
    }
}

#[test]
fn what_is_seen_at_the_deadline_or_later_still_counts() {
    watch()
        .see(0, reconciled())
        .see(600_000, reconciled().ready())
        .ended(Verdict::Ready);
    watch()
        .see(0, reconciled())
        .see(600_010, reconciled().ready())
        .ended(Verdict::Ready);
    watch()
        .see(0, reconciled())
        .see(600_000, reconciled().own(Told::Failed))
        .ended(Verdict::Failed);
}

#[test]
fn ready_that_has_not_held_for_long_enough_is_a_timeout() {
    let mut watch = watch_with(|l| l.stable_for = ms(10_000));
    watch
        .see(0, reconciled())
        .see(590_001, reconciled().ready());
    watch.see(600_000, reconciled().ready());
    watch.ended(Verdict::Timeout);
    let mut just = watch_with(|l| l.stable_for = ms(10_000));
    just.see(0, reconciled()).see(590_000, reconciled().ready());
    just.see(600_000, reconciled().ready());
    just.ended(Verdict::Ready);
}

#[test]
fn the_deadline_under_an_infrastructure_issue_is_the_platforms_fault() {
    let mut watch = watch();
    watch
        .see(0, reconciled().own(Told::Creating).issue())
        .lapse(600_000);
    watch.ended(Verdict::Infrastructure);
    let mut others = super::watch();
    others
        .see(0, reconciling().own(Told::Creating).issue())
        .lapse(600_000);
    others.ended(Verdict::Timeout);
}

#[test]
fn a_failed_poll_last_before_the_deadline_leaves_the_state_unknown() {
    let mut watch = watch();
    watch
        .see(0, reconciling())
        .see(599_000, transient())
        .lapse(600_000);
    watch.ended(Verdict::Unavailable);
    let mut back = super::watch();
    back.see(0, reconciling())
        .see(599_000, transient())
        .see(600_000, reconciling());
    back.ended(Verdict::Timeout);
    watch_with(|_| ())
        .lapse(600_000)
        .ended(Verdict::Unavailable);
}

#[test]
fn a_refusal_last_before_the_deadline_decides_although_it_was_not_confirmed() {
    watch()
        .see(0, reconciling())
        .see(599_000, refused())
        .lapse(600_000)
        .ended(Verdict::Unauthorized);
    let mut both = watch_with(|l| l.outage_timeout = l.timeout);
    both.see(0, refused()).see(600_000, refused());
    both.ended(Verdict::Unauthorized);
    let mut mixed = watch();
    mixed
        .see(599_000, refused())
        .see(599_500, transient())
        .lapse(600_000);
    mixed.ended(Verdict::Unavailable);
}

#[test]
fn nothing_but_404_is_not_found_when_the_agent_should_have_appeared() {
    let mut watch = watch();
    watch.see(0, absent());
    assert_eq!(watch.by(), 30_000);
    watch.see(29_999, absent()).lapse(30_000).goes_on();
    watch.see(30_000, absent());
    assert_eq!(watch.because(Verdict::NotFound).code, "NotFound");
}

#[test]
fn nothing_but_404_is_not_found_at_the_deadline_at_the_latest() {
    let mut watch = watch_with(|l| l.appear_timeout = ms(3_600_000));
    watch.see(0, absent()).see(599_999, absent()).goes_on();
    watch.see(600_000, absent());
    watch.ended(Verdict::NotFound);
}

#[test]
fn appear_timeout_waits_for_an_answer() {
    let mut watch = watch();
    watch
        .see(0, absent())
        .see(29_000, transient())
        .see(31_000, transient())
        .see(32_000, absent())
        .goes_on();
    // Which may be from the past, unless others say the same.
    watch.see(33_000, absent());
    watch.ended(Verdict::NotFound);
}

#[test]
fn a_target_never_in_view_is_unchanged_at_the_deadline() {
    let mut watch = Watch::limited(named("new"), |l| l.appear_timeout = ms(3_600_000));
    watch
        .see(0, ids("old", "old"))
        .see(599_999, ids("old", "old"))
        .goes_on();
    watch.lapse(600_000);
    watch.ended(Verdict::Unchanged);
}

#[test]
fn an_outage_that_lasts_is_unavailable_to_the_millisecond() {
    let mut watch = watch();
    watch.see(0, reconciling()).see(1000, transient());
    assert_eq!(watch.by(), 121_000);
    watch.see(120_999, transient()).goes_on();
    let mut lapsed = Watch {
        next: None,
        told: Vec::new(),
        machine: watch.machine.clone(),
    };
    watch.see(121_000, transient());
    watch.ended(Verdict::Unavailable);
    lapsed.lapse(120_999).goes_on();
    lapsed.lapse(121_000).ended(Verdict::Unavailable);
}

#[test]
fn any_answer_ends_an_outage_also_a_404_or_one_set_aside() {
    for answer in [
        reconciling().into(),
        absent(),
        Observation::from(ids("old", "old")),
    ] {
        let mut watch = watch();
        watch
            .see(0, reconciling())
            .see(1000, transient())
            .see(100_000, answer);
        watch
            .see(101_000, transient())
            .see(220_999, transient())
            .goes_on();
        watch.see(221_000, transient());
        watch.ended(Verdict::Unavailable);
    }
}

#[test]
fn an_answer_that_comes_when_the_outage_is_due_is_heard() {
    let mut watch = watch();
    watch.see(0, transient()).see(120_000, reconciled().ready());
    watch.ended(Verdict::Ready);
}

#[test]
fn what_no_retry_mends_is_unavailable_at_once() {
    let permanent = failure(FailureClass::Refused, "Http302");
    watch()
        .see(0, permanent.clone())
        .ended(Verdict::Unavailable);
    watch()
        .see(0, reconciling())
        .see(1000, permanent)
        .ended(Verdict::Unavailable);
}

#[test]
fn three_refusals_are_unauthorized_and_only_an_answer_breaks_their_run() {
    let mut watch = watch();
    watch
        .see(0, refused())
        .see(500, transient())
        .see(1000, refused())
        .see(1500, transient());
    watch.goes_on().see(2000, refused());
    watch.ended(Verdict::Unauthorized);
    for answer in [reconciling().into(), absent()] {
        let mut broken = super::watch();
        broken.steady(0..=1000, refused()).see(2000, answer);
        broken.steady(3000..=4000, refused()).goes_on();
        broken.see(5000, refused());
        broken.ended(Verdict::Unauthorized);
    }
}

#[test]
fn failed_polls_are_counted_and_so_is_the_silence_when_it_ends() {
    let mut watch = watch();
    watch
        .see(1000, transient())
        .see(2000, refused())
        .see(4500, reconciling())
        .see(5000, transient());
    let poll_failed = |code: &str, in_a_row| Event::PollFailed {
        code: code.to_owned(),
        summary: format!("the API said {code}"),
        in_a_row,
    };
    let failed = [poll_failed("Http503", 1), poll_failed("Http401", 2)];
    assert_eq!(watch.told[..2], failed);
    assert_eq!(
        watch.told[2],
        Event::PollRecovered {
            failed: 2,
            after: ms(3500)
        }
    );
    assert_eq!(watch.told.last(), Some(&poll_failed("Http503", 1)));
    assert_eq!(watch.count("poll-recovered"), 1);
}
