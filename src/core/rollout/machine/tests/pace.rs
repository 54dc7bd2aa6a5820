//! When to look again: from what polls are paced, and what time alone will decide.

use super::*;

#[test]
fn the_next_look_is_due_at_the_earliest_of_what_time_alone_decides() {
    let mut watch = Watch::limited(named("new"), |l| {
        l.stall_timeout = Some(ms(60_000));
        l.stable_for = ms(10_000);
    });
    watch.see(0, absent());
    assert_eq!(watch.by(), 30_000);
    watch.see(1000, reconciling());
    assert_eq!(watch.by(), 61_000);
    watch.see(
        2000,
        reconciled()
            .own(Told::Creating)
            .health(waiting("ErrImagePull", 0)),
    );
    assert_eq!(watch.by(), 22_000);
    watch.see(3000, reconciled().own(Told::Active).ready());
    assert_eq!(watch.by(), 13_000);
    watch.see(4000, transient());
    assert_eq!(watch.by(), 13_000);
    watch.see(14_000, transient());
    assert_eq!(
        watch.by(),
        63_000,
        "what was due has passed; the stall clock is next"
    );
    watch.see(64_000, transient());
    assert_eq!(watch.by(), 124_000);
}

#[test]
fn polls_are_paced_from_the_latest_thing_that_began() {
    let mut watch = watch_with(|l| l.stable_for = ms(60_000));
    let since = |watch: &Watch| match &watch.next {
        Some(Next::Poll(cadence)) => whole(cadence.since),
        next => panic!("{next:?}"),
    };
    watch.see(1000, absent()).see(2000, absent());
    assert_eq!(since(&watch), 0);
    watch.see(3000, reconciling()).see(9000, reconciling());
    assert_eq!(since(&watch), 3000, "a phase");
    watch
        .see(10_000, ids("old", "old"))
        .see(11_000, ids("old", "old"));
    assert_eq!(since(&watch), 10_000, "a doubt");
    watch.see(12_000, reconciling());
    assert_eq!(since(&watch), 3000, "the pace of before the doubt");
    watch
        .see(20_000, faring(waiting("ErrImagePull", 0)))
        .see(21_000, faring(waiting("ErrImagePull", 0)));
    assert_eq!(since(&watch), 20_000, "a phase and a trouble");
    watch
        .see(30_000, faring(waiting("Error", 0)))
        .see(31_000, faring(waiting("Error", 0)));
    assert_eq!(since(&watch), 30_000, "a trouble");
    watch
        .see(32_000, transient())
        .see(33_000, faring(waiting("Error", 0)));
    assert_eq!(since(&watch), 30_000, "silence is no news");
    watch
        .see(40_000, faring(waiting("Error", 0)).ready())
        .see(41_000, reconciled().own(Told::Validating).ready());
    assert_eq!(since(&watch), 40_000, "ready");
    watch.see(50_000, reconciled().own(Told::Active));
    assert_eq!(since(&watch), 50_000, "ready lost");
    watch.see(60_000, reconciled().own(Told::Active).ready());
    watch.see(61_000, reconciled().own(Told::Active).ready());
    assert_eq!(since(&watch), 60_000, "ready in the same phase");
    watch.see(70_000, reconciled().own(Told::Failed).ready());
    watch.see(71_000, absent());
    watch.see(72_000, reconciled().own(Told::Failed).ready());
    assert_eq!(since(&watch), 72_000, "a contradiction");
}
