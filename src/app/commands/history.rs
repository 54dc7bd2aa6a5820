//! `history`: the rollouts that the sidecar has seen, and their statistics.

use jiff::Timestamp;
use serde_json::json;

use crate::adapters::output::{Level, ResultFormat, Style};
use crate::adapters::store::{Reader, RolloutQuery, StoreError};
use crate::app::cli::{GroupArg, HistoryArgs};
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan;
use crate::core::fleet::{FinishedRollout, Period, RolloutSummary, Stats};
use crate::core::messages::{history_table, stats_lines};
use crate::core::rollout::Reason;
use crate::core::text::{harmless_json, line_start};

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// How many bytes of rollouts are read at once.
const PAGE: usize = 4 * 1024 * 1024;

/// What is shown.
struct History {
    stats: Stats,
    /// The statistics of each group, where they are wanted.
    groups: Option<Vec<(String, Stats)>>,
    /// The latest.
    rollouts: Vec<FinishedRollout>,
    /// How many are not shown since they cannot be read.
    unreadable: usize,
}

/// Prints rollouts and their statistics.
pub(super) fn history(args: &HistoryArgs, level: Level) -> Result<Ending, Error> {
    super::install(Style::Plain, level)?;
    let query = RolloutQuery {
        agents: args.agents.clone(),
        verdicts: args.verdicts.clone(),
        since: args.since,
        until: args.until,
        before: None,
    };
    let path = args.store.clone().unwrap_or_else(plan::default_store);
    let store = Reader::open(&path)?;
    let summaries = store.summaries(&query)?;
    let mut history = History {
        stats: stats(&summaries, args),
        groups: args.by.map(|by| groups(&summaries, by)),
        rollouts: Vec::new(),
        unreadable: 0,
    };
    history.read_latest(&store, query, args)?;
    let text = match args.output {
        ResultFormat::Text => text(&history),
        ResultFormat::Json => json(&history),
    };
    super::print(&text)
}

impl History {
    /// Reads the latest rollouts, a part at a time: what is long of them the table does not need.
    fn read_latest(
        &mut self,
        store: &Reader,
        mut query: RolloutQuery,
        args: &HistoryArgs,
    ) -> Result<(), StoreError> {
        loop {
            let page = store.rollouts(&query, args.limit - self.rollouts.len(), PAGE)?;
            query.before = page.found.last().map(|event| event.number);
            self.unreadable += page.unreadable;
            for event in page.found {
                let mut rollout = FinishedRollout::from(event);
                if args.output == ResultFormat::Text {
                    rollout.data.reason = rollout.data.reason.map(|reason| Reason {
                        message: None,
                        ..reason
                    });
                }
                self.rollouts.push(rollout);
            }
            if !page.more || self.rollouts.len() >= args.limit {
                return Ok(());
            }
        }
    }
}

/// The statistics over the time that was asked for; where that has no end, up to now.
fn stats(rollouts: &[RolloutSummary], args: &HistoryArgs) -> Stats {
    let Some(since) = args.since else {
        return Stats::of(rollouts);
    };
    let until = args.until.unwrap_or_else(Timestamp::now);
    Stats::over_days(rollouts, until.duration_since(since).as_secs_f64() / DAY)
}

/// The statistics of each group, by its name.
fn groups(rollouts: &[RolloutSummary], by: GroupArg) -> Vec<(String, Stats)> {
    let period = match by {
        GroupArg::Agent => return Stats::by_agent(rollouts),
        GroupArg::Day => Period::Day,
        GroupArg::Week => Period::Week,
    };
    let periods = Stats::by_period(rollouts, period).into_iter();
    periods
        .map(|(start, stats)| (start.to_string(), stats))
        .collect()
}

fn text(history: &History) -> String {
    let mut lines = Vec::new();
    let (shown, all) = (history.rollouts.len(), history.stats.count);
    if shown > 0 {
        lines.extend(history_table(&history.rollouts));
        if shown + history.unreadable < all {
            lines.push(format!("({shown} of {all}; --limit shows more)"));
        }
    }
    if history.unreadable > 0 {
        let unreadable = history.unreadable;
        lines.push(format!(
            "({unreadable} not shown: another version has written what this one cannot read)"
        ));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(stats_lines(&history.stats));
    for (name, stats) in history.groups.iter().flatten() {
        lines.push(String::new());
        lines.push(line_start(name));
        let own = stats_lines(stats).into_iter();
        lines.extend(own.map(|line| format!("  {line}")));
    }
    lines.join("\n") + "\n"
}

fn json(history: &History) -> String {
    let mut shown = json!({ "stats": history.stats, "rollouts": history.rollouts });
    if let Some(groups) = &history.groups {
        let groups = groups.iter();
        shown["groups"] = groups
            .map(|(name, stats)| json!({ "name": name, "stats": stats }))
            .collect();
    }
    harmless_json(&shown.to_string()) + "\n"
}
