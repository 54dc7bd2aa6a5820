//! Adapters: each talks to one part of the world. They know the core, and not each other.

pub(crate) mod api;
pub mod delivery;
pub(crate) mod metrics;
pub(crate) mod otlp;
pub mod output;
pub mod simulator;
pub(crate) mod store;
