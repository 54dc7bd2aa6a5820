//! What a run of polls has shown without a break: the one rule that both kinds of proof need.

use pipecat_rollout::fuzzing::rollout::FailureClass;

use crate::world::Ms;

/// The five seconds and three answers of the contract.
pub(crate) const CONFIRMED: Ms = 5000;
/// And what a refusal needs before the API has ever answered.
const FIRST_REFUSAL: Ms = 2000;

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

/// Whether an answer has been shown for as long as a confirmation takes.
pub(crate) fn is_confirmed(shown: Option<(usize, Ms)>) -> bool {
    shown.is_some_and(|(answers, lasted)| answers >= 3 && lasted >= CONFIRMED)
}

/// Whether the newest of so many polls have refused in this way for long enough: as long as a
/// confirmation takes, or less where the API has never answered. Other failures show nothing.
pub(crate) fn is_refused(failures: &[(Ms, FailureClass)], polls: usize, by: FailureClass) -> bool {
    let bears = |(at, class): &(Ms, FailureClass)| match class {
        FailureClass::Transient { .. } => (*at, Bears::Nothing),
        _ if *class == by => (*at, Bears::Out),
        _ => (*at, Bears::Against),
    };
    let over = if failures.len() < polls {
        CONFIRMED
    } else {
        FIRST_REFUSAL
    };
    let refusals = shown(failures.iter().map(bears));
    refusals.is_some_and(|(refusals, lasted)| refusals >= 3 && lasted >= over)
}
