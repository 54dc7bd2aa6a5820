//! What can be typed for `history`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::core::fleet::parse_moment;

/// `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Rollouts of these agents only
    #[arg(value_name = "AGENT")]
    pub(crate) agents: Vec<String>,

    /// The store of the sidecar [default: pipecat-rollout.db in `$STATE_DIRECTORY`, else in
    /// `$XDG_STATE_HOME/pipecat-rollout`, else in `~/.local/state/pipecat-rollout`]
    #[arg(long, value_name = "PATH", env = "PIPECAT_ROLLOUT_STORE")]
    pub(crate) store: Option<PathBuf>,

    /// Rollouts that ended then or later: 7days, 24h, or a time like 2026-11-23T15:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,

    /// Rollouts that ended before
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,

    /// Rollouts that ended with this verdict; may be repeated
    #[arg(long = "verdict", value_name = "VERDICT", value_delimiter = ',')]
    pub(crate) verdicts: Vec<String>,

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
    #[arg(
        long,
        short,
        value_name = "FORMAT",
        default_value = "text",
        env = "PIPECAT_ROLLOUT_OUTPUT"
    )]
    pub(crate) output: HistoryFormat,
}

/// `--output` of `history`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryFormat {
    /// A table, and the statistics in words
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

fn moment(text: &str) -> Result<Timestamp, String> {
    parse_moment(text, Timestamp::now())
}
