//! The sidecar as a process: against an API, a receiver of webhooks and a store that are all real.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a long run shows how far it is")]

mod api;
mod config;
mod crash;
mod delivery;
mod deploy;
mod endpoints;
mod faults;
mod finding;
mod harness;
mod history;
mod life;
mod monitoring;
mod named;
mod network;
mod notify;
mod proxy;
mod receiver;
mod recipes;
mod reload;
mod security;
mod station;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod traces;
mod upkeep;
