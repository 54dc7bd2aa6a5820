//! What happens to one agent: its rollouts, its health and its removal, as events.

use std::time::Duration;

use jiff::Timestamp;

use super::clock::{Moment, ServerClock};
use super::event::{EventData, EventKind, FleetEvent, IncidentChange, bounded};
use super::filter::FINAL;
use super::record::{AgentRecord, AgentState, Incident, KnownDeployment, Live, UnderWay};
use crate::core::rollout::{
    Event, Needs, Outcome, Phase, PhaseEntry, Reason, Shown, Verdict, Warning, is_before,
    whole_millis,
};

/// Within how long an agent that keeps becoming unready is one that flaps.
const FLAPPING: Duration = Duration::from_hours(1);
/// The longest that an agent that flaps has to be ready until its recovery is reported.
const MAX_HOLD: Duration = Duration::from_mins(10);

/// An agent, with what is known of it only while the program runs.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) record: AgentRecord,
    /// The rollout that is being followed.
    pub(super) follow: Option<Box<Follow>>,
    /// Another deployment that checks show, and that is not confirmed.
    pub(super) unconfirmed: Option<(String, Shown)>,
    /// Checks in a row that found it not ready.
    not_ready: Option<Shown>,
    /// Checks in a row that found it ready, after it had been reported as not.
    ready_again: Option<Shown>,
    /// When it was reported as unready, lately.
    unready_at: Vec<Duration>,
    /// Since when it is down, where that was while the program ran.
    down_since: Option<Duration>,
    /// What happened to it, until that is passed on.
    pub(super) events: Vec<FleetEvent>,
}

/// A rollout that is being followed.
#[derive(Debug, Clone)]
pub(super) struct Follow {
    /// Given once: another agent may come under the same name while this one is still followed.
    pub(super) number: u64,
    pub(super) deployment: KnownDeployment,
    /// When the rollout began, by the server's clock, as far as the agent's details show.
    pub(super) started_at: Option<Timestamp>,
    /// When the deployment was seen to be the desired one.
    pub(super) found_at: Option<Duration>,
    /// How many phases of the rollout were known by then.
    pub(super) phases_before: usize,
}

/// Takes in one more answer at `at` that shows it, and gives whether that has just confirmed it (rule 4).
pub(super) fn confirms(slot: &mut Option<Shown>, at: Duration) -> bool {
    let before = slot.take();
    let shown = Shown::again(before, at);
    *slot = Some(shown);
    is_confirmed(shown) && !before.is_some_and(is_confirmed)
}

pub(super) fn is_confirmed(shown: Shown) -> bool {
    shown.meets(Needs::CONFIRMED)
}

/// What has been shown for this long, by as many answers as confirm it.
fn lasting(over: Duration) -> Needs {
    Needs {
        over,
        ..Needs::CONFIRMED
    }
}

impl Agent {
    pub(super) fn new(record: AgentRecord) -> Self {
        Self {
            record,
            follow: None,
            unconfirmed: None,
            not_ready: None,
            ready_again: None,
            unready_at: Vec::new(),
            down_since: None,
            events: Vec::new(),
        }
    }

    /// The agent has come.
    pub(super) fn added(&mut self, now: Moment, deployment: Option<&KnownDeployment>) {
        let data = self.data_of(deployment);
        self.emit(EventKind::AgentAdded, now, data);
    }

    /// The agent was deleted: whatever is open ends with it.
    pub(super) fn removed(&mut self, now: Moment, clock: &ServerClock) {
        let summary = "the agent was deleted while the deployment was rolled out".to_owned();
        self.ended(now, Reason::new("Deleted", summary), clock);
        let data = self.data();
        self.emit(EventKind::AgentRemoved, now, data);
    }

    /// The agent is not watched any more: nobody would see the end of what is open.
    pub(super) fn left(&mut self, now: Moment, clock: &ServerClock) {
        let summary = "the agent is not watched any more".to_owned();
        let reason = Reason::new("NotWatched", summary);
        self.ended(now, reason.clone(), clock);
        let data = EventData {
            reason: Some(reason),
            ..self.data()
        };
        self.emit(EventKind::AgentRemoved, now, data);
    }

    /// The rollout that is under way, if there is one, ends with the watch of the agent.
    fn ended(&mut self, now: Moment, reason: Reason, clock: &ServerClock) {
        if let Some(id) = self.rolled_out() {
            let outcome = ended_unseen(Verdict::NotFound, id, reason);
            self.finished(now, &outcome, clock);
        }
    }

