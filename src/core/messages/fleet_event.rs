//! What happened to an agent of the organization, in words: for the log, and for chats.

use std::time::Duration;

use super::{Severity, verdict_severity};
use crate::core::fleet::{EventData, EventKind, FleetEvent};
use crate::core::rollout::{Phase, Verdict};
use crate::core::text::{one_line, short_duration};

/// The event as one harmless line: whom it is about, its headline, and why.
#[must_use]
pub fn event_line(event: &FleetEvent) -> String {
    let title = event_title(event);
    match &event.data.reason {
        Some(reason) => format!("{title}: {}", one_line(&reason.summary)),
        None => title,
    }
}

/// Whom the event is about, and what happened, in a few harmless words.
pub(crate) fn event_title(event: &FleetEvent) -> String {
    let headline = headline(event.kind, &event.data);
    match one_line(&event.data.agent).as_str() {
        "" => headline,
        agent => format!("{agent}: {headline}"),
    }
}

/// What happened, in a few harmless words, without the agent's name.
fn headline(kind: EventKind, data: &EventData) -> String {
    let after = data.elapsed_ms.map_or_else(String::new, |ms| {
        format!(" after {}", short_duration(Duration::from_millis(ms)))
    });
    let rollout = if data.rolled_back {
        "roll-back"
    } else {
        "rollout"
    };
    let mut headline = match kind {
        EventKind::RolloutStarted => {
            let deployment = data.deployment_id.as_deref().unwrap_or("-");
            format!("{rollout} of {} started", one_line(deployment))
        }
        EventKind::RolloutPhaseChanged => {
            format!("{rollout} {}", data.phase.map_or("-", Phase::as_str))
        }
        EventKind::RolloutFinished => {
            format!(
                "{rollout} {}{after}",
                data.verdict.map_or("-", Verdict::as_str)
            )
        }
        EventKind::AgentUnready => "no longer ready".to_owned(),
        EventKind::AgentRecovered => format!("ready again{after}"),
        EventKind::AgentAdded => "added".to_owned(),
        EventKind::AgentRemoved => "removed".to_owned(),
        EventKind::WatcherBlind => "the watcher is blind".to_owned(),
        EventKind::WatcherRecovered => format!("the watcher sees again{after}"),
        EventKind::SinkFailing => format!("the sink {} takes nothing", sink(data)),
        EventKind::SinkRecovered => format!("the sink {} takes events again{after}", sink(data)),
        EventKind::StoreFailing => "the store cannot be written".to_owned(),
        EventKind::StoreRecovered => format!("the store can be written again{after}"),
    };
    if data.revision_unchanged {
        headline.push_str(", revision unchanged");
    }
    if data.observed_late {
        headline.push_str(", not seen from beginning to end");
    }
    headline
}

fn sink(data: &EventData) -> String {
    one_line(data.sink.as_deref().unwrap_or("-"))
}

/// How grave it is: an error where something failed or is down, a warning where a person should check soon.
pub(crate) fn event_severity(event: &FleetEvent) -> Severity {
    let data = &event.data;
    let severity = match event.kind {
        EventKind::RolloutFinished => match data.verdict {
            // Somebody deployed again: that rollout has its own end.
            None | Some(Verdict::Superseded) => Severity::Warning,
            Some(verdict) => verdict_severity(verdict),
        },
        EventKind::RolloutPhaseChanged if data.phase == Some(Phase::Failed) => Severity::Warning,
        // Something else serves.
        EventKind::AgentUnready if data.available == Some(true) => Severity::Warning,
        EventKind::AgentUnready
        | EventKind::WatcherBlind
        | EventKind::SinkFailing
        | EventKind::StoreFailing => Severity::Error,
        EventKind::AgentRecovered
        | EventKind::WatcherRecovered
        | EventKind::SinkRecovered
        | EventKind::StoreRecovered => Severity::Success,
        EventKind::RolloutStarted
        | EventKind::RolloutPhaseChanged
        | EventKind::AgentAdded
        | EventKind::AgentRemoved => Severity::Info,
    };
    let is_doubtful = data.revision_unchanged || !data.warnings.is_empty();
    match severity {
        Severity::Success if is_doubtful => Severity::Warning,
        severity => severity,
    }
}

