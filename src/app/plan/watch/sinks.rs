//! The sinks of a configuration: the keys that all have, and those of each kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{FileProblem, NO_SINK, Source, all};
use crate::adapters::delivery::{Config, Kind, Network, Sink};
use crate::app::cli::{PositiveTime, list};
use crate::app::watch::SinkPlan;
use crate::core::fleet::{BadFilter, Filter};

/// The keys that sinks of all kinds have.
const SHARED: [&str; 6] = ["name", "kind", "events", "verdicts", "agents", "timeout"];

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
    timeout: Option<PositiveTime>,
}

impl SinkTable {
    /// Reads a `[[sink]]`.
    pub(super) fn read<'text>(
        source: Source<'text>,
        value: Spanned<DeValue<'text>>,
    ) -> Result<Self, FileProblem> {
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
        let of_sink = |problem: FileProblem| FileProblem {
            what: format!("{name}: {}", problem.what),
            ..problem
        };
        let shared = source.read(&shared, span.clone(), Shared::deserialize, &[]);
        let shared = shared.map_err(of_sink)?;
        let read = |keys| Config::read(shared.kind, keys);
        let own = source.read(&own, span, read, &SHARED).map_err(of_sink)?;
        Ok(Self { shared, own, lines })
    }

    /// The sink of `--webhook`, which gets every event.
    pub(super) fn typed(own: Config) -> Self {
        let shared = Shared {
            name: "webhook".to_owned(),
            kind: Kind::Webhook,
            events: Vec::new(),
            verdicts: Vec::new(),
            agents: Vec::new(),
            timeout: None,
        };
        let lines = BTreeMap::new();
        Self { shared, own, lines }
    }

    fn build(
        self,
        names: &mut BTreeSet<String>,
        network: &Network,
    ) -> Result<SinkPlan, FileProblem> {
        let Shared {
            name,
            events,
            verdicts,
            agents,
            timeout,
            ..
        } = self.shared;
        let problem = |key: &str, what: &dyn fmt::Display| FileProblem {
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
        let filter = Filter::new(&events, &verdicts, &agents).map_err(|error| {
            let key = match &error {
                BadFilter::NoSuchEvent { .. } => "events",
                BadFilter::NoSuchVerdict { .. } => "verdicts",
                BadFilter::Pattern(_) => "kind",
            };
            problem(key, &error)
        })?;
        let sink = Sink::new(self.own, timeout.map(|timeout| timeout.0), network);
        let sink = sink.map_err(|error| problem(error.key, &error))?;
        Ok(SinkPlan { name, sink, filter })
    }
}

/// Makes the sinks.
///
/// # Errors
/// All that is wrong with them.
pub(super) fn build(
    tables: impl IntoIterator<Item = SinkTable>,
    network: &Network,
) -> Result<Vec<SinkPlan>, Vec<FileProblem>> {
    let mut names = BTreeSet::new();
    let sinks = tables
        .into_iter()
        .map(|table| table.build(&mut names, network));
    all(sinks)
}
