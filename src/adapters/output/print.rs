//! The one place that writes to stdout and stderr, and that never waits long for who reads them.
//!
//! Stderr is written by a thread of its own, from a queue: a reader that has stopped reading holds up
//! neither a deadline nor a signal. What does not fit into the queue is dropped, counted and reported.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

/// How long a reader may read nothing at all before the end no longer waits for it.
const PATIENCE: Duration = Duration::from_millis(700);

/// How much is queued for stderr at most, in bytes.
const MAX_QUEUED: usize = 256 * 1024;

/// How much is written at a time: a pipe takes that much in one piece, so that progress shows.
const CHUNK: usize = 4096;

/// How the number of dropped lines is reported, where not in plain words.
static DROPPED_NOTE: OnceLock<fn(usize) -> String> = OnceLock::new();

static STDERR: LazyLock<Queue> = LazyLock::new(Queue::start);

/// Writes a text and a line break to stderr, some time soon.
pub(crate) fn err(text: &str) {
    STDERR.push(text.to_owned() + "\n");
}

/// Writes a text to stderr as it is, without a line break of its own, and gives whether it found room.
pub(super) fn err_raw(text: String) -> bool {
    STDERR.push(text)
}

/// Draws something on stderr that nobody misses, and gives whether it found room.
pub(super) fn draw(frame: String) -> bool {
    STDERR.queued.load(Ordering::Acquire) == 0 && STDERR.push(frame)
}

/// Waits until stderr has been written, as long as somebody reads it.
pub(crate) fn flush_err() {
    STDERR.flush();
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
    unless_broken(write_while_read(&stdout, text))
}

/// Writes a text to a pipe or a device, but waits only as long as somebody reads it.
///
/// # Errors
/// When it cannot be written, or nobody reads it.
pub(super) fn write_while_read(fd: &OwnedFd, text: &str) -> io::Result<()> {
    let (ended, end) = mpsc::channel();
    let bytes = text.as_bytes().to_vec();
    let written = Arc::new(AtomicUsize::new(0));
    let (counter, writer) = (Arc::clone(&written), fd.try_clone()?);
    thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || {
            let count = |bytes| {
                counter.fetch_add(bytes, Ordering::Relaxed);
            };
            // Who waited for it may have given up.
            let _ = ended.send(write_all(&writer, &bytes, count));
        })?;
    wait(&end, fd, &written)
        .unwrap_or_else(|| Err(io::Error::new(ErrorKind::TimedOut, "nobody reads it")))
}

/// Waits for what a writing thread sends at its end; `None` once nobody reads what it writes.
fn wait<T>(end: &Receiver<T>, fd: &impl AsFd, written: &AtomicUsize) -> Option<T> {
    // What a pipe holds also shows a reader that takes less than a chunk at a time.
    let progress = || (written.load(Ordering::Relaxed), unread(fd));
    let mut before = progress();
    loop {
        match end.recv_timeout(PATIENCE) {
            Ok(ended) => return Some(ended),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = progress();
        if now == before {
            return None;
        }
        before = now;
    }
}

/// How many bytes lie in a pipe.
fn unread(fd: &impl AsFd) -> u64 {
    rustix::io::ioctl_fionread(fd).unwrap_or(0)
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

/// What waits to be written to stderr.
struct Queue {
    state: Mutex<Producer>,
    queued: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
    /// How much had been written when the last flush gave up: there is no use in another until that
    /// is more.
    given_up_at: AtomicUsize,
}

struct Producer {
    sender: Sender<Item>,
    dropped: usize,
}

enum Item {
    Text(String),
    Flushed(Sender<()>),
}

impl Queue {
    fn start() -> Self {
        let (sender, items) = mpsc::channel();
        let (queued, written) = (Arc::default(), Arc::default());
        let (left, counter) = (Arc::clone(&queued), Arc::clone(&written));
        // Without a thread the items come back, and are written where they came from.
        let _ = thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || write_items(&items, &left, &counter));
        Self {
            state: Mutex::new(Producer { sender, dropped: 0 }),
            queued,
            written,
            given_up_at: AtomicUsize::new(usize::MAX),
        }
    }

    fn push(&self, text: String) -> bool {
        let mut producer = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.queued.load(Ordering::Acquire) <= MAX_QUEUED;
        if room {
            self.report_dropped(&mut producer);
            self.send(&producer, text);
        } else {
            producer.dropped += text.lines().count();
        }
        room
    }

    fn report_dropped(&self, producer: &mut Producer) {
        let dropped = std::mem::take(&mut producer.dropped);
        if dropped > 0 {
            let note = DROPPED_NOTE.get().copied().unwrap_or(dropped_words);
            self.send(producer, note(dropped) + "\n");
        }
    }

    fn send(&self, producer: &Producer, text: String) {
        self.queued.fetch_add(text.len(), Ordering::AcqRel);
        if let Err(mpsc::SendError(Item::Text(text))) = producer.sender.send(Item::Text(text)) {
            self.queued.fetch_sub(text.len(), Ordering::AcqRel);
            // If nobody reads it there is nobody to tell.
            let _ = write_all(&io::stderr(), text.as_bytes(), |_| ());
        }
    }

    fn flush(&self) {
        let written = || self.written.load(Ordering::Relaxed);
        if self.given_up_at.load(Ordering::Relaxed) == written() {
            return;
        }
        let (done, flushed) = mpsc::channel();
        let mut producer = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.report_dropped(&mut producer);
        let sent = producer.sender.send(Item::Flushed(done));
        drop(producer);
        if sent.is_ok() && wait(&flushed, &io::stderr(), &self.written).is_none() {
            self.given_up_at.store(written(), Ordering::Relaxed);
        }
    }
}

/// Writes what comes, to the end of the process.
fn write_items(items: &Receiver<Item>, queued: &AtomicUsize, written: &AtomicUsize) {
    for item in items {
        match item {
            Item::Text(text) => {
                let count = |bytes| {
                    written.fetch_add(bytes, Ordering::Relaxed);
                };
                // If nobody reads it there is nobody to tell.
                let _ = write_all(&io::stderr(), text.as_bytes(), count);
                queued.fetch_sub(text.len(), Ordering::AcqRel);
            }
            // Who waited for it may have given up.
            Item::Flushed(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// That so many lines were dropped.
pub(super) fn dropped_words(lines: usize) -> String {
    let s = if lines == 1 { "" } else { "s" };
    format!("({lines} line{s} left out here: nobody read them in time)")
}
