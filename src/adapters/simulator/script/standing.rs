//! How an agent stands at each time: the states of the file, each folded into the one before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::file::{HealthTable, RevisionTable, StateTable};
use super::words::OrNone;

/// How an agent stands. Deployments go by their aliases, times are counted from the deploy.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Standing {
    pub(super) desired: Option<String>,
    /// Since when it is the desired one; `None`: since before the deploy.
    pub(super) desired_since: Option<Duration>,
    pub(super) reconciled: Option<String>,
    pub(super) ready: bool,
    pub(super) available: bool,
    pub(super) sessions: u64,
    pub(super) current: Option<Revision>,
    pub(super) previous: Option<Revision>,
    /// What the answer holds besides, in the API's own words.
    pub(super) extra: serde_json::Map<String, serde_json::Value>,
}

/// A revision of the agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Revision {
    pub(super) deployment: String,
    pub(super) phase: String,
    /// Since when it is in this phase; `None`: since before the deploy.
    pub(super) phase_since: Option<Duration>,
    pub(super) ready_replicas: u64,
    pub(super) infrastructure_issue: bool,
    pub(super) health: Option<Health>,
}

/// How a revision's code fares, as the API writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    ready: bool,
    state: Option<String>,
    restart_count: u64,
    replicas_started: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_exit_code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_termination_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// All the states of a scenario.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    before: Option<Standing>,
    states: Vec<(Duration, Option<Standing>)>,
}

impl Timeline {
    /// Folds the tables, which are in the order of their times.
    ///
    /// # Errors
    /// Where a table leaves out what a new revision must have: its number among `states` (`None`
    /// is `[before]`) and what is wrong.
    pub(super) fn fold(
        before: StateTable,
        states: Vec<(Duration, StateTable)>,
    ) -> Result<Self, (Option<usize>, String)> {
        let mut fold = Fold::default();
        let before = fold.next(None, before).map_err(|what| (None, what))?;
        let states = states
            .into_iter()
            .enumerate()
            .map(|(i, (at, table))| match fold.next(Some(at), table) {
                Ok(standing) => Ok((at, standing)),
                Err(what) => Err((Some(i), what)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { before, states })
    }

    /// The state at `at`, or before the deploy; `None` where there is no agent.
    pub(super) fn at(&self, at: Option<Duration>) -> Option<&Standing> {
        let begun = self.states.partition_point(|(from, _)| Some(*from) <= at);
        match begun.checked_sub(1) {
            Some(latest) => self.states[latest].1.as_ref(),
            None => self.before.as_ref(),
        }
    }

    /// The first state from `at` on in which there is an agent.
    pub(super) fn first_present(&self, at: Duration) -> Option<&Standing> {
        let later = self.states.iter().filter(|(from, _)| *from > at);
        let later = later.map(|(_, standing)| standing.as_ref());
        std::iter::once(self.at(Some(at)))
            .chain(later)
            .flatten()
            .next()
    }
}

/// The state folded so far.
#[derive(Default)]
struct Fold {
    standing: Standing,
    /// The phase of each deployment's revision and since when, wherever the revision stood.
    phases: BTreeMap<String, (String, Option<Duration>)>,
}

impl Fold {
    /// What a table leaves: what it does not say stays as it was. Absence forgets everything.
    fn next(
        &mut self,
        at: Option<Duration>,
        table: StateTable,
    ) -> Result<Option<Standing>, String> {
        if table.absent {
            *self = Fold::default();
            return Ok(None);
        }
        let standing = &mut self.standing;
        if let Some(desired) = table.desired {
            let desired = alias(desired.into_inner());
            if desired != standing.desired {
                standing.desired = desired;
                standing.desired_since = at;
            }
        }
        if let Some(reconciled) = table.reconciled {
            standing.reconciled = alias(reconciled.into_inner());
        }
        standing.ready = table.ready.unwrap_or(standing.ready);
        standing.available = table.available.unwrap_or(standing.available);
        standing.sessions = table.sessions.unwrap_or(standing.sessions);
        standing.extra = table.extra.unwrap_or_else(|| standing.extra.clone());
        standing.current = revision("current", standing.current.take(), table.current)?;
        standing.previous = revision("previous", standing.previous.take(), table.previous)?;
        for revision in [&mut standing.current, &mut standing.previous]
            .into_iter()
            .flatten()
        {
            let now = (revision.phase.clone(), at);
            let known = self
                .phases
                .entry(revision.deployment.clone())
                .or_insert(now.clone());
            if known.0 != revision.phase {
                *known = now;
            }
            revision.phase_since = known.1;
        }
        Ok(Some(self.standing.clone()))
    }
}

/// The deployment of this alias; "none" is no deployment.
fn alias(word: String) -> Option<String> {
    (word != "none").then_some(word)
}

/// The revision after `table`; one of another deployment begins with nothing.
fn revision(
    place: &str,
    before: Option<Revision>,
    table: Option<OrNone<RevisionTable>>,
) -> Result<Option<Revision>, String> {
    let table = match table {
        None => return Ok(before),
        Some(OrNone::None) => return Ok(None),
        Some(OrNone::Some(table)) => table,
    };
    let said = table.deployment.map(toml::Spanned::into_inner);
    let before = before.filter(|before| said.as_ref().is_none_or(|id| *id == before.deployment));
    let Some(deployment) = said.or(before.as_ref().map(|before| before.deployment.clone())) else {
        return Err(format!("a new `{place}` revision needs `deployment`"));
    };
    let Some(phase) = table
        .phase
        .or(before.as_ref().map(|before| before.phase.clone()))
    else {
        return Err(format!("a new `{place}` revision needs `phase`"));
    };
    let was = before.as_ref();
    Ok(Some(Revision {
        deployment,
        phase,
        phase_since: None,
        ready_replicas: table
            .ready_replicas
            .or(was.map(|was| was.ready_replicas))
            .unwrap_or(0),
        infrastructure_issue: table
            .infrastructure_issue
            .or(was.map(|was| was.infrastructure_issue))
            .unwrap_or(false),
        health: health(place, before.and_then(|before| before.health), table.health)?,
    }))
}

/// The health after `table`. A reason goes with its state: a state said anew forgets it.
fn health(
    place: &str,
    before: Option<Health>,
    table: Option<OrNone<HealthTable>>,
) -> Result<Option<Health>, String> {
    let table = match table {
        None => return Ok(before),
        Some(OrNone::None) => return Ok(None),
        Some(OrNone::Some(table)) => table,
    };
    if before.is_none() && table.state.is_none() {
        return Err(format!("the health of `{place}` needs `state`"));
    }
    let was = before.unwrap_or(Health {
        replicas_started: 1,
        ..Health::default()
    });
    let kept = was.reason.filter(|_| table.state.is_none());
    Ok(Some(Health {
        ready: table.ready.unwrap_or(was.ready),
        state: table.state.or(was.state),
        restart_count: table.restart_count.unwrap_or(was.restart_count),
        replicas_started: table.replicas_started.unwrap_or(was.replicas_started),
        reason: table.reason.or(kept),
        last_exit_code: table.last_exit_code.or(was.last_exit_code),
        last_termination_reason: table
            .last_termination_reason
            .or(was.last_termination_reason),
        message: table.message.or(was.message),
    }))
}
