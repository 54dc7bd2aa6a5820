//! `history`: the rollouts that the sidecar has seen, and their statistics; what it could not deliver.

use std::collections::BTreeMap;

use anyhow::anyhow;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::out;
use crate::adapters::output::{Level, Style, csv};
use crate::adapters::store::{DeadLetter, Reader, RolloutQuery};
use crate::app::cli::{GroupArg, HistoryArgs, HistoryFormat};
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan;
use crate::core::fleet::{Backlog, FinishedRollout, Period, RolloutSummary, Stats};
use crate::core::messages::{dead_letter_table, history_table, stats_lines};
use crate::core::rollout::Reason;
use crate::core::text::{harmless_json, line_start, one_line};

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// How many bytes of rollouts, and how many of them, are read at once.
const PAGE: usize = 4 * 1024 * 1024;
const PAGE_ROLLOUTS: usize = 1000;
/// How many rows a table has unless it is said.
const ROWS: usize = 20;

/// The statistics, and those of each group where they are wanted.
struct Summary {
    stats: Stats,
    groups: Option<Vec<(String, Stats)>>,
}

/// Prints rollouts and their statistics, or what was not delivered.
pub(super) fn history(args: &HistoryArgs, level: Level) -> Result<Ending, Error> {
    super::install(Style::Plain, level)?;
    if args.by.is_some() && args.output == HistoryFormat::Csv {
        let why = "--by adds statistics, for which CSV has no place; leave out one of --by and --output csv";
        return Err(Error::Usage(anyhow!(why)));
    }
    let store = open(args)?;
    if args.undelivered {
        return undelivered(&store, args);
    }
    let (query, limit) = (query(args), limit(args));
    match args.output {
        HistoryFormat::Text => {
            let summary = summary(&store, &query, args)?;
            let (rollouts, unreadable) = latest(&store, query, limit)?;
            out(&table(&rollouts, unreadable, &summary))?;
        }
        HistoryFormat::Json => {
            let summary = summary(&store, &query, args)?;
            json(&store, query, limit, &summary)?;
        }
        HistoryFormat::Csv => {
            out(csv::HEAD)?;
            read_latest(&store, query, limit, |rollout| out(&csv::row(&rollout)))?;
        }
    }
    Ok(Ending::Done)
}

/// Reads the latest rollouts, a part at a time. Gives how many cannot be read.
fn read_latest(
    store: &Reader,
    mut query: RolloutQuery,
    limit: usize,
    mut take: impl FnMut(FinishedRollout) -> Result<(), Error>,
) -> Result<usize, Error> {
    let (mut taken, mut unreadable) = (0, 0);
    loop {
        let page = store.rollouts(&query, (limit - taken).min(PAGE_ROLLOUTS), PAGE)?;
        query.before = page.found.last().map(|event| event.number);
        unreadable += page.unreadable;
        taken += page.found.len();
        let is_last = !page.more || taken >= limit;
        for event in page.found {
            take(event.into())?;
        }
        if is_last || query.before.is_none() {
            return Ok(unreadable);
        }
    }
}

fn open(args: &HistoryArgs) -> Result<Reader, Error> {
    let path = args.store.clone().unwrap_or_else(plan::default_store);
    // Opening a pipe, for example, may take for ever.
    if path.exists() && !path.is_file() {
        return Err(Error::Usage(anyhow!(
            "--store: {} is no file",
            path.display()
        )));
    }
    Ok(Reader::open(&path)?)
}

/// How many rows are shown at most.
fn limit(args: &HistoryArgs) -> usize {
    args.limit.unwrap_or(match args.output {
        HistoryFormat::Text => ROWS,
        HistoryFormat::Json | HistoryFormat::Csv => usize::MAX,
    })
}

/// Which rollouts are asked for.
fn query(args: &HistoryArgs) -> RolloutQuery {
    RolloutQuery {
        agents: args.agents.clone(),
        verdicts: args.verdicts.clone(),
        since: args.since,
        until: args.until,
        before: None,
    }
}

