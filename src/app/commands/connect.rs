//! Connects to the API, or to a simulator in its place.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::adapters::api::connection::{Connection, Hooks};
use crate::adapters::api::{ApiUrl, Client, Credentials, PlainHttp};
use crate::adapters::simulator::{Deployer, Scenario, Settings, Simulator, Start};
use crate::app::error::Error;
use crate::app::plan::{Plan, Source};

/// Connects to the API of a plan, or to a simulator that plays for its agents from `start` on; of
/// that, it gives the means to deploy as well.
pub(super) async fn connect(
    plan: &Plan,
    start: Start,
) -> Result<(Connection, Option<Deployer>), Error> {
    let (client, max_rps, deployer) = match &plan.source {
        Source::Api {
            url,
            credentials,
            ca_file,
        } => {
            let credentials = Credentials::clone(credentials);
            let client = Client::new(url.clone(), credentials, ca_file.as_deref())?;
            (client, plan.max_rps, None)
        }
        Source::Simulator { scenario, speed } => {
            let scenario = Arc::new(Scenario::clone(scenario));
            let agents = plan.agents.iter();
            let settings = Settings {
                agents: agents
                    .map(|agent| (agent.to_string(), Arc::clone(&scenario)))
                    .collect(),
                key: None,
                speed: *speed,
                start,
            };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let simulator = Simulator::bind(address, settings).await?;
            let url = ApiUrl::parse(&simulator.base_url(), PlainHttp::LoopbackOnly);
            let url = url.expect("the simulator's address is loopback");
            let deployer = simulator.deployer();
            tokio::spawn(simulator.serve());
            let client = Client::new(url, Credentials::of_simulator(), None)?;
            // Nobody has to be spared of requests but the API.
            (client, NonZeroU32::MAX, Some(deployer))
        }
    };
    Ok((Connection::new(client, max_rps, Hooks::default()), deployer))
}
