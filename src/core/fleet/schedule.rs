//! When to check which agent: spread evenly, and less often where there are too many for the limit on requests.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::time::Duration;

/// How soon an agent is checked again whose recovery somebody waits for, at most.
const SOON: Duration = Duration::from_secs(30);

/// When an agent is checked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum NextCheck {
    /// After this long: what was seen has to be confirmed.
    Confirm(Duration),
    /// Soon: it is not ready, or could not be read.
    Soon,
    /// At the usual interval.
    Regular,
    /// Not at all: it is gone, or its rollout is followed, which ends in another check.
    Never,
}

/// Which checks go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Something is known to have happened, or has to be confirmed: nothing holds it up.
    Urgent,
    /// It looks after an agent at rest, a few at once, with a fifth of the budget at least.
    Regular,
}

/// When to check which agent. Times are counted from the start of the program.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    interval: Duration,
    /// Checks a second at most.
    budget: f64,
    /// What is due, and when.
    due: BTreeSet<(Urgency, Duration, String)>,
    /// Where each agent is among that; it may have been taken out.
    of_agent: BTreeMap<String, (Urgency, Duration)>,
    /// Those whose checks are not spread yet.
    unspread: BTreeSet<String>,
}

impl Schedule {
    /// Checks each agent once an `interval`, with half of so many requests a second at most.
    pub(super) fn new(interval: Duration, max_rps: NonZeroU32) -> Self {
        Self {
            interval,
            budget: f64::from(max_rps.get()) / 2.0,
            due: BTreeSet::new(),
            of_agent: BTreeMap::new(),
            unspread: BTreeSet::new(),
        }
    }

    /// Checks each agent once in another interval from `at` on: what would come later than that is spread
    /// over the interval.
    pub(super) fn set_interval(&mut self, at: Duration, interval: Duration) {
        self.interval = interval;
        let interval = self.interval();
        let limit = at.saturating_add(interval);
        let late: Vec<String> = self
            .due
            .iter()
            .rev()
            .take_while(|(urgency, due, _)| *urgency == Urgency::Regular && *due > limit)
            .map(|(_, _, agent)| agent.clone())
            .collect();
        for agent in late {
            let place = interval.mul_f64(place(&agent));
            self.put(at.saturating_add(place), &agent, Urgency::Regular);
        }
    }

    /// How often each agent is checked if all goes well.
    pub(super) fn interval(&self) -> Duration {
        self.interval.max(self.shortest_round())
    }

    /// For how long, at `at`, the check has been due that waits the longest, or whose answer does.
    pub(super) fn lateness(&self, at: Duration) -> Duration {
        let late = self
            .of_agent
            .values()
            .map(|(_, due)| at.saturating_sub(*due));
        late.max().unwrap_or_default()
    }

    /// Takes in an agent that is new at `at`.
    ///
    /// Its first check comes as soon as the budget allows for all that are there, its second anywhere
    /// within an interval, by its name: so it is soon known how all of them are, and checks are spread
    /// evenly from then on.
    pub(super) fn add(&mut self, at: Duration, agent: &str) {
        // It counts already for how long a round takes.
        self.put(at, agent, Urgency::Regular);
        let soon = self.shortest_round().mul_f64(place(agent));
        self.put(at.saturating_add(soon), agent, Urgency::Regular);
        self.unspread.insert(agent.to_owned());
    }

    /// Whether no check is to come.
    pub(super) fn is_empty(&self) -> bool {
        self.of_agent.is_empty()
    }

    /// Has an agent checked again, when its last check, at `at`, says so.
    pub(super) fn again(&mut self, at: Duration, agent: &str, next: NextCheck) {
        let spread = next == NextCheck::Regular && self.unspread.remove(agent);
        let wait = match next {
            _ if spread => self.interval().mul_f64(place(agent)),
            NextCheck::Confirm(after) => after,
            NextCheck::Soon => SOON.min(self.interval()),
            NextCheck::Regular => self.interval(),
            NextCheck::Never => return self.remove(agent),
        };
        let urgency = match next {
            NextCheck::Confirm(_) => Urgency::Urgent,
            NextCheck::Soon | NextCheck::Regular | NextCheck::Never => Urgency::Regular,
        };
        self.put(at.saturating_add(wait), agent, urgency);
    }

    /// Checks an agent no more.
    pub(super) fn remove(&mut self, agent: &str) {
        self.take_out(agent);
        self.unspread.remove(agent);
    }

    /// When the next check of this urgency is due.
    pub(super) fn next(&self, urgency: Urgency) -> Option<Duration> {
        self.first(urgency).map(|(_, due, _)| *due)
    }

    /// Takes out an agent that is due at `at` with this urgency. It has to be put back by [`Schedule::again`].
    pub(super) fn take(&mut self, at: Duration, urgency: Urgency) -> Option<String> {
        let first = self
            .first(urgency)
            .filter(|(_, due, _)| *due <= at)?
            .clone();
        self.due.remove(&first);
        Some(first.2)
    }

