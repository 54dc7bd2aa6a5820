//! The query of `GET /agents/{name}/logs`, and its answer.

use serde_json::{Value, json};

/// Which log lines are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    deployment: Option<String>,
    limit: usize,
    order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

impl LogQuery {
    /// Reads the query of a URL; keys that it does not know pass.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut parsed = Self {
            deployment: None,
            limit: 100,
            order: Order::NewestFirst,
        };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "deploymentId" => parsed.deployment = Some(value.to_owned()),
                "limit" => {
                    let limit = value.parse();
                    parsed.limit = limit.map_err(|_| format!("limit {value:?} is no number"))?;
                }
                "order" => {
                    parsed.order = match value {
                        "asc" => Order::OldestFirst,
                        "desc" => Order::NewestFirst,
                        _ => return Err(format!("order {value:?} is neither asc nor desc")),
                    }
                }
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// The answer, of the lines written so far, the oldest first.
    pub(super) fn answer(&self, mut lines: Vec<Value>) -> Value {
        if let Some(deployment) = &self.deployment {
            lines.retain(|line| line["deploymentId"] == **deployment);
        }
        let total = lines.len();
        if self.order == Order::NewestFirst {
            lines.reverse();
        }
        lines.truncate(self.limit);
        json!({ "total": { "value": total }, "logs": lines })
    }
}
