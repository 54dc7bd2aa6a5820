//! The state machine: observations in, events and in the end one verdict out.
//!
//! An observation goes one way through it: is it older than what is known, by its dates? Then it
//! counts for nothing. What does it indicate (`assess`)? How often in a row, over how long, has that
//! been indicated (`Streaks`)? Is that as much as the ending needs (`Indication::needs`)? Has a
//! deadline passed? What has changed since the last one (`View::events_since`)?

mod deadlines;
mod indicate;
mod outcome;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use super::assess::restart_count;
use super::event::Event;
use super::indication::{Ending, Indication, Progress};
use super::observation::{Failure, FailureClass, Observation, Route};
use super::order::{Dates, Newest, ServerClock};
use super::pacing::Moment;
use super::phase::Phase;
use super::policy::{Baseline, Limits, Policy, TargetRule};
use super::problem::{Earlier, Problem};
use super::push::Pushes;
use super::report::Outcome;
use super::streak::{ShownTime, Streaks};
use super::target::Search;
use super::verdict::Interruption;
use super::view::{Instead, Outage, View};
use crate::core::messages;
use crate::core::wire::AgentDetails;

/// What follows from one observation.
#[derive(Debug)]
#[must_use]
pub struct Step {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What to do now.
    pub next: Next,
}

/// What to do after an observation.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// Poll again.
    Poll(NextPoll),
    /// Stop: this is how it ended. Later observations change nothing.
    Done(Box<Outcome>),
}

/// When and how to poll again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextPoll {
    /// What the pace depends on.
    pub moment: Moment,
    /// When something may be decided: poll no later than this.
    pub no_later_than: Duration,
    /// When the watch ends whatever is known, if that is known yet; a last poll is made then.
    pub deadline: Option<Duration>,
    /// What waits to be confirmed is asked for on a connection of its own.
    pub route: Route,
}

/// The deploy command of `run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// There is none, or it waits for the baseline.
    None,
    /// It was started.
    Running,
    /// It ended at this time, with this exit code.
    Ended(Duration, u8),
}

/// What restarts count against the target (design rules 6 and 8).
#[derive(Debug, Clone, Default)]
struct RestartCount {
    /// The total of the newest answer.
    newest: Option<u64>,
    /// The total that was seen last, and how much it has risen in all.
    last: Option<u64>,
    counted: u64,
    /// The fewest of totals that are lower than that, until they are confirmed.
    fallen: Option<u64>,
}

/// The rollout of one agent, from the first poll to the verdict.
///
/// Times (`at`) are counted from the beginning of the watch and never run backwards.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    search: Search,
    newest: Newest,
    clock: ServerClock,
    /// Whether any answer has shown the agent, and whether the API has answered at all.
    agent_seen: bool,
    answered: bool,
    /// Whether the agent takes sessions, by the newest answer.
    available: Option<bool>,
    /// The newest answer that was believed.
    latest: Option<Box<AgentDetails>>,
    /// When the target was first the desired deployment in an answer that was believed.
    in_view_since: Option<Duration>,
    /// How far the target was in the newest answer about it that was believed.
    progress: Progress,
    rank: Option<u8>,
    earlier: Earlier,
    /// Whether any answer has shown a reconciled deployment.
    ever_reconciled: bool,
    pushes: Pushes,
    restarts: RestartCount,
    shown: ShownTime,
    streaks: Streaks,
    /// The same for refusals, which are no answers about the agent.
    refusals_shown: ShownTime,
    refusals: Streaks,
    command: Command,
    /// Since when the target has been all that was waited for.
    ready_at: Option<Duration>,
    /// When it was that last while the deploy command still ran.
    ready_before_command_end: Option<Duration>,
    view: View,
    phases: Vec<(Phase, Duration)>,
    /// When something began that polls are paced by: a phase, a problem, an unconfirmed indication.
    paced_from: Duration,
    /// The last problem that the target had, also when it is over.
    last_problem: Option<Problem>,
    /// Where the newest answer was a 404: what the API said with it, or nothing.
    absent: Option<String>,
    polls: u64,
    failed_polls: u64,
    request_id: Option<String>,
    outcome: Option<Box<Outcome>>,
}

