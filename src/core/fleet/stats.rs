//! Statistics of rollouts: how many, how well, how fast, how soon a failure was followed by a success.
//!
//! A rollout is judged when it says something of the change that was deployed: ready is a success;
//! failed, stalled and timeout are failures. The others are counted, not judged: superseded,
//! unchanged and not-found never came to a test, infrastructure is the platform's fault, and
//! unauthorized, unavailable and interrupted mean that nobody saw how it went on.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::agent::is_ready;
use super::history::RolloutSummary;
use crate::core::rollout::Verdict;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// What rollouts add up to. A figure that has nothing to go by is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Rollouts that have ended, whichever way.
    pub count: usize,
    /// The same by verdict.
    pub by_verdict: BTreeMap<&'static str, usize>,
    /// Those that say something of what was deployed.
    pub judged: usize,
    /// Those of them that became ready.
    pub succeeded: usize,
    /// Successes among the judged.
    pub success_rate: Option<f64>,
    /// Failures among the judged (DORA: change failure rate).
    pub change_failure_rate: Option<f64>,
    /// Half of the successes took no longer; of those that were watched from their beginning.
    pub median_ms: Option<u64>,
    /// 95 in 100 of the same took no longer (nearest rank).
    pub p95_ms: Option<u64>,
    /// The longest of the same.
    pub longest_ms: Option<u64>,
    /// How often a failure, or several in a row, was followed by a success of the same agent.
    pub restores: usize,
    /// The median time from the first of those failures to the success (DORA: failed deployment
    /// recovery time).
    pub restore_ms: Option<u64>,
    /// Successes a day (DORA: deployment frequency).
    pub deployments_per_day: Option<f64>,
}

/// How a history is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// By day.
    Day,
    /// By week, from Monday on.
    Week,
}

/// Whether a rollout with this verdict is a success; none where it says nothing of what was deployed.
fn judge(verdict: Verdict) -> Option<bool> {
    is_ready(verdict).filter(|_| verdict != Verdict::Infrastructure)
}

impl Stats {
    /// The statistics of these rollouts, in whatever order, over the time from the first's beginning
    /// to the last's end, of which less than a day counts as one.
    #[must_use]
    pub fn of(records: &[RolloutSummary]) -> Self {
        let first = records
            .iter()
            .map(|record| record.started_at.unwrap_or(record.finished_at));
        let first = first.min();
        let last = records.iter().map(|record| record.finished_at).max();
        let days = match (first, last) {
            (Some(first), Some(last)) => last.duration_since(first).as_secs_f64() / DAY,
            _ => 0.0,
        };
        Self::over_days(records, days)
    }

    /// The statistics of these rollouts over so many days, of which less than one counts as one.
    #[must_use]
    pub fn over_days(records: &[RolloutSummary], days: f64) -> Self {
        let records: Vec<_> = records.iter().collect();
        Self::compute(
            &records,
            restores(&records).map(|(_, took)| took).collect(),
            days,
        )
    }

    /// The statistics of each agent, by name.
    #[must_use]
    pub fn by_agent(records: &[RolloutSummary]) -> Vec<(String, Self)> {
        let mut agents: BTreeMap<&str, Vec<RolloutSummary>> = BTreeMap::new();
        for record in records {
            let own = agents.entry(&record.agent).or_default();
            own.push(record.clone());
        }
        let agents = agents.into_iter();
        agents
            .map(|(agent, own)| (agent.to_owned(), Self::of(&own)))
            .collect()
    }

    /// The statistics of each day or week in UTC that has any, the oldest first.
    ///
    /// A rollout belongs to the period in which it ended, a recovery to that of the success.
    #[must_use]
    pub fn by_period(records: &[RolloutSummary], period: Period) -> Vec<(Date, Self)> {
        let mut periods: BTreeMap<Date, (Vec<&RolloutSummary>, Vec<u64>)> = BTreeMap::new();
        for record in records {
            let start = period.start(record.finished_at);
            periods.entry(start).or_default().0.push(record);
        }
        for (at, took) in restores(&records.iter().collect::<Vec<_>>()) {
            periods.entry(period.start(at)).or_default().1.push(took);
        }
        let days = period.days();
        let periods = periods.into_iter();
        periods
            .map(|(start, (records, restores))| (start, Self::compute(&records, restores, days)))
            .collect()
    }

    fn compute(records: &[&RolloutSummary], mut restores: Vec<u64>, days: f64) -> Self {
        let mut by_verdict = BTreeMap::new();
        for record in records {
            *by_verdict.entry(record.verdict.as_str()).or_default() += 1;
        }
        let judged = |success| {
            let all = records.iter();
            all.filter(move |record| judge(record.verdict) == Some(success))
        };
        let succeeded = judged(true).count();
        let failed = judged(false).count();
        let mut took: Vec<u64> = judged(true)
            .filter(|record| !record.observed_late)
            .filter_map(|record| record.elapsed_ms)
            .collect();
        took.sort_unstable();
        restores.sort_unstable();
        let rate = |part| (succeeded + failed > 0).then(|| float(part) / float(succeeded + failed));
        Self {
            count: records.len(),
            by_verdict,
            judged: succeeded + failed,
            succeeded,
            success_rate: rate(succeeded),
            change_failure_rate: rate(failed),
            median_ms: nearest_rank(&took, 50),
            p95_ms: nearest_rank(&took, 95),
            longest_ms: took.last().copied(),
            restores: restores.len(),
            restore_ms: nearest_rank(&restores, 50),
            deployments_per_day: (!records.is_empty()).then(|| float(succeeded) / days.max(1.0)),
        }
    }
}

impl Period {
    /// The first day of the period that a moment falls into, in UTC.
    #[must_use]
    pub fn start(self, at: Timestamp) -> Date {
        let date = TimeZone::UTC.to_datetime(at).date();
        match self {
            Period::Day => date,
            Period::Week => {
                date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days())
            }
        }
    }

    const fn days(self) -> f64 {
        match self {
            Period::Day => 1.0,
            Period::Week => 7.0,
        }
    }
}

/// When failures were followed by a success, and how long that took from the first of them.
fn restores(records: &[&RolloutSummary]) -> impl Iterator<Item = (Timestamp, u64)> {
    let mut ordered = records.to_vec();
    ordered.sort_by_key(|record| (record.finished_at, record.started_at));
    let mut broken: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut restores = Vec::new();
    for record in ordered {
        match judge(record.verdict) {
            Some(false) => {
                broken.entry(&record.agent).or_insert(record.finished_at);
            }
            Some(true) => {
                if let Some(since) = broken.remove(record.agent.as_str()) {
                    let took = record.finished_at.duration_since(since).as_millis();
                    restores.push((record.finished_at, u64::try_from(took).unwrap_or(0)));
                }
            }
            None => {}
        }
    }
    restores.into_iter()
}

/// The smallest of the sorted values that so many in a hundred do not exceed.
fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
