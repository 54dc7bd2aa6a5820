//! When something is decided: what has all it needs, and which deadline has passed.

use std::time::Duration;

use super::{Command, Machine, NextPoll};
use crate::core::rollout::indication::{Ending, Indication};
use crate::core::rollout::observation::{FailureClass, Route};
use crate::core::rollout::pacing::Moment;
use crate::core::rollout::policy::Unchanged;
use crate::core::rollout::shown::Needs;
use crate::core::rollout::streak::Streak;
use crate::core::rollout::verdict::Verdict;

/// How long a target that was ready while the deploy command ran gets to be ready again, if its time is
/// up: as long as it takes to confirm that it is not.
const READY_GRACE: Duration = Duration::from_secs(10);

impl Machine {
    /// What ends the watch, if anything has all it needs: the worst verdict, and of its like the gravest.
    pub(super) fn ending(&self, at: Duration) -> Option<Ending> {
        if !self.may_end() {
            return None;
        }
        let limits = self.limits();
        let met = self
            .streaks
            .met(limits)
            .filter(|streak| self.counts(streak));
        let endings = self.refusals.met(limits).chain(met).filter_map(|streak| {
            Some(Ending {
                verdict: streak.indication.verdict()?,
                shown: Some((streak.indication.clone(), streak.shown.lasted())),
            })
        });
        let worst = endings.min_by_key(|ending| ending.verdict.rank());
        worst.or_else(|| self.not_appeared(at).map(Ending::from))
    }

    /// Notes since when the target has been all that was waited for.
    pub(super) fn note_ready(&mut self, at: Duration) {
        let is_ready = self.is_meant() && self.meets(|i| *i == Indication::Ready);
        self.ready_at = is_ready.then(|| self.ready_at.unwrap_or(at));
        if self.awaits_command() {
            self.ready_before_command_end = Some(at);
        }
    }

    /// Whether what is known of the target is about the one that is meant, or nobody will know better.
    fn is_meant(&self) -> bool {
        self.search.is_settled() || self.is_single_check()
    }

    /// Whether what this points at may end the watch now.
    fn counts(&self, streak: &Streak) -> bool {
        match (&streak.indication, self.command) {
            (Indication::Deleted | Indication::PushFailed(_), _) => true,
            // Nothing about a target that may be another's ends the watch.
            _ if !self.is_meant() => false,
            (Indication::Ready, Command::Running) => false,
            // Not before an answer from after the command: a deployment that came meanwhile would go
            // unseen.
            (Indication::Ready, Command::Ended(at, _)) if streak.shown.last_at() <= at => false,
            (Indication::Ready, _) => self.ready_at.is_some() && !self.came_back,
            // While something waits to be confirmed, that may be what moves.
            (Indication::Unmoved(_), _) => !self.streaks.iter().any(Indication::is_unconfirmed),
            _ => true,
        }
    }

    /// Whether the target is ready, and only the deploy command still runs.
    pub(super) fn awaits_command(&self) -> bool {
        self.ready_at.is_some() && self.command == Command::Running
    }

    /// Judges the baseline where that is accepted, once no new deployment has come in time.
    pub(super) fn accept_unchanged(&mut self, at: Duration) {
        if self.is_late(at) && self.accepts_unchanged() {
            self.search.accept_baseline();
        }
    }

    fn accepts_unchanged(&self) -> bool {
        let desired = self.latest.as_ref().and_then(|details| details.desired());
        self.limits.unchanged == Unchanged::Accept
            && !matches!(self.command, Command::Ended(_, 1..))
            && !self.is_absent()
            && desired.is_some()
            && desired == self.search.baseline_id()
    }

    /// The target has not appeared in the time that it may take.
    fn not_appeared(&self, at: Duration) -> Option<Verdict> {
        if !self.is_late(at) || self.accepts_unchanged() {
            return None;
        }
        Some(match self.command {
            Command::Ended(_, code @ 1..) => Verdict::CommandFailed(code),
            Command::NotStarted | Command::Running | Command::Ended(..) => self.not_in_view(),
        })
    }

    /// Whether it should have appeared, and has not; while polls fail nobody knows.
    fn is_late(&self, at: Duration) -> bool {
        let late = (self.appear_deadline()).is_some_and(|deadline| at >= deadline);
        late && self.view.outage.is_none() && self.meets(|i| *i == Indication::NotInView)
    }

    /// How a watch ends whose target is not there in time.
    fn not_in_view(&self) -> Verdict {
        match &self.latest {
            Some(latest) if !self.is_absent() => {
                // Before the watch began it was the desired one.
                let was_replaced = !self.view.stale && self.search.was_replaced(latest);
                if was_replaced {
                    Verdict::Superseded
                } else {
                    Verdict::Unchanged
                }
            }
            Some(_) | None => Verdict::NotFound,
        }
    }

