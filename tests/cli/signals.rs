//! The first signal ends the watch with its report, the second the process.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::mpsc;

use crate::harness::{Test, finish, normal};
use crate::server::{Server, agent, read_head, send};

fn signal(child: &Child, number: i32) {
    let status = std::process::Command::new("kill")
        .args([format!("-{number}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn an_interrupted_watch_still_reports() {
    for (number, word, code) in [
        (2, "interrupted (SIGINT)", 130),
        (15, "terminated (SIGTERM)", 143),
    ] {
        let (asked, first_poll) = mpsc::channel();
        let server = Server::start(move |_, stream| {
            send(stream, &agent(false));
            let _ = asked.send(());
        });
        let (child, folder) =
            Test::against(&server.url(), "wait my-agent --report-file report.json").start();
        // With the second poll the first answer has been taken in.
        first_poll.recv().unwrap();
        first_poll.recv().unwrap();
        signal(&child, number);
        let (status, left) = finish(child);
        assert_eq!(status.code(), Some(code), "{left:?}");
        assert_eq!(
            normal(&left.stdout),
            format!(
                "my-agent: interrupted after TIME, deployment new: {word} in phase validating, after TIME\n"
            )
        );
        assert_eq!(
            left.stderr.lines().last().unwrap(),
            "  next        the rollout itself goes on: pipecat-rollout status my-agent"
        );
        let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["exitCode"], code);
        assert_eq!(report["agents"][0]["verdict"], "interrupted");
    }
}

#[test]
fn a_request_under_way_does_not_delay_it() {
    let (asked, first_poll) = mpsc::channel();
    let server = Server::start(move |_, stream| {
        let _ = asked.send(());
        let _ = read_head(&*stream);
    });
    let (child, _folder) = Test::against(&server.url(), "status my-agent --output json").start();
    first_poll.recv().unwrap();
    signal(&child, 15);
    let (status, left) = finish(child);
    assert_eq!(status.code(), Some(143), "{left:?}");
    assert!(left.stdout.starts_with("{\"exitCode\":143,"), "{left:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_second_signal_ends_the_process_even_where_its_story_is_stuck() {
    let server = Server::start(|_, stream| send(stream, &agent(false)));
    // Nobody reads what it writes: with a full pipe it is stuck in a write.
    let (mut child, _folder) = Test::against(
        &server.url(),
        "wait my-agent --poll-interval 1ms -vv --progress json",
    )
    .start();
    let stderr = child.stderr.take().unwrap();
    wait_until_full(&stderr);
    signal(&child, 15);
    let mut sent = 1;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        // Whether the first has been taken in cannot be seen from outside: ask again.
        signal(&child, 15);
        sent += 1;
        std::thread::yield_now();
    };
    assert_eq!(status.signal(), Some(15), "{status} after {sent} signals");
}

/// Waits until a pipe that nobody reads holds no more.
fn wait_until_full(pipe: &impl std::os::fd::AsFd) {
    use rustix::io::ioctl_fionread;
    let mut before = 0;
    let mut same = 0;
    while same < 20 {
        let now = ioctl_fionread(pipe).unwrap();
        same = if now == before && now > 0 {
            same + 1
        } else {
            0
        };
        before = now;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
