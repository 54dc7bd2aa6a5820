//! The mutes of a configuration: agents, until when, and why. None is for ever, and none without a reason.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;
use toml::de::DeValue;

use super::file::Source;
use crate::app::cli::list;
use crate::core::fleet::Mute;
use crate::core::text::diagnostics::Problem;

/// What is said of a mute that is no table.
const NO_MUTE: &str = "each is a table, like { agents = [\"voice-*\"], until = \"2026-12-01T08:00:00Z\", reason = \"load test\" }";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(deserialize_with = "list")]
    agents: Vec<String>,
    #[serde(deserialize_with = "moment")]
    until: Timestamp,
    reason: String,
}

/// How each of so many is called: which one it is, where there are several.
pub(super) fn naming(count: usize) -> impl Fn(usize) -> String {
    move |number| match count {
        1 => "muted".to_owned(),
        _ => format!("muted, entry {number}"),
    }
}

/// Reads one of the list `muted`.
pub(super) fn read<'text>(
    source: Source<'text>,
    value: Spanned<DeValue<'text>>,
    name: &str,
) -> Result<Mute, Problem> {
    let span = value.span();
    let DeValue::Table(table) = value.into_inner() else {
        return Err(source.problem(Some(span), &format!("{name}: {NO_MUTE}")));
    };
    let keys = source.read(&table, span.clone(), Keys::deserialize, &[]);
    let keys = keys.map_err(|problem| problem.of(name))?;
    let problem = |what: &str| source.problem(Some(span.clone()), what).of(name);
    if keys.agents.is_empty() {
        return Err(problem("agents: it names none; \"*\" is all of them"));
    }
    if keys.reason.trim().is_empty() {
        return Err(problem("reason: it is empty"));
    }
    let mute = Mute::new(keys.agents, keys.until, keys.reason);
    mute.map_err(|error| problem(&format!("agents: {error}")))
}

/// A time, as text or as TOML writes it.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let value = toml::Value::deserialize(deserializer)?;
    let text = match &value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(moment) => moment.to_string(),
        _ => String::new(),
    };
    text.parse().map_err(|_| {
        let is_late = text.starts_with("9999-");
        let has_zone = Pieces::parse(&text).is_ok_and(|parts| parts.offset().is_some());
        de::Error::custom(if is_late && has_zone {
            "that is later than any time that is known; 9999-12-30T00:00:00Z is late enough"
        } else {
            "a time with its zone is due, like \"2026-12-01T08:00:00Z\""
        })
    })
}
