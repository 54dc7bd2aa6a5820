//! Which deployment the verdict is about: targets, baselines, dates, and the deploy command of `run`.

use super::*;

#[test]
fn named_deployment_is_the_target_while_reads_lag() {
    check(
        "
        id new: 0..3 old/old ready | 4 new/new ready => ready 4 new
        id new: 0..40 old/old ready => unchanged 30 new
        # It was there, and has been replaced.
        id new: 0..40 old/new ready => superseded 30 new
        id new: 0..40 old/old new:Active => superseded 30 new
        id new, check: 0 old/new ready => superseded 0 new
        id new: 0..20 404 | 21 old/old | 22 new/new ready => ready 22 new
        id new: 0..29 old/old | 29.5 new/old | 30..40 new/old => goes on
        id new, appear 5: 0..9 old/old ready => unchanged 5 new
        id new: 0 old/old c900 | 1 new/new ready c800 => ready 1 new
        id new: 0..9 -/- ready | 10 new/new ready => ready 10 new
    ",
    );
}

#[test]
fn first_desired_deployment_is_the_target_of_a_bare_wait() {
    check(
        "
        first: 0 404 | 1 503 | 2 new/new ready => ready 2 new
        first: 0..5 -/- ready | 6 new/old | 7 new/new ready => ready 7 new
        first: 0..40 -/- ready => unchanged 30 -
        first: 0 old/old | 1 new/new ready c900 => goes on
        first, check: 0 new/new ready => ready 0 new
        first, check: 0 new/old ready => timeout 0 new
        first, check: 0 -/- => unchanged 0 -
        not base, check: 0 new/new ready => ready 0 new
    ",
    );
    let mut old = watch("first, dated");
    let outcome = old.play("0 new/new ready c400").ended(Verdict::Ready);
    assert_eq!(outcome.warnings[0].code, "CreatedBefore");
    assert!(outcome.warnings[0].summary.contains("created 10m before"));
    for (asked, answers) in [
        ("first", "0 new/new ready c400"),
        ("first, dated", "0 new/old c1000 | 1 new/new ready c1000"),
        ("first, dated, check", "0 new/new ready c400"),
    ] {
        let mut other = watch(asked);
        assert_eq!(other.play(answers).ended(Verdict::Ready).warnings, []);
    }
}

