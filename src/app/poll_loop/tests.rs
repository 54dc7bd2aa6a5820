//! The loop on tokio's paused clock: when it polls, what it emits, and how it ends.

use std::cell::RefCell;
use std::collections::VecDeque;
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

/// Follows a rollout whose state at a time `answer` gives.
async fn run(
    machine: Machine,
    tempo: impl Into<Tempo>,
    answer: impl Fn(Duration) -> Observation,
) -> (Outcome, Asked, Vec<(Duration, Event)>) {
    let start = Instant::now();
    let asked = RefCell::new(Asked::new());
    let mut emitted = Vec::new();
    let fetch = |limit, _| {
        asked.borrow_mut().push((start.elapsed(), limit));
        ready(answer(start.elapsed()))
    };
    let emit = |at, event| emitted.push((at, event));
    let permit = || ready(());
    let outcome = follow(machine, tempo, permit, fetch, emit, pending).await;
    (outcome, asked.into_inner(), emitted)
}

const SECOND: Duration = Duration::from_secs(1);

/// The next of these signals, each at its second.
async fn next_signal(script: &RefCell<VecDeque<(u32, Signal)>>, start: Instant) -> Signal {
    let next = script.borrow().front().copied();
    let Some((at, signal)) = next else {
        return pending().await;
    };
    sleep_until(start + SECOND * at).await;
    script.borrow_mut().pop_front();
    signal
}

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
    let paced = SECOND / 2..5 * SECOND + Duration::from_millis(2);
    assert!(waits.iter().all(|wait| paced.contains(wait)), "{waits:?}");
    assert!(waits.len() > 20, "{waits:?}");
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
    // 30 s is when a target that had not appeared would have ended the watch; it has appeared.
    assert_eq!(seconds, [0, 7, 14, 21, 28, 35, 42, 49, 56, 60]);
}

