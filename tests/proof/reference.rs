//! The contract's rules once more, written as questions about a whole history: nothing is remembered,
//! every answer is looked for in what was seen. It is slow, and shares nothing with the machine.

mod failing;

use pipecat_rollout::fuzzing::rollout::{
    FailureClass, Limits, NewRevision, Policy, TargetRule, Unchanged, Until, Verdict,
};

use crate::history::{Moment, Runs, Seen, Told};

/// How often in a row what is doubtful must be seen (rules 3 and 4).
const CONFIRMED: usize = 3;

/// How a history ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// With which moment.
    pub(crate) moment: usize,
    pub(crate) verdict: Verdict,
    pub(crate) target: Option<String>,
    /// Whether it is ready on another deployment's revision.
    pub(crate) unchanged: bool,
}

/// The end of a history, if it has one, for an agent that stood so before it.
pub(crate) fn judge(policy: &Policy, before: Option<Told>, moments: &[Moment]) -> Option<End> {
    let mut history = History {
        policy,
        moments,
        before,
        views: Vec::new(),
    };
    for now in 0..moments.len() {
        history.views.push(history.view(now));
        if let Some((verdict, unchanged)) = history.ends(now) {
            return Some(End {
                moment: now,
                verdict,
                target: history.views[now].target.map(str::to_owned),
                unchanged,
            });
        }
    }
    None
}

/// What each moment shows, as far as it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct View {
    /// Whether it is an answer that goes back behind what was seen, and how.
    behind: Option<Back>,
    /// Whether it is an answer with details that is believed.
    believed: bool,
    target: Option<&'static str>,
    /// Whether the target has been desired.
    shown: bool,
}

