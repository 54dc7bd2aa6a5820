//! A rehearsal: `run` around a deploy command, against a simulator of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pipecat_rollout::fuzzing::simulator::Scenario;
use roxmltree::Document;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::Test;
use crate::support::process::{Process, Signal};
use crate::support::simulator::Simulator;
use crate::support::{KEY, validate, wait_within};

/// The agent that every rehearsal deploys.
pub(crate) const AGENT: &str = "my-agent";

/// How fast the simulator plays, unless a test says otherwise.
const SPEED: u64 = 5;

/// Script time between two polls of the vendor's CLI, in milliseconds.
const VENDOR_INTERVAL: u64 = 5_000;

/// `run` with its switches, before the simulator it will ask.
#[must_use = "nothing is rehearsed until it starts"]
pub(crate) struct Rehearsal {
    test: Test,
    scenario: String,
    speed: u64,
}

/// A rehearsal whose `run` has been started.
pub(crate) struct Running {
    process: Process,
    place: Place,
    began: Instant,
}

/// What a rehearsal left behind.
pub(crate) struct Rehearsed {
    /// The exit code of `run`.
    pub(crate) code: i32,
    /// Its report, the whole object.
    pub(crate) report: Value,
    /// What it and the command wrote, to stdout and stderr alike.
    pub(crate) output: String,
    place: Place,
}

/// Where a rehearsal takes place. With it goes all that the rehearsal has started.
struct Place {
    folder: TempDir,
    _simulator: Simulator,
}

/// How long `run` may take before it counts as hanging; the longest rehearsal takes a quarter of it.
const PATIENCE: Duration = Duration::from_secs(100);

impl Rehearsal {
    /// A rehearsal with a built-in scenario, or one in the file of this name.
    pub(crate) fn of(scenario: &str) -> Self {
        let test = Test::with(["run", AGENT, "--poll-interval", "200ms"])
            .arg("--report-file")
            .arg("report.json")
            .arg("--junit")
            .arg("rollout.xml");
        Self {
            test,
            scenario: scenario.to_owned(),
            speed: SPEED,
        }
    }

    /// A rehearsal with a scenario in TOML.
    pub(crate) fn scripted(scenario: &str) -> Self {
        let rehearsal = Self::of("");
        let path = rehearsal.test.folder().join("scenario.toml");
        fs::write(&path, scenario).unwrap();
        Self {
            scenario: path.to_str().unwrap().to_owned(),
            ..rehearsal
        }
    }

    /// Has the simulator play this many times as fast as the script says.
    pub(crate) fn speed(self, speed: u64) -> Self {
        Self { speed, ..self }
    }

    /// Switches of `run`, separated by blanks.
    pub(crate) fn switches(mut self, switches: &str) -> Self {
        for switch in switches.split_whitespace() {
            self.test = self.test.arg(switch);
        }
        self
    }

    /// An environment variable for `run` and the command.
    pub(crate) fn env(self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        Self {
            test: self.test.env(name, value),
            ..self
        }
    }

    /// Starts it around a command that deploys and then waits as the vendor's CLI does.
    pub(crate) fn around_the_vendor_cli(self) -> Running {
        self.around(&["/bin/sh", "deploy"])
    }

    /// Starts it around a shell script, in which `sh deploy` makes a deployment and does not wait.
    pub(crate) fn around_a_script(self, script: &str) -> Running {
        self.env("DEPLOY_POLLS", "0")
            .around(&["/bin/sh", "-c", script])
    }

