//! What counts against the target's code or image, and when it is enough (design rules 5 to 8).

use std::time::Duration;

use serde::Serialize;

use super::policy::Limits;
use crate::core::wire::{AgentDetails, AgentError, ContainerState, Health, Revision};

/// How a kind of trouble is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleClass {
    /// The API lists errors about the target: fails on the second observation.
    Reported,
    /// The container's description is wrong: fails on the second observation.
    Unmendable,
    /// The code crashes: fails when restarts per started replica reach the limit.
    Crashing,
    /// The image does not come, or the container cannot be made: fails when it has lasted.
    NotPulling,
    /// The platform's condition `Degraded` holds: weighed like not pulling.
    Degraded,
    /// A reason that this program does not know: shown, and never fails.
    Unknown,
}

impl TroubleClass {
    /// The class in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            TroubleClass::Reported => "reported",
            TroubleClass::Unmendable => "unmendable",
            TroubleClass::Crashing => "crashing",
            TroubleClass::NotPulling => "not-pulling",
            TroubleClass::Degraded => "degraded",
            TroubleClass::Unknown => "unknown",
        }
    }
}

/// A trouble of the target's, with the words of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// How it is weighed.
    pub class: TroubleClass,
    /// The platform's reason, `CrashLoopBackOff` for example.
    pub code: String,
    /// The platform's or the code's own words, whole.
    pub message: Option<String>,
}

/// What one observation shows of the target's troubles, the gravest first.
pub(super) fn causes(details: &AgentDetails, own: Option<&Revision>) -> Vec<Cause> {
    let health = own.and_then(|revision| revision.health.as_ref());
    let degraded = details.conditions.iter().filter(|condition| {
        let holds = |status: &str| status.eq_ignore_ascii_case("true");
        condition.kind.as_deref() == Some("Degraded")
            && condition.status.as_deref().is_some_and(holds)
    });
    // What is about another deployment is not about the target, which is desired here.
    let errors = details.errors.iter().filter(|error| {
        let about = error.deployment_id.as_deref();
        about.is_none() || about == details.desired()
    });
    let mut causes: Vec<Cause> = of_errors(&errors.collect::<Vec<_>>())
        .into_iter()
        .chain(health.and_then(of_health))
        .chain(degraded.map(|condition| {
            Cause {
                class: TroubleClass::Degraded,
                code: condition
                    .reason
                    .clone()
                    .unwrap_or_else(|| "Degraded".to_owned()),
                message: condition.message.clone(),
            }
        }))
        .collect();
    causes.sort_by_key(|cause| cause.class as u8);
    causes
}

/// The trouble that the API lists: the first error's code, and the words of all.
fn of_errors(errors: &[&AgentError]) -> Option<Cause> {
    let first = errors.first()?;
    let words: Vec<String> = match errors {
        [only] => only.message.clone().into_iter().collect(),
        several => several.iter().copied().map(one_line).collect(),
    };
    Some(Cause {
        class: TroubleClass::Reported,
        code: first
            .code
            .clone()
            .unwrap_or_else(|| "ReportedError".to_owned()),
        message: (!words.is_empty()).then(|| words.join("\n")),
    })
}

