//! The one place that writes to stdout and stderr, and that never waits long for who reads them.
//!
//! Stderr is written by a thread of its own, from a queue: a reader that has stopped reading holds up
//! neither a deadline nor a signal. Where the queue is full the oldest lines are dropped, counted and
//! reported.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::core::messages::count;

/// How long a reader may read nothing at all before the end no longer waits for it.
const PATIENCE: Duration = Duration::from_millis(700);

/// How much is queued for stderr at most, in bytes.
const MAX_QUEUED: usize = 256 * 1024;

/// How much is written at a time: a pipe takes that much in one piece, so that progress shows.
const CHUNK: usize = 4096;

/// How the number of dropped lines is reported, where not in plain words.
static DROPPED_NOTE: OnceLock<fn(usize) -> String> = OnceLock::new();

static STDERR: LazyLock<Arc<Queue<io::Stderr>>> = LazyLock::new(|| Queue::start(io::stderr()));

/// Writes a text and a line break to stderr, some time soon.
pub(crate) fn err(text: &str) {
    STDERR.push(text.to_owned() + "\n");
}

/// Writes a text to stderr as it is, without a line break of its own.
pub(super) fn err_raw(text: String) {
    STDERR.push(text);
}

/// Draws something on stderr that nobody misses, and gives whether it did: not while it is behind.
pub(super) fn draw(frame: String) -> bool {
    let idle = STDERR.is_idle();
    if idle {
        STDERR.push(frame);
    }
    idle
}

/// Waits until stderr has been written, as long as somebody reads it.
pub(crate) fn flush_err() {
    // If nobody reads it nobody would read why.
    let _ = STDERR.flush();
}

/// Has the number of dropped lines reported in these words from now on.
pub(super) fn report_dropped(note: fn(usize) -> String) {
    let _ = DROPPED_NOTE.set(note);
}

/// Writes a text to stdout, however long that takes. That nobody reads it any more is no error.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn out(text: &str) -> io::Result<()> {
    flush_err();
    unless_broken(write_all(&io::stdout(), text.as_bytes(), |_| ()))
}

/// Writes a text to stdout, but waits only as long as somebody reads it. That nobody does so any more
/// is no error.
///
/// # Errors
/// When stdout cannot be written, or is open and nobody reads it.
pub(super) fn out_while_read(text: &str) -> io::Result<()> {
    flush_err();
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    unless_broken(write_while_read(stdout, text))
}

/// Writes a text to a pipe or a device, but waits only as long as somebody reads it.
///
/// # Errors
/// When it cannot be written, or nobody reads it.
pub(super) fn write_while_read(fd: OwnedFd, text: &str) -> io::Result<()> {
    let queue = Queue::start(fd);
    queue.push(text.to_owned());
    queue.flush()
}

/// Writes all of it, chunk by chunk, and says how many bytes each was. A descriptor that does not
/// block is waited for.
fn write_all(fd: &impl AsFd, bytes: &[u8], mut wrote: impl FnMut(usize)) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(fd, &rest[..rest.len().min(CHUNK)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                rest = &rest[count..];
                wrote(count);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                // If it cannot be waited for, the next try says why.
                let _ = poll(&mut [PollFd::new(fd, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn unless_broken(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// What waits to be written by a thread of its own.
struct Queue<Fd> {
    fd: Fd,
    waiting: Mutex<Waiting>,
    /// Something came, or all is written.
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    texts: VecDeque<String>,
    bytes: usize,
    /// Lines dropped before the first of the texts.
    dropped: usize,
    is_writing: bool,
    /// Bytes written so far.
    written: usize,
    /// How much had been written when the last flush gave up: there is no use in another until that
    /// is more.
    given_up_at: Option<usize>,
    /// Why the last text could not be written.
    failure: Option<io::Error>,
}

impl<Fd: AsFd + Send + Sync + 'static> Queue<Fd> {
    fn start(fd: Fd) -> Arc<Self> {
        let queue = Arc::new(Self {
            fd,
            waiting: Mutex::default(),
            changed: Condvar::new(),
        });
        let writer = Arc::clone(&queue);
        // Without a thread nothing is to be seen of it, but all else goes on.
        let _ = thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.write_all());
        queue
    }

    /// Queues a text. The oldest make room for it: what comes last says how it ended.
    fn push(&self, text: String) {
        let mut waiting = self.lock();
        waiting.bytes += text.len();
        waiting.texts.push_back(text);
        while waiting.bytes > MAX_QUEUED && waiting.texts.len() > 1 {
            let oldest = waiting.texts.pop_front().unwrap_or_default();
            waiting.bytes -= oldest.len();
            waiting.dropped += oldest.lines().count();
        }
        self.changed.notify_all();
    }

    fn is_idle(&self) -> bool {
        self.lock().is_idle()
    }

    /// Waits until all is written, as long as somebody reads it.
    fn flush(&self) -> io::Result<()> {
        let is_unread = || Err(io::Error::new(ErrorKind::TimedOut, "nobody reads it"));
        // What lies in a pipe also shows a reader that takes less than a chunk at a time.
        let unread = || rustix::io::ioctl_fionread(&self.fd).unwrap_or(0);
        let mut waiting = self.lock();
        if waiting.given_up_at == Some(waiting.written) {
            return is_unread();
        }
        loop {
            let before = (waiting.written, unread());
            let busy = |waiting: &mut Waiting| !waiting.is_idle();
            let waited = self.changed.wait_timeout_while(waiting, PATIENCE, busy);
            let timeout;
            (waiting, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if !timeout.timed_out() {
                return waiting.failure.take().map_or(Ok(()), Err);
            }
            if (waiting.written, unread()) == before {
                waiting.given_up_at = Some(waiting.written);
                return is_unread();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes, to the end of the process.
    fn write_all(&self) {
        let mut waiting = self.lock();
        loop {
            let Some(text) = waiting.next() else {
                waiting.is_writing = false;
                self.changed.notify_all();
                let waited = self.changed.wait(waiting);
                waiting = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            waiting.is_writing = true;
            drop(waiting);
            let count = |bytes| self.lock().written += bytes;
            let failure = write_all(&self.fd, text.as_bytes(), count).err();
            waiting = self.lock();
            waiting.failure = failure;
        }
    }
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.texts.is_empty() && !self.is_writing
    }

    /// The next text, after what says how many were dropped before it.
    fn next(&mut self) -> Option<String> {
        let text = self.texts.pop_front()?;
        self.bytes -= text.len();
        let note = DROPPED_NOTE.get().copied().unwrap_or(dropped_words);
        Some(match std::mem::take(&mut self.dropped) {
            0 => text,
            dropped => format!("{}\n{text}", note(dropped)),
        })
    }
}

/// That so many lines were dropped.
pub(super) fn dropped_words(lines: usize) -> String {
    let lines = count(lines as u64, "line");
    format!("({lines} left out here: nobody read them in time)")
}
