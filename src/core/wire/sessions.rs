//! The sessions of an agent, as `GET /agents/{agentName}/sessions` answers: the API's only word on which
//! deployment serves a call.

use serde::de::Error as _;
use serde_json::Error;

use super::deployment_of;
use super::json::{self, Object};

/// The sessions that are under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sessions {
    /// The deployments that serve them, one for each.
    deployments: Vec<Option<String>>,
}

impl Sessions {
    /// Reads the body of a 200. A session that has ended is left out: who does not know the filter answers
    /// with all of them.
    ///
    /// # Errors
    /// When it is not JSON, or has no list of sessions.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        json::parse(body, |page| {
            let items = page.items("sessions");
            let items = items.ok_or_else(|| Error::custom("there is no list of sessions"))?;
            let mut deployments = Vec::new();
            for item in items {
                let session = Object::of(item)?.filter(is_under_way);
                deployments.extend(session.map(|session| deployment_of(&session)));
            }
            Ok(Self { deployments })
        })
    }

    /// How many of them another deployment serves than this one. One whose deployment is not named counts
    /// neither way.
    #[must_use]
    pub fn elsewhere(&self, deployment: &str) -> u64 {
        let named = self.deployments.iter().flatten();
        let elsewhere = named.filter(|id| id.as_str() != deployment).count();
        u64::try_from(elsewhere).unwrap_or(u64::MAX)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.deployments.len()
    }
}

fn is_under_way(session: &Object<'_>) -> bool {
    let status = session.id("status");
    let is_active = status.is_none_or(|status| status.eq_ignore_ascii_case("active"));
    is_active && session.id("endedAt").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_under_way_are_counted_by_their_deployment() {
        let page = br#"{"total": 9, "sessions": [
            {"sessionId": "1", "deploymentId": "NEW"}, {"sessionId": "2", "deploymentId": "old"},
            {"sessionId": "3", "deploymentId": "older", "status": "Active", "endedAt": null},
            {"sessionId": "4", "deploymentId": "old", "status": "ended"},
            {"sessionId": "5", "deploymentId": "old", "endedAt": "2026-11-23T15:00:00Z"},
            {"sessionId": "6"}, {}, 7
        ]}"#;
        let sessions = Sessions::parse(page).unwrap();
        assert_eq!((sessions.count(), sessions.elsewhere("new")), (4, 2));
        assert_eq!(Sessions::parse(br#"{"sessions": []}"#).unwrap().count(), 0);
        for odd in ["", "{}", "[]", r#"{"sessions": null}"#] {
            assert!(Sessions::parse(odd.as_bytes()).is_err(), "{odd}");
        }
    }
}
