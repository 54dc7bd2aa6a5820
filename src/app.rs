//! What runs: the command line, the plan that is made of it, the loops and the commands.

pub(crate) mod cli;
pub(crate) mod commands;
pub(crate) mod error;
pub(crate) mod exit;
pub(crate) mod plan;
pub(crate) mod poll_loop;
pub(crate) mod telemetry;
pub(crate) mod watch;
