//! What answers in a row have shown, how often and for how long: the one measure of what has to last.
//!
//! It lasts only while answers show it (rule 11): the time from one answer to the next counts, unless
//! there was something between them that did not show it.

use std::time::Duration;

/// What something needs before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Answers in a row.
    pub(crate) answers: u32,
    /// Shown time from the first to the last of them.
    pub(crate) over: Duration,
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
    pub(crate) const CONFIRMED: Self = Self {
        answers: 3,
        over: Duration::from_secs(5),
    };

    /// Shown for this long.
    pub(super) const fn lasting(over: Duration) -> Self {
        Self { answers: 1, over }
    }
}

/// The same, shown by answers in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    answers: u32,
    lasted: Duration,
    first_at: Duration,
    last_at: Duration,
    /// Whether nobody knows if it went on after the last of them.
    has_gap: bool,
}

impl Shown {
    /// Takes in an answer at `at` that shows it, after those `before`.
    pub(crate) fn again(before: Option<Self>, at: Duration) -> Self {
        let Some(before) = before else {
            return Self {
                answers: 1,
                lasted: Duration::ZERO,
                first_at: at,
                last_at: at,
                has_gap: false,
            };
        };
        let since = if before.has_gap { at } else { before.last_at };
        Self {
            answers: before.answers.saturating_add(1),
            lasted: before.lasted.saturating_add(at.saturating_sub(since)),
            first_at: before.first_at,
            last_at: at,
            has_gap: false,
        }
    }

    /// Nobody knows whether it goes on: the time until the next answer does not count.
    pub(crate) fn gap(&mut self) {
        self.has_gap = true;
    }

    /// How many answers have shown it.
    pub(crate) fn answers(&self) -> u32 {
        self.answers
    }

    /// For how long they have.
    pub(crate) fn lasted(&self) -> Duration {
        self.lasted
    }

    /// When the first of them came.
    pub(crate) fn first_at(&self) -> Duration {
        self.first_at
    }

    /// When the last of them came.
    pub(crate) fn last_at(&self) -> Duration {
        self.last_at
    }

    pub(crate) fn meets(&self, needs: Needs) -> bool {
        self.answers >= needs.answers && self.lasted >= needs.over
    }

    /// When it has been shown for long enough if answers go on showing it.
    pub(super) fn due(&self, needs: Needs) -> Duration {
        let missing = needs.over.saturating_sub(self.lasted);
        self.last_at.saturating_add(missing)
    }
}
