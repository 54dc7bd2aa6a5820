//! The history's words, compared whole.

use super::*;
use crate::core::fleet::RolloutSummary;
use crate::core::rollout::{Reason, Verdict, Warning};

fn rollout(agent: &str, verdict: Verdict, finished: &str) -> FinishedRollout {
    FinishedRollout {
        id: "9b1c2d3e-7".to_owned(),
        finished_at: finished.parse().unwrap(),
        data: EventData {
            agent: agent.to_owned(),
            deployment_id: Some("4cab03c7".to_owned()),
            verdict: Some(verdict),
            elapsed_ms: Some(60_000),
            ..EventData::default()
        },
    }
}

fn summary(agent: &str, verdict: Verdict, finished: &str, elapsed_ms: u64) -> RolloutSummary {
    RolloutSummary {
        agent: agent.to_owned(),
        verdict,
        started_at: Some("2026-11-23T15:00:00Z".parse().unwrap()),
        finished_at: finished.parse().unwrap(),
        elapsed_ms: Some(elapsed_ms),
        observed_late: false,
    }
}

#[test]
fn the_table_is_aligned_and_foreign_text_is_harmless() {
    let mut failed = rollout(
        "bad\u{1b}[31m\nagent",
        Verdict::Failed,
        "2026-11-23T15:01:00.75Z",
    );
    failed.data.reason = Some(Reason {
        code: "Error".to_owned(),
        summary: "it\r\nbroke\u{202e}".to_owned(),
        message: None,
    });
    failed.data.rolled_back = true;
    failed.data.image = Some("registry.example/team/bot:1.2\u{7}".to_owned());
    let mut late = rollout("b", Verdict::Ready, "2026-11-23T15:02:00Z");
    late.data.observed_late = true;
    late.data.elapsed_ms = Some(12_345);
    late.data.revision_unchanged = true;
    late.data.warnings = vec![Warning {
        code: "NotAvailable".to_owned(),
        summary: "it takes no sessions".to_owned(),
    }];
    let mut bare = rollout("c", Verdict::Superseded, "2026-11-23T15:03:00Z");
    bare.data.elapsed_ms = None;
    assert_eq!(
        history_table(&[failed, late, bare]),
        [
            "FINISHED              AGENT      VERDICT     AFTER   DEPLOYMENT  IMAGE    NOTE",
            "2026-11-23T15:01:00Z  bad agent  failed      1m      4cab03c7    bot:1.2  rolled back; it broke",
            "2026-11-23T15:02:00Z  b          ready       >12.3s  4cab03c7    -        it takes no sessions; \
             the old revision goes on serving, with the old code",
            "2026-11-23T15:03:00Z  c          superseded  -       4cab03c7    -",
        ]
    );
    assert_eq!(
        history_table(&[]),
        ["FINISHED  AGENT  VERDICT  AFTER  DEPLOYMENT  IMAGE  NOTE"]
    );
}

#[test]
fn statistics_are_given_as_far_as_there_are_any() {
    assert_eq!(stats_lines(&Stats::of(&[])), ["no rollouts"]);
    let records = [
        summary("a", Verdict::Failed, "2026-11-23T15:01:00Z", 60_000),
        summary("a", Verdict::Ready, "2026-11-23T15:03:05Z", 42_100),
        summary("a", Verdict::Superseded, "2026-11-23T15:04:00Z", 1_000),
        summary("b", Verdict::Ready, "2026-11-24T15:00:00Z", 100_000),
    ];
    assert_eq!(
        stats_lines(&Stats::of(&records)),
        [
            "4 rollouts: 1 failed, 2 ready, 1 superseded",
            "success rate 67 % (2 of 3 judged)",
            "time to ready: median 42.1s, 95th percentile 1m 40s, longest 1m 40s",
            "time to restore after a failure: median 2m 5s (of 1)",
            "2.0 successful deployments a day",
        ]
    );
    assert_eq!(
        stats_lines(&Stats::of(&records[2..3])),
        ["1 rollout: 1 superseded"]
    );
    let rare = Stats::over_days(&records, 28.0);
    let last = stats_lines(&rare).pop();
    assert_eq!(last.unwrap(), "0.5 successful deployments a week");
}

#[test]
fn percents_are_whole_and_never_all_unless_it_is_all() {
    let said = [0.0, 0.0001, 0.334, 0.5, 0.999, 1.0].map(percent);
    assert_eq!(said, ["0 %", "1 %", "33 %", "50 %", "99 %", "100 %"]);
}
