//! The way to the API that all watches share: one connection pool, one limit on requests a second.

mod gate;
mod tally;
mod throttle;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use self::gate::Gate;
use crate::adapters::api::{ApiKey, Client, RequestError};
use crate::core::rollout::{FailureClass, Observation};
use crate::core::wire::{AgentName, RequestOutcome, Service};

/// The way to the API, shared by all who hold it.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Arc<Shared>);

struct Shared {
    client: RwLock<Client>,
    gate: Gate,
    extras: Extras,
}

/// What a sidecar's way to the API has besides.
#[derive(Default)]
pub(crate) struct Extras {
    /// Hears how each request ended, and how long it took.
    pub(crate) on_request: Option<OnRequest>,
    /// Hears how long each urgent request waited for its turn.
    pub(crate) on_wait: Option<OnWait>,
    /// Reads the key anew: asked after a 401, whether there is another one by now.
    pub(crate) fresh_key: Option<FreshKey>,
}

/// Hears how a request ended, and how long it took.
pub(crate) type OnRequest = Box<dyn Fn(RequestOutcome, Duration) + Send + Sync>;
/// Hears how long a request waited for its turn.
pub(crate) type OnWait = Box<dyn Fn(Duration) + Send + Sync>;
/// Reads the key anew, if it can be read.
pub(crate) type FreshKey = Box<dyn Fn() -> Option<ApiKey> + Send + Sync>;

/// How much a request matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Somebody waits for it.
    Urgent,
    /// It goes when nobody else wants to, and takes half the budget at most.
    Idle,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What follows from a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
enum Heeded {
    /// There is another key now.
    AskAgain,
    /// Nothing that asking at once would mend.
    Enough,
}

impl Connection {
    /// A way through this client, with at most so many requests a second.
    pub(crate) fn new(client: Client, max_rps: NonZeroU32, extras: Extras) -> Self {
        Self(Arc::new(Shared {
            client: RwLock::new(client),
            gate: Gate::new(max_rps),
            extras,
        }))
    }

    /// Waits until it is the turn of a request.
    pub(crate) async fn turn(&self, urgency: Urgency) {
        let waited = match urgency {
            Urgency::Urgent => self.0.gate.pass().await,
            // That nobody else wants to go is no delay of what can wait.
            Urgency::Idle => return self.0.gate.pass_idle().await,
        };
        if let Some(on_wait) = &self.0.extras.on_wait {
            on_wait(waited);
        }
    }

    /// Asks for the details of an agent. Whoever asks has waited for its turn.
    pub(crate) async fn observe(
        &self,
        agent: &AgentName,
        limit: Duration,
        _: crate::core::rollout::Route,
    ) -> Observation {
        loop {
            let asked = Instant::now();
            let client = self.client();
            let observation = client.observe(agent, limit).await;
            self.tally(tally::of_observation(&observation), asked);
            let Observation::Failed(failure) = &observation else {
                return observation;
            };
            if self.heed(&client, &failure.code, failure.class) == Heeded::Enough {
                return observation;
            }
            self.turn(Urgency::Urgent).await;
        }
    }

    /// Asks for the organization's agents, once it is its turn.
    pub(crate) async fn list(&self, limit: Duration) -> Result<Vec<Service>, RequestError> {
        loop {
            self.turn(Urgency::Urgent).await;
            let asked = Instant::now();
            let client = self.client();
            let answer = client.list(limit).await;
            self.tally(tally::of_answer(&answer), asked);
            let Err(error) = &answer else {
                return answer;
            };
            if self.heed(&client, &error.code(), error.class()) == Heeded::Enough {
                return answer;
            }
        }
    }

    /// Asks for what a deployment logged. Whoever asks has waited for its turn.
    pub(crate) async fn logs(
        &self,
        agent: &AgentName,
        deployment: &str,
        most: usize,
        limit: Duration,
    ) -> Result<Vec<String>, RequestError> {
        self.client().logs(agent, deployment, most, limit).await
    }

    fn tally(&self, outcome: RequestOutcome, asked: Instant) {
        if let Some(on_request) = &self.0.extras.on_request {
            on_request(outcome, asked.elapsed());
        }
    }

    /// Does what a failed request asks for, of everybody: patience, or another key.
    fn heed(&self, asked: &Client, code: &str, class: FailureClass) -> Heeded {
        match class {
            FailureClass::Transient { retry_after } if code == "Http429" => {
                self.0.gate.slow_down(retry_after);
                Heeded::Enough
            }
            FailureClass::Unauthorized => self.take_fresh_key(asked),
            FailureClass::Transient { .. } | FailureClass::Refused => Heeded::Enough,
        }
    }

    /// Takes the key that has come in place of the one that was refused, if one has.
    fn take_fresh_key(&self, refused: &Client) -> Heeded {
        let fresh_key = self.0.extras.fresh_key.as_ref();
        let Some(key) = fresh_key.and_then(|fresh_key| fresh_key()) else {
            return Heeded::Enough;
        };
        if refused.has_key(&key) {
            return Heeded::Enough;
        }
        let client = &self.0.client;
        *client.write().unwrap_or_else(PoisonError::into_inner) = refused.with_key(key);
        Heeded::AskAgain
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
