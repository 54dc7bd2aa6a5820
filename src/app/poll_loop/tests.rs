//! The loop on tokio's paused clock: when it polls, what it tells, and how it ends.

use std::cell::RefCell;
use std::future::{pending, ready};

use super::*;
use crate::core::rollout::{Failure, FailureClass, Limits, Policy, TargetRule, Verdict};
use crate::core::wire::AgentDetails;

/// What `fetch` was asked: when, and with which limit.
type Asked = Vec<(Duration, Duration)>;

fn machine(change: impl FnOnce(&mut Limits)) -> Machine {
    let mut limits = Limits::default();
    change(&mut limits);
    Machine::new(Policy::new(TargetRule::FirstSeen, limits).unwrap())
}

fn details(change: impl FnOnce(&mut AgentDetails)) -> Observation {
    let mut details = AgentDetails {
        desired_deployment_id: Some("new".to_owned()),
        reconciled_deployment_id: Some("new".to_owned()),
        ..AgentDetails::default()
    };
    change(&mut details);
    Observation::Details {
        details: Box::new(details),
        server_time: None,
    }
}

fn failed(retry_after: Option<Duration>) -> Observation {
    Observation::Failed(Failure {
        class: FailureClass::Transient { retry_after },
        code: "Http503".to_owned(),
        summary: "unavailable".to_owned(),
        request_id: None,
    })
}

