//! Starts the sidecar, and checks what it leaves.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::api::Api;
use crate::support::process::{Ended, PROGRAM, Process, Signal};
use crate::support::{KEY, http, parse_json};

/// A folder with the store and the configuration of a sidecar.
pub(crate) struct Place {
    folder: Arc<TempDir>,
    url: String,
    config: String,
    arguments: Vec<String>,
}

impl Place {
    /// A place for a sidecar of this API, which polls often.
    pub(crate) fn of(api: &Api) -> Self {
        Self::at(&api.url())
    }

    pub(crate) fn at(url: &str) -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            url: url.to_owned(),
            config: "interval = \"200ms\"\nhealth-interval = \"500ms\"\nunready-for = \"500ms\"\n\
                     max-rps = 1000\n\
                     listen = \"127.0.0.1:0\"\n"
                .to_owned(),
            arguments: Vec::new(),
        }
    }

    /// More of the configuration file.
    pub(crate) fn config(mut self, text: &str) -> Self {
        write!(self.config, "{text}").unwrap();
        self
    }

    /// A sink of the configuration file.
    pub(crate) fn webhook(self, name: &str, url: &str) -> Self {
        self.config(&format!(
            "[[sink]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{url}\"\n"
        ))
    }

    pub(crate) fn args(mut self, arguments: &str) -> Self {
        self.arguments
            .extend(arguments.split_whitespace().map(str::to_owned));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    /// A run of any command, its environment still open to change.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PIPECAT_API_URL", &self.url)
            .env("PIPECAT_API_KEY", KEY)
            .env("PIPECAT_ROLLOUT_STORE", self.path("store.db"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A run of the sidecar, its environment still open to change.
    pub(crate) fn sidecar(&self) -> Command {
        let config = self.path("watch.toml");
        std::fs::write(&config, &self.config).unwrap();
        let mut command = self.command(&["watch", "--progress", "json", "--config"]);
        command.arg(config).args(&self.arguments);
        command
    }

    /// Starts the sidecar.
    pub(crate) fn start(&self) -> Sidecar {
        self.start_command(self.sidecar())
    }

    /// Starts the sidecar, and waits until it has read the list.
    pub(crate) fn start_watching(&self) -> Sidecar {
        let sidecar = self.start();
        sidecar.wait_for_log("\"message\":\"watching ");
        sidecar
    }

    /// Starts a sidecar whose environment was changed.
    pub(crate) fn start_command(&self, command: Command) -> Sidecar {
        Sidecar {
            process: Process::start(command),
            _folder: Arc::clone(&self.folder),
        }
    }

    /// Runs the sidecar to its end.
    pub(crate) fn run(&self) -> Ended {
        self.start_command(self.sidecar()).end()
    }

    /// Runs another command to its end.
    pub(crate) fn other(&self, arguments: &[&str]) -> Ended {
        self.start_command(self.command(arguments)).end()
    }
}

/// A sidecar that runs.
pub(crate) struct Sidecar {
    process: Process,
    /// Which is there as long as it runs.
    _folder: Arc<TempDir>,
}

impl Sidecar {
    /// Waits for a log line that holds this text.
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        self.process.stderr.wait_for(part)
    }

    /// Where its endpoints are.
    pub(crate) fn endpoints(&self) -> SocketAddr {
        let line = self.wait_for_log("endpoints on");
        parse_json(&line)["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Asks it to end; it must end well.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.end();
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended
    }

    /// Ends it without a word.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        let status = self.end().status;
        assert_eq!(status.signal(), Some(9), "it had ended by itself: {status}");
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Ended {
        self.process.end()
    }
}

/// What a GET is answered: its status and its body.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    http::ask(address, "GET", path, "")
}

/// The JSON that a GET is answered.
pub(crate) fn get_json(address: SocketAddr, path: &str) -> Option<Value> {
    Some(parse_json(&get(address, path)?.1))
}
