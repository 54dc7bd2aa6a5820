//! Scenarios: what an agent answers at which time of a rollout, as times and JSON merge patches in TOML.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use super::built_in::SCENARIOS;
use super::fault::{Fault, Moment};
use super::ids::uuid;
use super::placeholder;
use crate::core::rollout::Verdict;
use crate::core::text::diagnostics::{Problem, nearest, with_suggestion};

/// The fields of the API's answers, so that a misspelt one is found. Others may be new: they pass.
const FIELDS: &str = "activeDeploymentId activeDeploymentReady activeSessionCount agentProfile autoDeploy \
    autoScaling available branch buildId code commitSha conditions createdAt currentRevision deployedCommit \
    deployment deploymentID desiredDeploymentId error errors git hasInfrastructureIssue headline health id \
    lastExitCode lastTerminationReason latestDeploy maxReplicas message minReplicas name phase phaseStartedAt \
    previousRevision ready readyReplicas reason reconciledDeploymentId ref region replicasStarted repoFullName \
    restartCount sha state status updatedAt";

/// What the TOML reader makes of a date that is no text: an object with this one field.
const DATE: &str = "$__toml_private_datetime";

/// A scripted rollout: what an agent answers, from before the deploy until for ever after.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What happens, in one line.
    pub summary: String,
    /// What an honest watcher with the default limits ends with.
    pub verdict: Verdict,
    /// What is answered before the deploy; `None`: there is no agent.
    pub(super) before: Option<Map<String, Value>>,
    /// What changes in the answer and when, in the order of the times.
    pub(super) states: Vec<State>,
    pub(super) faults: Vec<Fault>,
    /// What the deployments log.
    pub(super) log: Vec<LogLine>,
    /// What the agent logs in each session that is started.
    pub(super) session_log: Vec<String>,
    /// The deployments that are desired after the deploy, by name, and when each is made.
    pub(super) made: BTreeMap<String, Duration>,
}

/// What changes at a time after the deploy.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct State {
    pub(super) at: Moment,
    /// There is no agent from here on, and all is forgotten.
    #[serde(default)]
    absent: bool,
    #[serde(flatten)]
    patch: Map<String, Value>,
}

/// A line that a deployment's code logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLine {
    pub(super) at: Moment,
    pub(super) line: String,
    #[serde(default = "new")]
    pub(super) deployment: String,
}

impl Scenario {
    /// Reads a scenario from the text of its file.
    ///
    /// # Errors
    /// When the text is not TOML, has a key that no scenario has, or contradicts itself.
    pub fn parse(text: &str) -> Result<Scenario, Problem> {
        let file: File = toml::from_str(text)
            .map_err(|error| Problem::new(text, error.span(), &with_suggestion(error.message())))?;
        file.checked(text)
    }

    /// The built-in scenario of this name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Scenario> {
        let (_, text) = SCENARIOS.iter().find(|(known, _)| *known == name)?;
        Some(Self::parse(text).expect("a test reads every built-in scenario"))
    }

    /// The names of the built-in scenarios: the good endings first, then the bad, then the odd.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        SCENARIOS.iter().map(|(name, _)| *name)
    }

    /// The built-in name that `name` is most likely a misspelling of.
    pub(crate) fn nearest(name: &str) -> Option<&'static str> {
        nearest(name, Self::built_in_names())
    }

    /// The name of the deployment that a watcher needs as its baseline (`--not-deployment`) to end with
    /// [`Scenario::verdict`]: that nothing has changed shows only to who knows what was before.
    #[must_use]
    pub fn baseline(&self) -> Option<&'static str> {
        (self.verdict == Verdict::Unchanged).then_some("old")
    }

    /// The id of the deployment that a scenario calls `name`, during the `deploys`th deploy of
    /// `agent`; the first counts as 1, also while it is still to come.
    ///
    /// What is "old" in one deploy is what was "new" in the deploy before.
    #[must_use]
    pub fn deployment_id(agent: &str, deploys: u64, name: &str) -> String {
        match name {
            "old" => uuid(&[agent, "new", &deploys.saturating_sub(1).to_string()]),
            name => uuid(&[agent, name, &deploys.to_string()]),
        }
    }
}

impl State {
    /// The merge patch; `None` where there is no agent.
    pub(super) fn patch(&self) -> Option<&Map<String, Value>> {
        (!self.absent).then_some(&self.patch)
    }
}

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    summary: Spanned<String>,
    verdict: Spanned<String>,
    before: Option<Spanned<Map<String, Value>>>,
    state: Vec<Spanned<State>>,
    #[serde(default)]
    fault: Vec<Spanned<Fault>>,
    #[serde(default)]
    log: Vec<Spanned<LogLine>>,
    #[serde(default)]
    session_log: Vec<String>,
}

