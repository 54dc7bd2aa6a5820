//! Runs the binary in a folder and an environment of its own, and compares all that it leaves.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex_lite::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Ended, PROGRAM, Process};
use crate::support::{KEY, parse_json};

/// What stderr must hold.
enum Stderr {
    /// What the test checks by itself.
    Any,
    /// This and nothing else.
    Exactly(String),
    /// These lines, in this order, whatever is between them; the last of them at the very end.
    Lines(Vec<String>),
}

/// A run of the binary with what it must leave; [`Test::run`] compares.
///
/// Moments, times, deployment ids and ports differ from run to run: in what is compared, on both
/// sides, they read MOMENT, TIME, ID and PORT.
#[must_use = "nothing is tested until it runs"]
pub(crate) struct Test {
    command: Command,
    folder: TempDir,
    status: i32,
    stdout: String,
    stdout_whole: bool,
    stdout_to: Option<Stdio>,
    stderr_to: Option<Stdio>,
    stderr: Stderr,
    afterwards: Option<Box<dyn FnOnce()>>,
}

impl Test {
    /// A run with these arguments, separated by blanks.
    pub(crate) fn new(arguments: &str) -> Self {
        Self::with(arguments.split_whitespace())
    }

    /// A run with these arguments.
    pub(crate) fn with<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(PROGRAM, arguments)
    }

    /// A run of another program, which is expected to run ours.
    pub(crate) fn of<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null());
        Self {
            command,
            folder,
            status: 0,
            stdout: String::new(),
            stdout_whole: true,
            stdout_to: None,
            stderr_to: None,
            stderr: Stderr::Exactly(String::new()),
            afterwards: None,
        }
    }

    /// A run against the API at `url`, with a key.
    pub(crate) fn against(url: &str, arguments: &str) -> Self {
        Self::new(arguments)
            .env("PIPECAT_API_URL", url)
            .env("PIPECAT_API_KEY", KEY)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// A file in the folder in which it runs.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    /// The folder in which it runs.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Has stdout go elsewhere.
    pub(crate) fn stdout_to(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout_to = Some(stdout.into());
        self
    }

    /// Has stderr go elsewhere; the test checks it by itself.
    pub(crate) fn stderr_to(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr_to = Some(stderr.into());
        self.stderr_any()
    }

    /// Has stdout and stderr go elsewhere; the test checks them by itself.
    pub(crate) fn stdio_to(self, file: std::fs::File) -> Self {
        let stderr = file.try_clone().unwrap();
        self.stderr_to(stderr).stdout_to(file)
    }

    /// What stdin holds.
    pub(crate) fn stdin(mut self, text: &str) -> Self {
        let path = self.folder.path().join(".stdin");
        std::fs::write(&path, text).unwrap();
        self.command.stdin(std::fs::File::open(path).unwrap());
        self
    }

    /// Has stdin come from elsewhere.
    pub(crate) fn stdin_from(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// The exit code that it must end with; 0 unless it is said.
    pub(crate) fn status(mut self, status: i32) -> Self {
        self.status = status;
        self
    }

    /// What it must write to stdout; nothing unless it is said.
    pub(crate) fn stdout(mut self, stdout: &str) -> Self {
        self.stdout = normal(stdout);
        self
    }

    /// What a line that it must write to stdout begins with; the rest depends on time.
    pub(crate) fn stdout_starts(mut self, start: &str) -> Self {
        self.stdout = normal(start);
        self.stdout_whole = false;
        self
    }

    /// Has the test check stdout by itself.
    pub(crate) fn stdout_any(self) -> Self {
        self.stdout_starts("")
    }

    /// What it must write to stderr; nothing unless it is said.
    pub(crate) fn stderr(mut self, stderr: &str) -> Self {
        self.stderr = Stderr::Exactly(normal(stderr));
        self
    }

    /// Lines that stderr must hold in this order, the last of them at the end; what is between
    /// them depends on when the polls fell.
    pub(crate) fn stderr_lines(mut self, lines: &str) -> Self {
        self.stderr = Stderr::Lines(normal(lines).lines().map(str::to_owned).collect());
        self
    }

    /// Has the test check stderr by itself.
    pub(crate) fn stderr_any(mut self) -> Self {
        self.stderr = Stderr::Any;
        self
    }

    /// What to check when the run is over and its folder still there.
    pub(crate) fn afterwards(mut self, check: impl FnOnce() + 'static) -> Self {
        self.afterwards = Some(Box::new(check));
        self
    }

    /// Runs the binary, compares what it left, and hands it on.
    pub(crate) fn run(mut self) -> Ended {
        let (stdout, stdout_is_whole) = (std::mem::take(&mut self.stdout), self.stdout_whole);
        let stderr = std::mem::replace(&mut self.stderr, Stderr::Any);
        let (status, afterwards) = (self.status, self.afterwards.take());
        let (process, _folder) = self.start();
        let left = process.end();
        let context = format!("stdout:\n{}\nstderr:\n{}", left.stdout, left.stderr);
        assert_eq!(
            left.status.code(),
            Some(status),
            "{}\n{context}",
            left.status
        );
        let found = normal(&left.stdout);
        if stdout_is_whole {
            assert_eq!(found, stdout, "{context}");
        } else {
            assert!(found.starts_with(&stdout), "{context}");
        }
        match stderr {
            Stderr::Any => {}
            Stderr::Exactly(expected) => assert_eq!(normal(&left.stderr), expected, "{context}"),
            Stderr::Lines(expected) => assert_lines(&normal(&left.stderr), &expected),
        }
        if let Some(check) = afterwards {
            check();
        }
        left
    }

    /// Starts the binary, for a test that has something to do meanwhile, in its folder.
    pub(crate) fn start(mut self) -> (Process, TempDir) {
        self.command
            .stdout(self.stdout_to.unwrap_or_else(Stdio::piped))
            .stderr(self.stderr_to.unwrap_or_else(Stdio::piped));
        (Process::start(self.command), self.folder)
    }
}

/// A file with JSON.
pub(crate) fn read_json(path: &Path) -> Value {
    parse_json(&std::fs::read_to_string(path).unwrap())
}

/// Moments, times, deployment ids and ports by their names.
pub(crate) fn normal(text: &str) -> String {
    let patterns = [
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "MOMENT"),
        (r"\[ *(\d+[dhms]|\d+\.\d+s)( \d+[hms])?\]", "[TIME]"),
        (r"\b(\d+\.\d+s|\d+[dhm]( \d+[hms])?)\b", "TIME"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    ];
    patterns
        .iter()
        .fold(text.to_owned(), |text, (pattern, name)| {
            let pattern = Regex::new(pattern).unwrap();
            pattern.replace_all(&text, *name).into_owned()
        })
}

fn assert_lines(text: &str, expected: &[String]) {
    let mut lines = text.lines();
    for wanted in expected {
        assert!(
            lines.any(|line| line == wanted),
            "no line {wanted:?}, or not in its place, in:\n{text}"
        );
    }
    assert_eq!(
        lines.next(),
        None,
        "more lines than expected at the end of:\n{text}"
    );
}
