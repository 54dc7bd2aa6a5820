//! A program that is given the event on stdin. No shell reads its arguments.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{SinkError, Undelivered};
use crate::fleet::Notice;
use crate::text::one_line;

/// How long the program may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// How much is kept of the end of what it says on stderr.
const MOST_WORDS: usize = 1024;
/// What the program has no business to know.
const SECRETS: [&str; 2] = ["PIPECAT_API_KEY", "PCC_API_KEY"];

/// A program to run.
pub(super) struct Program {
    command: Vec<String>,
    time_limit: Duration,
}

impl Program {
    pub(super) fn new(command: Vec<String>) -> Result<Self, SinkError> {
        if command
            .first()
            .is_none_or(|program| program.trim().is_empty())
        {
            return Err(SinkError::NoProgram);
        }
        Ok(Self {
            command,
            time_limit: TIME_LIMIT,
        })
    }

    pub(super) async fn deliver(&self, notice: &Notice, source: &str) -> Result<(), Undelivered> {
        let event = format!("{}\n", notice.cloud_event(source));
        let child = self.command().spawn().map_err(|error| {
            Undelivered::retry(format!("the program cannot be started: {error}"))
        })?;
        let mut group = Group::of(&child);
        let ended = timeout(self.time_limit, converse(child, event.as_bytes())).await;
        let Ok(ended) = ended else {
            let limit = self.time_limit.as_secs();
            return Err(Undelivered::retry(format!(
                "the program took more than {limit} s, and was killed"
            )));
        };
        let (status, words) =
            ended.map_err(|error| Undelivered::retry(format!("the program was lost: {error}")))?;
        // What it has started may go on after it.
        group.let_go();
        if status.success() {
            return Ok(());
        }
        let words = one_line(&words);
        let words = if words.is_empty() {
            words
        } else {
            format!(": {words}")
        };
        Err(Undelivered::retry(format!(
            "the program ended with {status}{words}"
        )))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command
            .args(&self.command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

/// The program and all that it has started, killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // If it has ended meanwhile there is nobody to kill.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// Hands the event over, and waits for the end; gives the end of what was said on stderr.
async fn converse(
    mut child: Child,
    event: &[u8],
) -> io::Result<(std::process::ExitStatus, String)> {
    let stdin = child.stdin.take();
    let stderr = child.stderr.take();
    let told = async {
        if let Some(mut stdin) = stdin {
            // A program that does not want to know is free not to read.
            let _ = stdin.write_all(event).await;
        }
    };
    let heard = async {
        match stderr {
            Some(stderr) => tail(stderr).await,
            None => Vec::new(),
        }
    };
    // Whoever inherited stderr may hold it open for ever: the end of the program is what counts.
    tokio::pin!(told, heard);
    let mut words = Vec::new();
    let mut told_all = false;
    let mut heard_all = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            () = &mut told, if !told_all => told_all = true,
            said = &mut heard, if !heard_all => {
                words = said;
                heard_all = true;
            }
        }
    };
    if !heard_all && let Ok(said) = timeout(Duration::from_millis(100), &mut heard).await {
        words = said;
    }
    Ok((status, String::from_utf8_lossy(&words).into_owned()))
}

/// The last bytes of a stream.
async fn tail(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        let excess = kept.len().saturating_sub(MOST_WORDS);
        kept.drain(..excess);
    }
    kept
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::delivery::Then;
    use crate::fleet::{NoticeData, NoticeKind};

    fn notice() -> Notice {
        Notice {
            id: "a/1".to_owned(),
            kind: NoticeKind::AgentUnready,
            time: Timestamp::UNIX_EPOCH,
            data: NoticeData {
                agent: "a".to_owned(),
                ..NoticeData::default()
            },
        }
    }

    async fn deliver(command: &[&str]) -> Result<(), Undelivered> {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        Program::new(command)
            .unwrap()
            .deliver(&notice(), "https://source")
            .await
    }

