//! What a run of polls has shown without a break: the one rule that both kinds of proof need.

use pipecat_rollout::fuzzing::rollout::FailureClass;

use crate::world::Ms;

/// What one poll says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bears {
    Out,
    Against,
    /// It failed: it breaks nothing, and shows no time.
    Nothing,
}

/// How many answers up to the newest bear a claim out, and how long they have shown it. The polls come
/// with the newest first, without answers that are proven to be older.
pub(crate) fn shown(backwards: impl IntoIterator<Item = (Ms, Bears)>) -> Option<(usize, Ms)> {
    let mut after = None;
    let mut lasted = 0;
    let mut answers = 0;
    for (at, bears) in backwards {
        match bears {
            Bears::Nothing => after = None,
            Bears::Against => break,
            Bears::Out => {
                lasted += after.map_or(0, |after: Ms| after - at);
                after = Some(at);
                answers += 1;
            }
        }
    }
    (answers > 0).then_some((answers, lasted))
}

/// How often and how long failed polls have refused in this way; other failures show nothing.
pub(crate) fn refused(
    backwards: impl IntoIterator<Item = (Ms, FailureClass)>,
    by: FailureClass,
) -> Option<(usize, Ms)> {
    shown(backwards.into_iter().map(|(at, class)| match class {
        FailureClass::Transient { .. } => (at, Bears::Nothing),
        _ if class == by => (at, Bears::Out),
        _ => (at, Bears::Against),
    }))
}
