//! The sidecar as a process: against an API, a receiver of webhooks and a store that are all real.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod config;
mod crash;
mod delivery;
mod endpoints;
mod finding;
mod harness;
mod history;
mod http;
mod life;
mod receiver;
mod store;
