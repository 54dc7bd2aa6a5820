//! What time decides: deadlines, and when to look again.

use std::time::Duration;

use super::{Cadence, Machine};
use crate::core::rollout::CONFIRMATIONS;
use crate::core::rollout::ending::Ending;
use crate::core::rollout::observation::FailureClass;
use crate::core::rollout::policy::Until;
use crate::core::rollout::watermark::Claim;

impl Machine {
    /// Whether the agent or its target has not appeared in the time that it may take. After an outage
    /// that is not said by the first answer alone, which may be from the past (rule 4).
    pub(super) fn is_late(&self, at: Duration) -> bool {
        let undeployed = self.doubt.is_confirmed(&Claim::NoDesired.way());
        let confirmed = self.seen.without_target >= CONFIRMATIONS || undeployed;
        confirmed && at >= self.policy.limits().appear_timeout
    }

    pub(super) fn never_desired(&self, at: Duration) -> Option<Ending> {
        self.is_late(at).then_some(Ending::NeverDesired)
    }

    /// What the time alone decides.
    pub(super) fn overdue(&self, at: Duration) -> Option<Ending> {
        let limits = self.policy.limits();
        if at >= limits.timeout {
            return Some(self.at_deadline());
        }
        let silence = self.silence.as_ref()?;
        let silent = at.saturating_sub(silence.since);
        (silent >= limits.outage_timeout).then_some(Ending::Unavailable)
    }

    /// The deadline has passed: what is known decides how to say so.
    fn at_deadline(&self) -> Ending {
        match &self.silence {
            Some(silence) if silence.last.class == FailureClass::Unauthorized => {
                Ending::Unauthorized
            }
            Some(_) => Ending::Unavailable,
            None if self.polls == 0 => Ending::Unavailable,
            None if self.policy.limits().until == Until::Desired => Ending::Unsettled,
            None if !self.seen.agent => Ending::NeverThere,
            None if !self.in_view => Ending::NeverDesired,
            None => Ending::Timeout,
        }
    }

    /// When to look again, and by when at the latest.
    pub(super) fn cadence(&self, at: Duration) -> Cadence {
        let limits = self.policy.limits();
        let after = |since: Option<Duration>, limit: Duration| Some(since?.saturating_add(limit));
        let moments = [
            Some(limits.timeout),
            after(
                self.silence.as_ref().map(|s| s.since),
                limits.outage_timeout,
            ),
            (!self.in_view).then_some(limits.appear_timeout),
            after(self.ready_since, limits.stable_for),
            self.evidence.due(limits),
            limits
                .stall_timeout
                .and_then(|limit| after(self.in_view.then_some(self.moved_at), limit)),
        ];
        let by = moments
            .into_iter()
            .flatten()
            .filter(|moment| *moment > at)
            .min();
        Cadence {
            since: self.paced_from,
            by: by.unwrap_or(limits.timeout),
        }
    }
}
