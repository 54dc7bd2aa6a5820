//! Reads a command line, and says in people's words what is wrong with it.

use std::env;
use std::ffi::{OsStr, OsString};

use clap::builder::{PossibleValuesParser, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::values::switch;
use super::{Cli, help};

/// What begins the variables that the vendor does not know.
const PREFIX: &str = "PIPECAT_ROLLOUT_";

/// Options that exclude one another, each with those whose variables it overrides where it is typed.
const OVERRIDES: [(&str, &[&str]); 6] = [
    ("deployment", &help::TARGETS),
    ("baseline", &help::TARGETS),
    ("not-deployment", &help::TARGETS),
    ("commit", &help::TARGETS),
    ("api-url", &["simulate"]),
    ("all", &help::OF_SOME_AGENTS),
];

/// Options, each with those that have an effect only together with it. Clap's own `requires` passes over
/// an option that conflicts with anything that is given.
const GO_WITH: [(&str, &[&str]); 4] = [
    ("all", &["include", "exclude", "regions", "watch"]),
    ("simulate", &["speed"]),
    ("smoke", &["smoke_key_file", "smoke_body", "smoke_timeout"]),
    ("webhook", &["webhook_secret_file"]),
];

/// The options that variables gave, with the names of these.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables(Vec<(String, String)>);

impl Variables {
    /// What an error says, with the variable in place of each option that nobody typed.
    pub(crate) fn named_in(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (option, variable)| {
                let mut parts = text.split(option.as_str());
                let mut named = parts.next().unwrap_or_default().to_owned();
                for part in parts {
                    // Another one may begin with the same letters.
                    let is_whole =
                        !part.starts_with(|next: char| next == '-' || next.is_alphanumeric());
                    named += if is_whole { variable } else { option };
                    named += part;
                }
                named
            })
    }

    fn of(command: &clap::Command, given: &ArgMatches) -> Self {
        let args = command.get_arguments().filter(|arg| {
            given.value_source(arg.get_id().as_str()) == Some(ValueSource::EnvVariable)
        });
        let named = args.filter_map(|arg| {
            let variable = arg.get_env()?.to_string_lossy().into_owned();
            Some((format!("--{}", arg.get_long()?), variable))
        });
        Self(named.collect())
    }
}

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
        let matches = command
            .try_get_matches_from_mut(&arguments)
            .map_err(|error| in_words(error, &mut command, &arguments))?;
        let mut cli = Self::from_arg_matches(&matches)?;
        if let Some((name, given)) = matches.subcommand()
            && let Some(command) = command.find_subcommand_mut(name)
        {
            no_contradiction(command, given)?;
            cli.variables = Variables::of(command, given);
        }
        Ok(cli)
    }

    /// The whole description of the command line.
    pub(crate) fn described() -> clap::Command {
        let command = with_exit_codes(Self::command())
            .mut_subcommands(|sub| with_exit_codes(sub.mut_args(complete)));
        let names = command.get_subcommands();
        let names: Vec<_> = names.map(|sub| sub.get_name().to_owned()).collect();
        // A manual page there is of each of them.
        command.mut_subcommand("man", |man| {
            man.mut_arg("command", |arg| {
                arg.value_parser(PossibleValuesParser::new(names))
            })
        })
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
        arg.value_parser(switch)
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
    if value.is_empty() || is_overridden {
        arg.env(Resettable::<clap::builder::OsStr>::Reset)
    } else {
        arg
    }
}

/// Refuses options that were typed where they have no effect, or where only one of them can be meant.
fn no_contradiction(command: &mut clap::Command, given: &ArgMatches) -> Result<(), clap::Error> {
    let find = |id: &str| command.get_arguments().find(|arg| arg.get_id() == id);
    let source = |arg: &Arg| given.value_source(arg.get_id().as_str());
    let is_typed = |arg: &Arg| source(arg) == Some(ValueSource::CommandLine);
    let is_on = |arg: &Arg| match given.try_get_one::<bool>(arg.get_id().as_str()) {
        Ok(flag) => flag == Some(&true),
        Err(_) => source(arg).is_some(),
    };
    let name = |arg: &Arg| format!("--{}", arg.get_long().unwrap_or_default());
    let problem = GO_WITH.iter().find_map(|(base, others)| {
        let base = find(base).filter(|base| !is_on(base))?;
        let idle = others
            .iter()
            .find_map(|id| find(id).filter(|arg| is_typed(arg)))?;
        let (idle, base) = (name(idle), name(base));
        let message =
            format!("{idle} has no effect without {base}; add {base}, or leave {idle} out");
        Some((ErrorKind::MissingRequiredArgument, message))
    });
    let problem = problem.or_else(|| {
        // Of their variables the first counts.
        let typed = |id| find(id).filter(|arg| is_typed(arg)).map(name);
        let both = [typed("simulate")?, typed("api_url")?];
        Some((ErrorKind::ArgumentConflict, only_one(&both)))
    });
    match problem {
        Some((kind, message)) => Err(command.error(kind, message)),
        None => Ok(()),
    }
}