    /// Something happened in the rollout that is followed.
    pub(super) fn progressed(&mut self, now: Moment, event: &Event, clock: &ServerClock) {
        self.record.live.note(event);
        match event {
            Event::TargetFound {
                deployment_id,
                created_at,
            } => self.target_found(now, deployment_id, *created_at, clock),
            Event::PhaseChanged { phase, .. } => self.phase_changed(now, *phase, clock),
            _ => {}
        }
    }

    /// The deployment that is followed has become the desired one, or was so already before a restart.
    fn target_found(
        &mut self,
        now: Moment,
        id: &str,
        created_at: Option<Timestamp>,
        clock: &ServerClock,
    ) {
        let goes_on = self.rolled_out() == Some(id);
        if let Some(before) = self.rolled_out().filter(|before| *before != id) {
            let summary = format!("deployment {id} took its place while nobody watched");
            let reason = Reason::new("Superseded", summary);
            let outcome = ended_unseen(Verdict::Superseded, before, reason);
            self.finished(now, &outcome, clock);
        }
        let Some(follow) = &mut self.follow else {
            return;
        };
        follow.found_at = Some(now.at);
        if goes_on {
            let before = self.record.under_way();
            follow.phases_before = before.map_or(0, |rollout| rollout.phases.len());
            return;
        }
        let started_at = follow.started_at;
        let deployment = KnownDeployment {
            created_at: created_at.or(follow.deployment.created_at),
            ..follow.deployment.clone()
        };
        let previous = self.record.deployment.take();
        let rolled_back = previous.as_ref().is_some_and(|previous| {
            match previous.created_at.and(deployment.created_at) {
                Some(_) => is_before(deployment.created_at, previous.created_at),
                None => self.record.previous.as_ref().is_some_and(|p| p.id == id),
            }
        });
        let started_at = started_at.filter(|_| clock.at(now.at).is_some());
        let observed_late = started_at.is_none();
        let started_at = started_at.unwrap_or(now.wall);
        self.record.state = AgentState::RollingOut(UnderWay {
            started_at,
            observed_late,
            rolled_back,
            phases: Vec::new(),
        });
        self.record.deployment = Some(deployment);
        self.record.previous = previous;
        self.not_ready = None;
        let data = EventData {
            previous_deployment_id: self.record.previous.as_ref().map(|p| p.id.clone()),
            rolled_back,
            started_at: Some(started_at),
            observed_late,
            ..self.data()
        };
        self.emit(EventKind::RolloutStarted, now, data);
    }

    /// The rollout has entered a phase. Each is reported once, however often a rollout goes back and forth.
    fn phase_changed(&mut self, now: Moment, phase: Phase, clock: &ServerClock) {
        let AgentState::RollingOut(rollout) = &mut self.record.state else {
            return;
        };
        let is_known = rollout.phases.iter().any(|entry| entry.phase == phase);
        if phase == Phase::Waiting || is_known {
            return;
        }
        let since = clock.since(now.at, rollout.started_at);
        let since = since.unwrap_or_default();
        rollout.phases.push(PhaseEntry {
            phase,
            at_ms: whole_millis(since),
        });
        let data = EventData {
            phase: Some(phase),
            ..self.data()
        };
        self.emit(EventKind::RolloutPhaseChanged, now, data);
    }

