//! Tests of the real binary: its exit code, stdout and stderr, always all three.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod harness;
mod input;
mod logs;
mod output;
mod run;
mod scenarios;
mod server;
mod signals;
mod tls;
