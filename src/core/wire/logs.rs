//! The lines that a deployment logged, as `GET /agents/{agentName}/logs` tells them.

use serde::Deserialize;

use super::lenient::{self, Maybe, Object};
use super::mend;

/// A page of log lines, the newest first as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LogPage {
    #[serde(deserialize_with = "lenient::list")]
    logs: Vec<LogLine>,
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogLine {
    #[serde(deserialize_with = "lenient::option")]
    log: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    deployment_id: Option<String>,
}

impl Object for LogPage {}
impl Object for LogLine {}

impl LogPage {
    /// Reads the body of a 200 that was asked for log lines; one that is no such object has none.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn parse(body: &[u8]) -> serde_json::Result<Self> {
        let page: Maybe<Self> = mend::read(body)?;
        Ok(page.0.unwrap_or_default())
    }

    /// What this deployment logged, the oldest first, at most the newest `most` lines.
    #[must_use]
    pub fn lines_of(self, deployment: &str, most: usize) -> Vec<String> {
        let own = |line: &LogLine| {
            line.deployment_id
                .as_deref()
                .is_none_or(|id| id == deployment)
        };
        let newest = self
            .logs
            .into_iter()
            .filter(own)
            .filter_map(|line| line.log);
        let mut lines: Vec<String> = newest.take(most).collect();
        lines.reverse();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_of_one_deployment_and_oldest_first() {
        let page = r#"{"total": {"value": 9}, "logs": [
            {"log": "d", "deploymentId": "new"}, {"log": "x", "deploymentId": "old"},
            {"log": "c"}, {"nolog": 1}, 7, {"log": "b", "deploymentId": "new", "timestamp": "t"},
            {"log": "a", "deploymentId": "new"}
        ]}"#;
        let page: LogPage = LogPage::parse(page.as_bytes()).unwrap();
        assert_eq!(page.lines_of("new", 3), ["b", "c", "d"]);
        let odd: LogPage = LogPage::parse(br#"{"logs": "none"}"#).unwrap();
        assert_eq!(odd.lines_of("new", 3), Vec::<String>::new());
    }
}
