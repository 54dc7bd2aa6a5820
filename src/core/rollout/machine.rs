//! The state machine: observations in, events and in the end one verdict out.
//!
//! An observation goes one way through it. An answer whose own dates prove it older than what was
//! seen counts for nothing (`Order::admits`). Which deployment is the target? `Search` finds it. What
//! does the answer indicate of it (`indicate`)? How often in a row, over how long, has that been
//! indicated (`Streaks`)? Is that as much as it needs (`Indication::needs`, the one table)? Then it
//! ends the watch with its verdict (`Indication::verdict`), or settles what it is about. What is
//! believed is taken in (`accept`). Else a deadline may have passed (`deadlines`): of the whole, of
//! appearing, of an outage. What is to be seen now and was not before is what happened
//! (`View::events_since`). The report is completed at the end (`outcome`).

mod accept;
mod deadlines;
mod indicate;
mod outcome;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use super::assess::{own_revision, restart_count};
use super::event::Event;
use super::indication::{Ending, Indication};
use super::observation::{Failure, FailureClass, Observation, Route};
use super::pacing::Moment;
use super::phase::Phase;
use super::policy::{Baseline, Limits, Policy};
use super::problem::{KnownProblems, Problem};
use super::push::Pushes;
use super::report::Outcome;
use super::restarts::Restarts;
use super::streak::Streaks;
use super::target::Search;
use super::verdict::{Interruption, Verdict};
use super::view::{Instead, Outage, View};
use crate::core::wire::{AgentDetails, Revision};

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Command {
    /// There is none, or it waits for the baseline.
    #[default]
    NotStarted,
    /// It was started.
    Running,
    /// It ended at this time, with this exit code.
    Ended(Duration, u8),
}

/// The rollout of one agent, from the first poll to the verdict.
///
/// Times (`at`) are counted from the beginning of the watch and never run backwards.
#[derive(Debug, Clone)]
pub struct Machine {
    limits: Limits,
    search: Search,
    /// What the newest answers indicate; and the newest refusals, which are no answers about the agent.
    streaks: Streaks,
    refusals: Streaks,
    /// The newest answer that was believed.
    latest: Option<Box<AgentDetails>>,
    /// Where the newest answer was a 404: what the API said with it, or nothing.
    absent: Option<String>,
    /// When the target was first the desired deployment in an answer that was believed.
    in_view_since: Option<Duration>,
    /// Whether it has come back, and that is not confirmed.
    came_back: bool,
    known_problems: KnownProblems,
    pushes: Pushes,
    restarts: Restarts,
    /// The last problem that the target had, also when it is over.
    last_problem: Option<Problem>,
    command: Command,
    /// Since when the target has been all that was waited for.
    ready_at: Option<Duration>,
    /// When it was that last while the deploy command still ran.
    ready_before_command_end: Option<Duration>,
    view: View,
    /// When something began that polls are paced by: a phase, a problem, an unconfirmed indication.
    paced_from: Duration,
    /// The phases that it has been in, and when each began.
    phases: Vec<(Phase, Duration)>,
    /// The report, as far as it is known.
    report: Outcome,
    ended: bool,
}

