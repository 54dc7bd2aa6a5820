//! The history's words, compared whole.

use super::*;
use crate::core::rollout::{Reason, Verdict};

fn record(agent: &str, verdict: Verdict, finished: &str, elapsed_ms: u64) -> RolloutRecord {
    RolloutRecord {
        agent: agent.to_owned(),
        region: None,
        deployment_id: "4cab03c7".to_owned(),
        verdict,
        reason: None,
        started_at: "2026-11-23T15:00:00Z".parse().unwrap(),
        finished_at: finished.parse().unwrap(),
        elapsed_ms,
        phases: Vec::new(),
        observed_late: false,
    }
}

#[test]
fn the_table_is_aligned_and_foreign_text_is_harmless() {
    let mut failed = record(
        "bad\u{1b}[31m\nagent",
        Verdict::Failed,
        "2026-11-23T15:01:00.75Z",
        60_000,
    );
    failed.reason = Some(Reason {
        code: "Error".to_owned(),
        summary: "it\r\nbroke\u{202e}".to_owned(),
        message: None,
    });
    let mut late = record("b", Verdict::Ready, "2026-11-23T15:02:00Z", 12_345);
    late.observed_late = true;
    assert_eq!(
        history_table(&[failed, late]),
        [
            "FINISHED              AGENT      VERDICT  AFTER   DEPLOYMENT  REASON",
            "2026-11-23T15:01:00Z  bad agent  failed   1m      4cab03c7    it broke",
            "2026-11-23T15:02:00Z  b          ready    >12.3s  4cab03c7",
        ]
    );
    assert_eq!(
        history_table(&[]),
        ["FINISHED  AGENT  VERDICT  AFTER  DEPLOYMENT  REASON"]
    );
}

#[test]
fn figures_are_told_as_far_as_there_are_any() {
    assert_eq!(figures_lines(&Figures::of(&[])), ["no rollouts"]);
    let records = [
        record("a", Verdict::Failed, "2026-11-23T15:01:00Z", 60_000),
        record("a", Verdict::Ready, "2026-11-23T15:03:05Z", 42_100),
        record("a", Verdict::Superseded, "2026-11-23T15:04:00Z", 1_000),
        record("b", Verdict::Ready, "2026-11-24T15:00:00Z", 100_000),
    ];
    assert_eq!(
        figures_lines(&Figures::of(&records)),
        [
            "4 rollouts: 1 failed, 2 ready, 1 superseded",
            "success rate 67 % (2 of 3 judged)",
            "time to ready: median 42.1s, 95th percentile 1m 40s, longest 1m 40s",
            "time to restore after a failure: median 2m 5s (of 1)",
            "2.0 successful deployments a day",
        ]
    );
    assert_eq!(
        figures_lines(&Figures::of(&records[2..3])),
        ["1 rollout: 1 superseded"]
    );
    let rare = Figures::over_days(&records, 28.0);
    let last = figures_lines(&rare).pop();
    assert_eq!(last.unwrap(), "0.5 successful deployments a week");
}

#[test]
fn percents_are_whole_and_never_all_unless_it_is_all() {
    let said = [0.0, 0.0001, 0.334, 0.5, 0.999, 1.0].map(percent);
    assert_eq!(said, ["0 %", "1 %", "33 %", "50 %", "99 %", "100 %"]);
}