/// What a person should know although it decided nothing, in harmless lines.
pub(crate) fn event_warnings(data: &EventData) -> Vec<String> {
    super::block::warning_lines(&data.warnings, data.revision_unchanged)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::core::rollout::{Reason, Warning};

    fn event(kind: EventKind, data: EventData) -> FleetEvent {
        FleetEvent {
            kind,
            time: Timestamp::UNIX_EPOCH,
            dedup_key: String::new(),
            data,
        }
    }

    #[test]
    fn every_kind_has_its_line() {
        let data = EventData {
            deployment_id: Some("new".to_owned()),
            phase: Some(Phase::Creating),
            verdict: Some(Verdict::Failed),
            reason: Some(Reason {
                code: "CrashLoopBackOff".to_owned(),
                summary: "its code\u{1b}[31m crashes".to_owned(),
                message: Some("whole".to_owned()),
            }),
            elapsed_ms: Some(72_000),
            sink: Some("ops".to_owned()),
            ..EventData::default()
        };
        assert_eq!(
            EventKind::ALL.map(|kind| event_line(&event(kind, data.clone()))),
            [
                "rollout of new started: its code crashes",
                "rollout creating: its code crashes",
                "rollout failed after 1m 12s: its code crashes",
                "no longer ready: its code crashes",
                "ready again after 1m 12s: its code crashes",
                "added: its code crashes",
                "removed: its code crashes",
                "the watcher is blind: its code crashes",
                "the watcher sees again after 1m 12s: its code crashes",
                "the sink ops takes nothing: its code crashes",
                "the sink ops takes events again after 1m 12s: its code crashes",
                "the store cannot be written: its code crashes",
                "the store can be written again after 1m 12s: its code crashes",
            ]
        );
        let ready = EventData {
            verdict: Some(Verdict::Ready),
            rolled_back: true,
            revision_unchanged: true,
            observed_late: true,
            ..EventData::default()
        };
        assert_eq!(
            event_line(&event(EventKind::RolloutFinished, ready)),
            "roll-back ready, revision unchanged, not seen from beginning to end"
        );
        let bare = event(EventKind::RolloutFinished, EventData::default());
        assert_eq!(event_line(&bare), "rollout -");
    }

    #[test]
    fn what_failed_or_is_down_is_an_error_and_what_is_doubtful_a_warning() {
        let of_verdict = |verdict, change: fn(&mut EventData)| {
            let mut data = EventData {
                verdict: Some(verdict),
                ..EventData::default()
            };
            change(&mut data);
            event_severity(&event(EventKind::RolloutFinished, data))
        };
        for verdict in Verdict::WORST_FIRST {
            let expected = match verdict {
                Verdict::Superseded => Severity::Warning,
                verdict => verdict_severity(verdict),
            };
            assert_eq!(of_verdict(verdict, |_| ()), expected);
        }
        let unchanged = of_verdict(Verdict::Ready, |data| data.revision_unchanged = true);
        let warned = of_verdict(Verdict::Ready, |data| {
            data.warnings.push(Warning {
                code: "Degraded".to_owned(),
                summary: "it is degraded".to_owned(),
            });
        });
        assert_eq!((unchanged, warned), (Severity::Warning, Severity::Warning));
        let of_unready = |available| {
            let data = EventData {
                available,
                ..EventData::default()
            };
            event_severity(&event(EventKind::AgentUnready, data))
        };
        assert_eq!(of_unready(Some(true)), Severity::Warning);
        assert_eq!(of_unready(Some(false)), Severity::Error);
        assert_eq!(of_unready(None), Severity::Error);
    }
}
