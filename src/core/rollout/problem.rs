//! What is wrong with a deployment, in the platform's words, and what kind of problem that is.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::core::wire::{AgentDetails, AgentError, Condition, ContainerState, Health, Revision};

/// The kinds of problems; each is weighed in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ProblemClass {
    /// The API lists an error about the target.
    Reported,
    /// The container's description is wrong, and no retry helps.
    Unrecoverable,
    /// The code crashes.
    Crashing,
    /// The image does not come, or the container cannot be created.
    NotPulling,
    /// The platform's condition `Degraded` holds.
    Degraded,
    /// The API lists an error that was there before the target: perhaps the older deployment's.
    ReportedBefore,
    /// A reason that this program does not know: shown, and never a failure by itself.
    Unknown,
}

/// A problem of the target, in the platform's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How it is weighed.
    pub class: ProblemClass,
    /// The platform's reason, `CrashLoopBackOff` for example.
    pub code: String,
    /// The platform's or the code's own text, whole.
    pub message: Option<String>,
}

/// The words by which a registry or the platform asks to try later.
const TRY_LATER: &str = "429, toomanyrequests, too many requests, 500, 502, 503, 504, timeout, \
                         timed out, try again, deadline exceeded, unavailable";

impl Problem {
    /// Whether it only says that there is a pause before the next try, as the kubelet's `Back-off pulling image
    /// "acme/bot:1"` does; where a cause follows, it stands after a colon.
    pub(super) fn is_pause(&self) -> bool {
        let is_pause = self.code.to_ascii_lowercase().ends_with("backoff");
        let text = self.message.as_deref().unwrap_or("back-off");
        is_pause && text.to_lowercase().starts_with("back-off") && !text.contains(": ")
    }

    /// Whether its text says that another try may succeed later.
    pub(super) fn asks_to_try_later(&self) -> bool {
        let text = self.message.as_deref().unwrap_or_default().to_lowercase();
        TRY_LATER.split(", ").any(|words| {
            if words.starts_with(|c: char| c.is_ascii_digit()) {
                has_number(&text, words)
            } else {
                has_word(&text, words)
            }
        })
    }
}

/// Whether `text` has this number as a word of its own, which the parts of a version are not.
fn has_number(text: &str, number: &str) -> bool {
    let parts = text.split(|c: char| c.is_whitespace() || "=,;()[]\"'".contains(c));
    parts
        .map(|part| part.trim_matches(['.', ':', '-']))
        .any(|part| part == number)
}

/// Whether `text` has `words` with no letter or digit right before or after them.
fn has_word(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        ![before, after]
            .into_iter()
            .flatten()
            .any(char::is_alphanumeric)
    })
}

/// The problem that the state of the revision's code shows, unless it is crashing: restarts show
/// that (rule 6).
pub(super) fn of_health(health: &Health) -> Option<Problem> {
    let class = class_of(health.state.as_ref(), health.reason.as_deref())?;
    Some(of_container(class, health, "Terminated"))
}

/// The crash that risen restarts show, whatever the state and the reason are called.
pub(super) fn of_restarts(health: &Health) -> Problem {
    of_container(ProblemClass::Crashing, health, "Restarting")
}

/// A problem by the platform's words on a container; where it has none, by ours.
fn of_container(class: ProblemClass, health: &Health, otherwise: &str) -> Problem {
    let last = health.last_termination_reason.as_deref();
    let code = health.reason.as_deref().or(last).unwrap_or(otherwise);
    Problem {
        class,
        code: code.to_owned(),
        message: health.message.clone(),
    }
}

/// The class of a container's state and reason, whatever the case of the reason.
///
/// The reasons are the kubelet's own words (`images/types.go`, `container/sync_result.go` and
/// `kuberuntime` in `pkg/kubelet` of kubernetes/kubernetes).
fn class_of(state: Option<&ContainerState>, reason: Option<&str>) -> Option<ProblemClass> {
    if state == Some(&ContainerState::Running) {
        return None;
    }
    let reason = reason.map(str::to_ascii_lowercase);
    match reason.as_deref() {
        Some("crashloopbackoff" | "error" | "oomkilled") => Some(ProblemClass::Crashing),
        Some(
            "errimagepull"
            | "imagepullbackoff"
            | "createcontainererror"
            | "runcontainererror"
            | "createcontainerconfigerror",
        ) => Some(ProblemClass::NotPulling),
        Some("invalidimagename" | "errimageneverpull") => Some(ProblemClass::Unrecoverable),
        _ if state == Some(&ContainerState::Terminated) => Some(ProblemClass::Crashing),
        // What every container goes through on its way up.
        Some("containercreating" | "podinitializing") | None => None,
        Some(_) => Some(ProblemClass::Unknown),
    }
}

