//! The list of an organization's agents, as `GET /agents` tells it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lenient;

/// An entry of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// The platform's own id.
    #[serde(deserialize_with = "lenient::id")]
    pub id: Option<String>,
    /// The agent's name.
    #[serde(deserialize_with = "lenient::id")]
    pub name: Option<String>,
    /// Where it is deployed.
    #[serde(deserialize_with = "lenient::option")]
    pub region: Option<String>,
    /// The deployment that was requested.
    #[serde(deserialize_with = "lenient::id")]
    pub desired_deployment_id: Option<String>,
    /// Deprecated name of `desired_deployment_id`.
    #[serde(deserialize_with = "lenient::id")]
    pub active_deployment_id: Option<String>,
    /// The deployment that the operator has processed.
    #[serde(deserialize_with = "lenient::id")]
    pub reconciled_deployment_id: Option<String>,
    /// When the agent was made.
    #[serde(deserialize_with = "lenient::option")]
    pub created_at: Option<Timestamp>,
    /// When its record was last changed.
    #[serde(deserialize_with = "lenient::option")]
    pub updated_at: Option<Timestamp>,
    /// When it was deleted, if it was.
    #[serde(deserialize_with = "lenient::option")]
    pub deleted_at: Option<Timestamp>,
}

impl Service {
    /// The requested deployment: `desiredDeploymentId`, else the deprecated `activeDeploymentId`.
    #[must_use]
    pub fn desired(&self) -> Option<&str> {
        self.desired_deployment_id
            .as_deref()
            .or(self.active_deployment_id.as_deref())
    }

    /// Whether the operator has processed what is desired.
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        self.desired() == self.reconciled_deployment_id.as_deref()
    }
}

/// The body of a list is not a list of agents.
#[derive(Debug, thiserror::Error)]
#[error("the body is not the JSON of a list of agents")]
pub struct NotAList(#[source] serde_json::Error);

/// Reads the body of a 200 that was asked for the list.
///
/// # Errors
/// When it is not JSON, or has no `services`: an answer without them must not pass for an
/// organization without agents.
pub fn parse_list(body: &[u8]) -> Result<Vec<Service>, NotAList> {
    #[derive(Deserialize)]
    struct List {
        services: Vec<Service>,
    }
    let list: List = serde_json::from_slice(body).map_err(NotAList)?;
    Ok(list.services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_leniently_but_not_out_of_nothing() {
        let body = br#"{"services": [
            {"id": "1", "name": "a", "desiredDeploymentId": "new", "reconciledDeploymentId": "old", "odd": 1},
            {"name": "b", "activeDeploymentId": "x", "reconciledDeploymentId": "x", "updatedAt": "soon"}
        ]}"#;
        let services = parse_list(body).unwrap();
        assert_eq!(services[0].desired(), Some("new"));
        assert!(!services[0].is_reconciled());
        assert_eq!(services[1].desired(), Some("x"));
        assert!(services[1].is_reconciled() && services[1].updated_at.is_none());
        for odd in [
            "",
            "{}",
            "[]",
            "<html>",
            r#"{"services": null}"#,
            r#"{"error": "x"}"#,
        ] {
            assert!(parse_list(odd.as_bytes()).is_err(), "{odd}");
        }
    }
}
