//! From the file to the scenario: what the form cannot hold is checked here, with its line.

mod faults;

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::file::{AgentTable, File, LogTable, RevisionTable, StateTable};
use super::standing::Timeline;
use super::words::OrNone;
use super::{Deployment, LogLine, Scenario, Traits};
use crate::core::text::diagnostics::{line, nearest, with_suggestion};
use crate::core::text::one_line;

/// Why a text is no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", line.map_or(String::new(), |line| format!("line {line}: ")))]
pub struct BadScenario {
    /// The line that is at fault, the first being 1; `None` where it is no single one.
    pub line: Option<usize>,
    /// What is wrong, as one line.
    pub what: String,
}

/// See [`Scenario::parse`].
pub(super) fn scenario(text: &str) -> Result<Scenario, BadScenario> {
    let file: File = toml::from_str(text).map_err(|error| BadScenario {
        line: error.span().map(|span| line(text, &span)),
        what: one_line(&with_suggestion(error.message())),
    })?;
    checked(file).map_err(|Slip { span, what }| BadScenario {
        line: span.map(|span| line(text, &span)),
        what: one_line(&what),
    })
}

/// Something that is wrong, and where.
struct Slip {
    span: Option<Range<usize>>,
    what: String,
}

impl Slip {
    fn at<T>(place: &Spanned<T>, what: impl Into<String>) -> Self {
        Self {
            span: Some(place.span()),
            what: what.into(),
        }
    }
}

fn checked(file: File) -> Result<Scenario, Slip> {
    let declared: Vec<String> = file.deployments.keys().cloned().collect();
    let known = Aliases(&declared);
    let summary = file.summary.get_ref().trim();
    if summary.is_empty() || summary.contains('\n') {
        return Err(Slip::at(&file.summary, "the summary is one line"));
    }
    if let Some(baseline) = &file.baseline {
        known.check(baseline)?;
    }
    let timeline = timeline(file.before, file.state, known)?;
    let faults = file.fault.iter().map(faults::fault);
    let faults = faults.collect::<Result<_, _>>()?;
    let log = log(file.log, known)?;
    Ok(Scenario {
        summary: summary.to_owned(),
        verdict: file.verdict,
        baseline: file.baseline.map(Spanned::into_inner),
        traits: traits(file.agent)?,
        deployments: deployments(file.deployments),
        timeline,
        faults,
        log,
    })
}

/// The aliases that `[deployments]` declares.
#[derive(Clone, Copy)]
struct Aliases<'a>(&'a [String]);

impl Aliases<'_> {
    fn check(self, alias: &Spanned<String>) -> Result<(), Slip> {
        let word = alias.get_ref();
        if self.0.contains(word) {
            return Ok(());
        }
        let hint = match nearest(word, self.0.iter().map(String::as_str)) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        Err(Slip::at(
            alias,
            format!("deployment `{word}` is not declared in [deployments]{hint}"),
        ))
    }

    fn check_state(self, state: &StateTable) -> Result<(), Slip> {
        let revisions = [&state.current, &state.previous];
        let of_revisions = revisions.into_iter().filter_map(|revision| match revision {
            Some(OrNone::Some(RevisionTable { deployment, .. })) => deployment.as_ref(),
            Some(OrNone::None) | None => None,
        });
        let named = [&state.desired, &state.reconciled].into_iter().flatten();
        named
            .filter(|alias| alias.get_ref() != "none")
            .chain(of_revisions)
            .try_for_each(|alias| self.check(alias))
    }
}

fn traits(table: Option<Spanned<AgentTable>>) -> Result<Traits, Slip> {
    let table = table.unwrap_or_else(|| Spanned::new(0..0, AgentTable::default()));
    let agent = table.get_ref();
    let min_replicas = agent.min_replicas.unwrap_or(1);
    let max_replicas = agent.max_replicas.unwrap_or(min_replicas.max(10));
    if min_replicas > max_replicas {
        return Err(Slip::at(
            &table,
            format!("min-replicas ({min_replicas}) is more than max-replicas ({max_replicas})"),
        ));
    }
    let agent = table.into_inner();
    Ok(Traits {
        region: agent.region.unwrap_or_else(|| "us-west".to_owned()),
        profile: agent.profile,
        min_replicas,
        max_replicas,
    })
}

fn deployments(
    declared: BTreeMap<String, super::words::Deployment>,
) -> BTreeMap<String, Deployment> {
    let declared = declared.into_iter().map(|(alias, deployment)| {
        let image = deployment
            .image
            .unwrap_or_else(|| format!("registry.example.com/acme/voice-starter:{alias}"));
        let made = deployment.made.0;
        (alias, Deployment { made, image })
    });
    declared.collect()
}

fn timeline(
    before: Option<Spanned<StateTable>>,
    states: Vec<Spanned<StateTable>>,
    known: Aliases<'_>,
) -> Result<Timeline, Slip> {
    if states.is_empty() {
        return Err(Slip {
            span: None,
            what: "a scenario needs a [[state]]".to_owned(),
        });
    }
    // Without [before], there is no agent before the deploy.
    let absent = StateTable {
        absent: true,
        ..StateTable::default()
    };
    let before = before.unwrap_or_else(|| Spanned::new(0..0, absent));
    if let Some(at) = &before.get_ref().at {
        return Err(Slip::at(
            at,
            "[before] has no `at`: it lasts until the deploy",
        ));
    }
    check_absence(&before)?;
    known.check_state(before.get_ref())?;
    let before_span = before.span();
    let spans: Vec<_> = states.iter().map(Spanned::span).collect();
    let mut timed = Vec::new();
    for state in states {
        check_absence(&state)?;
        known.check_state(state.get_ref())?;
        let Some(at) = &state.get_ref().at else {
            return Err(Slip::at(&state, "a [[state]] needs `at`"));
        };
        let moment = at.get_ref().0;
        if let Some((last, _)) = timed.last()
            && moment <= *last
        {
            let last = humantime::format_duration(*last);
            return Err(Slip::at(
                at,
                format!("`at` must be later than {last}, that of the state before"),
            ));
        }
        timed.push((moment, state.into_inner()));
    }
    Timeline::fold(before.into_inner(), timed).map_err(|(state, what)| Slip {
        span: Some(state.map_or(before_span, |state| spans[state].clone())),
        what,
    })
}

/// An absent agent answers 404, so a state that says more about it cannot be meant.
fn check_absence(state: &Spanned<StateTable>) -> Result<(), Slip> {
    let table = state.get_ref();
    let says_more = table.desired.is_some()
        || table.reconciled.is_some()
        || table.ready.is_some()
        || table.available.is_some()
        || table.sessions.is_some()
        || table.current.is_some()
        || table.previous.is_some()
        || table.extra.is_some();
    if table.absent && says_more {
        return Err(Slip::at(state, "an absent agent has nothing else"));
    }
    Ok(())
}

fn log(tables: Vec<Spanned<LogTable>>, known: Aliases<'_>) -> Result<Vec<LogLine>, Slip> {
    let mut lines = Vec::new();
    for table in tables {
        let new = Spanned::new(table.span(), "new".to_owned());
        let LogTable {
            at,
            line,
            deployment,
        } = table.into_inner();
        let deployment = deployment.unwrap_or(new);
        known.check(&deployment)?;
        lines.push(LogLine {
            at: at.0,
            line,
            deployment: deployment.into_inner(),
        });
    }
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}