fn one_line(error: &AgentError) -> String {
    let parts = [error.code.as_deref(), error.message.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// The trouble that the state of the code shows.
fn of_health(health: &Health) -> Option<Cause> {
    let class = class_of(health.state.as_ref(), health.reason.as_deref())?;
    let code = health
        .reason
        .clone()
        .unwrap_or_else(|| "Terminated".to_owned());
    let message = health.message.clone();
    Some(Cause {
        class,
        code,
        message,
    })
}

/// The class of a container's state and reason.
///
/// The reasons are the kubelet's own words (`images/types.go`, `container/sync_result.go` and
/// `kuberuntime` in `pkg/kubelet` of kubernetes/kubernetes).
fn class_of(state: Option<&ContainerState>, reason: Option<&str>) -> Option<TroubleClass> {
    if state == Some(&ContainerState::Running) {
        return None;
    }
    match reason {
        Some("CrashLoopBackOff" | "Error" | "OOMKilled") => Some(TroubleClass::Crashing),
        Some(
            "ErrImagePull" | "ImagePullBackOff" | "CreateContainerError" | "RunContainerError",
        ) => Some(TroubleClass::NotPulling),
        Some("InvalidImageName" | "CreateContainerConfigError" | "ErrImageNeverPull") => {
            Some(TroubleClass::Unmendable)
        }
        _ if state == Some(&ContainerState::Terminated) => Some(TroubleClass::Crashing),
        // What every container goes through on its way up.
        Some("ContainerCreating" | "PodInitializing") | None => None,
        Some(_) => Some(TroubleClass::Unknown),
    }
}

/// Weighs the target's troubles from observation to observation.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    reported_in_a_row: u32,
    unmendable_in_a_row: u32,
    not_pulling_since: Option<Duration>,
    /// Restarts that do not count, because they fell under an infrastructure issue.
    excused_restarts: u64,
    /// The least that was told since the total fell below that: a replica is gone, and with it what
    /// of its restarts was excused.
    fallen_to: Option<u64>,
    under_infrastructure_issue: bool,
    /// Whether no total was told since the issue began: then the first one is excused.
    untold: bool,
}

impl Evidence {
    /// Weighs what an observation at `at` shows, and says what is enough to fail the target.
    pub(super) fn weigh(
        &mut self,
        at: Duration,
        causes: &[Cause],
        own: Option<&Revision>,
        limits: &Limits,
    ) -> Option<Cause> {
        let find = |class| causes.iter().find(|cause| cause.class == class);
        let not_pulling = find(TroubleClass::NotPulling).or(find(TroubleClass::Degraded));
        let decisive = self.weigh_reported(find(TroubleClass::Reported));
        if own.is_some_and(|revision| revision.has_infrastructure_issue) {
            self.excuse(own);
            return decisive.cloned();
        }
        self.note_restarts(own);
        let decisive = decisive
            .or(self.weigh_unmendable(find(TroubleClass::Unmendable)))
            .or(self.weigh_crashing(find(TroubleClass::Crashing), own, limits))
            .or(self.weigh_not_pulling(not_pulling, at, limits));
        decisive.cloned()
    }

    /// Since when the image has not come, or the platform has called the target degraded.
    pub(super) fn not_pulling_since(&self) -> Option<Duration> {
        self.not_pulling_since
    }

    /// When the present trouble becomes decisive by lasting.
    pub(super) fn due(&self, limits: &Limits) -> Option<Duration> {
        Some(self.not_pulling_since?.saturating_add(limits.pull_grace))
    }

    /// Restarts that count against the target.
    pub(super) fn restarts(&self, own: Option<&Revision>) -> u64 {
        let excused = self.fallen_to.unwrap_or(self.excused_restarts);
        restart_count(own).saturating_sub(excused)
    }

    /// Notes the total after an infrastructure issue: what it had come to by then is excused.
    fn note_restarts(&mut self, own: Option<&Revision>) {
        let first = std::mem::take(&mut self.under_infrastructure_issue) || self.untold;
        let Some(count) = known_restarts(own) else {
            return;
        };
        if first {
            self.excused_restarts = count;
            self.untold = false;
        }
        let fallen = count < self.excused_restarts;
        self.fallen_to = fallen.then(|| self.fallen_to.map_or(count, |least| least.min(count)));
    }

    /// Rule 7: a non-empty `errors` fails on the second observation in a row.
    fn weigh_reported<'a>(&mut self, cause: Option<&'a Cause>) -> Option<&'a Cause> {
        self.reported_in_a_row = cause.map_or(0, |_| self.reported_in_a_row.saturating_add(1));
        cause.filter(|_| self.reported_in_a_row >= 2)
    }

    /// Rule 6: what cannot mend itself fails on the second observation in a row.
    fn weigh_unmendable<'a>(&mut self, cause: Option<&'a Cause>) -> Option<&'a Cause> {
        self.unmendable_in_a_row = cause.map_or(0, |_| self.unmendable_in_a_row.saturating_add(1));
        cause.filter(|_| self.unmendable_in_a_row >= 2)
    }

    /// Rule 6: crashing fails when the restarts of each started replica reach the limit.
    ///
    /// `restartCount` is a total over all replicas, so it is held against their number.
    fn weigh_crashing<'a>(
        &self,
        cause: Option<&'a Cause>,
        own: Option<&Revision>,
        limits: &Limits,
    ) -> Option<&'a Cause> {
        let allowed = u64::from(limits.max_restarts.get()).saturating_mul(replicas_started(own));
        cause.filter(|_| self.restarts(own) >= allowed)
    }

    /// Rules 6 and 7: not pulling, and `Degraded`, fail when they have lasted without a break.
    fn weigh_not_pulling<'a>(
        &mut self,
        cause: Option<&'a Cause>,
        at: Duration,
        limits: &Limits,
    ) -> Option<&'a Cause> {
        self.not_pulling_since = cause.map(|_| self.not_pulling_since.unwrap_or(at));
        let since = self.not_pulling_since?;
        cause.filter(|_| at.saturating_sub(since) >= limits.pull_grace)
    }

    /// Rule 8: under an infrastructure issue rule 6 waits, and afterwards it starts anew.
    ///
    /// An answer without a total takes nothing back of what is excused.
    fn excuse(&mut self, own: Option<&Revision>) {
        let told = known_restarts(own);
        let begins = !self.under_infrastructure_issue;
        *self = Self {
            reported_in_a_row: self.reported_in_a_row,
            excused_restarts: told.unwrap_or(self.excused_restarts),
            untold: told.is_none() && (begins || self.untold),
            under_infrastructure_issue: true,
            ..Self::default()
        };
    }
}

