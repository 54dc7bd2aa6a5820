//! The check of one agent: its details decide whether it is there, what is deployed, and whether it is ready.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::agent::{self, Agent, is_confirmed, is_ready};
use super::clock::Moment;
use super::record::{AgentRecord, AgentState, KnownDeployment, Live};
use super::schedule::{NextCheck, Urgency};
use super::{Action, Check, Entry, Fleet, Mode, PASS_TRIES, Rules, Step, Task, TaskId};
use crate::core::messages::Severity;
use crate::core::rollout::{
    Failure, Machine, Next, Observation, Outcome, Policy, Route, TargetRule, is_before, past,
};
use crate::core::text::one_line;
use crate::core::wire::{AgentDetails, AgentName};

/// How soon something is checked again that has to be confirmed: three times over five seconds.
pub(super) const CONFIRM_EVERY: Duration = Duration::from_millis(2500);
/// How long the list's hint about an agent is passed over once its details have said otherwise.
pub(super) const PASS_OVER_HINTS: Duration = Duration::from_mins(1);
/// A deployment that is at least this old is no rollout when its agent shows for the first time.
const SETTLED: SignedDuration = SignedDuration::from_hours(1);

impl Fleet {
    /// Has an agent checked at once, or once more where that is under way already.
    pub(super) fn check_soon(&mut self, now: Moment, name: &str) {
        let Some(entry) = self.agents.get_mut(name) else {
            return;
        };
        if entry.is_followed() {
            return;
        }
        match entry.check {
            // What waits behind all others may wait for long.
            Some(check) if check.urgency == Urgency::Regular && entry.hint.is_some() => {
                entry.check = None;
            }
            Some(_) => {
                entry.check_again = true;
                return;
            }
            None => {}
        }
        self.schedule.put(now.at, name, Urgency::Urgent);
    }

    /// Checks an agent that could be read, while another one cannot: whether it is that one alone.
    fn check_another(&mut self, now: Moment) {
        let can_be_read = |entry: &Entry| entry.agent.is_some() && entry.failing.is_none();
        let mut others = self.agents.iter();
        let other = others.find(|(_, entry)| can_be_read(entry) && !entry.is_followed());
        if let Some(name) = other.map(|(name, _)| name.clone()) {
            self.check_soon(now, &name);
        }
    }

    /// Starts a check that is due, unless there is nothing to check.
    pub(super) fn check(&mut self, name: &str, due: Urgency) -> Option<Action> {
        let number = self.number();
        let is_named = self.is_named();
        let entry = self.agents.get_mut(name)?;
        if entry.check.is_some() || entry.is_followed() {
            return None;
        }
        let agent = entry.agent.as_ref();
        let parsed = name.parse::<AgentName>().ok()?;
        // What confirms an answer must not come from the same replica.
        let confirms =
            entry.absent.is_some() || agent.is_some_and(|agent| agent.unconfirmed.is_some());
        let is_urgent =
            is_named || confirms || entry.hint.is_some() || agent.is_none_or(Agent::is_unsettled);
        let urgency = if is_urgent { Urgency::Urgent } else { due };
        entry.check = Some(Check { number, urgency });
        if due == Urgency::Regular {
            self.regular_checks.insert(number);
        }
        self.checks += 1;
        Some(Action::Check {
            check: TaskId {
                agent: parsed,
                number,
            },
            route: if confirms {
                Route::Fresh
            } else {
                Route::Pooled
            },
            urgency,
        })
    }

    fn note_check_ended(&mut self, check: &TaskId) {
        self.checks -= 1;
        self.regular_checks.remove(&check.number);
    }