    fn first(&self, urgency: Urgency) -> Option<&(Urgency, Duration, String)> {
        let from = (urgency, Duration::ZERO, String::new());
        self.due
            .range(from..)
            .next()
            .filter(|first| first.0 == urgency)
    }

    /// How long a check of every agent takes.
    fn shortest_round(&self) -> Duration {
        let agents = f64::from(u32::try_from(self.of_agent.len()).unwrap_or(u32::MAX));
        Duration::from_secs_f64(agents / self.budget)
    }

    fn take_out(&mut self, agent: &str) {
        if let Some((urgency, due)) = self.of_agent.remove(agent) {
            self.due.remove(&(urgency, due, agent.to_owned()));
        }
    }

    /// Has an agent checked at a time.
    pub(super) fn put(&mut self, due: Duration, agent: &str, urgency: Urgency) {
        self.take_out(agent);
        self.of_agent.insert(agent.to_owned(), (urgency, due));
        self.due.insert((urgency, due, agent.to_owned()));
    }
}

/// Where within an interval, from 0 to 1, an agent of this name has its place.
fn place(agent: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    agent.hash(&mut hasher);
    f64::from(u32::try_from(hasher.finish() % 1_000_000).unwrap_or(0)) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(max_rps: u32) -> Schedule {
        Schedule::new(300 * SECOND, NonZeroU32::new(max_rps).unwrap())
    }

    /// How many agents are looked at in each tenth of so long from `from` on; they are looked at
    /// again when it is their turn.
    fn tenths(schedule: &mut Schedule, from: Duration, length: Duration) -> [usize; 10] {
        let mut tenths = [0; 10];
        while let Some(due) = schedule
            .next(Urgency::Regular)
            .filter(|due| *due < from + length)
        {
            let place = due.saturating_sub(from).as_secs_f64() / length.as_secs_f64();
            let tenth = (0..9).find(|tenth| place < f64::from(tenth + 1) / 10.0);
            tenths[usize::try_from(tenth.unwrap_or(9)).unwrap()] += 1;
            let agent = schedule.take(due, Urgency::Regular).unwrap();
            schedule.again(due, &agent, NextCheck::Regular);
        }
        tenths
    }

    #[test]
    fn first_looks_come_soon_and_later_ones_are_spread_evenly() {
        let mut schedule = schedule(100);
        for number in 0..1000 {
            schedule.add(SECOND, &format!("agent-{number}"));
        }
        // Half of 100 a second make 20 seconds, into which nobody's second look falls but by chance.
        let first: usize = tenths(&mut schedule, SECOND, 20 * SECOND).iter().sum();
        assert!((1000..1100).contains(&first), "{first}");
        let _ = tenths(&mut schedule, 21 * SECOND, 300 * SECOND);
        let later = tenths(&mut schedule, 321 * SECOND, 300 * SECOND);
        assert!(
            later.iter().all(|count| (60..140).contains(count)),
            "{later:?}"
        );
        assert_eq!(later.iter().sum::<usize>(), 1000);
    }

    #[test]
    fn looks_stretch_where_half_the_budget_cannot_carry_them() {
        let mut schedule = schedule(10);
        for number in 0..1500 {
            schedule.add(Duration::ZERO, &format!("agent-{number}"));
        }
        assert_eq!(schedule.interval(), 300 * SECOND);
        for number in 1500..10_000 {
            schedule.add(Duration::ZERO, &format!("agent-{number}"));
        }
        assert_eq!(schedule.interval(), 2000 * SECOND);
    }

    #[test]
    fn the_last_look_decides_when_the_next_is() {
        let mut schedule = schedule(10);
        let at = 10 * SECOND;
        for (next, due) in [
            (NextCheck::Confirm(SECOND), [Some(11), None]),
            (NextCheck::Soon, [None, Some(40)]),
            (NextCheck::Regular, [None, Some(310)]),
            (NextCheck::Never, [None, None]),
        ] {
            schedule.again(at, "a", next);
            let next_of = [Urgency::Urgent, Urgency::Regular].map(|lane| schedule.next(lane));
            let due = due.map(|due| due.map(Duration::from_secs));
            assert_eq!(next_of, due, "{next:?}");
        }
        schedule.again(at, "a", NextCheck::Regular);
        assert_eq!(schedule.take(310 * SECOND, Urgency::Urgent), None);
        assert_eq!(schedule.take(309 * SECOND, Urgency::Regular), None);
        let taken = schedule.take(310 * SECOND, Urgency::Regular);
        assert_eq!(taken.as_deref(), Some("a"));
        assert_eq!(schedule.next(Urgency::Regular), None);
        schedule.remove("a");
        schedule.again(at, "a", NextCheck::Confirm(SECOND));
        schedule.remove("a");
        assert_eq!(schedule.next(Urgency::Urgent), None);
    }
}
