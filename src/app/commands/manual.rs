//! `completions` and `man`: made from the same description that reads the command line.

use clap_complete::Shell;

use crate::adapters::output::print;
use crate::app::cli::Cli;
use crate::app::error::Error;
use crate::app::exit::Ending;

/// Prints a completion script for a shell.
pub(super) fn completions(shell: Shell) -> Result<Ending, Error> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::described(), "pipecat-rollout", &mut text);
    print(&text)
}

/// Prints the manual page of the program, or of one of its commands.
pub(super) fn man(command: Option<&str>) -> Result<Ending, Error> {
    let mut program = Cli::described();
    program.build();
    let described = match command {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).cloned();
            found.ok_or(Error::Lost)?
        }
    };
    let title = described
        .get_display_name()
        .unwrap_or("pipecat-rollout")
        .to_owned();
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(described).title(title);
    page.render(&mut text).map_err(Error::Print)?;
    print(&text)
}

fn print(text: &[u8]) -> Result<Ending, Error> {
    print::out(&String::from_utf8_lossy(text)).map_err(Error::Print)?;
    Ok(Ending::Done)
}
