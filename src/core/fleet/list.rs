//! What the list of agents shows: where to look, who is new and who is gone.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::notice::{Notice, NoticeData, NoticeKind};
use super::old::{AgentRecord, Change, Standing};
use super::{Agent, Doubt, Fleet, Followed, Shown};
use crate::core::fleet::CONFIRMATIONS;
use crate::core::wire::Service;

/// A rollout to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The agent.
    pub agent: String,
    /// The deployment that is desired.
    pub deployment_id: String,
}

/// What follows from a list.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct ListStep {
    /// What to remember and to tell.
    pub change: Change,
    /// Rollouts to follow from now on. Each has to be ended by [`Fleet::ended`].
    pub begin: Vec<Begin>,
    /// Agents that have come: they want a first look.
    pub added: Vec<String>,
}

impl Fleet {
    /// Takes in a list that was read at `now`.
    ///
    /// On the first start ever, agents at rest are taken as they stand: nothing is told of them.
    pub fn on_list(&mut self, now: Timestamp, services: &[Service]) -> ListStep {
        self.on_answers(now, services, |_| false)
    }

    /// The same where some are `late`: they could not be asked for until now, and are taken as the first
    /// list would have shown them.
    pub fn on_answers(
        &mut self,
        now: Timestamp,
        services: &[Service],
        late: impl Fn(&str) -> bool,
    ) -> ListStep {
        let mut step = ListStep::default();
        for agent in self.agents.values_mut().chain(self.aside.values_mut()) {
            if agent.missing > 0 {
                agent.doubted = None;
            }
            agent.missing = agent.missing.saturating_add(1);
        }
        for service in services
            .iter()
            .filter(|service| service.deleted_at.is_none())
        {
            if let Some(name) = &service.name {
                let seen = match self.listed {
                    Some(_) if !late(name) => Followed::InTime,
                    _ => Followed::Late,
                };
                self.on_service(now, (name, service), seen, &mut step);
            }
        }
        self.remove_missing(now, &mut step.change);
        self.listed = Some(now);
        step
    }

    fn on_service(
        &mut self,
        now: Timestamp,
        (name, service): (&str, &Service),
        seen: Followed,
        step: &mut ListStep,
    ) {
        let mut followed = seen;
        if self.aside.get(name).is_some_and(|agent| !agent.is_gone()) {
            self.take_up(name, service, step);
        }
        let known = match self.agents.get_mut(name) {
            None => self.aside.get_mut(name),
            present => present,
        };
        if let Some(known) = known {
            known.missing = 0;
            match known.believes(service, followed) {
                Some(since) => followed = since,
                None => return,
            }
        }
        let present = self.agents.get(name);
        if present.is_some_and(|agent| agent.is_another(service)) {
            self.remove(now, name, &mut step.change);
        }
        if !self.agents.contains_key(name) {
            self.come(now, (name, service), seen, step);
        }
        if let Some(agent) = self.agents.get_mut(name) {
            agent.record.updated_at = service.updated_at.or(agent.record.updated_at);
            step.begin.extend(agent.begin(service.desired(), followed));
        }
    }

    /// Takes up an agent that was not in scope where it was before.
    fn take_up(&mut self, name: &str, service: &Service, step: &mut ListStep) {
        let Some(mut agent) = self.aside.remove(name) else {
            return;
        };
        agent.record.region.clone_from(&service.region);
        step.added.push(name.to_owned());
        step.change.agents.push(agent.record.clone());
        self.agents.insert(name.to_owned(), agent);
    }

    /// Takes in an agent that has come, or has come back.
    fn come(
        &mut self,
        now: Timestamp,
        (name, service): (&str, &Service),
        seen: Followed,
        step: &mut ListStep,
    ) {
        let first_start = seen == Followed::Late && !self.remembers;
        let at_rest = first_start && service.is_reconciled();
        let before = self.aside.remove(name).map(|agent| agent.record);
        let mut record = AgentRecord {
            service_id: service.id.clone(),
            region: service.region.clone(),
            deployment_id: service.desired().filter(|_| at_rest).map(str::to_owned),
            standing: Standing::Settled {
                verdict: None,
                since: now,
            },
            updated_at: changed_at(service),
            gone_at: None,
            changed_at: now,
            ..before.unwrap_or_else(|| AgentRecord::unknown(name, now))
        };
        record.begin_life();
        if !first_start {
            step.change.notices.push(Notice {
                id: record.id_of_life("added"),
                kind: NoticeKind::AgentAdded,
                time: now,
                data: NoticeData {
                    deployment_id: service.desired().map(str::to_owned),
                    ..NoticeData::of(&record)
                },
            });
        }
        step.added.push(name.to_owned());
        step.change.agents.retain(|changed| changed.name != name);
        step.change.agents.push(record.clone());
        self.agents.insert(name.to_owned(), Agent::new(record));
    }

