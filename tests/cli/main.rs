//! Tests of the real binary: its exit code, stdout and stderr, always all three.

mod faults;
mod harness;
mod input;
mod output;
mod scenarios;
mod server;
mod signals;
mod tls;