    pub(super) fn on_checked(
        &mut self,
        now: Moment,
        check: &TaskId,
        observation: Observation,
        step: &mut Step,
    ) {
        self.note_check_ended(check);
        let name = check.agent.as_str();
        let source = &mut self.sources.details;
        match &observation {
            Observation::Failed(failure) => _ = source.failed(now.at, failure),
            Observation::Details { .. } | Observation::Absent(_) => _ = source.good(now.at),
        }
        // Another agent may have come under this name meanwhile.
        let entry = self.agents.get_mut(name);
        let Some(entry) = entry.filter(|entry| entry.waits_for(check)) else {
            return;
        };
        entry.check = None;
        let again = std::mem::take(&mut entry.check_again);
        match observation {
            Observation::Failed(failure) => {
                entry.on_unreadable(now, name, &failure, self.sources.patience, step);
                if self.sources.is_details_doubtful(now.at) && self.rules.mode == Mode::Daemon {
                    self.check_another(now);
                }
            }
            Observation::Absent(_) => {
                entry.on_readable(name, step);
                self.on_absent(now, name, step);
            }
            Observation::Details {
                details,
                server_time,
            } => {
                entry.on_readable(name, step);
                self.on_details(now, name, details, server_time, step);
            }
        }
        if let Some(entry) = self.agents.get_mut(name) {
            entry.note_gaps(now.at);
        }
        self.schedule_next(now, name);
        if again {
            self.check_soon(now, name);
        }
    }

    pub(super) fn on_task_lost(&mut self, now: Moment, task: Task, step: &mut Step) {
        let what = match task {
            Task::ReadList => {
                self.list_at = Some(now.at.saturating_add(self.rules.interval));
                "the list was being read".to_owned()
            }
            Task::Check(check) => {
                self.note_check_ended(&check);
                let name = check.agent.as_str();
                let entry = self.agents.get_mut(name);
                if let Some(entry) = entry.filter(|entry| entry.waits_for(&check)) {
                    entry.check = None;
                    entry.note_gaps(now.at);
                    self.schedule.again(now.at, name, NextCheck::Soon);
                }
                format!("{} was being checked", one_line(name))
            }
            Task::Follow(follow) => {
                self.lose_follow(now, &follow);
                format!(
                    "a rollout of {} was being followed",
                    one_line(follow.agent.as_str())
                )
            }
        };
        let line = format!("a task has panicked while {what}; it is taken up again");
        step.log(Severity::Error, line);
    }

    fn on_absent(&mut self, now: Moment, name: &str, step: &mut Step) {
        let Some(entry) = self.agents.get_mut(name) else {
            return;
        };
        if !agent::confirms(&mut entry.absent, now.at) {
            return;
        }
        entry.was_there = false;
        if entry.agent.is_some() {
            self.remove(now, name, step);
        } else if self.is_named() {
            let then = match self.rules.mode {
                Mode::Daemon => ": it will be watched once there is",
                Mode::Once => "",
            };
            let line = format!("there is no agent {}{then}", one_line(name));
            step.log(Severity::Warning, line);
        }
    }

    fn on_details(
        &mut self,
        now: Moment,
        name: &str,
        mut details: Box<AgentDetails>,
        server_time: Option<Timestamp>,
        step: &mut Step,
    ) {
        let server_now = server_time.unwrap_or_else(|| self.server_now(now));
        forget_future(&mut details, server_now);
        // One that was reported as removed is new, however old it is.
        let settled_before = if self.removed.remove(name) {
            Timestamp::MIN
        } else {
            self.settled_before(now)
        };
        let Some(entry) = self.agents.get_mut(name) else {
            return;
        };
        entry.adopt(now, name, &details, settled_before, step);
        let Some(agent) = &mut entry.agent else {
            return;
        };
        agent.record.forget_future(server_now);
        let seen_until = agent.record.updated_at;
        let is_stale = is_before(details.updated_at, seen_until);
        if !is_stale && is_another(agent.record.created_at, details.created_at) {
            // Another agent under this name: the one that is known is gone, once that is confirmed.
            if agent::confirms(&mut entry.absent, now.at) {
                let hint = entry.hint.take();
                self.remove(now, name, step);
                let entry = self.agents.entry(name.to_owned()).or_default();
                entry.is_listed = true;
                entry.hint = hint;
                self.on_details(now, name, details, server_time, step);
            }
            return;
        }
        entry.absent = None;
        let hint = entry.hint.take();
        if is_stale {
            // It counts for nothing; the list will give the hint again.
            return;
        }
        let Some(desired) = details.desired().map(str::to_owned) else {
            return;
        };
        let was_there = std::mem::take(&mut entry.was_there);
        let mut is_known = agent.record.deployment_id() == Some(desired.as_str());
        if is_known && hint.is_some() {
            entry.passes_over_hints_until = now.at.saturating_add(PASS_OVER_HINTS);
        }
        let deployment = deployment_of(&details, &desired);
        if agent.record.deployment.is_none() || is_known && was_there {
            // So far nothing, or nothing but the list, has spoken of it.
            is_known = self.is_settled(now, &details, was_there);
            let settled = is_known.then(|| deployment.clone());
            self.change(name, step, |agent, _| agent.record.deployment = settled);
        }
        self.change(name, step, |agent, _| {
            note(&mut agent.record, &details, is_known.then_some(&deployment));
            if let Some(id) = hint.and_then(|hint| hint.id) {
                agent.record.service_id = Some(id);
            }
        });
        if is_known {
            self.on_known_deployment(now, name, details, server_time, step);
        } else {
            self.on_other_deployment(now, name, &details, seen_until, step);
        }
    }

