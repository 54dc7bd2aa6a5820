//! Which events a sink gets.

use super::event::{EventKind, FleetEvent};
use super::scope::{BadPattern, Patterns};
use crate::core::rollout::Verdict;
use crate::core::text::diagnostics::nearest;

/// Which events a sink gets: those that fit all three.
#[derive(Debug, Clone)]
pub struct Filter {
    events: Patterns,
    /// Of those that have a verdict; none means all.
    verdicts: Vec<Verdict>,
    agents: Patterns,
}

/// A filter that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// A pattern cannot be understood.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// A pattern fits no event that there is.
    #[error("events: {word:?} fits no event{}; there are {}", meant(word, kinds()), kinds().join(", "))]
    NoSuchEvent {
        /// The pattern.
        word: String,
    },
    /// There is no such verdict, or no rollout ends with it.
    #[error("verdicts: no rollout ends with {word:?}{}", meant(word, FINAL.map(Verdict::as_str)))]
    NoSuchVerdict {
        /// The word.
        word: String,
    },
}

/// The verdicts with which the sidecar's rollouts end.
const FINAL: [Verdict; 7] = [
    Verdict::Ready,
    Verdict::Failed,
    Verdict::Stalled,
    Verdict::Superseded,
    Verdict::NotFound,
    Verdict::Infrastructure,
    Verdict::Timeout,
];

impl Filter {
    /// Events of the kinds that one of `events` fits, about agents whose name one of `agents`
    /// fits, and, where they have a verdict, with one of `verdicts`. An empty list means all.
    ///
    /// # Errors
    /// When a pattern cannot be understood, or fits nothing that there is.
    pub fn new(
        events: &[String],
        verdicts: &[String],
        agents: &[String],
    ) -> Result<Self, BadFilter> {
        for pattern in events {
            let set = Patterns::new(std::slice::from_ref(pattern))?;
            if !EventKind::ALL.iter().any(|kind| set.fit(kind.as_str())) {
                return Err(BadFilter::NoSuchEvent {
                    word: pattern.clone(),
                });
            }
        }
        Ok(Self {
            events: Patterns::or_all(events)?,
            verdicts: verdicts
                .iter()
                .map(|word| final_verdict(word))
                .collect::<Result<_, _>>()?,
            agents: Patterns::or_all(agents)?,
        })
    }

    /// Whether the sink gets it.
    #[must_use]
    pub fn passes(&self, event: &FleetEvent) -> bool {
        let verdict = event.data.verdict;
        self.events.fit(event.kind.as_str())
            && self.agents.fit(&event.data.agent)
            && (self.verdicts.is_empty() || verdict.is_none_or(|one| self.verdicts.contains(&one)))
    }
}

/// The verdict of this word, if a rollout that the sidecar watches can end with it.
///
/// # Errors
/// When it cannot; perhaps another word was meant.
pub fn final_verdict(word: &str) -> Result<Verdict, BadFilter> {
    let found = FINAL.into_iter().find(|verdict| verdict.as_str() == word);
    found.ok_or_else(|| BadFilter::NoSuchVerdict {
        word: word.to_owned(),
    })
}

fn meant<const WORDS: usize>(word: &str, there: [&str; WORDS]) -> String {
    let nearest = nearest(word, there);
    nearest.map_or_else(String::new, |near| format!(", perhaps {near:?} was meant"))
}

fn kinds() -> [&'static str; EventKind::ALL.len()] {
    EventKind::ALL.map(EventKind::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::EventData;

    fn own(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn event(kind: EventKind, agent: &str, verdict: Option<Verdict>) -> FleetEvent {
        FleetEvent {
            dedup_key: "a".to_owned(),
            kind,
            time: jiff::Timestamp::UNIX_EPOCH,
            data: EventData {
                agent: agent.to_owned(),
                verdict,
                ..EventData::default()
            },
        }
    }

    #[test]
    fn events_verdicts_and_agents_decide_together() {
        use EventKind::{AgentUnready, RolloutFinished, RolloutStarted};
        let all = Filter::new(&[], &[], &[]).unwrap();
        let some = Filter::new(
            &own(&["rollout.finished", "agent.*"]),
            &own(&["failed", "timeout"]),
            &own(&["prod-*"]),
        )
        .unwrap();
        for (kind, agent, verdict, passes) in [
            (RolloutFinished, "prod-a", Some(Verdict::Failed), true),
            (RolloutFinished, "prod-a", Some(Verdict::Ready), false),
            (RolloutFinished, "dev-a", Some(Verdict::Failed), false),
            (RolloutStarted, "prod-a", None, false),
            (AgentUnready, "prod-a", None, true),
        ] {
            let event = event(kind, agent, verdict);
            assert!(all.passes(&event), "{kind} {agent}");
            assert_eq!(some.passes(&event), passes, "{kind} {agent} {verdict:?}");
        }
    }

    #[test]
    fn what_can_never_pass_is_an_error_that_says_what_was_meant() {
        let told = |events: &[&str], verdicts: &[&str], agents: &[&str]| {
            let filter = Filter::new(&own(events), &own(verdicts), &own(agents));
            filter.unwrap_err().to_string()
        };
        assert_eq!(
            told(&["rollout.finish"], &[], &[]),
            "events: \"rollout.finish\" fits no event, perhaps \"rollout.finished\" was meant; \
             there are rollout.started, rollout.phase-changed, rollout.finished, agent.unready, \
             agent.recovered, agent.added, agent.removed"
        );
        assert_eq!(
            told(&[], &["fialed"], &[]),
            "verdicts: no rollout ends with \"fialed\", perhaps \"failed\" was meant"
        );
        assert_eq!(
            told(&[], &["unauthorized"], &[]),
            "verdicts: no rollout ends with \"unauthorized\""
        );
        assert!(told(&[], &[], &["a["]).starts_with("\"a[\" is no pattern: "));
    }
}
