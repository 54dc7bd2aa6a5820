//! Tests of the real binary: its exit code, stdout and stderr, always all three.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(target_os = "linux")]
mod action;
mod agents;
mod credentials;
mod deploy_command;
#[cfg(target_os = "linux")]
mod ends;
mod faults;
mod github;
mod gitlab;
#[cfg(target_os = "linux")]
mod gitlab_job;
mod harness;
mod hostile;
mod input;
mod junit;
mod logs;
mod manual;
mod mcp;
mod otlp;
mod output;
mod readme;
#[cfg(target_os = "linux")]
mod recipes;
mod rehearsal;
#[cfg(target_os = "linux")]
mod release;
mod run;
mod runner;
mod scenarios;
mod server;
mod signals;
mod smoke;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod target;
mod terminal;
mod tls;
mod vendor_cli;
#[cfg(target_os = "linux")]
mod workflow;
