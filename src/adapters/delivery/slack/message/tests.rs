//! What Slack is sent, and what it must not be sent.

use super::*;
use crate::core::fleet::{FleetEvent, Origin, test_events};
use crate::core::rollout::{Phase, Reason, Warning};

fn event(kind: EventKind, data: EventData) -> StoredEvent {
    StoredEvent {
        number: 17,
        store_id: "store".to_owned(),
        event: FleetEvent {
            kind,
            time: "2026-11-23T15:00:00Z".parse().unwrap(),
            dedup_key: "my-agent/new".to_owned(),
            data: EventData {
                agent: "my-agent".to_owned(),
                region: Some("us-west".to_owned()),
                deployment_id: Some("new".to_owned()),
                ..data
            },
        },
    }
}

/// What is shown, one below the other.
fn text(event: &StoredEvent) -> String {
    let (events, origin) = ([event.clone()], Origin::default());
    let body = body(Notification::of_all(&events, &origin));
    let details = body["attachments"][0]["text"].as_str();
    let headline = body["text"].as_str();
    [headline, details]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
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
    let plain = |kind, data| text(&event(kind, data));
    let elapsed_ms = Some(125_000);
    let messages = EventKind::ALL.map(|kind| match kind {
        EventKind::RolloutStarted => plain(
            kind,
            EventData {
                previous_deployment_id: Some("old".to_owned()),
                deployment_created_at: Some("2026-11-23T14:59:58.123Z".parse().unwrap()),
                image: Some("registry/bot:1.4@sha256:1".to_owned()),
                rolled_back: true,
                observed_late: true,
                ..EventData::default()
            },
        ),
        EventKind::RolloutPhaseChanged => plain(
            kind,
            EventData {
                phase: Some(Phase::Validating),
                ..EventData::default()
            },
        ),
        EventKind::RolloutFinished => plain(
            kind,
            EventData {
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
                ..EventData::default()
            },
        ),
        EventKind::AgentUnready => plain(
            kind,
            EventData {
                reason: Some(reason(None)),
                available: Some(false),
                ..EventData::default()
            },
        ),
        EventKind::AgentRecovered => plain(
            kind,
            EventData {
                elapsed_ms,
                ..EventData::default()
            },
        ),
        EventKind::AgentAdded | EventKind::AgentRemoved => plain(kind, EventData::default()),
        _ => {
            let mut event = event(kind, EventData::default());
            event.event.data = EventData {
                sink: Some("ops".to_owned()),
                reason: Some(reason(None)),
                elapsed_ms,
                ..EventData::default()
            };
            text(&event)
        }
    });
    let why = "the code ends again and again (CrashLoopBackOff)";
    let place = "Deployment: new\nRegion: us-west";
    assert_eq!(
        messages,
        [
            ":information_source: *my-agent: roll-back of new started, not seen from beginning to end*\n\
             Deployment: new, created 2026-11-23T14:59:58Z (before: old)\n\
             Image: registry/bot:1.4@sha256:1\nRegion: us-west"
                .to_owned(),
            format!(":information_source: *my-agent: rollout validating*\n{place}"),
            format!(
                ":x: *my-agent: rollout failed after 2m 5s*\n\
                 the code ends again and again (CrashLoopBackOff)\n{place}\n\
                 Restarts: 3, Last exit code: 1 (an error in the application), Last exit: Error\n\
                 The agent takes sessions all the same.\n\
                 ```\nTraceback:\n  No module named 'x'\n```"
            ),
            format!(
                ":x: *my-agent: no longer ready*\n\
                 the code ends again and again (CrashLoopBackOff)\n{place}\n\
                 The agent takes no sessions."
            ),
            format!(":white_check_mark: *my-agent: ready again after 2m 5s*\n{place}"),
            format!(":information_source: *my-agent: added*\n{place}"),
            format!(":information_source: *my-agent: removed*\n{place}"),
            format!(":x: *the watcher is blind*\n{why}"),
            format!(":white_check_mark: *the watcher sees again after 2m 5s*\n{why}"),
            format!(":x: *the sink ops takes nothing*\n{why}"),
            format!(":white_check_mark: *the sink ops takes events again after 2m 5s*\n{why}"),
            format!(":x: *the store cannot be written*\n{why}"),
            format!(":white_check_mark: *the store can be written again after 2m 5s*\n{why}"),
        ]
    );
}

#[test]
fn a_ready_rollout_with_warnings_says_so() {
    let warning = Warning {
        code: "Degraded".to_owned(),
        summary: "the platform calls it <degraded>".to_owned(),
    };
    let data = EventData {
        verdict: Some(Verdict::Ready),
        revision_unchanged: true,
        warnings: vec![warning.clone(); MAX_WARNINGS - 1],
        ..EventData::default()
    };
    let message = text(&event(EventKind::RolloutFinished, data));
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(
        lines[0],
        ":warning: *my-agent: rollout ready, revision unchanged*"
    );
    assert_eq!(lines[1], "Warning: the platform calls it &lt;degraded&gt;");
    assert_eq!(
        lines[MAX_WARNINGS],
        "Warning: the old revision goes on serving, with the old code"
    );
    assert_eq!(lines[MAX_WARNINGS + 1], "Deployment: new");
    let data = EventData {
        warnings: vec![warning; MAX_WARNINGS + 1],
        ..EventData::default()
    };
    let message = text(&event(EventKind::RolloutFinished, data));
    let shown = message.lines().filter(|line| line.starts_with("Warning: "));
    assert_eq!(shown.count(), MAX_WARNINGS, "{message}");
}