#[tokio::test(start_paused = true)]
async fn the_last_poll_is_at_the_deadline_and_still_has_time() {
    let (outcome, asked, _) = run(machine(|l| l.timeout = 61 * SECOND), Pace::Adaptive, |at| {
        details(|details| details.ready = at >= 61 * SECOND)
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Ready);
    let (at, limit) = asked[asked.len() - 1];
    assert_eq!((at.as_secs(), limit), (61, MIN_REQUEST));
    assert_eq!(asked[0].1, MAX_REQUEST);
    let nearly = asked.iter().find(|(at, _)| *at > 53 * SECOND).unwrap();
    assert!(
        nearly.1 < MAX_REQUEST && nearly.1 > MIN_REQUEST,
        "{nearly:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn polls_when_something_is_due() {
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
        back[1].0.checked_sub(back[0].0).unwrap() <= Duration::from_millis(1002),
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
async fn a_pause_of_an_hour_ends_with_one_last_poll_at_the_deadline() {
    let (outcome, asked, _) = run(machine(|_| ()), Pace::Adaptive, |_| {
        failed(Some(3600 * SECOND))
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Unavailable);
    assert_eq!((asked.len(), outcome.elapsed), (2, 600 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_says_every_thirty_seconds_that_it_is_alive() {
    let (_, _, emitted) = run(
        machine(|l| l.timeout = 100 * SECOND),
        Pace::Adaptive,
        |_| details(|_| ()),
    )
    .await;
    let heartbeats: Vec<u64> = emitted
        .iter()
        .filter(|(_, event)| matches!(event, Event::Heartbeat { .. }))
        .map(|(at, _)| at.as_secs())
        .collect();
    assert_eq!(heartbeats, [30, 60, 90]);
    assert!(matches!(emitted.last(), Some((_, Event::Finished { .. }))));
}

#[tokio::test(start_paused = true)]
async fn an_interruption_ends_the_watch_at_once_even_within_a_request() {
    let start = Instant::now();
    let signals = || async move {
        sleep_until(start + 3 * SECOND).await;
        Signal::Interrupted(Interruption::Terminate)
    };
    let mut emitted = Vec::new();
    let outcome = follow(
        machine(|_| ()),
        Pace::Adaptive,
        || ready(()),
        |_, _| pending(),
        |at, event| emitted.push((at, event)),
        signals,
    )
    .await;
    assert_eq!(
        outcome.verdict,
        Verdict::Interrupted(Interruption::Terminate)
    );
    assert_eq!(outcome.elapsed, 3 * SECOND);
    assert!(matches!(emitted.as_slice(), [(_, Event::Finished { .. })]));
}

/// A permit for the first polls only.
fn permits(count: usize) -> impl FnMut() -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    let mut given = 0;
    move || {
        given += 1;
        if given <= count {
            Box::pin(ready(()))
        } else {
            Box::pin(pending())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_last_poll_is_made_at_the_deadline_without_a_permit() {
    for ready_at_last in [true, false] {
        let machine = machine(|limits| limits.timeout = 95 * SECOND);
        let start = Instant::now();
        let mut polls = Vec::new();
        let mut heartbeats = Vec::new();
        let emit = |at: Duration, event| {
            if matches!(event, Event::Heartbeat { .. }) {
                heartbeats.push(at.as_secs());
            }
        };
        let fetch = |_, _| {
            polls.push(start.elapsed().as_secs());
            let last = polls.len() == 2;
            ready(details(|details| details.ready = last && ready_at_last))
        };
        let outcome = follow(machine, Pace::Adaptive, permits(1), fetch, emit, pending).await;
        let expected = if ready_at_last {
            Verdict::Ready
        } else {
            Verdict::Timeout
        };
        assert_eq!(outcome.verdict, expected);
        assert_eq!(polls, [0, 95]);
        assert_eq!(heartbeats, [30, 60, 90]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_a_watch_that_waits_for_its_permit() {
    let machine = machine(|limits| limits.stall_timeout = Some(20 * SECOND));
    let fetch = |_, _| ready(failed(None));
    let outcome = follow(
        machine,
        Pace::Adaptive,
        permits(1),
        fetch,
        |_, _| (),
        pending,
    )
    .await;
    assert_eq!(outcome.verdict, Verdict::Unavailable);
    assert_eq!(outcome.elapsed, 120 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_last_poll_that_takes_all_its_time_says_why_it_failed() {
    let machine = machine(|limits| limits.timeout = 5 * SECOND);
    let fetch = |limit, _| {
        let hangs = limit == MIN_REQUEST;
        async move {
            if hangs {
                tokio::time::sleep(limit).await;
                return failed(None);
            }
            details(|_| ())
        }
    };
    let pace = Pace::Fixed(60 * SECOND);
    let outcome = follow(machine, pace, || ready(()), fetch, |_, _| (), pending).await;
    assert_eq!(outcome.verdict, Verdict::Unavailable);
    assert_eq!(outcome.elapsed, 5 * SECOND + MIN_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_outlasts_its_request_has_failed() {
    let machine = machine(|limits| limits.timeout = 5 * SECOND);
    let mut polls = 0;
    let fetch = |_, _| {
        polls += 1;
        let answer = (polls == 1).then(|| details(|_| ()));
        async {
            match answer {
                Some(answer) => answer,
                None => pending().await,
            }
        }
    };
    let outcome = follow(
        machine,
        Pace::Adaptive,
        || ready(()),
        fetch,
        |_, _| (),
        pending,
    )
    .await;
    assert_eq!(outcome.verdict, Verdict::Unavailable);
    assert!(
        outcome.elapsed <= 5 * SECOND + MIN_REQUEST + SLACK,
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_confirmed_is_polled_on_fresh_connections() {
    let mut routes = Vec::new();
    let start = Instant::now();
    let fetch = |_, route| {
        routes.push(route);
        ready(match start.elapsed().as_secs() {
            0 => details(|_| ()),
            _ => Observation::Absent(None),
        })
    };
    let outcome = follow(
        machine(|_| ()),
        Pace::Adaptive,
        || ready(()),
        fetch,
        |_, _| (),
        pending,
    )
    .await;
    assert_eq!(outcome.verdict, Verdict::NotFound);
    assert_eq!(routes[..2], [Route::Pooled; 2]);
    assert!(routes.len() >= 4 && routes[2..].iter().all(|route| *route == Route::Fresh));
}

#[tokio::test(start_paused = true)]
async fn the_deploy_command_is_followed_by_its_signals() {
    let start = Instant::now();
    let script = RefCell::new(VecDeque::from([
        (2, Signal::CommandStarted),
        (30, Signal::CommandEnded(0)),
    ]));
    let signals = || next_signal(&script, start);
    let machine = Machine::new(Policy::new(TargetRule::Deploy, Limits::default()).unwrap());
    let answer = |at: u64| {
        details(|details| {
            let id = if at < 20 { "old" } else { "new" };
            details.desired_deployment_id = Some(id.to_owned());
            details.reconciled_deployment_id = Some(id.to_owned());
            details.ready = !(20..40).contains(&at);
        })
    };
    let fetch = |_, _| ready(answer(start.elapsed().as_secs()));
    let mut emitted = Vec::new();
    let emit = |_, event| emitted.push(event);
    let pace = Pace::Fixed(SECOND);
    let outcome = follow(machine, pace, || ready(()), fetch, emit, signals).await;
    assert_eq!(outcome.verdict, Verdict::Ready);
    assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
    assert_eq!(outcome.baseline_deployment_id.as_deref(), Some("old"));
    assert!(
        (19..=23).contains(&outcome.elapsed.as_secs()),
        "{outcome:?}"
    );
    assert!(
        emitted
            .iter()
            .any(|event| matches!(event, Event::CommandEnded { exit_code: 0, .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_asked_for_before_the_command_ended_counts_for_nothing() {
    let start = Instant::now();
    let script = RefCell::new(VecDeque::from([
        (10, Signal::CommandStarted),
        (20, Signal::CommandEnded(0)),
    ]));
    let signals = || next_signal(&script, start);
    let machine = Machine::new(Policy::new(TargetRule::Deploy, Limits::default()).unwrap());
    let fetch = |_, _| async move {
        let asked = start.elapsed().as_secs();
        // The last poll before the end of the command is answered after it.
        if asked == 19 {
            sleep_until(start + SECOND * 22).await;
        }
        let id = match asked {
            0..10 => "old",
            10..20 => "new",
            _ => "next",
        };
        details(|details| {
            details.desired_deployment_id = Some(id.to_owned());
            details.reconciled_deployment_id = Some(id.to_owned());
            details.ready = true;
        })
    };
    let pace = Pace::Fixed(SECOND);
    let outcome = follow(machine, pace, || ready(()), fetch, |_, _| (), signals).await;
    assert_eq!(outcome.verdict, Verdict::Superseded);
    assert_eq!(outcome.deployment_id.as_deref(), Some("new"));
}

/// The same rollout, and the same limits, in a fifth of the time; requests keep their own.
#[tokio::test(start_paused = true)]
async fn a_faster_clock_is_that_of_everything_but_a_request() {
    let tempo = |speed| Tempo {
        pace: Pace::Fixed(SECOND),
        speed: Speed::new(speed).unwrap(),
    };
    for (speed, real) in [(1.0, 60 * SECOND), (5.0, 12 * SECOND)] {
        let start = Instant::now();
        let never = |_| details(|_| ());
        let (outcome, asked, emitted) =
            run(machine(|l| l.timeout = 60 * SECOND), tempo(speed), never).await;
        assert_eq!(outcome.verdict, Verdict::Timeout);
        let about = |time: Duration, expected: Duration| {
            assert!(
                time >= expected && time < expected + SECOND,
                "{speed} {time:?}"
            );
        };
        about(outcome.elapsed, 60 * SECOND);
        about(start.elapsed(), real);
        let heartbeats = emitted
            .iter()
            .filter(|(_, event)| matches!(event, Event::Heartbeat { .. }));
        assert!((1..=2).contains(&heartbeats.count()));
        assert!((50..70).contains(&asked.len()), "{}", asked.len());
        assert!(asked.iter().all(|(_, limit)| *limit >= MIN_REQUEST));
        assert_eq!(asked[0].1, MAX_REQUEST);
    }
}
