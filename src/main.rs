//! The program: parse, run, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipecat_rollout::run(std::env::args_os())
}
