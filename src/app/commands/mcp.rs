//! `mcp`: a server of read-only tools for coding agents, on stdin and stdout.

mod tools;

use std::collections::HashMap;
use std::io::{self, BufRead, Read as _};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::tools::Tools;
use super::signals::Signals;
use crate::adapters::output::{Level, Style};
use crate::app::cli::McpArgs;
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::core::mcp::{Call, Incoming, Server, invalid_request};
use crate::core::rollout::Interruption;

/// The longest line that is read, in bytes.
const MAX_LINE: usize = 1024 * 1024;
/// How long answers are waited for once the client has closed our stdin.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How many calls may be under way at once.
const MAX_CALLS: usize = 8;

/// What the client has sent.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// What ends a call, by the text of its id.
type Running = HashMap<String, Signals>;

/// Serves until the client closes our stdin, and answers what it asked before that, unless it takes long.
pub(super) async fn mcp(args: McpArgs, level: Level) -> Result<Ending, Error> {
    super::install(Style::Plain, level)?;
    let server = tools::server();
    let tools = Tools::new(args);
    let mut lines = read_lines().map_err(Error::Setup)?;
    let (progress, mut progressed) = mpsc::unbounded_channel();
    let mut running = Running::new();
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            // No notification of a call may follow its answer.
            Some((id, message)) = progressed.recv() => {
                if running.contains_key(&key(&id)) {
                    write(&message)?;
                }
            }
            Some(ended) = calls.join_next() => {
                let (id, answer) = ended.map_err(|_| Error::Lost)?;
                // Nobody waits for what was cancelled.
                if running.remove(&key(&id)).is_some() {
                    write(&answer)?;
                }
            }
            line = lines.recv() => match line {
                None => break,
                Some(line) => match incoming(&server, line) {
                    Incoming::Nothing => {}
                    Incoming::Answer(answer) => write(&answer)?,
                    Incoming::Cancel(id) => {
                        if let Some(signals) = running.remove(&key(&id)) {
                            signals.end(Interruption::Terminate);
                        }
                    }
                    Incoming::Call(call) => {
                        if let Some(refusal) = refusal(&server, &call, &running, calls.len()) {
                            write(&refusal)?;
                        } else {
                            let signals = Signals::unheard();
                            running.insert(key(&call.id), signals.clone());
                            calls.spawn(tools.clone().call(call, signals, progress.clone()));
                        }
                    }
                },
            },
        }
    }
    // Nothing more is asked: what is answered soon still is.
    let answers = async {
        while let Some(Ok((id, answer))) = calls.join_next().await {
            if running.remove(&key(&id)).is_some() {
                write(&answer)?;
            }
        }
        Ok(Ending::Done)
    };
    let answered = timeout(LAST_ANSWERS, answers).await;
    answered.unwrap_or(Ok(Ending::Done))
}

/// Why a call is not begun, if it is not.
fn refusal(server: &Server, call: &Call, running: &Running, under_way: usize) -> Option<Value> {
    if running.contains_key(&key(&call.id)) {
        let why = "a call with this id is under way";
        return Some(invalid_request(&call.id, why));
    }
    let why = "too many calls are under way: wait for one of them, or cancel it";
    (under_way >= MAX_CALLS).then(|| server.not_called(&call.id, why))
}

fn incoming(server: &Server, line: Line) -> Incoming {
    match line {
        Line::Whole(line) => server.incoming(&line),
        Line::TooLong => {
            let why = "the line is longer than 1 MiB";
            Incoming::Answer(invalid_request(&Value::Null, why))
        }
    }
}

/// An id as a key: the text "1" is not the number 1.
fn key(id: &Value) -> String {
    id.to_string()
}

fn write(message: &Value) -> Result<(), Error> {
    super::out(&format!("{message}\n"))
}

/// The lines of stdin up to its end.
fn read_lines() -> io::Result<mpsc::Receiver<Line>> {
    let (sender, receiver) = mpsc::channel(MAX_CALLS);
    let read = move || {
        let mut stdin = io::stdin().lock();
        while let Ok(Some(line)) = read_line(&mut stdin) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)?;
    Ok(receiver)
}

/// The next line; none at the end.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    if input.take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() < MAX_LINE || line.ends_with(b"\n") {
        return Ok(Some(Line::Whole(line)));
    }
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
        let mut text = vec![b'x'; MAX_LINE];
        text[MAX_LINE - 1] = b'\n';
        let longest = text.clone();
        text.extend(vec![b'y'; 2 * MAX_LINE]);
        text.extend(b"\nlast");
        let mut input = io::Cursor::new(text);
        let mut next = || read_line(&mut input).unwrap();
        assert!(next() == Some(Line::Whole(longest)), "the longest line");
        assert_eq!(next(), Some(Line::TooLong));
        assert_eq!(next(), Some(Line::Whole(b"last".to_vec())));
        assert_eq!(next(), None);
    }
}
