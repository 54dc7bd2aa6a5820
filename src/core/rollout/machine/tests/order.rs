//! The order of answers: proven older by their dates, going back, superseded, deleted, confirmed.

use super::*;

#[test]
fn ignores_stale_answers_by_dates_however_often_they_come() {
    for stale in
        "base/base ready c500 u900, base/base ready u900, new/new Failed u900, new/old u900, -/- \
        u900, new/new ErrImagePull*0 u900, new/new CrashLoopBackOff*9 u900, new/new Failed r900, \
        new/new err=PCC_X u900, new/new ready Failed r900"
            .split(", ")
    {
        let history = format!(
            "0 new/new Creating c950 u960 r960 | 1..60 {stale} | 61 new/new ready c950 u960"
        );
        let mut watch = watch("first");
        watch.play(&history);
        assert_eq!(watch.result(), "ready 61 new", "{stale}");
        assert_eq!(watch.count("stale-answer"), 1, "{stale}");
        assert_eq!(watch.count("unconfirmed"), 0, "{stale}");
    }
}

#[test]
fn equal_missing_and_future_dates_prove_nothing() {
    check("
        first: 0 new/old u960 | 1 new/new ready u960 => ready 1
        first: 0 new/old u960 | 1 new/new ready => ready 1
        first: 0 new/old | 1 new/new ready u960 => ready 1
        first: 0 new/old u960 | 1 new/new ready u961 => ready 1
        first: 0 new/old u960 r960 | 1 new/new ready u960 r959 | 2 new/new ready r960 => ready 2
        # Further ahead of the server's own clock than whole seconds explain is no date.
        first, dated: 0 new/old u1003 | 1 new/new ready u1000 => goes on
        first, dated: 0 new/old u1004 | 1 new/new ready u1000 => ready 1
        first, dated: 0 new/old u9999999 r9999999 | 1 new/new ready u1001 r1001 => ready 1
        first, dated: 0 new/old c9999999 | 1 newer/old c1001 | 2..5 newer/newer ready => goes on
        first, dated: 0 new/old c950 | 1..6 newer/old c9999999 => superseded 6
        not base@500, dated: 0..9 new/new ready c9999999 => ready 5 new
        run, dated: 0 base/base c9999999 | 1..5 base/base c9999999 | 5 start | 6 end 0 | 7 new/new ready c1006 => ready 7 new
        run, dated: 0 base/base c500 | 0 start | 1 end 0 | 2..9 new/new ready c9999999 => ready 7 new
        # Without a Date the watch knows the server's clock from other answers.
        first: 0 new/old date=1000 | 1 new/old u9999999 | 2 new/new ready u1001 => ready 2
    ");
}

#[test]
fn superseded_at_once_only_by_a_newer_deployment_not_seen_before() {
    check("
        first: 0 new/old c950 | 1 newer/old c951 => superseded 1 new
        id new: 0 new/old c950 | 1 newer/old c951 => superseded 1 new
        not old@500: 0 new/old c950 | 1 newer/new ready c951 => superseded 1 new
        first, stable 10: 0..4 new/new ready c950 | 5 newer/new ready c951 => superseded 5 new
        # Of unknown, equal or older age: confirmed.
        first: 0 new/old | 1..9 other/old => superseded 6 new
        first: 0 new/old c950 | 1..9 other/old => superseded 6 new
        first: 0 new/old | 1..9 other/old c951 => superseded 6 new
        first: 0 new/old c950 | 1..9 other/old c950 => superseded 6 new
        first: 0 new/old c950 | 1..9 old/old ready c900 => superseded 6 new
        not old@500: 0 new/old c950 | 1..9 old/old ready c500 => superseded 6 new
        # A deploy that puts an older one back: what was there before it was made later.
        id older: 0 base/base c900 | 1 older/base c500 | 2..6 base/base c900 | 7..12 base/base c900 => superseded 7 older
        id older: 0 older/base c500 | 1..3 base/base ready c900 | 4..9 older/older ready c500 => ready 9 older
        # The record belongs to another deployment.
        first: 0 new/old c950 | 1 -/old | 2 new/new ready c950 => ready 2
    ");
}

#[test]
fn an_answer_that_goes_back_counts_when_confirmed() {
    for back in ["old/old ready", "old/old Failed", "404", "404-"] {
        let verdict = if back.starts_with("404") {
            "not-found"
        } else {
            "superseded"
        };
        check(&format!("
            # After one, the other is believed; after several, the return has to be confirmed, too.
            first: 0 new/old | 1 {back} | 2 new/new ready => ready 2
            first: 0 new/old | 1..2 {back} | 3..9 new/new ready => ready 8
            first: 0 new/old | 1..2 {back} | 3 new/new ready | 4..9 {back} => {verdict} 9
            first: 0 new/old | 1..5 {back} | 30..39 new/new ready => ready 35
            first: 0 new/old | 1..6 {back} | 30 new/new ready => {verdict} 6
            first, stall 4: 0 new/old | 1..2 {back} | 3 new/old | 4..5 {back} | 6..7 new/old | 8..9 {back} | 10 new/old => goes on
            first, stall 4: 0 new/old | 1..2 {back} | 3..9 new/old => stalled 9
            # Not fewer than three, and not within less than five seconds.
            first: 0 new/old | 1 {back} | 9 {back} | 30..39 new/new ready => ready 35
            first: 0 new/old | 1 {back} | 5.9 {back} | 6 {back} | 30 new/new ready => {verdict} 6
            first: 0 new/old | 1 {back} | 1.1 {back} | 1.2 {back} | 1.3 {back} | 5.9 {back} | 30..39 new/new ready => ready 35
            # Another answer begins it anew; a failed poll does not, but its time does not count.
            first: 0 new/old | 1..5 {back} | 6 new/old | 7..11 {back} | 30..39 new/new ready => ready 35
            first: 0 new/old | 1..4 {back} | 5..9 503 | 10..11 {back} | 30..39 new/new ready => ready 35
            first: 0 new/old | 1..4 {back} | 5..9 503 | 10..12 {back} | 30 new/new ready => {verdict} 12
            first: 0 new/old | 1..3 {back} | 4 -/old | 5..8 {back} | 30..39 new/new ready => ready 35
        "));
    }
    // Whichever deployment took its place, each answer says that it is gone.
    check(
        "
        first: 0 new/old | 1..3 one/old | 4..8 two/old => superseded 6 new
        first: 0 new/old | 1 one/old | 3 two/old | 5 one/old | 7 two/old => superseded 7 new
        first: 0 new/old | 1..2 one/old | 3 new/old | 4..8 two/old => goes on
    ",
    );
}

#[test]
fn a_target_that_goes_back_starts_anew_once_confirmed() {
    const BACK: [(&str, &str, Phase); 6] = [
        ("new/new Creating", "new/old ready", Phase::Reconciling),
        ("new/new Creating", "new/-", Phase::Reconciling),
        ("new/new Active", "new/new Validating", Phase::Validating),
        ("new/new Active", "new/new Creating", Phase::Creating),
        ("new/new Draining", "new/new Active", Phase::Active),
        ("new/new Validating", "new/new", Phase::Progressing),
    ];
    for (seen, back, phase) in BACK {
        let mut watch = watch("first");
        watch.play(&format!("0 {seen} | 1..5 {back}")).goes_on();
        assert_eq!(watch.phases().len(), 2, "{back}");
        assert_eq!(watch.count("unconfirmed"), 1, "{back}");
        assert_eq!(watch.next_poll().route, Route::Fresh);
        watch.play(&format!("6 {back}")).goes_on();
        assert_eq!(watch.phases().last(), Some(&(phase, 6000)), "{back}");
        watch.play("7 new/new ready").ended(Verdict::Ready);
    }
    check("
        # Nothing in an answer that goes back counts before that.
        first, grace 0: 0 new/new Active | 1..5 new/new Creating ErrImagePull*0 => goes on
        first, grace 0: 0 new/new Active | 1..6 new/new Creating ErrImagePull*0 => failed 6
        first: 0 new/new Active | 1..5 new/old err=PCC_X => goes on
        first: 0 new/new Active | 1..9 new/old err=PCC_X => failed 7
        first: 0 new/new Active | 1 new/new Creating CrashLoopBackOff*9 | 2 new/new ready => ready 2
        # Ready is complete whatever the revision says, also where it says an earlier phase.
        first: 0 new/new Validating | 1 new/new ready Creating => ready 1
        first: 0 new/new Validating | 1 new/new ready => ready 1
        first: 0 new/new ready Failed | 1 new/new ready Active => ready 1
        # Phases that nobody knows have no order.
        first, grace 0: 0 new/new Active | 1 new/new Shiny | 2 new/new Creating ErrImagePull*0 => failed 2
    ");
}

#[test]
fn restarts_count_on_when_a_phase_goes_back() {
    let cycle = |from: u64, restarts: u64| {
        format!(
            "{from}..{} new/new Validating odd:PostStartHookError*{restarts} | {}..{} new/new Creating odd:PostStartHookError*{restarts}",
            from + 2,
            from + 3,
            from + 9
        )
    };
    let history = (0..5)
        .map(|n| cycle(n * 10, n))
        .collect::<Vec<_>>()
        .join(" | ");
    check(&format!(
        "
        first: {history} => failed 30 new
    "
    ));
}

#[test]
fn that_no_deployment_is_desired_is_never_believed_once_one_was() {
    check(
        "
        first: 0 new/new Creating | 1..599 -/new ready | 600 -/new ready => timeout 600 new
        first: 0 new/new Creating | 1..90 -/- | 91 new/new ready => ready 91
        first, stall 5: 0 new/new Creating | 1..90 -/- => stalled 5
        # What waits to be confirmed may be what moves.
        first, stall 5: 0..3 new/new Creating | 4..20 old/old => superseded 9 new
    ",
    );
}

#[test]
fn unconfirmed_answers_ask_for_fresh_connections() {
    for (history, route) in [
        ("0 new/old", Route::Pooled),
        ("0 new/old | 1 old/old", Route::Fresh),
        ("0 new/old | 1 404", Route::Fresh),
        ("0 new/old | 1 401", Route::Fresh),
        ("0 new/old | 1 302", Route::Fresh),
        ("0 new/old | 1 503", Route::Pooled),
        ("0 new/new Failed ready", Route::Fresh),
        ("0 new/old | 1 401 | 2 new/old", Route::Pooled),
        (
            "0 new/new Active | 1 new/new Creating | 2 new/new Active",
            Route::Pooled,
        ),
        ("0 404", Route::Pooled),
        // What is about to decide: no pull for 20 s, and no target for 30.
        ("0..9 new/new ImagePullBackOff*0", Route::Pooled),
        ("0..10 new/new ImagePullBackOff*0", Route::Fresh),
        ("0..19 404", Route::Pooled),
        ("0..20 404", Route::Fresh),
        ("0 new/old u1000 | 1 new/old u900", Route::Fresh),
    ] {
        let mut watch = watch("first");
        watch.play(history).goes_on();
        assert_eq!(watch.next_poll().route, route, "{history}");
    }
    let mut unsettled = watch("not base");
    assert_eq!(unsettled.play("0 new/old").next_poll().route, Route::Fresh);
    // What is ready has been decided; only the command is waited for.
    let mut ready = watch("run, dated");
    ready.play("0 base/base c500 | 0 start | 1..2 new/new ready c1001");
    assert_eq!(ready.next_poll().route, Route::Pooled);
}
