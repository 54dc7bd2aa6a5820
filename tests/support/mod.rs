//! What the test binaries share: the program as a process, servers of HTTP and https, the simulator,
//! the files of the project, and waiting with a bound.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod shared;
pub(crate) mod simulator;
pub(crate) mod tls;

/// The key of all tests. It must appear nowhere, nor any other secret, all of which hold [`SECRET`].
pub(crate) const KEY: &str = "sk_test_5ecret";
pub(crate) const SECRET: &str = "5ecret";

/// How long something that has to come may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// The time between two checks of what is waited for.
const STEP: Duration = Duration::from_millis(10);

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
        std::thread::sleep(STEP);
    }
}

/// The path of a file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a file of the project holds.
pub(crate) fn project_text(path: &str) -> String {
    let read = std::fs::read_to_string(project(path));
    read.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// JSON as a value.
pub(crate) fn parse_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// YAML as a value.
pub(crate) fn parse_yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Fails unless a value is as the schema of this name has it.
pub(crate) fn validate(name: &str, value: &Value) {
    let schema = project_text(&format!("config/schema/{name}"));
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&serde_json::from_str(&schema).unwrap())
        .unwrap();
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{value:#}\n{errors:#?}");
}

/// Makes a named pipe.
pub(crate) fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// A number that an environment variable may change.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}
