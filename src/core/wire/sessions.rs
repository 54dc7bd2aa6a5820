//! The sessions of an agent, as `GET /agents/{agentName}/sessions` answers: the API's only word on which
//! deployment serves a call.

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
            let mut deployments = Vec::new();
            for item in page.items("sessions")? {
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

/// One session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionState {
    /// The deployment that serves it, once that is known.
    pub deployment_id: Option<String>,
    /// Whether it is over.
    pub has_ended: bool,
}

impl SessionState {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        json::parse(body, |answer| {
            let wrapped = answer.nested("body")?;
            let session = wrapped.as_ref().unwrap_or(answer);
            Ok(Self {
                deployment_id: deployment_of(session),
                has_ended: !is_under_way(session),
            })
        })
    }
}

/// The id of the session that a start answers with.
#[must_use]
pub fn started_session(body: &[u8]) -> Option<String> {
    let id = json::parse(body, |answer| Ok(answer.text("sessionId")));
    id.ok().flatten()
}

fn is_under_way(session: &Object<'_>) -> bool {
    let status = session.text("status");
    let is_active = status.is_none_or(|status| status.eq_ignore_ascii_case("active"));
    is_active && session.text("endedAt").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_says_where_it_runs_and_whether_it_is_over() {
        let state = |deployment: Option<&str>, has_ended| SessionState {
            deployment_id: deployment.map(str::to_owned),
            has_ended,
        };
        for (body, expected) in [
            (
                r#"{"sessionId": "1", "deploymentId": "NEW"}"#,
                state(Some("new"), false),
            ),
            (
                r#"{"body": {"deploymentId": "new", "endedAt": "x"}}"#,
                state(Some("new"), true),
            ),
            ("{}", state(None, false)),
        ] {
            assert_eq!(SessionState::parse(body.as_bytes()).unwrap(), expected);
        }
        assert!(SessionState::parse(b"<html>").is_err());
        assert_eq!(
            started_session(br#"{"sessionId": "1"}"#).as_deref(),
            Some("1")
        );
        assert_eq!(started_session(b"{}"), None);
    }

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
