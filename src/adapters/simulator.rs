//! An API on loopback that plays scripted rollouts, to rehearse pipelines and alerts on.
//!
//! `scenario` is what a file says, `agent` what an agent that plays it answers at which time; neither
//! knows a clock. `server` answers over HTTP, on the API's paths and on those of the vendor's tools.

mod agent;
mod answer;
mod built_in;
mod fault;
mod ids;
mod placeholder;
mod query;
mod scenario;
mod server;
mod session;
mod speed;

pub use agent::{Now, Reply, SimulatedAgent, Start};
pub use answer::{Answer, Outcome};
pub use query::Query;
pub use scenario::Scenario;
pub(crate) use server::{Deployer, Settings, Simulator};
pub use speed::Speed;
