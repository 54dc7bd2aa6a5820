//! Real programs, well behaved and not.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::{MAX_SHOWN, SECRETS};
use crate::adapters::delivery::tests::{
    self, again_with, deliver, event, event_of, refused, unavailable,
};
use crate::adapters::delivery::{DEFAULT_TIMEOUT, DeliveryFailure, Kind, Sink, SinkError};

/// A program whose child tells whether it outlived it.
const SURVIVES: &str = "exec 3>\"$1\"; (sleep 60; echo survived >&3) & echo $$ >&3; wait";

fn command(parts: &[&str]) -> Result<Sink, SinkError> {
    tests::sink(Kind::Exec, &format!("command = {parts:?}"))
}

/// A shell that runs this script with this argument.
fn shell(script: &str, argument: &str) -> Sink {
    let config = Value::from(vec!["/bin/sh", "-c", script, "sh", argument]);
    tests::sink(Kind::Exec, &format!("command = {config}")).unwrap()
}

/// A named pipe in a folder of its own.
fn fifo() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    let mut command = std::process::Command::new("mkfifo");
    assert!(command.arg(&path).status().unwrap().success());
    (folder, path)
}

/// Opens a pipe that a program writes to, and reads its first line.
fn first_line(path: &Path) -> (String, BufReader<File>) {
    let mut reader = BufReader::new(File::open(path).unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    (line.trim().to_owned(), reader)
}

/// What was written until the last writer was gone.
async fn rest(mut reader: BufReader<File>) -> String {
    let read = move || {
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        rest
    };
    spawn_blocking(read).await.unwrap()
}

#[tokio::test]
async fn a_program_reads_the_event_and_its_arguments_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("$(touch owned) * 'x'");
    let program = shell("cat >\"$1\"", path.to_str().unwrap());
    deliver(&program, &event()).await.unwrap();
    let read = fs::read_to_string(path).unwrap();
    assert_eq!(read.lines().count(), 1);
    assert!(read.ends_with("}\n"), "{read}");
    let read: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(read, event().cloud_event(&tests::origin()));
}

#[tokio::test]
async fn the_exit_code_is_the_answer_and_the_end_of_stderr_the_reason() {
    for (script, reason) in [
        (
            "printf 'one \\033[31m\\n::two\\n' >&2; exit 3",
            "/bin/sh: exit status: 3: one ::two",
        ),
        ("exit 1", "/bin/sh: exit status: 1"),
        ("kill -9 $$", "/bin/sh: signal: 9 (SIGKILL)"),
    ] {
        assert_eq!(refused(&shell(script, "s3cret")).await, reason);
    }
    let later = unavailable(&shell("echo busy >&2; exit 75", "")).await;
    assert_eq!(later, "/bin/sh: exit status: 75: busy");
    let long = "head -c 300000 /dev/zero | tr '\\0' a >&2; printf 日e >&2; exit 1";
    let reason = refused(&shell(long, "")).await;
    let end = format!("{}日e", "a".repeat(MAX_SHOWN - "日e".len()));
    assert_eq!(reason, format!("/bin/sh: exit status: 1: {end}"));
    let within = format!("printf '日%{}s' . | tr ' ' x >&2; exit 1", MAX_SHOWN - 1);
    let reason = refused(&shell(&within, "")).await;
    let end = format!("{}.", "x".repeat(MAX_SHOWN - 2));
    assert_eq!(reason, format!("/bin/sh: exit status: 1: {end}"));
}

#[tokio::test]
async fn what_stderr_repeats_of_the_arguments_is_not_shown() {
    let script = "echo \"no $1, ${1#Bearer }\" >&2; echo \"more: $0\" >&2; exit 1";
    let reason = refused(&shell(script, "Bearer T0Ken_9/x")).await;
    assert_eq!(reason, "/bin/sh: exit status: 1: no [...], [...] more: sh");
    // Also where only its end would be shown.
    let script = "echo \"$1\" >&2; head -c \"$((1024 - 4))\" /dev/zero | tr '\\0' a >&2; exit 1";
    let reason = refused(&shell(script, "T0Ken_9/x")).await;
    assert!(!reason.contains("9/x"), "{reason}");
}

#[tokio::test]
async fn a_program_that_has_gone_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let program = command(&[path.to_str().unwrap()]).unwrap();
    fs::remove_file(&path).unwrap();
    let reason = unavailable(&program).await;
    let start = format!("cannot start {}: No such file", path.display());
    assert!(reason.starts_with(&start), "{reason}");
}

