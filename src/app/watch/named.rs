//! The agents that were named: asked for one by one, as if there were a list of them.

use std::collections::{BTreeMap, BTreeSet};

use tracing::warn;

use super::tasks::verdict_of;
use super::{Ended, PASS_TRIES};
use crate::adapters::api::connection::{Connection, Priority};
use crate::app::poll_loop::MAX_REQUEST;
use crate::core::fleet::Fleet;
use crate::core::fleet::old::AgentRecord;
use crate::core::rollout::{Observation, Route, Verdict};
use crate::core::wire::{AgentDetails, AgentName, Service};

/// What came of asking for each of them.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Those that there are, by name.
    found: Vec<(String, Service)>,
    /// Those about whom there was no usable answer: how that is judged, and why.
    unanswered: Vec<(String, (Verdict, String))>,
}

/// What is known of the named agents.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// As they were seen last in this run.
    seen: BTreeMap<String, Service>,
    /// Those about whom there was no usable answer in this run, which is told of once.
    silent: BTreeMap<String, (Verdict, String)>,
    /// How often they were asked for.
    rounds: u32,
}

/// The named agents as a list would show them.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) services: Vec<Service>,
    /// The names of those that could not be asked for until now.
    pub(super) late: BTreeSet<String>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Takes in a round of answers. An agent about whom there was none is taken as it was seen last, or
    /// is remembered, lest it be missed; one that is not known at all is passed over.
    pub(super) fn complete(&mut self, answers: Answers, fleet: &Fleet) -> Shown {
        let mut before = std::mem::take(self);
        self.rounds = before.rounds.saturating_add(1);
        let mut shown = Shown::default();
        for (name, service) in answers.found {
            if before.silent.contains_key(&name) {
                shown.late.insert(name.clone());
            }
            shown.services.push(service.clone());
            self.seen.insert(name, service);
        }
        for (name, (verdict, why)) in answers.unanswered {
            if let Some(service) = before.seen.remove(&name) {
                shown.services.push(service.clone());
                self.seen.insert(name, service);
                continue;
            }
            if !before.silent.contains_key(&name) {
                warn!(agent = name, %why, "{name} cannot be asked for, and is passed over: {why}");
            }
            shown.services.extend(fleet.agent(&name).map(remembered));
            self.silent.insert(name, (verdict, why));
        }
        shown
    }

    /// Whether a single pass asks once more, for the sake of those that have been silent so far.
    pub(super) fn wants_more(&self) -> bool {
        !self.silent.is_empty() && self.rounds < PASS_TRIES
    }

    /// How a single pass has ended in which all others have been looked at.
    pub(super) fn passed(&self) -> Ended {
        match self.silent.first_key_value() {
            None => Ended::Passed,
            Some((name, (verdict, why))) => {
                Ended::NoPass(*verdict, format!("{name} cannot be asked for: {why}"))
            }
        }
    }
}

/// Asks for each of these agents.
///
/// # Errors
/// When there was no usable answer about any of them: how that is judged, and why.
pub(super) async fn ask_each(
    connection: &Connection,
    agents: &[AgentName],
) -> Result<Answers, (Verdict, String)> {
    let mut answers = Answers::default();
    let mut refused = None;
    for agent in agents {
        let name = || agent.as_str().to_owned();
        connection.acquire(Priority::Normal).await;
        match connection.observe(agent, MAX_REQUEST, Route::Pooled).await {
            Observation::Details { details, .. } => {
                let service = service_of(name(), *details);
                answers.found.push((name(), service));
            }
            Observation::Absent(_) => {}
            Observation::Failed(failure) => {
                let (verdict, why) = (verdict_of(failure.class), failure.summary);
                // The key is only to blame where it is refused for all.
                if refused.is_none() || verdict != Verdict::Unauthorized {
                    refused = Some((verdict, why.clone()));
                }
                answers.unanswered.push((name(), (verdict, why)));
            }
        }
    }
    match refused {
        Some(error) if answers.unanswered.len() == agents.len() => Err(error),
        _ => Ok(answers),
    }
}

fn service_of(name: String, details: AgentDetails) -> Service {
    Service {
        name: Some(name),
        desired_deployment_id: details.desired().map(str::to_owned),
        region: details.region,
        reconciled_deployment_id: details.reconciled_deployment_id,
        updated_at: details.updated_at,
        ..Service::default()
    }
}

