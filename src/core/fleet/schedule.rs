//! When to look at which agent at rest: spread evenly, stretched where there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::time::Duration;

use super::NextLook;

/// How soon to look again at what has to be confirmed.
const TO_CONFIRM: Duration = Duration::from_secs(1);
/// How soon to look again at an agent of which somebody awaits the recovery, at most.
const WATCHFUL: Duration = Duration::from_secs(30);

/// When to look at which agent. Times are counted from the start of the program.
#[derive(Debug, Clone)]
pub struct Schedule {
    interval: Duration,
    /// Looks a second at most.
    budget: f64,
    due: BTreeSet<(Duration, String)>,
    of_agent: BTreeMap<String, Duration>,
    /// Those whose looks are not spread yet.
    unspread: BTreeSet<String>,
}

impl Schedule {
    /// Looks at each agent once an `interval`, with half of so many requests a second at most.
    #[must_use]
    pub fn new(interval: Duration, max_rps: NonZeroU32) -> Self {
        Self {
            interval,
            budget: f64::from(max_rps.get()) / 2.0,
            due: BTreeSet::new(),
            of_agent: BTreeMap::new(),
            unspread: BTreeSet::new(),
        }
    }

    /// The interval at which agents are looked at in truth.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval.max(self.shortest_round())
    }

    /// Takes in an agent that is new at `at`.
    ///
    /// Its first look comes as soon as the budget allows for all that are there, its second
    /// anywhere within an interval, at a place that its name decides: so that it is soon known how
    /// everybody stands, and looks are spread evenly from then on.
    pub fn add(&mut self, at: Duration, agent: &str) {
        self.put(at, agent);
        let soon = self.shortest_round().mul_f64(place(agent));
        self.put(at.saturating_add(soon), agent);
        self.unspread.insert(agent.to_owned());
    }

    /// Takes in an agent that is to be looked at at once.
    pub fn add_at_once(&mut self, at: Duration, agent: &str) {
        self.put(at, agent);
    }

    /// Whether there is no look to come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of_agent.is_empty()
    }

    /// Looks at an agent next when its last look, at `at`, says so.
    pub fn again(&mut self, at: Duration, agent: &str, next: NextLook) {
        let spread = next == NextLook::Regular && self.unspread.remove(agent);
        let wait = match next {
            _ if spread => self.interval().mul_f64(place(agent)),
            NextLook::ToConfirm => TO_CONFIRM,
            NextLook::Watchful => WATCHFUL.min(self.interval()),
            NextLook::Regular => self.interval(),
            NextLook::Never => return self.remove(agent),
        };
        self.put(at.saturating_add(wait), agent);
    }

    /// Looks at an agent no more.
    pub fn remove(&mut self, agent: &str) {
        self.take_out(agent);
        self.unspread.remove(agent);
    }

    /// When the next look is due.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Takes out an agent whose look is due at `at`. It has to be put back by [`Schedule::again`].
    pub fn take(&mut self, at: Duration) -> Option<String> {
        let (due, agent) = self.due.first()?;
        if *due > at {
            return None;
        }
        let agent = agent.clone();
        self.due.pop_first();
        Some(agent)
    }

    /// How long a look at every agent takes.
    fn shortest_round(&self) -> Duration {
        let agents = f64::from(u32::try_from(self.of_agent.len()).unwrap_or(u32::MAX));
        Duration::from_secs_f64(agents / self.budget)
    }

    fn take_out(&mut self, agent: &str) {
        if let Some(due) = self.of_agent.remove(agent) {
            self.due.remove(&(due, agent.to_owned()));
        }
    }

    fn put(&mut self, due: Duration, agent: &str) {
        self.take_out(agent);
        self.of_agent.insert(agent.to_owned(), due);
        self.due.insert((due, agent.to_owned()));
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
        while let Some(due) = schedule.next().filter(|due| *due < from + length) {
            let place = due.saturating_sub(from).as_secs_f64() / length.as_secs_f64();
            let tenth = (0..9).find(|tenth| place < f64::from(tenth + 1) / 10.0);
            tenths[usize::try_from(tenth.unwrap_or(9)).unwrap()] += 1;
            let agent = schedule.take(due).unwrap();
            schedule.again(due, &agent, NextLook::Regular);
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
            (NextLook::ToConfirm, Some(11)),
            (NextLook::Watchful, Some(40)),
            (NextLook::Regular, Some(310)),
            (NextLook::Never, None),
        ] {
            schedule.again(at, "a", next);
            assert_eq!(schedule.next(), due.map(Duration::from_secs), "{next:?}");
        }
        schedule.again(at, "a", NextLook::Regular);
        assert_eq!(schedule.take(309 * SECOND), None);
        assert_eq!(schedule.take(310 * SECOND).as_deref(), Some("a"));
        assert_eq!(schedule.next(), None);
        schedule.remove("a");
        schedule.again(at, "a", NextLook::ToConfirm);
        schedule.remove("a");
        assert_eq!(schedule.next(), None);
    }
}
