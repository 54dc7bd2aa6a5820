//! What an agent's sessions and log lines look like: those that a client starts, and the scenario's.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::agent::{Now, SimulatedAgent, written};
use super::answer::{Answer, Outcome};
use super::ids::uuid;
use super::query::Query;

impl SimulatedAgent {
    /// Starts a session on the deployment that serves.
    ///
    /// # Errors
    /// When there is no such agent, or nothing serves.
    pub fn start_session(&mut self, now: Now) -> Outcome {
        let details = self.details(self.at(now))?;
        let deployment = serving(&details).filter(|_| details["available"] == true);
        let Some(deployment) = deployment else {
            let what = "no instance of the agent is free";
            return Err(Answer::error(StatusCode::TOO_MANY_REQUESTS, what));
        };
        let number = format!("session {}", self.sessions.len());
        self.sessions
            .push(self.session_of(&number, &deployment, &written(now.wall)));
        Ok(json!({ "sessionId": self.sessions.last().map(|session| &session["sessionId"]) }))
    }

    /// The agent's sessions, the newest first.
    ///
    /// # Errors
    /// When there is no such agent, or the query makes no sense.
    pub fn sessions(&self, now: Now, query: &Query) -> Outcome {
        let status = query.one_of("status", &["all", "active", "ended"])?;
        let (limit, offset) = (query.count("limit", 10)?, query.count("offset", 0)?);
        let mut sessions = self.all_sessions(now)?;
        sessions.retain(|session| {
            let matches = status == "all" || (status == "active") == session["endedAt"].is_null();
            matches && query.selects("deploymentId", session)
        });
        let total = sessions.len();
        let page: Value = sessions.into_iter().skip(offset).take(limit).collect();
        Ok(json!({ "total_count": total, "sessions": page }))
    }

    /// One session.
    ///
    /// # Errors
    /// When there is no such agent or session.
    pub fn session(&self, now: Now, id: &str) -> Outcome {
        let mut sessions = self.all_sessions(now)?.into_iter();
        let session = sessions.find(|session| session["sessionId"] == id);
        session.ok_or_else(|| no_session(id))
    }

    /// Ends a session that a client has started.
    ///
    /// # Errors
    /// When there is none of that id.
    pub(crate) fn end_session(&mut self, now: Now, id: &str) -> Outcome {
        let mut sessions = self.sessions.iter_mut();
        let session = sessions.find(|session| session["sessionId"] == id);
        session.ok_or_else(|| no_session(id))?["endedAt"] = written(now.wall);
        Ok(json!({ "status": "terminated", "session_id": id }))
    }

    /// What the agent has logged so far: of one deployment or session, the newest or the oldest first.
    ///
    /// # Errors
    /// When there is no such agent, or the query makes no sense.
    pub fn logs(&self, now: Now, query: &Query) -> Outcome {
        let at = self.at(now);
        self.document(at)?;
        let limit = query.count("limit", 100)?;
        let order = query.one_of("order", &["desc", "asc"])?;
        let mut lines = Vec::new();
        for line in self
            .scenario
            .log
            .iter()
            .filter(|line| Some(line.at.0) <= at)
        {
            let (moment, deployment) = (self.moment(Some(line.at.0)), self.id(&line.deployment));
            lines.push(json!({ "log": line.line, "timestamp": written(moment), "deploymentId": deployment }));
        }
        for session in &self.sessions {
            for line in &self.scenario.session_log {
                let (started, deployment) = (&session["createdAt"], &session["deploymentId"]);
                lines.push(json!({
                    "log": line, "timestamp": started, "deploymentId": deployment, "sessionId": session["sessionId"],
                }));
            }
        }
        lines
            .retain(|line| query.selects("deploymentId", line) && query.selects("sessionId", line));
        // Times of the same form are in the order of their texts.
        lines.sort_by(|one, other| one["timestamp"].as_str().cmp(&other["timestamp"].as_str()));
        if order == "desc" {
            lines.reverse();
        }
        let total = lines.len();
        lines.truncate(limit);
        Ok(json!({ "total": { "value": total }, "logs": lines }))
    }

    /// The sessions that were started, and those that the scenario counts: these are on the deployment
    /// that is being replaced, if one is.
    fn all_sessions(&self, now: Now) -> Result<Vec<Value>, Answer> {
        let document = self.document(self.at(now))?;
        let count = document["activeSessionCount"]
            .as_u64()
            .unwrap_or(0)
            .min(100);
        let replaced = document["previousRevision"].get("deploymentID").cloned();
        let deployment = replaced.or_else(|| serving(&document)).unwrap_or_default();
        let started = written(self.moment(None));
        let counted = (0..count)
            .map(|number| self.session_of(&format!("counted {number}"), &deployment, &started));
        Ok(self.sessions.iter().rev().cloned().chain(counted).collect())
    }

    /// A session as the API shows it.
    fn session_of(&self, number: &str, deployment: &Value, started: &Value) -> Value {
        json!({
            "sessionId": uuid(&[&self.name, number]),
            "serviceId": uuid(&[&self.name]),
            "organizationId": uuid(&[]),
            "deploymentId": deployment,
            "createdAt": started,
            "updatedAt": started,
            "endedAt": null,
            "completionStatus": null,
            "botStartSeconds": 0,
            "coldStart": false,
        })
    }
}

/// The deployment that takes new sessions: the new one once it is ready, the old one until then.
fn serving(details: &Value) -> Option<Value> {
    let id = |revision: &str| details[revision].get("deploymentID").cloned();
    let previous = id("previousRevision").filter(|_| details["ready"] != true);
    previous.or_else(|| id("currentRevision"))
}

fn no_session(id: &str) -> Answer {
    Answer::not_found(format!("session {id:?} not found"))
}
