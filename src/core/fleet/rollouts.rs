//! What happens in a rollout that is followed: what is remembered and told of it.

use jiff::Timestamp;

use super::health::leaves_unready;
use super::notice::{Notice, NoticeData, NoticeKind};
use super::old::{Change, RolloutRecord, Standing};
use super::{Agent, Fleet, Followed};
use crate::core::rollout::{Event, Outcome, Phase, PhaseEntry, Reason, RevisionReport, Verdict};

impl Fleet {
    /// Takes in what happened, at `now`, in the rollout of an agent.
    pub fn happened(&mut self, now: Timestamp, name: &str, event: &Event) -> Change {
        let mut change = Change::default();
        if let Some(agent) = self.agents.get_mut(name) {
            match event {
                Event::TargetFound { deployment_id, .. } => {
                    agent.found(now, deployment_id, &mut change);
                }
                Event::PhaseChanged { phase, .. } => agent.entered(now, *phase, &mut change),
                _ => {}
            }
        }
        change
    }

    /// Takes in how the watch of a rollout ended, at `now`.
    ///
    /// What ended without a verdict about the deployment goes on: the next list begins it anew.
    pub fn ended(&mut self, now: Timestamp, name: &str, outcome: &Outcome) -> Change {
        let mut change = Change::default();
        if let Some(agent) = self.agents.get_mut(name) {
            agent.followed = None;
            if is_final(outcome.verdict) {
                agent.finish(now, &Finish::of(outcome), &mut change);
            }
        }
        change
    }
}

/// How a rollout ended.
struct Finish {
    deployment_id: Option<String>,
    verdict: Verdict,
    reason: Option<Reason>,
    phases: Vec<PhaseEntry>,
    available: Option<bool>,
    revision: Option<RevisionReport>,
}

impl Finish {
    fn of(outcome: &Outcome) -> Self {
        Self {
            deployment_id: outcome.deployment_id.clone(),
            verdict: outcome.verdict,
            reason: outcome.reason.clone(),
            phases: outcome.phases.clone(),
            available: outcome.available,
            revision: outcome.revision.clone(),
        }
    }

    /// A rollout that another took the place of while nobody watched.
    fn superseded(deployment_id: &str, by: &str) -> Self {
        Self {
            deployment_id: Some(deployment_id.to_owned()),
            verdict: Verdict::Superseded,
            reason: Some(Reason {
                code: "Superseded".to_owned(),
                summary: format!(
                    "deployment {by} took the place of {deployment_id} while nobody watched"
                ),
                message: None,
            }),
            phases: Vec::new(),
            available: None,
            revision: None,
        }
    }
}

impl Agent {
    /// A deployment has become the desired one, or was so already before a restart.
    fn found(&mut self, now: Timestamp, deployment: &str, change: &mut Change) {
        if let Standing::RollingOut { deployment_id, .. } = &self.record.standing {
            if deployment_id == deployment {
                return;
            }
            let finish = Finish::superseded(deployment_id, deployment);
            self.finish(now, &finish, change);
        }
        let previous = self.record.deployment_id.replace(deployment.to_owned());
        let id = self.record.id_of_step(previous.as_deref(), deployment);
        let observed_late = self.followed == Some(Followed::Late);
        change.notices.push(Notice {
            id: format!("{id}/started"),
            kind: NoticeKind::RolloutStarted,
            time: now,
            data: NoticeData {
                deployment_id: Some(deployment.to_owned()),
                previous_deployment_id: previous,
                observed_late,
                ..NoticeData::of(&self.record)
            },
        });
        self.not_ready = 0;
        let standing = Standing::RollingOut {
            deployment_id: deployment.to_owned(),
            id,
            started_at: now,
            phases: Vec::new(),
            observed_late,
        };
        self.stand(now, standing, change);
    }

    /// The rollout has entered a phase. Each is told once: two watchers see them go back and forth
    /// at different times.
    fn entered(&mut self, now: Timestamp, phase: Phase, change: &mut Change) {
        let record = &mut self.record;
        let Standing::RollingOut {
            deployment_id,
            id,
            phases,
            observed_late,
            ..
        } = &mut record.standing
        else {
            return;
        };
        if phase == Phase::Waiting || phases.contains(&phase) {
            return;
        }
        phases.push(phase);
        let notice = Notice {
            id: format!("{id}/phase/{phase}"),
            kind: NoticeKind::RolloutPhaseChanged,
            time: now,
            data: NoticeData {
                agent: record.name.clone(),
                region: record.region.clone(),
                deployment_id: Some(deployment_id.clone()),
                phase: Some(phase),
                observed_late: *observed_late,
                ..NoticeData::default()
            },
        };
        change.notices.push(notice);
        self.remember(now, change);
    }

    /// The rollout has ended, if it was one that had begun.
    fn finish(&mut self, now: Timestamp, finish: &Finish, change: &mut Change) {
        let Standing::RollingOut {
            deployment_id,
            id,
            started_at,
            observed_late,
            ..
        } = &self.record.standing
        else {
            return;
        };
        if finish.deployment_id.as_ref() != Some(deployment_id) {
            return;
        }
        let took = now.duration_since(*started_at).as_millis();
        let rollout = RolloutRecord {
            agent: self.record.name.clone(),
            region: self.record.region.clone(),
            deployment_id: deployment_id.clone(),
            verdict: finish.verdict,
            reason: finish.reason.clone(),
            started_at: *started_at,
            finished_at: now,
            elapsed_ms: u64::try_from(took).unwrap_or(0),
            phases: finish.phases.clone(),
            observed_late: *observed_late,
        };
        change.notices.push(Notice {
            id: format!("{id}/finished/{}", finish.verdict),
            kind: NoticeKind::RolloutFinished,
            time: now,
            data: NoticeData {
                deployment_id: Some(rollout.deployment_id.clone()),
                verdict: Some(finish.verdict),
                reason: finish.reason.clone(),
                available: finish.available,
                revision: finish.revision.clone(),
                phases: finish.phases.clone(),
                elapsed_ms: Some(rollout.elapsed_ms),
                observed_late: rollout.observed_late,
                ..NoticeData::of(&self.record)
            },
        });
        change.rollouts.push(rollout);
        if leaves_unready(finish.verdict) {
            self.record.unready_episodes += 1;
        }
        let standing = Standing::Settled {
            verdict: Some(finish.verdict),
            since: now,
        };
        self.stand(now, standing, change);
    }

    /// Takes a new standing, and remembers it.
    pub(super) fn stand(&mut self, now: Timestamp, standing: Standing, change: &mut Change) {
        self.record.standing = standing;
        self.remember(now, change);
    }

    fn remember(&mut self, now: Timestamp, change: &mut Change) {
        self.record.changed_at = now;
        change.agents.retain(|agent| agent.name != self.record.name);
        change.agents.push(self.record.clone());
    }
}

/// Whether a verdict is one about the deployment, and not about the watch.
fn is_final(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Ready
        | Verdict::Failed
        | Verdict::Stalled
        | Verdict::Superseded
        | Verdict::Infrastructure
        | Verdict::Timeout => true,
        Verdict::Unauthorized
        | Verdict::NotFound
        | Verdict::Unavailable
        | Verdict::Unchanged
        | Verdict::CommandFailed(_)
        | Verdict::Interrupted(_) => false,
    }
}