/// How an answer goes back (rule 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    Absent,
    Undeployed,
    Desired(&'static str),
    Reconciled(Option<&'static str>),
    Phase(u8),
    Older,
}

impl Back {
    /// Whether both go back in the same way, whatever else they say.
    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

struct History<'a> {
    policy: &'a Policy,
    moments: &'a [Moment],
    before: Option<Told>,
    views: Vec<View>,
}

impl History<'_> {
    fn limits(&self) -> &Limits {
        self.policy.limits()
    }

    fn at(&self, moment: usize) -> u64 {
        self.moments[moment].at
    }

    fn told(&self, moment: usize) -> Option<&Told> {
        match &self.moments[moment].seen {
            Seen::Answer(told) => Some(told),
            _ => None,
        }
    }

    /// The details that were believed last before a moment.
    fn newest(&self, before: usize) -> Option<&Told> {
        let believed = (0..before)
            .rev()
            .find(|&moment| self.views[moment].believed);
        believed
            .and_then(|moment| self.told(moment))
            .or(self.before.as_ref())
    }

    /// The newest details, with the dates that were told last of the same deployment.
    fn dated(&self, before: usize) -> Option<Told> {
        let newest = *self.newest(before)?;
        let believed = (0..before)
            .rev()
            .filter(|&moment| self.views[moment].believed);
        let told = believed.filter_map(|moment| self.told(moment));
        let same: Vec<&Told> = told
            .chain(self.before.as_ref())
            .take_while(|told| told.desired == newest.desired)
            .collect();
        let last = |date: fn(&Told) -> Option<u8>| same.iter().find_map(|told| date(told));
        Some(Told {
            created: last(|told| told.created),
            changed: last(|told| told.changed),
            updated: last(|told| told.updated),
            ..newest
        })
    }

    /// Moments before this one that brought an answer, the latest first.
    fn answers(&self, before: usize) -> impl Iterator<Item = usize> {
        let is_answer =
            |&moment: &usize| matches!(self.moments[moment].seen, Seen::Answer(_) | Seen::Absent);
        (0..before).rev().filter(is_answer)
    }

    /// Believed details up to and with this moment, the latest first.
    fn believed(&self, now: usize) -> impl Iterator<Item = usize> {
        (0..=now)
            .rev()
            .filter(|&moment| self.views[moment].believed)
    }

    // What is believed, and what the target is.

    fn view(&self, now: usize) -> View {
        let last = self.views.last().copied().unwrap_or(View {
            behind: None,
            believed: false,
            target: match self.policy.target() {
                TargetRule::Deployment(id) => Some(crate::history::known(id)),
                _ => None,
            },
            shown: false,
        });
        let behind = self.goes_back(now, last.shown);
        let believed = self.told(now).is_some()
            && behind.is_none_or(|back| back != Back::Undeployed && self.is_confirmed(now, back));
        let (target, shown) = match self.told(now).filter(|_| believed) {
            Some(told) => self.target(now, told, &last),
            None => (last.target, last.shown),
        };
        View {
            behind,
            believed,
            target,
            shown,
        }
    }

    /// Rule 4: whether it goes back behind what is believed.
    fn goes_back(&self, now: usize, shown: bool) -> Option<Back> {
        let seen = self.dated(now)?;
        let told = match &self.moments[now].seen {
            // What was before this watch may have gone with the deploy.
            Seen::Absent => return self.has_appeared(now).then_some(Back::Absent),
            Seen::Answer(told) => told,
            Seen::Failed(_) | Seen::Nothing => return None,
        };
        let before = seen.desired?;
        let Some(desired) = told.desired else {
            return Some(Back::Undeployed);
        };
        let older = |one: Option<u8>, other: Option<u8>| one.zip(other).is_some_and(|(a, b)| a < b);
        if desired != before {
            let onward = if shown {
                self.is_newer(now, told)
            } else {
                !older(told.created, seen.created)
            };
            let outdated = older(told.updated, seen.updated);
            return (outdated || !onward).then_some(Back::Desired(desired));
        }
        if older(told.updated, seen.updated) || older(told.changed, seen.changed) {
            return Some(Back::Older);
        }
        let taken_up = |told: &Told| told.reconciled == told.desired;
        match (taken_up(&seen), taken_up(told)) {
            (true, false) => Some(Back::Reconciled(told.reconciled)),
            (true, true) => match (place(&seen), place(told)) {
                (Some(seen), Some(told)) if told < seen => Some(Back::Phase(told)),
                _ => None,
            },
            (false, _) => None,
        }
    }

    /// Rule 4: whether the two answers before this one went back in the same way.
    fn is_confirmed(&self, now: usize, back: Back) -> bool {
        let same = self.answers(now).take_while(|&moment| {
            let view = &self.views[moment];
            view.behind.is_some_and(|seen| seen.is_like(back)) && !view.believed
        });
        same.take(CONFIRMED - 1).count() == CONFIRMED - 1
    }

    /// The target, and whether it is in view, with believed details.
    fn target(&self, now: usize, told: &Told, last: &View) -> (Option<&'static str>, bool) {
        if self.limits().until == Until::Desired {
            // What is desired is all that is asked.
            return (told.desired, false);
        }
        let (mut target, mut shown) = (last.target, last.shown);
        let TargetRule::AnyBut(baseline) = self.policy.target() else {
            let target = target.or(told.desired);
            return (target, shown || target.is_some() && told.desired == target);
        };
        let stands = told.desired == Some(baseline.as_str());
        let mut lose = || (target, shown) = (None, false);
        // A deployment that turns out to be from before the baseline is none that was waited for.
        if stands && last.shown && last.target != told.desired && self.is_newer(now, told) {
            lose();
        }
        if self.limits().unchanged == Unchanged::Accept {
            let in_time =
                self.at(now) < millis(self.limits().appear_timeout.min(self.limits().timeout));
            if last.target == Some(baseline.as_str()) && !stands && told.desired.is_some() {
                lose();
            }
            let confirmed = 1 + self.answers_without_target(now, last.shown) >= CONFIRMED;
            if target.is_none() && stands && !in_time && confirmed {
                target = told.desired;
            }
        }
        let target = target.or(told.desired.filter(|_| !stands));
        shown |= target.is_some() && told.desired == target;
        (target, shown)
    }

    /// Whether an answer shows another deployment that is known to be newer.
    fn is_newer(&self, now: usize, told: &Told) -> bool {
        let seen = self.dated(now).and_then(|seen| seen.created);
        let newer = seen
            .zip(told.created)
            .is_some_and(|(seen, told)| seen < told);
        newer && !self.rolled_back(now) && told.desired != self.replaced(now)
    }

    /// The deployment that was reconciled last while the one that is desired was not: it came before.
    fn replaced(&self, before: usize) -> Option<&'static str> {
        let desired = self.newest(before)?.desired;
        let believed = (0..before)
            .rev()
            .filter(|&moment| self.views[moment].believed);
        let told = believed.filter_map(|moment| self.told(moment));
        let mut same = told
            .chain(self.before.as_ref())
            .take_while(|told| told.desired == desired);
        let other = |told: &Told| told.reconciled.filter(|_| told.reconciled != told.desired);
        same.find_map(other)
    }

    /// Whether an answer before this moment has shown the agent.
    fn has_appeared(&self, before: usize) -> bool {
        (0..before).any(|moment| self.told(moment).is_some())
    }

    /// How many answers before this moment, none of them doubted, have come since the target was in
    /// view, which it is or is not before this one.
    fn answers_without_target(&self, now: usize, shown: bool) -> usize {
        if shown {
            return 0;
        }
        let hidden = (0..now)
            .rev()
            .take_while(|&moment| !self.views[moment].shown);
        // The answer that lost it does not count.
        let lost = hidden.last().filter(|&lost| lost > 0);
        let first = lost.map_or(0, |lost| lost + 1);
        let since = self.answers(now).take_while(|&moment| moment >= first);
        since.filter(|&moment| self.is_undoubted(moment)).count()
    }

    /// Whether a moment's answer is not one that is set aside.
    fn is_undoubted(&self, moment: usize) -> bool {
        self.views[moment].believed || self.views[moment].behind.is_none()
    }

    /// Whether one took another's place without being newer: then age tells nothing of order.
    fn rolled_back(&self, before: usize) -> bool {
        let mut earlier = self.views[..before].iter();
        earlier.any(|view| view.believed && matches!(view.behind, Some(Back::Desired(_))))
    }

    // What it comes to.

    /// The verdict at a moment, and whether the revision is another deployment's.
    fn ends(&self, now: usize) -> Option<(Verdict, bool)> {
        let decided = match &self.moments[now].seen {
            Seen::Nothing => None,
            Seen::Failed(class) => self.refused(now, *class).map(plain),
            Seen::Absent => self.absent(now).map(plain),
            Seen::Answer(told) if self.views[now].believed => self.judged(now, told),
            Seen::Answer(told) => {
                let awaits = !self.views[now].shown && self.limits().until != Until::Desired;
                let nothing = awaits && told.desired.is_none();
                let never = (nothing && self.is_late(now)).then_some(plain(Verdict::Unchanged));
                never.or_else(|| self.stands_still(now))
            }
        };
        decided.or_else(|| self.overdue(now).map(plain))
    }

    /// Whether what is waited for has not come in time, by three answers: one may be from the past.
    fn is_late(&self, now: usize) -> bool {
        let shown = now > 0 && self.views[now - 1].shown;
        let answers = self.answers_without_target(now, shown) + usize::from(self.is_undoubted(now));
        let undeployed = self.views[now].behind == Some(Back::Undeployed);
        let confirmed =
            answers >= CONFIRMED || undeployed && self.is_confirmed(now, Back::Undeployed);
        self.at(now) >= millis(self.limits().appear_timeout) && confirmed
    }

    /// Failed polls in a row up to this moment, the latest first.
    fn silence(&self, now: usize) -> Vec<(usize, FailureClass)> {
        let mut silence = Vec::new();
        for moment in (0..=now).rev() {
            match self.moments[moment].seen {
                Seen::Failed(class) => silence.push((moment, class)),
                Seen::Nothing => {}
                Seen::Answer(_) | Seen::Absent => break,
            }
        }
        silence
    }

    fn refused(&self, now: usize, class: FailureClass) -> Option<Verdict> {
        let refusals = self.silence(now);
        let refusals = refusals
            .iter()
            .filter(|(_, class)| *class == FailureClass::Unauthorized);
        match class {
            FailureClass::Refused => Some(Verdict::Unavailable),
            FailureClass::Unauthorized => {
                (refusals.count() >= CONFIRMED).then_some(Verdict::Unauthorized)
            }
            FailureClass::Transient { .. } => None,
        }
    }

    fn absent(&self, now: usize) -> Option<Verdict> {
        if self.has_appeared(now) {
            return if self.is_confirmed(now, Back::Absent) {
                Some(Verdict::NotFound)
            } else {
                self.stands_still(now).map(|(verdict, _)| verdict)
            };
        }
        let ends = match self.limits().until {
            Until::Desired => self.answers(now + 1).count() >= CONFIRMED,
            Until::Ready | Until::Drained => self.is_late(now),
        };
        ends.then_some(Verdict::NotFound)
    }

    fn overdue(&self, now: usize) -> Option<Verdict> {
        let silence = self.silence(now);
        if self.at(now) >= millis(self.limits().timeout) {
            return Some(self.at_deadline(now, &silence));
        }
        let (first, _) = silence.last()?;
        let lasted = self.at(now) - self.at(*first);
        (lasted >= millis(self.limits().outage_timeout)).then_some(Verdict::Unavailable)
    }

    fn at_deadline(&self, now: usize, silence: &[(usize, FailureClass)]) -> Verdict {
        let asked = |moment: &Moment| !matches!(moment.seen, Seen::Nothing);
        match silence.first() {
            Some((_, FailureClass::Unauthorized)) => Verdict::Unauthorized,
            Some(_) => Verdict::Unavailable,
            None if !self.moments[..=now].iter().any(asked) => Verdict::Unavailable,
            // No three answers have agreed.
            None if self.limits().until == Until::Desired => Verdict::Unavailable,
            None if !self.has_appeared(now + 1) => Verdict::NotFound,
            None if !self.views[now].shown => Verdict::Unchanged,
            None => self.blamed(now, Verdict::Timeout),
        }
    }

    /// What fails or runs out of time under an issue of the platform's is the platform's fault.
    fn blamed(&self, now: usize, verdict: Verdict) -> Verdict {
        let newest = self.believed(now).next();
        let own = newest.and_then(|newest| self.of_target(newest, now)?.own());
        match own {
            Some(own) if own.infrastructure => Verdict::Infrastructure,
            _ => verdict,
        }
    }

    /// What a believed answer says, if it is about the target: desired, and reconciled.
    fn of_target(&self, moment: usize, now: usize) -> Option<&Told> {
        let told = self.told(moment)?;
        let target = self.views[now].target;
        let about = target.is_some() && told.desired == target && told.reconciled == target;
        about.then_some(told)
    }

    /// Believed answers about the target up to now, the latest first, back to the last that shows
    /// another deployment desired or reconciled (rule 1), or to when it became the target.
    fn about(&self, now: usize) -> Vec<(usize, &Told)> {
        let target = self.views[now].target;
        let answers = self.believed(now);
        let answers = answers.take_while(|&moment| self.views[moment].target == target);
        let told = answers.map_while(|moment| Some((moment, self.of_target(moment, now)?)));
        told.collect()
    }

    /// What believed details come to.
    fn judged(&self, now: usize, told: &Told) -> Option<(Verdict, bool)> {
        if self.limits().until == Until::Desired {
            return self.standing(now, told).map(plain);
        }
        let view = &self.views[now];
        if view.target.is_none() || told.desired != view.target {
            if view.shown {
                return Some(plain(Verdict::Superseded));
            }
            return self.is_late(now).then_some(plain(Verdict::Unchanged));
        }
        let Some(told) = self.of_target(now, now) else {
            return self.stalled(now);
        };
        if told.ready {
            self.is_ready(now, told)
        } else {
            self.has_failed(now, told)
                .then(|| plain(self.blamed(now, Verdict::Failed)))
                .or_else(|| self.stalled(now))
        }
    }

    /// The baseline of a deploy: how the agent stands, three times the same.
    fn standing(&self, now: usize, told: &Told) -> Option<Verdict> {
        let mut latest = self.believed(now).take(CONFIRMED);
        let same =
            latest.all(|moment| self.told(moment).is_some_and(|t| t.desired == told.desired));
        let enough = self.believed(now).count() >= CONFIRMED;
        (same && enough).then_some(match told.desired {
            Some(_) => Verdict::Ready,
            None => Verdict::Unchanged,
        })
    }

    // Rule 3, and what must hold.

    fn is_ready(&self, now: usize, told: &Told) -> Option<(Verdict, bool)> {
        if told.contradicts() {
            let confirmed = self.in_a_row(now, Told::contradicts) >= CONFIRMED;
            return confirmed.then(|| plain(self.blamed(now, Verdict::Failed)));
        }
        if self.is_not_new(told) {
            let confirmed = self.in_a_row(now, |told| self.is_not_new(told)) >= CONFIRMED;
            return confirmed.then_some((Verdict::Failed, true));
        }
        if self.is_unproven(told) {
            return self.stalled(now);
        }
        let held = self.held(now);
        let enough = held.iter().filter(|moment| {
            let first = held.last().copied().unwrap_or(now);
            self.at(**moment) - self.at(first) >= millis(self.limits().stable_for)
        });
        let needed = if self.is_after_baseline(now) {
            1
        } else {
            CONFIRMED
        };
        let drains = self.limits().until == Until::Drained && told.previous;
        if enough.count() >= needed && !drains {
            return Some((Verdict::Ready, told.is_of_another()));
        }
        if drains { self.stalled(now) } else { None }
    }

    /// Answers up to now, believed or not, that in a row say so of the target.
    fn in_a_row(&self, now: usize, says: impl Fn(&Told) -> bool) -> usize {
        let target = self.views[now].target;
        let row = self.answers(now + 1).take_while(|&moment| {
            let of_target = self.views[moment].believed && self.views[moment].target == target;
            of_target && self.of_target(moment, now).is_some_and(&says)
        });
        row.count()
    }

    fn is_not_new(&self, told: &Told) -> bool {
        self.limits().new_revision == NewRevision::Required && told.ready && told.is_of_another()
    }

    /// Whether a revision of its own is asked for, and none is shown.
    fn is_unproven(&self, told: &Told) -> bool {
        self.limits().new_revision == NewRevision::Required && told.own().is_none()
    }

    /// Believed answers in a row that show the target ready, the latest first.
    fn held(&self, now: usize) -> Vec<usize> {
        let about = self.about(now);
        let holds = |told: &Told| told.ready && !told.contradicts() && !self.is_unproven(told);
        let ready = about.iter().take_while(|(_, told)| holds(told));
        ready.map(|(moment, _)| *moment).collect()
    }

    /// Whether it is certain that the target is not from before the baseline: by its age, or
    /// because that it is the desired one has been confirmed.
    fn is_after_baseline(&self, now: usize) -> bool {
        let TargetRule::AnyBut(baseline) = self.policy.target() else {
            return true;
        };
        let target = self.views[now].target;
        if self.limits().timeout.is_zero() || target == Some(baseline.as_str()) {
            return true;
        }
        let found = self.believed(now);
        let found = found.take_while(|&moment| self.views[moment].target == target);
        let found = found.last().unwrap_or(now);
        let shown = self
            .told(found)
            .is_some_and(|told| self.is_newer(found, told));
        shown || self.views[found].behind.is_some()
    }
}