/// Whether the platform says that it holds back the next start, because the code keeps crashing.
pub(super) fn is_crash_loop(revision: &Revision) -> bool {
    let health = revision.health.as_ref();
    let reason = health.and_then(|health| health.reason.as_deref());
    reason.is_some_and(|reason| reason.eq_ignore_ascii_case("CrashLoopBackOff"))
}

/// Errors and conditions as they were before the target was there.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownProblems {
    /// Whether any answer has shown a reconciled deployment.
    pub(super) ever_reconciled: bool,
    known: bool,
    errors: Vec<AgentError>,
    /// The reasons of the conditions `Degraded`.
    degraded: BTreeSet<Option<String>>,
}

impl KnownProblems {
    /// Whether any answer from before the target was seen.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Notes what an answer shows from before the target, or beside its first sight.
    pub(super) fn note(&mut self, details: &AgentDetails) {
        self.known = true;
        for error in &details.errors {
            if !self.has_error(error) {
                self.errors.push(error.clone());
            }
        }
        let degraded = details.conditions.iter().filter(|c| is_degraded(c));
        self.degraded.extend(degraded.map(|c| c.reason.clone()));
    }

    /// The errors that count against `target`: those that name it, and those that are new; and apart
    /// from them those that are not new. Errors about another deployment are nobody's (rule 7).
    pub(super) fn problems_of_errors(
        &self,
        errors: &[AgentError],
        target: &str,
    ) -> [Option<Problem>; 2] {
        // What says nothing at all proves nothing.
        let says_why = |error: &&AgentError| error.code.is_some() || error.message.is_some();
        let about = errors.iter().filter(says_why).filter(|error| {
            let names = error.deployment_id.as_deref();
            names.is_none_or(|id| id == target)
        });
        let (new, before): (Vec<_>, Vec<_>) =
            about.partition(|error| error.deployment_id.is_some() || !self.has_error(error));
        [
            of_errors(ProblemClass::Reported, &new),
            of_errors(ProblemClass::ReportedBefore, &before),
        ]
    }

    /// Whether the same error was there before: counts and times in its text may have gone on.
    fn has_error(&self, error: &AgentError) -> bool {
        let words = |error: &AgentError| error.message.as_deref().map(without_counts);
        self.errors.iter().any(|known| {
            let is_same =
                (&known.code, &known.deployment_id) == (&error.code, &error.deployment_id);
            is_same && words(known) == words(error)
        })
    }

    /// The condition `Degraded`, if it holds and was not there before.
    pub(super) fn new_degradation(&self, details: &AgentDetails) -> Option<Problem> {
        let is_new = |condition: &&Condition| !self.degraded.contains(&condition.reason);
        degradation(details).filter(is_new).map(of_condition)
    }
}

/// The words of a text, without the digits of those that begin with one: counts and times, but not the tags
/// of images.
fn without_counts(text: &str) -> Vec<String> {
    let word = |word: &str| {
        let begins = word.find(char::is_alphanumeric).unwrap_or_default();
        let is_count = word[begins..].starts_with(|c: char| c.is_ascii_digit());
        word.chars()
            .filter(|c| !(is_count && c.is_ascii_digit()))
            .collect()
    };
    text.split_whitespace().map(word).collect()
}

/// The condition `Degraded`, where it holds.
pub(super) fn degradation(details: &AgentDetails) -> Option<&Condition> {
    details.conditions.iter().find(|c| is_degraded(c))
}

pub(super) fn of_condition(condition: &Condition) -> Problem {
    let code = condition.reason.as_deref().unwrap_or("Degraded");
    Problem {
        class: ProblemClass::Degraded,
        code: code.to_owned(),
        message: condition.message.clone(),
    }
}

fn is_degraded(condition: &Condition) -> bool {
    let is = |text: &Option<String>, word: &str| {
        text.as_deref()
            .is_some_and(|text| text.eq_ignore_ascii_case(word))
    };
    is(&condition.kind, "Degraded") && is(&condition.status, "True")
}

