//! The history in words: a table of rollouts, and their statistics.

use std::time::Duration;

use super::block::warning_lines;
use super::count;
use crate::core::fleet::{EventData, FinishedRollout, Stats};
use crate::core::text::{one_line, short_duration};

/// Rollouts as a table, in the order given.
pub(crate) fn history_table(rollouts: &[FinishedRollout]) -> Vec<String> {
    let head = "FINISHED AGENT VERDICT AFTER DEPLOYMENT IMAGE NOTE";
    let rows = rollouts.iter().map(|rollout| {
        let data = &rollout.data;
        let verdict = data.verdict;
        [
            format!("{:.0}", rollout.finished_at),
            one_line(&data.agent),
            verdict.map_or_else(|| "-".to_owned(), |verdict| verdict.to_string()),
            took(data),
            one_line(data.deployment_id.as_deref().unwrap_or("-")),
            image(data),
            note(data),
        ]
    });
    super::table(head, rows)
}

/// What sinks did not take as a table: when that was given up, the sink, the agent, what happened and why.
pub(crate) fn dead_letter_table(rows: impl Iterator<Item = [String; 5]>) -> Vec<String> {
    super::table("AT SINK AGENT EVENT WHY", rows)
}

/// The statistics as lines, each of which can be read by itself.
pub(crate) fn stats_lines(stats: &Stats) -> Vec<String> {
    let mut lines = vec![count_line(stats)];
    if let Some(rate) = stats.success_rate {
        lines.push(format!(
            "success rate {} ({} of {} judged)",
            percent(rate),
            stats.succeeded,
            stats.judged
        ));
    }
    if let (Some(median), Some(p95), Some(longest)) =
        (stats.median_ms, stats.p95_ms, stats.longest_ms)
    {
        lines.push(format!(
            "time to ready: median {}, 95th percentile {}, longest {}",
            millis(median),
            millis(p95),
            millis(longest)
        ));
    }
    if let Some(restore) = stats.restore_ms {
        lines.push(format!(
            "time to restore after a failure: median {} (of {})",
            millis(restore),
            stats.restores
        ));
    }
    match stats.deployments_per_day {
        Some(rate) if rate >= 1.0 => lines.push(format!("{rate:.1} successful deployments a day")),
        Some(rate) if rate > 0.0 => {
            lines.push(format!("{:.1} successful deployments a week", rate * 7.0));
        }
        _ => {}
    }
    lines
}

fn count_line(stats: &Stats) -> String {
    let verdicts = stats.by_verdict.iter();
    let verdicts: Vec<_> = verdicts
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    match u64::try_from(stats.count).unwrap_or(u64::MAX) {
        0 => "no rollouts".to_owned(),
        all => format!("{}: {}", count(all, "rollout"), verdicts.join(", ")),
    }
}

/// How long a rollout took; perhaps longer where its beginning was not seen.
fn took(data: &EventData) -> String {
    match data.elapsed_ms.map(millis) {
        Some(words) if data.observed_late => format!(">{words}"),
        Some(words) => words,
        None => "-".to_owned(),
    }
}

/// What a person should know of it beside the verdict.
fn note(data: &EventData) -> String {
    let reason = data.reason.as_ref().map(|reason| reason.summary.as_str());
    let back = data.rolled_back.then_some("rolled back");
    let notes = back.into_iter().chain(reason).map(one_line);
    let warnings = warning_lines(&data.warnings, data.revision_unchanged);
    notes.chain(warnings).collect::<Vec<_>>().join("; ")
}

/// The name and the tag of an image, without where it comes from.
fn image(data: &EventData) -> String {
    let image = data.image.as_deref().unwrap_or("-");
    one_line(image.rsplit('/').next().unwrap_or(image))
}

/// Whole percents; never 0 or 100 unless it is so.
fn percent(rate: f64) -> String {
    let rounded = (rate * 100.0).round();
    let said = if rate > 0.0 && rate < 1.0 {
        rounded.clamp(1.0, 99.0)
    } else {
        rounded
    };
    format!("{said} %")
}

fn millis(millis: u64) -> String {
    short_duration(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests;