impl Told {
    /// The revision of the desired deployment (rule 5).
    fn own(&self) -> Option<&Runs> {
        self.revision
            .as_ref()
            .filter(|runs| Some(runs.of) == self.desired)
    }

    fn contradicts(&self) -> bool {
        self.ready && self.own().is_some_and(|own| own.phase == Some("Failed"))
    }

    fn is_of_another(&self) -> bool {
        self.revision
            .is_some_and(|runs| Some(runs.of) != self.desired)
    }

    /// What moves, as far as it is the target's.
    fn motion(&self) -> impl PartialEq + use<> {
        let taken_up = self.desired == self.reconciled;
        (
            self.reconciled,
            self.own().copied().filter(|_| taken_up),
            (taken_up && self.ready).then_some((self.previous, self.sessions)),
        )
    }
}

/// The place of a revision's phase on its way; none where it cannot be told.
fn place(told: &Told) -> Option<u8> {
    let Some(own) = told.own() else {
        return Some(0);
    };
    match own.phase? {
        "Creating" => Some(1),
        "Validating" => Some(2),
        "Active" => Some(3),
        "Draining" => Some(4),
        "Failed" => Some(5),
        _ => None,
    }
}

fn plain(verdict: Verdict) -> (Verdict, bool) {
    (verdict, false)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}