/// Listed errors as one problem: the first one's code, and the text of all.
fn of_errors(class: ProblemClass, errors: &[&AgentError]) -> Option<Problem> {
    let first = errors.first()?;
    let line = |error: &&AgentError| {
        let parts = [error.code.as_deref(), error.message.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    };
    let message = match errors {
        [only] => only.message.clone(),
        several => Some(several.iter().map(line).collect::<Vec<_>>().join("\n")),
    };
    let code = first.code.as_deref().unwrap_or("ReportedError");
    Some(Problem {
        class,
        code: code.to_owned(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_later_where_the_text_asks_for_it() {
        let asks = |text: &str| {
            let message = Some(text.to_owned());
            let code = "ErrImagePull".to_owned();
            let class = ProblemClass::NotPulling;
            Problem {
                class,
                code,
                message,
            }
            .asks_to_try_later()
        };
        for text in [
            "unexpected status code 429",
            "toomanyrequests: rate limit",
            "429 Too Many Requests",
            "status=503",
            "HTTP 502: bad gateway",
            "dial tcp: i/o timeout",
            "context deadline exceeded",
            "Service Unavailable (try again)",
        ] {
            assert!(asks(text), "{text}");
        }
        for text in [
            "",
            "acme/bot:1.2.504: not found",
            "acme/bot:503-slim: not found",
            "sha256:4294295031",
            "manifest unknown",
            "a5000b",
            "timeouts",
        ] {
            assert!(!asks(text), "{text}");
        }
    }

    #[test]
    fn classes_of_reasons_in_any_case_and_state() {
        use ContainerState::{Running, Terminated, Waiting};
        let odd = ContainerState::Unknown("Odd".to_owned());
        for (state, reason, class) in [
            (
                Waiting,
                Some("CRASHLOOPBACKOFF"),
                Some(ProblemClass::Crashing),
            ),
            (Waiting, Some("oomkilled"), Some(ProblemClass::Crashing)),
            (odd.clone(), Some("Error"), Some(ProblemClass::Crashing)),
            (Terminated, Some("Completed"), Some(ProblemClass::Crashing)),
            (Terminated, None, Some(ProblemClass::Crashing)),
            (
                Waiting,
                Some("imagePullBackOff"),
                Some(ProblemClass::NotPulling),
            ),
            (
                Waiting,
                Some("RunContainerError"),
                Some(ProblemClass::NotPulling),
            ),
            (
                odd.clone(),
                Some("invalidimagename"),
                Some(ProblemClass::Unrecoverable),
            ),
            (
                Waiting,
                Some("ErrImageNeverPull"),
                Some(ProblemClass::Unrecoverable),
            ),
            (Waiting, Some("ContainerCreating"), None),
            (Waiting, Some("PodInitializing"), None),
            (Waiting, None, None),
            (odd, Some("SolarFlare"), Some(ProblemClass::Unknown)),
            (Running, Some("CrashLoopBackOff"), None),
        ] {
            assert_eq!(
                class_of(Some(&state), reason),
                class,
                "{state:?} {reason:?}"
            );
            if state == Waiting {
                assert_eq!(class_of(None, reason), class, "{reason:?}");
            }
        }
    }

    #[test]
    fn errors_are_new_old_or_about_another_deployment() {
        let error = |code: &str, id: Option<&str>| AgentError {
            code: Some(code.to_owned()),
            message: Some("why".to_owned()),
            deployment_id: id.map(str::to_owned),
        };
        let mut known = KnownProblems::default();
        let errors = [error("old", None), error("own", Some("new"))];
        known.note(&AgentDetails {
            errors: errors.to_vec(),
            ..AgentDetails::default()
        });
        let codes = |errors: &[AgentError]| {
            let found = known.problems_of_errors(errors, "new");
            found.map(|problem| problem.map(|problem| problem.code))
        };
        let some = |code: &str| Some(code.to_owned());
        assert_eq!(codes(&[error("old", None)]), [None, some("old")]);
        assert_eq!(codes(&[error("own", Some("new"))]), [some("own"), None]);
        let mut counts_on = error("old", None);
        counts_on.message = Some("why 12".to_owned());
        assert_eq!(codes(&[counts_on.clone()]), [some("old"), None]);
        let mut seen = known.clone();
        seen.note(&AgentDetails {
            errors: vec![counts_on.clone()],
            ..AgentDetails::default()
        });
        counts_on.message = Some("why 9".to_owned());
        let [new, before] = seen.problems_of_errors(&[counts_on], "new");
        assert_eq!(
            (new, before.is_some()),
            (None, true),
            "only a number is another one"
        );
        assert_eq!(codes(&[error("old", Some("other"))]), [None, None]);
        assert_eq!(
            codes(&[error("fresh", None), error("old", None)]),
            [some("fresh"), some("old")]
        );
        // The same code with another text is another error.
        let other = AgentError {
            message: None,
            ..error("old", None)
        };
        assert_eq!(codes(&[other]), [some("old"), None]);
        // One that says nothing proves nothing.
        assert_eq!(codes(&[AgentError::default()]), [None, None]);
        // Other digits in a word are another image, not a count.
        let tag = |tag: &str| AgentError {
            message: Some(format!("acme/bot:{tag} not found (try 3)")),
            ..error("old", None)
        };
        let mut tagged = KnownProblems::default();
        tagged.note(&AgentDetails {
            errors: vec![tag("1.0.1")],
            ..AgentDetails::default()
        });
        assert!(tagged.problems_of_errors(&[tag("1.0.2")], "new")[0].is_some());
        assert!(tagged.problems_of_errors(&[tag("1.0.1")], "new")[0].is_none());
    }
}
