//! What the runner of GitHub Actions makes of a log and of its files: a small re-implementation.
//!
//! It obeys more than the real one, which knows only some names: whatever has the form of a command
//! is one here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::harness::Test;

/// A command as the runner reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) data: String,
}

/// The names of commands.
pub(crate) fn names(commands: &[Command]) -> Vec<&str> {
    commands.iter().map(|found| found.name.as_str()).collect()
}

/// The commands in a log, in the new form and in the old.
pub(crate) fn commands(log: &str) -> Vec<Command> {
    log.split(['\n', '\r'])
        .filter_map(|line| command(line).or_else(|| old_command(line)))
        .collect()
}

/// `::name key=value,key=value::data`, after any blanks.
fn command(line: &str) -> Option<Command> {
    let (head, data) = line.trim_start().strip_prefix("::")?.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let properties = properties.trim().split(',');
    Some(Command {
        name: name.to_owned(),
        properties: properties
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| {
                let value = value.replace("%3A", ":").replace("%2C", ",");
                (key.to_owned(), unescaped(&value))
            })
            .collect(),
        data: unescaped(data),
    })
}

/// `##[name]data`, anywhere in a line.
fn old_command(line: &str) -> Option<Command> {
    let (_, rest) = line.split_once("##[")?;
    let (head, data) = rest.split_once(']')?;
    Some(Command {
        name: head.split(' ').next()?.to_owned(),
        properties: BTreeMap::new(),
        data: data.to_owned(),
    })
}

fn unescaped(text: &str) -> String {
    text.replace("%0D", "\r")
        .replace("%0A", "\n")
        .replace("%25", "%")
}

/// The outputs in a file that `GITHUB_OUTPUT` names: `name=value`, or lines up to a delimiter.
pub(crate) fn outputs(text: &str) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    let mut lines = text.split('\n');
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let equals = line.find('=').unwrap_or(usize::MAX);
        let heredoc = line.find("<<").unwrap_or(usize::MAX);
        assert_ne!(equals, heredoc, "the runner refuses {line:?}");
        let (name, value) = if equals < heredoc {
            (&line[..equals], line[equals + 1..].to_owned())
        } else {
            let delimiter = &line[heredoc + 2..];
            let value: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            (&line[..heredoc], value.join("\n"))
        };
        outputs.insert(name.to_owned(), value);
    }
    outputs
}

/// The files of a step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    folder: PathBuf,
}

impl Step {
    /// Has a run take place in a step of a workflow, with the variables and files of the runner's.
    pub(crate) fn around(test: Test) -> (Test, Self) {
        let folder = test.folder();
        let mut test = test
            .env("CI", "true")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_WORKFLOW", "deploy")
            .env("GITHUB_JOB", "rollout")
            .env("RUNNER_OS", "Linux")
            .env("GITHUB_WORKSPACE", &folder);
        for (name, file) in FILES {
            test = test.file(file, "").env(name, folder.join(file));
        }
        (test, Self { folder })
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The files of a step: the variables that name them, and what they are called here.
pub(crate) const FILES: [(&str, &str); 5] = [
    ("GITHUB_OUTPUT", "set_output"),
    ("GITHUB_STEP_SUMMARY", "step_summary"),
    ("GITHUB_ENV", "set_env"),
    ("GITHUB_PATH", "add_path"),
    ("GITHUB_STATE", "save_state"),
];

#[test]
fn the_parser_finds_what_the_runner_obeys() {
    let log = "plain ::no::\n  ::error title=a%3Ab,file=c::d%0Ae%25\n\u{a0}::x::\nfoo ##[warning]y\n::z\rq\r::mask::s";
    let found = commands(log);
    assert_eq!(names(&found), ["error", "x", "warning", "mask"]);
    assert_eq!(found[0].properties["title"], "a:b");
    assert_eq!(found[0].data, "d\ne%");
    let found = outputs("a=b<<c\n\nd<<E\n1\nx=2\nE\ne=\n");
    let expected = [("a", "b<<c"), ("d", "1\nx=2"), ("e", "")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
}
