//! An agents API on loopback that plays scripted rollouts, to rehearse pipelines and alerts on.
//!
//! `script` is pure: what an agent answers follows from its scenario and the time it is told.
//! `server` and `socket` carry those answers over HTTP, faults included.

mod script;
mod server;
mod socket;

pub use script::{
    Answer, BadScenario, BadSpeed, CutAfter, LogQuery, Now, Play, Reply, Scenario, Speed, Start,
};
pub use server::{Cast, Deployer, Settings, Simulator, SimulatorError};
