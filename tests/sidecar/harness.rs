//! Starts the sidecar and the simulator as processes, and checks what they leave.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::api::Api;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pipecat-rollout");
/// The key of all tests, which must appear nowhere.
pub(crate) const KEY: &str = "sk_test_5ecret";
/// How long something that has to come may take.
const PATIENCE: Duration = Duration::from_secs(90);

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
        Sidecar::of(command, Arc::clone(&self.folder))
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
    child: Child,
    log: Arc<Log>,
    readers: Vec<JoinHandle<String>>,
    /// Which is there as long as it runs.
    _folder: Arc<TempDir>,
}

/// What it has logged so far.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    more: Condvar,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{self:?}"))
    }
}

impl Sidecar {
    fn of(mut command: Command, folder: Arc<TempDir>) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let readers = vec![
            thread::spawn(move || {
                let mut text = String::new();
                stdout.read_to_string(&mut text).unwrap();
                text
            }),
            thread::spawn(move || {
                for line in stderr.lines() {
                    let mut text = shared.text.lock().unwrap();
                    writeln!(text, "{}", line.unwrap()).unwrap();
                    shared.more.notify_all();
                }
                shared.text.lock().unwrap().clone()
            }),
        ];
        Self {
            child,
            log,
            readers,
            _folder: folder,
        }
    }

    /// Waits for a log line that holds this text.
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut text = self.log.text.lock().unwrap();
        loop {
            if let Some(line) = text.lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line with {part:?} in:\n{text}");
            text = self.log.more.wait_timeout(text, left).unwrap().0;
        }
    }

    /// Where its endpoints are.
    pub(crate) fn endpoints(&self) -> SocketAddr {
        let line = self.wait_for_log("endpoints on");
        let line: Value = serde_json::from_str(&line).unwrap();
        line["address"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end; it must end well.
    pub(crate) fn stop(self) -> Ended {
        self.signal("TERM");
        let ended = self.end();
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended
    }

    /// Ends it without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it had ended by itself: {status}");
        for reader in std::mem::take(&mut self.readers) {
            let text = reader.join().unwrap();
            assert!(!text.contains(KEY), "the key is shown");
            assert!(!text.contains("panicked"), "{text}");
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        let readers = std::mem::take(&mut self.readers).into_iter();
        let mut texts = readers.map(|reader| reader.join().unwrap());
        let ended = Ended {
            status,
            stdout: texts.next().unwrap(),
            stderr: texts.next().unwrap(),
        };
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains(KEY), "the key is shown");
            assert!(!text.contains("panicked"), "{text}");
        }
        ended
    }
}

impl Drop for Sidecar {
    /// A test that fails leaves none behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A simulator of our own, as a process.
pub(crate) struct Simulator {
    child: Child,
    pub(crate) url: String,
}

impl Simulator {
    pub(crate) fn start(arguments: &[String]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["simulate", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self { child, url }
    }

    /// Deploys to an agent; gives the deployment's id.
    pub(crate) fn deploy(&self, agent: &str) -> String {
        let body = self.ask("POST", &format!("/agents/{agent}"));
        body["desiredDeploymentId"].as_str().unwrap().to_owned()
    }

    /// The deployments that are desired, by agent.
    pub(crate) fn desired(&self) -> BTreeMap<String, String> {
        let list = self.ask("GET", "/agents");
        let services = list["services"].as_array().unwrap().iter();
        let word = |service: &Value, key: &str| service[key].as_str().unwrap().to_owned();
        services
            .map(|service| (word(service, "name"), word(service, "desiredDeploymentId")))
            .collect()
    }

    fn ask(&self, method: &str, path: &str) -> Value {
        use std::io::Write as _;
        let rest = self.url.strip_prefix("http://").unwrap();
        let (address, base) = rest.split_once('/').unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = format!(
            "{method} /{base}{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {KEY}\r\n\
             content-length: 2\r\nconnection: close\r\n\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Waits until something is so.
pub(crate) fn wait_until<T>(what: &str, check: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, check)
}

/// Waits until something is so, for no longer than that.
pub(crate) fn wait_within<T>(
    limit: Duration,
    what: &str,
    mut check: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
