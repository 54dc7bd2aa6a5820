//! When something is decided: what has all it needs, and which deadline has passed.

use std::time::Duration;

use super::{Command, Machine, NextPoll};
use crate::core::rollout::assess::is_complete;
use crate::core::rollout::indication::{Ending, Indication, Proof};
use crate::core::rollout::observation::{FailureClass, Route};
use crate::core::rollout::pacing::Moment;
use crate::core::rollout::policy::{TargetRule, Unchanged};
use crate::core::rollout::streak::{Needs, Streak};

/// How long a refusal has to last before the API has ever answered: then nothing is known to work.
const FIRST_REFUSAL: Duration = Duration::from_secs(2);

/// How long a target that was ready while the deploy command ran gets to be ready again, if its time is
/// up: as long as it takes to confirm that it is not.
const READY_GRACE: Duration = Duration::from_secs(10);

impl Machine {
    /// What has all it needs to end the watch.
    pub(super) fn ending(&mut self, at: Duration) -> Option<Ending> {
        if !self.may_end() {
            return None;
        }
        let refused = self
            .refusals
            .met(|indication| self.needs(indication))
            .find_map(|s| s.indication.ending(s.lasted()));
        if refused.is_some() {
            return refused;
        }
        // Nothing about a target that may be another's ends the watch.
        let settled = self.search.settled().is_some() || self.is_single_check();
        self.note_ready(at, settled);
        let needs = |indication: &Indication| self.needs(indication);
        let mut met = self.streaks.met(needs).filter(|streak| {
            let counts = settled
                || matches!(
                    streak.indication,
                    Indication::Deleted | Indication::PushFailed(_)
                );
            counts && self.is_final(streak)
        });
        let ending = met.find_map(|streak| streak.indication.ending(streak.lasted()));
        drop(met);
        ending.or_else(|| self.not_appeared(at))
    }

    /// Notes since when the target has been all that was waited for.
    fn note_ready(&mut self, at: Duration, settled: bool) {
        let shown = self.latest.as_deref().zip(self.search.target_id());
        let is_complete = shown.is_some_and(|(details, id)| {
            is_complete(details, id, self.own_revision(), self.limits().until)
        });
        let is_ready = settled && is_complete && self.meets(|i| *i == Indication::Ready);
        self.ready_at = is_ready.then(|| self.ready_at.unwrap_or(at));
        if self.awaits_command() {
            self.ready_before_command_end = Some(at);
        }
    }

    /// Whether what this points at may end the watch now.
    fn is_final(&self, streak: &Streak) -> bool {
        match streak.indication {
            Indication::Ready => self.may_end_ready(streak),
            // While something waits to be confirmed, that may be what moves.
            Indication::Unmoved(_) => self.unconfirmed().next().is_none(),
            _ => true,
        }
    }

    /// Whether a target that is ready ends the watch: with `run` not before an answer from after the
    /// end of the command, or a deployment that came meanwhile would go unseen.
    fn may_end_ready(&self, ready: &Streak) -> bool {
        self.ready_at.is_some()
            && match self.command {
                Command::None => true,
                Command::Running => false,
                Command::Ended(ended, _) => ready.last_at > ended,
            }
    }

    /// Whether the target is ready, and only the deploy command still runs.
    pub(super) fn awaits_command(&self) -> bool {
        self.ready_at.is_some() && self.command == Command::Running
    }

    /// The target has not appeared in the time that it may take; while polls fail nobody knows.
    fn not_appeared(&mut self, at: Duration) -> Option<Ending> {
        let late = self
            .appear_deadline()
            .is_some_and(|deadline| at >= deadline);
        let not_in_view = self.meets(|indication| *indication == Indication::NotInView);
        if !late || !not_in_view || self.view.outage.is_some() {
            return None;
        }
        if let Command::Ended(_, code @ 1..) = self.command {
            return Some(Ending::CommandFailed(code));
        }
        if self.accepts_unchanged() {
            self.search.accept_baseline();
            return None;
        }
        Some(self.not_in_view())
    }

    fn not_in_view(&self) -> Ending {
        if self.is_absent() || !self.agent_seen {
            Ending::NotFound
        } else {
            Ending::Unchanged
        }
    }

    /// Whether a target was shown that is not settled, and that it is not there is not confirmed.
    fn is_disputed(&self) -> bool {
        let unsettled = self.search.target_id().is_some() && self.search.settled().is_none();
        unsettled && !self.meets(|indication| *indication == Indication::NotInView)
    }

    /// Whether it is confirmed that there is no such agent (any more).
    pub(super) fn is_absent(&self) -> bool {
        self.meets(|indication| *indication == Indication::Absent)
    }

    /// Which deadline has passed, after a poll.
    pub(super) fn overdue(&self, at: Duration) -> Option<Ending> {
        if self.deadline().is_some_and(|deadline| at >= deadline) {
            return Some(match &self.view.outage {
                Some(outage) if outage.last.class == FailureClass::Unauthorized => {
                    Ending::Unauthorized
                }
                Some(_) => Ending::Unavailable,
                None if self.in_view_since.is_some() || self.pushes.is_under_way => Ending::Timeout,
                // Answers disagree about whether one has come.
                None if self.is_disputed() => Ending::Timeout,
                None => match self.command {
                    Command::Ended(_, code @ 1..) => Ending::CommandFailed(code),
                    // Nothing but answers from the past, or that disagree about the baseline.
                    _ if self.view.stale || self.search.awaits_baseline() => Ending::Unavailable,
                    _ => self.not_in_view(),
                },
            });
        }
        self.outage_is_over_limit(at)
    }

