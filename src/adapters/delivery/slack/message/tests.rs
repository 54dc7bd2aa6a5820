//! What Slack is told, and what it must not be told.

use super::*;
use crate::core::rollout::Reason;

fn notice(kind: NoticeKind, data: NoticeData) -> Notice {
    Notice {
        id: "id".to_owned(),
        kind,
        time: "2026-11-23T15:00:00Z".parse().unwrap(),
        data: NoticeData {
            agent: "my-agent".to_owned(),
            region: Some("us-west".to_owned()),
            deployment_id: Some("new".to_owned()),
            ..data
        },
    }
}

fn reason(message: Option<&str>) -> Reason {
    Reason {
        code: "CrashLoopBackOff".to_owned(),
        summary: "the code ends again and again".to_owned(),
        message: message.map(str::to_owned),
    }
}

#[test]
fn every_kind_has_its_message() {
    let plain = |kind, data| text(&notice(kind, data));
    let elapsed_ms = Some(125_000);
    let told = NoticeKind::ALL.map(|kind| match kind {
        NoticeKind::RolloutStarted => plain(
            kind,
            NoticeData {
                previous_deployment_id: Some("old".to_owned()),
                observed_late: true,
                ..NoticeData::default()
            },
        ),
        NoticeKind::RolloutPhaseChanged => plain(
            kind,
            NoticeData {
                phase: Some(Phase::Validating),
                ..NoticeData::default()
            },
        ),
        NoticeKind::RolloutFinished => plain(
            kind,
            NoticeData {
                verdict: Some(Verdict::Failed),
                reason: Some(reason(Some("Traceback:\n  No module named 'x'"))),
                available: Some(true),
                revision: Some(RevisionReport {
                    restart_count: Some(3),
                    last_exit_code: Some(1),
                    last_termination_reason: Some("Error".to_owned()),
                    ..RevisionReport::default()
                }),
                elapsed_ms,
                ..NoticeData::default()
            },
        ),
        NoticeKind::AgentUnready => plain(
            kind,
            NoticeData {
                reason: Some(reason(None)),
                available: Some(false),
                ..NoticeData::default()
            },
        ),
        NoticeKind::AgentRecovered => plain(
            kind,
            NoticeData {
                elapsed_ms,
                ..NoticeData::default()
            },
        ),
        NoticeKind::AgentAdded | NoticeKind::AgentRemoved => plain(kind, NoticeData::default()),
    });
    let place = "Deployment: new\nRegion: us-west";
    assert_eq!(
        told,
        [
            ":rocket: *my-agent: rollout started*\nDeployment: new (before: old)\nRegion: us-west\n\
             It happened, or began, while nobody watched."
                .to_owned(),
            format!(":hourglass: *my-agent: rollout is validating*\n{place}"),
            format!(
                ":x: *my-agent: rollout failed after 2m 5s*\n\
                 the code ends again and again (CrashLoopBackOff)\n{place}\n\
                 Restarts: 3, Last exit code: 1 (an error in the application), Last exit: Error\n\
                 The agent takes sessions all the same.\n\
                 ```\nTraceback:\n  No module named 'x'\n```"
            ),
            format!(
                ":warning: *my-agent: no longer ready*\n\
                 the code ends again and again (CrashLoopBackOff)\n{place}\n\
                 The agent takes no sessions."
            ),
            format!(":white_check_mark: *my-agent: ready again after 2m 5s*\n{place}"),
            format!(":heavy_plus_sign: *my-agent: agent added*\n{place}"),
            format!(":heavy_minus_sign: *my-agent: agent removed*\n{place}"),
        ]
    );
}

#[test]
fn every_verdict_is_named_with_its_sign() {
    for verdict in Verdict::WORST_FIRST {
        let data = NoticeData {
            verdict: Some(verdict),
            ..NoticeData::default()
        };
        let told = text(&notice(NoticeKind::RolloutFinished, data));
        let bad = !told.starts_with(":white_check_mark:");
        assert_eq!(bad, verdict != Verdict::Ready, "{told}");
        assert!(told.contains(&format!("*my-agent: rollout {verdict}*")));
    }
}

/// Text that would ping a channel, forge mark-up, steer a terminal and end a code block.
const HOSTILE: &str =
    "<!channel> <@U1> <https://x|y> &lt; @here @channel\n(@all) \u{1b}[2J\u{202e}\u{0}``` ```` `";

#[test]
fn no_foreign_text_is_obeyed() {
    let hostile = || Some(HOSTILE.to_owned());
    for kind in NoticeKind::ALL {
        let data = NoticeData {
            agent: HOSTILE.to_owned(),
            region: hostile(),
            deployment_id: hostile(),
            previous_deployment_id: hostile(),
            phase: None,
            verdict: Some(Verdict::Failed),
            reason: Some(Reason {
                code: HOSTILE.to_owned(),
                summary: HOSTILE.to_owned(),
                message: hostile(),
            }),
            available: None,
            revision: Some(RevisionReport {
                phase: hostile(),
                last_termination_reason: hostile(),
                ..RevisionReport::default()
            }),
            ..NoticeData::default()
        };
        let notice = Notice {
            id: HOSTILE.to_owned(),
            kind,
            time: "2026-11-23T15:00:00Z".parse().unwrap(),
            data,
        };
        let told = text(&notice);
        assert!(told.contains("&lt;!channel&gt; &lt;@"), "{told}");
        assert!(told.contains("&amp;lt; @"), "{told}");
        assert!(!told.contains(['<', '>', '\u{1b}', '\u{202e}', '\u{0}']));
        for mention in ["@here", "@channel", "@all", "@U1"] {
            assert!(!told.contains(mention), "{mention} in {told}");
        }
        // What is left of triple backticks is our own: before and after the message.
        assert_eq!(told.matches("```").count(), 2, "{told}");
        assert!(told.ends_with("`\n```"), "{told}");
        assert_eq!(told.lines().count(), 9, "{told}");
    }
}

#[test]
fn addresses_and_digests_stay_as_they_are() {
    assert_eq!(
        escaped("a@b.c image@sha256:1 @ x"),
        "a@b.c image@sha256:1 @ x"
    );
}

#[test]
fn of_a_long_crash_message_the_tail_is_shown() {
    let message = format!("head\n{}\nImportError: <end>", "<é".repeat(5000));
    let data = NoticeData {
        reason: Some(reason(Some(&message))),
        ..NoticeData::default()
    };
    let told = text(&notice(NoticeKind::AgentUnready, data));
    let (_, block) = told.split_once("```\n").unwrap();
    assert!(block.starts_with("[...] "), "{block}");
    assert!(
        block.ends_with("\nImportError: &lt;end&gt;\n```"),
        "{block}"
    );
    let shown = block.replace("&lt;", "<").replace("&gt;", ">");
    assert_eq!(shown.chars().count(), MOST_MESSAGE + "[...] \n```".len());
    assert!(!told.contains("head"));
}

#[test]
fn long_names_are_cut_and_empty_messages_left_out() {
    let told = text(&notice(
        NoticeKind::AgentUnready,
        NoticeData {
            reason: Some(Reason {
                code: "x".repeat(MOST_WORDS),
                summary: "<".repeat(MOST_WORDS + 1),
                message: Some(" \n\u{1b}[0m".to_owned()),
            }),
            ..NoticeData::default()
        },
    ));
    let line = told.lines().nth(1).unwrap();
    let whole = "&lt;".repeat(MOST_WORDS);
    assert_eq!(line, format!("{whole}... ({})", "x".repeat(MOST_WORDS)));
    assert!(!told.contains("```"), "{told}");
}
