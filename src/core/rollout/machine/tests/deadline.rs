//! What ends for time: appearing, the deadline, and stalls (rules 11 and 12).

use super::*;

#[test]
fn agent_and_target_have_to_appear_in_time() {
    check(
        "
        first: 0..40 404 => not-found 30 -
        first, appear 5: 0..40 404 => not-found 5
        first, appear 60, timeout 20: 0..40 404 => not-found 20
        first: 0..29 404 | 30 new/old => goes on
        id new: 0..40 404- => not-found 30 new
        not base: 0..40 base/base => unchanged 30 -
        id new, appear 60, timeout 20: 0..40 old/old ready => unchanged 20
        # One answer after an outage does not say that nothing was deployed.
        not base: 0 base/base | 1..40 503 | 41 base/base => goes on
        not base: 0 base/base | 1..40 503 | 41..60 base/base => unchanged 46
        first: 0..40 503 | 41 404 => goes on
        first: 0..40 503 | 41 404 | 42 new/new ready => ready 42
        # A 404 of an agent that was seen is a deleted agent, once confirmed.
        id new: 0 old/old | 1..9 404 => not-found 6
        id new: 0 old/old | 1..5 404 | 6 old/old | 7..9 404 => goes on
        id new, timeout 20: 0..19 old/old | 20 404 => unchanged 20
        first, timeout 20: 0..19 new/old | 20 404 => timeout 20
        first, check: 0 404 => not-found 0
        id new, check: 0 old/old ready => unchanged 0
        first, check: 0 401 => unauthorized 0
        first, check: 0 503 => unavailable 0
        first, check: 0 new/new Creating CrashLoopBackOff*3 => failed 0
        first, check: 0 new/new Creating ErrImagePull*0 => timeout 0
    ",
    );
    assert_eq!(
        watch("first").machine.first_poll().no_later_than,
        ms(30_000)
    );
    assert_eq!(
        watch("first").machine.first_poll().deadline,
        Some(ms(600_000))
    );
}

#[test]
fn the_deadline_ends_the_watch_by_what_is_known() {
    check(
        "
        first: 0..599 new/old | 599.9 new/old => goes on
        first: 0..599 new/old | 600 new/old => timeout 600 new
        first: 0..599 new/old | 600 new/new ready => ready 600
        first: 0..599 new/old | 605 new/new ready => ready 605
        first: 0..599 new/old | 600 new/new Failed => failed 600
        first: 0..599 new/old | 600 503 => unavailable 600
        first: 0..599 new/old | 600 401 => unauthorized 600
        first: 0..599 new/old | 600 302 => unavailable 600
        first, stable 10: 0..595 new/old | 596..600 new/new ready => timeout 600
        first, stable 10: 0 new/old | 590..600 new/new ready => ready 600
        first, timeout 9: 0..8 new/new Creating issue | 9 new/new Creating issue => infrastructure 9
        not base, timeout 4: 0..9 new/new ready => timeout 4 new
        first, timeout 9: 0..8 new/old | 9 old/old => timeout 9 new
        first: 0 new/old | 3 SIGTERM => interrupted 3 new
        first: 3 SIGTERM => interrupted 3 -
    ",
    );
}