impl Machine {
    /// A watch that begins now.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let mut newest = Newest::default();
        Self {
            search: Search::new(policy.target().clone(), &mut newest),
            newest,
            policy,
            clock: ServerClock::default(),
            agent_seen: false,
            answered: false,
            available: None,
            latest: None,
            in_view_since: None,
            progress: Progress::default(),
            rank: None,
            earlier: Earlier::default(),
            ever_reconciled: false,
            pushes: Pushes::default(),
            restarts: RestartCount::default(),
            shown: ShownTime::default(),
            streaks: Streaks::default(),
            refusals_shown: ShownTime::default(),
            refusals: Streaks::default(),
            command: Command::None,
            ready_at: None,
            ready_before_command_end: None,
            view: View::new(),
            phases: vec![(Phase::Waiting, Duration::ZERO)],
            paced_from: Duration::ZERO,
            last_problem: None,
            absent: None,
            polls: 0,
            failed_polls: 0,
            request_id: None,
            outcome: None,
        }
    }

    /// Takes in what a poll that ended at `at` brought.
    pub fn observe(&mut self, at: Duration, observation: Observation) -> Step {
        self.step(at, |machine| {
            machine.polls += 1;
            match observation {
                Observation::Details {
                    details,
                    server_time,
                } => {
                    machine.on_details(at, details, server_time);
                }
                Observation::Absent(message) => machine.on_absent(at, message),
                Observation::Failed(failure) => machine.on_failure(at, failure),
            }
            machine.ending(at).or_else(|| machine.overdue(at))
        })
    }

    /// Takes in that it is `at` now, and that nobody has polled: what nobody has polled is unknown,
    /// never late, so that only an outage can end the watch.
    pub fn on_timer(&mut self, at: Duration) -> Step {
        self.step(at, |machine| machine.outage_is_over_limit(at))
    }

    /// The first poll, at once.
    #[must_use]
    pub fn first_poll(&self) -> NextPoll {
        self.next_poll(Duration::ZERO)
    }

    /// The deploy command of `run` was started, once the baseline was noted.
    pub fn command_started(&mut self) {
        self.command = Command::Running;
    }

    /// The deploy command of `run` ended at `at` with this exit code. What it has deployed may still
    /// have to show.
    pub fn command_ended(&mut self, at: Duration, exit_code: u8) -> Step {
        self.step(at, |machine| {
            // What was never started has deployed nothing.
            let never_started = machine.command == Command::None;
            let began = machine.search.deploy_began.unwrap_or(at);
            machine.view.command_ended = Some((exit_code, at.saturating_sub(began)));
            machine.command = Command::Ended(at, exit_code);
            machine
                .streaks
                .end(|indication| *indication == Indication::NotInView);
            machine.paced_from = at;
            never_started.then_some(Ending::CommandFailed(exit_code))
        })
    }

    /// Ends the watch at `at` because the user said so.
    pub fn interrupt(&mut self, at: Duration, interruption: Interruption) -> Step {
        self.step(at, |_| Some(Ending::Interrupted(interruption)))
    }

    /// How things are at `at`: for outputs that show that the watch is alive.
    #[must_use]
    pub fn heartbeat(&self, at: Duration) -> Event {
        let own = self.own_revision();
        Event::Heartbeat {
            phase: self.view.phase,
            in_phase: at.saturating_sub(self.view.phase_since),
            ready_replicas: own.and_then(|revision| revision.ready_replicas),
            restart_count: restart_count(own),
            polls: self.polls,
            failing: self.view.outage.as_ref().map_or(0, |outage| outage.failed),
        }
    }

    /// The limits of the watch.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.policy.limits()
    }

    fn step(&mut self, at: Duration, take_in: impl FnOnce(&mut Self) -> Option<Ending>) -> Step {
        let mut events = Vec::new();
        if self.outcome.is_none() {
            let before = self.view.clone();
            let ending = take_in(self);
            self.view.awaits_command = self.awaits_command();
            self.note_phase(&before, at);
            events = self
                .view
                .events_since(&before, at, self.limits().stable_for);
            if let Some(ending) = ending {
                let outcome = self.finish(at, &ending);
                events.push(Event::Finished {
                    verdict: outcome.verdict,
                    reason: outcome.reason.clone(),
                    elapsed: outcome.elapsed,
                });
                self.outcome = Some(Box::new(outcome));
            }
        }
        let next = match &self.outcome {
            Some(outcome) => Next::Done(outcome.clone()),
            None => Next::Poll(self.next_poll(at)),
        };
        Step { events, next }
    }

    /// Notes a phase that was entered, and what polls are paced by from now on.
    fn note_phase(&mut self, before: &View, at: Duration) {
        if self.view.phase != before.phase {
            self.view.phase_since = at;
            self.phases.push((self.view.phase, at));
        }
        let paced_by = |view: &View| {
            let problem = view.problem.as_ref().map(|problem| problem.class);
            (
                view.phase,
                problem,
                view.unconfirmed.clone(),
                view.ready_since,
                view.target.clone(),
            )
        };
        if paced_by(&self.view) != paced_by(before) {
            self.paced_from = at;
        }
    }

    /// A failed poll says nothing about the rollout; in a row they may end the watch.
    fn on_failure(&mut self, at: Duration, failure: Failure) {
        self.failed_polls += 1;
        self.request_id = failure.request_id.clone().or(self.request_id.take());
        self.shown.gap();
        let refusal = match failure.class {
            FailureClass::Unauthorized => Some(Indication::Unauthorized(failure.clone())),
            FailureClass::Refused => Some(Indication::Refused(failure.clone())),
            FailureClass::Transient { .. } => None,
        };
        match refusal {
            Some(refusal) => {
                let shown = self.refusals_shown.answer(at);
                self.refusals.see(at, shown, vec![refusal]);
            }
            None => self.refusals_shown.gap(),
        }
        let asked = match failure.class {
            FailureClass::Transient { retry_after } => retry_after.unwrap_or_default(),
            FailureClass::Unauthorized | FailureClass::Refused => Duration::ZERO,
        };
        let outage = self.view.outage.get_or_insert_with(|| Outage {
            since: at,
            asked_pauses: Duration::ZERO,
            failed: 0,
            first: failure.clone(),
            last: failure.clone(),
        });
        outage.failed += 1;
        outage.asked_pauses = outage.asked_pauses.saturating_add(asked);
        outage.last = failure;
    }

    /// The API answered: what failed before is over.
    fn note_answer(&mut self) {
        self.answered = true;
        self.view.outage = None;
        self.view.stale = false;
        self.refusals = Streaks::default();
        self.refusals_shown = ShownTime::default();
    }

    /// A 404: not yet there, or gone.
    fn on_absent(&mut self, at: Duration, message: Option<String>) {
        self.note_answer();
        self.pushes.is_under_way = false;
        self.absent = Some(message.unwrap_or_default());
        // A deploy may delete an agent and make it anew.
        let deploying = *self.policy.target() == TargetRule::Deploy && self.in_view_since.is_none();
        let deleted = self.agent_seen && !deploying;
        let mut indications = if self.search.awaits_baseline() {
            vec![Indication::Baseline(None)]
        } else if deleted {
            vec![Indication::Deleted]
        } else {
            vec![Indication::NotInView, Indication::Absent]
        };
        indications.extend(self.unmoved());
        self.view.ready_since = None;
        self.see(at, indications);
        self.note_baseline(at, None, None);
        if !deleted && !self.search.awaits_baseline() {
            self.view.waiting_for = Some(Instead::Nothing);
        }
    }

    fn on_details(
        &mut self,
        at: Duration,
        details: Box<AgentDetails>,
        server_time: Option<Timestamp>,
    ) {
        self.note_answer();
        self.agent_seen = true;
        self.clock.note(at, server_time);
        let dates = Dates::of(&details, server_time.or_else(|| self.clock.at(at)));
        if self.newest.proves_older(&dates) {
            self.view.stale = true;
            return;
        }
        self.newest.note(&dates);
        self.absent = None;
        self.available = details.available;
        self.find_target(&details);
        let mut indications = self.indications(&details);
        indications.extend(self.failed_push(at, &details));
        self.see(at, indications);
        let steps_back = |indication: &Indication| matches!(indication, Indication::StepBack(_));
        if self.streaks.find(steps_back).is_some() {
            if !self.meets(steps_back) {
                self.view.ready_since = None;
                return;
            }
            // It is confirmed: the target is where this answer says.
            self.forget_progress();
            let indications = self.indications(&details);
            self.see(at, indications);
        }
        self.note_baseline(at, details.desired(), dates.created_at);
        self.accept(at, details);
    }

    /// Takes in the streaks of what an answer indicates.
    fn see(&mut self, at: Duration, indications: Vec<Indication>) {
        let shown = self.shown.answer(at);
        self.streaks.see(at, shown, indications);
        if self.meets(|indication| matches!(indication, Indication::Target(_))) {
            self.search.settle();
        }
        let claim = self.unconfirmed().find_map(messages::claim);
        self.view.unconfirmed = claim;
    }

    /// Whether an indication of which this is true has what it needs.
    fn meets(&self, is: impl Fn(&Indication) -> bool) -> bool {
        let limits = self.policy.limits();
        self.streaks
            .met(|indication| indication.needs(limits))
            .any(|streak| is(&streak.indication))
    }

    /// Before a deploy of our own: which deployment is desired now. Without dates a replica that lags
    /// looks like the others, so that it has to be confirmed. Where answers never agree, the
    /// command is not held up for ever: none of the deployments that they show is new.
    fn note_baseline(
        &mut self,
        at: Duration,
        desired: Option<&str>,
        created_at: Option<Timestamp>,
    ) {
        if !self.search.awaits_baseline() {
            return;
        }
        let seen = self.latest.as_ref().and_then(|details| details.desired());
        let first_deploy = desired.is_none() && seen.is_none();
        let confirmed = self.meets(|indication| matches!(indication, Indication::Baseline(_)));
        let late = at >= self.limits().appear_timeout;
        if created_at.is_some() || first_deploy || confirmed || late {
            let baseline = Baseline {
                deployment_id: desired.map(str::to_owned),
                created_at,
            };
            self.search.baseline = Some(baseline.clone());
            // The command starts right away: what it deploys is created later.
            self.search.deploy_began = Some(at);
            self.view.baseline = Some(baseline);
        }
    }
}
