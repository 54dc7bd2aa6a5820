//! Tells whether a deployment on Pipecat Cloud has rolled out.

pub mod api;
mod follow;
pub mod rollout;
pub mod simulator;
pub mod text;
pub mod wire;
