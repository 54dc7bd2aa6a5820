//! The configuration file, read strictly: what is wrong is said in a line, with its place.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::mutes;
use super::sinks::SinkTable;
use crate::app::cli::WatchKeys;
use crate::core::fleet::Mute;
use crate::core::text::diagnostics::{self, Problem};

/// What is said of a sink that is no `[[sink]]`.
pub(super) const NO_SINK: &str = "each sink is a table of its own with two brackets: [[sink]]";

/// What a configuration file says.
#[derive(Default)]
pub(super) struct ConfigFile {
    pub(super) keys: WatchKeys,
    pub(super) sinks: Vec<SinkTable>,
    pub(super) mutes: Vec<Mute>,
    /// The line of each key.
    pub(super) lines: HashMap<String, usize>,
}

/// Reads a configuration file.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn read(path: &Path) -> Result<ConfigFile, Vec<Problem>> {
    let text = fs::read_to_string(path).map_err(|error| {
        let what = format!("--config: cannot read {}: {error}", path.display());
        vec![Problem { line: None, what }]
    })?;
    parse(&text)
}

/// Finds what is wrong with the text of a configuration file. The files that it names are not read.
///
/// # Errors
/// What is wrong.
pub fn check_watch_file(text: &str) -> Result<(), Vec<Problem>> {
    parse(text).map(drop)
}

fn parse(text: &str) -> Result<ConfigFile, Vec<Problem>> {
    let source = Source(text);
    let root = DeTable::parse(text).map_err(|error| vec![source.syntax_problem(&error)])?;
    let (span, mut root) = (root.span(), root.into_inner());
    let (sinks, mutes) = (root.remove("sink"), root.remove("muted"));
    // A key in its own place is a file that must be guarded; only its name may be here.
    if let Some((key, _)) = root.iter().find(|(key, _)| key.get_ref() == "api-key") {
        return Err(vec![source.problem(
            Some(key.span()),
            "the API key does not belong into this file; write it into a file of its own, and that \
             file's path here: api-key-file = \"/run/secrets/pipecat-api-key\"",
        )]);
    }
    let line_of = |key: &Spanned<_>| source.line(&key.span());
    let lines = root
        .keys()
        .map(|key| (key.get_ref().to_string(), line_of(key)));
    let mut problems = Vec::new();
    let mut note = |problem| problems.push(problem);
    let keys = source.read(&root, span, WatchKeys::deserialize, &["sink", "muted"]);
    let keys = keys.map_err(&mut note).unwrap_or_default();
    let sinks = source.entries(sinks, NO_SINK);
    let sinks = sinks.map_err(&mut note).unwrap_or_default().into_iter();
    let sinks = sinks.map(|value| SinkTable::read(source, value));
    let sinks = sinks
        .filter_map(|sink| sink.map_err(&mut note).ok())
        .collect();
    let mutes = source.entries(mutes, "muted: a list of tables is due");
    let mutes = mutes.map_err(&mut note).unwrap_or_default();
    let name = mutes::naming(mutes.len());
    let mutes = mutes.into_iter().zip(1..);
    let mutes = mutes.map(|(value, number)| mutes::read(source, value, &name(number)));
    let mutes = mutes
        .filter_map(|mute| mute.map_err(&mut note).ok())
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(ConfigFile {
        keys,
        sinks,
        mutes,
        lines: lines.collect(),
    })
}

/// The text of a file, in which places are found.
#[derive(Clone, Copy)]
pub(super) struct Source<'text>(&'text str);

impl<'text> Source<'text> {
    /// The values of a list, none where there is no list; `no_list` is said of anything else.
    fn entries(
        self,
        list: Option<Spanned<DeValue<'text>>>,
        no_list: &str,
    ) -> Result<Vec<Spanned<DeValue<'text>>>, Problem> {
        match list.map(|list| (list.span(), list.into_inner())) {
            None => Ok(Vec::new()),
            Some((_, DeValue::Array(values))) => Ok(values.into_iter().collect()),
            Some((span, _)) => Err(self.problem(Some(span), no_list)),
        }
    }

    /// Reads the keys of a table. `others` are keys that it may have as well.
    pub(super) fn read<T>(
        self,
        table: &DeTable<'text>,
        span: Range<usize>,
        read: impl FnOnce(ValueDeserializer<'text>) -> Result<T, toml::de::Error>,
        others: &[&str],
    ) -> Result<T, Problem> {
        let value = Spanned::new(span, DeValue::Table(table.clone()));
        read(ValueDeserializer::from(value)).map_err(|error| {
            let list = "expected a list, like [\"a\", \"b\"]";
            let mut message = error.message().replace("expected a sequence", list);
            if message.starts_with("unknown field") {
                // These can be meant as well.
                for other in others {
                    message = format!("{message}, `{other}`");
                }
            }
            let message = diagnostics::with_suggestion(&message);
            let within = |value: &Spanned<DeValue<'_>>| {
                let span = error.span().unwrap_or_default();
                value.span().start <= span.start && span.end <= value.span().end
            };
            // Of a value that is wrong, its key says more than its line.
            let key = table.iter().find(|(_, value)| within(value));
            let key = key.map_or_else(String::new, |(key, _)| format!("{}: ", key.get_ref()));
            self.problem(error.span(), &format!("{key}{message}"))
        })
    }

    pub(super) fn problem(self, span: Option<Range<usize>>, what: &str) -> Problem {
        Problem::new(self.0, span, what)
    }

    pub(super) fn line(self, span: &Range<usize>) -> usize {
        diagnostics::line(self.0, span)
    }

    /// What is no TOML. Most often it is a text without quotes; the text may be a secret.
    fn syntax_problem(self, error: &toml::de::Error) -> Problem {
        let start = error.span().map_or(0, |span| span.start);
        let number = self.line(&(start..start));
        let line = self.0.lines().nth(number - 1).unwrap_or_default();
        let Some((key, value)) = line.split_once('=') else {
            return self.problem(error.span(), error.message());
        };
        let (key, value) = (key.trim(), value.trim());
        let is_word = |text: &str| {
            text.chars()
                .all(|char| char.is_ascii_alphanumeric() || char == '-')
        };
        let is_quoted = value.starts_with(['"', '\'', '[', '{']) || value.is_empty();
        if !is_word(key) || is_quoted {
            return self.problem(error.span(), error.message());
        }
        let what = format!("{key}: a text needs quotes, like {key} = \"...\"");
        self.problem(error.span(), &what)
    }
}
