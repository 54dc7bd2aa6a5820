//! The first signal ends the watch with its report, a later one the process; a reader that reads
//! nothing delays neither.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::mpsc;

use crate::harness::{Test, normal, read_json};
use crate::server::{Server, agent, play};
use crate::support::http::answer;
use crate::support::process::Signal;
use crate::support::{make_fifo, parse_json, wait_until};

#[test]
fn an_interrupted_watch_still_reports() {
    for (signal, word, code) in [
        (Signal::HUP, "by SIGHUP (the terminal is gone)", 129),
        (Signal::INT, "by SIGINT", 130),
        (Signal::TERM, "by SIGTERM", 143),
    ] {
        let server = play(vec![agent(false)]);
        let (process, folder) =
            Test::against(&server.url(), "wait my-agent --report-file report.json").start();
        // With the second poll the first answer has been taken in.
        server.wait_for_requests(2);
        process.signal(signal);
        let left = process.end();
        assert_eq!(left.code(), code, "{left:?}");
        assert_eq!(
            normal(&left.stdout),
            format!("my-agent: interrupted after TIME, deployment new: {word}, while validating\n")
        );
        assert_eq!(
            left.stderr.lines().last().unwrap(),
            "  next        the rollout itself goes on: pipecat-rollout status my-agent"
        );
        let report = read_json(&folder.path().join("report.json"));
        assert_eq!(report["exitCode"], code);
        assert_eq!(report["agents"][0]["verdict"], "interrupted");
    }
}