#[test]
fn a_target_about_which_nothing_moves_is_stalled() {
    let stuck = "new/new Creating readies=0 run*0/1";
    check(&format!(
        "
        first, stall 5: 0..20 {stuck} => stalled 5 new
        first, stall 5: 0 {stuck} | 4.9 {stuck} => goes on
        first, stall 5: 0..20 {stuck} issue => infrastructure 5
        first, stall 5: 0..2 {stuck} | 3..20 {stuck} issue => infrastructure 5
        first, stall 5: 0..20 new/old ready => stalled 5
        first: 0..599 {stuck} => goes on
        first, stall 5: 0..20 404 => goes on
        id new, stall 5: 0..20 old/old => goes on
        id new, stall 5: 0..9 old/old | 10..30 new/old => stalled 15
        first, stall 5: 0..20 new/new ready old:Failed => ready 0
        first, stall 5, stable 9: 0..20 new/new ready => ready 9
        # Time that nobody has seen does not count, nor does an answer of before.
        first, stall 5: 0..2 {stuck} | 3..9 503 | 10..20 {stuck} => stalled 13
        first, stall 5: 0..2 {stuck} u960 | 3 new/old u900 | 4..20 {stuck} => stalled 5
        # An answer that is not believed moves nothing, ready or not; the end of ready does.
        first, stall 3: 0 new/new Creating | 1..9 new/old ready => stalled 9
        first, stall 3: 0 new/new Creating | 1..9 old/old ready => superseded 6 new
        first, stall 3, stable 20: 0..3 new/new ready | 4..9 -/new ready => stalled 7
        first, stall 5: 0..2 {stuck} | 3 new/old | 4 old/old | 5 404 => goes on
        not base, stall 3: 0..20 new/old => stalled 6
        # Whether it moves meanwhile nobody knows.
        first, stall 4: 0..1 {stuck} | 2 old/old | 3..4 {stuck} | 5 old/old | 6..7 {stuck} => goes on
    "
    ));
    // Ids, phase, counts, state and reason move it.
    for moved in
        "new/new Validating readies=0 run*0/1, new/new Creating readies=1 run*0/1, new/new \
        Creating readies=0 run*1/1, new/new Creating readies=0 run*0/2, new/new Creating \
        readies=0 dead*0/1, new/new Creating readies=0 run:Why*0/1"
            .split(", ")
    {
        let history = format!("0..4 {stuck} | 5..9 {moved} | 10 {moved}");
        check(&format!(
            "
            first, stall 5: {history} => stalled 10
        "
        ));
    }
    // Texts, times, and what is not the target's own do not.
    for still in
        "says=back-off_3_s, exit=1, u961, r961, sessions=7, up, down, prev, min=3".split(", ")
    {
        let history = format!("0..4 {stuck} | 5 {stuck} {still}");
        check(&format!(
            "
            first, stall 5: {history} => stalled 5
        "
        ));
    }
    let others = "0..4 new/old old:Active run*0 | 5 new/old old:Failed run*7 readies=3 ready";
    check(&format!(
        "
        first, stall 5: {others} => stalled 5
    "
    ));
}

#[test]
fn the_next_poll_comes_no_later_than_something_is_due() {
    for (asked, history, due) in [
        ("first", "0..9 404", 30_000),
        ("first", "0 new/old", 600_000),
        ("first", "0 new/old | 1 503", 121_000),
        ("first", "0 new/old | 1 503+60", 181_000),
        ("first, stall 50", "0 new/old", 50_000),
        (
            "first, stall 50",
            "0..3 new/old | 4..9 503 | 10 new/old",
            57_000,
        ),
        ("first", "3 new/new Creating ErrImagePull*0", 23_000),
        (
            "first",
            "3 new/new Creating ErrImagePull*0 says=503",
            63_000,
        ),
        ("first, stable 9", "3 new/new ready", 12_000),
        ("first", "0 new/old | 1 404", 6000),
        ("first", "0 new/old | 1 401", 6000),
        ("first", "0 401", 2000),
        ("not base", "0 new/old", 5000),
        ("run", "0 base/base", 5000),
        (
            "run, dated",
            "0 base/base c500 | 1 start | 2 base/base c500 | 3 end 0",
            33_000,
        ),
        (
            "run, dated",
            "0 base/base c500 | 1 start | 3 end 1 | 4 base/base c500",
            9000,
        ),
    ] {
        let mut watch = watch(asked);
        watch.play(history).goes_on();
        assert_eq!(
            watch.next_poll().no_later_than,
            ms(due),
            "[{asked}] {history}"
        );
    }
}

#[test]
fn polls_are_paced_from_what_began_last() {
    for (history, age) in [
        ("0..9 new/old", 9000),
        (
            "0..2 new/old | 3 new/new Creating | 4 new/new Creating",
            1000,
        ),
        (
            "0..2 new/new | 3 new/new ErrImagePull*0 | 5 new/new ErrImagePull*0",
            2000,
        ),
        ("0..2 new/old | 3 old/old | 3.5 old/old", 500),
        ("0..2 new/old | 3 503 | 4 new/old", 4000),
        (
            "0 404 | 2 404 | 5 404 | 5 start | 6..13 404 | 14 end 0 | 15 404",
            1000,
        ),
    ] {
        let asked = if history.contains("start") {
            "run"
        } else {
            "first"
        };
        let mut watch = watch(asked);
        watch.play(history).goes_on();
        assert_eq!(watch.next_poll().moment.phase_age, ms(age), "{history}");
    }
}
