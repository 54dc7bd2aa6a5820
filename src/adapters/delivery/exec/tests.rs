//! Real programs, well behaved and not.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::*;
use crate::adapters::delivery::Then;
use crate::adapters::delivery::tests::{SOURCE, again_with, notice, notice_of};

/// A program whose child tells whether it outlived it.
const SURVIVES: &str = "exec 3>\"$1\"; (sleep 60; echo survived >&3) & echo $$ >&3; wait";

/// A shell that runs this script with this argument.
fn shell(script: &str, argument: &str) -> Program {
    let command = ["/bin/sh", "-c", script, "sh", argument];
    Program::new(command.map(str::to_owned).to_vec()).unwrap()
}

async fn run(script: &str) -> Result<(), Undelivered> {
    shell(script, "").deliver(&notice(), SOURCE).await
}

async fn why(script: &str) -> String {
    let undelivered = run(script).await.unwrap_err();
    assert_eq!(undelivered.then, Then::Retry { after: None });
    undelivered.why
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
    program.deliver(&notice(), SOURCE).await.unwrap();
    let read = fs::read_to_string(path).unwrap();
    assert_eq!(read.lines().count(), 1);
    assert!(read.ends_with("}\n"), "{read}");
    let event: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(event, notice().cloud_event(SOURCE));
}

#[tokio::test]
async fn a_program_that_fails_is_told_of_with_its_stderr() {
    assert_eq!(
        why("printf 'one \\033[31m\\n::two\\n' >&2; exit 3").await,
        "/bin/sh ended with exit code 3: one ::two"
    );
    assert_eq!(why("exit 1").await, "/bin/sh ended with exit code 1");
    assert_eq!(why("kill -9 $$").await, "/bin/sh was ended by signal 9");
    let missing = Program::new(vec!["/no/such\u{1b}[m/program".to_owned()]).unwrap();
    let undelivered = missing.deliver(&notice(), SOURCE).await.unwrap_err();
    assert_eq!(undelivered.then, Then::Retry { after: None });
    let start = "cannot start /no/such/program: No such file";
    assert!(undelivered.why.starts_with(start), "{undelivered}");
}

#[tokio::test]
async fn of_a_long_stderr_the_end_is_told() {
    let told = why("head -c 300000 /dev/zero | tr '\\0' a >&2; echo end >&2; exit 1").await;
    let said = told
        .strip_prefix("/bin/sh ended with exit code 1: ")
        .unwrap();
    assert_eq!(said, format!("{}end", "a".repeat(TOLD - "end\n".len())));
    assert_eq!(tail("é".as_bytes()), "é".as_bytes());
    assert_eq!(tail(&"日本".as_bytes()[1..]), "本".as_bytes());
}

#[tokio::test]
async fn a_program_need_not_read_its_stdin() {
    let large = notice_of(&"x".repeat(1024 * 1024));
    for script in [
        "exit 0",
        "exec 0<&-; echo x >&2",
        "head -c 10 >/dev/null",
        // One that speaks at length before it listens.
        "head -c 300000 /dev/zero >&2; cat >/dev/null",
    ] {
        let delivered = shell(script, "").deliver(&large, SOURCE).await;
        assert_eq!(delivered, Ok(()), "{script}");
    }
}

#[tokio::test]
async fn stdout_is_discarded() {
    assert_eq!(
        run("head -c 300000 /dev/zero; [ /dev/stdout -ef /dev/null ]").await,
        Ok(())
    );
}

