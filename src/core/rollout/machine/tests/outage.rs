//! When the API does not answer, or refuses (rules 4, 11 and 13).

use super::*;

#[test]
fn refusals_end_the_watch_when_confirmed_and_an_answer_breaks_them() {
    for (refusal, verdict) in [
        ("401", "unauthorized"),
        ("403", "unauthorized"),
        ("302", "unavailable"),
        ("400", "unavailable"),
        ("404html", "unavailable"),
        ("cert", "unavailable"),
    ] {
        check(&format!("
            # Nothing is known to work: two seconds.
            id new: 0..9 {refusal} => {verdict} 2
            id new: 0 {refusal} | 1.9 {refusal} => goes on
            id new: 0 {refusal} | 2 {refusal} | 3 {refusal} => {verdict} 3
            id new: 0 {refusal} | 0.5 {refusal} | 1 {refusal} | 1.9 {refusal} => goes on
            id new: 0..1 503 | 2..9 {refusal} => {verdict} 4
            # The API has answered: five seconds.
            id new: 0 new/old | 1..9 {refusal} => {verdict} 6
            id new: 0 404 | 1..9 {refusal} => {verdict} 6
            id new: 0 new/old | 1..5 {refusal} | 6 new/new ready => ready 6
            id new: 0 new/old | 1 {refusal} | 6 {refusal} | 7 new/new ready => ready 7
            id new: 0 new/old | 1 {refusal} | 2 new/new ready => ready 2
            id new: 0 {refusal} | 1 new/old | 2..6 {refusal} | 7 new/new ready => ready 7
            id new: 0 new/old | 1..4 {refusal} | 5 new/old | 6..10 {refusal} | 11 new/new ready => ready 11
            id new: 0 new/old u960 | 1..4 {refusal} | 5 new/old u900 | 6..10 {refusal} | 11 new/new ready u961 => ready 11
            # What fails otherwise between them is no refusal, and its time does not count.
            id new: 0 new/old | 1..4 {refusal} | 5..9 503 | 10..11 {refusal} => goes on
            id new: 0 new/old | 1..4 {refusal} | 5..9 503 | 10..12 {refusal} => {verdict} 12
        "));
    }
    // A refused key and another refusal are not the same.
    check(
        "
        first: 0 new/old | 1..4 401 | 5..9 302 | 10 302 => unavailable 10
    ",
    );
    check(
        "
        first: 0 new/old | 1..4 401 | 5..8 403 => unauthorized 6
    ",
    );
}

#[test]
fn an_outage_that_lasts_is_unavailable() {
    check(
        "
        first: 0..200 503 => unavailable 120 -
        first: 0 new/old | 1..200 reset => unavailable 121 new
        first, outage 10: 0..9 503 | 9.9 503 => goes on
        first, outage 10: 0..9 503 | 10 new/new ready => ready 10
        first, outage 10: 0..9 503 | 9.9 404 | 10..19 503 => goes on
        first, outage 10: 0 new/old u960 | 1..9 503 | 10 new/old u900 | 11..20 503 => goes on
        first, outage 10: 0 new/old | 1 503 | 11 timer => unavailable 11
        first, outage 10: 0 new/old | 1 503 | 10.9 timer => goes on
        first, outage 10: 0 new/old | 1 503 | 2 new/old | 60 timer => goes on
        # Nobody has polled: unknown, and not late.
        first, timeout 20: 0 new/old | 60 timer => goes on
        id new: 0 old/old | 60 timer => goes on
    ",
    );
}

#[test]
fn a_pause_that_the_api_asks_for_is_no_outage() {
    check(
        "
        first, outage 10: 0 new/old | 1 503+60 | 61 new/new ready => ready 61
        first, outage 10: 0 new/old | 1 429+60 | 61 timer => goes on
        first, outage 10: 0 new/old | 1 429+60 | 61 503 | 70.9 503 => goes on
        first, outage 10: 0 new/old | 1 429+60 | 61 503 | 71 503 => unavailable 71
        first, outage 10: 0 503+60 | 60 503 | 69 503 | 70 503 => unavailable 70
        first, outage 10, timeout 30: 0 new/old | 1 503+60 | 30 503 => unavailable 30
        first, outage 10, timeout 30: 0 new/old | 1 503+60 | 30 new/old => timeout 30
        first, outage 10: 0 new/old | 1..11 503+0 => unavailable 11
    ",
    );
}

#[test]
fn run_does_not_end_in_an_outage_while_its_command_may_still_deploy() {
    check("
        run, dated, outage 10: 0 base/base c500 | 1 start | 2..60 503 | 60 timer | 61 new/new ready c1050 | 62 end 0 | 63 new/new ready c1050 => ready 63
        run, dated, outage 10: 0 base/base c500 | 1 start | 2..60 503 | 60 end 0 | 61..90 503 => unavailable 70
        run, dated, outage 10: 0 base/base c500 | 1 start | 2..60 503 | 60 end 1 | 61..90 503 => unavailable 70
        run, dated, outage 10: 0 base/base c500 | 1 start | 2 new/base c1002 | 3..60 503 => unavailable 13
        run, dated, outage 10: 0 base/base c500 | 1 start | 2 new/base c1002 | 3..60 401 => unauthorized 8
        run, dated: 0 base/base c500 | 1 start | 2..60 401 | 60 end 1 | 61 401 => unauthorized 61
        run, dated: 0 base/base c500 | 1 start | 2..4 new/base c1002 | 4 end 1 | 5..9 503 | 10 new/new ready c1002 => ready 10
    ");
}

#[test]
fn the_last_failure_names_the_request() {
    let mut watch = watch("first");
    let outcome = watch
        .play("0 new/old | 1 502 | 2 503 | 3 new/new ready")
        .ended(Verdict::Ready);
    assert_eq!((outcome.polls, outcome.failed_polls), (4, 2));
    assert_eq!(outcome.request_id.as_deref(), Some("request-503"));
}