    /// Whether a target was shown that is not settled, and that it is not there is not confirmed.
    fn is_disputed(&self) -> bool {
        let unsettled = self.search.target_id().is_some() && !self.search.is_settled();
        unsettled && !self.meets(|indication| *indication == Indication::NotInView)
    }

    /// Whether it is confirmed that there is no such agent (any more).
    pub(super) fn is_absent(&self) -> bool {
        self.meets(|indication| *indication == Indication::Absent)
    }

    /// Which deadline has passed, after a poll.
    pub(super) fn overdue(&self, at: Duration) -> Option<Ending> {
        if self.deadline().is_none_or(|deadline| at < deadline) {
            return self.outage_is_over_limit(at);
        }
        let verdict = match (&self.view.outage, self.command) {
            (Some(outage), _) if outage.last.class == FailureClass::Unauthorized => {
                Verdict::Unauthorized
            }
            (Some(_), _) => Verdict::Unavailable,
            // A target is in view, is being built, or answers disagree about whether one has come.
            (None, _)
                if self.in_view_since.is_some()
                    || self.pushes.is_under_way
                    || self.is_disputed() =>
            {
                Verdict::Timeout
            }
            (None, Command::Ended(_, code @ 1..)) => Verdict::CommandFailed(code),
            // Nothing but answers from the past, or that disagree about the baseline.
            (None, _) if self.view.stale || self.search.awaits_baseline() => Verdict::Unavailable,
            (None, _) => self.not_in_view(),
        };
        Some(verdict.into())
    }

    pub(super) fn outage_is_over_limit(&self, at: Duration) -> Option<Ending> {
        let deadline = self.outage_deadline();
        let is_over = deadline.is_some_and(|deadline| at >= deadline);
        (is_over && self.may_end()).then(|| Verdict::Unavailable.into())
    }

    /// When the watch ends whatever is known. Of a deploy of our own, the time counts from when the
    /// target shows; while the command runs and nothing has shown, there is no end.
    pub(super) fn deadline(&self) -> Option<Duration> {
        if self.awaits_command() {
            return None;
        }
        let began = match (self.in_view_since, self.command) {
            _ if !self.search.deploys() => Duration::ZERO,
            (Some(at), _) | (None, Command::Ended(at, _)) => at,
            (None, Command::NotStarted) if self.search.awaits_baseline() => Duration::ZERO,
            // The command is about to start, or takes its time.
            (None, Command::NotStarted | Command::Running) => return None,
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
        let by = match self.command {
            _ if !self.search.deploys() => may_take,
            Command::NotStarted | Command::Running => return None,
            Command::Ended(at, 0) => at.saturating_add(may_take),
            Command::Ended(at, _) => return Some(at),
        };
        // What is being built may take its time.
        let built = self.pushes.under_way_at;
        let built = built.map(|at| at.saturating_add(may_take));
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
            Command::NotStarted | Command::Running => outage.since,
        };
        let excused = began.saturating_add(outage.asked_pauses);
        Some(excused.saturating_add(self.limits().outage_timeout))
    }

    /// Whether anything may end the watch: not while the deploy command runs and has deployed nothing.
    fn may_end(&self) -> bool {
        self.command != Command::Running || self.in_view_since.is_some()
    }

    pub(super) fn is_single_check(&self) -> bool {
        self.limits().timeout.is_zero()
    }

    /// When and how to poll again.
    pub(super) fn next_poll(&self, at: Duration) -> NextPoll {
        let limits = self.limits();
        let appear = self.appear_deadline();
        let deadlines = [self.deadline(), appear, self.outage_deadline()];
        let due = self.streaks.due(limits).chain(self.refusals.due(limits));
        let moments = deadlines
            .into_iter()
            .flatten()
            .chain(due.map(|(_, moment)| moment));
        let next = moments.filter(|moment| *moment > at).min();
        // What one replica that lags has shown for long is asked of the others before it decides.
        let soon = at.saturating_add(2 * Needs::CONFIRMED.over);
        let decides_soon = |(indication, moment): (&Indication, Duration)| {
            indication.is_about_target() && moment > at && moment <= soon
        };
        let confirms = self.streaks.iter().any(Indication::is_unconfirmed)
            || self.refusals.iter().next().is_some()
            // Others may be up to date, and have seen what came before the command ended.
            || self.view.stale
            || matches!(self.command, Command::Ended(..))
            || self.streaks.due(limits).any(decides_soon)
            || appear.is_some_and(|moment| moment <= soon);
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
