//! Counts how often in a row the same doubtful thing was seen.

use super::CONFIRMATIONS;

/// Counts how often in a row the same doubtful thing was seen.
#[derive(Debug, Clone)]
pub(super) struct Confirmation<T> {
    run: Option<(T, u32)>,
}

impl<T> Default for Confirmation<T> {
    fn default() -> Self {
        Self { run: None }
    }
}

impl<T: PartialEq> Confirmation<T> {
    /// Notes one more sight of `claim`, and says how many there were in a row.
    pub(super) fn note(&mut self, claim: T) -> u32 {
        let times = match self.run.take() {
            Some((last, times)) if last == claim => times.saturating_add(1),
            _ => 1,
        };
        self.run = Some((claim, times));
        times
    }

    /// Notes one more sight of `claim`, and says whether that settles it.
    pub(super) fn confirms(&mut self, claim: T) -> bool {
        self.note(claim) >= CONFIRMATIONS
    }

    /// Forgets what was seen: something else came between.
    pub(super) fn clear(&mut self) {
        self.run = None;
    }

    /// Whether it is this claim that was seen last.
    pub(super) fn holds(&self, claim: &T) -> bool {
        self.run.as_ref().is_some_and(|(last, _)| last == claim)
    }

    /// Whether this claim was seen last, often enough to settle it.
    pub(super) fn is_confirmed(&self, claim: &T) -> bool {
        let run = self.run.as_ref();
        run.is_some_and(|(last, times)| last == claim && *times >= CONFIRMATIONS)
    }

    /// Whether something waits to be confirmed.
    pub(super) fn pending(&self) -> bool {
        self.run.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unbroken_run_of_the_same_claim_confirms() {
        let mut confirmation = Confirmation::default();
        assert!(!confirmation.confirms('a'));
        assert!(!confirmation.confirms('a'));
        assert!(!confirmation.confirms('b'));
        assert!(!confirmation.confirms('a'));
        confirmation.clear();
        assert!(!confirmation.pending());
        assert!(!confirmation.confirms('a'));
        assert!(!confirmation.confirms('a'));
        assert!(confirmation.confirms('a'));
        assert!(confirmation.pending());
    }
}
