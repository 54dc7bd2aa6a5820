//! The progress as structured logs: one event, one JSON object on one line.
//!
//! The field names are part of the contract; `config/schema/log-line.schema.json` describes them.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tracing::{error, info, warn};

use crate::core::messages::{self, Severity};
use crate::core::rollout::{Event, whole_millis};

/// The field of a log line whose JSON object stands in the line field by field.
pub(super) const FIELDS: &str = "fields";

/// Structured logs by tracing.
pub(crate) struct Json {
    agents: Vec<String>,
}

impl Json {
    pub(super) fn begin(agents: Vec<String>) -> Self {
        Self { agents }
    }

    /// Logs an event, as it serialises itself, at the level of its severity.
    pub(super) fn on_event(&mut self, agent: usize, at: Duration, event: &Event) {
        let mut fields = fields(event);
        fields.insert("agent".to_owned(), json!(self.agents[agent]));
        fields.insert("atMs".to_owned(), json!(whole_millis(at)));
        let (fields, message) = (Value::Object(fields).to_string(), messages::line(event));
        match messages::severity(event) {
            Severity::Success | Severity::Info => info!(fields, "{message}"),
            Severity::Warning => warn!(fields, "{message}"),
            Severity::Error => error!(fields, "{message}"),
        }
    }
}

/// The fields of an event: its type as `event`, and what is known.
fn fields(event: &Event) -> Map<String, Value> {
    let fields = match serde_json::to_value(event) {
        Ok(Value::Object(fields)) => fields,
        // An event is plain data, of which serde makes an object.
        Ok(_) | Err(_) => Map::new(),
    };
    let known = fields.into_iter().filter(|(_, value)| !value.is_null());
    let named = known.map(|(name, value)| match name.as_str() {
        "type" => ("event".to_owned(), value),
        _ => (name, value),
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::*;
    use crate::core::rollout::{Phase, ProblemClass, Reason, Verdict};

    const SCHEMA: &str = include_str!("../../../config/schema/log-line.schema.json");

    /// One of each kind of event, everything about it known.
    fn full() -> Vec<Event> {
        let text = str::to_owned;
        let created_at = Some(Timestamp::UNIX_EPOCH);
        let time = Duration::from_millis(1_500);
        vec![
            Event::BaselineNoted {
                deployment_id: Some(text("old")),
                created_at,
            },
            Event::WaitingForTarget {
                desired: Some(text("old")),
            },
            Event::TargetFound {
                deployment_id: text("new"),
                created_at,
            },
            Event::PhaseChanged {
                phase: Phase::Creating,
                previous: Phase::Reconciling,
                lasted: time,
            },
            Event::ReplicasChanged {
                ready_replicas: 1,
                replicas_started: 2,
            },
            Event::Restarted {
                restart_count: 1,
                last_exit_code: Some(-1),
                last_termination_reason: Some(text("Error")),
            },
            problem(ProblemClass::Crashing, Some(text("boom"))),
            Event::ProblemResolved {
                code: text("ErrImagePull"),
            },
            Event::InfrastructureIssue,
            Event::InfrastructureRecovered,
            Event::Unconfirmed {
                claim: text("another deployment is desired"),
            },
            Event::StaleAnswer,
            Event::PollFailed {
                code: text("Http503"),
                summary: text("the API answered 503"),
            },
            Event::PollRecovered {
                failed: 2,
                after: time,
            },
            Event::Holding { stable_for: time },
            Event::ReadyLost { after: time },
            Event::RevisionUnchanged {
                running: text("old"),
            },
            Event::WaitingForCommand,
            Event::CommandEnded {
                exit_code: 143,
                lasted: time,
            },
            heartbeat(Phase::Active, Some(1), Some(0)),
            finished(
                Verdict::Failed,
                Some(Reason {
                    code: text("Error"),
                    summary: text("it failed"),
                    message: None,
                }),
            ),
        ]
    }

    /// What differs from those: every word, and what is not known.
    fn variants() -> Vec<Event> {
        let classes = [
            ProblemClass::Reported,
            ProblemClass::Unrecoverable,
            ProblemClass::Crashing,
            ProblemClass::NotPulling,
            ProblemClass::Degraded,
            ProblemClass::ReportedBefore,
            ProblemClass::Unknown,
        ];
        let problems = classes.map(|class| problem(class, None));
        let phases = Phase::ALL.iter().map(|phase| heartbeat(*phase, None, None));
        let verdicts = Verdict::WORST_FIRST.map(|verdict| finished(verdict, None));
        let unknown = [
            Event::BaselineNoted {
                deployment_id: None,
                created_at: None,
            },
            Event::WaitingForTarget { desired: None },
            Event::TargetFound {
                deployment_id: "new".to_owned(),
                created_at: None,
            },
            Event::Restarted {
                restart_count: 1,
                last_exit_code: None,
                last_termination_reason: None,
            },
        ];
        let all = problems.into_iter().chain(phases).chain(verdicts);
        all.chain(unknown).collect()
    }

    fn problem(class: ProblemClass, details: Option<String>) -> Event {
        Event::ProblemDetected {
            class,
            code: "CrashLoopBackOff".to_owned(),
            details,
        }
    }

    fn heartbeat(phase: Phase, ready: Option<u64>, restarts: Option<u64>) -> Event {
        Event::Heartbeat {
            phase,
            in_phase: Duration::ZERO,
            ready_replicas: ready,
            restart_count: restarts,
            polls: 3,
            failing: 0,
        }
    }

    fn finished(verdict: Verdict, reason: Option<Reason>) -> Event {
        Event::Finished {
            verdict,
            reason,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn every_event_is_a_log_line_of_the_schema() {
        let schema = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        for event in full().into_iter().chain(variants()) {
            let mut line = Value::Object(super::fields(&event));
            line["timestamp"] = json!("2026-11-23T15:00:00Z");
            line["level"] = json!("INFO");
            line["message"] = json!(messages::line(&event));
            line["agent"] = json!("my-agent");
            line["atMs"] = json!(0);
            let error = validator.validate(&line).err();
            assert!(error.is_none(), "{line:#}\n{}", error.unwrap());
        }
    }

    #[test]
    fn the_schema_describes_these_events_and_their_fields_and_no_others() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let described = schema["$defs"].as_object().unwrap();
        let mut names: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        for event in full() {
            let mut line = super::fields(&event);
            let name = line["event"].as_str().unwrap().to_owned();
            for beside in ["timestamp", "level", "message", "agent", "atMs"] {
                line.insert(beside.to_owned(), Value::Null);
            }
            let fields: BTreeSet<&String> = line.keys().collect();
            let properties = described[&name]["properties"].as_object().unwrap();
            assert_eq!(fields, properties.keys().collect(), "{name}");
            names.remove(&*name);
        }
        // What is no event of a rollout.
        assert_eq!(names, BTreeSet::from(["diagnostic", "error"]));
    }
}
