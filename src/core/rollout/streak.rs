//! How often in a row, and over how long, answers have indicated the same.

use std::time::Duration;

use super::indication::Indication;

/// Time that answers have shown: it runs from one to the next, and stands still while polls fail.
#[derive(Debug, Clone, Default)]
pub(super) struct ShownTime {
    shown: Duration,
    last_answer: Option<Duration>,
}

impl ShownTime {
    /// An answer came at `at`; says how much time answers have shown so far.
    pub(super) fn answer(&mut self, at: Duration) -> Duration {
        let since = self.last_answer.replace(at).unwrap_or(at);
        self.shown = self.shown.saturating_add(at.saturating_sub(since));
        self.shown
    }

    /// A poll failed: nobody knows what went on since the last answer.
    pub(super) fn gap(&mut self) {
        self.last_answer = None;
    }
}

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
    /// What goes back, contradicts itself or refuses is believed when three answers in a row agree,
    /// over five seconds (design rule 4).
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
    /// When the last of them came.
    pub(super) last_at: Duration,
}

impl Streak {
    /// How long it has been shown.
    pub(super) fn lasted(&self) -> Duration {
        self.now.saturating_sub(self.began)
    }

    /// Whether it began with the newest answer.
    pub(super) fn is_new(&self) -> bool {
        self.answers == 1
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
pub(super) struct Streaks(Vec<Streak>);

impl Streaks {
    /// Takes in what an answer at `at` indicates: what it does not indicate is broken.
    pub(super) fn see(&mut self, at: Duration, shown: Duration, indications: Vec<Indication>) {
        let mut before = std::mem::take(&mut self.0);
        self.0.extend(indications.into_iter().map(|indication| {
            let same = before.iter().position(|s| s.indication.same(&indication));
            let began = same.map(|place| before.swap_remove(place));
            Streak {
                answers: began.as_ref().map_or(0, |streak| streak.answers) + 1,
                began: began.map_or(shown, |streak| streak.began),
                now: shown,
                last_at: at,
                indication,
            }
        }));
    }

    /// Ends the streaks of which this is true: they begin anew.
    pub(super) fn end(&mut self, ends: impl Fn(&Indication) -> bool) {
        self.0.retain(|streak| !ends(&streak.indication));
    }

    /// The streak of an indication of which this is true.
    pub(super) fn find(&self, is: impl Fn(&Indication) -> bool) -> Option<&Streak> {
        self.0.iter().find(|streak| is(&streak.indication))
    }

    /// The indications that have what they need, in the order in which they were given.
    pub(super) fn met<'a>(
        &'a self,
        needs: impl Fn(&Indication) -> Option<Needs> + 'a,
    ) -> impl Iterator<Item = &'a Streak> {
        let met =
            move |streak: &&Streak| needs(&streak.indication).is_some_and(|n| streak.meets(n));
        self.0.iter().filter(met)
    }

    /// When each of them will have lasted for as long as it needs.
    pub(super) fn due<'a>(
        &'a self,
        needs: impl Fn(&Indication) -> Option<Needs> + 'a,
    ) -> impl Iterator<Item = Duration> + 'a {
        let due = move |streak: &Streak| Some(streak.due(needs(&streak.indication)?));
        self.0.iter().filter_map(due)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Indication> {
        self.0.iter().map(|streak| &streak.indication)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn shown_time_stands_still_while_polls_fail() {
        let mut shown = ShownTime::default();
        assert_eq!(shown.answer(3 * SECOND), Duration::ZERO);
        assert_eq!(shown.answer(5 * SECOND), 2 * SECOND);
        shown.gap();
        assert_eq!(shown.answer(60 * SECOND), 2 * SECOND);
        assert_eq!(shown.answer(61 * SECOND), 3 * SECOND);
    }

    #[test]
    fn a_streak_goes_on_while_answers_show_the_same() {
        let mut streaks = Streaks::default();
        let needs = |_: &Indication| Some(Needs::CONFIRMED);
        let both = || vec![Indication::Ready, Indication::NotInView];
        streaks.see(SECOND, SECOND, both());
        streaks.see(3 * SECOND, 3 * SECOND, both());
        assert_eq!(streaks.met(needs).count(), 0);
        assert_eq!(streaks.due(needs).collect::<Vec<_>>(), [6 * SECOND; 2]);
        // The time between two answers is not shown where polls fail.
        streaks.see(9 * SECOND, 4 * SECOND, vec![Indication::NotInView]);
        assert_eq!(streaks.due(needs).collect::<Vec<_>>(), [11 * SECOND]);
        streaks.see(11 * SECOND, 6 * SECOND, both());
        let met: Vec<_> = streaks.met(needs).map(Streak::lasted).collect();
        assert_eq!(met, [5 * SECOND], "the other one has begun anew");
        streaks.end(|indication| *indication == Indication::NotInView);
        assert!(streaks.iter().eq([&Indication::Ready]));
        assert!(streaks.find(|_| true).is_some_and(Streak::is_new));
    }
}
