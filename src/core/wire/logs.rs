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
            // An empty line is one, too.
            log: line.word("log"),
            deployment_id: deployment_of(line),
        };
        let logs = json::parse(body, |page| {
            page.list("logs", |item| Ok(Object::of(item)?.as_ref().map(read)))
        })?;
        Ok(Self { logs })
    }

    /// What a deployment logged, or all lines; the oldest first, at most the newest `max`.
    #[must_use]
    pub fn lines(self, deployment: Option<&str>, max: usize) -> Vec<String> {
        let is_own = |line: &LogLine| match (deployment, line.deployment_id.as_deref()) {
            (Some(wanted), Some(id)) => id.eq_ignore_ascii_case(wanted),
            _ => true,
        };
        let newest = self.logs.into_iter().filter(is_own);
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
            {"log": ""}, {"nolog": 1}, 7, {"log": "b", "deploymentID": "NEW", "timestamp": "t"},
            {"log": "a", "deploymentId": "new"}
        ]}"#;
        let page = LogPage::parse(page.as_bytes()).unwrap();
        assert_eq!(page.clone().lines(Some("new"), 3), ["b", "", "d"]);
        assert_eq!(page.lines(Some("New"), 9), ["a", "b", "", "d"]);
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