    /// Starts it around any command.
    pub(crate) fn around(self, command: &[&str]) -> Running {
        let Self {
            test,
            scenario,
            speed,
        } = self;
        let simulator =
            Simulator::start([&scenario, "--agent", AGENT, "--speed", &speed.to_string()]);
        let folder = test.folder();
        let deploy = format!(
            "exec '{}' vendor_cli::deploys_and_waits --exact --nocapture --quiet\n",
            std::env::current_exe().unwrap().display()
        );
        fs::write(folder.join("deploy"), deploy).unwrap();
        let output = fs::File::create(folder.join("output")).unwrap();
        let mut test = test
            .env("PIPECAT_API_URL", &simulator.url)
            .env("PIPECAT_API_KEY", KEY)
            .env("DEPLOY_INTERVAL_MS", (VENDOR_INTERVAL / speed).to_string())
            .env(MARK, &folder)
            .arg("--");
        for word in command {
            test = test.arg(word);
        }
        let (process, folder) = test.stdio_to(output).start();
        Running {
            process,
            place: Place {
                folder,
                _simulator: simulator,
            },
            began: Instant::now(),
        }
    }
}

impl Running {
    /// What `run` and the command have written so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap()
    }

    /// Waits until there is this file in the folder of the rehearsal.
    pub(crate) fn wait_for_file(&mut self, name: &str) {
        let path = self.path(name);
        self.wait_until(name, |_| path.exists());
    }

    /// Waits until the output holds this text.
    pub(crate) fn wait_for_output(&mut self, text: &str) {
        self.wait_until(text, |running| running.output().contains(text));
    }

    fn wait_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            let ended = self.poll();
            assert!(
                ended.is_none(),
                "{ended:?} before {what}:\n{}",
                self.output()
            );
        }
    }

    /// How it ended, if it has, after a moment.
    fn poll(&mut self) -> Option<ExitStatus> {
        assert!(self.began.elapsed() < PATIENCE, "hangs:\n{}", self.output());
        thread::sleep(Duration::from_millis(10));
        self.process.child.try_wait().unwrap()
    }

    /// Makes an empty file in the folder of the rehearsal.
    pub(crate) fn touch(&self, name: &str) {
        fs::write(self.path(name), "").unwrap();
    }

    /// Sends a signal to `run` alone.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end, and checks what holds of every ending.
    pub(crate) fn end(mut self) -> Rehearsed {
        let status = loop {
            if let Some(status) = self.poll() {
                break status;
            }
        };
        let ended = epoch_ms();
        let output = self.output();
        let code = status
            .code()
            .unwrap_or_else(|| panic!("{status}\n{output}"));
        let Ok(report) = fs::read_to_string(self.path("report.json")) else {
            panic!("no report; exit code {code}\n{output}");
        };
        let rehearsed = Rehearsed {
            code,
            report: serde_json::from_str(&report).unwrap(),
            output,
            place: self.place,
        };
        rehearsed.check_report();
        rehearsed.check_times(ended);
        rehearsed.check_junit();
        rehearsed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.folder.path().join(name)
    }
}

impl Rehearsed {
    /// The agent's part of the report.
    pub(crate) fn agent(&self) -> &Value {
        &self.report["agents"][0]
    }

    /// The verdict that is reported.
    pub(crate) fn verdict(&self) -> &str {
        self.agent()["verdict"].as_str().unwrap()
    }

    /// The deployment that is reported.
    pub(crate) fn deployment(&self) -> Option<&str> {
        self.agent()["deploymentId"].as_str()
    }

    /// How long the rollout took, in milliseconds.
    pub(crate) fn elapsed(&self) -> u64 {
        self.agent()["elapsedMs"].as_u64().unwrap()
    }

    /// The command's exit code, as it is reported.
    pub(crate) fn command_code(&self) -> Option<i32> {
        let code = self.agent()["command"]["exitCode"].as_i64()?;
        Some(i32::try_from(code).unwrap())
    }

    /// How long the command ran, in milliseconds.
    pub(crate) fn command_elapsed(&self) -> u64 {
        self.agent()["command"]["elapsedMs"].as_u64().unwrap()
    }

