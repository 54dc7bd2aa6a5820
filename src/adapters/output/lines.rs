//! The lines that the readable stories share, and how they reach stderr.

use std::io::{self, Write};
use std::time::Duration;

use crate::core::text::{one_line, short_duration};

/// `[  12.3s] my-agent: validating`
pub(super) fn line(agent: &str, at: Duration, words: &str) -> String {
    format!("[{:>7}] {}: {words}", short_duration(at), one_line(agent))
}

/// Writes lines to stderr in one piece. If nobody reads them there is nobody to tell, either.
pub(super) fn write(lines: &str) {
    let _ = io::stderr()
        .lock()
        .write_all(format!("{lines}\n").as_bytes());
}
