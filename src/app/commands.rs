//! The commands: each makes a plan of what was typed, carries it out, and says how it ended.

mod agent_task;
mod connect;
mod demo;
mod history;
mod judge;
mod manual;
mod mcp;
mod run;
mod sidecar_tools;
mod signals;
mod simulate;
mod smoke;
mod survey;
mod watch;

use std::io::{self, IsTerminal as _};

use crate::adapters::output::{self, Level, Style, Verbosity, print, print_error};
use crate::app::cli::{Cli, Command, LogArg, RunArgs, StatusArgs, Variables, WaitArgs, WatchArgs};
use crate::app::error::{self, Error};
use crate::app::exit::{self, Ending};
use crate::app::plan::{self, OutputPlan};
use crate::core::messages::Mode;

/// Does what was typed, to its end.
pub(crate) async fn run(cli: Cli) -> Ending {
    let (level, detail) = match (cli.quiet, cli.verbose) {
        (true, _) => (Level::Quiet, Verbosity::Ending),
        (false, 0) => (Level::Usual, Verbosity::All),
        (false, 1) => (Level::Verbose, Verbosity::All),
        (false, _) => (Level::Everything, Verbosity::All),
    };
    let (style, result) = match cli.command {
        Command::WaitForReady(args) => {
            let output = OutputPlan::of(&args.follow.output, detail, Mode::Watch);
            (output.style, wait(*args, output, level).await)
        }
        Command::Run(args) => {
            let output = OutputPlan::of(&args.follow.output, detail, Mode::Run);
            (output.style, deploy(*args, output, level).await)
        }
        Command::Status(mut args) => {
            // A single check has no progress, only an end; that of many agents takes its time.
            if !args.survey.all {
                args.output.progress.get_or_insert(Style::Plain);
            }
            let output = OutputPlan::of(&args.output, Verbosity::Ending, Mode::Status);
            (output.style, status(*args, output, level).await)
        }
        Command::Watch(args) => {
            let style = match args.progress {
                LogArg::Auto if io::stderr().is_terminal() => Style::Plain,
                LogArg::Plain => Style::Plain,
                LogArg::Auto | LogArg::Json => Style::Json,
                LogArg::None => Style::None,
            };
            (style, sidecar(*args, style, level).await)
        }
        Command::History(args) => (Style::Plain, history::history(&args, level)),
        Command::Simulate(args) => (Style::Plain, simulate::simulate(args, level).await),
        Command::Mcp(args) => (Style::Plain, mcp::mcp(args, level).await),
        Command::Completions { shell } => (Style::Plain, manual::completions(shell)),
        Command::Man { command } => (Style::Plain, manual::man(command.as_deref())),
    };
    report_errors(style, &cli.variables, result)
}

async fn wait(args: WaitArgs, output: OutputPlan, level: Level) -> Result<Ending, Error> {
    install(output.style, level)?;
    judge::judge(plan::wait_plan(args, output)?).await
}

async fn deploy(args: RunArgs, output: OutputPlan, level: Level) -> Result<Ending, Error> {
    install(output.style, level)?;
    let (command, finishes) = (args.command.clone(), args.let_command_finish);
    run::run(plan::run_plan(args, output)?, command, finishes).await
}

async fn status(args: StatusArgs, output: OutputPlan, level: Level) -> Result<Ending, Error> {
    install(output.style, level)?;
    if args.survey.all {
        let (plan, survey) = plan::survey_plan(args, output)?;
        return survey::survey(plan, survey).await;
    }
    judge::judge(plan::status_plan(args, output)?).await
}

async fn sidecar(args: WatchArgs, style: Style, level: Level) -> Result<Ending, Error> {
    // What happens is what the sidecar's log is for.
    let level = match level {
        Level::Usual if style != Style::None => Level::Informed,
        level => level,
    };
    install(style, level)?;
    watch::watch(args).await
}

/// Prints what a command shows that has nothing to judge.
fn print(text: &str) -> Result<Ending, Error> {
    out(text)?;
    Ok(Ending::Done)
}

fn out(text: &str) -> Result<(), Error> {
    print::out(text).map_err(Error::Print)
}

/// Has logs written in this style.
fn install(style: Style, level: Level) -> Result<(), Error> {
    let rust_log = std::env::var_os("RUST_LOG");
    let rust_log = rust_log.as_deref().map(|text| text.to_string_lossy());
    output::install(style, level, rust_log.as_deref())?;
    Ok(())
}

/// Shows an error in the style of the progress.
fn report_errors(style: Style, variables: &Variables, result: Result<Ending, Error>) -> Ending {
    let ending = result.unwrap_or_else(Ending::Failed);
    let code = exit::code(&ending);
    match &ending {
        Ending::Failed(error) => {
            let words = variables.named_in(&error::chain(error));
            print_error(style, &words, code);
        }
        Ending::PassFailed { why, .. } => print_error(style, why, code),
        Ending::Judged(_) | Ending::Unreported(_) | Ending::Done => {}
    }
    ending
}
