//! A page of log lines: only this deployment's, in their order, and no more than were asked for.

use pipecat_rollout::fuzzing::wire::LogPage;
use serde_json::{Map, Value};

/// At most so many entries are kept of a page.
const MAX_ENTRIES: usize = 1000;

pub(super) fn run(data: &[u8]) {
    let Ok(page) = LogPage::parse(data) else {
        return;
    };
    let all = page.clone().lines(Some("new"), usize::MAX);
    for most in [0, 1, 3] {
        let some = page.clone().lines(Some("new"), most);
        assert!(some.len() == most.min(all.len()) && all.ends_with(&some));
    }
    // A Value cannot hold all that the page passes over: half characters, numbers out of range.
    if let Ok(page) = serde_json::from_slice::<Value>(data) {
        assert_eq!(all, expected(page.get("logs")));
    }
}

/// The lines, the oldest first, by another reader.
fn expected(logs: Option<&Value>) -> Vec<String> {
    let entries = match logs {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(entry) => std::slice::from_ref(entry),
        None => &[],
    };
    let entries = entries.iter().filter_map(Value::as_object);
    let entries = entries.filter(|entry| !entry.is_empty()).take(MAX_ENTRIES);
    let own = entries.filter(|entry| {
        let id = id(entry, "deploymentID").or_else(|| id(entry, "deploymentId"));
        id.is_none_or(|id| id.eq_ignore_ascii_case("new"))
    });
    let lines = own.filter_map(|entry| entry.get("log")?.as_str());
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.reverse();
    lines
}

fn id<'a>(entry: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    entry.get(key)?.as_str().filter(|id| !id.trim().is_empty())
}
