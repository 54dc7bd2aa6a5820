//! The way to the API that all watches share: one connection pool, one limit on requests a second.

mod gate;
mod tally;

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use self::gate::Gate;
use crate::api::{ApiKey, Client, RequestError};
use crate::metrics::{Metrics, RequestOutcome};
use crate::rollout::{FailureClass, Observation};
use crate::wire::{AgentName, Service};

/// The way to the API, shared by all who hold it.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: RwLock<Client>,
    gate: Gate,
    metrics: Option<Arc<Metrics>>,
}

/// How much a request matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Somebody waits for it.
    Urgent,
    /// It goes when nobody else wants to, and takes half the budget at most.
    Idle,
}

impl Connection {
    /// A way through this client, with at most so many requests a second, which `metrics` hears of.
    pub(crate) fn new(client: Client, max_rps: NonZeroU32, metrics: Option<Arc<Metrics>>) -> Self {
        Self(Arc::new(Shared {
            client: RwLock::new(client),
            gate: Gate::new(max_rps),
            metrics,
        }))
    }

    /// Asks with this key from now on.
    pub(crate) fn rekey(&self, key: ApiKey) {
        let mut client = self
            .0
            .client
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *client = client.with_key(key);
    }

    /// Asks for the details of an agent, once there is a place.
    pub(crate) async fn observe(
        &self,
        agent: &AgentName,
        limit: Duration,
        urgency: Urgency,
    ) -> Observation {
        self.pass(urgency).await;
        let asked = Instant::now();
        let observation = self.client().observe(agent, limit).await;
        self.tally(tally::of_observation(&observation), asked);
        if let Observation::Failed(failure) = &observation {
            self.heed(&failure.code, failure.class);
        }
        observation
    }

    /// Asks for the organization's agents, once there is a place.
    pub(crate) async fn list(&self, limit: Duration) -> Result<Vec<Service>, RequestError> {
        self.pass(Urgency::Urgent).await;
        let asked = Instant::now();
        let answer = self.client().list(limit).await;
        self.tally(tally::of_answer(&answer), asked);
        if let Err(error) = &answer {
            self.heed(&error.code(), error.class());
        }
        answer
    }

    /// Asks for what a deployment logged, once there is a place.
    pub(crate) async fn logs(
        &self,
        agent: &AgentName,
        deployment: &str,
        most: usize,
        limit: Duration,
    ) -> Result<Vec<String>, RequestError> {
        self.pass(Urgency::Urgent).await;
        self.client().logs(agent, deployment, most, limit).await
    }

    /// Waits for a place.
    async fn pass(&self, urgency: Urgency) {
        let waited = match urgency {
            Urgency::Urgent => self.0.gate.pass().await,
            // That nobody else wants to go is no delay of what can wait.
            Urgency::Idle => return self.0.gate.pass_idle().await,
        };
        if let Some(metrics) = &self.0.metrics {
            metrics.polls_behind(waited);
        }
    }

    fn tally(&self, outcome: RequestOutcome, asked: Instant) {
        if let Some(metrics) = &self.0.metrics {
            metrics.api_request(outcome, asked.elapsed());
        }
    }

    /// Slows everybody down where the server asks for patience.
    fn heed(&self, code: &str, class: FailureClass) {
        if let FailureClass::Transient { retry_after } = class
            && code == "Http429"
        {
            self.0.gate.slow_down(retry_after);
        }
    }

    /// The client, which is cheap to clone: the connection pool is shared.
    fn client(&self) -> Client {
        self.0
            .client
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
