//! The configuration file, read strictly: a slip is an error that names its line.

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::sinks::SinkTable;
use crate::app::cli::{Listen, parse_duration};
use crate::core::text::diagnostics;
use crate::core::text::one_line;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFile {
    /// It cannot be read.
    #[error("--config: cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// It cannot be understood.
    #[error("{}{}: {}", path.display(), slip.line.map_or(String::new(), |line| format!(", line {line}")), slip.what)]
    Slip { path: PathBuf, slip: Slip },
}

/// What cannot be meant in a configuration file.
#[derive(Debug, PartialEq, Eq)]
pub struct Slip {
    /// Where it is, counted from one, if it is in one place.
    pub line: Option<usize>,
    /// What is wrong, as one line.
    pub what: String,
}

/// What a configuration file can say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Written {
    pub(super) api_url: Option<String>,
    pub(super) api_key_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) allow_insecure_http: bool,
    pub(super) max_rps: Option<NonZeroU32>,
    pub(super) agents: Vec<String>,
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) regions: Vec<String>,
    pub(super) interval: Option<Time>,
    pub(super) health_interval: Option<Time>,
    pub(super) rollout_timeout: Option<Time>,
    pub(super) store: Option<PathBuf>,
    pub(super) history_for: Option<Time>,
    pub(super) listen: Option<Listen>,
    pub(super) retry_for: Option<Time>,
    pub(super) sink: Vec<SinkTable>,
}

/// A time as the switches take it: text, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a time is written like \"90s\", \"10m\", or as seconds: 90"
        )]
        enum Form {
            Seconds(u64),
            Text(String),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Seconds(seconds) => seconds.to_string(),
            Form::Text(text) => text,
        };
        parse_duration(&text)
            .map(Time)
            .map_err(serde::de::Error::custom)
    }
}

/// Reads a configuration file.
pub(super) fn read(path: &Path) -> Result<Written, BadFile> {
    let text = fs::read_to_string(path).map_err(|source| BadFile::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|slip| BadFile::Slip {
        path: path.to_owned(),
        slip,
    })
}

/// Finds the first slip in the text of a configuration file. The files that it names are not read.
///
/// # Errors
/// The slip.
pub fn check_watch_file(text: &str) -> Result<(), Slip> {
    parse(text).map(drop)
}

fn parse(text: &str) -> Result<Written, Slip> {
    toml::from_str(text).map_err(|error| Slip {
        line: error.span().map(|span| diagnostics::line(text, &span)),
        what: one_line(&diagnostics::with_suggestion(error.message())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_names_its_line_and_what_was_meant() {
        for (text, line, what) in [
            (
                "interval = \"15s\"\nintervall = 3",
                2,
                "unknown key `intervall`; did you mean `interval`?",
            ),
            (
                "\nmax-rps = 0",
                2,
                "invalid value: integer `0`, expected a nonzero u32",
            ),
            (
                "interval = \"1M\"",
                1,
                "a capital M is a month; for minutes write 1m, for months days",
            ),
            (
                "interval = true",
                1,
                "a time is written like \"90s\", \"10m\", or as seconds: 90",
            ),
            (
                "[[sink]]\nname = \"a\"\nkind = \"webhok\"",
                3,
                "unknown word `webhok`; did you mean `webhook`?",
            ),
            ("[[sink]]\nname = \"a\"", 1, "missing key `kind`"),
            (
                "listen = \"here\"",
                1,
                "it is an address and a port, like 127.0.0.1:9464, or off",
            ),
        ] {
            let slip = Slip {
                line: Some(line),
                what: what.to_owned(),
            };
            assert_eq!(parse(text).err(), Some(slip), "{text}");
        }
    }

    #[test]
    fn the_commented_example_is_true_also_without_its_comment_marks() {
        let example = include_str!("../../../../config/pipecat-rollout.toml");
        let plain = parse(example).unwrap();
        assert!(plain.interval.is_none() && plain.sink.is_empty());
        let keys = example.lines().map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") || key.starts_with("[[") => key,
            _ => line,
        });
        let whole = parse(&keys.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(whole.interval, Some(Time(Duration::from_secs(15))));
        assert_eq!(whole.health_interval, Some(Time(Duration::from_mins(5))));
        assert_eq!(whole.sink.len(), 3);
    }
}
