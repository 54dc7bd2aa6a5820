//! Reads a command line, and says in people's words what is wrong with it.

use std::env;
use std::ffi::{OsStr, OsString};

use clap::builder::{BoolishValueParser, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, CommandFactory as _, FromArgMatches as _};

use super::{Cli, help};

/// What begins the variables that the vendor does not know.
const PREFIX: &str = "PIPECAT_ROLLOUT_";

/// Options that exclude one another, each with those whose variables it overrides where it is typed.
const OVERRIDES: [(&str, &[&str]); 6] = [
    ("deployment", &help::TARGETS),
    ("baseline", &help::TARGETS),
    ("not-deployment", &help::TARGETS),
    ("commit", &help::TARGETS),
    ("api-url", &["simulate", "speed"]),
    ("all", &help::OF_SOME_AGENTS),
];

impl Cli {
    /// Reads a command line and the environment variables that go with it.
    ///
    /// # Errors
    /// What is wrong with it; help and version as well.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let mut command = Self::described();
        command =
            command.mut_subcommands(|sub| sub.mut_args(|arg| without_variable(arg, &arguments)));
        let matches = command.try_get_matches_from_mut(&arguments);
        matches
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| in_words(&error, &mut command, &arguments).unwrap_or(error))
    }

    /// The whole description of the command line.
    pub(crate) fn described() -> clap::Command {
        with_exit_codes(Self::command())
            .mut_subcommands(|sub| with_exit_codes(sub.mut_args(complete)))
    }
}

/// Shows the exit codes in the long help of a command as well, where the short one shows them.
fn with_exit_codes(command: clap::Command) -> clap::Command {
    let parts = [command.get_after_long_help(), command.get_after_help()];
    let [Some(long), Some(codes)] = parts.map(|part| part.map(ToString::to_string)) else {
        return command;
    };
    command.after_long_help(format!("{long}\n\n{codes}"))
}

/// Completes what all options have in common that a variable can set.
fn complete(arg: Arg) -> Arg {
    let Some(name) = arg.get_env() else {
        return arg;
    };
    let name = name.to_string_lossy().into_owned();
    let variable = if name.starts_with("PIPECAT_") {
        name
    } else {
        format!("{PREFIX}{name}")
    };
    let help = arg
        .get_long_help()
        .or(arg.get_help())
        .map(ToString::to_string);
    let arg = if matches!(arg.get_action(), ArgAction::SetTrue) {
        arg.value_parser(BoolishValueParser::new())
    } else {
        // So that the parser of the value can say what is wrong with -5.
        arg.allow_negative_numbers(true)
    };
    let is_rare = help::COMMON.split(' ').all(|common| arg.get_id() != common);
    let long = format!("{} [env: {variable}]", help.unwrap_or_default());
    arg.env(variable)
        .hide_env(true)
        .long_help(long)
        .hide_short_help(is_rare)
}

/// An option without its variable, where that does not count: it is empty, as pipelines leave some behind, or
/// what is typed overrides it.
fn without_variable(arg: Arg, arguments: &[OsString]) -> Arg {
    let Some(value) = arg.get_env().and_then(env::var_os) else {
        return arg;
    };
    let is_overridden = OVERRIDES.iter().any(|(typed, others)| {
        let id = arg.get_id().as_str();
        id != typed.replace('-', "_") && others.contains(&id) && is_typed(typed, arguments)
    });
    // A speed goes with a simulator.
    let is_moot =
        arg.get_id() == "speed" && !is_typed("simulate", arguments) && !is_set("SIMULATE");
    if value.is_empty() || is_overridden || is_moot {
        arg.env(Resettable::<clap::builder::OsStr>::Reset)
    } else {
        arg
    }
}

/// Whether a variable is set to something.
fn is_set(name: &str) -> bool {
    env::var_os(format!("{PREFIX}{name}")).is_some_and(|value| !value.is_empty())
}

/// Whether an option is on the command line itself.
fn is_typed(long: &str, arguments: &[OsString]) -> bool {
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let mut options = ours.filter_map(|argument| argument.to_str()?.strip_prefix("--"));
    options.any(|option| option.split('=').next() == Some(long))
}

/// The words of an error where clap's own would leave a reader alone.
fn in_words(
    error: &clap::Error,
    command: &mut clap::Command,
    arguments: &[OsString],
) -> Option<clap::Error> {
    let text = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(" and ")),
        _ => None,
    };
    let invalid = text(ContextKind::InvalidArg)?;
    let message = match error.kind() {
        ErrorKind::ArgumentConflict => {
            let prior = text(ContextKind::PriorArg)?;
            let names = [given_as(&prior, arguments), given_as(&invalid, arguments)];
            format!("{} exclude each other: give only one", names.join(" and "))
        }
        ErrorKind::UnknownArgument if !invalid.starts_with('-') => {
            let is_run = arguments.get(1).is_some_and(|command| command == "run");
            let at = arguments
                .iter()
                .position(|argument| argument.to_str() == Some(&invalid))?;
            if !is_run {
                return None;
            }
            let (before, after) = arguments.split_at(at);
            let words =
                |words: &[OsString]| words.join(OsStr::new(" ")).to_string_lossy().into_owned();
            format!(
                "put -- before the command: pipecat-rollout {} -- {}",
                words(before.get(1..)?),
                words(after)
            )
        }
        _ => return None,
    };
    // With the usage of the command that is meant, if one is.
    let name = arguments
        .get(1)
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if let Some(command) = command.find_subcommand_mut(name) {
        return Some(command.error(error.kind(), message));
    }
    Some(command.error(error.kind(), message))
}

/// An option as it was given: typed, or by its variable.
fn given_as(shown: &str, arguments: &[OsString]) -> String {
    let name = shown.split([' ', '.']).next().unwrap_or(shown);
    match name.strip_prefix("--") {
        Some(long) if !is_typed(long, arguments) => {
            let variable = format!("{PREFIX}{}", long.replace('-', "_").to_uppercase());
            if env::var_os(&variable).is_some() {
                variable
            } else {
                name.to_owned()
            }
        }
        _ => name.trim_matches(['[', ']']).to_owned(),
    }
}
