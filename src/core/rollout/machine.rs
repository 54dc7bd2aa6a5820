//! The state machine: observations in, events and in the end one verdict out.

mod judge;
mod tell;
mod time;
mod words;

use std::mem::Discriminant;
use std::time::Duration;

use self::judge::Progress;
use super::CONFIRMATIONS;
use super::confirmation::Confirmation;
use super::ending::{Ending, Silence};
use super::event::Event;
use super::evidence::{Cause, Evidence, restart_count};
use super::observation::{Failure, FailureClass, Observation};
use super::phase::Phase;
use super::policy::{Limits, Policy, TargetRule, Until};
use super::report::{Outcome, PhaseEntry, RevisionReport};
use super::verdict::{Interruption, Verdict};
use super::watermark::{Burden, Claim, Order, Watermark, own_revision};
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
    /// Look again.
    Poll(Cadence),
    /// Stop: this is how it ended. Later observations change nothing.
    Done(Box<Outcome>),
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// When what is going on now began: polls are paced by its age.
    pub since: Duration,
    /// When something may be decided merely because time has passed: look no later than this.
    pub by: Duration,
}

/// How an agent stands, whatever is asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// There is no such agent.
    Absent,
    /// It has no deployment.
    Undeployed,
    /// It desires this deployment.
    Desired(String),
}

impl Standing {
    fn of(details: &AgentDetails) -> Self {
        match details.desired() {
            Some(id) => Standing::Desired(id.to_owned()),
            None => Standing::Undeployed,
        }
    }
}

/// What the answers of this watch have shown so far.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Whether any has shown the agent.
    agent: bool,
    /// How many that were believed have come while the target was not in view; no more are counted
    /// than confirm it.
    without_target: u32,
}

/// The rollout of one agent, from the first look to the verdict.
///
/// Times (`at`) are counted from the beginning of the watch and never run backwards.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    /// The deployment that the verdict is about, once it is known.
    target: Option<String>,
    /// What was told last to be there in the target's stead: a deployment, or nothing.
    awaited: Option<Standing>,
    /// Whether the target has been the desired deployment in an answer that was believed.
    in_view: bool,
    seen: Seen,
    /// The newest answer that was believed, and the mark it left.
    latest: Option<Box<AgentDetails>>,
    watermark: Option<Watermark>,
    /// Answers that go back behind the mark in the same way, waiting to be confirmed.
    doubt: Confirmation<Discriminant<Claim>>,
    /// How many answers in a row were set aside, whatever they claim.
    set_aside: u32,
    /// What polls were paced from before that doubt.
    paced_before_doubt: Duration,
    /// `ready` beside the phase Failed, waiting to be confirmed.
    contradiction: Confirmation<()>,
    /// Ready on another deployment's revision where that is a failure, waiting to be confirmed.
    not_new: Confirmation<()>,
    /// Ready for a target that may be from before the baseline, waiting to be confirmed; none where
    /// the target is known to be later.
    first_sight: Option<Confirmation<()>>,
    /// How the agent stands, waiting to be confirmed where that is all that is asked.
    standing: Confirmation<Standing>,
    /// 401 or 403, waiting to be confirmed.
    refusal: Confirmation<()>,
    evidence: Evidence,
    /// The gravest trouble of the newest answer.
    trouble: Option<Cause>,
    under_infrastructure_issue: bool,
    ready_since: Option<Duration>,
    revision_unchanged: bool,
    phase: Phase,
    phase_since: Duration,
    phases: Vec<PhaseEntry>,
    /// When something began that polls are paced by: a phase, a trouble, a doubt.
    paced_from: Duration,
    progress: Progress,
    moved_at: Duration,
    silence: Option<Silence>,
    /// What the API said with its 404.
    absent_words: Option<String>,
    polls: u64,
    failed_polls: u64,
    outcome: Option<Box<Outcome>>,
}

