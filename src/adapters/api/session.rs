//! Requests for sessions: those that are under way, and one that is started to see that it runs.

use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use super::error::{Expected, RequestError};
use super::{Client, Credentials, Duration, MAX_BODY, Route};
use crate::core::wire::{AgentName, LogPage, SessionState, Sessions, started_session};

impl Client {
    /// Asks for the sessions of an agent that are under way, `max` at most, and takes at most `limit`.
    pub(super) async fn sessions(
        &self,
        name: &AgentName,
        max: usize,
        limit: Duration,
    ) -> Result<Sessions, RequestError> {
        let url = self.agents(limit).await?.sessions(name, max);
        let answer = self.get(url, MAX_BODY, limit, Route::Pooled).await?;
        Sessions::parse(answer.body.as_bytes()).map_err(|_| {
            let why = self.describe(&answer.body);
            answer.unexpected(Expected::Sessions, why)
        })
    }

    /// Starts a session with a public key, and gives its id.
    ///
    /// # Errors
    /// When there is no session, or none whose id is told.
    pub(super) async fn start_session(
        &self,
        name: &AgentName,
        public_key: &Credentials,
        body: &serde_json::Value,
        limit: Duration,
    ) -> Result<String, RequestError> {
        let client = Self {
            credentials: public_key.clone(),
            ..self.clone()
        };
        let body = json!({"createDailyRoom": false, "body": body}).to_string();
        let request = client.pooled.post(client.url.start(name)).body(body);
        let request = request.header(CONTENT_TYPE, "application/json");
        let answer = client.send(request, MAX_BODY, limit).await?;
        started_session(answer.body.as_bytes()).ok_or_else(|| {
            let why = client.describe(&answer.body);
            answer.unexpected(Expected::Session, why)
        })
    }

    /// Asks for one session.
    pub(super) async fn session(
        &self,
        name: &AgentName,
        id: &str,
        limit: Duration,
    ) -> Result<SessionState, RequestError> {
        let url = self.agents(limit).await?.session(name, id);
        let answer = self.get(url, MAX_BODY, limit, Route::Pooled).await?;
        SessionState::parse(answer.body.as_bytes()).map_err(|_| {
            let why = self.describe(&answer.body);
            answer.unexpected(Expected::Session, why)
        })
    }

    /// Asks for the newest `max` lines that a session logged; the oldest comes first.
    pub(super) async fn session_logs(
        &self,
        name: &AgentName,
        id: &str,
        max: usize,
        limit: Duration,
    ) -> Result<Vec<String>, RequestError> {
        let url = self.agents(limit).await?.logs(name, "sessionId", id, max);
        let answer = self.get(url, MAX_BODY, limit, Route::Pooled).await?;
        let page = LogPage::parse(answer.body.as_bytes()).map_err(|_| {
            let why = self.describe(&answer.body);
            answer.unexpected(Expected::Logs, why)
        })?;
        Ok(page.lines(max))
    }

    /// Ends a session.
    pub(super) async fn end_session(
        &self,
        name: &AgentName,
        id: &str,
        limit: Duration,
    ) -> Result<(), RequestError> {
        let url = self.agents(limit).await?.session(name, id);
        let request = self.pooled.delete(url);
        self.send(request, MAX_BODY, limit).await.map(|_| ())
    }
}
