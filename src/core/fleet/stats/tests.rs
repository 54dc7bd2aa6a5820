//! The statistics of histories that are written out.

use super::*;
use crate::core::rollout::Interruption;

/// A rollout of `agent` that ended `finished` after `elapsed` seconds.
fn rollout(agent: &str, verdict: Verdict, finished: &str, elapsed: u64) -> RolloutSummary {
    let finished_at: Timestamp = finished.parse().unwrap();
    RolloutSummary {
        agent: agent.to_owned(),
        verdict,
        started_at: Some(finished_at - std::time::Duration::from_secs(elapsed)),
        finished_at,
        elapsed_ms: Some(elapsed * 1000),
        observed_late: false,
    }
}

/// A rollout that ended at so many minutes past noon.
fn at(minute: u64, agent: &str, verdict: Verdict, elapsed: u64) -> RolloutSummary {
    let finished = format!("2026-11-23T{:02}:{:02}:00Z", 12 + minute / 60, minute % 60);
    rollout(agent, verdict, &finished, elapsed)
}

#[test]
fn of_nothing_there_are_no_statistics() {
    assert_eq!(Stats::of(&[]), Stats::default());
    assert_eq!(Stats::by_agent(&[]), []);
    assert_eq!(Stats::by_period(&[], Period::Day), []);
}

#[test]
fn one_rollout_is_all_of_its_statistics() {
    let stats = Stats::of(&[at(0, "a", Verdict::Ready, 42)]);
    let expected = Stats {
        count: 1,
        by_verdict: BTreeMap::from([("ready", 1)]),
        judged: 1,
        succeeded: 1,
        success_rate: Some(1.0),
        change_failure_rate: Some(0.0),
        median_ms: Some(42_000),
        p95_ms: Some(42_000),
        longest_ms: Some(42_000),
        restores: 0,
        restore_ms: None,
        deployments_per_day: Some(1.0),
    };
    assert_eq!(stats, expected);
    let failed = Stats::of(&[at(0, "a", Verdict::Failed, 42)]);
    assert_eq!(failed.success_rate, Some(0.0));
    assert_eq!(failed.change_failure_rate, Some(1.0));
    assert_eq!((failed.median_ms, failed.restore_ms), (None, None));
}

#[test]
fn every_verdict_counts_as_is_written() {
    let judgements = Verdict::WORST_FIRST.map(|verdict| (verdict.as_str(), judge(verdict)));
    for (word, judgement) in judgements {
        let expected = match word {
            "ready" => Some(true),
            "failed" | "stalled" | "timeout" => Some(false),
            _ => None,
        };
        assert_eq!(judgement, expected, "{word}");
    }
    let all = Verdict::WORST_FIRST.map(|verdict| at(0, "a", verdict, 1));
    let stats = Stats::of(&all);
    assert_eq!((stats.count, stats.judged, stats.succeeded), (15, 4, 1));
    assert_eq!(stats.success_rate, Some(0.25));
    assert_eq!(stats.change_failure_rate, Some(0.75));
    assert_eq!(stats.by_verdict["interrupted"], 4);
    let none = Stats::of(&[at(0, "a", Verdict::Superseded, 1)]);
    assert_eq!((none.count, none.success_rate), (1, None));
}

#[test]
fn ranks_are_the_nearest() {
    for (sorted, percent, expected) in [
        (&[][..], 50, None),
        (&[7], 50, Some(7)),
        (&[7], 95, Some(7)),
        (&[1, 2], 50, Some(1)),
        (&[1, 2, 3], 50, Some(2)),
        (&[5, 5, 5, 9], 50, Some(5)),
        (&[5, 5, 5, 9], 95, Some(9)),
    ] {
        assert_eq!(
            nearest_rank(sorted, percent),
            expected,
            "{sorted:?} {percent}"
        );
    }
    let twenty: Vec<u64> = (1..=20).collect();
    assert_eq!(nearest_rank(&twenty, 95), Some(19));
    assert_eq!(nearest_rank(&twenty, 50), Some(10));
}