    /// The id that the command's deploy was answered with, and when it was sent.
    pub(crate) fn deployed(&self) -> Option<(String, u64)> {
        let text = fs::read_to_string(self.path("deployed")).ok()?;
        let (at, id) = text.split_once(' ').unwrap();
        Some((id.to_owned(), at.parse().unwrap()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.folder.path().join(name)
    }

    /// Fails unless it ended so.
    pub(crate) fn expect(&self, verdict: &str, code: i32, command_code: i32) {
        assert_eq!(
            (self.verdict(), self.code, self.command_code()),
            (verdict, code, Some(command_code)),
            "{self}"
        );
    }

    /// Fails where the command, or anything that it started, is still there.
    pub(crate) fn expect_no_process_left(&self) {
        // What was just killed takes a moment to go.
        let limit = Duration::from_secs(10);
        wait_within(limit, &format!("no process is left\n{self}"), || {
            self.place.processes().is_empty().then_some(())
        });
    }

    fn check_report(&self) {
        validate("report.schema.json", &self.report);
        assert_eq!(self.report["exitCode"], self.code, "{self}");
        let everything = format!("{self}");
        assert!(!everything.contains(KEY), "the key is in what it wrote");
    }

    /// The rollout cannot have begun before its deploy was sent, nor end after the process.
    fn check_times(&self, ended: u64) {
        let phases = self.agent()["phases"].as_array().unwrap();
        let starts: Vec<u64> = phases
            .iter()
            .map(|phase| phase["atMs"].as_u64().unwrap())
            .collect();
        assert!(starts.is_sorted(), "{self}");
        assert!(
            starts.last().is_none_or(|last| *last <= self.elapsed()),
            "{self}"
        );
        if let (Some(_), Some((_, sent))) = (self.deployment(), self.deployed()) {
            // A hundredth of a second for clocks that are adjusted meanwhile.
            assert!(
                self.elapsed() <= ended - sent + 10,
                "the clock of the rollout ran before the deploy\n{self}"
            );
        }
    }

    fn check_junit(&self) {
        let text = fs::read_to_string(self.path("rollout.xml")).unwrap();
        let document = Document::parse(&text).unwrap();
        let cases: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("testcase"))
            .collect();
        let names: Vec<_> = cases.iter().map(|case| case.attribute("name")).collect();
        assert_eq!(names, [Some(AGENT)], "{text}");
        let bad = cases[0].children().any(|node| node.is_element());
        assert_eq!(bad, self.verdict() != "ready", "{text}");
    }
}

impl std::fmt::Display for Rehearsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            report,
            output,
            ..
        } = self;
        write!(f, "exit code {code}\n{report:#}\n{output}")
    }
}

/// The id of the deployment that a scenario calls `alias`, in its first deploy.
pub(crate) fn id(alias: &str) -> String {
    Scenario::deployment_id(AGENT, 1, alias)
}

/// The time of day, in milliseconds since 1970.
pub(crate) fn epoch_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// The environment variable by which the processes of one rehearsal can be found.
const MARK: &str = "REHEARSAL_FOLDER";

impl Place {
    /// The processes of the rehearsal that still run: their ids and command lines.
    #[cfg(target_os = "linux")]
    fn processes(&self) -> BTreeMap<String, String> {
        let mark = format!("{MARK}={}", self.folder.path().display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| {
                // Of a process that is gone, or another user's, there is nothing to be read.
                let environment = fs::read(entry.path().join("environ")).ok()?;
                let marked = environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes());
                let line = fs::read(entry.path().join("cmdline")).ok()?;
                let id = entry.file_name().into_string().ok()?;
                marked.then(|| (id, String::from_utf8_lossy(&line).replace('\0', " ")))
            })
            .collect()
    }

    /// Where processes do not show their environment, none is found.
    #[cfg(not(target_os = "linux"))]
    fn processes(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a test that failed; else there is none.
        for id in self.processes().into_keys() {
            let _ = Command::new("kill").args(["-9", &id]).status();
        }
    }
}
