//! Which events a sink gets.

use super::event::{EventKind, FleetEvent};
use super::scope::{BadPattern, Patterns};
use crate::core::messages::{Severity, event_severity};
use crate::core::rollout::Verdict;
use crate::core::text::diagnostics::nearest;

/// Which events a sink gets: those that fit all of it.
#[derive(Debug, Clone)]
pub struct Filter {
    events: Patterns,
    /// Of those that have a verdict; none means all.
    verdicts: Vec<Verdict>,
    agents: Patterns,
    regions: Patterns,
    /// None means all.
    severities: Vec<Severity>,
    incidents: bool,
}

/// Which events a sink is to get, in words. An empty list means all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Patterns of their kinds.
    pub events: Vec<String>,
    /// Of those that have a verdict.
    pub verdicts: Vec<String>,
    /// Patterns of the names of the agents that they are about.
    pub agents: Vec<String>,
    /// Patterns of regions.
    pub regions: Vec<String>,
    /// How grave they are.
    pub severities: Vec<String>,
    /// Only those that open an incident or close one.
    pub incidents: bool,
}

/// A filter that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// A pattern of this key cannot be understood.
    #[error("{0}: {1}")]
    Pattern(&'static str, BadPattern),
    /// A pattern fits no event that there is.
    #[error("events: {:?} fits no event{}; there are {}", .0, meant(.0, kinds()), kinds().join(", "))]
    NoSuchEvent(String),
    /// There is no such verdict, or no rollout ends with it.
    #[error("verdicts: no rollout ends with {:?}{}", .0, meant(.0, FINAL.map(Verdict::as_str)))]
    NoSuchVerdict(String),
    /// There is no such severity.
    #[error(
        "severities: no event is {:?}{}; there are {}",
        .0,
        meant(.0, Severity::ALL.map(Severity::as_str)),
        Severity::ALL.map(Severity::as_str).join(", ")
    )]
    NoSuchSeverity(String),
}

/// The verdicts with which the sidecar's rollouts end.
pub(super) const FINAL: [Verdict; 7] = [
    Verdict::Ready,
    Verdict::Failed,
    Verdict::Stalled,
    Verdict::Superseded,
    Verdict::NotFound,
    Verdict::Infrastructure,
    Verdict::Timeout,
];

impl BadFilter {
    /// The key that makes no sense.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Pattern(key, _) => key,
            Self::NoSuchEvent(_) => "events",
            Self::NoSuchVerdict(_) => "verdicts",
            Self::NoSuchSeverity(_) => "severities",
        }
    }
}

impl Filter {
    /// The events that are wanted.
    ///
    /// # Errors
    /// When a pattern cannot be understood, or fits nothing that there is.
    pub fn new(wanted: &Wanted) -> Result<Self, BadFilter> {
        let patterns = |key, list: &[String]| {
            Patterns::or_all(list).map_err(|bad| BadFilter::Pattern(key, bad))
        };
        let events = patterns("events", &wanted.events)?;
        for pattern in &wanted.events {
            let word = pattern.strip_prefix('!').unwrap_or(pattern);
            let set = patterns("events", &[word.to_owned()])?;
            if !EventKind::ALL.iter().any(|kind| set.fit(kind.as_str())) {
                return Err(BadFilter::NoSuchEvent(word.to_owned()));
            }
        }
        let severity = |word: &String| {
            let found = Severity::ALL.into_iter().find(|one| one.as_str() == word);
            found.ok_or_else(|| BadFilter::NoSuchSeverity(word.clone()))
        };
        let verdicts = wanted.verdicts.iter().map(|word| final_verdict(word));
        Ok(Self {
            events,
            verdicts: verdicts.collect::<Result<_, _>>()?,
            agents: patterns("agents", &wanted.agents)?,
            regions: patterns("regions", &wanted.regions)?,
            severities: wanted
                .severities
                .iter()
                .map(severity)
                .collect::<Result<_, _>>()?,
            incidents: wanted.incidents,
        })
    }

    /// Whether the sink gets nothing but what opens incidents or closes them.
    #[must_use]
    pub fn wants_incidents_only(&self) -> bool {
        self.incidents
    }

    /// Whether the sink gets it. What an event does not have keeps it from no sink: one about the sidecar
    /// itself has no agent.
    #[must_use]
    pub fn passes(&self, event: &FleetEvent) -> bool {
        let data = &event.data;
        let severity = event_severity(event);
        self.events.fit(event.kind.as_str())
            && (data.agent.is_empty() || self.agents.fit(&data.agent))
            && data
                .region
                .as_deref()
                .is_none_or(|region| self.regions.fit(region))
            && (self.verdicts.is_empty()
                || data.verdict.is_none_or(|one| self.verdicts.contains(&one)))
            && (self.severities.is_empty() || self.severities.contains(&severity))
            && (!self.incidents || event.incident().is_some())
    }
}

