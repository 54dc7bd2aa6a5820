//! A verdict held against the truth, and against what the watch was shown of it.
//!
//! Some things cannot be known, and are left out here:
//! - A replica that lags and gives no dates is believed, by contract, where it alone answers, on fresh
//!   connections, three times in a row over five seconds. So every history has a replica that does not lag.
//! - Which of several deployments was desired first, where no answer showed the first one.
//! - Whose an error is that names no deployment, where no answer from before the target had it.
//! - Whether a deployment that was made in the two seconds before the command's start was made by it:
//!   the servers' clocks may differ by so much.
//! - Whether a 404 before the command is a first deploy, where answers have no dates or no
//!   Date header.

use pipecat_rollout::fuzzing::rollout::{
    Event, FailureClass, NewRevision, Phase, Unchanged, Until, Verdict,
};

use crate::evidence::{Bears, CONFIRMED, is_confirmed, is_refused, shown};
use crate::watch::{Aim, Kind, Script, Seen, Watched, millis};
use crate::world::{BASELINE, Before, Dates, Ms, State, rising};

/// The longest pause of the loop between two polls, with a poll that fails in between.
const LONGEST_PAUSE: Ms = 12_000;

pub(crate) struct Check<'a> {
    script: &'a Script,
    watched: &'a Watched,
}

impl<'a> Check<'a> {
    pub(crate) fn new(script: &'a Script, watched: &'a Watched) -> Self {
        Self { script, watched }
    }

