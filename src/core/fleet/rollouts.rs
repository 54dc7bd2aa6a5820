//! The rollouts that are followed, each to its end.

use std::time::Duration;

use jiff::Timestamp;

use super::agent::Follow;
use super::checks::PASS_OVER_HINTS;
use super::clock::Moment;
use super::record::KnownDeployment;
use super::schedule::NextCheck;
use super::{Action, Fleet, Step, TaskId};
use crate::core::rollout::{Event, Limits, Outcome, Verdict};
use crate::core::wire::AgentName;

/// What a rollout gets at least when it is taken up again, however long ago it began.
const MIN_TIMEOUT: Duration = Duration::from_mins(1);

impl Fleet {
    /// Follows a rollout from now on, for as long as is left of its time.
    pub(super) fn follow(
        &mut self,
        now: Moment,
        name: &str,
        deployment: KnownDeployment,
        started_at: Option<Timestamp>,
        step: &mut Step,
    ) {
        let number = self.number();
        let Ok(parsed) = name.parse::<AgentName>() else {
            return;
        };
        let spent = started_at.and_then(|started_at| self.clock.since(now.at, started_at));
        let timeout = self.rules.limits.timeout;
        let limits = Limits {
            timeout: timeout
                .saturating_sub(spent.unwrap_or_default())
                .max(MIN_TIMEOUT.min(timeout)),
            ..self.rules.limits.clone()
        };
        let deployment_id = deployment.id.clone();
        let Some(agent) = self.agent_mut(name) else {
            return;
        };
        agent.unconfirmed = None;
        agent.follow = Some(Box::new(Follow {
            number,
            deployment,
            started_at,
            found_at: None,
            phases_before: 0,
        }));
        self.follows += 1;
        self.schedule.remove(name);
        step.actions.push(Action::Follow {
            follow: TaskId {
                agent: parsed,
                number,
            },
            deployment_id,
            limits,
        });
    }

    pub(super) fn on_progress(
        &mut self,
        now: Moment,
        follow: &TaskId,
        event: &Event,
        step: &mut Step,
    ) {
        if self.is_followed(follow) {
            self.change(follow.agent.as_str(), step, |agent, clock| {
                agent.progressed(now, event, clock);
            });
        }
    }

    pub(super) fn on_followed(
        &mut self,
        now: Moment,
        follow: &TaskId,
        outcome: &Outcome,
        step: &mut Step,
    ) {
        self.follows -= 1;
        if !self.is_followed(follow) {
            return;
        }
        let name = follow.agent.as_str();
        self.change(name, step, |agent, clock| {
            agent.finished(now, outcome, clock);
            agent.follow = None;
        });
        match outcome.verdict {
            Verdict::NotFound => return self.remove(now, name, step),
            Verdict::Unchanged => {
                if let Some(entry) = self.agents.get_mut(name) {
                    entry.passes_over_hints_until = now.at.saturating_add(PASS_OVER_HINTS);
                }
            }
            _ => {}
        }
        self.schedule_next(now, name);
        if outcome.verdict == Verdict::Superseded {
            // What took its place is followed from now on.
            self.check_soon(now, name);
        }
    }

    /// The following of a rollout was lost: it is taken up again.
    pub(super) fn lose_follow(&mut self, now: Moment, follow: &TaskId) {
        self.follows -= 1;
        if self.is_followed(follow)
            && let Some(agent) = self.agent_mut(follow.agent.as_str())
        {
            agent.follow = None;
            self.schedule
                .again(now.at, follow.agent.as_str(), NextCheck::Soon);
        }
    }

    /// Whether this is the rollout that is followed of the agent that has this name now.
    fn is_followed(&self, follow: &TaskId) -> bool {
        self.agents
            .get(follow.agent.as_str())
            .and_then(|entry| entry.agent.as_ref()?.follow.as_ref())
            .is_some_and(|known| known.number == follow.number)
    }
}
