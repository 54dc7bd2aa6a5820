//! The history in words: a table of rollouts, their figures, a small bar chart.

use std::time::Duration;

use crate::core::fleet::{Figures, RolloutRecord};
use crate::core::text::{one_line, short_duration};

/// The most columns that a label of the chart takes.
const MOST_LABEL: usize = 32;

/// A bar of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it stands for: an agent, a day.
    pub label: String,
    /// How long it is.
    pub count: usize,
    /// How much of it failed.
    pub failed: usize,
}

/// What bars are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    /// Unicode's blocks, for a terminal.
    Blocks,
    /// Plain ASCII, for all else.
    Ascii,
}

impl Bar {
    /// The bar of a group of rollouts: all of them, and those that failed.
    #[must_use]
    pub fn of(label: impl Into<String>, figures: &Figures) -> Self {
        Self {
            label: label.into(),
            count: figures.count,
            failed: figures.judged - figures.succeeded,
        }
    }
}

/// Rollouts as a table, in the order given.
#[must_use]
pub fn history_table(records: &[RolloutRecord]) -> Vec<String> {
    let head = [
        "FINISHED",
        "AGENT",
        "VERDICT",
        "AFTER",
        "DEPLOYMENT",
        "REASON",
    ]
    .map(str::to_owned);
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
    super::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
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

/// Bars below one another, no line wider than `width` unless its label and number are.
///
/// What failed is the end of the bar. Whatever is not 0 can be seen.
#[must_use]
pub fn bar_chart(bars: &[Bar], width: usize, glyphs: Glyphs) -> Vec<String> {
    let (good, bad) = match glyphs {
        Glyphs::Blocks => ('█', '░'),
        Glyphs::Ascii => ('#', 'x'),
    };
    let labels: Vec<_> = bars.iter().map(|bar| label(&bar.label, glyphs)).collect();
    let numbers: Vec<_> = bars.iter().map(number).collect();
    let widest = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max();
    let label_width = widest(&labels).unwrap_or(0);
    let room = width.saturating_sub(label_width + widest(&numbers).unwrap_or(0) + 4);
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0);
    let lines = bars.iter().zip(labels).zip(numbers);
    lines
        .map(|((bar, label), number)| {
            let whole = cells(bar.count, most, room);
            let failed = cells(bar.failed, bar.count, whole);
            // A bar that failed in part shows both parts, if it has the room.
            let all = bar.failed >= bar.count || whole < 2;
            let failed = if all { failed } else { failed.min(whole - 1) };
            let drawn: String = std::iter::repeat_n(good, whole - failed)
                .chain(std::iter::repeat_n(bad, failed))
                .collect();
            let gap = if drawn.is_empty() { "" } else { "  " };
            format!("{label:<label_width$}  {drawn}{gap}{number}")
        })
        .collect()
}

fn count_line(figures: &Figures) -> String {
    let verdicts: Vec<_> = figures
        .by_verdict
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    match (figures.count, verdicts.is_empty()) {
        (0, _) | (_, true) => "no rollouts".to_owned(),
        (1, false) => format!("1 rollout: {}", verdicts.join(", ")),
        (count, false) => format!("{count} rollouts: {}", verdicts.join(", ")),
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

fn number(bar: &Bar) -> String {
    match bar.failed {
        0 => bar.count.to_string(),
        failed => format!("{} ({failed} failed)", bar.count),
    }
}

fn label(text: &str, glyphs: Glyphs) -> String {
    let line = one_line(text);
    if line.chars().count() <= MOST_LABEL {
        return line;
    }
    let (mark, kept) = match glyphs {
        Glyphs::Blocks => ("…", MOST_LABEL - 1),
        Glyphs::Ascii => ("...", MOST_LABEL - 3),
    };
    line.chars().take(kept).chain(mark.chars()).collect()
}

/// The cells of `room` that are the share of `part` in `whole`; rounded, but 0 only for 0.
fn cells(part: usize, whole: usize, room: usize) -> usize {
    if part == 0 || whole == 0 {
        return 0;
    }
    let exact = (part.min(whole) * room + whole / 2) / whole;
    exact.max(1).min(room)
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