    /// What is wrong with the verdict, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        // Where the target comes into view and goes again, its time counts from the command's end.
        let since_command = self
            .watched
            .command_ended
            .map(|at| at + millis(self.script.limits.timeout));
        let mut deadlines = self.watched.deadline.into_iter().chain(since_command);
        let at_deadline = deadlines.any(|deadline| self.watched.ended >= deadline);
        let of_target = |is: &dyn Fn(usize) -> bool| {
            let target = self.target();
            target.is_some_and(|target| self.is_meant(target) && is(target))
        };
        let is_true = match self.watched.outcome.verdict {
            Verdict::Ready => of_target(&|target| self.has_held(target)),
            Verdict::Failed => of_target(&|target| {
                self.has_failed(target, Ms::MIN / 2, |of| self.seems_its(of, target))
            }),
            Verdict::Superseded => of_target(&|target| self.was_replaced(target)),
            Verdict::Infrastructure => of_target(&|target| self.was_blamed(target)),
            Verdict::Stalled => self.has_stood_still(),
            Verdict::NotFound => self.is_denied() || at_deadline,
            Verdict::Unchanged => !self.has_come(),
            Verdict::CommandFailed(code) => {
                let fails =
                    |aim| matches!(aim, Aim::Command { code: its @ 1.., .. } if its == code);
                fails(self.script.aim) && !self.has_come()
            }
            Verdict::Unauthorized => self.is_refused(FailureClass::Unauthorized) || at_deadline,
            Verdict::Unavailable => {
                // The last poll failed, or brought an answer from the past.
                let unknown = self.polls_backwards().next().is_none_or(|(at, seen)| {
                    at < self.watched.ended || matches!(seen, Seen::Failed(_))
                });
                self.is_refused(FailureClass::Refused)
                    || self.has_been_out()
                    || at_deadline && unknown
            }
            Verdict::Timeout => at_deadline,
            Verdict::Interrupted(_) => false,
        };
        if !is_true {
            return Some("the verdict is not true".to_owned());
        }
        if self.watched.ended > self.latest_end() {
            return Some("it took too long".to_owned());
        }
        self.inconsistent_events()
    }

    /// The number of the target.
    fn target(&self) -> Option<usize> {
        let id = self.watched.outcome.deployment_id.as_deref()?;
        (0..self.watched.world.created.len()).find(|of| rising(*of) == id)
    }

    /// Whether the verdict may be about this deployment.
    fn is_meant(&self, target: usize) -> bool {
        let created = &self.watched.world.created;
        match self.script.aim {
            Aim::Named => target == self.script.ours(),
            Aim::FirstSeen => {
                let first = self.states_seen().next();
                first.is_some_and(|(_, state)| state.desired == Some(target))
            }
            Aim::NewerThan { .. } | Aim::Command { .. } if self.accepts_baseline(target) => true,
            Aim::NewerThan { .. } => {
                self.script.before == Before::Nothing || created[target] > created[BASELINE]
            }
            // Without dates, what is rolled back to may as well be new.
            Aim::Command { .. } => {
                let as_new =
                    self.is_undated() && self.was_requested(target) && !self.is_baseline(target);
                self.is_new(target) || as_new || self.has_mistaken_a_404()
            }
        }
    }

    /// Whether it was made after the command began, where there is one.
    fn is_new(&self, target: usize) -> bool {
        let began = self.watched.command_began.unwrap_or(Ms::MIN);
        self.watched.world.created[target] > began
    }

    fn was_requested(&self, target: usize) -> bool {
        let began = self.watched.command_began.unwrap_or(Ms::MIN);
        let mut states = self.watched.world.during(began, self.watched.ended).iter();
        states.any(|state| state.desires(target) && state.requested > began)
    }

    /// One 404 before the command, and no dates to show that it was wrong.
    fn has_mistaken_a_404(&self) -> bool {
        let undated = self.is_undated() || !self.script.date_header;
        let world = &self.watched.world;
        let began = self.watched.command_began.unwrap_or(0);
        let was_there = world
            .during(began - 1, began)
            .iter()
            .any(|state| state.exists);
        undated && was_there && self.watched.outcome.baseline_deployment_id.is_none()
    }

    fn is_undated(&self) -> bool {
        self.watched.world.dates() == Dates::None
    }

    fn is_baseline(&self, target: usize) -> bool {
        let baseline = self.watched.outcome.baseline_deployment_id.as_deref();
        baseline == Some(&rising(target))
    }

    fn accepts_baseline(&self, target: usize) -> bool {
        self.script.limits.unchanged == Unchanged::Accept && self.is_baseline(target)
    }

    fn states_seen(&self) -> impl DoubleEndedIterator<Item = (Ms, &State)> {
        self.watched
            .polls
            .iter()
            .filter_map(|(at, seen)| match seen {
                Seen::State(state) => Some((*at, &self.watched.world.states[*state])),
                Seen::Absent | Seen::Failed(_) => None,
            })
    }

    /// Whether the platform took the blame for what became of the target.
    fn was_blamed(&self, target: usize) -> bool {
        let mut own = self
            .states_seen()
            .filter_map(|(_, state)| state.own_revision(target));
        own.any(|revision| revision.platform_issue)
    }

    /// The polls, the newest first, without the answers that are proven older than one before.
    fn polls_backwards(&self) -> impl Iterator<Item = (Ms, Seen)> {
        let mut newest: Option<usize> = None;
        let world = &self.watched.world;
        let mut kept = Vec::new();
        for &(at, seen) in &self.watched.polls {
            if let Seen::State(state) = seen {
                if newest.is_some_and(|newest| world.proves_older(state, newest)) {
                    continue;
                }
                newest = Some(newest.map_or(state, |newest| newest.max(state)));
            }
            kept.push((at, seen));
        }
        kept.into_iter().rev()
    }

    /// How long, up to the end, answers have shown this without a break; failed polls show nothing.
    fn shown(&self, holds: impl Fn(Seen) -> bool) -> Option<(usize, Ms)> {
        shown(self.polls_backwards().map(|(at, seen)| match seen {
            Seen::Failed(_) => (at, Bears::Nothing),
            _ if holds(seen) => (at, Bears::Out),
            _ => (at, Bears::Against),
        }))
    }

    /// A server that says 404 for as long as a confirmation takes is believed.
    fn is_denied(&self) -> bool {
        is_confirmed(self.shown(|seen| seen == Seen::Absent))
    }

    /// Whether the last answer shows the target ready, and those before it for `stable_for`.
    fn has_held(&self, target: usize) -> bool {
        let states = &self.watched.world.states;
        let restarts = |state: usize| {
            states[state]
                .own_revision(target)
                .map_or(0, |own| own.restarts)
        };
        let Some((_, Seen::State(last))) = self.watched.polls.last() else {
            return false;
        };
        let is_ready = |seen| match seen {
            Seen::State(state) => {
                states[state].is_ready(target) && restarts(state) >= restarts(*last)
            }
            Seen::Absent | Seen::Failed(_) => false,
        };
        let stable_for = millis(self.script.limits.stable_for);
        self.shown(is_ready)
            .is_some_and(|(_, lasted)| lasted >= stable_for)
    }

    /// Whether it really has failed by now.
    fn has_failed(&self, target: usize, since: Ms, is_its: impl Fn(usize) -> bool) -> bool {
        let world = &self.watched.world;
        let limits = &self.script.limits;
        let max_restarts = u64::from(limits.max_restarts.get());
        let grace = millis(limits.pull_grace);
        let past = world.during(since, self.watched.ended);
        let mut pulling_since = None;
        past.iter()
            .zip(
                past.iter()
                    .skip(1)
                    .map(|next| next.since)
                    .chain([self.watched.ended]),
            )
            .any(|(state, until)| {
                let own = state.own_revision(target).filter(|_| !state.ready);
                let reason = own.and_then(|own| own.reason);
                let pulls = reason == Some("ImagePullBackOff");
                pulling_since = pulls.then(|| pulling_since.unwrap_or(state.since));
                let revision_of_another = state.is_ready(target)
                    && state.revision.is_some_and(|revision| revision.of != target);
                own.is_some_and(|own| own.phase == "Failed")
                    || reason == Some("InvalidImageName")
                    || own.is_some_and(|own| own.restarts >= max_restarts && !own.platform_issue)
                    || state.desires(target) && state.errors.iter().any(|of| is_its(*of))
                    || pulling_since.is_some_and(|since| until - since >= grace)
                    || limits.new_revision == NewRevision::Required && revision_of_another
            })
    }

    /// Whether an error is the target's, or was in no answer from before the target; where nothing was
    /// ever reconciled, all count.
    fn seems_its(&self, of: usize, target: usize) -> bool {
        let seen = self.states_seen().map(|(_, state)| state);
        let mut before = seen.take_while(|state| !state.desires(target));
        let reconciled = |state: &State| state.reconciled.is_some();
        of == target || !before.any(|state| reconciled(state) && state.errors.contains(&of))
    }

    /// Whether another deployment was desired after this one.
    fn was_replaced(&self, target: usize) -> bool {
        let past = self.watched.world.during(Ms::MIN / 2, self.watched.ended);
        let first = past.iter().position(|state| state.desires(target));
        first.is_some_and(|first| {
            past[first..]
                .iter()
                .any(|state| state.exists && !state.desires(target))
        })
    }

    /// Whether a deployment that is meant was there, so that it must not be overlooked: shown with a
    /// proof, or desired for as long as a confirmation takes, with answers to see it by.
    fn has_come(&self) -> bool {
        let world = &self.watched.world;
        let is_meant = |state: &State| {
            let desired = state.desired.filter(|of| !self.accepts_baseline(*of));
            state.exists && desired.is_some_and(|of| self.is_meant(of) && self.is_new(of))
        };
        let proven = self.script.date_header
            && matches!(world.dates(), Dates::OfChanges | Dates::OfRequests)
            && self.states_seen().any(|(_, state)| is_meant(state));
        let ended = self.watched.ended;
        let since = ended - CONFIRMED - LONGEST_PAUSE;
        let lately = world.during(since, ended);
        let answers = self.states_seen().filter(|(at, _)| *at >= since).count();
        // A 404 that is said again is believed, also after an answer from the past.
        let absent = self.shown(|seen| seen == Seen::Absent);
        let is_denied = absent.is_some_and(|(answers, _)| answers >= 2);
        proven || !is_denied && answers >= 3 && lately.iter().all(is_meant)
    }

    /// Whether what answers showed of the target has been the same for as long as makes a stall.
    fn has_stood_still(&self) -> bool {
        let states = &self.watched.world.states;
        let Some(limit) = self.script.limits.stall_timeout else {
            return false;
        };
        let shape = |state: usize| {
            let State {
                desired,
                reconciled,
                ready,
                ..
            } = states[state];
            let own = reconciled.and_then(|of| states[state].own_revision(of));
            (desired, reconciled, ready, own)
        };
        // Neither an answer from the past nor a 404 in between is a movement.
        let mut newest = 0;
        let mut known = Vec::new();
        for &(at, seen) in &self.watched.polls {
            if let Seen::State(state) = seen {
                newest = newest.max(state);
            }
            known.push((
                at,
                (!matches!(seen, Seen::Failed(_))).then(|| shape(newest)),
            ));
        }
        let bears = |(at, known): (Ms, Option<_>)| match known {
            None => (at, Bears::Nothing),
            Some(known) if known == shape(newest) => (at, Bears::Out),
            Some(_) => (at, Bears::Against),
        };
        let stood = shown(known.into_iter().rev().map(bears));
        stood.is_some_and(|(_, lasted)| lasted >= millis(limit))
    }

    /// The newest polls that failed, without a break.
    fn failures(&self) -> impl Iterator<Item = (Ms, FailureClass)> {
        self.watched
            .polls
            .iter()
            .rev()
            .map_while(|(at, seen)| match seen {
                Seen::Failed(class) => Some((*at, *class)),
                Seen::State(_) | Seen::Absent => None,
            })
    }

    /// Refused three times in a row over five seconds, or two where the API had never answered.
    fn is_refused(&self, by: FailureClass) -> bool {
        let failures: Vec<_> = self.failures().collect();
        is_refused(&failures, self.watched.polls.len(), by)
    }

    /// Nothing but failed polls for `outage_timeout`, the pauses that were asked for not counted.
    fn has_been_out(&self) -> bool {
        let failures: Vec<_> = self.failures().collect();
        let Some((first, _)) = failures.last() else {
            return false;
        };
        let asked: Ms = failures
            .iter()
            .map(|(_, class)| match class {
                FailureClass::Transient {
                    retry_after: Some(asked),
                } => millis(*asked),
                _ => 0,
            })
            .sum();
        self.watched.ended - first - asked >= millis(self.script.limits.outage_timeout)
    }

    /// By when it has to end: soon after all has settled, where that decides, else at the deadline.
    fn latest_end(&self) -> Ms {
        let limits = &self.script.limits;
        let deadline = self.watched.deadline.unwrap_or(Ms::MAX);
        let world = &self.watched.world;
        let over = self.script.disturbances.iter().map(|disturbance| {
            let asked = match disturbance.kind {
                Kind::Failing(FailureClass::Transient { retry_after }) => retry_after,
                _ => None,
            };
            disturbance.from + disturbance.lasts + asked.map_or(0, millis)
        });
        let settled = [world.settles(), self.watched.command_ended.unwrap_or(0)];
        let settled = settled.into_iter().chain(over).max().unwrap_or(0).max(0);
        let takes = 2 * LONGEST_PAUSE
            + 2 * CONFIRMED
            + millis(limits.appear_timeout)
            + millis(limits.stable_for)
            + millis(limits.pull_grace);
        let decided = if self.is_undecided() {
            Ms::MAX
        } else {
            settled + takes
        };
        decided.min(deadline.saturating_add(LONGEST_PAUSE))
    }

    /// Whether the state that the world comes to in the end has no verdict but what time says.
    fn is_undecided(&self) -> bool {
        let Some(last) = self.watched.world.states.last() else {
            return true;
        };
        let Some(target) = self.target().filter(|target| last.desires(*target)) else {
            return false;
        };
        let limits = &self.script.limits;
        let complete = last.is_ready(target)
            && limits.new_revision == NewRevision::Optional
            && match limits.until {
                Until::Ready => true,
                Until::Warm => last.own_revision(target).is_some(),
                Until::Drained => last.previous.is_none() && last.own_revision(target).is_some(),
            };
        !complete && !self.has_failed(target, last.requested, |of| of == target)
    }

    /// What is inconsistent in the events and in the phases of the report.
    fn inconsistent_events(&self) -> Option<String> {
        let events = &self.watched.events;
        let mut phase = Phase::Waiting;
        let (mut failing, mut holding, mut issue, mut problem) = (false, false, false, false);
        for (place, event) in events.iter().enumerate() {
            let fits = match event {
                Event::PhaseChanged {
                    phase: now,
                    previous,
                    ..
                } => {
                    let fits = *previous == phase && *now != phase;
                    phase = *now;
                    fits
                }
                Event::PollFailed { .. } => !std::mem::replace(&mut failing, true),
                Event::PollRecovered { .. } => std::mem::replace(&mut failing, false),
                Event::Holding { .. } => !std::mem::replace(&mut holding, true),
                Event::ReadyLost { .. } => {
                    let of_hold = std::mem::replace(&mut holding, false);
                    of_hold || self.script.limits.stable_for.is_zero()
                }
                Event::InfrastructureIssue => !std::mem::replace(&mut issue, true),
                Event::InfrastructureRecovered => std::mem::replace(&mut issue, false),
                Event::ProblemDetected { .. } => {
                    problem = true;
                    true
                }
                Event::ProblemResolved { .. } => std::mem::replace(&mut problem, false),
                Event::Finished { .. } => place + 1 == events.len(),
                _ => true,
            };
            if !fits {
                return Some(format!("event {place}, {event:?}, does not fit"));
            }
        }
        let once = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count() <= 1;
        let phases = &self.watched.outcome.phases;
        let fits = matches!(events.last(), Some(Event::Finished { .. }))
            && once(|event| matches!(event, Event::BaselineNoted { .. }))
            && once(|event| matches!(event, Event::CommandEnded { .. }))
            && phases.is_sorted_by_key(|entry| entry.at_ms)
            && phases.windows(2).all(|pair| pair[0].phase != pair[1].phase);
        (!fits).then(|| format!("the events or phases contradict each other: {phases:?}"))
    }
}