impl Machine {
    /// A watch that begins now.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let (rule, limits) = policy.into_parts();
        Self {
            search: Search::new(rule),
            limits,
            streaks: Streaks::default(),
            refusals: Streaks::default(),
            latest: None,
            absent: None,
            in_view_since: None,
            came_back: false,
            known_problems: KnownProblems::default(),
            pushes: Pushes::default(),
            restarts: Restarts::default(),
            last_problem: None,
            command: Command::NotStarted,
            ready_at: None,
            ready_before_command_end: None,
            view: View::default(),
            paced_from: Duration::ZERO,
            phases: vec![(Phase::Waiting, Duration::ZERO)],
            report: Outcome::default(),
            ended: false,
        }
    }

    /// Takes in what a poll that ended at `at` brought.
    pub fn observe(&mut self, at: Duration, observation: Observation) -> Step {
        self.step(at, |machine| {
            machine.report.polls += 1;
            match observation {
                Observation::Details {
                    details,
                    server_time,
                } => machine.on_details(at, details, server_time),
                Observation::Absent(message) => machine.on_absent(at, message),
                Observation::Failed(failure) => machine.on_failure(at, failure),
            }
            machine.accept_unchanged(at);
            machine.note_ready(at);
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
            let never_started = machine.command == Command::NotStarted;
            let began = machine.search.deploy_began.unwrap_or(at);
            machine.view.command_ended = Some((exit_code, at.saturating_sub(began)));
            machine.command = Command::Ended(at, exit_code);
            machine.streaks.end(|i| *i == Indication::NotInView);
            machine.paced_from = at;
            never_started.then(|| Verdict::CommandFailed(exit_code).into())
        })
    }

    /// Ends the watch at `at` because the user said so.
    pub fn interrupt(&mut self, at: Duration, interruption: Interruption) -> Step {
        self.step(at, |_| Some(Verdict::Interrupted(interruption).into()))
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
            polls: self.report.polls,
            failing: self.view.outage.as_ref().map_or(0, |outage| outage.failed),
        }
    }

    /// The limits of the watch.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn step(&mut self, at: Duration, take_in: impl FnOnce(&mut Self) -> Option<Ending>) -> Step {
        let mut events = Vec::new();
        if !self.ended {
            let before = self.view.clone();
            let ending = take_in(self);
            self.refresh_view(at);
            if self.view.phase != before.phase {
                self.phases.push((self.view.phase, at));
            }
            if self.view.paced_by() != before.paced_by() {
                self.paced_from = at;
            }
            events = self
                .view
                .events_since(&before, at, self.limits().stable_for);
            if let Some(ending) = ending {
                self.finish(at, &ending);
                events.push(Event::Finished {
                    verdict: self.report.verdict,
                    reason: self.report.reason.clone(),
                    elapsed: self.report.elapsed,
                });
            }
        }
        let next = if self.ended {
            Next::Done(Box::new(self.report.clone()))
        } else {
            Next::Poll(self.next_poll(at))
        };
        Step { events, next }
    }

    /// A failed poll says nothing about the rollout; in a row they may end the watch.
    fn on_failure(&mut self, at: Duration, failure: Failure) {
        self.report.failed_polls += 1;
        if failure.request_id.is_some() {
            self.report.request_id.clone_from(&failure.request_id);
        }
        self.streaks.gap();
        let first = self.report.failed_polls == self.report.polls;
        let mut asked = Duration::ZERO;
        match failure.class {
            FailureClass::Unauthorized => {
                let refusal = Indication::Unauthorized { first };
                self.refusals.see(at, vec![refusal]);
            }
            FailureClass::Refused => self.refusals.see(at, vec![Indication::Refused { first }]),
            FailureClass::Transient { retry_after } => {
                self.refusals.gap();
                asked = retry_after.unwrap_or_default();
            }
        }
        let view = &mut self.view;
        let outage = view.outage.get_or_insert_with(|| {
            view.outages += 1;
            Outage {
                since: at,
                last_at: at,
                asked_pauses: Duration::ZERO,
                failed: 0,
                last: failure.clone(),
            }
        });
        outage.failed += 1;
        outage.last_at = at;
        outage.asked_pauses = outage.asked_pauses.saturating_add(asked);
        outage.last = failure;
    }

    /// The API answered: what failed before is over.
    fn note_answer(&mut self) {
        self.view.outage = None;
        self.view.stale = false;
        self.refusals = Streaks::default();
    }

    /// A 404: not yet there, or deleted.
    fn on_absent(&mut self, at: Duration, message: Option<String>) {
        self.note_answer();
        self.pushes.is_under_way = false;
        self.absent = Some(message.unwrap_or_default());
        // A deploy may delete an agent and make it anew.
        let deploying = self.search.deploys() && self.in_view_since.is_none();
        let deleted = self.latest.is_some() && !deploying;
        let indications = if self.search.awaits_baseline() {
            vec![Self::baseline(None)]
        } else if deleted {
            vec![Indication::Deleted]
        } else {
            vec![Indication::NotInView, Indication::Absent]
        };
        self.see(at, indications);
        self.note_baseline(at, None);
        if !deleted && !self.search.awaits_baseline() {
            self.view.waiting_for = Some(Instead(None));
        }
    }

    fn on_details(
        &mut self,
        at: Duration,
        details: Box<AgentDetails>,
        server_time: Option<Timestamp>,
    ) {
        let was_stale = self.view.stale;
        self.note_answer();
        if !self.search.order.admits(at, &details, server_time) {
            self.view.stale = true;
            // One among others is passed over. From several in a row nobody knows what goes on meanwhile.
            if was_stale {
                self.streaks.gap();
            }
            return;
        }
        self.absent = None;
        self.report.available = details.available;
        self.find_target(&details);
        let mut indications = self.indications(&details);
        indications.extend(self.failed_push(at, &details));
        self.see(at, indications);
        let steps_back = |indication: &Indication| matches!(indication, Indication::StepBack(_));
        if self.streaks.find(steps_back).is_some() {
            if !self.meets(steps_back) {
                return;
            }
            // It is confirmed: the target is where this answer says.
            self.forget_progress();
            let indications = self.indications(&details);
            self.see(at, indications);
        }
        self.note_baseline(at, details.desired());
        self.accept(at, details);
    }

    /// Takes in the streaks of what an answer indicates.
    fn see(&mut self, at: Duration, indications: Vec<Indication>) {
        self.streaks.see(at, indications);
        self.came_back &= !self.meets(|indication| *indication == Indication::Back);
        if self.meets(|indication| matches!(indication, Indication::Target(_))) {
            self.search.settle();
        }
    }

    /// Whether an indication of which this is true has what it needs.
    fn meets(&self, is: impl Fn(&Indication) -> bool) -> bool {
        let mut met = self.streaks.met(self.limits());
        met.any(|streak| is(&streak.indication))
    }

    /// Before a deploy of our own: which deployment is desired now. Without dates a replica that lags
    /// looks like the others, so that it has to be confirmed. Where answers never agree, the
    /// command is not held up for ever: none of the deployments that they show is new.
    fn note_baseline(&mut self, at: Duration, desired: Option<&str>) {
        if !self.search.awaits_baseline() {
            return;
        }
        let created_at = desired.and_then(|id| self.search.order.created_at(id));
        // By dates it shows later what was there before, if the server's clock is known.
        let dated = created_at.is_some() && self.search.order.clock(at).is_some();
        let confirmed = self.meets(|i| matches!(i, Indication::Baseline(_)));
        let late = at >= self.limits().appear_timeout;
        if dated || confirmed || late {
            let baseline = Baseline {
                deployment_id: desired.map(str::to_owned),
                created_at,
                noted_at: None,
            };
            self.search.baseline = Some(baseline.clone());
            // The command starts right away: what it deploys is created later.
            self.search.deploy_began = Some(at);
            self.view.baseline = Some(baseline);
        }
    }

    /// The newest answer about the target that was believed, and the target's id, while it is in view.
    fn in_view(&self) -> Option<(&AgentDetails, &str)> {
        self.in_view_since?;
        self.latest.as_deref().zip(self.search.target_id())
    }

    fn own_revision(&self) -> Option<&Revision> {
        own_revision(self.latest.as_deref()?, self.search.target_id()?)
    }
}
