//! The list of an organization's agents, as `GET /agents` tells it.

use jiff::Timestamp;
use serde::de::{Error as _, SeqAccess};
use serde::{Deserialize, Serialize};

use super::lenient::{self, Lenient, Maybe, Object};
use super::mend;

/// The most agents that are read of a list: more than any organization has.
const MOST_AGENTS: usize = 100_000;

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

impl Object for Service {}

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

/// Reads the body of a 200 that was asked for the list. An entry without a name is left out.
///
/// # Errors
/// When it is not JSON, has no `services`, or too many: an answer without them must not pass for an
/// organization without agents, nor one that is cut for the whole.
pub fn parse_list(body: &[u8]) -> Result<Vec<Service>, NotAList> {
    let list: Maybe<List> = mend::read(body).map_err(NotAList)?;
    let services = list.0.and_then(|list| list.services);
    let none = || NotAList(serde_json::Error::custom("it has no list of services"));
    Ok(services.ok_or_else(none)?.0)
}

#[derive(Deserialize)]
struct List {
    #[serde(default, deserialize_with = "lenient::option")]
    services: Option<Named>,
}

impl Object for List {}

/// The entries that have a name.
struct Named(Vec<Service>);

impl Lenient for Named {
    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut named = Vec::new();
        while let Some(Maybe::<Service>(entry)) = list.next_element()? {
            let Some(service) = entry.filter(|service| service.name.is_some()) else {
                continue;
            };
            if named.len() == MOST_AGENTS {
                return Err(A::Error::custom(format!("more than {MOST_AGENTS} agents")));
            }
            named.push(service);
        }
        Ok(Some(Self(named)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_leniently_but_not_out_of_nothing() {
        let body = br#"{"services": [
            {"id": "1", "name": "a", "desiredDeploymentId": "new", "reconciledDeploymentId": "old", "odd": 1},
            {"id": "nameless"}, {"name": ""}, "odd", 7,
            {"name": "b", "activeDeploymentId": "x", "reconciledDeploymentId": "x", "updatedAt": "soon"}
        ]}"#;
        let services = parse_list(body).unwrap();
        assert_eq!(services.len(), 2, "the entries without a name are none");
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
            r#"[[{"name": "a"}]]"#,
            r#"{"services": {"name": "a"}}"#,
        ] {
            assert!(parse_list(odd.as_bytes()).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_list_is_read_although_a_text_was_cut_and_never_in_part() {
        let cut = b"\xef\xbb\xbf{\"services\": [{\"name\": \"a\", \"region\": \"\\ud83d\"}]}";
        assert_eq!(parse_list(cut).unwrap().len(), 1);
        let of = |entry: &str, times| {
            let entries = vec![entry; times].join(",");
            parse_list(format!("{{\"services\": [{entries}]}}").as_bytes())
        };
        assert_eq!(
            of(r#"{"name":"a"}"#, MOST_AGENTS).unwrap().len(),
            MOST_AGENTS
        );
        let error = of(r#"{"name":"a"}"#, MOST_AGENTS + 1).unwrap_err();
        assert!(error.0.to_string().contains("more than 100000 agents"));
        assert_eq!(of("{}", 3 * MOST_AGENTS).unwrap(), []);
        let all = vec![r#"{"name":"a"}"#; MOST_AGENTS].join(",");
        let body = format!("{{\"services\": [{all}, {{}}]}}");
        assert_eq!(parse_list(body.as_bytes()).unwrap().len(), MOST_AGENTS);
    }
}