/// Follows a rollout of which `answer` says how it stands at a time.
async fn run(
    machine: Machine,
    pace: Pace,
    answer: impl Fn(Duration) -> Observation,
) -> (Outcome, Asked, Vec<(Duration, Event)>) {
    let start = Instant::now();
    let asked = RefCell::new(Asked::new());
    let mut told = Vec::new();
    let fetch = |limit| {
        asked.borrow_mut().push((start.elapsed(), limit));
        ready(answer(start.elapsed()))
    };
    let emit = |at, event| told.push((at, event));
    let turn = || ready(());
    let outcome = follow(machine, pace, turn, fetch, emit, pending()).await;
    (outcome, asked.into_inner(), told)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn polls_at_once_and_then_at_the_pace() {
    let (outcome, asked, _) = run(machine(|_| ()), Pace::Adaptive, |at| {
        details(|details| details.ready = at >= 100 * SECOND)
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Ready);
    assert_eq!(asked[0].0, Duration::ZERO);
    let waits: Vec<Duration> = asked
        .windows(2)
        .map(|pair| pair[1].0.checked_sub(pair[0].0).unwrap())
        .collect();
    // The timer counts in milliseconds.
    let slack = Duration::from_millis(2);
    assert!((SECOND * 162 / 100..SECOND * 18 / 10 + slack).contains(&waits[0]));
    let later = SECOND * 81 / 100..SECOND * 9 / 10 + slack;
    assert!(
        waits[1..].iter().all(|wait| later.contains(wait)),
        "{waits:?}"
    );
    assert!(outcome.elapsed <= 101 * SECOND, "{:?}", outcome.elapsed);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_interval_is_kept() {
    let (_, asked, _) = run(
        machine(|l| l.timeout = 60 * SECOND),
        Pace::Fixed(7 * SECOND),
        |_| details(|_| ()),
    )
    .await;
    let seconds: Vec<u64> = asked.iter().map(|(at, _)| at.as_secs()).collect();
    // 30 s is when a target that had not appeared would have been given up; it has.
    assert_eq!(seconds, [0, 7, 14, 21, 28, 35, 42, 49, 56, 60]);
}

#[tokio::test(start_paused = true)]
async fn the_last_look_is_at_the_deadline_and_still_has_time() {
    let (outcome, asked, _) = run(machine(|l| l.timeout = 61 * SECOND), Pace::Adaptive, |at| {
        details(|details| details.ready = at >= 61 * SECOND)
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Ready);
    let (at, limit) = asked[asked.len() - 1];
    assert_eq!((at.as_secs(), limit), (61, SHORTEST_REQUEST));
    assert_eq!(asked[0].1, LONGEST_REQUEST);
    let nearly = asked.iter().find(|(at, _)| *at > 53 * SECOND).unwrap();
    assert!(
        nearly.1 < LONGEST_REQUEST && nearly.1 > SHORTEST_REQUEST,
        "{nearly:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_time_alone_decides_is_looked_at_when_it_is_due() {
    let (outcome, asked, _) = run(
        machine(|l| l.stable_for = Duration::from_millis(1700)),
        Pace::Fixed(60 * SECOND),
        |_| details(|details| details.ready = true),
    )
    .await;
    assert_eq!(outcome.verdict, Verdict::Ready);
    assert_eq!(asked.len(), 2);
    assert_eq!(outcome.elapsed.as_millis(), 1700);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_an_answer_returns_to_the_pace() {
    let (outcome, asked, _) = run(machine(|_| ()), Pace::Adaptive, |at| match at.as_secs() {
        0..60 => failed(None),
        60..80 => details(|_| ()),
        _ => details(|details| details.ready = true),
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Ready);
    assert!(outcome.failed_polls >= 8, "{}", outcome.failed_polls);
    let during = asked.windows(2).filter(|pair| pair[1].0 < 60 * SECOND);
    assert!(
        during
            .clone()
            .all(|pair| pair[1].0.checked_sub(pair[0].0).unwrap()
                <= 10 * SECOND + Duration::from_millis(2))
    );
    assert!(during.clone().count() < 60, "{}", during.count());
    let back = asked
        .windows(2)
        .find(|pair| pair[0].0 >= 60 * SECOND)
        .unwrap();
    assert!(
        back[1].0.checked_sub(back[0].0).unwrap() <= Duration::from_millis(902),
        "{back:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_before_the_backoff() {
    let (_, asked, _) = run(machine(|_| ()), Pace::Adaptive, |at| {
        if at < 40 * SECOND {
            failed(Some(41 * SECOND))
        } else {
            details(|d| d.ready = true)
        }
    })
    .await;
    assert_eq!(asked.len(), 2);
    assert!((41..52).contains(&asked[1].0.as_secs()), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_outlasts_the_outage_limit_ends_without_another_poll() {
    let (outcome, asked, _) = run(machine(|_| ()), Pace::Adaptive, |_| {
        failed(Some(3600 * SECOND))
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Unavailable);
    assert_eq!((asked.len(), outcome.elapsed), (1, 120 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_tells_every_thirty_seconds_that_it_is_alive() {
    let (_, _, told) = run(
        machine(|l| l.timeout = 100 * SECOND),
        Pace::Adaptive,
        |_| details(|_| ()),
    )
    .await;
    let beats: Vec<u64> = told
        .iter()
        .filter(|(_, event)| matches!(event, Event::Heartbeat { .. }))
        .map(|(at, _)| at.as_secs())
        .collect();
    assert_eq!(beats, [30, 60, 90]);
    assert!(matches!(told.last(), Some((_, Event::Finished { .. }))));
}

#[tokio::test(start_paused = true)]
async fn an_interruption_ends_the_watch_at_once_even_within_a_request() {
    let interruption = async {
        tokio::time::sleep(3 * SECOND).await;
        Interruption::Terminate
    };
    let mut told = Vec::new();
    let outcome = follow(
        machine(|_| ()),
        Pace::Adaptive,
        || ready(()),
        |_| pending(),
        |at, event| told.push((at, event)),
        interruption,
    )
    .await;
    assert_eq!(
        outcome.verdict,
        Verdict::Interrupted(Interruption::Terminate)
    );
    assert_eq!(outcome.elapsed, 3 * SECOND);
    assert!(matches!(told.as_slice(), [(_, Event::Finished { .. })]));
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_never_gets_its_turn_does_not_outlast_the_deadline() {
    let machine = machine(|limits| limits.timeout = 95 * SECOND);
    let turns = std::cell::Cell::new(0);
    let turn = || {
        turns.set(turns.get() + 1);
        let first = turns.get() == 1;
        async move {
            if !first {
                pending::<()>().await;
            }
        }
    };
    let mut beats = Vec::new();
    let emit = |at: Duration, event| {
        if matches!(event, Event::Heartbeat { .. }) {
            beats.push(at.as_secs());
        }
    };
    let fetch = |_| ready(details(|_| ()));
    let outcome = follow(machine, Pace::Adaptive, turn, fetch, emit, pending()).await;
    assert_eq!(outcome.verdict, Verdict::Timeout);
    assert_eq!(outcome.elapsed, 95 * SECOND);
    assert_eq!(beats, [30, 60, 90]);
    assert_eq!(turns.get(), 2, "its place in the queue is kept");
}

#[tokio::test(start_paused = true)]
async fn what_is_due_ends_a_watch_that_waits_for_its_turn() {
    let machine = machine(|limits| limits.stall_timeout = Some(20 * SECOND));
    let polls = std::cell::Cell::new(0);
    let turn = || async {
        if polls.get() > 0 {
            pending::<()>().await;
        }
    };
    let fetch = |_| {
        polls.set(polls.get() + 1);
        ready(failed(None))
    };
    let outcome = follow(machine, Pace::Adaptive, turn, fetch, |_, _| (), pending()).await;
    assert_eq!(outcome.verdict, Verdict::Unavailable, "the outage lasts");
    assert_eq!(outcome.elapsed, 120 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_last_look_that_takes_all_its_time_says_why_it_failed() {
    let machine = machine(|limits| limits.timeout = 5 * SECOND);
    let fetch = |limit| {
        let hangs = limit == SHORTEST_REQUEST;
        async move {
            if hangs {
                tokio::time::sleep(limit).await;
                return failed(None);
            }
            details(|_| ())
        }
    };
    let (turn, emit) = (|| ready(()), |_, _| ());
    let pace = Pace::Fixed(60 * SECOND);
    let outcome = follow(machine, pace, turn, fetch, emit, pending()).await;
    assert_eq!(outcome.verdict, Verdict::Unavailable);
    assert_eq!(outcome.elapsed, 5 * SECOND + SHORTEST_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_outlasts_its_request_is_given_up() {
    let machine = machine(|limits| limits.timeout = 5 * SECOND);
    let polls = std::cell::Cell::new(0);
    let fetch = |_| {
        polls.set(polls.get() + 1);
        let answer = (polls.get() == 1).then(|| details(|_| ()));
        async {
            match answer {
                Some(answer) => answer,
                None => pending().await,
            }
        }
    };
    let (turn, emit) = (|| ready(()), |_, _| ());
    let outcome = follow(machine, Pace::Adaptive, turn, fetch, emit, pending()).await;
    assert_eq!(outcome.verdict, Verdict::Timeout);
    assert_eq!(outcome.elapsed, 5 * SECOND + SHORTEST_REQUEST + SLACK);
}
