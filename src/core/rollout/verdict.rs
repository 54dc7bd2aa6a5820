//! How a watch ended, and the exit code that says so.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

/// How the watch of one agent ended.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Display, IntoStaticStr,
)]
#[serde(into = "&'static str", try_from = "String")]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    /// The target is desired, reconciled and ready, for as long as was asked.
    Ready,
    /// The API refused the key, confirmed.
    Unauthorized,
    /// There is no such agent, or it was deleted.
    NotFound,
    /// The API gave no usable answer: the state is unknown.
    #[default]
    Unavailable,
    /// The target's code or image cannot run.
    Failed,
    /// Nothing about the target has moved for too long.
    Stalled,
    /// Another deployment took the target's place.
    Superseded,
    /// The target never became the desired deployment.
    Unchanged,
    /// It failed, or time ran out, while the platform had an infrastructure issue.
    Infrastructure,
    /// Time ran out with the target in view.
    Timeout,
    /// The deploy command of `run` failed with this exit code, and no new deployment came.
    CommandFailed(u8),
    /// The user ended the watch.
    Interrupted(Interruption),
}

/// What ended a watch before its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interruption {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    Hangup,
    /// Another agent was not ready, and that was to end all.
    FailFast,
}

impl Verdict {
    /// Every verdict, the worst first: the order in which several agents' verdicts are weighed.
    ///
    /// A signal outweighs all, since it cut the others short; what was stopped because of another
    /// says nothing of its own.
    pub const WORST_FIRST: [Verdict; 15] = [
        Verdict::Interrupted(Interruption::Interrupt),
        Verdict::Interrupted(Interruption::Terminate),
        Verdict::Interrupted(Interruption::Hangup),
        Verdict::CommandFailed(1),
        Verdict::Failed,
        Verdict::Stalled,
        Verdict::Infrastructure,
        Verdict::NotFound,
        Verdict::Superseded,
        Verdict::Unchanged,
        Verdict::Unauthorized,
        Verdict::Unavailable,
        Verdict::Timeout,
        Verdict::Interrupted(Interruption::FailFast),
        Verdict::Ready,
    ];

    /// Its place among them, the worst first.
    #[must_use]
    pub(crate) fn rank(self) -> usize {
        let same = |other: &Verdict| match (self, *other) {
            (Verdict::Interrupted(one), Verdict::Interrupted(other)) => one == other,
            (one, other) => one.as_str() == other.as_str(),
        };
        let place = Verdict::WORST_FIRST.iter().position(same);
        place.unwrap_or_default()
    }

    /// The process's exit code for this verdict.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Verdict::Ready => 0,
            Verdict::Unauthorized => 3,
            Verdict::NotFound => 4,
            Verdict::Unavailable => 5,
            Verdict::Failed => 10,
            Verdict::Stalled => 11,
            Verdict::Superseded => 12,
            Verdict::Unchanged => 13,
            Verdict::Infrastructure => 14,
            Verdict::Timeout => 124,
            Verdict::Interrupted(Interruption::Interrupt | Interruption::FailFast) => 130,
            Verdict::Interrupted(Interruption::Terminate) => 143,
            Verdict::Interrupted(Interruption::Hangup) => 129,
            Verdict::CommandFailed(code) => code,
        }
    }

    /// The verdict in the report's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The worst of several verdicts; `None` of none.
#[must_use]
pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Option<Verdict> {
    verdicts.into_iter().min_by_key(|verdict| verdict.rank())
}

impl TryFrom<String> for Verdict {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let mut all = Verdict::WORST_FIRST.into_iter();
        all.find(|verdict| verdict.as_str() == word)
            .ok_or_else(|| format!("unknown verdict {word:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_contracts_and_the_worst_comes_first() {
        let codes = Verdict::WORST_FIRST.map(Verdict::exit_code);
        assert_eq!(
            codes,
            [130, 143, 129, 1, 10, 11, 14, 4, 12, 13, 3, 5, 124, 130, 0]
        );
    }

    #[test]
    fn a_verdict_reads_back_from_its_word_and_no_other_word_is_one() {
        for verdict in Verdict::WORST_FIRST {
            let word = serde_json::to_value(verdict).unwrap();
            assert_eq!(word, verdict.as_str());
            let read: Verdict = serde_json::from_value(word).unwrap();
            assert_eq!(read.as_str(), verdict.as_str());
        }
        assert!(serde_json::from_str::<Verdict>("\"splendid\"").is_err());
    }

    #[test]
    fn the_worst_of_each_pair_is_the_one_listed_first() {
        for (i, one) in Verdict::WORST_FIRST.into_iter().enumerate() {
            for (j, other) in Verdict::WORST_FIRST.into_iter().enumerate() {
                let expected = Verdict::WORST_FIRST[i.min(j)];
                assert_eq!(worst([one, other]), Some(expected), "{one:?} {other:?}");
            }
        }
        assert_eq!(worst([]), None);
    }
}
