//! Writers for log lines that neither a terminal nor a CI log can obey.

use std::io::{self, Write};

use crate::core::text;

/// What a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One JSON object.
    Json,
    /// Text for people.
    Text,
}

/// Makes what is written harmless and hands it on, whole lines at a time.
///
/// The log formatter hands over one line with each write.
pub(super) struct Harmless<Sink: FnMut(&str)> {
    kind: Kind,
    sink: Sink,
}

impl<Sink: FnMut(&str)> Harmless<Sink> {
    pub(super) fn new(kind: Kind, sink: Sink) -> Self {
        Self { kind, sink }
    }
}

impl<Sink: FnMut(&str)> Write for Harmless<Sink> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        match self.kind {
            Kind::Json => (self.sink)(&text::harmless_json(text.trim_end())),
            Kind::Text => (self.sink)(&text::one_line(&text)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
