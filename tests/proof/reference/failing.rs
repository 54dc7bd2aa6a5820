//! How a target fails or stands still, as the contract has it: rules 5 to 8, and `--stall-timeout`.

use pipecat_rollout::fuzzing::rollout::Verdict;

use super::{CONFIRMED, History, millis, plain};
use crate::history::{Ails, Told};

impl History<'_> {
    /// Whether the target has failed (rules 5 to 8).
    pub(super) fn has_failed(&self, now: usize, told: &Told) -> bool {
        if told.own().is_some_and(|own| own.phase == Some("Failed")) {
            return true;
        }
        let about = self.about(now);
        let twice = |shows: &dyn Fn(&Told) -> bool| {
            about.len() >= 2
                && about[..2]
                    .iter()
                    .all(|(_, told)| !told.ready && shows(told))
        };
        if twice(&|told| told.errors) {
            return true;
        }
        if told.own().is_some_and(|own| own.infrastructure) {
            return false;
        }
        let ails = |told: &Told, class: fn(Ails) -> bool| {
            told.own()
                .is_some_and(|own| !own.infrastructure && class(own.ails))
        };
        twice(&|told| ails(told, |ails| matches!(ails, Ails::Unmendable(_))))
            || ails(told, |ails| matches!(ails, Ails::Crashing(_)))
                && restarts(&about, told) >= self.most_restarts(told)
            || self.lacks_image(now, &about)
    }

    /// Not pulling, or degraded, for as long as is granted.
    fn lacks_image(&self, now: usize, about: &[(usize, &Told)]) -> bool {
        let lacks = |told: &Told| {
            let own = told.own();
            let calm = own.is_none_or(|own| !own.infrastructure);
            let pulls = own.is_some_and(|own| matches!(own.ails, Ails::NotPulling(_)));
            !told.ready && calm && (pulls || told.degraded)
        };
        let run = about.iter().take_while(|(_, told)| lacks(told));
        let lasted = run.last().map(|(first, _)| self.at(now) - self.at(*first));
        lasted.is_some_and(|lasted| lasted >= millis(self.limits().pull_grace))
    }

    fn most_restarts(&self, told: &Told) -> u64 {
        let started = told.own().and_then(|own| own.started).unwrap_or(1).max(1);
        u64::from(self.limits().max_restarts.get()) * u64::from(started)
    }

    /// Whether the target stalls by answers that are not believed: three in a row, none of which says
    /// that it is ready, and not while it is.
    pub(super) fn stands_still(&self, now: usize) -> Option<(Verdict, bool)> {
        let newest = self.believed(now).next()?;
        let doubted = self
            .answers(now + 1)
            .take_while(|&moment| !self.views[moment].believed && !self.claims_ready(moment));
        let enough = doubted.count() >= CONFIRMED;
        let waits = enough && self.views[now].shown && self.held(newest).is_empty();
        waits.then(|| self.stalled(now)).flatten()
    }

    /// Whether an answer, believed or not, says that the target is ready: then it has moved.
    fn claims_ready(&self, moment: usize) -> bool {
        let target = self.views[moment].target;
        self.told(moment)
            .is_some_and(|told| told.ready && told.desired == target && told.reconciled == target)
    }

    /// Whether nothing about the target has moved for as long as it may stand still.
    pub(super) fn stalled(&self, now: usize) -> Option<(Verdict, bool)> {
        let limit = millis(self.limits().stall_timeout?);
        let target = self.views[now].target;
        // Back to when the target came into view for good.
        let of_target = self.believed(now).take_while(|&moment| {
            let told = self.told(moment);
            told.is_some_and(|told| told.desired == target) && self.views[moment].target == target
        });
        let of_target: Vec<usize> = of_target.collect();
        let moves = |pair: &[usize]| {
            let [later, earlier] = [pair[0], pair[1]].map(|moment| self.told(moment));
            later.map(Told::motion) != earlier.map(Told::motion)
        };
        let last = of_target.windows(2).position(moves);
        let since = last.map_or(*of_target.last()?, |place| of_target[place]);
        let still = self.at(now) - self.at(since) >= limit;
        still.then(|| plain(self.blamed(now, Verdict::Stalled)))
    }
}

/// Restarts that count: those from before the end of an issue of the platform's do not (rule 8).
fn restarts(about: &[(usize, &Told)], told: &Told) -> u64 {
    let issue = |told: &Told| told.own().is_some_and(|own| own.infrastructure);
    let count = |told: &Told| told.own().and_then(|own| own.restarts);
    let Some(count_now) = count(told) else {
        return 0;
    };
    let Some(last_issue) = about.iter().position(|(_, told)| issue(told)) else {
        return u64::from(count_now);
    };
    // What is excused: the total at the first sight after it; else the last one during it; else the
    // first one after it.
    let after = || {
        about[..last_issue]
            .iter()
            .rev()
            .map(|(_, told)| count(told))
    };
    let during = about[last_issue..]
        .iter()
        .take_while(|(_, told)| issue(told));
    let first = after().next().flatten();
    let last_during = during.clone().find_map(|(_, told)| count(told));
    let excused = first
        .or(last_during)
        .or(after().flatten().next())
        .unwrap_or(0);
    if count_now >= excused {
        return u64::from(count_now - excused);
    }
    // With a replica that is gone its restarts are: the least since the total fell counts.
    let told_since = about[..last_issue]
        .iter()
        .filter_map(|(_, told)| count(told));
    let least = told_since.take_while(|count| *count < excused).min();
    u64::from(count_now - least.unwrap_or(count_now))
}
