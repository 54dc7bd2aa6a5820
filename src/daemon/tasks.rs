//! The tasks that gather input: the list, the rollouts under way, the looks at agents at rest.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::Watched;
use crate::connection::{Connection, Urgency};
use crate::fleet::Begin;
use crate::follow::{LONGEST_REQUEST, follow};
use crate::rollout::pacing::Pace;
use crate::rollout::{
    Event, Interruption, Limits, Machine, Next, Observation, Outcome, Policy, TargetRule,
};
use crate::wire::{AgentDetails, AgentName, Service};

/// What the tasks gather.
pub(super) enum Input {
    /// The agents that there are.
    Listed(Vec<Service>),
    /// The list cannot be read.
    NotListed(String),
    /// Something happened in the rollout of an agent.
    Happened(String, Event),
    /// The watch of a rollout has ended.
    Ended(String, Box<Outcome>),
    /// How an agent at rest was found.
    Looked(String, Box<Outcome>),
}

/// Starts tasks, which all end when they are told to stop.
pub(super) struct Tasks {
    connection: Connection,
    limits: Limits,
    inputs: mpsc::UnboundedSender<Input>,
    stop: watch::Receiver<bool>,
}

impl Tasks {
    pub(super) fn new(
        connection: Connection,
        limits: Limits,
        inputs: mpsc::UnboundedSender<Input>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            connection,
            limits,
            inputs,
            stop,
        }
    }

    /// Reads the list once an interval, or asks for the named agents one by one.
    pub(super) fn list(&self, watched: &Watched, interval: Duration) {
        let (connection, inputs) = (self.connection.clone(), self.inputs.clone());
        let watched = watched.clone();
        self.spawn(async move {
            loop {
                let listed = match &watched {
                    Watched::Listed(_) => {
                        let listed = connection.list(LONGEST_REQUEST).await;
                        listed.map_err(|error| error.to_string())
                    }
                    Watched::Named(agents) => ask_each(&connection, agents).await,
                };
                let input = listed.map_or_else(Input::NotListed, Input::Listed);
                if inputs.send(input).is_err() {
                    return;
                }
                sleep(interval).await;
            }
        });
    }

    /// Follows a rollout to its end.
    pub(super) fn follow(&self, begin: Begin) {
        let (connection, inputs) = (self.connection.clone(), self.inputs.clone());
        let policy = Policy::new(TargetRule::Deployment(begin.deployment_id), self.limits.clone());
        let policy = policy.expect("the configuration has been checked");
        let mut stop = self.stop.clone();
        tokio::spawn(async move {
            let Ok(agent) = begin.agent.parse::<AgentName>() else {
                return;
            };
            let fetch = |limit| connection.observe(&agent, limit, Urgency::Urgent);
            let emit = |_, event| {
                // Once nobody listens the program ends.
                let _ = inputs.send(Input::Happened(begin.agent.clone(), event));
            };
            let interruption = async {
                // Without a sender the program ends as well.
                let _ = stop.wait_for(|stop| *stop).await;
                Interruption::Terminate
            };
            let machine = Machine::new(policy);
            let outcome = follow(machine, Pace::Proportional, fetch, emit, interruption).await;
            let _ = inputs.send(Input::Ended(begin.agent.clone(), Box::new(outcome)));
        });
    }

    /// Looks at an agent at rest.
    pub(super) fn look(&self, agent: AgentName) {
        let (connection, inputs) = (self.connection.clone(), self.inputs.clone());
        let policy = Policy::one_look(TargetRule::FirstSeen, self.limits.clone());
        self.spawn(async move {
            let start = Instant::now();
            let observation = connection.observe(&agent, LONGEST_REQUEST, Urgency::Idle).await;
            let step = Machine::new(policy).observe(start.elapsed(), observation);
            if let Next::Done(outcome) = step.next {
                let _ = inputs.send(Input::Looked(agent.as_str().to_owned(), outcome));
            }
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = task => {}
            }
        });
    }
}

/// The named agents as the list would show them.
async fn ask_each(connection: &Connection, agents: &[AgentName]) -> Result<Vec<Service>, String> {
    let mut services = Vec::new();
    for agent in agents {
        match connection.observe(agent, LONGEST_REQUEST, Urgency::Urgent).await {
            Observation::Details { details, .. } => services.push(service_of(agent, *details)),
            Observation::Absent(_) => {}
            Observation::Failed(failure) => return Err(failure.summary),
        }
    }
    Ok(services)
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
