//! A page of log lines: only this deployment's, in their order, and no more than were asked for.

use pipecat_rollout::fuzzing::wire::LogPage;
use serde_json::Value;

pub(super) fn run(data: &[u8]) {
    let Ok(page) = LogPage::parse(data) else {
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
    let entries = match logs {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(entry) => std::slice::from_ref(entry),
        None => &[],
    };
    let own = entries.iter().rev().filter(|entry| {
        let id = |key: &str| entry.get(key)?.as_str().filter(|id| !id.is_empty());
        id("deploymentID")
            .or_else(|| id("deploymentId"))
            .is_none_or(|id| id.eq_ignore_ascii_case("new"))
    });
    own.filter_map(|entry| Some(entry.get("log")?.as_str()?.to_owned()))
        .collect()
}
