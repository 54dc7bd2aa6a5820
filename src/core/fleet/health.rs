//! The slow look at agents at rest: one that stops being ready without a deploy, and its recovery.

use jiff::Timestamp;

use super::notice::{Notice, NoticeData, NoticeKind};
use super::old::{Change, Standing};
use super::{Agent, Fleet};
use crate::core::fleet::CONFIRMATIONS;
use crate::core::rollout::{Reason, Verdict};

/// What a look at an agent's details showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is ready.
    Ready,
    /// It is not, for this reason as far as the platform tells.
    NotReady(Option<Reason>),
    /// There was no usable answer, or it was about another deployment.
    Unknown,
}

/// When to look at an agent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum NextLook {
    /// At once: what was seen has to be confirmed.
    ToConfirm,
    /// Soon: it is not ready, and somebody waits for its recovery.
    Watchful,
    /// At the usual interval.
    Regular,
    /// Not at all: it is gone, or its rollout is followed, which ends in another look.
    Never,
}

impl Fleet {
    /// Takes in what a look at `now` showed of an agent.
    pub fn looked(&mut self, now: Timestamp, name: &str, look: Look) -> (Change, NextLook) {
        let mut change = Change::default();
        let Some(agent) = self.agents.get_mut(name) else {
            return (change, NextLook::Never);
        };
        if agent.followed.is_some() {
            return (change, NextLook::Never);
        }
        match look {
            Look::Ready => agent.seen_ready(now, &mut change),
            Look::NotReady(reason) => agent.seen_not_ready(now, reason, &mut change),
            Look::Unknown => {}
        }
        (change, agent.next_look())
    }
}

impl Fleet {
    /// When to look at an agent next, by how it stands.
    pub fn next_look(&self, name: &str) -> NextLook {
        match self.agents.get(name) {
            Some(agent) if agent.followed.is_none() => agent.next_look(),
            _ => NextLook::Never,
        }
    }
}

impl Agent {
    fn seen_ready(&mut self, now: Timestamp, change: &mut Change) {
        self.not_ready = 0;
        let deployment = self.record.deployment_id.as_deref().unwrap_or("-");
        let (id, since) = match &self.record.standing {
            Standing::Unready { id, since, .. } => (id.clone(), *since),
            Standing::Settled {
                verdict: Some(verdict),
                since,
            } if leaves_unready(*verdict) => {
                let (name, episode) = (&self.record.name, self.record.unready_episodes);
                (format!("{name}/{deployment}/unready/{episode}"), *since)
            }
            Standing::Settled { .. } | Standing::RollingOut { .. } => return,
        };
        change.notices.push(Notice {
            id: format!("{id}/recovered"),
            kind: NoticeKind::AgentRecovered,
            time: now,
            data: NoticeData {
                deployment_id: self.record.deployment_id.clone(),
                elapsed_ms: u64::try_from(now.duration_since(since).as_millis()).ok(),
                ..NoticeData::of(&self.record)
            },
        });
        let standing = Standing::Settled {
            verdict: Some(Verdict::Ready),
            since: now,
        };
        self.stand(now, standing, change);
    }

    fn seen_not_ready(&mut self, now: Timestamp, reason: Option<Reason>, change: &mut Change) {
        if !self.is_at_rest() {
            return;
        }
        self.not_ready = self.not_ready.saturating_add(1);
        if self.not_ready < CONFIRMATIONS {
            return;
        }
        self.record.unready_episodes += 1;
        let deployment = self.record.deployment_id.as_deref().unwrap_or("-");
        let id = format!(
            "{}/{deployment}/unready/{}",
            self.record.name, self.record.unready_episodes
        );
        change.notices.push(Notice {
            id: id.clone(),
            kind: NoticeKind::AgentUnready,
            time: now,
            data: NoticeData {
                deployment_id: self.record.deployment_id.clone(),
                reason: reason.clone(),
                ..NoticeData::of(&self.record)
            },
        });
        let standing = Standing::Unready {
            id,
            since: now,
            reason,
        };
        self.stand(now, standing, change);
    }

    fn next_look(&self) -> NextLook {
        match &self.record.standing {
            Standing::RollingOut { .. } => NextLook::Never,
            _ if !self.is_at_rest() => NextLook::Watchful,
            _ if self.not_ready > 0 => NextLook::ToConfirm,
            _ => NextLook::Regular,
        }
    }

    /// Whether nothing is under way, and nothing is known to be wrong.
    fn is_at_rest(&self) -> bool {
        matches!(
            self.record.standing,
            Standing::Settled { verdict, .. } if !verdict.is_some_and(leaves_unready)
        )
    }
}

/// Whether a rollout that ended so leaves an agent that has to recover.
///
/// One that another took the place of says nothing about the agent: the other will.
pub(super) fn leaves_unready(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::Ready | Verdict::Superseded)
}
