//! The lines that a deployment logged, as `GET /agents/{agentName}/logs` answers.

use super::deployment_of;
use super::json::{self, Object};

/// A page of log lines, the newest first as it was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogPage {
    logs: Vec<LogLine>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct LogLine {
    log: Option<String>,
    deployment_id: Option<String>,
}

impl LogPage {
    /// Reads the body of a 200 that was asked for log lines; one without a list of them has none.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn parse(body: &[u8]) -> serde_json::Result<Self> {
        let read = |line: &Object<'_>| LogLine {
            log: line.text("log"),
            deployment_id: deployment_of(line),
        };
        let logs = json::parse(body, |page| {
            page.list("logs", |item| Ok(Object::of(item)?.as_ref().map(read)))
        })?;
        Ok(Self { logs })
    }

    /// All lines, the oldest first, at most the newest `max`.
    #[must_use]
    pub fn lines(self, max: usize) -> Vec<String> {
        let newest = self.logs.into_iter().filter_map(|line| line.log);
        let mut lines: Vec<String> = newest.take(max).collect();
        lines.reverse();
        lines
    }

    /// What this deployment logged, the oldest first, at most the newest `max` lines.
    #[must_use]
    pub fn lines_of(self, deployment: &str, max: usize) -> Vec<String> {
        let own = |line: &LogLine| {
            let id = line.deployment_id.as_deref();
            id.is_none_or(|id| id.eq_ignore_ascii_case(deployment))
        };
        let newest = self.logs.into_iter().filter(own);
        let newest = newest.filter_map(|line| line.log).take(max);
        let mut lines: Vec<String> = newest.collect();
        lines.reverse();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_of_one_deployment_and_oldest_first() {
        let page = r#"{"total": {"value": 9}, "logs": [
            {"log": "d", "deploymentId": "new"}, {"log": "x", "deploymentId": "old"},
            {"log": "c"}, {"nolog": 1}, 7, {"log": "b", "deploymentID": "NEW", "timestamp": "t"},
            {"log": "a", "deploymentId": "new"}
        ]}"#;
        let page = LogPage::parse(page.as_bytes()).unwrap();
        assert_eq!(page.clone().lines_of("new", 3), ["b", "c", "d"]);
        assert_eq!(page.lines_of("New", 9), ["a", "b", "c", "d"]);
    }

    #[test]
    fn log_pages_of_another_shape_are_empty_unless_they_are_no_json() {
        for body in [r#"{"logs": "none"}"#, "{}", "[]", "7"] {
            let page = LogPage::parse(body.as_bytes()).unwrap();
            assert_eq!(page, LogPage::default(), "{body}");
        }
        assert!(LogPage::parse(b"<html>").is_err());
    }
}
