//! Ends that only show with a resolver or a mount of their own: in a namespace, where the system lets
//! an ordinary user have one.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::Test;
use crate::support::KEY;
use crate::support::process::PROGRAM;

/// Has the next port 53 be a resolver that never answers, and the shell's arguments run.
const DEAD_RESOLVER: &str = r#"
ip link set lo up
echo "nameserver 127.0.0.1" > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
perl -MIO::Socket::INET -e '
    $socket = IO::Socket::INET->new(LocalAddr => "127.0.0.1:53", Proto => "udp") or exit 1;
    open(READY, ">ready"); close(READY); sleep 120' &
while [ ! -e ready ]; do kill -0 $! || exit 77; sleep 0.1; done
"$@"
status=$?
kill $!
exit $status
"#;

/// A run of the program by a shell's script, in namespaces of its own; `None` where there are none.
fn in_a_namespace(script: &str, arguments: &str) -> Option<Test> {
    let probe = "ip link set lo up && perl -MIO::Socket::INET -e 1";
    let able = Command::new("unshare")
        .args(["-rmn", "sh", "-c", probe])
        .output();
    if !able.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let own = ["-rmn", "sh", "-c", script, "sh", PROGRAM];
    let all = own.into_iter().chain(arguments.split_whitespace());
    let path = std::env::var_os("PATH").unwrap();
    Some(
        Test::of("unshare", all)
            .env("PATH", path)
            .env("PIPECAT_API_KEY", KEY)
            .env("PIPECAT_API_URL", "https://api.pipecat.test/v1"),
    )
}

#[test]
fn a_dead_resolver_delays_neither_deadline_nor_signal() {
    let deadline = "wait my-agent --timeout 1s --progress none";
    let Some(test) = in_a_namespace(DEAD_RESOLVER, deadline) else {
        return;
    };
    let began = Instant::now();
    test.status(5)
        .stdout_starts("my-agent: unavailable after")
        .run();
    // getaddrinfo alone asks for ten seconds and more.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    let signal = format!("set -- timeout 1 \"$@\"\n{DEAD_RESOLVER}");
    let test = in_a_namespace(
        &signal,
        "wait my-agent --progress none --report-file r.json",
    );
    let began = Instant::now();
    let test = test.unwrap();
    let report = test.folder().join("r.json");
    test.status(124)
        .stdout_starts("my-agent: interrupted after")
        .afterwards(move || assert!(report.exists()))
        .run();
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_report_file_that_is_mounted_by_itself_is_written_in_place() {
    let script = "ip link set lo up && mount --bind report.json report.json && exec \"$@\"";
    let arguments = "wait my-agent --simulate rolling-update --speed 20 --progress none --report-file report.json";
    let Some(test) = in_a_namespace(script, arguments) else {
        return;
    };
    let folder = test.folder();
    test.file("report.json", "old ".repeat(5000))
        .stdout_starts("my-agent: ready after")
        .afterwards(move || {
            let report = std::fs::read(folder.join("report.json")).unwrap();
            let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
            assert_eq!(report["exitCode"], 0);
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        })
        .run();
}