/// Restarts in all, over all replicas.
pub(super) fn restart_count(own: Option<&Revision>) -> u64 {
    known_restarts(own).unwrap_or(0)
}

fn known_restarts(own: Option<&Revision>) -> Option<u64> {
    own?.health.as_ref()?.restart_count
}

/// Started replicas, at least one: a restart count without a replica count is one replica's.
pub(super) fn replicas_started(own: Option<&Revision>) -> u64 {
    let health = own.and_then(|revision| revision.health.as_ref());
    health
        .and_then(|health| health.replicas_started)
        .unwrap_or(1)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_one_word_for_logs_and_json() {
        use TroubleClass::{Crashing, Degraded, NotPulling, Reported, Unknown, Unmendable};
        for (class, word) in [
            (Reported, "reported"),
            (Unmendable, "unmendable"),
            (Crashing, "crashing"),
            (NotPulling, "not-pulling"),
            (Degraded, "degraded"),
            (Unknown, "unknown"),
        ] {
            assert_eq!(class.as_str(), word);
            assert_eq!(serde_json::to_value(class).unwrap(), word);
        }
    }

    #[test]
    fn each_reason_has_its_class() {
        use TroubleClass::{Crashing, NotPulling, Unknown, Unmendable};
        let waiting = ContainerState::Waiting;
        let levitating = ContainerState::Unknown("levitating".to_owned());
        for (state, reason, class) in [
            (Some(&waiting), Some("CrashLoopBackOff"), Some(Crashing)),
            (Some(&waiting), Some("Error"), Some(Crashing)),
            (Some(&waiting), Some("OOMKilled"), Some(Crashing)),
            (Some(&ContainerState::Terminated), None, Some(Crashing)),
            (
                Some(&ContainerState::Terminated),
                Some("Completed"),
                Some(Crashing),
            ),
            (Some(&waiting), Some("ErrImagePull"), Some(NotPulling)),
            (Some(&waiting), Some("ImagePullBackOff"), Some(NotPulling)),
            (
                Some(&waiting),
                Some("CreateContainerError"),
                Some(NotPulling),
            ),
            (Some(&waiting), Some("RunContainerError"), Some(NotPulling)),
            (Some(&waiting), Some("InvalidImageName"), Some(Unmendable)),
            (
                Some(&waiting),
                Some("CreateContainerConfigError"),
                Some(Unmendable),
            ),
            (Some(&waiting), Some("ErrImageNeverPull"), Some(Unmendable)),
            (Some(&waiting), Some("SolarFlare"), Some(Unknown)),
            (Some(&levitating), Some("CrashLoopBackOff"), Some(Crashing)),
            (None, Some("ErrImagePull"), Some(NotPulling)),
            (Some(&levitating), None, None),
            (Some(&waiting), Some("ContainerCreating"), None),
            (Some(&waiting), Some("PodInitializing"), None),
            (Some(&waiting), None, None),
            (None, None, None),
            (
                Some(&ContainerState::Running),
                Some("CrashLoopBackOff"),
                None,
            ),
        ] {
            assert_eq!(class_of(state, reason), class, "{state:?} {reason:?}");
        }
    }
}