    pub(super) fn outage_is_over_limit(&self, at: Duration) -> Option<Ending> {
        let over = self
            .outage_deadline()
            .is_some_and(|deadline| at >= deadline);
        (over && self.may_end()).then_some(Ending::Unavailable)
    }

    /// When the watch ends whatever is known. Of a deploy of our own, the time counts from when the
    /// target shows; while the command runs and nothing has shown, there is no end.
    pub(super) fn deadline(&self) -> Option<Duration> {
        if self.awaits_command() {
            return None;
        }
        let deploys = *self.policy.target() == TargetRule::Deploy;
        let began = match (self.in_view_since, self.command) {
            (Some(at), _) if deploys => at,
            (None, Command::Running) => return None,
            // The command is about to start.
            (None, Command::None) if deploys && !self.search.awaits_baseline() => return None,
            (None, Command::Ended(at, _)) => at,
            (Some(_), _) | (None, Command::None) => Duration::ZERO,
        };
        let deadline = began.saturating_add(self.limits().timeout);
        // The wait for the command is no delay of a target that was ready.
        let grace = self.ready_before_command_end;
        Some(grace.map_or(deadline, |at| deadline.max(at.saturating_add(READY_GRACE))))
    }

    /// By when the agent and the target have to appear.
    fn appear_deadline(&self) -> Option<Duration> {
        if self.in_view_since.is_some() {
            return None;
        }
        let limits = self.limits();
        let may_take = match limits.unchanged {
            Unchanged::Fail => limits.appear_timeout,
            // What is accepted then has to be judged in time.
            Unchanged::Accept => {
                let judged = limits.timeout.saturating_sub(Needs::CONFIRMED.over);
                limits.appear_timeout.min(judged)
            }
        };
        let by = match (self.policy.target(), self.command) {
            (TargetRule::Deploy, Command::None | Command::Running) => return None,
            (TargetRule::Deploy, Command::Ended(at, 0)) => at.saturating_add(may_take),
            (TargetRule::Deploy, Command::Ended(at, _)) => return Some(at),
            (
                TargetRule::Deployment(_)
                | TargetRule::NewerThan(_)
                | TargetRule::Commit(_)
                | TargetRule::Pushed(_)
                | TargetRule::FirstSeen,
                _,
            ) => may_take,
        };
        // What is being built may take its time.
        let built = self
            .pushes
            .under_way_at
            .map(|at| at.saturating_add(may_take));
        Some(by.max(built.unwrap_or_default()))
    }

    /// By when the API has to answer again: a pause that it asks for is no outage.
    fn outage_deadline(&self) -> Option<Duration> {
        let outage = self
            .view
            .outage
            .as_ref()
            .filter(|_| !self.awaits_command())?;
        let began = match self.command {
            Command::Ended(at, _) => outage.since.max(at),
            Command::None | Command::Running => outage.since,
        };
        let excused = began.saturating_add(outage.asked_pauses);
        Some(excused.saturating_add(self.limits().outage_timeout))
    }

    /// Whether anything may end the watch: not while the deploy command runs and has deployed nothing.
    fn may_end(&self) -> bool {
        self.command != Command::Running
            || self.in_view_since.is_some()
            || self.meets(|indication| matches!(indication, Indication::PushFailed(_)))
    }

    fn needs(&self, indication: &Indication) -> Option<Needs> {
        let needs = indication.needs(self.limits())?;
        let refuses = matches!(
            indication,
            Indication::Unauthorized(_) | Indication::Refused(_)
        );
        Some(if refuses && !self.answered {
            Needs {
                over: FIRST_REFUSAL,
                ..needs
            }
        } else {
            needs
        })
    }

    pub(super) fn is_single_check(&self) -> bool {
        self.limits().timeout.is_zero()
    }

    /// What was seen and waits to be confirmed.
    pub(super) fn unconfirmed(&self) -> impl Iterator<Item = &Indication> {
        self.streaks.iter().filter(|indication| {
            matches!(
                indication,
                Indication::Superseded {
                    proof: Proof::None,
                    ..
                } | Indication::Deleted
                    | Indication::StepBack(_)
                    | Indication::Contradiction
                    | Indication::RevisionUnchanged { .. }
                    | Indication::Baseline(_)
                    | Indication::Target(_)
            )
        })
    }

    /// When and how to poll again.
    pub(super) fn next_poll(&self, at: Duration) -> NextPoll {
        let needs = |indication: &Indication| self.needs(indication);
        let due = self.streaks.due(needs).chain(self.refusals.due(needs));
        let deadlines = [
            self.deadline(),
            self.appear_deadline(),
            self.outage_deadline(),
        ];
        let moments = deadlines.into_iter().flatten().chain(due);
        let next = moments.filter(|moment| *moment > at).min();
        // What one replica that lags has shown for long is asked of the others before it decides.
        let soon = at.saturating_add(2 * Needs::CONFIRMED.over);
        let of_target = |i: &Indication| self.needs(i).filter(|_| i.is_about_target());
        let decides_soon = self
            .streaks
            .due(of_target)
            .any(|moment| moment > at && moment <= soon)
            || self.appear_deadline().is_some_and(|moment| moment <= soon);
        let confirms = self.unconfirmed().next().is_some()
            || self.refusals.iter().next().is_some()
            // Others may be up to date, and have seen what came before the command ended.
            || self.view.stale
            || matches!(self.command, Command::Ended(..))
            || decides_soon;
        NextPoll {
            moment: Moment {
                phase: self.view.phase,
                phase_age: at.saturating_sub(self.paced_from),
                elapsed: at,
            },
            no_later_than: next.unwrap_or(Duration::MAX),
            deadline: self.deadline(),
            route: if confirms {
                Route::Fresh
            } else {
                Route::Pooled
            },
        }
    }
}