    /// Another deployment than the one that is known is desired: a rollout has begun, if dates or a second
    /// answer say so.
    fn on_other_deployment(
        &mut self,
        now: Moment,
        name: &str,
        details: &AgentDetails,
        seen_until: Option<Timestamp>,
        step: &mut Step,
    ) {
        let server_ahead = self.server_now(now).duration_since(now.wall);
        let Some((agent, desired)) = self.agent_mut(name).zip(details.desired()) else {
            return;
        };
        let deployment = deployment_of(details, desired);
        let record = &agent.record;
        // What the list had shown when the agent was first seen was created before.
        let idle_since = match &record.state {
            AgentState::Idle { since } => since.checked_add(server_ahead).ok(),
            AgentState::RollingOut(_) | AgentState::Unready { .. } => None,
        };
        let known = record.deployment.clone().map(|known| KnownDeployment {
            created_at: known.created_at.or(idle_since),
            ..known
        });
        let (known, previous) = (known.as_ref(), record.previous.as_ref());
        let known_since = seen_until.max(known.and_then(|known| known.created_at));
        let ran_before =
            is_before(deployment.created_at, known_since) || is_previous(&deployment, previous);
        let is_newer_answer = is_before(seen_until, details.updated_at);
        let is_newer = is_newer_answer || is_newer_deployment(&deployment, known, previous);
        if is_newer || confirms(agent, now, desired) {
            // What was there already was made the desired one when the agent's record was changed.
            let started_at = if ran_before {
                details.updated_at.filter(|_| is_newer_answer)
            } else {
                deployment.created_at
            };
            self.follow(now, name, deployment, started_at, step);
        }
    }

    /// The deployment that is known is still desired: its rollout goes on, or its health is judged.
    fn on_known_deployment(
        &mut self,
        now: Moment,
        name: &str,
        details: Box<AgentDetails>,
        server_time: Option<Timestamp>,
        step: &mut Step,
    ) {
        let Some((agent, desired)) = self.agent_mut(name).zip(details.desired()) else {
            return;
        };
        agent.unconfirmed = None;
        if let Some(rollout) = agent.record.under_way() {
            let started_at = Some(rollout.started_at).filter(|_| !rollout.observed_late);
            let deployment = deployment_of(&details, desired);
            return self.follow(now, name, deployment, started_at, step);
        }
        let observation = Observation::Details {
            details,
            server_time,
        };
        let Some(outcome) = self.judge(observation) else {
            return;
        };
        let unready_for = self.rules.unready_for;
        self.change(name, step, |agent, _| {
            agent.record.live.conclude(&outcome);
            match is_ready(outcome.verdict) {
                Some(true) => agent.seen_ready(now, unready_for),
                Some(false) => agent.seen_not_ready(now, outcome.reason.as_ref(), unready_for),
                None => {}
            }
        });
    }

    /// What a single answer says about the deployment that it shows.
    fn judge(&self, observation: Observation) -> Option<Box<Outcome>> {
        let limits = self.rules.limits.clone();
        let mut machine = Machine::new(Policy::single_check(TargetRule::FirstSeen, limits));
        match machine.observe(Duration::ZERO, observation).next {
            Next::Done(outcome) => Some(outcome),
            Next::Poll(_) => None,
        }
    }