    async fn why(command: &[&str]) -> String {
        let undelivered = deliver(command).await.unwrap_err();
        assert_eq!(undelivered.then, Then::Retry { after: None });
        undelivered.why
    }

    #[tokio::test]
    async fn the_event_is_on_stdin_and_arguments_are_no_shells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event");
        let script = "cat > \"$0\"; [ \"$1\" = '$(false); `x`' ]";
        let path_text = path.to_str().unwrap();
        deliver(&["/bin/sh", "-c", script, path_text, "$(false); `x`"])
            .await
            .unwrap();
        let event = std::fs::read_to_string(path).unwrap();
        let expected = notice().cloud_event("https://source").to_string() + "\n";
        assert_eq!(event, expected);
    }

    #[tokio::test]
    async fn a_failure_says_how_it_ended_and_what_it_said_last() {
        let script = "printf 'begin%4000s\\033[31mthe end\\nfor good' x >&2; exit 7";
        let why = why(&["/bin/sh", "-c", script]).await;
        assert!(
            why.starts_with("the program ended with exit status: 7: "),
            "{why}"
        );
        assert!(
            why.contains("the end") && why.ends_with("for good"),
            "{why}"
        );
        assert!(
            !why.contains("begin") && !why.contains(['\n', '\u{1b}']),
            "{why}"
        );
    }

    #[tokio::test]
    async fn who_is_not_there_is_named_as_that() {
        let why = why(&["/no/such/program"]).await;
        assert!(why.starts_with("the program cannot be started: "), "{why}");
        let none = Program::new(Vec::new()).map(drop);
        assert!(matches!(none, Err(SinkError::NoProgram)));
        let blank = Program::new(vec![" ".to_owned()]).map(drop);
        assert!(matches!(blank, Err(SinkError::NoProgram)));
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_is_no_failure() {
        deliver(&["/bin/true"]).await.unwrap();
        deliver(&["/bin/sh", "-c", "exec <&-; exit 0"])
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_it_leaves_behind_with_its_stderr_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let script = "mkfifo \"$0\"; (read x < \"$0\") & exit 3";
        let why = why(&["/bin/sh", "-c", script, fifo.to_str().unwrap()]).await;
        assert_eq!(why, "the program ended with exit status: 3");
        // The one left behind goes on until it has read its line.
        std::fs::write(fifo, "x\n").unwrap();
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_with_all_that_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        // Both the program and its child hold the fifo open for writing; only their end closes it.
        let script = "mkfifo \"$0\"; exec 9<>\"$0\"; touch \"$0.ready\"; sleep 1000 & sleep 1000";
        let path = fifo.to_str().unwrap();
        let command = ["/bin/sh", "-c", script, path].map(str::to_owned).to_vec();
        let program = Program {
            command,
            time_limit: Duration::from_secs(2),
        };
        let undelivered = program
            .deliver(&notice(), "https://source")
            .await
            .unwrap_err();
        assert_eq!(
            undelivered.why,
            "the program took more than 2 s, and was killed"
        );
        assert!(folder.path().join("fifo.ready").exists());
        let read = tokio::task::spawn_blocking(move || {
            let writer = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&fifo);
            let mut reader = std::fs::File::open(&fifo).unwrap();
            drop(writer);
            io::Read::read(&mut reader, &mut [0]).unwrap()
        });
        assert_eq!(read.await.unwrap(), 0, "nobody holds it open any more");
    }

    #[test]
    fn it_does_not_learn_the_key() {
        let program = Program::new(vec!["/bin/true".to_owned()]).unwrap();
        let command = program.command();
        let removed: Vec<_> = command.as_std().get_envs().collect();
        let expected = SECRETS.map(|secret| (std::ffi::OsStr::new(secret), None));
        assert_eq!(removed.len(), 2);
        assert!(
            expected.iter().all(|secret| removed.contains(secret)),
            "{removed:?}"
        );
    }
}
