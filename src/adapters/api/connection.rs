//! The connection to the API that all agents share: one client, one limit on requests a second.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::debug;

use super::rate_limiter::RateLimiter;
use super::{Client, RequestError};
use crate::core::rollout::{FailureClass, Observation, Route};
use crate::core::wire::{AgentName, OlderSessions, RequestOutcome, Service};

/// The most sessions that are asked for.
const MAX_SESSIONS: usize = 1000;
/// From so many on there may be more than were listed, whatever the platform makes of the number above.
const FULL_PAGE: usize = 100;

/// The connection to the API, shared by all who hold it.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Shared>);

struct Shared {
    client: RwLock<Client>,
    rate_limiter: RateLimiter,
    hooks: Hooks,
}

/// What a sidecar wants to know of its requests.
#[derive(Default)]
pub(crate) struct Hooks {
    /// Called with how each request ended, and how long it took.
    pub(crate) on_request: Option<OnRequest>,
    /// Called with how long each permit of normal priority took.
    pub(crate) on_wait: Option<OnWait>,
}

/// Takes how a request ended, and how long it took.
pub(crate) type OnRequest = Box<dyn Fn(RequestOutcome, Duration) + Send + Sync>;
/// Takes how long a permit took.
pub(crate) type OnWait = Box<dyn Fn(Duration) + Send + Sync>;

/// In which line a request waits for its permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// The list: one request that speaks of all agents.
    List,
    /// Somebody waits for it.
    Normal,
    /// It looks after what is at rest: where others wait, it gets a fifth of the budget.
    Low,
}

/// Whether a failed request is sent again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
enum Retry {
    /// There are other credentials now.
    Now,
    /// The same would happen again.
    No,
}

impl Connection {
    /// A connection through this client, with at most so many requests a second.
    pub(crate) fn new(client: Client, max_rps: NonZeroU32, hooks: Hooks) -> Self {
        Self(Arc::new(Shared {
            client: RwLock::new(client),
            rate_limiter: RateLimiter::new(max_rps),
            hooks,
        }))
    }

    /// Waits for the permit to send a request.
    pub(crate) async fn acquire(&self, priority: Priority) {
        let waited = self.0.rate_limiter.acquire(priority).await;
        if let (Priority::Normal, Some(on_wait)) = (priority, &self.0.hooks.on_wait) {
            on_wait(waited);
        }
    }

    /// Asks for the details of an agent, and takes at most `limit` for each request. The caller has
    /// acquired the permit, or does without; only a second request, with other credentials, acquires its own.
    pub(crate) async fn observe(
        &self,
        agent: &AgentName,
        limit: Duration,
        route: Route,
    ) -> Observation {
        let request = |client: Client| async move {
            let answer = client.observe(agent, limit, route).await;
            match &answer {
                Ok(_) => debug!(agent = agent.as_str(), status = 200, "answer"),
                Err(error) => debug!(agent = agent.as_str(), %error, "no usable answer"),
            }
            answer
        };
        let answer = self.send(request).await;
        answer.unwrap_or_else(RequestError::into_observation)
    }

    /// Asks for the details of an agent, and, if its desired deployment is ready, for the sessions that others
    /// serve; both together take at most `limit`. The second request acquires its own permit.
    pub(crate) async fn observe_draining(
        &self,
        agent: &AgentName,
        limit: Duration,
        route: Route,
    ) -> Observation {
        let began = Instant::now();
        let mut observation = self.observe(agent, limit, route).await;
        if let Observation::Details { details, .. } = &mut observation
            && details.ready
            && let Some(desired) = details.desired().map(str::to_owned)
            && details.reconciled_deployment_id.as_deref() == Some(&desired)
        {
            let left = limit.saturating_sub(began.elapsed());
            let under_way = details.active_session_count;
            let asked = timeout(left, self.older_sessions(agent, &desired, under_way, left));
            details.older_sessions = asked.await.unwrap_or(Some(OlderSessions::Unknown));
        }
        observation
    }

