//! What the list of agents shows: a hint whom to ask, never more.

use std::collections::BTreeSet;
use std::time::Duration;

use super::agent::{self, Agent};
use super::checks::CONFIRM_EVERY;
use super::clock::Moment;
use super::record::{AgentRecord, KnownDeployment};
use super::{Fleet, Listed, Mode, Step, Urgency, Watched};
use crate::core::messages::{self, Severity};
use crate::core::rollout::Failure;
use crate::core::text::one_line;
use crate::core::wire::{AgentName, Service};

/// How soon the list is read again in a single pass.
const READ_AGAIN: Duration = Duration::from_secs(1);

impl Fleet {
    pub(super) fn on_list(&mut self, now: Moment, services: Vec<Service>, step: &mut Step) {
        if self.sources.list.good(now.at) {
            step.log(
                Severity::Info,
                "the list of agents can be read again".to_owned(),
            );
            self.schedule.set_interval(now.at, self.idle_interval());
        }
        self.list_at = match self.rules.mode {
            Mode::Daemon => Some(now.at.saturating_add(self.rules.interval)),
            Mode::Once => None,
        };
        let is_first = self.listed.is_none();
        let in_all = services.len();
        let services = self.in_scope(services, step);
        let in_scope = services.len();
        let shows_nobody = is_first && in_scope == 0 && self.knows_nobody();
        if shows_nobody && !agent::confirms(&mut self.nobody, now.at) {
            self.list_at = Some(now.at.saturating_add(CONFIRM_EVERY));
            return;
        }
        self.nobody = None;
        let is_distrusted = self.note_missing(now, &services, step);
        for service in services {
            self.on_service(now, service, is_first, step);
        }
        let watched = self.agents.len();
        let had_none = self.listed.map(|before| before.watched == 0);
        if had_none != Some(watched == 0) {
            if in_all > 0 && watched == 0 {
                let none = match in_all {
                    1 => "the only agent of the list is not in scope".to_owned(),
                    _ => format!("none of the {in_all} agents of the list is in scope"),
                };
                let line = format!("{none}: check include, exclude and regions");
                step.log(Severity::Warning, line);
            } else {
                let line = format!("watching {}", messages::agents(watched));
                step.log(Severity::Info, line);
            }
        }
        self.listed = Some(Listed {
            in_all,
            in_scope,
            watched,
            is_distrusted,
        });
    }

    pub(super) fn on_list_failed(&mut self, now: Moment, failure: &Failure, step: &mut Step) {
        if let Some(nobody) = &mut self.nobody {
            nobody.gap();
        }
        if self.sources.list.failed(now.at, failure) {
            let why = one_line(&failure.summary);
            step.log(
                Severity::Warning,
                format!("the list of agents cannot be read: {why}"),
            );
            self.schedule.set_interval(now.at, self.idle_interval());
        }
        let wait = match self.rules.mode {
            Mode::Daemon => self.rules.interval,
            Mode::Once => READ_AGAIN,
        };
        self.list_at = Some(now.at.saturating_add(wait));
    }

    /// The entries of the list that are meant, by name, and each name once.
    fn in_scope(&mut self, mut services: Vec<Service>, step: &mut Step) -> Vec<Service> {
        let Watched::Listed(scope) = &self.rules.watched else {
            return Vec::new();
        };
        let mut invalid = BTreeSet::new();
        services.retain(|service| {
            let name = &service.name;
            if service.deleted_at.is_some() || !scope.holds(name, service.region.as_deref()) {
                return false;
            }
            let parsed = name.parse::<AgentName>();
            if let Err(error) = &parsed
                && invalid.insert(name.clone())
                && !self.invalid_names.contains(name)
            {
                let why = one_line(&error.to_string());
                let line = format!("an agent of the list is not watched: {why}");
                step.log(Severity::Warning, line);
            }
            parsed.is_ok()
        });
        self.invalid_names = invalid;
        services.sort_by(|one, other| one.name.cmp(&other.name));
        services.dedup_by(|later, first| later.name == first.name);
        services
    }

