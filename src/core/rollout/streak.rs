//! How often in a row, and over how long, answers have indicated the same.

use std::time::Duration;

use super::indication::Indication;
use super::policy::Limits;

/// What an indication needs before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// Answers in a row.
    pub(super) answers: u32,
    /// Shown time from the first to the last of them.
    pub(super) over: Duration,
}

impl Needs {
    /// One answer is enough.
    pub(super) const ONE: Self = Self {
        answers: 1,
        over: Duration::ZERO,
    };
    /// A second answer agrees.
    pub(super) const TWICE: Self = Self {
        answers: 2,
        over: Duration::ZERO,
    };
    /// What goes back, contradicts itself or refuses is believed when three answers in a row agree,
    /// over five seconds (rule 4).
    pub(super) const CONFIRMED: Self = Self {
        answers: 3,
        over: Duration::from_secs(5),
    };

    /// Shown for this long.
    pub(super) const fn lasting(over: Duration) -> Self {
        Self { answers: 1, over }
    }
}

/// An unbroken run of answers with the same indication.
#[derive(Debug, Clone)]
pub(super) struct Streak {
    /// As the newest of them puts it.
    pub(super) indication: Indication,
    answers: u32,
    /// Shown time at the first and at the last of them.
    began: Duration,
    now: Duration,
    /// When the first and the last of them came.
    pub(super) first_at: Duration,
    pub(super) last_at: Duration,
}

impl Streak {
    /// How long it has been shown.
    pub(super) fn lasted(&self) -> Duration {
        self.now.saturating_sub(self.began)
    }

    fn meets(&self, needs: Needs) -> bool {
        self.answers >= needs.answers && self.lasted() >= needs.over
    }

    /// When it has been shown for long enough if answers go on showing it.
    fn due(&self, needs: Needs) -> Duration {
        let missing = needs.over.saturating_sub(self.lasted());
        self.last_at.saturating_add(missing)
    }
}

/// The indications of the newest answers, each with its streak.
#[derive(Debug, Clone, Default)]
pub(super) struct Streaks {
    newest: Vec<Streak>,
    /// The time that answers have shown: it runs from one to the next, and stops while polls fail.
    shown: Duration,
    last_answer: Option<Duration>,
}

impl Streaks {
    /// Takes in what an answer at `at` indicates: what it does not indicate is broken.
    pub(super) fn see(&mut self, at: Duration, indications: Vec<Indication>) {
        let since = self.last_answer.replace(at).unwrap_or(at);
        self.shown = self.shown.saturating_add(at.saturating_sub(since));
        let mut before = std::mem::take(&mut self.newest);
        self.newest
            .extend(indications.into_iter().map(|indication| {
                let same = before.iter().position(|s| s.indication.same(&indication));
                let begun = same.map(|place| before.swap_remove(place));
                Streak {
                    answers: begun.as_ref().map_or(0, |streak| streak.answers) + 1,
                    began: begun.as_ref().map_or(self.shown, |streak| streak.began),
                    first_at: begun.map_or(at, |streak| streak.first_at),
                    now: self.shown,
                    last_at: at,
                    indication,
                }
            }));
    }

    /// A poll failed: nobody knows what went on since the last answer.
    pub(super) fn gap(&mut self) {
        self.last_answer = None;
    }

    /// Ends the streaks of which this is true: they begin anew.
    pub(super) fn end(&mut self, ends: impl Fn(&Indication) -> bool) {
        self.newest.retain(|streak| !ends(&streak.indication));
    }

    /// The streak of an indication of which this is true.
    pub(super) fn find(&self, is: impl Fn(&Indication) -> bool) -> Option<&Streak> {
        self.newest.iter().find(|streak| is(&streak.indication))
    }

    /// The indications that have what they need, in the order in which they were given.
    pub(super) fn met<'a>(&'a self, limits: &'a Limits) -> impl Iterator<Item = &'a Streak> {
        self.newest.iter().filter(|streak| {
            let needs = streak.indication.needs(limits);
            needs.is_some_and(|needs| streak.meets(needs))
        })
    }

    /// When each of them will have lasted for as long as it needs.
    pub(super) fn due<'a>(
        &'a self,
        limits: &'a Limits,
    ) -> impl Iterator<Item = (&'a Indication, Duration)> {
        self.newest.iter().filter_map(|streak| {
            let indication = &streak.indication;
            Some((indication, streak.due(indication.needs(limits)?)))
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Indication> {
        self.newest.iter().map(|streak| &streak.indication)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_streak_goes_on_while_answers_show_the_same() {
        let mut streaks = Streaks::default();
        let limits = &Limits::default();
        let both = || vec![Indication::Deleted, Indication::NotInView];
        let due = |streaks: &Streaks| {
            let due = streaks.due(limits).map(|(_, moment)| moment);
            due.collect::<Vec<_>>()
        };
        streaks.see(SECOND, both());
        streaks.see(3 * SECOND, both());
        assert_eq!(streaks.met(limits).count(), 0);
        assert_eq!(due(&streaks), [6 * SECOND; 2]);
        // The time between two answers is not shown where polls fail.
        streaks.gap();
        streaks.see(60 * SECOND, vec![Indication::NotInView]);
        assert_eq!(due(&streaks), [63 * SECOND]);
        streaks.see(63 * SECOND, both());
        let met: Vec<_> = streaks.met(limits).map(Streak::lasted).collect();
        assert_eq!(met, [5 * SECOND], "the other one has begun anew");
        streaks.end(|indication| *indication == Indication::NotInView);
        assert!(streaks.iter().eq([&Indication::Deleted]));
        assert_eq!(streaks.find(|_| true).unwrap().first_at, 63 * SECOND);
    }
}