/// Text that would ping a channel, forge mark-up, steer a terminal and end a code block.
const HOSTILE: &str =
    "<!channel> <@U1> <https://x|y> &lt; @here @channel\n(@all) \u{1b}[2J\u{202e}\u{0}``` ```` `";

#[test]
fn no_foreign_text_is_obeyed() {
    let hostile = || Some(HOSTILE.to_owned());
    for kind in EventKind::ALL {
        let data = EventData {
            agent: HOSTILE.to_owned(),
            region: hostile(),
            image: hostile(),
            deployment_id: hostile(),
            previous_deployment_id: hostile(),
            verdict: Some(Verdict::Failed),
            reason: Some(Reason {
                code: HOSTILE.to_owned(),
                summary: HOSTILE.to_owned(),
                message: hostile(),
            }),
            warnings: vec![Warning {
                code: HOSTILE.to_owned(),
                summary: HOSTILE.to_owned(),
            }],
            revision: Some(RevisionReport {
                phase: hostile(),
                last_termination_reason: hostile(),
                ..RevisionReport::default()
            }),
            ..EventData::default()
        };
        let mut event = event(kind, EventData::default());
        event.event.data = data;
        let message = text(&event);
        assert!(message.contains("&lt;!channel&gt; &lt;@"), "{message}");
        assert!(message.contains("&amp;lt; @"), "{message}");
        assert!(!message.contains(['<', '>', '\u{1b}', '\u{202e}', '\u{0}']));
        for mention in ["@here", "@channel", "@all", "@U1"] {
            assert!(!message.contains(mention), "{mention} in {message}");
        }
        // What is left of triple backticks is our own: before and after the message.
        assert_eq!(message.matches("```").count(), 2, "{message}");
        assert!(message.ends_with("`\n```"), "{message}");
        assert_eq!(message.lines().count(), 11, "{message}");
    }
}

#[test]
fn a_message_has_the_colour_of_its_severity_the_image_and_a_link() {
    let events = test_events("2026-11-23T15:00:00Z".parse().unwrap());
    let origin = Origin {
        public_url: "https://rollouts.example.com/a&b".parse().ok(),
        ..Origin::default()
    };
    for (event, colour) in events.iter().zip(["#e01e5a", "#2eb67d"]) {
        let event = std::slice::from_ref(event);
        let body = body(Notification::of_all(event, &origin));
        let details = &body["attachments"][0];
        assert_eq!(details["color"], colour);
        let text = details["text"].as_str().unwrap();
        assert!(
            text.contains("Image: registry.example.com/test:1.2.3\n"),
            "{text}"
        );
        let link = "<https://rollouts.example.com/a&amp;b/#rollout/pipecat-rollout-test/00000000-0000-0000-0000-000000000002|Show more>";
        assert!(text.contains(link), "{text}");
    }
    let body = body(Notification::of_all(&events, &origin));
    assert_eq!(
        body["text"],
        ":x: *2 events about 1 agent, 0 of them not well*"
    );
    let text = body["attachments"][0]["text"].as_str().unwrap();
    let table = "```\npipecat-rollout-test: rollout ready after 40.0s\n```\n";
    assert!(text.starts_with(table), "{text}");
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
    let data = EventData {
        reason: Some(reason(Some(&message))),
        ..EventData::default()
    };
    let message = text(&event(EventKind::AgentUnready, data));
    let (_, block) = message.split_once("```\n").unwrap();
    assert!(block.starts_with("[...] "), "{block}");
    assert!(
        block.ends_with("\nImportError: &lt;end&gt;\n```"),
        "{block}"
    );
    let shown = block.replace("&lt;", "<").replace("&gt;", ">");
    assert_eq!(shown.chars().count(), MAX_MESSAGE + "[...] \n```".len());
    assert!(!message.contains("head"));
}

#[test]
fn long_names_are_cut_and_empty_messages_left_out() {
    let message = text(&event(
        EventKind::AgentUnready,
        EventData {
            reason: Some(Reason {
                code: "x".repeat(MAX_WORDS),
                summary: "<".repeat(MAX_WORDS + 1),
                message: Some(" \n\u{1b}[0m".to_owned()),
            }),
            ..EventData::default()
        },
    ));
    let line = message.lines().nth(1).unwrap();
    let whole = "&lt;".repeat(MAX_WORDS);
    assert_eq!(line, format!("{whole}... ({})", "x".repeat(MAX_WORDS)));
    assert!(!message.contains("```"), "{message}");
}
