//! The commands: each makes a plan of what was typed, carries it out, and says how it ended.

mod judge;
mod signals;
mod simulate;

use std::io::{self, Write};

use tracing::error;

use crate::cli::{Cli, Command, StatusArgs, WaitArgs};
use crate::config::{self, Auto, OutputPlan};
use crate::error::{self, Error};
use crate::exit::{self, Ending};
use crate::output::{self, Detail, Level, Manner, Style};
use crate::story::Occasion;
use crate::text::one_line;

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
        Command::Status(args) => {
            // A single look has no story, only an end.
            let manner = Manner {
                detail: Detail::Ending,
                occasion: Occasion::Look,
            };
            let output = OutputPlan::of(&args.output, Auto::Plain, manner);
            told(output.style, status(*args, output, level).await)
        }
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
        let line = one_line(&error::chain(error));
        match style {
            Style::Json => error!(event = "error", "exitCode" = exit::code(&ending), "{line}"),
            Style::Tty | Style::Plain | Style::Github | Style::Gitlab | Style::None => {
                complain(style, &line);
            }
        }
    }
    ending
}

/// Says on stderr what is wrong. If nobody reads it there is nobody to tell.
fn complain(style: Style, line: &str) {
    let line = match style {
        Style::Github => output::github_error(line),
        Style::Tty | Style::Plain | Style::Gitlab | Style::Json | Style::None => {
            format!("error: {line}")
        }
    };
    let _ = io::stderr()
        .lock()
        .write_all(format!("{line}\n").as_bytes());
}
