//! What an agent's sessions and log lines look like: those that a client starts, and the scenario's.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::agent::{Now, SimulatedAgent, written};
use super::answer::{Answer, Outcome};
use super::ids::uuid;
use super::query::Query;

/// A session that a client has started.
#[derive(Debug)]
pub(super) struct Session {
    id: String,
    deployment: String,
    started: Timestamp,
    pub(super) ended: Option<Timestamp>,
}

impl SimulatedAgent {
    /// Starts a session on the deployment that serves.
    ///
    /// # Errors
    /// When there is no such agent, or nothing serves.
    pub fn start_session(&mut self, now: Now) -> Outcome {
        let details = self.details(self.at(now))?;
        let deployment = serving(&details).filter(|_| details["available"] == true);
        let Some(deployment) = deployment else {
            return Err(Answer::error(
                StatusCode::TOO_MANY_REQUESTS,
                "no instance of the agent is free",
            ));
        };
        let id = uuid(&[&self.name, "session", &self.sessions.len().to_string()]);
        let answer = json!({ "sessionId": id });
        let (started, ended) = (now.wall, None);
        self.sessions.push(Session {
            id,
            deployment,
            started,
            ended,
        });
        Ok(answer)
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
        let page = sessions.into_iter().skip(offset).take(limit);
        Ok(json!({ "total_count": total, "sessions": page.collect::<Value>() }))
    }

    /// One session.
    ///
    /// # Errors
    /// When there is no such agent or session.
    pub fn session(&self, now: Now, id: &str) -> Outcome {
        let mut sessions = self.all_sessions(now)?.into_iter();
        sessions
            .find(|session| session["sessionId"] == id)
            .ok_or_else(|| no_session(id))
    }

    /// Ends a session that a client has started.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn end_session(&mut self, now: Now, id: &str) -> Outcome {
        let session = self.sessions.iter_mut().find(|session| session.id == id);
        session
            .ok_or_else(|| no_session(id))?
            .ended
            .get_or_insert(now.wall);
        Ok(json!({ "status": "terminated", "session_id": id }))
    }

    /// What the agent has logged so far: of one deployment or session, the newest or the oldest first.
    ///
    /// # Errors
    /// When there is no such agent, or the query makes no sense.
    pub fn logs(&self, now: Now, query: &Query) -> Outcome {
        let at = self.at(now);
        self.document(at)?;
        let (limit, order) = (
            query.count("limit", 100)?,
            query.one_of("order", &["desc", "asc"])?,
        );
        let scripted = self
            .scenario
            .log
            .iter()
            .filter(|line| Some(line.at.0) <= at)
            .map(|line| {
                let details =
                    json!({ "log": line.line, "deploymentId": self.id(&line.deployment) });
                (self.moment(Some(line.at.0)), details)
            });
        let of_sessions = self.sessions.iter().flat_map(|session| {
            self.scenario.session_log.iter().map(|line| {
                let Session {
                    id,
                    deployment,
                    started,
                    ..
                } = session;
                (
                    *started,
                    json!({ "log": line, "deploymentId": deployment, "sessionId": id }),
                )
            })
        });
        let mut lines: Vec<(Timestamp, Value)> = scripted.chain(of_sessions).collect();
        lines.retain(|(_, line)| {
            query.selects("deploymentId", line) && query.selects("sessionId", line)
        });
        lines.sort_by_key(|(at, _)| *at);
        if order == "desc" {
            lines.reverse();
        }
        let total = lines.len();
        let page = lines.into_iter().take(limit).map(|(at, mut line)| {
            line["timestamp"] = written(at);
            line
        });
        Ok(json!({ "total": { "value": total }, "logs": page.collect::<Value>() }))
    }

    /// The sessions that were started, and those that the scenario counts: these are on the deployment
    /// that is being replaced, if one is.
    fn all_sessions(&self, now: Now) -> Result<Vec<Value>, Answer> {
        let document = self.document(self.at(now))?;
        let count = document["activeSessionCount"]
            .as_u64()
            .unwrap_or(0)
            .min(100);
        let replaced = document["previousRevision"]["deploymentID"]
            .as_str()
            .map(str::to_owned);
        let deployment = replaced.or_else(|| serving(&document)).unwrap_or_default();
        let counted = (0..count).map(|number| Session {
            id: uuid(&[&self.name, "counted", &number.to_string()]),
            deployment: deployment.clone(),
            started: self.moment(None),
            ended: None,
        });
        let started = self
            .sessions
            .iter()
            .rev()
            .map(|session| session.details(&self.name));
        Ok(started
            .chain(counted.map(|session| session.details(&self.name)))
            .collect())
    }
}

impl Session {
    /// The session as the API shows it.
    fn details(&self, agent: &str) -> Value {
        json!({
            "sessionId": self.id,
            "serviceId": uuid(&[agent]),
            "organizationId": uuid(&[]),
            "deploymentId": self.deployment,
            "createdAt": written(self.started),
            "updatedAt": written(self.ended.unwrap_or(self.started)),
            "endedAt": self.ended.map(written),
            "completionStatus": self.ended.map(|_| "HTTP_COMPLETED"),
            "botStartSeconds": 0,
            "coldStart": false,
        })
    }
}

/// The deployment that takes new sessions: the new one once it is ready, the old one until then.
fn serving(details: &Value) -> Option<String> {
    let id = |revision: &str| {
        details[revision]["deploymentID"]
            .as_str()
            .map(str::to_owned)
    };
    let previous = id("previousRevision").filter(|_| details["ready"] != true);
    previous.or_else(|| id("currentRevision"))
}

fn no_session(id: &str) -> Answer {
    Answer::not_found(format!("session {id:?} not found"))
}
