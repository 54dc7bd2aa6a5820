//! What can be typed for `history`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::help;
use crate::core::fleet::{final_verdict, parse_moment};
use crate::core::rollout::Verdict;

/// `history`.
#[derive(Debug, Default, Args)]
pub(crate) struct HistoryArgs {
    /// Rollouts of these agents only
    #[arg(value_name = "AGENT")]
    pub(crate) agents: Vec<String>,

    #[arg(long, value_name = "PATH", env, help = help::STORE, long_help = help::STORE_LONG)]
    pub(crate) store: Option<PathBuf>,

    /// Rollouts that ended then or later: 7days, 24h, or a time like 2026-11-23T15:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,

    /// Rollouts that ended before
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,

    /// Rollouts that ended with this verdict; may be repeated
    #[arg(long = "verdict", value_name = "VERDICT", value_delimiter = ',', value_parser = final_verdicts())]
    pub(crate) verdicts: Vec<Verdict>,

    /// Add the statistics of each agent, day or week
    #[arg(long, value_name = "GROUP")]
    pub(crate) by: Option<GroupArg>,

    /// Show so many of the latest rollouts at most; the statistics are those of all [default: 20 as text, all
    /// as JSON or CSV]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Show what was not delivered instead: what waits for each sink, and what it did not take
    #[arg(long, conflicts_with_all = ["since", "until", "verdicts", "by", "agents"])]
    pub(crate) undelivered: bool,

    /// The result on stdout
    #[arg(short, long, value_name = "FORMAT", env, default_value = "text")]
    pub(crate) output: HistoryFormat,
}

/// `--output` of `history`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryFormat {
    /// A table, and the statistics in words
    #[default]
    Text,
    /// One JSON object
    Json,
    /// A row for each rollout
    Csv,
}

/// `--by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupArg {
    /// Each agent
    Agent,
    /// Each day, in UTC
    Day,
    /// Each week, from Monday on, in UTC
    Week,
}

/// Reads a verdict with which a rollout can end that the sidecar watches.
fn final_verdicts() -> impl TypedValueParser<Value = Verdict> {
    let words = Verdict::WORST_FIRST.map(Verdict::as_str).into_iter();
    let words: BTreeSet<_> = words.filter(|word| final_verdict(word).is_ok()).collect();
    PossibleValuesParser::new(words).try_map(|word| final_verdict(&word))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    parse_moment(text, Timestamp::now())
}
