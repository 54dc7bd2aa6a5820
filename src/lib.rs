//! Tells whether a deployment on Pipecat Cloud has rolled out.
//!
//! The layers, of which each imports only those below it: `cli`, `config` and `commands` (the
//! surface); `follow` and `daemon` (the loops); `api`, `output`, `store`, `delivery`, `metrics`, `http`
//! and the simulator's server (adapters); `rollout`, `fleet`, `wire`, `text`, `redact`, `story` and the
//! simulator's scripts (pure).

pub mod api;
mod cli;
mod commands;
mod config;
mod connection;
mod daemon;
pub mod delivery;
mod error;
mod exit;
pub mod fleet;
mod follow;
pub mod http;
mod loopback;
pub mod metrics;
pub mod output;
pub mod redact;
pub mod rollout;
pub mod simulator;
pub mod store;
pub mod story;
pub mod strict;
pub mod text;
pub mod wire;

/// What people type and write, read as the program reads it.
pub mod written {
    pub use crate::cli::parse_duration;
    pub use crate::config::{BadAgents, Slip, agent_of_deploy_file, check_watch_file};
}

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::cli::Cli;
use crate::error::Error;
use crate::exit::Ending;

/// Runs the program with these arguments, the first of which is its own name.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::read(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            say(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ending = match runtime {
        // The panic itself has been told on stderr; its exit code must be ours, not a verdict's.
        Ok(runtime) => catch_unwind(AssertUnwindSafe(|| runtime.block_on(commands::run(cli))))
            .unwrap_or(Ending::Failed(Error::Lost)),
        Err(error) => Ending::Failed(Error::Setup(error)),
    };
    ExitCode::from(exit::code(&ending))
}

/// Prints help, or what is wrong with what was typed. That repeats it, and no log must obey that.
fn say(error: &clap::Error) {
    let words = error.render().to_string();
    let harmless: Vec<String> = text::lines(&words)
        .into_iter()
        .map(|line| {
            if line.trim_start().starts_with("::") {
                text::line_start(&line)
            } else {
                line
            }
        })
        .collect();
    let lines = words.trim_end().lines().map(str::trim_end);
    let as_it_is = !error.use_stderr() || lines.eq(harmless.iter().map(String::as_str));
    // Help that nobody reads is no error.
    let _ = if as_it_is {
        error.print()
    } else {
        writeln!(io::stderr().lock(), "{}", harmless.join("\n"))
    };
}
