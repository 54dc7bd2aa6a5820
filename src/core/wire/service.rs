//! The list of an organization's agents, as `GET /agents` answers.

use jiff::Timestamp;
use serde::de::Error as _;
use serde_json::Error;

use super::desired;
use super::json::{self, Object};

/// At most so many agents are read of a list: more than any organization has.
const MAX_AGENTS: usize = 100_000;

/// An entry of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// The platform's own id.
    pub id: Option<String>,
    /// The agent's name.
    pub name: String,
    /// Where it is deployed.
    pub region: Option<String>,
    /// The deployment that was requested, by its id in lower case.
    pub desired_deployment_id: Option<String>,
    /// The deployment that the operator has processed, by its id in lower case.
    pub reconciled_deployment_id: Option<String>,
    /// When the agent was made.
    pub created_at: Option<Timestamp>,
    /// When it was deleted, if it was.
    pub deleted_at: Option<Timestamp>,
}

impl Service {
    /// The requested deployment.
    #[must_use]
    pub fn desired(&self) -> Option<&str> {
        self.desired_deployment_id.as_deref()
    }

    /// Whether the operator has processed what is desired.
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        self.desired() == self.reconciled_deployment_id.as_deref()
    }

    /// None where it has no name.
    fn read(service: &Object<'_>) -> Option<Self> {
        Some(Self {
            id: service.text("id"),
            name: service.text("name")?,
            region: service.text("region"),
            desired_deployment_id: desired(service),
            reconciled_deployment_id: service.deployment_id("reconciledDeploymentId"),
            created_at: service.time("createdAt"),
            deleted_at: service.time("deletedAt"),
        })
    }
}

/// Reads the body of a 200 that was asked for the list. An entry without a name is left out.
///
/// # Errors
/// When it is not JSON, has no `services`, or too many: an answer without them must not pass for an
/// organization without agents, nor one that is cut for the whole.
pub fn parse_list(body: &[u8]) -> Result<Vec<Service>, Error> {
    let read = |list: &Object<'_>| {
        let mut services = Vec::new();
        for item in list.items("services")? {
            services.extend(Object::of(item)?.as_ref().and_then(Service::read));
            if services.len() > MAX_AGENTS {
                let message = format!("there are more than {MAX_AGENTS} agents");
                return Err(Error::custom(message));
            }
        }
        Ok(services)
    };
    json::parse(body, read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_without_a_name_are_left_out() {
        let body = br#"{"services": [
            {"id": "1", "name": "A", "desiredDeploymentId": "NEW", "reconciledDeploymentId": "old", "odd": 1},
            {"id": "nameless"}, {"name": ""}, "odd", 7, {},
            {"name": "b", "activeDeploymentId": "X", "reconciledDeploymentId": "x", "createdAt": "soon",
             "deletedAt": "2026-11-23T15:00:00Z"}
        ]}"#;
        let services = parse_list(body).unwrap();
        assert_eq!(services.len(), 2);
        assert_eq!(services[0].name, "A");
        assert_eq!(services[0].desired(), Some("new"));
        assert!(!services[0].is_reconciled());
        assert_eq!(services[1].desired(), Some("x"));
        assert!(services[1].is_reconciled() && services[1].created_at.is_none());
        assert!(services[1].deleted_at.is_some());
    }

    #[test]
    fn an_answer_without_services_is_no_empty_list() {
        assert_eq!(parse_list(br#"{"services": []}"#).unwrap(), []);
        for odd in [
            "",
            "{}",
            "[]",
            "<html>",
            r#"{"services": null}"#,
            r#"{"error": "x"}"#,
            r#"[[{"name": "a"}]]"#,
            r#"{"services": {"name": "a"}}"#,
            r#"{"services": [{"name": "a"}]"#,
            r#"{"services": [{"name": "a", "name": "b"}]}"#,
        ] {
            assert!(parse_list(odd.as_bytes()).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_list_survives_a_text_that_was_cut() {
        let cut = b"\xef\xbb\xbf{\"services\": [{\"name\": \"a\", \"region\": \"\\ud83d\"}]}";
        assert_eq!(parse_list(cut).unwrap().len(), 1);
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let read = |agents: usize, nameless: usize| {
            let agents = std::iter::repeat_n(r#"{"name":"a"}"#, agents);
            let entries: Vec<_> = agents.chain(std::iter::repeat_n("{}", nameless)).collect();
            parse_list(format!("{{\"services\": [{}]}}", entries.join(",")).as_bytes())
        };
        assert_eq!(read(MAX_AGENTS, 1).unwrap().len(), MAX_AGENTS);
        assert_eq!(read(0, 3 * MAX_AGENTS).unwrap(), []);
        let error = read(MAX_AGENTS + 1, 0).unwrap_err().to_string();
        assert!(error.contains("more than 100000 agents"), "{error}");
    }
}