    /// What was created before this moment was not made while this sidecar, or the one before it, watched.
    fn settled_before(&self, now: Moment) -> Timestamp {
        let long_ago = self.server_now(now).checked_sub(SETTLED);
        let long_ago = long_ago.unwrap_or(Timestamp::MIN);
        self.watched_until
            .map_or(long_ago, |until| until.min(long_ago))
    }

    /// What the server's clock says or, before its first answer, ours.
    fn server_now(&self, now: Moment) -> Timestamp {
        self.clock.at(now.at).unwrap_or(now.wall)
    }

    /// Whether the deployment that is seen for the first time is no rollout, or none any more: it is
    /// reconciled, and was deployed long ago or, at the very first start, is ready. One of long ago that
    /// is not ready has stopped being so.
    fn is_settled(&self, now: Moment, details: &AgentDetails, was_there: bool) -> bool {
        let is_reconciled = details.desired() == details.reconciled_deployment_id.as_deref();
        let deployment = details.desired_deployment();
        let created_at = deployment.and_then(|deployment| deployment.created_at);
        let is_old = created_at.is_some_and(|date| date <= self.settled_before(now));
        is_reconciled && (is_old || was_there && details.ready)
    }

    /// Decides when an agent is checked next.
    pub(super) fn schedule_next(&mut self, now: Moment, name: &str) {
        if let Some(entry) = self.agents.get(name) {
            let next = entry.next_check(&self.rules);
            self.schedule.again(now.at, name, next);
        }
    }
}

impl Entry {
    fn is_followed(&self) -> bool {
        let agent = self.agent.as_ref();
        agent.is_some_and(|agent| agent.follow.is_some())
    }

    fn waits_for(&self, check: &TaskId) -> bool {
        self.check.is_some_and(|own| own.number == check.number)
    }

    fn on_unreadable(
        &mut self,
        now: Moment,
        name: &str,
        failure: &Failure,
        patience: Duration,
        step: &mut Step,
    ) {
        if agent::confirms(&mut self.failing, now.at) {
            let why = one_line(&failure.summary);
            let line = format!("{} cannot be read: {why}", one_line(name));
            step.log(Severity::Warning, line);
        }
        let is_blind = self.failing.is_some_and(|shown| shown.lasted() > patience);
        if let Some(agent) = self.agent.as_mut().filter(|_| is_blind) {
            // What nobody has seen is unknown (rule 13).
            agent.record.live = Live::default();
        }
    }

    fn on_readable(&mut self, name: &str, step: &mut Step) {
        if self.failing.take().is_some_and(is_confirmed) {
            let line = format!("{} can be read again", one_line(name));
            step.log(Severity::Info, line);
        }
    }

    /// Takes in an agent whose details are seen for the first time.
    fn adopt(
        &mut self,
        now: Moment,
        name: &str,
        details: &AgentDetails,
        settled_before: Timestamp,
        step: &mut Step,
    ) {
        if self.agent.is_some() {
            return;
        }
        let hint = self.hint.as_ref();
        let created_at = details.created_at.or(hint.and_then(|hint| hint.created_at));
        let desired = details.desired();
        let deployment = desired.map(|desired| deployment_of(details, desired));
        let record = AgentRecord {
            service_id: hint.and_then(|hint| hint.id.clone()),
            created_at,
            region: details
                .region
                .clone()
                .or(hint.and_then(|hint| hint.region.clone())),
            ..AgentRecord::new(name, now.wall)
        };
        let mut agent = Agent::new(record);
        // What is older was there already, out of scope or not to be read.
        let is_new = !self.was_there && created_at.is_none_or(|date| date > settled_before);
        if is_new {
            agent.added(now, deployment.as_ref());
            step.change.events.append(&mut agent.events);
        }
        let record = Some(Box::new(agent.record.clone()));
        step.change.agents.insert(name.to_owned(), record);
        self.agent = Some(agent);
    }

    /// What the check at `at` did not show has a gap: whether it went on meanwhile, nobody has seen.
    fn note_gaps(&mut self, at: Duration) {
        let of_agent = self.agent.iter_mut().flat_map(Agent::unsettled_mut);
        for shown in of_agent.chain(&mut self.absent) {
            if shown.last_at() < at {
                shown.gap();
            }
        }
    }