#[tokio::test]
async fn a_program_may_leave_a_child_behind() {
    for (script, ended) in [
        ("(read line <\"$1\") & exit 0", None),
        (
            "(read line <\"$1\") & echo said >&2; exit 1",
            Some("/bin/sh ended with exit code 1: said"),
        ),
    ] {
        // A pipe each: the child before may not have closed it yet.
        let (_folder, path) = fifo();
        let program = shell(script, path.to_str().unwrap());
        // The child holds stderr open.
        let delivered = program.deliver(&notice(), SOURCE).await;
        // It still lives: without a reader, the pipe would not open.
        let (opened, opens) = mpsc::channel();
        std::thread::spawn(move || opened.send(fs::write(path, "\n")));
        let written = opens.recv_timeout(Duration::from_mins(1)).unwrap();
        assert!(written.is_ok(), "{written:?}");
        let why = delivered.err().map(|undelivered| undelivered.why);
        assert_eq!(why.as_deref(), ended);
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_end_is_killed_with_all_that_it_started() {
    let (_folder, path) = fifo();
    let program = shell(
        &format!("echo stuck >&2; {SURVIVES}"),
        path.to_str().unwrap(),
    );
    // The clock stands still while a blocking task runs.
    let (over, until_over) = mpsc::channel::<()>();
    let standstill = spawn_blocking(move || until_over.recv());
    let notice = notice();
    let deliver = program.deliver(&notice, SOURCE);
    let pass_time = async {
        let started = spawn_blocking(move || first_line(&path)).await.unwrap();
        tokio::time::advance(LIMIT).await;
        started
    };
    let (delivered, (id, reader)) = tokio::join!(deliver, pass_time);
    let undelivered = delivered.unwrap_err();
    assert_eq!(undelivered.then, Then::Retry { after: None });
    let told = "/bin/sh did not end within 30.0s: stuck";
    assert_eq!(undelivered.why, told);
    let id = Pid::from_raw(id.parse().unwrap()).unwrap();
    let gone = rustix::process::test_kill_process(id);
    assert_eq!(gone, Err(rustix::io::Errno::SRCH), "it was not reaped");
    assert_eq!(rest(reader).await, "");
    drop(over);
    assert!(standstill.await.unwrap().is_err());
}

#[tokio::test]
async fn an_attempt_that_is_dropped_leaves_nothing_behind() {
    let (_folder, path) = fifo();
    let program = shell(SURVIVES, path.to_str().unwrap());
    let notice = notice();
    let (_, reader) = tokio::select! {
        ended = program.deliver(&notice, SOURCE) => panic!("{ended:?}"),
        started = spawn_blocking(move || first_line(&path)) => started.unwrap(),
    };
    assert_eq!(rest(reader).await, "");
}

/// Runs in a process of its own, since a test must not change the environment of the others.
#[test]
fn a_program_does_not_see_the_key() {
    let keys = [
        ("PIPECAT_API_KEY", "sk_1"),
        ("PCC_API_KEY", "sk_2"),
        ("PIPECAT_CLOUD_API_KEY", "sk_3"),
        ("PIPECAT_TOKEN", "pcc_pat_4"),
        ("PIPECAT_ROLLOUT_WEBHOOK", "https://example.com/T0Ken_1"),
        ("OTHER", "x"),
    ];
    let name = "adapters::delivery::exec::tests::a_program_does_not_see_the_key";
    let script = "echo ${PIPECAT_API_KEY-none} ${PCC_API_KEY-none} ${PIPECAT_CLOUD_API_KEY-none} \
                  ${PIPECAT_TOKEN-none} ${PIPECAT_ROLLOUT_WEBHOOK-none} $OTHER >&2; exit 1";
    again_with(&keys, name, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let told = runtime.unwrap().block_on(why(script));
        assert_eq!(
            told,
            "/bin/sh ended with exit code 1: none none none none none x"
        );
    });
}

#[tokio::test]
async fn an_argument_that_may_be_a_secret_is_not_repeated() {
    for (argument, told) in [
        ("s3cr3t_t0ken", "[...]"),
        ("--token=s3cr3t_t0ken", "--token=[...]"),
        (
            "https://example.com/hooks/T0Ken_1",
            "https://example.com[...]",
        ),
        (
            "--to=https://u:passw0rd@example.com/",
            "--to=https://u:[...]@example.com/",
        ),
        (
            "curl 'https://example.com/T0Ken_1'",
            "curl 'https://example.com[...]'",
        ),
        ("/etc/notify.conf", "/etc/notify.conf"),
        ("--verbosely", "--verbosely"),
        ("#general", "#general"),
        ("a long text", "a long text"),
    ] {
        let program = shell("echo \"at $1\" >&2; exit 1", argument);
        let why = program.deliver(&notice(), SOURCE).await.unwrap_err().why;
        assert_eq!(why, format!("/bin/sh ended with exit code 1: at {told}"));
    }
    // What is told begins within it.
    let script = "(printf %s \"$1\"; printf %1018s . | tr ' ' x) >&2; exit 1";
    let program = shell(script, "s3cr3t_t0ken");
    let why = program.deliver(&notice(), SOURCE).await.unwrap_err().why;
    let rest = "x".repeat(1017);
    assert_eq!(why, format!("/bin/sh ended with exit code 1: [...]{rest}."));
}

#[test]
fn a_command_names_a_program() {
    let bad = |command: &[&str]| {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        Program::new(command).err()
    };
    assert_eq!(bad(&["notify", ""]), None);
    assert_eq!(bad(&[]), Some(BadCommand::NoProgram));
    assert_eq!(bad(&["", "x"]), Some(BadCommand::NoProgram));
    assert_eq!(bad(&[" "]), Some(BadCommand::NoProgram));
    assert_eq!(bad(&["notify", "a\0b"]), Some(BadCommand::Nul));
}
