//! Requests for sessions: those that are under way, and one that is started to see that it runs.

use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use super::error::{RequestError, SESSION, SESSIONS};
use super::{Client, Credentials, Duration, MAX_BODY, Route};
use crate::core::wire::{AgentName, SessionState, Sessions, started_session};

impl Client {
    /// Asks for the sessions of an agent that are under way, `max` at most, and takes at most `limit`.
    pub(super) async fn sessions(
        &self,
        name: &AgentName,
        max: usize,
        limit: Duration,
    ) -> Result<Sessions, RequestError> {
        let query = [("status", "active"), ("limit", &max.to_string())];
        let mut url = self.agents(&[name.as_str(), "sessions"], limit).await?;
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.get(url, MAX_BODY, limit, Route::Pooled).await?;
        answer.parse(SESSIONS, Sessions::parse)
    }

    /// Starts a session with a public key, and gives its id.
    ///
    /// # Errors
    /// When there is no session, or none whose id is known.
    pub(crate) async fn start_session(
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
        answer.parse(SESSION, |body| started_session(body).ok_or(()))
    }

    /// Asks for one session.
    pub(crate) async fn session(
        &self,
        name: &AgentName,
        id: &str,
        limit: Duration,
    ) -> Result<SessionState, RequestError> {
        let url = self.agents(&[name.as_str(), "sessions", id], limit).await?;
        let answer = self.get(url, MAX_BODY, limit, Route::Pooled).await?;
        answer.parse(SESSION, SessionState::parse)
    }

    /// Asks for the newest `max` lines that a session logged; the oldest comes first.
    pub(crate) async fn session_logs(
        &self,
        name: &AgentName,
        id: &str,
        max: usize,
        limit: Duration,
    ) -> Result<Vec<String>, RequestError> {
        let page = self.log_page(name, ("sessionId", id), max, limit).await?;
        Ok(page.lines(None, max))
    }

    /// Ends a session.
    pub(crate) async fn end_session(
        &self,
        name: &AgentName,
        id: &str,
        limit: Duration,
    ) -> Result<(), RequestError> {
        let url = self.agents(&[name.as_str(), "sessions", id], limit).await?;
        let request = self.pooled.delete(url);
        self.send(request, MAX_BODY, limit).await.map(drop)
    }
}
