//! A deployment's id that a deploy script hands over through a pipe.

use std::io::{self, Read};

/// The most that is read: an id is a line.
const MOST: u64 = 4096;

/// Why stdin gives no id.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadStdin {
    /// It cannot be read.
    #[error("--deployment -: cannot read stdin")]
    Unreadable(#[source] io::Error),
    /// It is empty: the script before the pipe has said nothing.
    #[error("--deployment -: stdin holds no id; did the command before the pipe fail?")]
    Empty,
    /// It holds more than an id.
    #[error("--deployment -: stdin has to hold an id and nothing else, but has {0} words")]
    TooMuch(usize),
}

/// The only word on stdin.
pub(super) fn deployment_id() -> Result<String, BadStdin> {
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(MOST);
    stdin
        .read_to_string(&mut text)
        .map_err(BadStdin::Unreadable)?;
    let mut words = text.split_whitespace();
    match (words.next(), words.count()) {
        (None, _) => Err(BadStdin::Empty),
        (Some(id), 0) => Ok(id.to_owned()),
        (Some(_), more) => Err(BadStdin::TooMuch(more + 1)),
    }
}