    /// The rollout has ended. Nothing happens where it had not begun, or where it says nothing about the
    /// deployment: then the rollout goes on.
    pub(super) fn finished(&mut self, now: Moment, outcome: &Outcome, clock: &ServerClock) {
        self.record.live.conclude(outcome);
        let (Some(rollout), Some(deployment)) = (
            self.record.under_way().cloned(),
            &mut self.record.deployment,
        ) else {
            return;
        };
        if outcome.deployment_id.as_ref() != Some(&deployment.id)
            || !FINAL.contains(&outcome.verdict)
        {
            return;
        }
        if let Some(image) = &outcome.image {
            deployment.image = Some(image.clone());
        }
        let timing = self.timing(now, &rollout, outcome, clock);
        let data = EventData {
            previous_deployment_id: self.record.previous.as_ref().map(|p| p.id.clone()),
            rolled_back: rollout.rolled_back,
            verdict: Some(outcome.verdict),
            reason: outcome.reason.clone(),
            revision_unchanged: outcome.revision_unchanged,
            warnings: outcome.warnings.clone(),
            available: outcome.available,
            revision: outcome.revision.clone(),
            phases: timing.phases,
            started_at: Some(rollout.started_at),
            elapsed_ms: Some(whole_millis(timing.elapsed)),
            observed_late: timing.observed_late,
            ..self.data()
        };
        let event = self.event(EventKind::RolloutFinished, now, data);
        self.record.last_verdict = Some(outcome.verdict);
        self.record.state = AgentState::Idle { since: now.wall };
        match event.incident() {
            Some(IncidentChange::Closes) => {
                self.record.incident = None;
                self.down_since = None;
            }
            None => {}
            Some(IncidentChange::Opens) => {
                self.open_incident(now, &event);
                self.down_since.get_or_insert(now.at);
                self.record.state = AgentState::Unready {
                    since: now.wall,
                    reason: event.data.reason.clone(),
                };
            }
        }
        self.events.push(event);
    }

    /// How long the rollout took, from its start on.
    fn timing(
        &self,
        now: Moment,
        rollout: &UnderWay,
        outcome: &Outcome,
        clock: &ServerClock,
    ) -> Timing {
        let (started_at, started_late) = (rollout.started_at, rollout.observed_late);
        let found_at = self.follow.as_ref().and_then(|follow| follow.found_at);
        // How long it had been under way when it was found.
        let before = match found_at {
            Some(found_at) if !started_late => clock.since(found_at, started_at),
            _ => None,
        };
        let since_found = found_at.map_or(Duration::ZERO, |at| now.at.saturating_sub(at));
        let to_now = match (before, found_at) {
            (Some(before), _) => before.saturating_add(since_found),
            (None, Some(_)) => since_found,
            // Nobody follows it: it was found to be over.
            (None, None) => {
                Duration::try_from(now.wall.duration_since(started_at)).unwrap_or_default()
            }
        };
        let over_when_found = found_at.is_none() || outcome.elapsed.is_zero();
        // Seen for the first time in the answer that ended it: the platform's own date is the more
        // exact one.
        let last_at = outcome.phases.last().map(|last| last.at_ms);
        let is_dated = over_when_found || last_at == Some(whole_millis(outcome.elapsed));
        let ended = outcome
            .revision
            .as_ref()
            .filter(|revision| is_last_phase(revision.phase.as_deref(), outcome.verdict))
            .filter(|_| is_dated && !started_late)
            .and_then(|revision| revision.phase_started_at)
            .map(|ended| ended.duration_since(started_at))
            .and_then(|took| Duration::try_from(took).ok())
            .filter(|took| *took <= to_now.saturating_add(Duration::from_secs(1)));
        // Counted from the end: who follows it began at another time than the rollout.
        let shifted = |entry: &PhaseEntry| {
            let to_end = outcome.elapsed;
            let to_end = to_end.saturating_sub(Duration::from_millis(entry.at_ms));
            PhaseEntry {
                phase: entry.phase,
                at_ms: whole_millis(to_now.saturating_sub(to_end)),
            }
        };
        let mut phases = match &self.follow {
            Some(follow) => {
                rollout.phases[..follow.phases_before.min(rollout.phases.len())].to_vec()
            }
            None => rollout.phases.clone(),
        };
        // What it was found in goes on.
        let latest = phases.last().map(|entry| entry.phase);
        let goes_on =
            |phase| latest.is_some() && (phase == Phase::Waiting || latest == Some(phase));
        let followed = outcome.phases.iter();
        let followed = followed.skip_while(|entry| goes_on(entry.phase));
        let followed: Vec<PhaseEntry> = followed.map(shifted).collect();
        let limit = followed
            .first()
            .map_or(whole_millis(to_now), |entry| entry.at_ms);
        for entry in &mut phases {
            entry.at_ms = entry.at_ms.min(limit);
        }
        phases.extend(followed);
        if let (Some(ended), Some(last)) = (ended, phases.last_mut()) {
            last.at_ms = whole_millis(ended);
            // What was noted before its end was found is from after it.
            let ended_at = last.at_ms;
            phases.retain(|entry| entry.at_ms <= ended_at);
        }
        Timing {
            elapsed: ended.unwrap_or(to_now),
            observed_late: started_late || over_when_found && ended.is_none(),
            phases,
        }
    }