fn only_one(names: &[String]) -> String {
    format!("{} exclude each other: give only one", names.join(" and "))
}

/// Whether an option is on the command line itself.
fn is_typed(long: &str, arguments: &[OsString]) -> bool {
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let mut options = ours.filter_map(|argument| argument.to_str()?.strip_prefix("--"));
    options.any(|option| option.split('=').next() == Some(long))
}

/// An error in words of ours where clap's own would leave a reader alone.
fn in_words(
    mut error: clap::Error,
    command: &mut clap::Command,
    arguments: &[OsString],
) -> clap::Error {
    // With the usage of the command that is meant, if one is.
    let mut names = arguments.iter().skip(1).filter_map(|name| name.to_str());
    let name = names.find(|name| command.find_subcommand(name).is_some());
    let command = match name {
        Some(name) => command.find_subcommand_mut(name).expect("it was found"),
        None => command,
    };
    let text = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(" and ")),
        _ => None,
    };
    let Some(invalid) = text(ContextKind::InvalidArg) else {
        return error;
    };
    let message = match error.kind() {
        ErrorKind::ArgumentConflict => text(ContextKind::PriorArg).map(|prior| {
            only_one(&[prior, invalid].map(|shown| given_as(&shown, command, arguments)))
        }),
        ErrorKind::MissingRequiredArgument => without_command(arguments),
        ErrorKind::UnknownArgument if !invalid.starts_with('-') => with_dashes(&invalid, arguments),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation if invalid.starts_with('-') => {
            let name = given_as(&invalid, command, arguments);
            // What was typed is shown with the form of its value.
            if !name.starts_with("--") {
                error.insert(ContextKind::InvalidArg, ContextValue::String(name));
            }
            None
        }
        _ => None,
    };
    match message {
        Some(message) => command.error(error.kind(), message),
        None => error,
    }
}

/// How `run` is written where its command follows without dashes.
fn with_dashes(invalid: &str, arguments: &[OsString]) -> Option<String> {
    let ours = of_run(arguments)?;
    let at = ours
        .iter()
        .position(|argument| argument.to_str() == Some(invalid))?;
    let (before, after) = ours.split_at(at);
    Some(format!(
        "put -- before the command: pipecat-rollout {} -- {}",
        as_typed(before),
        as_typed(after)
    ))
}

/// How `run` is written where there is no command.
fn without_command(arguments: &[OsString]) -> Option<String> {
    let ours = of_run(arguments)?
        .split(|argument| argument == "--")
        .next()?;
    Some(format!(
        "put the command that deploys after --: pipecat-rollout {} -- ./deploy.sh",
        as_typed(ours)
    ))
}

/// What was typed after the program's name, if it is `run`.
fn of_run(arguments: &[OsString]) -> Option<&[OsString]> {
    let typed = arguments.get(1..)?;
    (typed.first()? == "run").then_some(typed)
}

fn as_typed(words: &[OsString]) -> String {
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// An option as it was given: typed, or by its variable.
fn given_as(shown: &str, command: &clap::Command, arguments: &[OsString]) -> String {
    let name = shown.split([' ', '.']).next().unwrap_or(shown);
    let arg = name.strip_prefix("--").and_then(|long| {
        let mut args = command.get_arguments();
        args.find(|arg| arg.get_long() == Some(long))
    });
    let variable = arg.and_then(|arg| {
        let variable = arg.get_env().filter(|name| env::var_os(name).is_some())?;
        let is_typed = is_typed(arg.get_long()?, arguments) || is_typed_short(arg, arguments);
        (!is_typed).then(|| variable.to_string_lossy().into_owned())
    });
    variable.unwrap_or_else(|| name.trim_matches(['[', ']']).to_owned())
}

/// Whether the short form of an option is on the command line itself.
fn is_typed_short(arg: &Arg, arguments: &[OsString]) -> bool {
    let Some(short) = arg.get_short() else {
        return false;
    };
    let mut ours = arguments.iter().take_while(|argument| *argument != "--");
    ours.any(|argument| {
        let short_ones = argument.to_str().and_then(|text| text.strip_prefix('-'));
        short_ones.is_some_and(|text| !text.starts_with('-') && text.contains(short))
    })
}