#[test]
fn a_request_under_way_does_not_delay_it() {
    let server = Server::start(|_, stream| drop(stream.read(&mut [0])));
    let (process, _folder) = Test::against(&server.url(), "status my-agent --output json").start();
    server.wait_for_requests(1);
    process.signal(Signal::TERM);
    let left = process.end();
    assert_eq!(left.code(), 143, "{left:?}");
    assert!(left.stdout.starts_with("{\"exitCode\":143,"), "{left:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_second_signal_at_once_changes_nothing() {
    // GNU timeout sends one to the process, and then one to its group. Of two different ones either may be
    // delivered first.
    for (first, second, codes) in [
        (Signal::TERM, Signal::TERM, [143, 143]),
        (Signal::INT, Signal::TERM, [130, 143]),
        (Signal::HUP, Signal::INT, [129, 130]),
    ] {
        let server = play(vec![agent(false)]);
        let (process, folder) =
            Test::against(&server.url(), "wait my-agent --report-file report.json").start();
        server.wait_for_requests(1);
        process.signal(first);
        process.signal(second);
        let left = process.end();
        assert!(codes.contains(&left.code()), "{left:?}");
        assert_eq!(files(folder.path()), ["report.json"]);
    }
}

#[test]
fn a_second_signal_after_two_seconds_ends_the_process_whatever_it_is_stuck_in() {
    let server = play(vec![agent(false)]);
    let test = Test::against(
        &server.url(),
        "wait my-agent --report-file report.json --junit fifo --progress none",
    );
    let fifo = test.folder().join("fifo");
    make_fifo(&fifo);
    let (filled, is_full) = mpsc::channel();
    // Who reads so slowly keeps it for a minute and more.
    std::thread::spawn(move || {
        let mut reader = std::fs::File::open(fifo).unwrap();
        fill(&reader);
        filled.send(()).unwrap();
        let mut byte = [0];
        while reader.read(&mut byte).is_ok_and(|count| count > 0) {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    let (mut process, folder) = test.start();
    is_full.recv().unwrap();
    server.wait_for_requests(1);
    let began = std::time::Instant::now();
    let status = wait_until("it has ended", || {
        // The first ends the watch; those that come too early after it do not count.
        process.signal(Signal::TERM);
        process.child.try_wait().unwrap()
    });
    assert_eq!(status.signal(), Some(15), "{status}");
    assert!(began.elapsed() >= std::time::Duration::from_secs(2));
    assert_eq!(files(folder.path()), ["fifo", "report.json"]);
}

/// Fills a FIFO to the brim, from its other end.
fn fill(fifo: &std::fs::File) {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    let path = format!("/proc/self/fd/{}", fifo.as_raw_fd());
    let mut options = std::fs::File::options();
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap(),
    );
    let mut writer = options.write(true).open(path).unwrap();
    while writer.write(b"x").is_ok() {}
}

/// The names of the files in a folder.
fn files(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_hangup_ends_the_watch_unless_it_is_ignored() {
    let server = play(vec![agent(false)]);
    let arguments = [
        "-c",
        "trap '' HUP; exec \"$0\" wait my-agent --progress none --output json --timeout 3s",
        crate::support::process::PROGRAM,
    ];
    let (process, _folder) = Test::of("/bin/sh", arguments)
        .env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_API_KEY", crate::support::KEY)
        .start();
    server.wait_for_requests(1);
    process.signal(Signal::HUP);
    let left = process.end();
    assert_eq!(left.code(), 124, "{left:?}");
}

/// Writes so much to stderr that a pipe that nobody reads is soon full.
const NOISY: &str = "wait my-agent --poll-interval 1ms --max-rps 1000 -vv --progress json";

#[test]
fn a_stderr_that_nobody_reads_delays_neither_deadline_nor_signal() {
    for (signal, timeout, code) in [(None, "6s", 124), (Some(Signal::TERM), "1h", 143)] {
        let server = play(vec![agent(false)]);
        let (unread, stderr) = std::io::pipe().unwrap();
        let (process, folder) =
            Test::against(&server.url(), &format!("{NOISY} --timeout {timeout}"))
                .arg("--report-file=r.json")
                .stderr_to(stderr)
                .start();
        wait_until_full(&unread);
        if let Some(signal) = signal {
            process.signal(signal);
        }
        let left = process.end();
        assert_eq!(left.code(), code, "{left:?}");
        assert!(left.stdout.starts_with("my-agent: "), "{left:?}");
        assert!(folder.path().join("r.json").exists());
        drop(unread);
    }
}

#[test]
fn lines_that_nobody_read_in_time_are_counted() {
    let server = play(vec![agent(false)]);
    let (mut unread, stderr) = std::io::pipe().unwrap();
    let run = Test::against(&server.url(), NOISY).stderr_to(stderr);
    let (process, _folder) = run.start();
    wait_until_full(&unread);
    // As many again as fit into the queue behind the pipe.
    server.wait_for_requests(server.times().len() + 2000);
    process.signal(Signal::TERM);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        unread.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(process.end().code(), 143);
    let text = reader.join().unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(parse_json).collect();
    let note = |line: &&serde_json::Value| {
        let message = line["message"].as_str().unwrap();
        message.contains("left out here: nobody read them in time")
    };
    assert_eq!(lines.iter().find(note).unwrap()["level"], "WARN");
    assert!(lines.iter().any(|line| line["event"] == "finished"));
}

#[test]
fn a_stdout_that_nobody_reads_ends_in_exit_1_with_all_files() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fill_pipe(&mut writer);
    let server = play(vec![agent(true)]);
    let test = Test::against(
        &server.url(),
        "wait my-agent --progress none --report-file r.json",
    );
    let report = test.folder().join("r.json");
    test.stdout_to(writer)
        .status(1)
        .stderr("error: cannot write the result to stdout: nobody reads it\n")
        .afterwards(move || assert!(report.exists()))
        .run();
    drop(reader);
}

#[test]
fn a_slow_reader_gets_the_whole_result() {
    let message = "x".repeat(300_000);
    let server = play(vec![crate::server::crashing(4, &message)]);
    for flags in [rustix::fs::OFlags::empty(), rustix::fs::OFlags::NONBLOCK] {
        let (mut reader, writer) = std::io::pipe().unwrap();
        rustix::fs::fcntl_setfl(&writer, flags).unwrap();
        let slow = std::thread::spawn(move || {
            let mut text = Vec::new();
            let mut bytes = [0; 16 * 1024];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                text.extend_from_slice(&bytes[..count]);
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            text
        });
        Test::against(&server.url(), "wait my-agent --progress none --output json")
            .stdout_to(writer)
            .status(10)
            .run();
        let report: serde_json::Value = serde_json::from_slice(&slow.join().unwrap()).unwrap();
        let message = report["agents"][0]["reason"]["message"].as_str().unwrap();
        assert_eq!(message.len(), 300_000);
    }
}

/// Fills a pipe to the brim, and leaves it blocking.
fn fill_pipe(writer: &mut std::io::PipeWriter) {
    use std::io::Write as _;
    rustix::fs::fcntl_setfl(&*writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(b"x").is_ok() {}
    rustix::fs::fcntl_setfl(&*writer, rustix::fs::OFlags::empty()).unwrap();
}

/// Waits until a pipe that nobody reads holds no more.
fn wait_until_full(pipe: &impl std::os::fd::AsFd) {
    let (mut before, mut same) = (0, 0);
    wait_until("a pipe is full", || {
        let now = rustix::io::ioctl_fionread(pipe).unwrap();
        let is_full = now == before && now > 48 * 1024;
        (before, same) = (now, if is_full { same + 1 } else { 0 });
        (same == 20).then_some(())
    });
}

#[test]
fn no_rollout_is_said_to_go_on_where_there_is_none() {
    let absent = answer(
        "404 Not Found",
        "",
        r#"{"error":"agent not found","code":"404"}"#,
    );
    let server = play(vec![absent]);
    let (process, _folder) = Test::against(&server.url(), "wait nf").start();
    server.wait_for_requests(2);
    process.signal(Signal::TERM);
    let left = process.end();
    assert_eq!(left.code(), 143, "{left:?}");
    assert!(!left.stderr.contains("goes on"), "{}", left.stderr);
}