fn summary(store: &Reader, query: &RolloutQuery, args: &HistoryArgs) -> Result<Summary, Error> {
    let summaries = store.summaries(query)?;
    Ok(Summary {
        stats: stats(&summaries, args),
        groups: args.by.map(|by| groups(&summaries, by)),
    })
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

/// The latest rollouts and the statistics, as a table and for programs, without the messages.
pub(super) fn overview(args: &HistoryArgs) -> Result<(String, Value), Error> {
    let (store, query) = (open(args)?, query(args));
    let summary = summary(&store, &query, args)?;
    let (rollouts, unreadable) = latest(&store, query, limit(args))?;
    let mut shown = head(&summary);
    shown["rollouts"] = json!(rollouts);
    Ok((table(&rollouts, unreadable, &summary), shown))
}

/// The latest rollouts, and how many of them cannot be read. What is long a table does not need.
fn latest(
    store: &Reader,
    query: RolloutQuery,
    limit: usize,
) -> Result<(Vec<FinishedRollout>, usize), Error> {
    let mut rollouts = Vec::new();
    let unreadable = read_latest(store, query, limit, |mut rollout| {
        rollout.data.reason = rollout.data.reason.map(|reason| Reason {
            message: None,
            ..reason
        });
        rollouts.push(rollout);
        Ok(())
    })?;
    Ok((rollouts, unreadable))
}

fn table(rollouts: &[FinishedRollout], unreadable: usize, summary: &Summary) -> String {
    let mut lines = Vec::new();
    let (shown, all) = (rollouts.len(), summary.stats.count);
    if shown > 0 {
        lines.extend(history_table(rollouts));
        if shown + unreadable < all {
            lines.push(format!("({shown} of {all}; --limit shows more)"));
        }
    }
    if unreadable > 0 {
        lines.push(format!(
            "({unreadable} not shown: another version has written what this one cannot read)"
        ));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(stats_lines(&summary.stats));
    for (name, stats) in summary.groups.iter().flatten() {
        lines.push(String::new());
        lines.push(line_start(name));
        let own = stats_lines(stats).into_iter();
        lines.extend(own.map(|line| format!("  {line}")));
    }
    lines.join("\n") + "\n"
}

/// The statistics for programs.
fn head(summary: &Summary) -> Value {
    let mut head = json!({ "stats": summary.stats });
    if let Some(groups) = &summary.groups {
        let groups = groups.iter();
        head["groups"] = groups
            .map(|(name, stats)| json!({ "name": name, "stats": stats }))
            .collect();
    }
    head
}

/// One object, written as it is read.
fn json(store: &Reader, query: RolloutQuery, limit: usize, summary: &Summary) -> Result<(), Error> {
    let head = harmless_json(&head(summary).to_string());
    let head = head.strip_suffix('}').unwrap_or(&head);
    out(&format!("{head},\"rollouts\":["))?;
    let mut separator = "";
    read_latest(store, query, limit, |rollout| {
        let rollout = harmless_json(&json!(rollout).to_string());
        out(&format!(
            "{}{rollout}",
            std::mem::replace(&mut separator, ",")
        ))
    })?;
    out("]}\n")
}

/// Shows what waits for each sink, and what it did not take.
fn undelivered(store: &Reader, args: &HistoryArgs) -> Result<Ending, Error> {
    let backlogs = store.backlogs()?;
    let letters = store.dead_letters(limit(args))?;
    match args.output {
        HistoryFormat::Text => undelivered_text(&backlogs, &letters)?,
        HistoryFormat::Json => {
            let waiting = backlogs.iter().map(|(sink, backlog)| {
                json!({ "sink": sink, "pending": backlog.pending, "oldest": backlog.oldest,
                        "deadLetters": backlog.dead_letters })
            });
            let waiting: Vec<_> = waiting.collect();
            let all = json!({ "sinks": waiting, "deadLetters": letters });
            out(&(harmless_json(&all.to_string()) + "\n"))?;
        }
        HistoryFormat::Csv => {
            out(csv::DEAD_LETTERS)?;
            for letter in letters {
                let kind = letter.kind.unwrap_or_default();
                let (at, event) = (letter.at.to_string(), letter.event.to_string());
                out(&csv::line(&[
                    &at,
                    &letter.sink,
                    &letter.agent,
                    &event,
                    &kind,
                    &letter.why,
                ]))?;
            }
        }
    }
    Ok(Ending::Done)
}

fn undelivered_text(
    backlogs: &BTreeMap<String, Backlog>,
    letters: &[DeadLetter],
) -> Result<(), Error> {
    let mut lines = Vec::new();
    for (sink, backlog) in backlogs {
        let sink = line_start(sink);
        let Backlog {
            pending,
            dead_letters,
            ..
        } = backlog;
        lines.push(format!(
            "{sink}: {pending} wait, {dead_letters} were not taken"
        ));
    }
    if !letters.is_empty() {
        lines.push(String::new());
        lines.extend(dead_letter_table(letters.iter().map(|letter| {
            let kind = letter.kind.as_deref().unwrap_or("-");
            let agent = if letter.agent.is_empty() {
                "-"
            } else {
                &letter.agent
            };
            let (sink, why) = (one_line(&letter.sink), one_line(&letter.why));
            let at = format!("{:.0}", letter.at);
            [at, sink, one_line(agent), one_line(kind), why]
        })));
        lines.push("(`watch --redeliver` has them sent again)".to_owned());
    }
    if lines.is_empty() {
        lines.push("everything was delivered".to_owned());
    }
    out(&(lines.join("\n") + "\n"))
}
