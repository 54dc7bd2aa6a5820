//! A page of log lines: only this deployment's, in their order, and no more than were asked for.

use pipecat_rollout::fuzzing::wire::LogPage;
use serde_json::Value;

pub(super) fn run(data: &[u8]) {
    let Ok(page) = serde_json::from_slice::<LogPage>(data) else {
        return;
    };
    let all = page.clone().lines_of("new", usize::MAX);
    for most in [0, 1, 3] {
        let some = page.clone().lines_of("new", most);
        assert!(some.len() == most.min(all.len()) && all.ends_with(&some));
    }
    // Numbers that a Value cannot hold are passed over by the page.
    if let Ok(Value::Object(page)) = serde_json::from_slice(data) {
        let mut expected = expected(page.get("logs")).into_iter();
        // A line that says a thing twice is no line.
        assert!(all.iter().all(|line| expected.any(|meant| meant == *line)));
    }
}

/// The lines, the oldest first, by a reader that knows no leniency but this.
fn expected(logs: Option<&Value>) -> Vec<String> {
    let entries = logs.and_then(Value::as_array).into_iter().flatten().rev();
    let own = entries.filter(|entry| match deployment(entry) {
        Some(Value::String(id)) => id == "new" || id.is_empty(),
        _ => true,
    });
    own.filter_map(|entry| Some(line(entry)?.as_str()?.to_owned()))
        .collect()
}

/// Serde takes an array for an object, its fields in their order.
fn line(entry: &Value) -> Option<&Value> {
    entry.get("log").or_else(|| entry.get(0))
}

fn deployment(entry: &Value) -> Option<&Value> {
    entry.get("deploymentId").or_else(|| entry.get(1))
}
