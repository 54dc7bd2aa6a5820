//! Tells whether a deployment on Pipecat Cloud has rolled out.
//!
//! `core` decides, `adapters` talk to the world, `app` runs; imports point down only.

mod adapters;
mod app;
mod core;

/// What fuzzing, benchmarks and tests need of the inside. Nothing in it is stable.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::adapters::{delivery, output, simulator};
    pub use crate::core::{fleet, messages, rollout, text, wire};

    /// What people type and write, read as the program reads it.
    pub mod written {
        pub use crate::app::plan::{agent_of_deploy_file, check_watch_file};
        pub use crate::core::text::parse_duration;
    }
}

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::adapters::output::{self, Style, print};
use crate::app::cli::Cli;
use crate::app::error::Error;
use crate::app::exit::Ending;

/// Runs the program with these arguments, the first of which is its own name.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::read(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            return ExitCode::from(answer_without_running(&error));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ending = match runtime {
        // The panic itself has been shown on stderr; its exit code must be ours, not a verdict's.
        Ok(runtime) => {
            let run = AssertUnwindSafe(|| runtime.block_on(app::commands::run(cli)));
            let ending = catch_unwind(run).unwrap_or(Ending::Failed(Error::Lost));
            // What still hangs, a resolver for example, is not waited for.
            runtime.shutdown_background();
            ending
        }
        Err(error) => Ending::Failed(Error::Setup(error)),
    };
    let code = app::exit::code(&ending);
    output::terminal::clear();
    print::flush_err();
    ExitCode::from(code)
}

/// Prints help or the version, or what is wrong with what was typed, and gives the exit code.
fn answer_without_running(error: &clap::Error) -> u8 {
    if error.use_stderr() {
        print_usage_error(error);
        return u8::try_from(error.exit_code()).unwrap_or(1);
    }
    match error.print() {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            let error = Error::Print(why);
            output::print_error(Style::Plain, &app::error::chain(&error), 1);
            print::flush_err();
            1
        }
        // Help that nobody reads is no error.
        _ => 0,
    }
}

/// Prints what is wrong with what was typed. That repeats it, and no log must obey that.
fn print_usage_error(error: &clap::Error) {
    let words = error.render().to_string();
    let harmless: Vec<String> = core::text::lines(&words)
        .into_iter()
        .map(|line| {
            if line.trim_start().starts_with("::") {
                core::text::line_start(&line)
            } else {
                line
            }
        })
        .collect();
    let lines = words.trim_end().lines().map(str::trim_end);
    let as_it_is = lines.eq(harmless.iter().map(String::as_str));
    // Nobody may be there to read it.
    let _ = if as_it_is {
        error.print()
    } else {
        writeln!(io::stderr().lock(), "{}", harmless.join("\n"))
    };
    if app::plan::is_on_github() {
        let what: Vec<&str> = harmless.iter().map(String::as_str).collect();
        let what = what
            .split(|line| line.is_empty())
            .next()
            .unwrap_or_default();
        let what = what.join(" ");
        let what = what.strip_prefix("error: ").unwrap_or(&what);
        output::print_error(Style::Github, what, 2);
        print::flush_err();
    }
}