    /// The sessions that other deployments than this one serve, of so many that are `under_way`; none where
    /// the platform does not say.
    async fn older_sessions(
        &self,
        agent: &AgentName,
        deployment: &str,
        under_way: Option<u64>,
        limit: Duration,
    ) -> Option<OlderSessions> {
        self.acquire(Priority::Normal).await;
        let sessions = self
            .send(|client| async move { client.sessions(agent, MAX_SESSIONS, limit).await })
            .await;
        match sessions {
            Ok(sessions) => {
                let listed = sessions.count();
                let all = under_way.and_then(|count| usize::try_from(count).ok());
                let is_whole = listed < FULL_PAGE || all.is_some_and(|all| listed >= all);
                Some(match sessions.elsewhere(deployment) {
                    0 if !is_whole => OlderSessions::Unknown,
                    count => OlderSessions::Count(count),
                })
            }
            Err(error) if error.is_for_good => {
                debug!(agent = agent.as_str(), %error, "sessions cannot be read");
                None
            }
            Err(_) => Some(OlderSessions::Unknown),
        }
    }

    /// Asks for the organization's agents; acquires the permit itself.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub(crate) async fn list(
        &self,
        limit: Duration,
        route: Route,
    ) -> Result<Vec<Service>, RequestError> {
        self.acquire(Priority::List).await;
        self.send(|client| async move { client.list(limit, route).await })
            .await
    }

    /// Asks for the newest `max` lines that a deployment logged; the oldest comes first. The caller
    /// has acquired the permit.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub(crate) async fn logs(
        &self,
        agent: &AgentName,
        deployment: &str,
        max: usize,
        limit: Duration,
    ) -> Result<Vec<String>, RequestError> {
        let of = ("deploymentId", deployment);
        let page = self.send(|client| async move { client.log_page(agent, of, max, limit).await });
        Ok(page.await?.lines(Some(deployment), max))
    }

    /// Sends a request, and sends it again if it is refused and the credentials have been replaced. The caller
    /// has acquired the permit.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub(crate) async fn send<T, Answered: Future<Output = Result<T, RequestError>>>(
        &self,
        request: impl Fn(Client) -> Answered,
    ) -> Result<T, RequestError> {
        loop {
            let client = self.client();
            let sent_at = Instant::now();
            let answer = request(client.clone()).await;
            if let Some(on_request) = &self.0.hooks.on_request {
                let outcome = match &answer {
                    Ok(_) => RequestOutcome::Ok,
                    Err(error) => error.outcome,
                };
                on_request(outcome, sent_at.elapsed());
            }
            match answer {
                Err(error) if self.after_failure(&client, &error) == Retry::Now => {
                    self.acquire(Priority::Normal).await;
                }
                answer => return answer,
            }
        }
    }

    /// Does what a failed request asks of everybody: to slow down, or to take other credentials.
    fn after_failure(&self, client: &Client, error: &RequestError) -> Retry {
        match (error.outcome, error.class) {
            (RequestOutcome::Throttled, FailureClass::Transient { retry_after }) => {
                self.0.rate_limiter.slow_down(retry_after);
                Retry::No
            }
            (_, FailureClass::Unauthorized) => self.take_new_credentials(client),
            (_, FailureClass::Transient { .. } | FailureClass::Refused) => Retry::No,
        }
    }

    /// Takes the credentials that have replaced the refused ones, if any have: another request may have
    /// taken them already.
    fn take_new_credentials(&self, refused: &Client) -> Retry {
        let mut client = self
            .0
            .client
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if client.credentials != refused.credentials {
            return Retry::Now;
        }
        match refused.reloaded() {
            Some(reloaded) => {
                *client = reloaded;
                Retry::Now
            }
            None => Retry::No,
        }
    }

    /// The client, which is cheap to clone: the connection pools are shared.
    fn client(&self) -> Client {
        self.0
            .client
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
