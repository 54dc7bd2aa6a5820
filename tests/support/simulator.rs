//! A simulator of the platform, as a process.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::process::{Ended, PROGRAM, Process, Signal};
use super::{KEY, http, parse_json};

pub(crate) struct Simulator {
    pub(crate) process: Process,
    /// The address of its API.
    pub(crate) url: String,
}

impl Simulator {
    /// A simulator at a free port, with these arguments.
    pub(crate) fn start(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(["simulate", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let process = Process::start(command);
        let line = process.stdout.wait_for("listening on ");
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { process, url }
    }

    /// What a request for a path below the API's address is answered: status and body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let rest = self.url.strip_prefix("http://").unwrap();
        let (address, base) = rest.split_once('/').unwrap();
        let key = format!("authorization: Bearer {KEY}\r\n");
        let answer = http::ask(address, method, &format!("/{base}{path}"), &key);
        let (status, body) = answer.unwrap();
        (status, parse_json(&body))
    }

    /// Deploys to an agent; gives the deployment's id.
    pub(crate) fn deploy(&self, agent: &str) -> String {
        let (status, body) = self.ask("POST", &format!("/agents/{agent}"));
        assert_eq!(status, 200, "{body}");
        body["desiredDeploymentId"].as_str().unwrap().to_owned()
    }

    /// Asks it to end.
    pub(crate) fn stop(self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.end()
    }
}
