//! `history`: the rollouts that the sidecar has seen, and what they add up to.

use jiff::Timestamp;
use serde_json::json;

use crate::adapters::output::{ResultFormat, print};
use crate::adapters::store::{RolloutQuery, Store};
use crate::app::cli::{GroupArg, HistoryArgs};
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan::{self, ConfigError};
use crate::core::fleet::{Figures, Period, RolloutRecord, final_verdict};
use crate::core::messages::{figures_lines, history_table};
use crate::core::rollout::Verdict;
use crate::core::text::harmless_json;

/// Prints rollouts and their figures.
pub(super) fn history(args: &HistoryArgs) -> Result<Ending, Error> {
    let verdicts = args.verdicts.iter().map(|word| final_verdict(word));
    let verdicts: Vec<Verdict> = verdicts
        .collect::<Result<_, _>>()
        .map_err(ConfigError::from)?;
    let path = args.store.clone().unwrap_or_else(plan::default_store);
    let store = Store::open_read_only(&path)?;
    let found = store.rollouts(&RolloutQuery {
        since: args.since,
        until: args.until,
        ..RolloutQuery::default()
    })?;
    let wanted = |rollout: &RolloutRecord| {
        (args.agents.is_empty() || args.agents.contains(&rollout.agent))
            && (verdicts.is_empty() || verdicts.contains(&rollout.verdict))
    };
    let rollouts: Vec<RolloutRecord> = found
        .found
        .into_iter()
        .map(|(_, rollout)| rollout)
        .filter(wanted)
        .collect();
    let text = match args.output {
        ResultFormat::Text => text(&rollouts, args),
        ResultFormat::Json => json(&rollouts, args),
    };
    print::out(&text).map_err(Error::Print)?;
    Ok(Ending::Done)
}

/// The figures over the time that was asked for; where that has no end, up to now.
fn figures(rollouts: &[RolloutRecord], args: &HistoryArgs) -> Figures {
    let Some(since) = args.since else {
        return Figures::of(rollouts);
    };
    let until = args.until.unwrap_or_else(Timestamp::now);
    let days = until.duration_since(since).as_secs_f64() / 86_400.0;
    Figures::over_days(rollouts, days)
}

/// The figures of each group, by its name.
fn groups(rollouts: &[RolloutRecord], by: GroupArg) -> Vec<(String, Figures)> {
    let by_period = |period| {
        let periods = Figures::by_period(rollouts, period).into_iter();
        periods
            .map(|(start, figures)| (start.to_string(), figures))
            .collect()
    };
    match by {
        GroupArg::Agent => Figures::by_agent(rollouts),
        GroupArg::Day => by_period(Period::Day),
        GroupArg::Week => by_period(Period::Week),
    }
}

fn text(rollouts: &[RolloutRecord], args: &HistoryArgs) -> String {
    let shown = &rollouts[..rollouts.len().min(args.limit)];
    let mut lines = Vec::new();
    if !shown.is_empty() {
        lines.extend(history_table(shown));
        if shown.len() < rollouts.len() {
            let (some, all) = (shown.len(), rollouts.len());
            lines.push(format!("({some} of {all}; --limit shows more)"));
        }
        lines.push(String::new());
    }
    lines.extend(figures_lines(&figures(rollouts, args)));
    let groups = args.by.map(|by| groups(rollouts, by)).unwrap_or_default();
    for (name, figures) in groups.iter().filter(|(_, figures)| figures.count > 0) {
        lines.push(String::new());
        lines.push(crate::core::text::line_start(name));
        let own = figures_lines(figures).into_iter();
        lines.extend(own.map(|line| format!("  {line}")));
    }
    lines.join("\n") + "\n"
}

fn json(rollouts: &[RolloutRecord], args: &HistoryArgs) -> String {
    let shown = &rollouts[..rollouts.len().min(args.limit)];
    let mut told = json!({ "figures": figures(rollouts, args), "rollouts": shown });
    if let Some(by) = args.by {
        let groups = groups(rollouts, by).into_iter();
        let groups = groups.map(|(name, figures)| json!({ "name": name, "figures": figures }));
        told["groups"] = groups.collect();
    }
    harmless_json(&told.to_string()) + "\n"
}