impl File {
    /// Checks what the form of a file cannot hold.
    fn checked(self, text: &str) -> Result<Scenario, Problem> {
        let summary = self.summary.get_ref().trim().to_owned();
        if summary.is_empty() || summary.contains('\n') {
            return Err(wrong(text, &self.summary, "", "the summary is one line"));
        }
        let made = self.deployments();
        let others = made
            .keys()
            .map(String::as_str)
            .filter(|name| *name != "new");
        let names: Vec<&str> = ["old", "new"].into_iter().chain(others).collect();
        if let Some(before) = &self.before {
            check_fields(before.get_ref(), &names)
                .map_err(|(word, what)| wrong(text, before, &word, &what))?;
        }
        let mut last = None;
        for state in &self.state {
            let State { at, absent, patch } = state.get_ref();
            check_fields(patch, &names).map_err(|(word, what)| wrong(text, state, &word, &what))?;
            if *absent && !patch.is_empty() {
                let what =
                    "where the agent is `absent` there is no answer to change: leave out all else";
                return Err(wrong(text, state, "absent", what));
            }
            if last.replace(at.0).is_some_and(|last| at.0 <= last) {
                let what = "`at` must be later than that of the state before";
                return Err(wrong(text, state, "at =", what));
            }
        }
        for line in &self.log {
            let name = &line.get_ref().deployment;
            if !names.contains(&name.as_str()) {
                let known = names.join(", ");
                let what = format!("no deployment is called `{name}`; known here: {known}");
                return Err(wrong(text, line, name, &what));
            }
        }
        for fault in &self.fault {
            let checked = fault.get_ref().check();
            checked.map_err(|what| wrong(text, fault, "", &what))?;
        }
        let verdict = verdict(self.verdict.get_ref());
        Ok(Scenario {
            verdict: verdict.map_err(|what| wrong(text, &self.verdict, "", &what))?,
            before: self.before.map(Spanned::into_inner),
            states: inner(self.state),
            faults: inner(self.fault),
            log: inner(self.log),
            session_log: self.session_log,
            summary,
            made,
        })
    }

    /// The deployments that a state makes the desired one, and when they are made: `new` with the
    /// deploy, another one when it first is desired.
    fn deployments(&self) -> BTreeMap<String, Duration> {
        let mut made = BTreeMap::new();
        for state in self.state.iter().map(Spanned::get_ref) {
            let desired = state
                .patch
                .get("desiredDeploymentId")
                .and_then(Value::as_str);
            match desired.and_then(|text| text.strip_prefix('{')?.strip_suffix('}')) {
                Some("new") => made.insert(new(), Duration::ZERO),
                // What is nearly one of these is a misspelling of it.
                Some(name) if nearest(name, ["old", "new", "null"]).is_none() => {
                    Some(*made.entry(name.to_owned()).or_insert(state.at.0))
                }
                Some(_) | None => None,
            };
        }
        made
    }
}

/// What is wrong within a part of the text, at the first place of `word`.
fn wrong<T>(text: &str, within: &Spanned<T>, word: &str, what: &str) -> Problem {
    let start = within.span().start;
    let rest = text.get(start..).unwrap_or_default();
    let at = start + rest.find(word).unwrap_or(0);
    Problem::new(text, Some(at..at), what)
}

fn new() -> String {
    "new".to_owned()
}

fn inner<T>(all: Vec<Spanned<T>>) -> Vec<T> {
    all.into_iter().map(Spanned::into_inner).collect()
}

/// A verdict that a watch can end with by itself.
fn verdict(word: &str) -> Result<Verdict, String> {
    let by_itself =
        |verdict: &Verdict| !matches!(verdict, Verdict::CommandFailed(_) | Verdict::Interrupted(_));
    let known = || Verdict::WORST_FIRST.into_iter().filter(by_itself);
    let found = known().find(|verdict| verdict.as_str() == word);
    found.ok_or_else(|| {
        let words: Vec<&str> = known().map(Verdict::as_str).collect();
        let words = words.join(", ");
        format!("unknown verdict {word:?}; known here: {words}")
    })
}

/// Finds a misspelt field or placeholder, at any depth: it, and what to write instead.
fn check_fields(fields: &Map<String, Value>, names: &[&str]) -> Result<(), (String, String)> {
    for (field, value) in fields {
        let known = || FIELDS.split_whitespace();
        if !known().any(|known| known == field)
            && let Some(meant) = nearest(field, known())
        {
            return Err((
                field.clone(),
                format!("the API has no field `{field}`; did you mean `{meant}`?"),
            ));
        }
        check(value, names)?;
    }
    Ok(())
}

fn check(value: &Value, names: &[&str]) -> Result<(), (String, String)> {
    match value {
        Value::Object(fields) => match fields.get(DATE).and_then(Value::as_str) {
            Some(date) => Err((
                date.to_owned(),
                format!("a time is a text: write \"{date}\""),
            )),
            None => check_fields(fields, names),
        },
        Value::Array(values) => values.iter().try_for_each(|value| check(value, names)),
        Value::String(text) => placeholder::check(text, names),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
