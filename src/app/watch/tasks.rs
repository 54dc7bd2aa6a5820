//! The tasks that gather input: the list, the rollouts under way, the looks at agents at rest.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::named::{Answers, ask_each};
use super::{Board, Watched};
use crate::adapters::api::RequestError;
use crate::adapters::api::connection::{Connection, Priority};
use crate::app::poll_loop::{MAX_REQUEST, Signal, follow};
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{
    Event, FailureClass, Interruption, Limits, Machine, Next, Observation, Outcome, Policy, Route,
    TargetRule, Verdict,
};
use crate::core::wire::{AgentName, Service};

/// What the tasks gather.
pub(super) enum Input {
    /// The agents that there are.
    Listed(Vec<Service>),
    /// What came of asking for the named agents.
    Asked(Answers),
    /// The list cannot be read: how that is judged, and why.
    NotListed(Verdict, String),
    /// Something happened in the rollout of an agent.
    Happened(Watch, Event),
    /// The watch of a rollout has ended.
    Ended(Watch, Box<Outcome>),
    /// How an agent at rest was found.
    Looked(String, Box<Outcome>),
}

/// The watch of a rollout of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watch {
    pub(super) agent: String,
    /// Given once: another agent may come under the same name while this one is still watched.
    pub(super) number: u64,
}

/// Starts tasks, which all end when they are told to stop.
pub(super) struct Tasks {
    connection: Connection,
    board: Arc<Board>,
    inputs: mpsc::UnboundedSender<Input>,
    stop: watch::Receiver<bool>,
}

impl Tasks {
    pub(super) fn new(
        connection: Connection,
        board: Arc<Board>,
        inputs: mpsc::UnboundedSender<Input>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            connection,
            board,
            inputs,
            stop,
        }
    }

    /// Reads the list once, or asks for the named agents one by one.
    pub(super) fn list(&self, watched: Watched) {
        let (connection, board) = (self.connection.clone(), Arc::clone(&self.board));
        let inputs = self.inputs.clone();
        self.spawn(async move {
            let listed = match &watched {
                Watched::Listed(_) => {
                    let listed = connection.list(MAX_REQUEST).await;
                    let failed =
                        |error: RequestError| (verdict_of(error.class()), in_words(&error));
                    listed.map(Input::Listed).map_err(failed)
                }
                Watched::Named(agents) => ask_each(&connection, agents).await.map(Input::Asked),
            };
            let input = match listed {
                Ok(input) => {
                    board.answered();
                    input
                }
                Err((verdict, why)) => Input::NotListed(verdict, why),
            };
            // Once nobody listens the program ends.
            let _ = inputs.send(input);
        });
    }

    /// Follows a rollout to its end.
    pub(super) fn follow(
        &self,
        watch: Watch,
        agent: AgentName,
        deployment_id: String,
        limits: Limits,
    ) {
        let (connection, board) = (self.connection.clone(), Arc::clone(&self.board));
        let inputs = self.inputs.clone();
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let policy = Policy::new(TargetRule::Deployment(deployment_id), limits);
            let machine = Machine::new(policy.expect("the configuration has been checked"));
            let permit = || connection.acquire(Priority::Normal);
            let fetch = |limit, route| observe(&connection, &board, &agent, limit, route);
            let emit = |_, event| {
                let _ = inputs.send(Input::Happened(watch.clone(), event));
            };
            let signals = || {
                let mut stop = stop.clone();
                async move {
                    // Without a sender the program ends as well.
                    let _ = stop.wait_for(|stop| *stop).await;
                    Signal::Interrupted(Interruption::Terminate)
                }
            };
            let outcome = follow(machine, Pace::Adaptive, permit, fetch, emit, signals).await;
            let _ = inputs.send(Input::Ended(watch, Box::new(outcome)));
        });
    }

    /// Looks at an agent at rest.
    pub(super) fn look(&self, agent: AgentName, limits: Limits) {
        let (connection, board) = (self.connection.clone(), Arc::clone(&self.board));
        let inputs = self.inputs.clone();
        self.spawn(async move {
            let start = Instant::now();
            connection.acquire(Priority::Low).await;
            let observation =
                observe(&connection, &board, &agent, MAX_REQUEST, Route::Pooled).await;
            let mut machine = Machine::new(Policy::single_check(TargetRule::FirstSeen, limits));
            match machine.observe(start.elapsed(), observation).next {
                Next::Done(outcome) => {
                    let _ = inputs.send(Input::Looked(agent.as_str().to_owned(), outcome));
                }
                Next::Poll(_) => unreachable!("the deadline of a single look has passed"),
            }
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => {}
                () = task => {}
            }
        });
    }
}

/// Asks for an agent's details; that there is a good answer is shown.
async fn observe(
    connection: &Connection,
    board: &Board,
    agent: &AgentName,
    limit: Duration,
    route: Route,
) -> Observation {
    let observation = connection.observe(agent, limit, route).await;
    if !matches!(observation, Observation::Failed(_)) {
        board.answered();
    }
    observation
}

/// How it is judged that there is no usable answer.
pub(super) fn verdict_of(class: FailureClass) -> Verdict {
    match class {
        FailureClass::Unauthorized => Verdict::Unauthorized,
        FailureClass::Transient { .. } | FailureClass::Refused => Verdict::Unavailable,
    }
}

fn in_words(error: &RequestError) -> String {
    crate::core::text::one_line(&error.to_string())
}
