//! The program as a process: what it writes while it runs, and how it ends.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, kill_process};
use serde_json::Value;

pub(crate) use rustix::process::Signal;

use super::shared::Shared;
use super::{SECRET, parse_json, wait_within};

/// Our binary.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pipecat-rollout");

/// How long a run may take before it counts as hanging.
const LONGEST_RUN: Duration = Duration::from_mins(10);

/// A process that runs. One that a failing test leaves behind is killed.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

/// How a process ended, and what it wrote to its pipes.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a process has written so far; nothing where that goes elsewhere.
#[derive(Default)]
pub(crate) struct Output {
    written: Arc<Shared<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts it. Whatever the command holds open for it is closed here.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(Output::of).unwrap_or_default();
        let stderr = child.stderr.take().map(Output::of).unwrap_or_default();
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end. What it wrote holds no secret, and no word of a panic.
    pub(crate) fn end(mut self) -> Ended {
        let status = wait_within(LONGEST_RUN, "the process has ended", || {
            self.child.try_wait().unwrap()
        });
        let ended = Ended {
            status,
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
        };
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains(SECRET), "a secret is shown");
            assert!(!text.contains("panicked"), "{text}");
        }
        ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// Its stdout as JSON.
    pub(crate) fn json(&self) -> Value {
        parse_json(&self.stdout)
    }
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let written = Arc::new(Shared::default());
        let shared = Arc::clone(&written);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).unwrap() > 0 {
                let read = String::from_utf8(std::mem::take(&mut line));
                let read = read.expect("output is UTF-8");
                shared.change(|text: &mut String| text.push_str(&read));
            }
        });
        Self {
            written,
            reader: Some(reader),
        }
    }

    /// Waits for a line that holds this text.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        self.written.wait_for(
            |text| {
                let mut lines = text.lines();
                lines.find(|line| line.contains(part)).map(str::to_owned)
            },
            |text| format!("no line with {part:?} in:\n{text}"),
        )
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        std::mem::take(&mut self.written.lock())
    }
}