/// The verdict of this word, if a rollout that the sidecar watches can end with it.
///
/// # Errors
/// When it cannot; perhaps another word was meant.
pub fn final_verdict(word: &str) -> Result<Verdict, BadFilter> {
    let found = FINAL.into_iter().find(|verdict| verdict.as_str() == word);
    found.ok_or_else(|| BadFilter::NoSuchVerdict(word.to_owned()))
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
    fn all_that_is_asked_for_decides_together() {
        use EventKind::{AgentUnready, RolloutFinished, RolloutStarted, WatcherBlind};
        let all = Filter::new(&Wanted::default()).unwrap();
        let some = Filter::new(&Wanted {
            events: own(&["rollout.finished", "agent.*", "watcher.*"]),
            verdicts: own(&["failed", "timeout"]),
            agents: own(&["prod-*", "!*-canary"]),
            ..Wanted::default()
        });
        let some = some.unwrap();
        for (kind, agent, verdict, passes) in [
            (RolloutFinished, "prod-a", Some(Verdict::Failed), true),
            (RolloutFinished, "prod-a", Some(Verdict::Ready), false),
            (RolloutFinished, "dev-a", Some(Verdict::Failed), false),
            (AgentUnready, "prod-canary", None, false),
            (RolloutStarted, "prod-a", None, false),
            (AgentUnready, "prod-a", None, true),
            // It has no agent.
            (WatcherBlind, "", None, true),
        ] {
            let event = event(kind, agent, verdict);
            assert!(all.passes(&event), "{kind} {agent}");
            assert_eq!(some.passes(&event), passes, "{kind} {agent} {verdict:?}");
        }
    }

    #[test]
    fn regions_severities_and_incidents_decide() {
        use EventKind::{AgentAdded, AgentUnready, RolloutFinished};
        let passes = |wanted: Wanted, kind, region: &str, verdict| {
            let mut event = event(kind, "a", verdict);
            event.data.region = (!region.is_empty()).then(|| region.to_owned());
            Filter::new(&wanted).unwrap().passes(&event)
        };
        let regions = || Wanted {
            regions: own(&["eu-*"]),
            ..Wanted::default()
        };
        for (region, passed) in [("eu-central", true), ("us-west", false), ("", true)] {
            assert_eq!(
                passes(regions(), AgentAdded, region, None),
                passed,
                "{region}"
            );
        }
        let errors = || Wanted {
            severities: own(&["error", "warning"]),
            ..Wanted::default()
        };
        let incidents = || Wanted {
            incidents: true,
            ..Wanted::default()
        };
        for (kind, verdict, grave, about_incident) in [
            (RolloutFinished, Some(Verdict::Failed), true, true),
            (RolloutFinished, Some(Verdict::Superseded), true, false),
            (RolloutFinished, Some(Verdict::Ready), false, true),
            (AgentUnready, None, true, true),
            (AgentAdded, None, false, false),
        ] {
            assert_eq!(passes(errors(), kind, "", verdict), grave, "{kind}");
            assert_eq!(
                passes(incidents(), kind, "", verdict),
                about_incident,
                "{kind}"
            );
        }
    }

    #[test]
    fn what_can_never_pass_is_an_error_that_says_what_was_meant() {
        let why = |wanted: Wanted| Filter::new(&wanted).unwrap_err().to_string();
        let events = |words: &[&str]| Wanted {
            events: own(words),
            ..Wanted::default()
        };
        for words in [["rollout.finish"], ["!rollout.finish"]] {
            let why = why(events(&words));
            let start = "events: \"rollout.finish\" fits no event, perhaps \"rollout.finished\" was meant; \
                         there are rollout.started, ";
            assert!(why.starts_with(start), "{why}");
        }
        let verdicts = |words: &[&str]| Wanted {
            verdicts: own(words),
            ..Wanted::default()
        };
        assert_eq!(
            why(verdicts(&["fialed"])),
            "verdicts: no rollout ends with \"fialed\", perhaps \"failed\" was meant"
        );
        assert_eq!(
            why(verdicts(&["unauthorized"])),
            "verdicts: no rollout ends with \"unauthorized\""
        );
        let severities = Wanted {
            severities: own(&["eror"]),
            ..Wanted::default()
        };
        assert_eq!(
            why(severities),
            "severities: no event is \"eror\", perhaps \"error\" was meant; there are success, info, warning, error"
        );
        let agents = Wanted {
            agents: own(&["a["]),
            ..Wanted::default()
        };
        assert!(why(agents).starts_with("agents: \"a[\" is no pattern: "));
    }
}