#[test]
fn durations_are_those_of_successes_that_were_watched_whole() {
    let mut late = at(4, "a", Verdict::Ready, 9000);
    late.observed_late = true;
    let records = [
        at(3, "a", Verdict::Ready, 30),
        at(1, "a", Verdict::Ready, 10),
        at(2, "b", Verdict::Timeout, 600),
        late,
        at(5, "b", Verdict::Ready, 20),
    ];
    let stats = Stats::of(&records);
    assert_eq!(stats.median_ms, Some(20_000));
    assert_eq!(stats.p95_ms, Some(30_000));
    assert_eq!(stats.longest_ms, Some(30_000));
    assert_eq!(stats.succeeded, 4);
}

#[test]
fn a_recovery_runs_from_the_first_failure_to_the_agents_own_next_success() {
    let records = [
        at(30, "a", Verdict::Ready, 1),
        at(10, "a", Verdict::Failed, 1),
        at(0, "a", Verdict::Ready, 1),
        at(20, "a", Verdict::Stalled, 1),
        at(15, "b", Verdict::Ready, 1),
        at(25, "a", Verdict::Infrastructure, 1),
        at(40, "b", Verdict::Timeout, 1),
        at(50, "b", Verdict::Interrupted(Interruption::Terminate), 1),
        at(100, "b", Verdict::Ready, 1),
        at(110, "b", Verdict::Failed, 1),
    ];
    let stats = Stats::of(&records);
    assert_eq!(stats.restores, 2);
    assert_eq!(stats.restore_ms, Some(20 * 60_000));
    let by_agent = Stats::by_agent(&records);
    let restores: Vec<_> = by_agent
        .iter()
        .map(|(agent, stats)| (agent.as_str(), stats.restore_ms))
        .collect();
    assert_eq!(
        restores,
        [("a", Some(20 * 60_000)), ("b", Some(60 * 60_000))]
    );
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let mut records = vec![
        at(0, "a", Verdict::Failed, 5),
        at(0, "a", Verdict::Ready, 2),
        at(9, "b", Verdict::Ready, 7),
        at(7, "b", Verdict::Failed, 7),
    ];
    let stats = Stats::of(&records);
    assert_eq!(stats.restores, 2);
    records.reverse();
    assert_eq!(Stats::of(&records), stats);
    records.rotate_left(1);
    assert_eq!(Stats::of(&records), stats);
}

#[test]
fn days_and_weeks_are_whole_and_only_those_with_rollouts_are_given() {
    let records = [
        rollout("a", Verdict::Ready, "2026-11-25T00:00:00Z", 60),
        rollout("a", Verdict::Failed, "2026-11-22T23:59:59Z", 60),
    ];
    let days = Stats::by_period(&records, Period::Day);
    let counts: Vec<_> = days
        .iter()
        .map(|(day, stats)| (day.to_string(), stats.count, stats.restores))
        .collect();
    let expected = [
        ("2026-11-22".to_owned(), 1, 0),
        ("2026-11-25".to_owned(), 1, 1),
    ];
    assert_eq!(counts, expected);
    let weeks = Stats::by_period(&records, Period::Week);
    let starts: Vec<_> = weeks.iter().map(|(week, _)| week.to_string()).collect();
    assert_eq!(starts, ["2026-11-16", "2026-11-23"]);
    assert_eq!(weeks[1].1.deployments_per_day, Some(1.0 / 7.0));
}

#[test]
fn deployments_a_day_go_by_the_time_that_the_history_spans() {
    let records = [
        rollout("a", Verdict::Ready, "2026-11-20T12:00:00Z", 0),
        rollout("a", Verdict::Failed, "2026-11-22T12:00:00Z", 0),
        rollout("a", Verdict::Ready, "2026-11-24T12:00:00Z", 0),
    ];
    assert_eq!(Stats::of(&records).deployments_per_day, Some(0.5));
    let over = Stats::over_days(&records, 20.0);
    assert_eq!(over.deployments_per_day, Some(0.1));
}
