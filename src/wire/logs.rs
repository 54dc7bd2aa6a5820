//! The lines that a deployment logged, as `GET /agents/{agentName}/logs` tells them.

use serde::Deserialize;

use super::lenient;

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

impl LogPage {
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
        let page: LogPage = serde_json::from_str(page).unwrap();
        assert_eq!(page.lines_of("new", 3), ["b", "c", "d"]);
        let odd: LogPage = serde_json::from_str(r#"{"logs": "none"}"#).unwrap();
        assert_eq!(odd.lines_of("new", 3), Vec::<String>::new());
    }
}