impl Machine {
    /// A watch that begins now.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let target = match policy.target() {
            TargetRule::Deployment(id) => Some(id.clone()),
            TargetRule::AnyBut(_) | TargetRule::FirstSeen => None,
        };
        Self {
            policy,
            target,
            awaited: None,
            in_view: false,
            seen: Seen::default(),
            latest: None,
            watermark: None,
            doubt: Confirmation::default(),
            set_aside: 0,
            paced_before_doubt: Duration::ZERO,
            contradiction: Confirmation::default(),
            not_new: Confirmation::default(),
            first_sight: None,
            standing: Confirmation::default(),
            refusal: Confirmation::default(),
            evidence: Evidence::default(),
            trouble: None,
            under_infrastructure_issue: false,
            ready_since: None,
            revision_unchanged: false,
            phase: Phase::Waiting,
            phase_since: Duration::ZERO,
            phases: vec![PhaseEntry {
                phase: Phase::Waiting,
                at_ms: 0,
            }],
            paced_from: Duration::ZERO,
            progress: Progress::default(),
            moved_at: Duration::ZERO,
            silence: None,
            absent_words: None,
            polls: 0,
            failed_polls: 0,
            outcome: None,
        }
    }

    /// A watch that begins after a deploy, before which the agent stood as `baseline` says.
    ///
    /// Answers from before that are known to lag.
    #[must_use]
    pub fn after(policy: Policy, baseline: Box<AgentDetails>) -> Self {
        Self {
            awaited: Some(Standing::of(&baseline)),
            watermark: Some(Watermark::of(&baseline)),
            latest: Some(baseline),
            ..Self::new(policy)
        }
    }

    /// Takes in what a poll that ended at `at` taught.
    pub fn observe(&mut self, at: Duration, observation: Observation) -> Step {
        let mut events = Vec::new();
        if self.outcome.is_none() {
            self.polls += 1;
            let ending = match observation {
                Observation::Details { details, .. } => {
                    self.note_answer(at, &mut events);
                    self.on_details(at, details, &mut events)
                }
                Observation::Absent(words) => {
                    self.note_answer(at, &mut events);
                    self.on_absent(at, words, &mut events)
                }
                Observation::Failed(failure) => self.on_failure(at, failure, &mut events),
            };
            if let Some(ending) = ending.or_else(|| self.overdue(at)) {
                self.finish(at, &ending, &mut events);
            }
        }
        self.step(at, events)
    }

    /// Takes in that it is `at` now, without a new observation.
    pub fn lapse(&mut self, at: Duration) -> Step {
        let mut events = Vec::new();
        if self.outcome.is_none()
            && let Some(ending) = self.overdue(at)
        {
            self.finish(at, &ending, &mut events);
        }
        self.step(at, events)
    }

    /// Ends the watch at `at` because the user said so.
    pub fn interrupt(&mut self, at: Duration, interruption: Interruption) -> Step {
        let mut events = Vec::new();
        if self.outcome.is_none() {
            self.finish(at, &Ending::Interrupted(interruption), &mut events);
        }
        self.step(at, events)
    }

    /// How things stand at `at`: for outputs that show that the watch is alive.
    #[must_use]
    pub fn heartbeat(&self, at: Duration) -> Event {
        let own = self.own_revision();
        Event::Heartbeat {
            phase: self.phase,
            in_phase: at.saturating_sub(self.phase_since),
            ready_replicas: own.and_then(|revision| revision.ready_replicas),
            restart_count: own.map(|own| restart_count(Some(own))),
            polls: self.polls,
            failing: self.silence.as_ref().map_or(0, |silence| silence.failed),
        }
    }

    /// Where the rollout is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The limits of the watch.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.policy.limits()
    }

    /// The newest details that were believed.
    #[must_use]
    pub fn latest(&self) -> Option<&AgentDetails> {
        self.latest.as_deref()
    }

    fn step(&self, at: Duration, events: Vec<Event>) -> Step {
        let next = match &self.outcome {
            Some(outcome) => Next::Done(outcome.clone()),
            None => Next::Poll(self.cadence(at)),
        };
        Step { events, next }
    }

    /// The API answered: what failed before is over.
    fn note_answer(&mut self, at: Duration, events: &mut Vec<Event>) {
        self.refusal.clear();
        if let Some(silence) = self.silence.take() {
            events.push(Event::PollRecovered {
                failed: silence.failed,
                after: at.saturating_sub(silence.since),
            });
        }
    }

    /// A failed poll says nothing about the rollout; in a row they may end the watch.
    fn on_failure(
        &mut self,
        at: Duration,
        failure: Failure,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        self.failed_polls += 1;
        let silence = match self.silence.take() {
            Some(silence) => silence.again(failure),
            None => Silence::new(at, failure),
        };
        let failure = &silence.last;
        events.push(Event::PollFailed {
            code: failure.code.clone(),
            summary: failure.summary.clone(),
            in_a_row: silence.failed,
        });
        let ending = match failure.class {
            FailureClass::Refused => Some(Ending::Unavailable),
            FailureClass::Unauthorized if self.refusal.confirms(()) => Some(Ending::Unauthorized),
            FailureClass::Unauthorized | FailureClass::Transient { .. } => None,
        };
        self.silence = Some(silence);
        ending
    }

    /// A 404: not yet there, or gone.
    fn on_absent(
        &mut self,
        at: Duration,
        words: Option<String>,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        self.absent_words = words;
        if self.seen.agent {
            return if self.sets_aside(at, &Claim::Absent, events) {
                self.stalled_by_doubt(at)
            } else {
                Some(Ending::Deleted)
            };
        }
        if self.policy.limits().until == Until::Desired {
            return self.note_standing(Standing::Absent, Ending::NeverThere, events);
        }
        self.tell_awaited(Standing::Absent, events);
        self.count_without_target();
        self.is_late(at).then_some(Ending::NeverThere)
    }

    fn on_details(
        &mut self,
        at: Duration,
        details: Box<AgentDetails>,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        self.seen.agent = true;
        let burden = if self.in_view {
            Burden::ProveNewer
        } else {
            Burden::NotOlder
        };
        let mut watermark = Watermark::of(&details);
        if let Some(mark) = &self.watermark {
            watermark.keep_order_of(mark);
            watermark.after_roll_back = mark.after_roll_back;
            watermark.follows = mark.is_followed_by(&watermark);
            if let Order::Behind(claim) = mark.compare(&details, burden) {
                // Once it is confirmed, that is.
                watermark.follows = true;
                watermark.after_roll_back |= matches!(claim, Claim::Desired(_));
                if self.sets_aside(at, &claim, events) {
                    // That it is ready is no sign that it stands still.
                    if details.ready && is_of(&details, self.target.as_deref()) {
                        self.set_aside = 0;
                    }
                    // No target shows in it, whatever else is true.
                    let awaits = !self.in_view && self.policy.limits().until != Until::Desired;
                    let targetless = awaits && details.desired().is_none();
                    let never = self.never_desired(at).filter(|_| targetless);
                    return never.or_else(|| self.stalled_by_doubt(at));
                }
            }
        }
        self.settle_doubt();
        self.count_without_target();
        if self.target_was_stale(&details, &watermark) {
            self.lose_target(at, events);
        }
        self.watermark = Some(watermark);
        self.latest = Some(details);
        self.judge(at, events)
    }

    /// Whether an answer that goes back behind what was seen is to be passed over for now.
    ///
    /// That no deployment is desired is never believed once one was.
    fn sets_aside(&mut self, at: Duration, claim: &Claim, events: &mut Vec<Event>) -> bool {
        if !self.doubt.pending() {
            self.paced_before_doubt = self.paced_from;
            self.paced_from = at;
        }
        let never = *claim == Claim::NoDesired;
        let words = claim.words();
        let times = self.doubt.note(claim.way());
        let aside = never || times < CONFIRMATIONS;
        if aside {
            // It does not show them, so they are not seen in a row.
            self.contradiction.clear();
            self.not_new.clear();
            self.set_aside = self.set_aside.saturating_add(1);
            events.push(Event::AnswerSetAside {
                claim: words,
                times,
                needed: CONFIRMATIONS,
            });
        }
        aside
    }

    /// An answer is believed: what was in doubt is settled, and polls go on at the pace of before.
    fn settle_doubt(&mut self) {
        self.set_aside = 0;
        if self.doubt.pending() {
            self.paced_from = self.paced_before_doubt;
            self.doubt.clear();
        }
    }

    /// Whether the target turns out to be from before the baseline: a lagging answer showed it
    /// before any other was there to compare it with.
    fn target_was_stale(&self, details: &AgentDetails, told: &Watermark) -> bool {
        let TargetRule::AnyBut(baseline) = self.policy.target() else {
            return false;
        };
        let Some(seen) = &self.watermark else {
            return false;
        };
        let other = self.in_view && self.target.as_ref() != Some(baseline);
        other && details.desired() == Some(baseline) && seen.is_followed_by(told)
    }

    fn count_without_target(&mut self) {
        if !self.in_view {
            self.seen.without_target = (self.seen.without_target + 1).min(CONFIRMATIONS);
        }
    }

    fn lose_target(&mut self, at: Duration, events: &mut Vec<Event>) {
        self.target = None;
        self.in_view = false;
        self.seen.without_target = 0;
        self.forget(at, events);
    }

    fn own_revision(&self) -> Option<&Revision> {
        let details = self.latest.as_deref()?;
        let reconciled = details.reconciled_deployment_id.is_some()
            && details.reconciled_deployment_id == self.target;
        let desired = details.desired() == self.target.as_deref();
        own_revision(details).filter(|_| desired && reconciled)
    }

    fn finish(&mut self, at: Duration, ending: &Ending, events: &mut Vec<Event>) {
        let verdict = ending.verdict(self.under_infrastructure_issue);
        let mut reason = ending.reason(self, at);
        if let (Verdict::Infrastructure, Some(reason)) = (verdict, &mut reason) {
            reason
                .summary
                .push_str("; the platform reports an infrastructure issue of its own");
        }
        let latest = self.latest.as_deref();
        let baseline = match self.policy.target() {
            TargetRule::AnyBut(id) => Some(id.clone()),
            TargetRule::Deployment(_) | TargetRule::FirstSeen => None,
        };
        events.push(Event::Finished {
            verdict,
            reason: reason.clone(),
            elapsed: at,
        });
        self.outcome = Some(Box::new(Outcome {
            verdict,
            reason,
            deployment_id: self.target.clone(),
            deployment_created_at: None,
            warnings: Vec::new(),
            image: None,
            region: latest.and_then(|details| details.region.clone()),
            request_id: None,
            baseline_deployment_id: baseline,
            available: latest.and_then(|details| details.available),
            revision_unchanged: self.revision_unchanged && verdict == Verdict::Ready
                || matches!(ending, Ending::NotNew { .. }),
            revision: self.own_revision().map(RevisionReport::of),
            elapsed: at,
            phases: self.phases.clone(),
            polls: self.polls,
            failed_polls: self.failed_polls,
        }));
    }
}

/// Whether an answer is about the target, reconciled.
fn is_of(details: &AgentDetails, target: Option<&str>) -> bool {
    details.desired() == target && details.reconciled_deployment_id.as_deref() == target
}

#[cfg(test)]
mod tests;