#[tokio::test]
async fn a_program_need_not_read_its_stdin_nor_write_to_stdout() {
    let large = event_of(&"x".repeat(1024 * 1024));
    for script in [
        "exit 0",
        "exec 0<&-; echo x >&2",
        "head -c 10 >/dev/null",
        // One that speaks at length before it listens.
        "head -c 300000 /dev/zero >&2; cat >/dev/null",
        "head -c 300000 /dev/zero; [ /dev/stdout -ef /dev/null ]",
    ] {
        let delivered = deliver(&shell(script, ""), &large).await;
        assert_eq!(delivered, Ok(()), "{script}");
    }
}

#[tokio::test]
async fn a_program_may_leave_a_child_behind() {
    for (script, ended) in [
        ("(read line <\"$1\") & exit 0", None),
        (
            "(read line <\"$1\") & echo said >&2; exit 1",
            Some("/bin/sh: exit status: 1: said"),
        ),
    ] {
        // A pipe each: the child before may not have closed it yet.
        let (_folder, path) = fifo();
        let program = shell(script, path.to_str().unwrap());
        // The child holds stderr open.
        let delivered = deliver(&program, &event()).await;
        // It still lives: without a reader, the pipe would not open.
        let (opened, opens) = mpsc::channel();
        std::thread::spawn(move || opened.send(fs::write(path, "\n")));
        let written = opens.recv_timeout(Duration::from_mins(1)).unwrap();
        assert!(written.is_ok(), "{written:?}");
        let reason = delivered.err().map(|error| error.reason);
        assert_eq!(reason.as_deref(), ended);
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_takes_too_long_is_killed_with_all_that_it_started() {
    let (_folder, path) = fifo();
    let program = shell(SURVIVES, path.to_str().unwrap());
    // The clock stands still while a blocking task runs.
    let (over, until_over) = mpsc::channel::<()>();
    let standstill = spawn_blocking(move || until_over.recv());
    let event = event();
    let attempt = deliver(&program, &event);
    let pass_time = async {
        let started = spawn_blocking(move || first_line(&path)).await.unwrap();
        tokio::time::advance(DEFAULT_TIMEOUT).await;
        started
    };
    let (delivered, (_, reader)) = tokio::join!(attempt, pass_time);
    let error = delivered.unwrap_err();
    assert_eq!(error.failure, DeliveryFailure::TimedOut);
    assert_eq!(error.reason, "it took longer than 15.0s");
    assert_eq!(rest(reader).await, "");
    drop(over);
    assert!(standstill.await.unwrap().is_err());
}

#[tokio::test]
async fn an_attempt_that_is_dropped_leaves_nothing_behind() {
    let (_folder, path) = fifo();
    let program = shell(SURVIVES, path.to_str().unwrap());
    let event = event();
    let (_, reader) = tokio::select! {
        ended = deliver(&program, &event) => panic!("{ended:?}"),
        started = spawn_blocking(move || first_line(&path)) => started.unwrap(),
    };
    assert_eq!(rest(reader).await, "");
}

/// Runs in a process of its own, since a test must not change the environment of the others.
#[test]
fn a_program_does_not_see_the_key() {
    let mut variables: Vec<(&str, &str)> = SECRETS.iter().map(|name| (*name, "s3cret")).collect();
    variables.push(("OTHER", "x"));
    let name = "adapters::delivery::exec::tests::a_program_does_not_see_the_key";
    again_with(&variables, name, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let program = shell("env | grep s3cret >&2; echo $OTHER >&2; exit 1", "");
        let reason = runtime.unwrap().block_on(refused(&program));
        assert_eq!(reason, "/bin/sh: exit status: 1: x");
        // From a file, it may know it all the same.
        let program = shell("echo s3; echo s3cr''et >&2; exit 1", "");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let reason = runtime.unwrap().block_on(refused(&program));
        assert_eq!(reason, "/bin/sh: exit status: 1: [...]");
    });
}

#[test]
fn a_command_names_a_program_that_can_be_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notify");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    let (file, folder) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
    for parts in [&["sh", "", "-x"][..], &["/bin/sh"]] {
        assert!(command(parts).is_ok(), "{parts:?}");
    }
    for (parts, reason) in [
        (&[][..], "it names no program"),
        (&["", "x"], "it names no program"),
        (&[" "], "it names no program"),
        (
            &["no-such-program"],
            "no-such-program: there is no such program in PATH",
        ),
        (
            &["/no/such"],
            "/no/such: No such file or directory (os error 2)",
        ),
        (&[folder], &format!("{folder}: it is not a file")),
        (&[file], &format!("{file}: it may not be executed")),
    ] {
        let error = command(parts).unwrap_err();
        assert_eq!(error.to_string(), format!("command: {reason}"));
    }
    let nul = tests::sink(Kind::Exec, "command = [\"sh\", \"a\\u0000b\"]");
    assert_eq!(
        nul.unwrap_err().to_string(),
        "command: it holds a NUL character"
    );
}
