//! The way to the API, or to a simulator in its place, that all watches share.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::api::{ApiKey, ApiUrl, Client, PlainHttp, RequestError};
use crate::config::{Plan, Source};
use crate::error::Error;
use crate::follow::Gate;
use crate::rollout::Observation;
use crate::simulator::{Cast, Scenario, Settings, Simulator, Speed, Start};
use crate::wire::AgentName;

/// One connection pool and one limit on requests a second, shared by all who hold it.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<(Client, Gate)>);

impl Connection {
    /// Asks for the details of an agent, once there is a place.
    pub(super) async fn observe(&self, agent: &AgentName, limit: Duration) -> Observation {
        let (client, gate) = &*self.0;
        gate.pass().await;
        client.observe(agent, limit).await
    }

    /// Asks for what a deployment logged, once there is a place.
    pub(super) async fn logs(
        &self,
        agent: &AgentName,
        deployment: &str,
        most: usize,
        limit: Duration,
    ) -> Result<Vec<String>, RequestError> {
        let (client, gate) = &*self.0;
        gate.pass().await;
        client.logs(agent, deployment, most, limit).await
    }
}

/// Connects to the API of a plan, or to a simulator that plays for its agents.
pub(super) async fn connect(plan: &Plan) -> Result<Connection, Error> {
    let client = match &plan.source {
        Source::Api { url, key, ca_file } => {
            Client::new(url.clone(), key.clone(), ca_file.as_deref())?
        }
        Source::Simulator { scenario, speed } => simulate(scenario, *speed, &plan.agents).await?,
    };
    Ok(Connection(Arc::new((client, Gate::new(plan.max_rps)))))
}

/// Starts a simulator, and gives a client of it.
async fn simulate(
    scenario: &Scenario,
    speed: Speed,
    agents: &[AgentName],
) -> Result<Client, Error> {
    let scenario = Arc::new(scenario.clone());
    let cast = agents
        .iter()
        .map(|agent| (agent.as_str().to_owned(), Arc::clone(&scenario)));
    let settings = Settings {
        cast: Cast::new(cast),
        key: None,
        speed,
        start: Start::AtFirstRead,
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let simulator = Simulator::bind(address, settings).await?;
    let url = ApiUrl::parse(&simulator.base_url(), PlainHttp::LoopbackOnly);
    tokio::spawn(simulator.serve());
    let url = url.expect("the simulator's address is loopback");
    let key = ApiKey::parse("simulated").expect("a word without blanks is a key");
    Ok(Client::new(url, key, None)?)
}