    /// A check found the agent ready.
    pub(super) fn seen_ready(&mut self, now: Moment, unready_for: Duration) {
        self.not_ready = None;
        let AgentState::Unready { since, .. } = self.record.state else {
            return;
        };
        let ready = Shown::again(self.ready_again, now.at);
        self.ready_again = Some(ready);
        let hold = self.hold(now, unready_for);
        if !hold.is_zero() && !ready.meets(lasting(hold)) {
            return;
        }
        let since = self.record.incident.as_ref().map_or(since, |i| i.since);
        let elapsed = match self.down_since.take() {
            Some(down_since) => now.at.saturating_sub(down_since),
            // It was down before this start.
            None => Duration::try_from(now.wall.duration_since(since)).unwrap_or_default(),
        };
        let data = EventData {
            started_at: Some(since),
            elapsed_ms: Some(whole_millis(elapsed)),
            ..self.data()
        };
        self.emit(EventKind::AgentRecovered, now, data);
        self.record.incident = None;
        self.record.state = AgentState::Idle { since: now.wall };
        self.ready_again = None;
    }

    /// A check found the agent not ready.
    pub(super) fn seen_not_ready(
        &mut self,
        now: Moment,
        reason: Option<&Reason>,
        unready_for: Duration,
    ) {
        self.ready_again = None;
        if !matches!(self.record.state, AgentState::Idle { .. }) {
            return;
        }
        let shown = Shown::again(self.not_ready, now.at);
        self.not_ready = Some(shown);
        if !shown.meets(lasting(unready_for)) {
            return;
        }
        let lasted = now.at.saturating_sub(shown.first_at());
        let since = now.ago(lasted);
        let data = EventData {
            reason: reason.cloned(),
            available: self.record.live.available,
            started_at: Some(since),
            ..self.data()
        };
        let event = self.event(EventKind::AgentUnready, now, data);
        self.open_incident(now, &event);
        self.down_since.get_or_insert(shown.first_at());
        let reason = event.data.reason.clone();
        self.record.state = AgentState::Unready { since, reason };
        self.not_ready = None;
        self.unready_at.push(now.at);
        self.events.push(event);
    }

    /// How long the agent has to be ready until that is a recovery: the longer the more often it has not
    /// lasted lately, so that one that flaps is reported ever more rarely.
    fn hold(&mut self, now: Moment, unready_for: Duration) -> Duration {
        self.unready_at
            .retain(|at| now.at.saturating_sub(*at) < FLAPPING);
        let relapses = u32::try_from(self.unready_at.len()).unwrap_or(u32::MAX);
        match relapses.saturating_sub(1) {
            0 => Duration::ZERO,
            relapses => {
                let doublings = relapses.saturating_sub(1).min(16);
                unready_for.saturating_mul(1 << doublings).min(MAX_HOLD)
            }
        }
    }

    /// What has still to be confirmed, or to last.
    pub(super) fn unsettled_mut(&mut self) -> impl Iterator<Item = &mut Shown> {
        let unconfirmed = self.unconfirmed.iter_mut().map(|(_, shown)| shown);
        let health = self.not_ready.iter_mut().chain(&mut self.ready_again);
        unconfirmed.chain(health)
    }

    /// Whether what was seen last has still to be confirmed.
    pub(super) fn is_unsettled(&self) -> bool {
        self.unconfirmed.is_some() || self.not_ready.is_some() || self.ready_again.is_some()
    }

    fn open_incident(&mut self, now: Moment, event: &FleetEvent) {
        self.record.incident.get_or_insert_with(|| Incident {
            dedup_key: event.dedup_key.clone(),
            since: event.data.started_at.unwrap_or(now.wall),
        });
    }

    fn emit(&mut self, kind: EventKind, now: Moment, data: EventData) {
        let event = self.event(kind, now, data);
        self.events.push(event);
    }

    fn event(&self, kind: EventKind, now: Moment, data: EventData) -> FleetEvent {
        let record = &self.record;
        let deployment = record.deployment.as_ref();
        // What opens an incident, goes on in it or closes it has its key.
        let incident = record.incident.as_ref().filter(|_| kind.is_about_health());
        let dedup_key = match (incident, deployment) {
            (Some(incident), _) => incident.dedup_key.clone(),
            (None, Some(deployment)) => format!("{}/{}", record.name, deployment.id),
            (None, None) => record.name.clone(),
        };
        FleetEvent {
            kind,
            time: now.wall,
            dedup_key,
            data: EventData {
                reason: data.reason.map(within_bounds),
                warnings: data
                    .warnings
                    .into_iter()
                    .map(warning_within_bounds)
                    .collect(),
                ..data
            },
        }
    }

