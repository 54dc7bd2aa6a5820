//! The commands: each makes a plan of what was typed, carries it out, and says how it ended.

mod connect;
mod judge;
mod manual;
mod run;
mod signals;
mod simulate;
mod watch;

use crate::cli::{Cli, Command, RunArgs, StatusArgs, WaitArgs};
use crate::config::{self, Auto, OutputPlan};
use crate::error::{self, Error};
use crate::exit::{self, Ending};
use crate::output::{self, Detail, Level, Manner, Style, complain};
use crate::story::Occasion;

/// Does what was typed, to its end.
pub(crate) async fn run(cli: Cli) -> Ending {
    let (level, detail) = match (cli.quiet, cli.verbose) {
        (true, _) => (Level::Quiet, Detail::Ending),
        (false, 0) => (Level::Usual, Detail::Whole),
        (false, 1) => (Level::Verbose, Detail::Whole),
        (false, _) => (Level::Everything, Detail::Whole),
    };
    match cli.command {
        Command::WaitForReady(args) => {
            let manner = Manner {
                detail,
                occasion: Occasion::Watch,
            };
            let output = OutputPlan::of(&args.output, Auto::ByPlace, manner);
            told(output.style, wait(*args, output, level).await)
        }
        Command::Run(args) => {
            let manner = Manner {
                detail,
                occasion: Occasion::Watch,
            };
            let output = OutputPlan::of(&args.output, Auto::ByPlace, manner);
            told(output.style, deploy(*args, output, level).await)
        }
        Command::Status(args) => {
            // A single look has no story, only an end.
            let manner = Manner {
                detail: Detail::Ending,
                occasion: Occasion::Look,
            };
            let output = OutputPlan::of(&args.output, Auto::Plain, manner);
            told(output.style, status(*args, output, level).await)
        }
        Command::Completions { shell } => told(Style::Plain, manual::completions(shell)),
        Command::Man { command } => told(Style::Plain, manual::man(command.as_deref())),
        Command::Simulate(args) => {
            let simulated = match install(Style::Plain, level) {
                Ok(()) => simulate::simulate(args).await,
                Err(error) => Err(error),
            };
            told(Style::Plain, simulated)
        }
    }
}

async fn wait(args: WaitArgs, output: OutputPlan, level: Level) -> Result<Ending, Error> {
    install(output.style, level)?;
    judge::judge(config::wait_plan(args, output)?).await
}

async fn deploy(mut args: RunArgs, output: OutputPlan, level: Level) -> Result<Ending, Error> {
    install(output.style, level)?;
    let command = std::mem::take(&mut args.command);
    run::run(config::run_plan(args, output)?, command).await
}

async fn status(args: StatusArgs, output: OutputPlan, level: Level) -> Result<Ending, Error> {
    install(output.style, level)?;
    judge::judge(config::status_plan(args, output)?).await
}

fn install(style: Style, level: Level) -> Result<(), Error> {
    let rust_log = std::env::var_os("RUST_LOG");
    let rust_log = rust_log.as_deref().map(|text| text.to_string_lossy());
    output::install(style, level, rust_log.as_deref())?;
    Ok(())
}

/// Tells of an error in the style of the story.
fn told(style: Style, result: Result<Ending, Error>) -> Ending {
    let ending = result.unwrap_or_else(Ending::Failed);
    if let Ending::Failed(error) = &ending {
        complain(style, &error::chain(error), exit::code(&ending));
    }
    ending
}
