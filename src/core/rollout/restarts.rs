//! How often the target has been restarted while it was watched (rules 6 and 8).

/// One restart of each replica, in the unit in which they are added up.
const ONE: u64 = 1_000_000;

/// The restarts that count against the target: the rises of the total since it came into view.
///
/// A fall of the total is a replaced replica, or a reading from before the last rise: it has to be
/// confirmed, or replicas of the API that disagree would make rises.
#[derive(Debug, Clone, Default)]
pub(super) struct Restarts {
    /// The total of the newest answer.
    newest: Option<u64>,
    /// The total that is believed.
    believed: Option<u64>,
    /// How much that has risen in all.
    rises: u64,
    /// The same for each replica that was started then, in millionths.
    rises_each: u64,
    /// How many replicas were started, by the newest answer that says it.
    replicas: u64,
    /// The fewest of totals that are lower than the believed one, until that is confirmed.
    fallen: Option<u64>,
}

impl Restarts {
    /// Takes in the total of an answer, over so many replicas, and says whether there was a restart.
    pub(super) fn see(&mut self, total: u64, replicas: Option<u64>, first: First) -> bool {
        self.replicas = replicas.unwrap_or(self.replicas).max(1);
        let newest = self.newest.replace(total);
        let rose = newest.is_some_and(|newest| total > newest);
        let before = self.believed.unwrap_or(match first {
            First::Counts => 0,
            First::IsOld => total,
        });
        if total < before {
            self.fallen = Some(self.fallen.map_or(total, |fewest| fewest.min(total)));
            return rose;
        }
        self.fallen = None;
        self.believed = Some(total);
        let more = total - before;
        self.rises = self.rises.saturating_add(more);
        let each = more.saturating_mul(ONE).div_ceil(self.replicas);
        self.rises_each = self.rises_each.saturating_add(each);
        rose || total > before
    }

    /// The platform's own problem may have caused them: none counts so far, nor do those in this answer.
    pub(super) fn excuse(&mut self, total: Option<u64>) {
        self.rises = 0;
        self.rises_each = 0;
        if total.is_some() {
            self.believed = total;
            self.fallen = None;
        }
    }

    /// The fall is confirmed: rises are counted from there.
    pub(super) fn confirm_fall(&mut self) {
        self.believed = self.fallen.take().or(self.believed);
    }

    /// Whether the newest total is lower than was seen, and that is not confirmed.
    pub(super) fn has_fallen(&self) -> bool {
        self.fallen.is_some()
    }

    /// How many count for each replica: of those that were started then, and of those that are now. What more
    /// replicas have counted together is not one's, however few an answer shows.
    pub(super) fn for_each_replica(&self) -> u64 {
        (self.rises_each / ONE).min(self.rises / self.replicas.max(1))
    }
}

/// What the first total says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// All of these restarts are the target's own, and new.
    Counts,
    /// They may be from long before.
    IsOld,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_count_and_falls_have_to_be_confirmed() {
        // The totals over replicas, `!` where a fall is confirmed before the next, `x` before an excused one; what counts
        // after each, and whether it was a restart (`*`) or is a fall (`?`).
        for (first, totals, expected) in [
            (First::IsOld, "5 5 6 9", "0 0 1* 4*"),
            (First::Counts, "5 5 6", "5* 5 6*"),
            (First::Counts, "0 1", "0 1*"),
            // A replica that lags makes no rises, however often it answers.
            (First::IsOld, "5 2 5 2 5 6", "0 0? 0* 0? 0* 1*"),
            // A replaced one is counted from its lowest total.
            (First::IsOld, "5 2 3 !3 4", "0 0? 0*? 1* 2*"),
            (First::IsOld, "5 3 2 !2 3", "0 0? 0? 0 1*"),
            (First::IsOld, "5 !6", "0 1*"),
            // Under an infrastructure issue nothing counts, and nothing of it afterwards.
            (First::IsOld, "1 3 x5 6", "0 2* 0* 1*"),
            (First::Counts, "x5 6", "0 1*"),
            (First::IsOld, "5 2 x3 4", "0 0? 0* 1*"),
            (First::IsOld, "5 2 x!4 5", "0 0? 0* 1*"),
            // Each counts for as many replicas as there were then; where none are named, as there were.
            (First::Counts, "4/4 4 8 9/1", "1* 1 2* 3*"),
            (First::Counts, "2/1 3/2 4/2 6/2", "2* 1* 2* 3*"),
            (First::IsOld, "0/10 4/10 0/1 !0/1 3/1", "0 0* 0? 0 3*"),
            (First::IsOld, "0/3 1/3 2/3 3/3 9/3", "0 0* 0* 1* 3*"),
        ] {
            let mut restarts = Restarts::default();
            let found: Vec<String> = totals
                .split(' ')
                .map(|word| {
                    let (total, replicas) = word.split_once('/').unwrap_or((word, ""));
                    let total = total.trim_start_matches(['!', 'x']).parse().unwrap();
                    if word.contains('x') {
                        restarts.excuse(Some(total));
                    }
                    if word.contains('!') {
                        restarts.confirm_fall();
                    }
                    let restarted = if restarts.see(total, replicas.parse().ok(), first) {
                        "*"
                    } else {
                        ""
                    };
                    let fallen = if restarts.has_fallen() { "?" } else { "" };
                    format!("{}{restarted}{fallen}", restarts.for_each_replica())
                })
                .collect();
            assert_eq!(found.join(" "), expected, "{first:?} {totals}");
        }
        let mut restarts = Restarts::default();
        restarts.see(3, None, First::Counts);
        restarts.excuse(None);
        assert_eq!(restarts.for_each_replica(), 0);
        assert!(restarts.see(4, None, First::Counts) && restarts.for_each_replica() == 1);
    }
}