/// An agent as it would show if nothing had changed.
fn remembered(record: &AgentRecord) -> Service {
    Service {
        id: record.service_id.clone(),
        name: Some(record.name.clone()),
        region: record.region.clone(),
        desired_deployment_id: record.deployment_id.clone(),
        updated_at: record.updated_at,
        ..Service::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::NoticeKind;
    use crate::core::fleet::old::Change;
    use jiff::Timestamp;

    fn service(name: &str, deployment: &str) -> Service {
        Service {
            name: Some(name.to_owned()),
            desired_deployment_id: Some(deployment.to_owned()),
            reconciled_deployment_id: Some(deployment.to_owned()),
            ..Service::default()
        }
    }

    /// What follows from a round in which these answered and those did not.
    fn round(
        fleet: &mut Fleet,
        known: &mut Known,
        found: &[(&str, &str)],
        silent: &[&str],
    ) -> (Change, Vec<String>) {
        let named = |(name, at): &(&str, &str)| ((*name).to_owned(), service(name, at));
        let answers = Answers {
            found: found.iter().map(named).collect(),
            unanswered: silent
                .iter()
                .map(|name| {
                    let why = (Verdict::Unavailable, "it broke".to_owned());
                    ((*name).to_owned(), why)
                })
                .collect(),
        };
        let shown = known.complete(answers, fleet);
        let now = Timestamp::UNIX_EPOCH;
        let step = fleet.on_answers(now, &shown.services, |name| shown.late.contains(name));
        let begun = step.begin.into_iter().map(|begin| begin.agent);
        (step.change, begun.collect())
    }

    fn kinds(change: &Change) -> Vec<NoticeKind> {
        change.notices.iter().map(|notice| notice.kind).collect()
    }

    #[test]
    fn one_that_is_silent_from_the_first_start_on_is_later_taken_as_it_stands() {
        let (mut fleet, mut known) = (Fleet::restore(Vec::new()), Known::new());
        for _ in 0..5 {
            let (change, begun) = round(&mut fleet, &mut known, &[("a", "d1")], &["b"]);
            assert_eq!((kinds(&change), begun), (vec![], vec![]));
        }
        let (change, begun) = round(&mut fleet, &mut known, &[("a", "d1"), ("b", "d1")], &[]);
        assert_eq!((kinds(&change), begun), (vec![], vec![]), "it was at rest");
        assert_eq!(fleet.agents().count(), 2);
        // A silence that follows counts for nothing.
        for _ in 0..5 {
            let (change, begun) = round(&mut fleet, &mut known, &[("a", "d1")], &["b"]);
            assert_eq!((kinds(&change), begun), (vec![], vec![]));
        }
        let (_, begun) = round(&mut fleet, &mut known, &[("a", "d1"), ("b", "d2")], &[]);
        assert_eq!(begun, ["b"]);
    }

    #[test]
    fn a_single_pass_asks_three_times_and_is_none_without_an_answer() {
        let (mut fleet, mut known) = (Fleet::restore(Vec::new()), Known::new());
        for more in [true, true, false] {
            let _ = round(&mut fleet, &mut known, &[("a", "d1")], &["b"]);
            assert_eq!(known.wants_more(), more);
        }
        let why = "b cannot be asked for: it broke".to_owned();
        assert_eq!(known.passed(), Ended::NoPass(Verdict::Unavailable, why));
        let _ = round(&mut fleet, &mut known, &[("a", "d1"), ("b", "d1")], &[]);
        assert!(!known.wants_more());
        assert_eq!(known.passed(), Ended::Passed);
    }

    #[test]
    fn one_that_was_not_there_and_comes_is_new() {
        let (mut fleet, mut known) = (Fleet::restore(Vec::new()), Known::new());
        let _ = round(&mut fleet, &mut known, &[("a", "d1")], &["b"]);
        let _ = round(&mut fleet, &mut known, &[("a", "d1")], &[]);
        let (change, _) = round(&mut fleet, &mut known, &[("a", "d1"), ("b", "d1")], &[]);
        assert_eq!(kinds(&change), [NoticeKind::AgentAdded]);
    }

    #[test]
    fn one_that_is_remembered_and_silent_is_not_missed_and_what_it_did_is_found_late() {
        let mut first = Fleet::restore(Vec::new());
        let both = [service("a", "d1"), service("b", "d1")];
        let step = first.on_list(Timestamp::UNIX_EPOCH, &both);
        let (mut fleet, mut known) = (Fleet::restore(step.change.agents), Known::new());
        for _ in 0..5 {
            let (change, begun) = round(&mut fleet, &mut known, &[("a", "d1")], &["b"]);
            assert_eq!((kinds(&change), begun), (vec![], vec![]));
        }
        let (_, begun) = round(&mut fleet, &mut known, &[("a", "d2"), ("b", "d2")], &[]);
        assert_eq!(begun, ["a", "b"]);
        for (agent, late) in [("a", false), ("b", true)] {
            let target = crate::core::rollout::Event::TargetFound {
                deployment_id: "d2".to_owned(),
                created_at: None,
            };
            let change = fleet.happened(Timestamp::UNIX_EPOCH, agent, &target);
            assert_eq!(change.notices[0].data.observed_late, late, "{agent}");
        }
    }
}