    /// What every event says of the agent and of its deployment.
    fn data(&self) -> EventData {
        self.data_of(self.record.deployment.as_ref())
    }

    fn data_of(&self, deployment: Option<&KnownDeployment>) -> EventData {
        EventData {
            agent: self.record.name.clone(),
            region: self.record.region.clone(),
            deployment_id: deployment.map(|deployment| deployment.id.clone()),
            deployment_created_at: deployment.and_then(|deployment| deployment.created_at),
            image: deployment.and_then(|deployment| deployment.image.clone()),
            commit: deployment.and_then(|deployment| deployment.commit.clone()),
            ..EventData::default()
        }
    }

    /// The deployment whose rollout is under way, by its id.
    fn rolled_out(&self) -> Option<&str> {
        self.record.under_way()?;
        self.record.deployment_id()
    }
}

/// How long a rollout took, and when each of its phases began.
struct Timing {
    elapsed: Duration,
    observed_late: bool,
    phases: Vec<PhaseEntry>,
}

impl Live {
    /// Takes in what happened in a rollout.
    fn note(&mut self, event: &Event) {
        match event {
            Event::TargetFound { .. } => {
                *self = Self {
                    ready: Some(false),
                    available: self.available,
                    sessions: self.sessions,
                    ..Self::default()
                };
            }
            Event::PhaseChanged { phase, .. } => self.phase = Some(*phase),
            Event::ReplicasChanged { ready_replicas, .. } => {
                self.ready_replicas = Some(*ready_replicas);
            }
            Event::Restarted { restart_count, .. } => self.restart_count = Some(*restart_count),
            _ => {}
        }
    }

    /// Takes in how a rollout, or a check, ended.
    pub(super) fn conclude(&mut self, outcome: &Outcome) {
        let Some(ready) = is_ready(outcome.verdict) else {
            return;
        };
        self.ready = Some(ready);
        self.available = outcome.available.or(self.available);
        self.phase = outcome
            .phases
            .last()
            .map(|entry| entry.phase)
            .or(self.phase);
        if let Some(revision) = &outcome.revision {
            self.ready_replicas = revision.ready_replicas.or(self.ready_replicas);
            self.restart_count = revision.restart_count.or(self.restart_count);
        }
    }
}

/// Whether a verdict says that the deployment is ready; none where it says nothing about that.
pub(super) fn is_ready(verdict: Verdict) -> Option<bool> {
    match verdict {
        Verdict::Ready => Some(true),
        Verdict::Failed | Verdict::Stalled | Verdict::Infrastructure | Verdict::Timeout => {
            Some(false)
        }
        Verdict::Unauthorized
        | Verdict::NotFound
        | Verdict::Unavailable
        | Verdict::Superseded
        | Verdict::Unchanged
        | Verdict::CommandFailed(_)
        | Verdict::Interrupted(_) => None,
    }
}

/// Whether the platform's word for a phase is that of the phase in which a rollout ends so.
fn is_last_phase(phase: Option<&str>, verdict: Verdict) -> bool {
    let last = match verdict {
        Verdict::Ready => "Active",
        Verdict::Failed => "Failed",
        _ => return false,
    };
    phase.is_some_and(|phase| phase.eq_ignore_ascii_case(last))
}

/// The end of a rollout that nobody followed to it.
fn ended_unseen(verdict: Verdict, id: &str, reason: Reason) -> Outcome {
    Outcome {
        deployment_id: Some(id.to_owned()),
        reason: Some(reason),
        ..Outcome::new(verdict)
    }
}

/// A reason whose foreign text is cut where it is too long for an event.
fn within_bounds(reason: Reason) -> Reason {
    Reason {
        code: bounded(reason.code),
        summary: bounded(reason.summary),
        message: reason.message.map(bounded),
    }
}

fn warning_within_bounds(warning: Warning) -> Warning {
    Warning {
        code: bounded(warning.code),
        summary: bounded(warning.summary),
    }
}
