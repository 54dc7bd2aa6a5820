//! The way to the API, or to a simulator in its place, that all watches share.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::api::{ApiKey, ApiUrl, Client, PlainHttp, RequestError};
use crate::config::{Plan, Source};
use crate::error::Error;
use crate::follow::Gate;
use crate::rollout::Observation;
use crate::simulator::{Cast, Deployer, Scenario, Settings, Simulator, Speed, Start};
use crate::wire::AgentName;

/// One connection pool and one limit on requests a second, shared by all who hold it.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    gate: Gate,
    /// Of a simulator that takes the API's place.
    deployer: Option<Deployer>,
}

impl Connection {
    /// Asks for the details of an agent, once there is a place.
    pub(super) async fn observe(&self, agent: &AgentName, limit: Duration) -> Observation {
        self.0.gate.pass().await;
        self.0.client.observe(agent, limit).await
    }

    /// Asks for what a deployment logged, once there is a place.
    pub(super) async fn logs(
        &self,
        agent: &AgentName,
        deployment: &str,
        most: usize,
        limit: Duration,
    ) -> Result<Vec<String>, RequestError> {
        self.0.gate.pass().await;
        let client = &self.0.client;
        client.logs(agent, deployment, most, limit).await
    }

    /// Where a simulator takes the API's place: the deploy that a command makes elsewhere.
    pub(super) fn rehearse_deploy(&self, agent: &AgentName) {
        if let Some(deployer) = &self.0.deployer {
            deployer.deploy(agent.as_str());
        }
    }
}

/// Connects to the API of a plan, or to a simulator that plays for its agents from `start` on.
pub(super) async fn connect(plan: &Plan, start: Start) -> Result<Connection, Error> {
    let (client, deployer) = match &plan.source {
        Source::Api { url, key, ca_file } => {
            let client = Client::new(url.clone(), key.clone(), ca_file.as_deref())?;
            (client, None)
        }
        Source::Simulator { scenario, speed } => {
            let simulator = simulator(scenario, *speed, &plan.agents, start).await?;
            let url = ApiUrl::parse(&simulator.base_url(), PlainHttp::LoopbackOnly);
            let url = url.expect("the simulator's address is loopback");
            let key =
                ApiKey::parse("a-key-of-the-simulator-s").expect("a word without blanks is a key");
            let deployer = simulator.deployer();
            tokio::spawn(simulator.serve());
            (Client::new(url, key, None)?, Some(deployer))
        }
    };
    Ok(Connection(Arc::new(Shared {
        client,
        gate: Gate::new(plan.max_rps),
        deployer,
    })))
}

/// A simulator in which these agents play a scenario.
async fn simulator(
    scenario: &Scenario,
    speed: Speed,
    agents: &[AgentName],
    start: Start,
) -> Result<Simulator, Error> {
    let scenario = Arc::new(scenario.clone());
    let cast = agents
        .iter()
        .map(|agent| (agent.as_str().to_owned(), Arc::clone(&scenario)));
    let settings = Settings {
        cast: Cast::new(cast),
        key: None,
        speed,
        start,
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(Simulator::bind(address, settings).await?)
}
