//! How often in a row, and over how long, answers have indicated the same.

use std::time::Duration;

use super::indication::Indication;
use super::policy::Limits;
use super::shown::Shown;

/// An unbroken run of answers with the same indication.
#[derive(Debug, Clone)]
pub(super) struct Streak {
    /// As the newest of them puts it that says why.
    pub(super) indication: Indication,
    pub(super) shown: Shown,
}

/// The indications of the newest answers, each with its streak.
#[derive(Debug, Clone, Default)]
pub(super) struct Streaks {
    newest: Vec<Streak>,
}

impl Streaks {
    /// Takes in what an answer at `at` indicates: what it does not indicate is broken.
    pub(super) fn see(&mut self, at: Duration, indications: Vec<Indication>) {
        let mut before = std::mem::take(&mut self.newest);
        self.newest
            .extend(indications.into_iter().map(|indication| {
                let same = before.iter().position(|s| s.indication.same(&indication));
                let begun = same.map(|place| before.swap_remove(place));
                let shown = Shown::again(begun.as_ref().map(|streak| streak.shown), at);
                let explains = begun.filter(|streak| streak.indication.explains(&indication));
                Streak {
                    indication: explains.map_or(indication, |streak| streak.indication),
                    shown,
                }
            }));
    }

    /// A poll failed: nobody knows what went on since the last answer.
    pub(super) fn gap(&mut self) {
        for streak in &mut self.newest {
            streak.shown.gap();
        }
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
            needs.is_some_and(|needs| streak.shown.meets(needs))
        })
    }

    /// When each of them will have lasted for as long as it needs.
    pub(super) fn due<'a>(
        &'a self,
        limits: &'a Limits,
    ) -> impl Iterator<Item = (&'a Indication, Duration)> {
        self.newest.iter().filter_map(|streak| {
            let indication = &streak.indication;
            Some((indication, streak.shown.due(indication.needs(limits)?)))
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
        let met: Vec<_> = streaks
            .met(limits)
            .map(|streak| streak.shown.lasted())
            .collect();
        assert_eq!(met, [5 * SECOND], "the other one has begun anew");
        streaks.end(|indication| *indication == Indication::NotInView);
        assert!(streaks.iter().eq([&Indication::Deleted]));
        assert_eq!(
            streaks.find(|_| true).unwrap().shown.first_at(),
            63 * SECOND
        );
    }
}
