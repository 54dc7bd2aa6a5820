//! The pure core: what the API says, what it means for a rollout and for a fleet, and how to say it.
//!
//! No I/O, clock, environment or randomness: time and random numbers arrive as arguments.

pub mod fleet;
pub(crate) mod mcp;
pub mod messages;
pub mod rollout;
#[cfg(test)]
pub(crate) mod tests;
pub mod text;
pub(crate) mod trace;
pub mod wire;
