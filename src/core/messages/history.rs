//! The history in words: a table of rollouts, and their figures.

use std::time::Duration;

use crate::core::fleet::{Figures, RolloutRecord};
use crate::core::text::{one_line, short_duration};

/// Rollouts as a table, in the order given.
#[must_use]
pub fn history_table(records: &[RolloutRecord]) -> Vec<String> {
    let head = "FINISHED AGENT VERDICT AFTER DEPLOYMENT REASON";
    let rows = records.iter().map(|record| {
        let reason = record.reason.as_ref();
        [
            format!("{:.0}", record.finished_at),
            one_line(&record.agent),
            record.verdict.to_string(),
            took(record),
            one_line(&record.deployment_id),
            reason.map_or_else(String::new, |reason| one_line(&reason.summary)),
        ]
    });
    super::table(head, rows)
}

/// The figures as lines, each of which stands for itself.
#[must_use]
pub fn figures_lines(figures: &Figures) -> Vec<String> {
    let mut lines = vec![count_line(figures)];
    if let Some(rate) = figures.success_rate {
        lines.push(format!(
            "success rate {} ({} of {} judged)",
            percent(rate),
            figures.succeeded,
            figures.judged
        ));
    }
    if let (Some(median), Some(p95), Some(longest)) =
        (figures.median_ms, figures.p95_ms, figures.longest_ms)
    {
        lines.push(format!(
            "time to ready: median {}, 95th percentile {}, longest {}",
            millis(median),
            millis(p95),
            millis(longest)
        ));
    }
    if let Some(restore) = figures.restore_ms {
        lines.push(format!(
            "time to restore after a failure: median {} (of {})",
            millis(restore),
            figures.restores
        ));
    }
    match figures.deployments_per_day {
        Some(rate) if rate >= 1.0 => lines.push(format!("{rate:.1} successful deployments a day")),
        Some(rate) if rate > 0.0 => {
            lines.push(format!("{:.1} successful deployments a week", rate * 7.0));
        }
        _ => {}
    }
    lines
}

fn count_line(figures: &Figures) -> String {
    let verdicts = figures.by_verdict.iter();
    let verdicts: Vec<_> = verdicts
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    match figures.count {
        0 => "no rollouts".to_owned(),
        1 => format!("1 rollout: {}", verdicts.join(", ")),
        count => format!("{count} rollouts: {}", verdicts.join(", ")),
    }
}

/// How long a rollout took; at least so long where its beginning was not seen.
fn took(record: &RolloutRecord) -> String {
    let words = millis(record.elapsed_ms);
    if record.observed_late {
        format!(">{words}")
    } else {
        words
    }
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
