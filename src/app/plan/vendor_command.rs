//! The vendor's CLI as the deploy command of `run`: which agent its command line deploys.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable that names the vendor's file.
pub(super) const FILE_VARIABLE: &str = "PIPECAT_DEPLOY_CONFIG_PATH";

/// Programs that run the vendor's CLI when it follows them.
const LAUNCHERS: [&str; 9] = [
    "env", "hatch", "nice", "pdm", "pipx", "poetry", "time", "uv", "uvx",
];

/// The options of `deploy` that take a value, but for `--config-file`.
const WITH_VALUE: &str = "--agent-profile --architecture --branch --build-dir --build-id --credentials --dockerfile \
     --dockerfile-path --krisp-viva-audio-filter --max-agents --max-session-duration --min-agents --organization \
     --profile --region --repo --resources --secrets --subdirectory -b -c -d -o -p -r -s -max -min";

/// A command line that deploys with the vendor's CLI.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct VendorCommand {
    /// The agent that it names.
    pub(super) agent: Option<String>,
    /// The file that it names, by a switch or a variable.
    pub(super) config_file: Option<PathBuf>,
    /// Whether it looks for files in another folder than this one.
    pub(super) is_elsewhere: bool,
}

impl VendorCommand {
    /// Reads a command line: `pipecat cloud deploy`, `pcc deploy` or `pipecatcloud deploy`, also behind
    /// what runs programs of Python; none where it is anything else.
    pub(super) fn read(command: &[OsString]) -> Option<Self> {
        let words: Vec<&str> = command
            .iter()
            .map(|word| word.to_str().unwrap_or_default())
            .collect();
        let (at, arguments) = (0..words.len()).find_map(|at| {
            let arguments = arguments_of_deploy(&words[at..])?;
            (at == 0 || is_launcher(words[0])).then_some((at, arguments))
        })?;
        let mut found = Self {
            is_elsewhere: words[..at]
                .iter()
                .any(|word| word.starts_with("--directory")),
            ..Self::default()
        };
        let set = words[..at].iter().filter_map(|word| word.split_once('='));
        for (_, value) in set.filter(|(name, _)| *name == FILE_VARIABLE) {
            found.config_file = Some(PathBuf::from(value));
        }
        found.read_arguments(arguments);
        Some(found)
    }

    fn read_arguments(&mut self, arguments: &[&str]) {
        let mut words = arguments.iter().copied();
        let mut only_names = false;
        while let Some(word) = words.next() {
            if only_names || !word.starts_with('-') || word == "-" {
                self.agent.get_or_insert_with(|| word.to_owned());
            } else if word == "--" {
                only_names = true;
            } else if let Some(file) = word.strip_prefix("--config-file=") {
                self.config_file = Some(PathBuf::from(file));
            } else if word == "--config-file" {
                self.config_file = words.next().map(PathBuf::from);
            } else if WITH_VALUE.split(' ').any(|option| option == word) {
                words.next();
            }
        }
    }
}

/// What follows `deploy`, if these words are the vendor's CLI and deploy something.
fn arguments_of_deploy<'a>(words: &'a [&'a str]) -> Option<&'a [&'a str]> {
    let (program, rest) = words.split_first()?;
    // A module is named with what is in it: pipecatcloud.cli.
    let rest = match file_name(program).split('.').next()? {
        "pipecat" => after("cloud", rest)?,
        "pcc" | "pipecatcloud" => rest,
        _ => return None,
    };
    after("deploy", rest).or_else(|| after("deploy", after("agent", rest)?))
}

/// What follows a word, with nothing but options before it.
fn after<'a>(word: &str, words: &'a [&'a str]) -> Option<&'a [&'a str]> {
    let (first, rest) = words.split_first()?;
    match *first {
        first if first == word => Some(rest),
        "--output" => after(word, rest.get(1..)?),
        first if first.starts_with('-') => after(word, rest),
        _ => None,
    }
}

fn is_launcher(word: &str) -> bool {
    let name = file_name(word);
    LAUNCHERS.contains(&name) || name.starts_with("python")
}

fn file_name(word: &str) -> &str {
    let name = Path::new(word).file_name().and_then(|name| name.to_str());
    name.unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<VendorCommand> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        VendorCommand::read(&words)
    }

    #[test]
    fn finds_the_agent_and_the_file_of_every_spelling() {
        for (line, agent, file) in [
            ("pipecat cloud deploy", None, None),
            ("pipecat cloud deploy --yes", None, None),
            ("pipecat cloud deploy a", Some("a"), None),
            ("pcc deploy a image:1", Some("a"), None),
            ("pipecatcloud deploy -y a", Some("a"), None),
            (
                "/opt/venv/bin/pcc deploy -s set -min 1 -c x a",
                Some("a"),
                None,
            ),
            ("pcc deploy --region us-west -nc -- -a", Some("-a"), None),
            ("pcc deploy --region=us-west a", Some("a"), None),
            ("pipecat cloud --output json deploy a", Some("a"), None),
            (
                "pipecat cloud agent deploy a --github --wait",
                Some("a"),
                None,
            ),
            (
                "pcc deploy --config-file f.toml --yes",
                None,
                Some("f.toml"),
            ),
            (
                "pcc deploy --config-file=f.toml a",
                Some("a"),
                Some("f.toml"),
            ),
            ("uv run pipecat cloud deploy a", Some("a"), None),
            (
                "uv run --with pipecatcloud pipecat cloud deploy a",
                Some("a"),
                None,
            ),
            ("uvx --from pipecatcloud pcc deploy a", Some("a"), None),
            ("python3.12 -m pipecatcloud.cli deploy a", Some("a"), None),
            (
                "env PIPECAT_DEPLOY_CONFIG_PATH=f.toml pcc deploy",
                None,
                Some("f.toml"),
            ),
        ] {
            let found = read(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(found.agent.as_deref(), agent, "{line}");
            assert_eq!(found.config_file.as_deref(), file.map(Path::new), "{line}");
            assert!(!found.is_elsewhere, "{line}");
        }
        assert!(
            read("uv run --directory bot pcc deploy")
                .unwrap()
                .is_elsewhere
        );
    }

    #[test]
    fn other_commands_are_nobodys_business() {
        for line in [
            "",
            "./deploy.sh a",
            "pipecat deploy a",
            "pipecat cloud",
            "pipecat cloud agent status a",
            "pcc secrets set deploy a",
            "echo pipecat cloud deploy a",
            "sh -c pcc deploy a",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
