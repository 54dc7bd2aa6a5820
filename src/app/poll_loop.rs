//! The one poll loop: it gathers one input, lets the machine decide, and performs what follows.
//!
//! It decides nothing about the rollout. The machine says what an answer means and by when to poll
//! again; the loop keeps time, adds the jitter, and backs off where requests fail.

mod retry;
#[cfg(test)]
mod tests;

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::retry::Pause;
pub(crate) use self::retry::Retry;
use crate::adapters::simulator::Speed;
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{
    Event, Failure, FailureClass, Interruption, Machine, Next, NextPoll, Observation, Outcome,
    Route, Step,
};

/// The longest that one request may take.
pub(crate) const MAX_REQUEST: Duration = Duration::from_secs(10);
/// What a request gets at least, however near the deadline is: the last poll needs time as well.
const MIN_REQUEST: Duration = Duration::from_secs(2);
/// How much longer a poll may take than its request: the request says better why it ended.
const SLACK: Duration = Duration::from_millis(250);
/// How long nothing may happen until the loop says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// What comes from outside while a rollout is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The watch is to end.
    Interrupted(Interruption),
    /// The deploy command was started.
    CommandStarted,
    /// The deploy command has ended with this exit code.
    CommandEnded(u8),
}

/// How often to poll, and how fast the clock runs by which all is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tempo {
    pub(crate) pace: Pace,
    pub(crate) speed: Speed,
}

impl From<Pace> for Tempo {
    fn from(pace: Pace) -> Self {
        let speed = Speed::REAL;
        Self { pace, speed }
    }
}

/// Follows one rollout to its verdict.
///
/// `permit` waits until a poll may be made, and `fetch` makes it, in no more time than it is given; the
/// last poll, at the deadline, is made without a permit. `emit` hears of every event and of when it
/// happened, counted from now. `signals` gives what comes from outside; it may be dropped and called
/// again at any time.
///
/// In a rehearsal the clock of the watch runs as fast as the scenario, so that every limit, pause and report is
/// in the time of the scenario. Only what a single request may take stays real: its socket is.
pub(crate) async fn follow<Permit, Fetch, Signals>(
    machine: Machine,
    tempo: impl Into<Tempo>,
    permit: impl FnMut() -> Permit,
    fetch: impl FnMut(Duration, Route) -> Fetch,
    emit: impl FnMut(Duration, Event),
    mut signals: impl FnMut() -> Signals,
) -> Outcome
where
    Permit: Future<Output = ()>,
    Fetch: Future<Output = Observation>,
    Signals: Future<Output = Signal>,
{
    let Tempo { pace, speed } = tempo.into();
    let mut poll_loop = PollLoop {
        next: machine.first_poll(),
        machine,
        pace,
        speed,
        retry: Retry::new(),
        pause: Pause::None,
        start: Instant::now(),
        emitted_at: Duration::ZERO,
        doing: Doing::Sleeping(Duration::ZERO),
        permit,
        fetch,
        emit,
    };
    loop {
        let timer = poll_loop.speed.real(poll_loop.timer());
        let timer = poll_loop.start.checked_add(timer);
        let input = tokio::select! {
            biased;
            signal = signals() => Input::Signal(signal),
            input = poll_loop.doing.progress() => input,
            () = sleep_until_or_never(timer) => Input::Timer,
        };
        if let Some(outcome) = poll_loop.handle(input) {
            return *outcome;
        }
    }
}

/// One thing that has happened.
enum Input {
    Signal(Signal),
    Permitted,
    Observed(Observation),
    Timer,
}

/// What the loop is in the middle of.
enum Doing<Permit, Fetch> {
    /// Nothing, until this time.
    Sleeping(Duration),
    /// Waiting for the permit to poll.
    Permitting(Pin<Box<Permit>>),
    /// Polling; the request is abandoned at this time.
    Fetching(Pin<Box<Fetch>>, Duration),
}

impl<Permit: Future<Output = ()>, Fetch: Future<Output = Observation>> Doing<Permit, Fetch> {
    async fn progress(&mut self) -> Input {
        match self {
            Doing::Sleeping(_) => pending().await,
            Doing::Permitting(permit) => {
                permit.await;
                Input::Permitted
            }
            Doing::Fetching(fetch, _) => Input::Observed(fetch.await),
        }
    }
}

struct PollLoop<Permit, Fetch, Permits, Fetches, Emit> {
    machine: Machine,
    next: NextPoll,
    pace: Pace,
    speed: Speed,
    retry: Retry,
    pause: Pause,
    start: Instant,
    /// When something was emitted last.
    emitted_at: Duration,
    doing: Doing<Permit, Fetch>,
    permit: Permits,
    fetch: Fetches,
    emit: Emit,
}