    /// Has every agent checked that the list no longer shows. Gives whether so many are missing at once
    /// that it is the list that is doubtful.
    fn note_missing(&mut self, now: Moment, services: &[Service], step: &mut Step) -> bool {
        let known = self.agents.values().filter(|e| e.agent.is_some()).count();
        let mut lost = Vec::new();
        let mut missing = 0;
        self.agents.retain(|name, entry| {
            let found = services.binary_search_by(|service| service.name.cmp(name));
            let was_listed = std::mem::replace(&mut entry.is_listed, found.is_ok());
            if !entry.is_listed && entry.agent.is_none() {
                self.schedule.remove(name);
                return false;
            }
            if !entry.is_listed {
                missing += 1;
                if was_listed || self.listed.is_none() {
                    lost.push(name.clone());
                }
            }
            true
        });
        let was_distrusted = self.is_list_distrusted();
        let is_distrusted = missing * 3 > known && missing > 1;
        if is_distrusted && !was_distrusted {
            step.log(
                Severity::Warning,
                format!(
                    "the list of agents shows {missing} of {} no longer: each of them is asked for",
                    messages::agents(known)
                ),
            );
        }
        for name in lost {
            self.check_soon(now, &name);
        }
        is_distrusted
    }

    fn on_service(&mut self, now: Moment, service: Service, is_first: bool, step: &mut Step) {
        let is_first_start = is_first && self.watched_until.is_none();
        let name = &service.name;
        let Some(entry) = self.agents.get_mut(name) else {
            let entry = self.agents.entry(name.clone()).or_default();
            entry.is_listed = true;
            if is_first_start {
                entry.was_there = true;
                let record = first_seen(now, &service);
                // It is checked soon; what is being rolled out, at once.
                self.schedule.add(now.at, name);
                if record.deployment.is_none() {
                    self.schedule.put(now.at, name, Urgency::Urgent);
                } else if self.rules.mode == Mode::Once {
                    self.schedule.put(now.at, name, Urgency::Regular);
                }
                let changed = &mut step.change.agents;
                changed.insert(name.clone(), Some(Box::new(record.clone())));
                entry.agent = Some(Agent::new(record));
            } else {
                self.schedule.put(now.at, name, Urgency::Urgent);
                entry.hint = Some(Box::new(service));
            }
            return;
        };
        if is_first && self.rules.mode == Mode::Once {
            self.schedule.put(now.at, name, Urgency::Regular);
        }
        let Some(agent) = &mut entry.agent else {
            entry.hint = Some(Box::new(service));
            return;
        };
        if agent.record.region != service.region && service.region.is_some() {
            agent.record.region.clone_from(&service.region);
            let record = Some(Box::new(agent.record.clone()));
            step.change.agents.insert(name.clone(), record);
        }
        let record = &agent.record;
        let is_another = match (&service.id, &record.service_id) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        let is_news = is_another
            || service.desired().is_some() && service.desired() != record.deployment_id();
        if is_news && entry.passes_over_hints_until <= now.at {
            let name = name.clone();
            entry.hint = Some(Box::new(service));
            self.check_soon(now, &name);
        } else if record.service_id.is_none() && service.id.is_some() {
            agent.record.service_id = service.id;
        }
    }
}

/// An agent as the list of the very first start shows it, until its own details say whether its deployment
/// is being rolled out. Of one that is not reconciled the list itself says so.
fn first_seen(now: Moment, service: &Service) -> AgentRecord {
    let deployment = service.desired().filter(|_| service.is_reconciled());
    AgentRecord {
        service_id: service.id.clone(),
        region: service.region.clone(),
        deployment: deployment.map(|id| KnownDeployment {
            id: id.to_owned(),
            ..KnownDeployment::default()
        }),
        ..AgentRecord::new(&service.name, now.wall)
    }
}
