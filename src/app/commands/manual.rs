//! `completions` and `man`: made from the same description that reads the command line.

use std::io::{self, Write as _};

use clap_complete::Shell;
use clap_mangen::Man;

use crate::app::cli::Cli;
use crate::app::error::Error;
use crate::app::exit::Ending;

/// The variables that no option has.
const VARIABLES: &str = "\
PIPECAT_API_KEY, PCC_API_KEY, PIPECAT_CLOUD_API_KEY: the private API key.
PIPECAT_TOKEN, PIPECAT_ORG: what the vendor's CLI uses without a key, and the organization.
PIPECAT_PUBLIC_API_KEY: the public API key that starts a smoke session.
PIPECAT_API_HOST: where the API is, unless PIPECAT_API_URL says it.
PIPECAT_DEPLOY_CONFIG_PATH: the file that names the agent.
HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR, NO_COLOR, RUST_LOG: as elsewhere.";

/// The program of the page and its version.
const SOURCE: &str = concat!("pipecat-rollout ", env!("PIPECAT_ROLLOUT_VERSION"));

const FILES: &str = "\
./pcc-deploy.toml: its agent_name is the agent where none is named.
~/.config/pipecatcloud/pipecatcloud.toml: the login of the vendor's CLI; read, never written.
~/.local/state/pipecat-rollout/pipecat-rollout.db: the store of watch, read by history.";

/// Prints a completion script for a shell.
pub(super) fn completions(shell: Shell) -> Result<Ending, Error> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::described(), "pipecat-rollout", &mut text);
    super::print(&String::from_utf8_lossy(&text))
}

/// Prints the manual page of the program, or of one of its commands.
pub(super) fn man(command: Option<&str>) -> Result<Ending, Error> {
    let mut program = Cli::described();
    program.build();
    let described = match command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or(Error::Lost)?,
    };
    let page = page(&described).map_err(Error::Print)?;
    super::print(&String::from_utf8_lossy(&page))
}

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let title = command.get_display_name().unwrap_or("pipecat-rollout");
    let page = Man::new(command.clone()).title(title).source(SOURCE);
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    let mut notes = Vec::new();
    let after = command.get_after_long_help().map(ToString::to_string);
    for paragraph in after.unwrap_or_default().split("\n\n") {
        match paragraph.split_once(":\n") {
            Some(("Exit codes", codes)) => section(&mut text, "EXIT STATUS", codes)?,
            Some((head, lines)) => section(&mut text, &head.to_uppercase(), lines)?,
            None => notes.push(escaped(paragraph)),
        }
    }
    if !notes.is_empty() {
        writeln!(text, ".SH NOTES\n{}", notes.join(".PP\n"))?;
    }
    let variables = command.get_arguments().filter_map(|arg| {
        let name = arg.get_env()?.to_string_lossy().into_owned();
        Some(format!("{name}: --{}\n", arg.get_long()?))
    });
    section(
        &mut text,
        "ENVIRONMENT",
        &(variables.collect::<String>() + VARIABLES),
    )?;
    section(&mut text, "FILES", FILES)?;
    Ok(text)
}

/// A section whose lines stay as they are.
fn section(page: &mut Vec<u8>, head: &str, lines: &str) -> io::Result<()> {
    writeln!(page, ".SH \"{head}\"\n.nf\n{}.fi", escaped(lines))
}

/// Lines of which roff takes none for a request, as those that begin with a dot or a quote.
fn escaped(lines: &str) -> String {
    let lines = lines.replace('\\', "\\e").replace('-', "\\-");
    let lines = lines
        .lines()
        .map(|line| ["\\&", line.trim_start(), "\n"].concat());
    lines.collect()
}