impl<Permit, Fetch, Permits, Fetches, Emit> PollLoop<Permit, Fetch, Permits, Fetches, Emit>
where
    Permits: FnMut() -> Permit,
    Fetches: FnMut(Duration, Route) -> Fetch,
    Emit: FnMut(Duration, Event),
{
    /// When something is due if nothing happens before.
    fn timer(&self) -> Duration {
        let heartbeat = self.emitted_at.saturating_add(HEARTBEAT);
        let deadline = self.next.deadline.unwrap_or(Duration::MAX);
        let due = match &self.doing {
            Doing::Sleeping(until) => (*until).min(deadline).min(self.next.no_later_than),
            Doing::Permitting(_) => deadline.min(self.next.no_later_than),
            Doing::Fetching(_, limit) => *limit,
        };
        due.min(heartbeat)
    }

    /// Takes in what has happened; gives the outcome when the watch has ended.
    fn handle(&mut self, input: Input) -> Option<Box<Outcome>> {
        let now = self.speed.scripted(self.start.elapsed());
        match input {
            Input::Signal(Signal::Interrupted(interruption)) => {
                let step = self.machine.interrupt(now, interruption);
                self.perform(now, step)
            }
            Input::Signal(Signal::CommandStarted) => {
                self.machine.command_started();
                None
            }
            Input::Signal(Signal::CommandEnded(exit_code)) => {
                let step = self.machine.command_ended(now, exit_code);
                self.perform(now, step).or_else(|| {
                    self.poll_anew(now);
                    None
                })
            }
            Input::Permitted => {
                self.poll(now);
                None
            }
            Input::Observed(observation) => self.observed(now, observation),
            Input::Timer => self.on_timer(now),
        }
    }

    fn on_timer(&mut self, now: Duration) -> Option<Box<Outcome>> {
        let is_last = self.next.deadline.is_some_and(|deadline| now >= deadline);
        match &self.doing {
            Doing::Fetching(_, limit) if now >= *limit => {
                let failure = Failure {
                    class: FailureClass::Transient { retry_after: None },
                    code: "RequestTimeout".to_owned(),
                    summary: "the poll took too long".to_owned(),
                    request_id: None,
                };
                return self.observed(now, Observation::Failed(failure));
            }
            // A last poll is owed, whatever the limit on requests says.
            Doing::Sleeping(_) | Doing::Permitting(_) if is_last => {
                // Not by one replica that lags.
                self.next.route = Route::Fresh;
                self.poll(now);
            }
            Doing::Sleeping(until) if now >= *until => {
                self.doing = Doing::Permitting(Box::pin((self.permit)()));
            }
            Doing::Sleeping(_) | Doing::Permitting(_) if now >= self.next.no_later_than => {
                let step = self.machine.on_timer(now);
                return self.perform(now, step);
            }
            Doing::Sleeping(_) | Doing::Permitting(_) | Doing::Fetching(..) => {}
        }
        if now >= self.emitted_at.saturating_add(HEARTBEAT) {
            self.emit(now, self.machine.heartbeat(now));
        }
        None
    }

    fn poll(&mut self, now: Duration) {
        let left = self
            .next
            .deadline
            .unwrap_or(Duration::MAX)
            .saturating_sub(now);
        let limit = self.speed.real(left).clamp(MIN_REQUEST, MAX_REQUEST);
        let fetch = (self.fetch)(limit, self.next.route);
        let given_up = now.saturating_add(self.speed.scripted(limit + SLACK));
        self.doing = Doing::Fetching(Box::pin(fetch), given_up);
    }

    fn observed(&mut self, now: Duration, observation: Observation) -> Option<Box<Outcome>> {
        self.pause = self.retry.pause_after(&observation);
        let step = self.machine.observe(now, observation);
        let outcome = self.perform(now, step);
        self.doing = Doing::Sleeping(self.wake_up(now));
        outcome
    }

    /// When to poll again after a poll that ended at `now`.
    fn wake_up(&self, now: Duration) -> Duration {
        let wait = match self.pause {
            Pause::None => self.pace.wait(self.next.moment, fastrand::f64()),
            Pause::Backoff(delay) => delay,
            // Nothing is asked before the server wants to be asked.
            Pause::Asked(delay) => return now.saturating_add(delay),
        };
        now.saturating_add(wait).min(self.next.no_later_than)
    }

    /// Something has changed beside the polls: the next one is due now, unless the API asked for a pause.
    /// One that is under way is given up, for its answer may be from before.
    fn poll_anew(&mut self, now: Duration) {
        let is_paused = matches!(self.pause, Pause::Asked(_));
        match &self.doing {
            Doing::Sleeping(_) if is_paused => {}
            Doing::Sleeping(_) | Doing::Fetching(..) => self.doing = Doing::Sleeping(now),
            Doing::Permitting(_) => {}
        }
    }

    fn perform(&mut self, now: Duration, step: Step) -> Option<Box<Outcome>> {
        for event in step.events {
            self.emit(now, event);
        }
        match step.next {
            Next::Done(outcome) => Some(outcome),
            Next::Poll(next) => {
                self.next = next;
                None
            }
        }
    }

    fn emit(&mut self, now: Duration, event: Event) {
        self.emitted_at = now;
        (self.emit)(now, event);
    }
}

async fn sleep_until_or_never(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