    fn next_check(&self, rules: &Rules) -> NextCheck {
        let is_once = rules.mode == Mode::Once;
        let last = |next| if is_once { NextCheck::Never } else { next };
        if self.is_followed() {
            return NextCheck::Never;
        }
        if let Some(failing) = self.failing {
            return if is_once && failing.answers() < PASS_TRIES {
                NextCheck::Confirm(CONFIRM_EVERY)
            } else {
                last(NextCheck::Soon)
            };
        }
        if let Some(absent) = self.absent {
            return if is_confirmed(absent) {
                last(NextCheck::Regular)
            } else {
                NextCheck::Confirm(CONFIRM_EVERY)
            };
        }
        let Some(agent) = &self.agent else {
            return last(NextCheck::Soon);
        };
        if agent.unconfirmed.is_some() {
            return NextCheck::Confirm(CONFIRM_EVERY);
        }
        if agent.is_unsettled() {
            let wait = rules.unready_for / 3;
            let wait = wait.clamp(Duration::from_millis(100), 2 * CONFIRM_EVERY);
            return NextCheck::Confirm(wait);
        }
        match agent.record.state {
            AgentState::Idle { .. } => last(NextCheck::Regular),
            AgentState::RollingOut(_) | AgentState::Unready { .. } => last(NextCheck::Soon),
        }
    }
}

/// Counts one more answer that shows another deployment than the known one. Gives whether that is confirmed.
fn confirms(agent: &mut Agent, now: Moment, desired: &str) -> bool {
    let before = agent.unconfirmed.take().filter(|(id, _)| id == desired);
    let mut shown = before.map(|(_, shown)| shown);
    let confirms = agent::confirms(&mut shown, now.at);
    if !confirms {
        agent.unconfirmed = shown.map(|shown| (desired.to_owned(), shown));
    }
    confirms
}

/// Whether a deployment is known to have come after the known one. One that was there before the known one
/// may be shown by a replica that lags.
fn is_newer_deployment(
    deployment: &KnownDeployment,
    known: Option<&KnownDeployment>,
    previous: Option<&KnownDeployment>,
) -> bool {
    known.is_none_or(|known| {
        is_before(known.created_at, deployment.created_at) && !is_previous(deployment, previous)
    })
}

fn is_previous(deployment: &KnownDeployment, previous: Option<&KnownDeployment>) -> bool {
    previous.is_some_and(|previous| previous.id == deployment.id)
}

/// Whether dates say that an agent is another one than the known: below a second, servers write the same date
/// differently.
fn is_another(known: Option<Timestamp>, shown: Option<Timestamp>) -> bool {
    let later = known.zip(shown);
    later.is_some_and(|(known, shown)| shown.duration_since(known) >= SignedDuration::from_secs(1))
}

/// Forgets the dates of an answer that prove nothing at this time of the server's.
fn forget_future(details: &mut AgentDetails, server_now: Timestamp) {
    let deployment = details.deployment.as_mut();
    let created = deployment.map(|deployment| &mut deployment.created_at);
    let of_agent = [&mut details.created_at, &mut details.updated_at];
    for date in created.into_iter().chain(of_agent) {
        *date = past(*date, Some(server_now));
    }
}

/// Takes in what an answer shows of an agent beside its health.
fn note(record: &mut AgentRecord, details: &AgentDetails, same: Option<&KnownDeployment>) {
    record.updated_at = record.updated_at.max(details.updated_at);
    record.created_at = record.created_at.max(details.created_at);
    if details.region.is_some() {
        record.region.clone_from(&details.region);
    }
    record.live.sessions = details.active_session_count;
    if let (Some(known), Some(same)) = (&mut record.deployment, same) {
        known.created_at = same.created_at.or(known.created_at);
        if same.image.is_some() {
            known.image.clone_from(&same.image);
        }
        if same.commit.is_some() {
            known.commit.clone_from(&same.commit);
        }
    }
}

fn deployment_of(details: &AgentDetails, desired: &str) -> KnownDeployment {
    let shown = details.desired_deployment();
    KnownDeployment {
        id: desired.to_owned(),
        created_at: shown.and_then(|deployment| deployment.created_at),
        image: shown.and_then(|deployment| deployment.image.clone()),
        commit: details.deployed_commit.clone(),
    }
}
