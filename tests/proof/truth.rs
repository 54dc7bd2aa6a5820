//! A verdict held against the truth, and against what the watch was shown of it.
//!
//! Some things cannot be known, and are left out here:
//! - A replica that lags and gives no dates is believed, by contract, where it alone answers, on fresh
//!   connections, three times in a row over five seconds. So every history has a replica that does not lag.
//! - Which of several deployments was desired first, where no answer showed the first one.
//! - Whose an error is that names no deployment, where no answer from before the target had it.
//! - Whether a deployment that was made in the very second of the command's start was made by it: the
//!   Date header has whole seconds.
//! - Whether a 404 before the command is a first deploy, where answers have no dates or no
//!   Date header.

use pipecat_rollout::fuzzing::rollout::{
    Event, FailureClass, NewRevision, Phase, Unchanged, Until, Verdict,
};

use crate::evidence::{Bears, refused, shown};
use crate::watch::{Aim, Kind, Script, Seen, Watched, millis};
use crate::world::{BASELINE, Before, Dates, Ms, State, rising};

/// The five seconds and three answers of the contract.
pub(crate) const CONFIRMED: Ms = 5000;
/// And what a refusal needs before the API has ever answered.
pub(crate) const FIRST_REFUSAL: Ms = 2000;
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
        let outcome = &self.watched.outcome;
        let target = self.target();
        let must = |holds: bool, what: &str| (!holds).then(|| what.to_owned());
        let of_target = |is: &dyn Fn(usize) -> bool| target.is_some_and(is);
        let ended = self.watched.ended;
        match outcome.verdict {
            Verdict::Ready => must(
                of_target(&|t| self.is_meant(t)),
                "ready, of another deployment",
            )
            .or_else(|| {
                must(
                    of_target(&|t| self.has_held(t)),
                    "ready, and was not shown so",
                )
            }),
            Verdict::Failed => must(of_target(&|t| self.is_meant(t)), "failed, of another one")
                .or_else(|| {
                    must(
                        of_target(&|t| self.has_failed(t, |of| self.seems_its(of, t))),
                        "failed, and has not",
                    )
                }),
            Verdict::Superseded => must(
                of_target(&|t| self.is_meant(t)),
                "superseded, of another one",
            )
            .or_else(|| {
                must(
                    of_target(&|t| self.was_replaced(t)),
                    "superseded, and was not",
                )
            }),
            Verdict::Stalled => must(self.has_stood_still(), "stalled, and has moved"),
            Verdict::NotFound => must(
                self.shown_lately(|seen| seen == Seen::Absent, CONFIRMED) || self.is_at_deadline(),
                "not found, and nothing confirmed that",
            ),
            Verdict::Unchanged => must(
                !self.has_come(),
                "unchanged, and a new deployment was there",
            ),
            Verdict::CommandFailed(code) => must(
                matches!(self.script.aim, Aim::Command { code: its, .. } if its == code && code > 0)
                    && !self.has_come(),
                "the command failed, and a new deployment was there",
            ),
            Verdict::Unauthorized => must(
                self.is_refused(FailureClass::Unauthorized) || self.is_at_deadline(),
                "unauthorized, and nothing confirmed that",
            ),
            Verdict::Unavailable => must(
                self.is_refused(FailureClass::Refused)
                    || self.has_been_out()
                    || self.is_at_deadline() && self.has_failed_last(),
                "unavailable, and it was not",
            ),
            Verdict::Timeout => must(self.is_at_deadline(), "timed out before its time"),
            Verdict::Infrastructure => must(
                of_target(&|t| self.is_meant(t) && self.was_blamed(t)),
                "the platform is blamed, and reported nothing",
            ),
            Verdict::Interrupted(_) => Some("interrupted by nobody".to_owned()),
        }
        .or_else(|| must(ended <= self.latest_end(), "it took too long"))
        .or_else(|| self.inconsistent_events())
    }

    /// The number of the target.
    fn target(&self) -> Option<usize> {
        let id = self.watched.outcome.deployment_id.as_deref()?;
        (0..self.watched.world.created.len()).find(|of| rising(*of) == id)
    }

    fn limit(&self, limit: std::time::Duration) -> Ms {
        millis(limit)
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
            Aim::NewerThan { .. } if self.accepts_baseline(target) => true,
            Aim::Command { .. } if self.accepts_baseline(target) => true,
            Aim::NewerThan { .. } => {
                self.script.before == Before::Nothing || created[target] > created[BASELINE]
            }
            Aim::Command { .. } if self.has_mistaken_a_404() => true,
            Aim::Command { .. } => self.watched.command_began.is_some_and(|began| {
                // Without dates, what is rolled back to may as well be new.
                created[target] > began
                    || self.is_undated()
                        && self.was_requested(target, began)
                        && !self.is_baseline(target)
            }),
        }
    }

    /// One 404 before the command, and no dates to show that it was wrong.
    fn has_mistaken_a_404(&self) -> bool {
        let undated = self.is_undated() || !self.script.date_header;
        let began = self.watched.command_began.unwrap_or(0);
        let was_there = !self
            .watched
            .world
            .during(began - 1, began)
            .iter()
            .all(|state| !state.exists);
        undated && was_there && self.watched.outcome.baseline_deployment_id.is_none()
    }

    fn is_undated(&self) -> bool {
        self.watched.world.dates() == Dates::None
    }

    fn was_requested(&self, target: usize, after: Ms) -> bool {
        let mut states = self.watched.world.during(after, self.watched.ended).iter();
        states.any(|state| state.desires(target) && state.requested > after)
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

    fn shown_lately(&self, holds: impl Fn(Seen) -> bool, over: Ms) -> bool {
        self.shown(holds)
            .is_some_and(|(answers, lasted)| answers >= 3 && lasted >= over)
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
        let stable_for = self.limit(self.script.limits.stable_for);
        self.shown(is_ready)
            .is_some_and(|(_, lasted)| lasted >= stable_for)
    }

    /// Whether it really has failed by now.
    fn has_failed(&self, target: usize, is_its: impl Fn(usize) -> bool) -> bool {
        let world = &self.watched.world;
        let limits = &self.script.limits;
        let max_restarts = u64::from(limits.max_restarts.get());
        let grace = self.limit(limits.pull_grace);
        let past = world.during(Ms::MIN / 2, self.watched.ended);
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

    /// Whether an error is the target's, or was in no answer from before the target.
    fn seems_its(&self, of: usize, target: usize) -> bool {
        let mut before = self
            .states_seen()
            .take_while(|(_, state)| !state.desires(target));
        of == target || !before.any(|(_, state)| state.errors.contains(&of))
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
    /// proof, or desired for as long as a confirmation takes.
    fn has_come(&self) -> bool {
        let world = &self.watched.world;
        let is_meant = |state: &State| {
            state.exists
                && state
                    .desired
                    .is_some_and(|of| self.is_meant(of) && !self.accepts_baseline(of))
        };
        let proven = self.script.date_header
            && matches!(world.dates(), Dates::OfChanges | Dates::OfRequests)
            && self.states_seen().any(|(_, state)| is_meant(state));
        let ended = self.watched.ended;
        proven
            || world
                .during(ended - CONFIRMED - LONGEST_PAUSE, ended)
                .iter()
                .all(is_meant)
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
        stood.is_some_and(|(_, lasted)| lasted >= self.limit(limit))
    }

    fn is_at_deadline(&self) -> bool {
        self.watched
            .deadline
            .is_some_and(|deadline| self.watched.ended >= deadline)
    }

    fn has_failed_last(&self) -> bool {
        matches!(self.watched.polls.last(), Some((_, Seen::Failed(_))))
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
        let failures = self.failures().collect::<Vec<_>>();
        let answered = failures.len() < self.watched.polls.len();
        let over = if answered { CONFIRMED } else { FIRST_REFUSAL };
        refused(failures, by).is_some_and(|(refusals, lasted)| refusals >= 3 && lasted >= over)
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
        self.watched.ended - first - asked >= self.limit(self.script.limits.outage_timeout)
    }

    /// By when it has to end: soon after all has settled, where that decides, else at the deadline.
    fn latest_end(&self) -> Ms {
        let limits = &self.script.limits;
        let deadline = self.watched.deadline.unwrap_or(Ms::MAX);
        let world = &self.watched.world;
        let disturbed = self
            .script
            .disturbances
            .iter()
            .map(|d| d.from + d.lasts)
            .max();
        let asked = self.script.disturbances.iter().map(|d| match d.kind {
            Kind::Failing(FailureClass::Transient {
                retry_after: Some(asked),
            }) => millis(asked),
            _ => 0,
        });
        let settled = world
            .settles()
            .max(self.watched.command_ended.unwrap_or(0))
            .max(disturbed.unwrap_or(0))
            .max(0)
            + asked.max().unwrap_or(0);
        let takes = 2 * LONGEST_PAUSE
            + 2 * CONFIRMED
            + self.limit(limits.appear_timeout)
            + self.limit(limits.stable_for)
            + self.limit(limits.pull_grace);
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
                Until::Drained => last.previous.is_none(),
            };
        !complete && !self.has_failed(target, |of| of == target)
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
