//! The tasks that gather input: the list, the rollouts under way, the looks at agents at rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Board, Watched};
use crate::api::RequestError;
use crate::connection::{Connection, Urgency};
use crate::follow::{LONGEST_REQUEST, follow};
use crate::rollout::pacing::Pace;
use crate::rollout::{
    Event, FailureClass, Interruption, Limits, Machine, Next, Observation, Outcome, Policy,
    TargetRule, Verdict,
};
use crate::wire::{AgentDetails, AgentName, Service};

/// What the tasks gather.
pub(super) enum Input {
    /// The agents that there are.
    Listed(Vec<Service>),
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

/// The agents that were named, as they were seen last.
pub(super) type Known = BTreeMap<String, Service>;

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
    pub(super) fn list(&self, watched: Watched, known: Known) {
        let (connection, board) = (self.connection.clone(), Arc::clone(&self.board));
        let inputs = self.inputs.clone();
        self.spawn(async move {
            let listed = match &watched {
                Watched::Listed(_) => {
                    let listed = connection.list(LONGEST_REQUEST).await;
                    listed.map_err(|error| (verdict_of(error.class()), in_words(&error)))
                }
                Watched::Named(agents) => ask_each(&connection, agents, known).await,
            };
            let input = match listed {
                Ok(services) => {
                    board.answered();
                    Input::Listed(services)
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
        let mut stop = self.stop.clone();
        tokio::spawn(async move {
            let policy = Policy::new(TargetRule::Deployment(deployment_id), limits);
            let machine = Machine::new(policy.expect("the configuration has been checked"));
            let turn = || connection.turn(Urgency::Urgent);
            let fetch = |limit| observe(&connection, &board, &agent, limit);
            let emit = |_, event| {
                let _ = inputs.send(Input::Happened(watch.clone(), event));
            };
            let interruption = async {
                // Without a sender the program ends as well.
                let _ = stop.wait_for(|stop| *stop).await;
                Interruption::Terminate
            };
            let pace = Pace::Proportional;
            let outcome = follow(machine, pace, turn, fetch, emit, interruption).await;
            let _ = inputs.send(Input::Ended(watch, Box::new(outcome)));
        });
    }

    /// Looks at an agent at rest.
    pub(super) fn look(&self, agent: AgentName, limits: Limits) {
        let (connection, board) = (self.connection.clone(), Arc::clone(&self.board));
        let inputs = self.inputs.clone();
        self.spawn(async move {
            let start = Instant::now();
            connection.turn(Urgency::Idle).await;
            let observation = observe(&connection, &board, &agent, LONGEST_REQUEST).await;
            let mut machine = Machine::new(Policy::one_look(TargetRule::FirstSeen, limits));
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
) -> Observation {
    let observation = connection.observe(agent, limit).await;
    if !matches!(observation, Observation::Failed(_)) {
        board.answered();
    }
    observation
}

/// The named agents as the list would show them. One that cannot be asked for at present is taken as
/// it was seen last, lest it be missed.
async fn ask_each(
    connection: &Connection,
    agents: &[AgentName],
    mut known: Known,
) -> Result<Vec<Service>, (Verdict, String)> {
    let mut services = Vec::new();
    let mut asked = 0;
    let mut failed = None;
    for agent in agents {
        connection.turn(Urgency::Urgent).await;
        match connection.observe(agent, LONGEST_REQUEST).await {
            Observation::Details { details, .. } => {
                asked += 1;
                services.push(service_of(agent, *details));
            }
            Observation::Absent(_) => asked += 1,
            Observation::Failed(failure) => {
                let error = (verdict_of(failure.class), failure.summary);
                match known.remove(agent.as_str()) {
                    Some(service) => services.push(service),
                    None => return Err(error),
                }
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) if asked == 0 => Err(error),
        _ => Ok(services),
    }
}

fn service_of(agent: &AgentName, details: AgentDetails) -> Service {
    Service {
        name: Some(agent.as_str().to_owned()),
        desired_deployment_id: details.desired().map(str::to_owned),
        region: details.region,
        reconciled_deployment_id: details.reconciled_deployment_id,
        updated_at: details.updated_at,
        ..Service::default()
    }
}

/// How it is judged that there is no usable answer.
fn verdict_of(class: FailureClass) -> Verdict {
    match class {
        FailureClass::Unauthorized => Verdict::Unauthorized,
        FailureClass::Transient { .. } | FailureClass::Permanent => Verdict::Unavailable,
    }
}

fn in_words(error: &RequestError) -> String {
    crate::text::one_line(&error.to_string())
}