    /// Whether an agent may be gone, or what was shown may be from before: further lists will tell.
    #[must_use]
    pub fn has_doubts(&self) -> bool {
        let unconfirmed = |agent: &Agent| {
            let doubt = agent.doubted.as_ref();
            doubt.is_some_and(|doubt| doubt.times < CONFIRMATIONS)
        };
        let missing = |agent: &Agent| agent.missing > 0;
        self.agents
            .values()
            .any(|agent| missing(agent) || unconfirmed(agent))
            || self.aside.values().any(unconfirmed)
    }

    /// Agents that several lists in a row have not shown are gone.
    fn remove_missing(&mut self, now: Timestamp, change: &mut Change) {
        let gone: Vec<String> = self
            .agents
            .iter()
            .filter(|(_, agent)| agent.missing >= CONFIRMATIONS)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.remove(now, &name, change);
        }
    }

    fn remove(&mut self, now: Timestamp, name: &str, change: &mut Change) {
        let Some(agent) = self.agents.remove(name) else {
            return;
        };
        let record = agent.record;
        change.notices.push(Notice {
            id: record.id_of_life("removed"),
            kind: NoticeKind::AgentRemoved,
            time: now,
            data: NoticeData {
                deployment_id: record.deployment_id.clone(),
                ..NoticeData::of(&record)
            },
        });
        let kept = record.gone(now);
        change.removed.push(name.to_owned());
        change.agents.retain(|changed| changed.name != name);
        change.agents.push(kept.clone());
        self.aside.insert(name.to_owned(), Agent::new(kept));
    }
}

impl Agent {
    /// How a rollout is followed that an entry shows, if the entry is believed. It may be from
    /// before, shown by a replica that lags: what goes back behind what was seen has to be shown by
    /// several lists in a row, all the same (rule 4 of the contract).
    fn believes(&mut self, service: &Service, followed: Followed) -> Option<Followed> {
        let before = self.doubted.take();
        if !self.goes_back(service) {
            return Some(followed);
        }
        let shown = Shown {
            service_id: service.id.clone(),
            deployment_id: service.desired().map(str::to_owned),
            updated_at: service.updated_at,
        };
        let doubt = match before.filter(|before| before.shown == shown) {
            Some(before) => Doubt {
                times: before.times.saturating_add(1),
                ..before
            },
            None => Doubt {
                shown,
                times: 1,
                followed,
            },
        };
        let doubt = self.doubted.insert(doubt);
        (doubt.times >= CONFIRMATIONS).then_some(doubt.followed)
    }

    /// Whether an entry goes back behind what was seen: by its time or, where that does not tell, to
    /// a deployment that was here already. Another agent, or one that is gone, has to be shown to
    /// have come later.
    fn goes_back(&self, service: &Service) -> bool {
        let record = &self.record;
        if self.is_gone() || self.is_another(service) {
            let times = changed_at(service).zip(record.updated_at);
            return times.is_none_or(|(told, seen)| told <= seen);
        }
        let times = service.updated_at.zip(record.updated_at);
        match times.map(|(told, seen)| told.cmp(&seen)) {
            Some(Ordering::Less) => true,
            Some(Ordering::Greater) => false,
            Some(Ordering::Equal) | None => service.desired().is_some_and(|desired| {
                record.deployment_id.as_deref() != Some(desired) && record.has_been_at(desired)
            }),
        }
    }

    /// Whether an entry is that of another agent under the same name.
    fn is_another(&self, service: &Service) -> bool {
        let known = &self.record.service_id;
        known.is_some() && service.id.is_some() && *known != service.id
    }

    /// Begins to follow the desired deployment, unless that is done or its rollout is over.
    fn begin(&mut self, desired: Option<&str>, followed: Followed) -> Option<Begin> {
        let desired = desired?;
        let under_way = matches!(self.record.standing, Standing::RollingOut { .. });
        let known = self.record.deployment_id.as_deref() == Some(desired);
        if self.followed.is_some() || (known && !under_way) {
            return None;
        }
        self.followed = Some(followed);
        Some(Begin {
            agent: self.record.name.clone(),
            deployment_id: desired.to_owned(),
        })
    }
}

/// When the platform changed its record of an agent last; it was made by then.
fn changed_at(service: &Service) -> Option<Timestamp> {
    service.updated_at.or(service.created_at)
}

impl NoticeData {
    /// What every notice about an agent says.
    pub(super) fn of(record: &AgentRecord) -> Self {
        Self {
            agent: record.name.clone(),
            region: record.region.clone(),
            ..Self::default()
        }
    }
}
