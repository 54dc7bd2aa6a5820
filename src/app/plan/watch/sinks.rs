//! The sinks of a configuration: the keys that all have, and those of each kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{NO_SINK, Source};
use crate::adapters::delivery::{Config, Kind, Network, Sink};
use crate::app::cli::{PositiveTime, list};
use crate::app::watch::SinkPlan;
use crate::core::fleet::{Filter, Wanted};
use crate::core::text::diagnostics::Problem;

/// The keys that sinks of all kinds have: three of the sink itself, and those that say which events are sent.
const SHARED: [&str; 11] = [
    "name",
    "kind",
    "timeout",
    "events",
    "verdicts",
    "agents",
    "regions",
    "severities",
    "incidents",
    "group-for",
    "fallback",
];

/// The keys that say which events are sent, which a heartbeat has not.
const OF_EVENTS: &[&str] = SHARED.as_slice().split_at(3).1;

/// For how long events can be gathered at most.
const MAX_GROUP_FOR: Duration = Duration::from_hours(1);

/// A sink as it was configured.
pub(super) struct SinkTable {
    shared: Shared,
    own: Config,
    /// Where each key is in the file.
    lines: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Shared {
    /// By which the store and the metrics know it.
    name: String,
    kind: Kind,
    #[serde(default, deserialize_with = "list")]
    events: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    verdicts: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    agents: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    regions: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    severities: Vec<String>,
    /// Whether only what opens an incident, or closes one, is sent.
    #[serde(default)]
    incidents: bool,
    timeout: Option<PositiveTime>,
    /// For how long events are gathered that are sent together.
    group_for: Option<PositiveTime>,
    /// The sink that gets what this one was sent in vain.
    fallback: Option<String>,
}

impl SinkTable {
    /// Reads a `[[sink]]`.
    pub(super) fn read<'text>(
        source: Source<'text>,
        value: Spanned<DeValue<'text>>,
    ) -> Result<Self, Problem> {
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            return Err(source.problem(Some(span), NO_SINK));
        };
        let name = table.get("name").and_then(|name| name.get_ref().as_str());
        let name = name.map_or_else(|| "sink".to_owned(), |name| format!("sink {name:?}"));
        let lines = table
            .iter()
            .map(|(key, _)| (key.get_ref().to_string(), source.line(&key.span())));
        let lines = lines.collect();
        let is_shared = |key: &Spanned<_>| SHARED.contains(&AsRef::<str>::as_ref(key.get_ref()));
        let (shared, own): (Vec<_>, Vec<_>) =
            table.into_iter().partition(|(key, _)| is_shared(key));
        let (shared, own) = (DeTable::from_iter(shared), DeTable::from_iter(own));
        let of_sink = |problem: Problem| problem.of(&name);
        let shared = source.read(&shared, span.clone(), Shared::deserialize, &[]);
        let shared = shared.map_err(of_sink)?;
        let read = |keys| Config::read(shared.kind, keys);
        let own = source.read(&own, span, read, &SHARED).map_err(of_sink)?;
        Ok(Self { shared, own, lines })
    }

    /// The sink of `--webhook`, which gets every event.
    pub(super) fn typed(own: Config) -> Self {
        // The same as a file that says no more.
        let shared = toml::from_str("name = \"webhook\"\nkind = \"webhook\"");
        Self {
            shared: shared.expect("it is a sink"),
            own,
            lines: BTreeMap::new(),
        }
    }

    fn build(self, names: &mut BTreeSet<String>, network: &Network) -> Result<SinkPlan, Problem> {
        let shared = self.shared;
        let (name, incidents) = (shared.name, shared.incidents);
        let problem = |key: &str, what: &dyn fmt::Display| Problem {
            line: self.lines.get(key).or(self.lines.get("kind")).copied(),
            what: if self.lines.is_empty() {
                format!("--webhook: {what}")
            } else {
                format!("sink {name:?}: {what}")
            },
        };
        if name.trim().is_empty() {
            return Err(problem("name", &"its name is empty"));
        }
        if !names.insert(name.clone()) {
            let what = "another sink has this name; the store knows them by it";
            return Err(problem("name", &what));
        }
        let filter = Filter::new(&Wanted {
            events: shared.events,
            verdicts: shared.verdicts,
            agents: shared.agents,
            regions: shared.regions,
            severities: shared.severities,
            incidents,
        });
        let filter = filter.map_err(|error| problem(error.key(), &error))?;
        let sink = Sink::new(self.own, shared.timeout.map(|time| time.0), network);
        let sink = sink.map_err(|error| problem(error.key, &error))?;
        let plan = SinkPlan {
            name: name.clone(),
            sink,
            filter,
            group_for: shared.group_for.map(|time| time.0),
            fallback: shared.fallback,
        };
        let useless = OF_EVENTS.iter().find(|key| self.lines.contains_key(**key));
        if let (Some(key), Some(_)) = (useless, plan.sink.every()) {
            return Err(problem(key, &format!("{key}: a heartbeat sends no events")));
        }
        if let Some(time) = plan.group_for {
            if incidents || plan.sink.distinguishes_incidents() {
                let why = "group-for: a group opens and closes nothing; it cannot be had with incidents or on-close";
                return Err(problem("group-for", &why));
            }
            if time > MAX_GROUP_FOR {
                return Err(problem("group-for", &"group-for: 1h is the most"));
            }
        }
        Ok(plan)
    }
}

/// Makes the sinks.
///
/// # Errors
/// All that is wrong with them.
pub(super) fn build(
    tables: impl IntoIterator<Item = SinkTable>,
    network: &Network,
) -> Result<Vec<SinkPlan>, Vec<Problem>> {
    let (mut names, mut lines) = (BTreeSet::new(), BTreeMap::new());
    let mut problems = Vec::new();
    let sinks = tables.into_iter().filter_map(|table| {
        let line = table.lines.get("fallback");
        lines.extend(line.map(|line| (table.shared.name.clone(), *line)));
        let built = table.build(&mut names, network);
        built.map_err(|problem| problems.push(problem)).ok()
    });
    let sinks: Vec<SinkPlan> = sinks.collect();
    // Of one that could not be built nobody knows whether it can be a fallback.
    if problems.is_empty() {
        problems.extend(sinks.iter().filter_map(|plan| {
            let why = fallback_problem(plan, &sinks)?;
            let what = format!("sink {:?}: fallback: {why}", plan.name);
            let line = lines.get(&plan.name).copied();
            Some(Problem { line, what })
        }));
    }
    if problems.is_empty() {
        Ok(sinks)
    } else {
        Err(problems)
    }
}

/// Why the fallback of a sink cannot be one.
fn fallback_problem(plan: &SinkPlan, sinks: &[SinkPlan]) -> Option<String> {
    let name = plan.fallback.as_ref()?;
    let Some(fallback) = sinks.iter().find(|other| other.name == *name) else {
        return Some(format!("there is no sink {name:?}"));
    };
    if fallback.name == plan.name {
        return Some("it is the sink itself".to_owned());
    }
    if fallback.fallback.is_some() {
        return Some(format!(
            "{name:?} has a fallback of its own; an event takes one step at most"
        ));
    }
    fallback
        .sink
        .every()
        .is_some()
        .then(|| "a heartbeat sends no events".to_owned())
}