#[test]
fn target_newer_than_the_baseline_by_dates_is_settled_at_once() {
    check("
        not base@500: 0 base/base ready c500 | 1 new/base c900 | 2 new/new ready c900 => ready 2 new
        not base@500: 0 new/new ready c501 => ready 0 new
        not base: 0 base/base ready c500 | 1 new/new ready c900 => ready 1 new
        # What still runs came before what is desired.
        not base: 0 new/base c900 | 1 theirs/base c901 => superseded 1 new
        # A replica from before the baseline.
        not base@500: 0..9 older/older ready c100 | 10 new/new ready c900 => ready 10 new
        not base@500: 0..40 older/older ready c100 => unchanged 30 -
        not base@500: 0 older/older Failed c100 | 1 new/new ready c900 => ready 1 new
        not base@500: 0..40 base/base ready c500 => unchanged 30 -
        not base@500: 0 new/old c900 | 1 new/new Failed c900 => failed 1 new
        # What was rolled back before the baseline was noted is newer than it, and proves nothing.
        not base@100, noted 1000: 0..3 older/older ready c500 | 4 new/new ready c1010 => ready 4 new
        not base@100, noted 1000: 0 older/older Failed c500 | 1..40 base/base ready c100 => unchanged 30 -
        not base@100, noted 1000: 0..40 new/new ready c997 => unchanged 30 -
        not base@100, noted 1000: 0..8 older/older ready c500 | 9 new/new Failed c1010 => failed 9 new
        not base@100, noted 1000: 0 new/new ready c998 => ready 0 new
        # Another spelling of the same: the baseline is dated by the answers.
        not base: 0 older/older c100 | 1 base/base ready c500 | 2..40 older/older ready c100 => unchanged 30 -
    ");
}

#[test]
fn target_that_no_date_proves_new_is_settled_once_confirmed() {
    check("
        not base: 0..9 new/new ready => ready 5 new
        not base: 0 new/new ready | 4.9 new/new ready | 5 new/new ready => ready 5 new
        not base: 0 new/new ready | 5 new/new ready | 6 new/new ready => ready 6 new
        not base: 0..9 new/new ready c900 => ready 5 new
        not base@500: 0..9 new/new ready => ready 5 new
        not base@500: 0..9 new/new ready c500 => ready 5 new
        not nothing: 0 404 | 1..9 new/new ready c900 => ready 6 new
        not base, stable 3: 0..9 new/new ready => ready 5 new
        not base, stable 7: 0..9 new/new ready => ready 7 new
        # The first answer lags: another candidate takes its place, and nothing is said of it.
        not base: 0 older/older Failed | 1..9 new/new ready => ready 6 new
        not base: 0 older/older | 1..9 new/new ready => ready 6 new
        not base: 0..3 older/older ready | 4..20 new/new Failed => failed 9 new
        # One that was rolled back came after the baseline, too.
        not base: 0..1 older/base err=PCC_X | 2..20 new/new ready => ready 7 new
        not base: 0 older/older Failed err=PCC_X | 1..40 base/base ready => unchanged 30 -
        not base: 0 older/older OOMKilled*9 | 1 OOM/OOM ready | 2..9 new/new ready => ready 7 new
        # Any other answer breaks the run; a failed poll does not, and its time does not count.
        not base: 0..4 new/new ready | 5 base/base | 6..10 new/new ready | 11 new/new ready => ready 11 new
        not base: 0..2 new/new ready | 3..8 503 | 9..20 new/new ready => ready 12 new
        not base: 0..4 new/new ready | 5 404 | 6..30 new/new ready => ready 11 new
        # An agent that was only not shown when nothing was noted: it is much older.
        not nothing, noted 1000: 0..40 older/older ready c997 => unchanged 30 -
        not nothing, noted 1000: 0..40 new/new ready c998 => ready 5 new
        not nothing, noted 1000: 0..9 older/older ready c100 | 10..20 new/new ready c1010 => ready 10 new
        # An older one does not take the place of a newer one.
        not base: 0 new/old c900 | 1..40 older/older ready c100 => unchanged 30 -
        not base: 0 new/old | 1..9 404 => not-found 6
        # That it is not there is confirmed when the time is up.
        not base, appear 30, timeout 20: 0 new/new | 1..20 base/base ready => unchanged 20
        # The baseline may be dated after the target was seen.
        not base: 0 new/old c900 | 1..40 base/base ready c500 => superseded 6 new
        # What was indicated of one says nothing of the next, nor are its errors the next one's.
        not base@500, stable 3: 0..2 other/other ready | 3..9 new/new ready c900 => ready 6 new
        not base@500: 0 base/base c500 | 1 other/older err=PCC_X | 2..4 new/older c900 err=PCC_X | 5 new/new ready c900 => ready 5 new
        # While polls fail nobody knows that none has come.
        not base@500: 0..9 base/base ready c500 | 10..34 503 | 35 new/new ready c900 => ready 35 new
        # What was counted of one candidate is nothing to the next.
        not base: 0 older/older run*0 | 1 older/older run*2 | 2 new/new run*5 | 3..20 new/new run*6 => goes on
        not base: 0 new/new ready c900 | 1 older/older ready c100 | 2..9 new/new ready c900 => ready 7 new
    ");
}

#[test]
fn nothing_about_an_unsettled_target_ends_the_watch() {
    for answer in
        "new/new ready, new/new Failed, new/new Failed ready, new/new CrashLoopBackOff*9, new/new \
        dead:OOMKilled*9, new/new InvalidImageName*0, new/new ErrImagePull*0, new/old \
        err=PCC_IMAGE_NOT_FOUND, new/new err=PCC_UNKNOWN@new, new/new :Failed, new/new \
        old:Active ready"
            .split(", ")
    {
        let history = format!("0..4 {answer} | 4.9 {answer}");
        watch("not base, grace 0, require-new")
            .play(&history)
            .goes_on();
        let mut late = watch("not base, grace 0, timeout 3");
        late.play(&history);
        let reason = late.because(Verdict::Timeout);
        assert!(
            reason.summary.starts_with("too few answers show"),
            "{reason:?}"
        );
    }
}

#[test]
fn unchanged_baseline_is_judged_where_that_is_accepted() {
    check("
        not base, accept: 0..40 base/base ready => ready 31 base
        not base, accept: 0..60 base/base Creating | 61 base/base Failed => failed 61 base
        not base, accept: 0..35 base/base | 36..50 new/new ready => ready 41 new
        not base@500, accept: 0..35 base/base c500 | 36 new/new ready c900 => ready 36 new
        not base, accept: 0..40 404 => not-found 30
        not base@500, accept: 0..40 older/older ready c100 => unchanged 30
        run, accept, dated: 0 older/older c100 | 0 start | 1 end 0 | 2..40 base/base ready c500 => ready 32 base
        not base, accept: 0..40 -/- => unchanged 30
        id new, accept: 0..40 base/base ready => unchanged 30
        run, accept, dated: 0 base/base ready c500 | 0 start | 1 end 0 | 2..40 base/base ready c500 => ready 32 base
    ");
}

/// Created 900 is before the watch, which begins at 1000 by the server's clock; answers are dated.
#[test]
fn run_follows_what_the_command_made() {
    const BASE: &str = "0 base/base ready c500 | 1 start";
    check(&format!("
        # It deploys, waits by itself, and ends.
        run, dated: {BASE} | 2..8 base/base ready c500 | 9 new/base c1008 | 10..12 new/new Creating c1008 | 13 new/new ready c1008 | 14 end 0 | 15 new/new ready c1008 => ready 15 new
        # A deployment that comes before the command has ended is no success of the one before it.
        run, dated: {BASE} | 2..8 new/new ready c1002 | 9..12 later/later ready c1009 => superseded 9 new
        run, dated: {BASE} | 2..8 new/new ready c1002 | 9 end 0 | 10 later/later ready c1009 => superseded 10 new
        run, dated: {BASE} | 2..8 new/new ready c1002 | 9 end 0 | 10..11 503 | 12 new/new ready c1002 => ready 12 new
        run, dated: {BASE} | 2..8 new/new ready c1002 | 9 new/new Failed c1002 => failed 9 new
        run, dated: {BASE} | 2..900 new/new ready c1002 => goes on
        run, dated, outage 10: {BASE} | 2 new/new ready c1002 | 3..90 503 | 91 end 0 | 92 new/new ready c1002 => ready 92 new
        run, dated: {BASE} | 2 new/base c1001 | 3 end 0 | 4 new/new ready c1001 => ready 4 new
        # The first answers after it still show the baseline, or an older one.
        run, dated: {BASE} | 2 end 0 | 3..9 base/base ready c500 | 10 new/new ready c1002 => ready 10 new
        run, dated: {BASE} | 2 end 0 | 3..9 older/older Failed c100 | 10 new/new ready c1002 => ready 10 new
        # It deployed nothing: the replica of the baseline had lagged.
        run, dated: {BASE} | 2 end 0 | 3..40 later/later ready c900 => unchanged 32 -
        run, dated: {BASE} | 2 end 0 | 3..9 later/later ready c900 | 10 new/new Failed c1002 => failed 10 new
        # It ends on its own judgement; ours is about the target.
        run, dated: {BASE} | 2 new/base c1002 | 3..6 new/new CrashLoopBackOff*1 c1002 | 7 end 1 | 8 new/new CrashLoopBackOff*3 c1002 => failed 8 new
        run, dated: {BASE} | 2 new/base c1002 err=PCC_IMAGE_NOT_FOUND | 3 new/base c1002 err=PCC_IMAGE_NOT_FOUND => failed 3 new
        run, dated: {BASE} | 2 new/base c1002 | 3 end 1 | 4 new/new ready c1002 => ready 4 new
        # A colleague's later deploy, while the command waits and follows it.
        run, dated: {BASE} | 2 new/base c1002 | 3 theirs/base c1003 => superseded 3 new
        run, dated: {BASE} | 2 new/base c1002 | 3..9 theirs/theirs ready c1003 | 10 end 0 => superseded 3 new
        # A roll-back is seen three times, over five seconds.
        run, dated: {BASE} | 2..4 new/new Creating c1002 | 5..20 base/base ready c500 => superseded 10 new
        # It fails, and nothing new comes.
        run, dated: {BASE} | 2 base/base c500 | 3 end 1 | 4..20 base/base c500 => command-failed-1 9 -
        run, dated: {BASE} | 2 end 127 | 3..20 base/base c500 => command-failed-127 8 -
        run, dated: {BASE} | 2 end 1 | 3..4 base/base c500 | 5 new/base c1002 | 6 new/new ready c1002 => ready 6 new
        run, dated: {BASE} | 2 end 1 | 3..4 503 | 5..20 base/base c500 => command-failed-1 10 -
        # Nothing ends the watch while it runs and the target has yet to show.
        run, dated: {BASE} | 2..700 base/base ready c500 => goes on
        run, dated: {BASE} | 2..700 503 => goes on
        run, dated: {BASE} | 2..700 401 => goes on
        run, dated: {BASE} | 2..700 404 => goes on
        run, dated: {BASE} | 2..300 503 | 301 end 0 | 302 new/new ready c1300 => ready 302 new
        # One 404 does not say that the agent is gone.
        run, dated: {BASE} | 2 end 0 | 3..31 base/base c500 | 32 404 => unchanged 32 -
        # Without dates, answers may disagree until its time is up.
        run, timeout 9: 0..5 base/base | 5 start | 6 end 0 | 7 new/base | 8 base/base | 9 new/base | 10 base/base | 11 new/base | 12 base/base | 13 new/base | 14..15 base/base => timeout 15 -
        run, timeout 9: 0..5 base/base | 5 start | 6 end 1 | 7 new/base | 8 base/base | 9 new/base | 10 base/base | 11 new/base | 12 base/base | 13 new/base | 14..15 base/base => timeout 15 -
        # Its time does not count.
        run, dated: {BASE} | 2..900 base/base c500 | 901..1500 new/base c1901 | 1501 new/base c1901 => timeout 1501 new
        run, dated: {BASE} | 2..40 base/base c500 | 41 end 0 | 42..80 base/base c500 => unchanged 71 -
        # Where nothing shows, its time ends the watch all the same: before the command and after it.
        run, timeout 9: 0 429+3600 | 9 503 => unavailable 9
        run, timeout 9: 0..1 base/base | 2 429+3600 | 9 base/base => unavailable 9
        run, timeout 7: 0..4 base/base | 5 503 | 6..7 base/base | 7 start | 8 end 0 | 9 new/new ready => goes on
        run, dated, timeout 20: {BASE} | 2 end 0 | 3 503 | 4 base/base c500 | 5 429+3600 | 22 503 => unavailable 22
        run, dated, timeout 20: {BASE} | 2 end 3 | 3 429+3600 | 22 base/base c500 => command-failed-3 22 -
        # A target that was ready while the command ran is not late when its time is up.
        run, dated, timeout 6: {BASE} | 2..9 new/new ready c1002 | 10 new/base c1002 | 11 new/new ready c1002 | 12 end 0 | 13 new/new ready c1002 => ready 13 new
        run, dated, timeout 6: {BASE} | 2..9 new/new ready c1002 | 10 401 | 11 new/new ready c1002 | 12 end 0 | 13 new/new ready c1002 => ready 13 new
        run, dated, timeout 6: {BASE} | 2..9 new/new ready c1002 | 10..30 new/new Validating c1002 => timeout 19 new
        # The servers' clocks may differ by seconds.
        run, dated: {BASE} | 2 end 0 | 3..9 new/new ready c998 => ready 3 new
        run, dated: {BASE} | 2 end 0 | 3..40 new/new ready c997 => unchanged 32 -
        # It deletes the agent and makes it anew.
        run, dated: {BASE} | 2..9 404 | 10 end 0 | 11..20 404 | 21 new/new ready c1015 => ready 21 new
        run, dated: {BASE} | 2..9 404 | 10 end 0 | 11..50 404 => not-found 40 -
        run, dated: {BASE} | 2..9 404- | 10 end 0 | 11..50 404- => not-found 40 -
        run, dated: {BASE} | 2 new/base c1002 | 3..20 404 => not-found 8 new
    "));
}

#[test]
fn run_without_dates_confirms_the_baseline_and_the_target() {
    check("
        run: 0..5 base/base ready | 5 start | 6 new/new ready | 7 end 0 | 8..20 new/new ready => ready 11 new
        run: 0..5 base/base ready | 5 start | 6 end 0 | 7..50 base/base ready => unchanged 36 -
        # The replicas before the command disagreed: what was there before it is not new.
        run: 0..2 older/older | 3..8 base/base | 8 start | 9 end 0 | 10..60 older/older ready => unchanged 39 -
        run: 0..2 base/base | 3..8 older/older | 8 start | 9 end 0 | 10..60 base/base ready => unchanged 39 -
        run: 0 404 | 2 404 | 5 404 | 5 start | 6 new/base | 7 end 0 | 8..20 new/new ready => ready 11 new
        # Dates, but no server's clock to compare them with.
        run: 0..5 older/older c100 | 5 start | 6 end 0 | 7 base/base ready c500 | 8 new/new ready c900 | 9..20 new/new Failed c900 => failed 13 new
    ");
}

#[test]
fn baseline_is_noted_once_dated_or_confirmed() {
    let noted = |asked: &str, history: &str| {
        let mut watch = watch(asked);
        watch.play(history).goes_on();
        let noted = watch.events.iter().find_map(|event| match event {
            Event::BaselineNoted { deployment_id, .. } => Some(deployment_id.clone()),
            _ => None,
        });
        noted.map(|id| id.unwrap_or_else(|| "nothing".to_owned()))
    };
    for (history, expected) in [
        ("0 base/base c500", None),
        ("0..4 base/base", None),
        ("0..5 base/base", Some("base")),
        ("0 base/base | 5 base/base", None),
        ("0..3 base/base | 4..8 older/older", None),
        ("0..3 base/base | 4..9 older/older", Some("older")),
        ("0..3 base/base | 4 503 | 5..6 base/base", None),
        ("0..4 404", None),
        ("0..5 404", Some("nothing")),
        ("0..4 404 | 5 503 | 6 404", None),
        ("0..5 -/-", Some("nothing")),
        ("0..4 404 | 5 base/base", None),
        ("0..3 base/base | 4 404", None),
        ("0..3 base/base | 4 404 | 5..9 base/base", None),
        ("0..3 base/base | 4 404 | 5..10 base/base", Some("base")),
        ("0..3 base/base | 4..9 404", Some("nothing")),
        ("0..3 base/base | 4 -/-", None),
        ("0..20 503", None),
    ] {
        let found = noted("run", history);
        assert_eq!(found.as_deref(), expected, "{history}");
    }
    // Dates show later what was there before, if the server's clock is known.
    assert_eq!(
        noted("run, dated", "0 base/base c500").as_deref(),
        Some("base")
    );
    // Replicas that never agree do not hold the command up for ever.
    let ids = ["base", "older"].into_iter().cycle().take(31);
    let flapping: Vec<_> = ids
        .enumerate()
        .map(|(at, id)| format!("{at} {id}/{id}"))
        .collect();
    assert_eq!(noted("run", &flapping[..30].join(" | ")), None);
    assert_eq!(noted("run", &flapping.join(" | ")).as_deref(), Some("base"));
    // Before the command nobody waits for a target, but a refused key or a dead API ends it.
    check(
        "
        run: 0..9 401 => unauthorized 2 -
        run: 0..200 503 => unavailable 120 -
        run: 0 503 | 1 end 127 => command-failed-127 1 -
    ",
    );
}

#[test]
fn run_counts_time_from_when_the_target_shows() {
    let mut run = watch("run, dated");
    run.play("0 base/base c500 | 1 start | 2..59 base/base c500");
    let next = run.next_poll();
    assert_eq!((next.deadline, next.no_later_than), (None, Duration::MAX));
    run.play("60 new/base c1059");
    run.play("61 new/base c1059 | 62 new/new Creating c1059 | 65 end 0 | 70 new/new ready c1059");
    let outcome = run.ended(Verdict::Ready);
    assert_eq!(
        (outcome.began_after, outcome.elapsed),
        (ms(60_000), ms(10_000))
    );
    let phases: Vec<_> = outcome.phases.iter().map(|p| (p.phase, p.at_ms)).collect();
    let expected = [
        (Phase::Reconciling, 0),
        (Phase::Creating, 2000),
        (Phase::Active, 10_000),
    ];
    assert_eq!(phases, expected);
    assert_eq!(outcome.deployment_created_at, Some(second("1059")));
    assert_eq!(outcome.baseline_deployment_id.as_deref(), Some("base"));
    assert_eq!(run.machine.first_poll().deadline, Some(ms(660_000)));
}
